"""Volumes of slices: their order, their tags, and what is no volume."""

import json

import numpy as np
import tifffile

from dicom_preprocessing.cli.preprocess import main as preprocess
from dicom_preprocessing.tiff.info import read_info
from dicom_preprocessing.tiff.reader import read_frames
from tests.unit.tools.series import AXIAL, MM, run, save_table, table_of


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


def test_order_and_spacing_by_positions_of_a_table(tree):
    assert run(tree, "--table", table_of(tree.parent, "position", [5, 3, 1, -1])) == 0
    assert numbers(tree) == [4, 3, 2, 1]
    assert read_info(tree.parent / "volumes/1.2.3/1.2.3.1.tiff").frame_spacing == 2


def test_order_and_spacing_by_the_dicom_files(tree):
    assert run(tree, "--source", str(tree.parent / "dicom")) == 0
    assert numbers(tree) == [1, 2, 3, 4]
    info = read_info(tree.parent / "volumes/1.2.3/1.2.3.1.tiff")
    assert (info.num_frames, info.frame_spacing, info.source) == (4, 2.5, (3, 2, 4))
    assert info.spacing == (0.25, 0.5)


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
    def test_slices_at_one_place(self, tree, capsys):
        table = table_of(tree.parent, values=[1, 2, 2, 4])
        assert run(tree, "--table", table) == 1
        assert "are both at 2; expected one volume" in capsys.readouterr().err
        assert run(tree, "--table", table, "--force") == 0

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

    def test_several_orientations(self, tmp_path, dicom, capsys):
        turned = dict.fromkeys(MM, AXIAL) | {3: [0, 1, 0, 0, 0, 1]}
        source = dicom(ImageOrientationPatient=turned)
        preprocess([str(source), str(tmp_path / "tree"), "-q", "-j", "1"])
        assert run(tmp_path / "tree", "--source", str(source)) == 1
        assert "slices of several orientations" in capsys.readouterr().err

    def test_number_that_is_none(self, tree, capsys):
        table = table_of(tree.parent, values=[1, 2, "", 4])
        assert run(tree, "--table", table) == 1
        assert "1.2.3.1.6.tiff has no number to order it by" in capsys.readouterr().err

    def test_series_that_nothing_tells(self, tree, capsys):
        table = save_table(tree.parent / "t.csv", ("path", "position"), ("1.2.3/1.2.3.1.5.tiff", 1))
        assert run(tree, "--table", table) == 1
        assert "found no Series Instance UID" in capsys.readouterr().err

    def test_table_without_order(self, tree, capsys):
        assert run(tree, "--table", save_table(tree.parent / "t.csv", ("path",), ("a",))) == 1
        assert "needs a column path or sop_instance_uid" in capsys.readouterr().err


def test_many_slices_need_few_open_files(tree):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    content = (tree / "1.2.3" / "1.2.3.1.5.tiff").read_bytes()
    for i in range(100):
        (tree / "1.2.3" / f"1.2.3.1.{100 + i}.tiff").write_bytes(content)
    columns = ("path", "series_instance_uid", "position")
    records = [(f"1.2.3/1.2.3.1.{100 + i}.tiff", "1.2.3.1", i) for i in range(100)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, hard))
    try:
        assert run(tree, "--table", save_table(tree.parent / "t.csv", columns, *records)) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    volume = np.asarray(read_frames(tree.parent / "volumes" / "1.2.3" / "1.2.3.1.tiff"))
    assert volume.shape == (100, 2, 3, 1)
