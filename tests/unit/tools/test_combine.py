"""Volumes of slices: their order, their tags, and what is no volume."""

import json

import pytest
import tifffile

from dicom_preprocessing import read_manifest
from dicom_preprocessing.cli.manifest import main as write_manifest
from dicom_preprocessing.cli.preprocess import main as preprocess
from dicom_preprocessing.tiff.info import read_info
from dicom_preprocessing.tiff.reader import read_frames
from tests.unit.tools.series import AXIAL, MM, run, save_table, table_of
from tests.unit.tools.stacks import save_stack, values_of, volume_of


def numbers(tree):
    volume = tree.parent / "volumes" / "1.2.3" / "1.2.3.1.tiff"
    return [int(page[0, 1, 0]) // 10 for page in read_frames(volume)]


def test_order_of_a_table(tree):
    assert run(tree, "--table", table_of(tree.parent)) == 0
    assert numbers(tree) == [1, 2, 3, 4]


def test_order_by_a_column_that_is_named(tree):
    table = table_of(tree.parent, "rank", [40, 30, 20.5, 20])
    assert run(tree, "--table", table, "--order", "rank") == 0
    assert numbers(tree) == [4, 3, 2, 1]


def test_positions_of_images_count_before_those_of_a_table(tree, capsys):
    assert run(tree, "--table", table_of(tree.parent, "position", [5, 3, 1, -1])) == 0
    assert numbers(tree) == [1, 2, 3, 4]
    assert read_info(tree.parent / "volumes/1.2.3/1.2.3.1.tiff").frame_spacing == 2.5
    assert "pages follow their positions, and column position of the" in capsys.readouterr().err


def test_order_and_spacing_by_positions_of_a_table(tmp_path, dicom):
    preprocess([str(dicom(ImagePositionPatient=None)), str(tmp_path / "tree"), "-q", "-j", "1"])
    table = table_of(tmp_path, "position", [5, 3, 1, -1])
    assert run(tmp_path / "tree", "--table", table) == 0
    assert numbers(tmp_path / "tree") == [4, 3, 2, 1]
    assert read_info(tmp_path / "volumes/1.2.3/1.2.3.1.tiff").frame_spacing == 2


def test_order_and_spacing_by_the_dicom_files(tree):
    assert run(tree, "--source", str(tree.parent / "dicom")) == 0
    assert numbers(tree) == [1, 2, 3, 4]
    info = read_info(tree.parent / "volumes/1.2.3/1.2.3.1.tiff")
    assert (info.num_frames, info.frame_spacing, info.source) == (4, 2.5, (3, 2, 4))
    assert info.spacing == (0.25, 0.5)


def test_positions_of_the_dicom_files_count_where_images_have_none(tmp_path, dicom, monkeypatch):
    source = dicom()
    with monkeypatch.context() as patch:
        patch.setattr("dicom_preprocessing.tiff.tags.describe_place", lambda _: {})
        preprocess([str(source), str(tmp_path / "tree"), "-q", "-j", "1"])
    assert run(tmp_path / "tree", "--source", str(source), "--stack", "gap=fail") == 0
    assert numbers(tmp_path / "tree") == [1, 2, 3, 4]
    info = read_info(tmp_path / "volumes/1.2.3/1.2.3.1.tiff")
    assert (info.frame_spacing, info.place) == (2.5, None)


def test_headers_of_the_dicom_files_tell_volumes_apart(tmp_path, dicom):
    places, echoes = {1: 0, 2: 1, 3: 0, 4: 1}, {1: 20, 2: 20, 3: 10, 4: 10}
    source = dicom(
        ImagePositionPatient={n: [0, 0, mm] for n, mm in places.items()}, EchoTime=echoes
    )
    preprocess([str(source), str(tmp_path / "tree"), "-q", "-j", "1"])
    assert run(tmp_path / "tree", "--source", str(source)) == 0
    folder = tmp_path / "volumes" / "1.2.3" / "1.2.3.1"
    pages = {p.name: [int(f[0, 1, 0]) // 10 for f in read_frames(p)] for p in folder.iterdir()}
    assert pages == {"1.2.3.1.6.tiff": [3, 4], "1.2.3.1.8.tiff": [1, 2]}
    rows = read_manifest(tmp_path / "volumes").to_dict("records")
    assert [row["sop_instance_uid"] for row in rows] == ["1.2.3.1.6", "1.2.3.1.8"]
    assert {(row["study_instance_uid"], row["series_instance_uid"]) for row in rows} == {
        ("1.2.3", "1.2.3.1")
    }


def test_descending_positions_turn_the_order_around(tmp_path, dicom):
    source = dicom(ImagePositionPatient={n: [0, 0, -mm] for n, mm in MM.items()})
    preprocess([str(source), str(tmp_path / "tree"), "-q", "-j", "1"])
    assert run(tmp_path / "tree", "--source", str(source)) == 0
    assert numbers(tmp_path / "tree") == [4, 3, 2, 1]


def test_instance_numbers_order_where_there_are_no_positions(tmp_path, dicom):
    source = dicom(ImagePositionPatient=None)
    preprocess([str(source), str(tmp_path / "tree"), "-q", "-j", "1"])
    assert run(tmp_path / "tree", "--source", str(source)) == 0
    assert numbers(tmp_path / "tree") == [1, 2, 3, 4]


def test_pages_are_numbered_and_tell_what_was_done(tree):
    run(tree, "--source", str(tree.parent / "dicom"))
    with tifffile.TiffFile(tree.parent / "volumes/1.2.3/1.2.3.1.tiff") as tiff:
        found = [page.tags["PageNumber"].value for page in tiff.pages]
        description = json.loads(tiff.pages.first.description)
    assert found == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert description["tools"] == [{"tool": "tiff-combine", "slices": 4, "by": "mm"}]


class TestRefusals:
    @pytest.fixture
    def unplaced(self, tmp_path, dicom):
        """A tree of images without positions."""
        preprocess([str(dicom(ImagePositionPatient=None)), str(tmp_path / "tree"), "-q", "-j", "1"])
        return tmp_path / "tree"

    def test_slices_of_one_number(self, unplaced, capsys):
        table = table_of(unplaced.parent, values=[1, 2, 2, 4])
        assert run(unplaced, "--table", table) == 1
        assert "are both at 2; expected one volume" in capsys.readouterr().err
        assert run(unplaced, "--table", table, "--force") == 0
        assert "warning: series 1.2.3.1 of 1.2.3: order: 1.2.3/" in capsys.readouterr().err

    def test_other_crop_boxes(self, tmp_path, dicom, capsys):
        source = dicom()
        preprocess([str(source), str(tmp_path / "tree"), "-q", "-j", "1", "--size", "3,2"])
        other = tmp_path / "other"
        preprocess([str(source / "2.dcm"), str(other), "-q", "-j", "1", "-c", "--size", "3,2"])
        moved = "1.2.3/1.2.3.1.7.tiff"
        (other / moved).replace(tmp_path / "tree" / moved)
        assert run(tmp_path / "tree", "--table", table_of(tmp_path)) == 1
        assert "crop box is (1, 0, 1, 2), and (0, 0, 3, 2) in" in capsys.readouterr().err
        assert run(tmp_path / "tree", "--table", table_of(tmp_path), "--force") == 0
        with tifffile.TiffFile(tmp_path / "volumes/1.2.3/1.2.3.1.tiff") as tiff:
            boxes = [page.tags["DefaultCropSize"].value for page in tiff.pages]
        assert boxes == [(3, 2), (1, 2), (3, 2), (3, 2)]

    def test_other_sizes_even_by_force(self, tree, capsys):
        source = str(tree.parent / "dicom" / "2.dcm")
        preprocess([source, str(tree / "1.2.3" / "1.2.3.1.7.tiff"), "-q", "--size", "9,6"])
        assert run(tree, "--table", table_of(tree.parent), "--force") == 1
        assert "found 9 x 6 x 1 uint8, expected 3 x 2 x 1 uint8" in capsys.readouterr().err

    def test_slice_without_image(self, tree, capsys):
        (tree / "1.2.3" / "1.2.3.1.7.tiff").unlink()
        assert run(tree, "--table", table_of(tree.parent)) == 1
        assert "1.2.3.1.7 is in the table and not in the tree" in capsys.readouterr().err
        assert run(tree, "--source", str(tree.parent / "dicom")) == 1
        assert "the tree has 3 of 4 images; the volume has gaps" in capsys.readouterr().err

    def test_slices_of_another_orientation_are_no_part_of_the_volume(self, tmp_path, dicom, capsys):
        turned = dict.fromkeys(MM, AXIAL) | {4: [0, 1, 0, 0, 0, 1]}
        source = dicom(ImageOrientationPatient=turned)
        preprocess([str(source), str(tmp_path / "tree"), "-q", "-j", "1"])
        assert run(tmp_path / "tree", "--source", str(source)) == 0
        assert numbers(tmp_path / "tree") == [1, 2, 3]
        assert "a lone slice of another orientation" in capsys.readouterr().err

    def test_series_that_nothing_tells_is_told_as_the_message_says(self, tree, capsys):
        source = str(tree.parent / "dicom")
        write_manifest([str(tree)])
        assert run(tree) == 1
        advice = (
            "name the DICOM files with --source, or write the images with --layout study/series"
        )
        assert advice in capsys.readouterr().err
        assert run(tree, "--source", source) == 0
        named = tree.parent / "named"
        preprocess([source, str(named), "-q", "-j", "1", "--layout", "study/series/sop"])
        assert run(named) == 0

    def test_number_that_is_none(self, unplaced, capsys):
        table = table_of(unplaced.parent, values=[1, 2, "", 4])
        assert run(unplaced, "--table", table) == 1
        assert "1.2.3.1.6.tiff has no number to order it by" in capsys.readouterr().err

    def test_series_that_nothing_tells(self, tree, capsys):
        table = save_table(tree.parent / "t.csv", ("path", "position"), ("1.2.3/1.2.3.1.5.tiff", 1))
        assert run(tree, "--table", table) == 1
        assert "found no Series Instance UID" in capsys.readouterr().err

    def test_table_without_order(self, tree, capsys):
        assert run(tree, "--table", save_table(tree.parent / "t.csv", ("path",), ("a",))) == 1
        assert "needs a column path or sop_instance_uid" in capsys.readouterr().err


def test_many_slices_need_few_open_files(tmp_path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    save_stack(tmp_path / "tree", *range(100))
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, hard))
    try:
        assert run(tmp_path / "tree") == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert values_of(volume_of(tmp_path / "tree")) == list(range(1, 101))
