"""Decoding at a reduced resolution: where samples lie, which level is taken, what is recorded."""

import json

import numpy as np
import pytest
import tifffile
from pydicom.data import get_testdata_file
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, JPEGLSLossless

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.decode import pixels as pixels_module
from dicom_preprocessing.decode.stage import decode, decode_stored
from dicom_preprocessing.errors import ConfigError, DecodeError
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processing.instance import OutputSpec, group_by_instance, process_instance
from tests.unit.datasets import (
    BREAST_TOMOSYNTHESIS,
    compressed,
    data_set_of,
    pages_of,
    save,
    show_stored_values,
)
from tests.unit.decode.examples import ENCODE


def blob(x, y, *, width=300, height=220, sigma=9.0):
    """A smooth dot of 12 bits on black."""
    rows, columns = np.mgrid[:height, :width]
    return (3000 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / sigma**2)).astype(np.uint16)


def centroid(page):
    rows, columns = np.mgrid[: page.shape[0], : page.shape[1]]
    return np.array([(columns * page).sum(), (rows * page).sum()]) / page.sum()


@pytest.fixture
def write(tmp_path):
    """A function that writes frames to a compressed file."""

    def write(*frames, syntax=JPEG2000Lossless, **attributes):
        data_set = show_stored_values(data_set_of(np.stack(frames), bits_stored=12))
        for keyword, value in attributes.items():
            setattr(data_set, keyword, value)
        compressed(data_set, [bytes(ENCODE[syntax](frame)) for frame in frames])
        return save(tmp_path / "source.dcm", data_set, syntax)

    return write


@pytest.fixture
def run(tmp_path):
    """A function that makes the TIFF of a file; gives its receipt and path."""

    def run(path, **values):
        config, _ = parse_config({"size": [60, 60], **values})
        index = build_index(find_files([str(path)]))
        (entries,) = index.studies.values()
        target = OutputSpec(tmp_path / "images", make_recipe(config, "write"))
        (receipt,) = process_instance(group_by_instance(entries)[0], target)
        assert receipt.is_written, receipt.message
        return receipt, target.root / receipt.output

    return run


class TestImages:
    @pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless])
    @pytest.mark.parametrize(
        "values", [{}, {"crop": True, "size": [20, 20]}, {"spacing": [3.7, 4.1], "size": None}]
    )
    @pytest.mark.parametrize("at", [(101.3, 87.6), (40.0, 180.0), (260.0, 33.0)])
    def test_a_dot_is_where_it_belongs(self, write, run, syntax, values, at):
        path = write(blob(*at), syntax=syntax, PixelSpacing=[1, 1])
        receipt, image = run(path, fast_decode=True, **values)
        assert receipt.source_info["resolution_level"] > 0
        expected = receipt.parse_geometry().to_output(at)
        assert np.abs(centroid(pages_of(image)[0, ..., 0]) - expected).max() < 0.1

    def test_a_dot_of_an_image_that_is_turned(self, write, run):
        path = write(
            blob(101.3, 87.6, width=299, height=221),
            SOPClassUID=BREAST_TOMOSYNTHESIS,
            ImageLaterality="L",
            ViewPosition="CC",
            PatientOrientation=["P", "L"],
        )
        receipt, image = run(path, fast_decode=True, crop=True)
        assert receipt.geometry["flip"] is not None
        expected = receipt.parse_geometry().to_output((101.3, 87.6))
        assert np.abs(centroid(pages_of(image)[0, ..., 0]) - expected).max() < 0.1

    def test_is_like_the_exact_one(self, write, run):
        path = write(blob(101.3, 87.6))
        exact = pages_of(run(path)[1]).astype(float)
        fast = pages_of(run(path, fast_decode=True)[1]).astype(float)
        assert 0 < np.abs(exact - fast).max() < 0.05 * exact.max()

    def test_crop_holds_what_the_exact_one_holds(self, write, run):
        path = write(blob(101.3, 87.6))
        exact = run(path, crop=True)[0].parse_geometry().crop_box
        fast = run(path, crop=True, fast_decode=True)[0].parse_geometry().crop_box
        assert (fast.left <= exact.left, fast.top <= exact.top) == (True, True)
        assert (fast.right >= exact.right, fast.bottom >= exact.bottom) == (True, True)
        assert fast.width - exact.width <= 4 * 4

    def test_a_small_crop_is_decoded_at_the_resolution_that_it_needs(self, write, run):
        path = write(blob(101.3, 87.6, sigma=4.0))
        receipt, image = run(path, crop=True, fast_decode=True)
        assert receipt.source_info["resolution_level"] == 0
        box = receipt.parse_geometry().crop_box
        assert max(box.width, box.height) < 120
        expected = receipt.parse_geometry().to_output((101.3, 87.6))
        assert np.abs(centroid(pages_of(image)[0, ..., 0]) - expected).max() < 0.1

    def test_overshoot_is_clipped_not_wrapped_around(self, write):
        pixels = np.zeros((256, 256), np.uint16)
        pixels[64:192, 64:192] = 4095
        found = decode_stored(write(pixels), fast_decode={"size": [60, 60]})
        level, stored = found.source_info.resolution_level, np.asarray(found.frames)
        assert level == 2
        assert stored.max() == 4095
        assert stored[0, 20:44, 20:44].min() > 4000

    def test_other_transfer_syntaxes_stay_exact(self, write, run):
        path = write(blob(101.3, 87.6), syntax=JPEGLSLossless)
        exact, fast = run(path)[1].read_bytes(), run(path, fast_decode=True)[1].read_bytes()
        assert len(exact) - len(fast) in range(-200, 200)
        assert np.array_equal(pages_of(run(path)[1]), pages_of(run(path, fast_decode=True)[1]))

    @pytest.mark.parametrize("values", [{"intensity": "stored"}, {"intensity": "minmax"}])
    def test_crop_is_exact_where_the_lowest_value_is_background(self, write, run, values):
        path = write(blob(101.3, 87.6) + np.uint16(500))
        exact = run(path, crop=True, **values)[0]
        fast = run(path, crop=True, fast_decode=True, **values)[0]
        assert fast.source_info["resolution_level"] == 0
        assert fast.geometry["crop"] == exact.geometry["crop"]
        assert run(path, fast_decode=True, **values)[0].source_info["resolution_level"] == 2

    def test_samples_with_another_sign_than_the_header_says_stay_exact(self):
        path = get_testdata_file("J2K_pixelrep_mismatch.dcm")
        assert decode_stored(path, fast_decode={"size": [60, 60]}).reduction is None

    def test_bits_above_those_stored_are_an_error(self, write):
        pixels = blob(101.3, 87.6)
        pixels[:100] |= 0xF000
        image = decode_stored(write(pixels), fast_decode={"size": [60, 60]})
        with pytest.raises(DecodeError, match="bits above Bits Stored are set"):
            np.asarray(image.frames)

    def test_padding_above_bits_stored_is_background_as_in_the_exact_one(self, write, run):
        frame = np.full((220, 300), 1000, np.uint16)
        frame[:110] = 5000
        path = write(frame, PixelPaddingValue=5000)
        fast, exact = (pages_of(run(path, fast_decode=is_fast)[1]) for is_fast in (True, False))
        assert np.array_equal(fast, exact)
        assert not exact[0, :20].any()

    def test_a_file_that_decodes_at_no_finer_level_gives_way_to_the_next(
        self, write, tmp_path, monkeypatch
    ):
        source = tmp_path / "source"
        source.mkdir()
        for name, x in (("a.dcm", 101.3), ("b.dcm", 140.0)):
            write(blob(x, 87.6, sigma=4.0)).rename(source / name)
        decode = pixels_module.decode_stream
        refused = []

        def refuse(stream, syntax, options):
            if options["rows"] == 220 and not refused:
                refused.append(True)
                raise ValueError("refused")
            return decode(stream, syntax, options)

        monkeypatch.setattr(pixels_module, "decode_stream", refuse)
        config, _ = parse_config({"size": [60, 60], "crop": True, "fast_decode": True})
        index = build_index(find_files([str(source)]))
        (entries,) = index.studies.values()
        target = OutputSpec(tmp_path / "images", make_recipe(config, "write"))
        first, second = process_instance(group_by_instance(entries)[0], target)
        assert (first.error, second.state) == ("sop_conflict", "written")
        assert "refused" in first.message

    def test_several_frames(self, write, run):
        path = write(blob(101, 87), blob(110, 90))
        _, image = run(path, crop=True, fast_decode=True)
        assert len(pages_of(image)) == 2

    def test_decode_alone_is_exact(self, write):
        pixels = blob(101.3, 87.6)
        assert np.array_equal(decode(write(pixels)).frames[0, ..., 0], pixels)


class TestRecord:
    def description(self, path):
        with tifffile.TiffFile(path) as tiff:
            return json.loads(tiff.pages.first.description)

    def test_level_and_size_are_in_the_description(self, write, run):
        found = self.description(run(write(blob(90, 90)), fast_decode=True)[1])
        assert found["resolution_level"] == 2
        assert found["steps"]["decode"]["fast_decode"] == {"crop": False, "size": [60, 60]}

    def test_exact_images_say_nothing_of_it(self, write, run):
        assert "resolution_level" not in self.description(run(write(blob(90, 90)))[1])

    def test_is_in_the_fingerprint(self):
        recipes = [
            make_recipe(parse_config({"size": [60, 60], "fast_decode": fast})[0], "write")
            for fast in (False, True)
        ]
        assert recipes[0].fingerprint != recipes[1].fingerprint
        assert "fast_decode" not in recipes[0].settings["decode"]


class TestConfig:
    @pytest.mark.parametrize("name", ["nearest", "max-pool"])
    def test_filters_of_single_pixels_are_refused(self, name):
        with pytest.raises(ConfigError, match="'fast_decode' and 'filter'"):
            parse_config({"size": [60, 60], "fast_decode": True, "filter": name})

    @pytest.mark.parametrize("stage", ["decode", "crop"])
    def test_kept_stages_before_resize_are_refused(self, stage):
        with pytest.raises(ConfigError, match="'fast_decode' and 'keep'"):
            parse_config({"size": [60, 60], "fast_decode": True, "keep": [stage]})

    def test_without_size_it_has_no_effect(self):
        _, warnings = parse_config({"fast_decode": True})
        assert warnings == ["config key 'fast_decode' has no effect without size or spacing"]

    def test_crop_max_is_warned_of(self):
        values = {"size": [60, 60], "fast_decode": True, "crop": True, "crop_max": True}
        assert "little effect with fast_decode" in parse_config(values)[1][0]
