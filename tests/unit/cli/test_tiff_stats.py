"""tiff-stats: exact sums, several dtypes, padding and background, bad files."""

import csv
import json
import statistics as standard

import numpy as np
import pytest
import tifffile

from dicom_preprocessing.cli.tiff_stats import main
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.tools.counting import Moments, WideValues
from dicom_preprocessing.tools.statistics import Choice, Statistics, tally_file

PAGES = np.array([[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 65535]]], np.uint16)


def save(path, pages, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as tiff:
        for page in pages:
            tiff.write(page, contiguous=False, metadata=None, **options)
    return path


def record_of(*paths, bins=4, **choice):
    found = Statistics()
    for path in paths:
        found.add(tally_file(path, Choice(**choice)))
    return found.as_dict(bins)


def only(record):
    (kind,) = record["kinds"]
    (channel,) = kind["by_channel"]
    return channel


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


def test_large_mean_of_floats_keeps_its_digits():
    values = WideValues(np.dtype(np.float32))
    for _ in range(100):
        values.add(np.array([16777214, 16777216], np.float32))
    assert values.moments.mean == 16777215
    assert values.moments.std == 1


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.uint64, np.int64])
def test_sums_of_wide_integers_are_exact(dtype):
    numbers = np.array([np.iinfo(dtype).max, np.iinfo(dtype).max - 1, 5, 65536], dtype)
    values = WideValues(np.dtype(dtype))
    values.add(numbers)
    assert values.total == sum(map(int, numbers))
    assert values.squares == sum(int(v) ** 2 for v in numbers)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_histogram_of_wide_values_counts_all_and_fits_its_edges(dtype):
    rng = np.random.default_rng(1)
    parts = [(rng.normal(scale=scale, size=500) * 1e3).astype(dtype) for scale in (0.01, 1, 900)]
    values, other = WideValues(np.dtype(dtype)), WideValues(np.dtype(dtype))
    values.add(parts[0])
    values.add(parts[2])
    other.add(parts[1])
    values.merge(other)
    histogram = values.histogram(16)
    together = np.concatenate(parts).astype(np.float64)
    assert histogram.counts == np.histogram(together, [*histogram.edges[:-1], np.inf])[0].tolist()
    assert 8 <= len(histogram.counts) <= 16


def test_values_that_are_not_finite_are_told_and_left_out(tmp_path):
    path = save(tmp_path / "a.tiff", [np.array([[0.25, np.nan, 0.75, np.inf]], np.float32)])
    record = record_of(path)
    assert record["kinds"][0]["not_finite"] == 2
    assert only(record)["mean"] == 0.5


def test_moments_of_nothing_change_nothing():
    some = Moments(2, 1.0, 2.0)
    assert Moments().merged(some) == some.merged(Moments()) == some


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


class TestCommand:
    def test_tree_as_json(self, tmp_path, capsys):
        save(tmp_path / "1" / "a.tiff", PAGES)
        save(tmp_path / "2" / "b.tiff", PAGES)
        assert main([str(tmp_path), "--json", "-", "-j", "2"]) == 0
        record = json.loads(capsys.readouterr().out)
        assert (record["files"], record["kinds"][0]["frames"]) == (2, 4)

    def test_bad_file_is_told_and_the_others_count(self, tmp_path, capsys):
        save(tmp_path / "a.tiff", PAGES)
        (tmp_path / "b.tiff").write_bytes(b"II*\0 no TIFF")
        assert main([str(tmp_path)]) == 1
        shown = capsys.readouterr()
        assert "b.tiff: cannot be read as TIFF" in shown.err
        assert "2 files, 1 of them cannot be read" in shown.out
        assert "12 pixels" in shown.out

    def test_manifest_chooses(self, tmp_path):
        for name in ("a", "b"):
            save(tmp_path / "images" / f"{name}.tiff", PAGES)
        with (tmp_path / "train.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["path"], ["b.tiff"]])
        assert main([str(tmp_path / "train.csv"), "--json", str(tmp_path / "x.json")]) == 0
        assert json.loads((tmp_path / "x.json").read_text())["files"] == 1

    def test_nothing_there(self, tmp_path, capsys):
        assert main([str(tmp_path)]) == 1
        assert "no TIFF below" in capsys.readouterr().err
