"""Geometry as rows of a manifest and tags of a TIFF tell it."""

import csv
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile

from dicom_preprocessing import read_manifest
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.imaging.geometry import CropBox, Geometry, Padding, Size
from dicom_preprocessing.mapping.geometry import geometry_of_row, geometry_of_tiff
from dicom_preprocessing.results.manifest import row_of_tiff, write_manifest
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import image_of
from tests.unit.imaging.test_coordinates import FULL, RECIPE, UPRIGHT
from tests.unit.mapping import tables
from tests.unit.tiffs import reference_file


class TestFromTiff:
    @pytest.mark.parametrize("geometry", [FULL, UPRIGHT], ids=["flipped", "upright"])
    def test_gives_what_was_written(self, tmp_path, geometry):
        frames = np.zeros((1, 14, 16, 1), np.uint8)
        image = image_of(frames, geometry, source_rows=8, source_columns=10)
        write_tiff(tmp_path / "a.tiff", image, compressor="packbits", recipe=RECIPE)
        assert geometry_of_tiff(tmp_path / "a.tiff") == geometry

    def test_scale_is_exact_where_the_tag_is_not(self, tmp_path):
        geometry = Geometry(Size(7, 3), resized=Size(10, 4))
        image = image_of(
            np.zeros((1, 4, 10, 1), np.uint8), geometry, source_rows=3, source_columns=7
        )
        write_tiff(tmp_path / "a.tiff", image, compressor="packbits", recipe=RECIPE)
        assert geometry_of_tiff(tmp_path / "a.tiff").scale == (10 / 7, 4 / 3)

    def test_reference_file_ends_with_its_crop_box(self, tmp_path):
        path = reference_file(tmp_path / "a.tiff")
        assert geometry_of_tiff(path) == Geometry(
            Size(10, 6),
            crop=CropBox(3, 2, 7, 4),
            resized=Size(14, 8),
            padding=Padding(1, 2, 2, 1),
        )

    def test_reference_file_with_the_size_of_its_source(self, tmp_path):
        path = reference_file(tmp_path / "a.tiff")
        assert geometry_of_tiff(path, source=(30, 20)).source == Size(30, 20)

    def test_reference_file_without_crop(self, tmp_path):
        path = tmp_path / "a.tiff"
        software = b"dicom-preprocessing==0.1.2"
        tags = [(305, 1, len(software), software, False), (50718, 11, 2, (2.0, 2.0), False)]
        page = np.zeros((6, 8), np.uint8)
        tifffile.imwrite(path, page, software=False, metadata=None, extratags=tags)
        assert geometry_of_tiff(path) == Geometry(Size(4, 3), resized=Size(8, 6))

    def test_other_files_are_an_error(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tiff", np.zeros((4, 5), np.uint8))
        with pytest.raises(OutputError, match=r"a\.tiff: it holds no geometry"):
            geometry_of_tiff(tmp_path / "a.tiff")

    def test_missing_file_is_an_error(self, tmp_path):
        with pytest.raises(OutputError, match=r"gone\.tiff: cannot be read as TIFF"):
            geometry_of_tiff(tmp_path / "gone.tiff")

    def test_source_that_is_too_small_is_an_error(self, tmp_path):
        path = reference_file(tmp_path / "a.tiff")
        with pytest.raises(
            OutputError, match="crop box 7 x 4 at 3, 2 is not within its source 5 x 5"
        ):
            geometry_of_tiff(path, source=(5, 5))


ROW = replace(tables.ROW, scale_x=2.0, scale_y=2.0, flip_h=True, flip_v=True, source_frames=1)


class TestFromRow:
    def test_row_of_this_program(self):
        assert geometry_of_row(ROW) == FULL

    def test_text_of_csv(self, tmp_path):
        write_manifest([ROW, replace(ROW, flip_h=False, flip_v=False)], tmp_path / "manifest.csv")
        with open(tmp_path / "manifest.csv", newline="") as file:
            flipped, upright = csv.DictReader(file)
        assert (geometry_of_row(flipped), geometry_of_row(upright)) == (FULL, UPRIGHT)

    def test_values_of_parquet(self, tmp_path):
        write_manifest([ROW], tmp_path / "manifest.parquet")
        (row,) = pq.read_table(tmp_path / "manifest.parquet").to_pylist()
        assert geometry_of_row(row) == FULL

    def test_values_as_a_data_frame_has_them(self):
        row = {
            "width": np.float64(16),
            "height": np.int64(14),
            "crop_left": np.nan,
            "active_left": "1.0",
            "active_top": np.float64(2),
            "active_right": 13,
            "active_bottom": 10,
            "flip_h": np.False_,
        }
        geometry = geometry_of_row(row)
        assert geometry == Geometry(Size(12, 8), padding=Padding(1, 2, 3, 4))

    @pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet"])
    def test_rows_of_a_data_frame(self, tmp_path, name):
        """Also of an image whose geometry is unknown, of which cells are NA."""
        unknown = replace(tables.ROW, sop_instance_uid="9", crop_left=None)
        rows = [tables.ROW, replace(unknown, flip_h=None, flip_v=None)]
        write_manifest(rows, tmp_path / name)
        frame = read_manifest(tmp_path / name)
        expected = [geometry_of_row(row) for row in rows]
        assert [geometry_of_row(frame.iloc[i]) for i in range(2)] == expected
        assert [geometry_of_row(row) for row in frame.to_dict("records")] == expected
        assert [geometry_of_row(row) for row in frame.itertuples()] == expected

    def test_row_made_from_tags(self, tmp_path):
        image = image_of(np.zeros((1, 14, 16, 1), np.uint8), FULL, source_rows=8, source_columns=10)
        write_tiff(tmp_path / "a.tiff", image, compressor="packbits", recipe=RECIPE)
        assert geometry_of_row(row_of_tiff(tmp_path / "a.tiff", tmp_path)) == FULL

    def test_steps_that_changed_nothing_are_none(self):
        values = {"crop_left": 0, "crop_top": 0, "crop_width": 10, "crop_height": 8}
        values |= {"active_left": 0, "active_top": 0, "active_right": 10, "active_bottom": 8}
        row = replace(ROW, width=10, height=8, flip_h=False, flip_v=False, **values)
        assert geometry_of_row(row) == Geometry(Size(10, 8))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"width": None}, r"1\.2/1\.2\.1\.tiff: its active area .* image 0 x 0"),
            ({"crop_left": "two"}, "crop_left is not a number: 'two'"),
            ({"crop_left": "2.5"}, r"crop_left is not a whole number: 2\.5"),
            ({"crop_left": 5}, "crop box 6 x 4 at 5, 1 is not within its source 10 x 8"),
            ({"active_right": 17}, "active area 16 x 8 at 1, 2 is not within its image 16 x 14"),
            ({"flip_h": "maybe"}, "flip_h is neither true nor false: 'maybe'"),
            ({"source_rows": ""}, "it was flipped, and the size of its source is unknown"),
        ],
    )
    def test_contradictions_are_an_error(self, changes, message):
        with pytest.raises(OutputError, match=message):
            geometry_of_row(replace(ROW, **changes))

    def test_row_without_geometry_is_an_error(self):
        row = {"sop_instance_uid": "1.2.1", "width": "4", "height": "3"}
        with pytest.raises(OutputError, match=r"1\.2\.1: it holds no geometry"):
            geometry_of_row(row)
