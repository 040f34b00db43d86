"""tiff-resize: a tree and its manifest, and what is refused."""

import csv

from dicom_preprocessing.cli.tiff_resize import main
from tests.limits import fail_on_fsync
from tests.unit.tools.images import save


class TestCommand:
    def test_tree_and_its_manifest(self, tmp_path):
        save(tmp_path / "a" / "1.2" / "1.2.3.tiff")
        with (tmp_path / "a" / "manifest.csv").open("w", newline="") as file:
            cells = {"path": "1.2/1.2.3.tiff", "modality": "MG", "series_instance_uid": "1.9"}
            csv.writer(file).writerows([cells.keys(), cells.values()])
        arguments = [str(tmp_path / "a"), str(tmp_path / "b"), "--size", "8,8", "-j", "1"]
        assert main(arguments) == 0
        with (tmp_path / "b" / "manifest.csv").open() as file:
            (row,) = csv.DictReader(file)
        named = row["sop_instance_uid"], row["modality"], row["series_instance_uid"], row["width"]
        assert named == ("1.2.3", "MG", "1.9", "8")

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
