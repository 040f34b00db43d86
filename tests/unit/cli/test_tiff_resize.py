"""tiff-resize: a tree and its manifest, and what is refused."""

import csv
from dataclasses import replace

import dicom_preprocessing as dp
from dicom_preprocessing.cli.tiff_resize import main
from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.imaging.space import PatientSpace
from dicom_preprocessing.results.slice_table import SliceRow, write_slices
from tests.limits import fail_on_fsync
from tests.unit.tools.images import save


def write_rows(path, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0].keys(), *(row.values() for row in rows)])


class TestCommand:
    def test_tree_and_its_manifest(self, tmp_path):
        save(tmp_path / "a" / "1.2" / "1.2.3.tiff")
        cells = {"path": "1.2/1.2.3.tiff", "modality": "MG", "series_instance_uid": "1.9"}
        write_rows(tmp_path / "a" / "manifest.csv", cells)
        arguments = [str(tmp_path / "a"), str(tmp_path / "b"), "--size", "8,8", "-j", "1"]
        assert main(arguments) == 0
        with (tmp_path / "b" / "manifest.csv").open() as file:
            (row,) = csv.DictReader(file)
        named = row["sop_instance_uid"], row["modality"], row["series_instance_uid"], row["width"]
        assert named == ("1.2.3", "MG", "1.9", "8")

    def test_volume_keeps_its_slices(self, tmp_path):
        """Rows of slices.csv follow the images, and say where the new pixels are."""
        space = PatientSpace((1, 0, 0, 0, 1, 0), (0.1, 0.2), ((0, 0, 1), (0, 0, 3)))
        geometry = Geometry(Size(4, 4), space=space)
        save(tmp_path / "a" / "images" / "1.2" / "1.tiff", geometry, spacing_source="pixel")
        volume = {"path": "1.2/1.tiff", "volume": 1, "volume_id": "00"}
        write_rows(tmp_path / "a" / "manifest.csv", volume)
        rows = [
            SliceRow(
                path=path,
                page=page,
                sop_instance_uid=f"1.2.{page}",
                source_path="/x",
                source_frame=1,
                position_mm=0.0,
                x=0.0,
                y=0.0,
                z=1.0,
            )
            for path, page in (("1.2/0.tiff", 1), ("1.2/1.tiff", 1), ("1.2/1.tiff", 2))
        ]
        left_out = replace(rows[1], page=None, x=None, y=None, z=None)
        write_slices([*rows, left_out], tmp_path / "a" / "slices.csv")
        assert main([str(tmp_path / "a"), str(tmp_path / "b"), "--scale", "0.5", "-j", "1"]) == 0
        table = dp.read_slices(tmp_path / "b")
        assert table["path"].tolist() == ["1.2/1.tiff"] * 3
        assert table["sop_instance_uid"].tolist() == ["1.2.1", "1.2.2", "1.2.1"]
        # Two pixels of 0.1 by 0.2 mm became one, whose centre is between theirs.
        places = table[["x", "y", "z"]].to_numpy()[:2].tolist()
        assert places == [[0.05, 0.1, 1], [0.05, 0.1, 3]]
        assert table[["x", "y", "z"]].iloc[2].isna().all()
        (tmp_path / "a" / "slices.csv").rename(tmp_path / "other.csv")
        assert main([str(tmp_path / "a"), str(tmp_path / "b"), "--scale", "0.5", "-j", "1"]) == 0
        assert not (tmp_path / "b" / "slices.csv").exists()
        (row,) = dp.read_manifest(tmp_path / "b").to_dict("records")
        assert (row["volume"], row["volume_id"]) == (1, "00")

    def test_bad_file_is_reported_and_the_others_are_written(self, tmp_path, capsys):
        save(tmp_path / "a" / "1.tiff")
        (tmp_path / "a" / "2.tiff").write_bytes(b"II*\0")
        arguments = [str(tmp_path / "a"), str(tmp_path / "b"), "--scale", "0.5", "-j", "2"]
        assert main(arguments) == 1
        shown = capsys.readouterr()
        assert "1 of 2 TIFFs" in shown.out
        assert "2.tiff: cannot be read" in shown.err
        assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["1.tiff", "manifest.csv"]

    def test_disk_that_is_full_only_later_is_reported(self, tmp_path, capsys, monkeypatch):
        for name in "12":
            save(tmp_path / "a" / f"{name}.tiff")
        fail_on_fsync(monkeypatch, "/2.tiff")
        assert main([str(tmp_path / "a"), str(tmp_path / "b"), "--scale", "0.5"]) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        assert f"{tmp_path / 'b' / '2.tiff'}" in shown.err
        assert "No space left" in shown.err
        assert not (tmp_path / "b" / "manifest.csv").exists()

    def test_output_within_the_source_is_refused(self, tmp_path, capsys):
        save(tmp_path / "a" / "1.tiff")
        assert main([str(tmp_path / "a"), str(tmp_path / "a" / "b"), "--scale", "0.5"]) == 1
        assert "must not contain one another" in capsys.readouterr().err

    def test_manifest_that_leads_out_is_refused(self, tmp_path, capsys):
        save(tmp_path / "1.tiff")
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "manifest.csv").write_text("path\n../1.tiff\n")
        source = str(tmp_path / "a" / "manifest.csv")
        assert main([source, str(tmp_path / "b"), "--scale", "0.5"]) == 1
        assert "row 1 of" in (told := capsys.readouterr().err)
        assert "leads out of the folder" in told
        assert not (tmp_path / "b").exists()
