"""Statistics of TIFFs: several dtypes, padding and background, bad files."""

import statistics as standard

import numpy as np
import pytest
import tifffile

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.tools.statistics import PixelSelection, tally_file
from tests.unit.tiffs import reference_file
from tests.unit.tools.pages import PAGES, only, record_of, save


def test_values_are_those_of_the_standard_library(tmp_path):
    channel = only(record_of(save(tmp_path / "a.tiff", PAGES)))
    values = PAGES.ravel().tolist()
    assert channel["mean"] == standard.mean(values)
    assert channel["std"] == pytest.approx(standard.pstdev(values), rel=1e-15)
    assert (channel["min"], channel["max"], channel["pixels"]) == (0, 65535, 12)


def test_normalised_values_divide_by_the_range_of_the_dtype(tmp_path):
    normalised = only(record_of(save(tmp_path / "a.tiff", PAGES)))["normalised"]
    assert normalised["mean"] == pytest.approx((PAGES / 65535).mean())
    assert normalised["max"] == 1


def test_uint8_and_uint16_together_in_0_to_1(tmp_path):
    wide = save(tmp_path / "a.tiff", PAGES)
    narrow = save(tmp_path / "b.tiff", PAGES.astype(np.uint8))
    (both,) = record_of(wide, narrow)["normalised"]
    values = np.concatenate([PAGES.ravel() / 65535, PAGES.astype(np.uint8).ravel() / 255])
    assert both["mean"] == pytest.approx([values.mean()])
    assert both["std"] == pytest.approx([values.std()])


def test_channels_of_colour_are_apart(tmp_path):
    page = np.zeros((2, 2, 3), np.uint8)
    page[..., 1], page[0, 0, 2] = 100, 8
    (kind,) = record_of(save(tmp_path / "a.tiff", [page], photometric="rgb"))["kinds"]
    assert [channel["mean"] for channel in kind["by_channel"]] == [0, 100, 2]


def test_signed_values_are_not_normalised(tmp_path):
    path = save(tmp_path / "a.tiff", [np.array([[-1000, 3000]], np.int16)])
    channel = only(record_of(path))
    assert (channel["min"], channel["max"], channel["mean"]) == (-1000, 3000, 1000)
    assert channel["normalised"] is None
    assert channel["histogram"]["counts"] == [1, 0, 0, 1]


def test_values_that_are_not_finite_are_reported_and_left_out(tmp_path):
    path = save(tmp_path / "a.tiff", [np.array([[0.25, np.nan, 0.75, np.inf]], np.float32)])
    record = record_of(path)
    assert record["kinds"][0]["not_finite"] == 2
    assert only(record)["mean"] == 0.5


def test_padding_is_left_out_by_active_area(tmp_path):
    page = np.array([[0, 0, 5, 7]], np.uint8)
    area = (50829, 4, 4, (2, 0, 4, 1), False)
    path = save(tmp_path / "a.tiff", [page], software="dicom-preprocessing 0.1", extratags=[area])
    assert only(record_of(path, active_only=True))["mean"] == 6
    assert only(record_of(path))["mean"] == 3


def test_background_is_what_the_file_tells(tmp_path):
    page = np.array([[-2000, -2000, 4, 0]], np.int16)
    path = save(tmp_path / "a.tiff", [page], description='{"background": -2000.0}')
    assert only(record_of(path, skip_background=True))["mean"] == 2


def test_black_pixels_of_colour_are_those_without_any(tmp_path):
    page = np.array([[[0, 0, 0], [0, 4, 0]]], np.uint8)
    path = save(tmp_path / "a.tiff", [page], photometric="rgb")
    (kind,) = record_of(path, skip_background=True)["kinds"]
    assert [channel["mean"] for channel in kind["by_channel"]] == [0, 4, 0]


def test_tiles_planes_and_pages_of_different_kinds(tmp_path):
    path = tmp_path / "a.tiff"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(np.full((40, 40), 3, np.uint8), tile=(16, 16), metadata=None)
        planes = np.stack([np.full((4, 4), v, np.uint8) for v in (1, 2, 3)])
        tiff.write(planes, photometric="rgb", planarconfig="separate", metadata=None)
    grey, colour = record_of(path)["kinds"]
    assert (grey["by_channel"][0]["mean"], grey["by_channel"][0]["pixels"]) == (3, 1600)
    assert [channel["mean"] for channel in colour["by_channel"]] == [1, 2, 3]


def test_cut_file_is_an_error(tmp_path):
    path = save(tmp_path / "a.tiff", PAGES)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(OutputError, match="the file is cut"):
        tally_file(path)


def test_active_area_beyond_a_later_page_is_an_error(tmp_path):
    path = reference_file(tmp_path / "a.tiff")
    tifffile.imwrite(path, np.ones((3, 2), np.uint16), append=True, metadata=None)
    with pytest.raises(OutputError, match=r"a\.tiff: its active area is not within page 1"):
        tally_file(path, PixelSelection(active_only=True))
