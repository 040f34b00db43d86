"""Stored intensity: values after the modality transform, and their background on the way out."""

import math

import numpy as np
import pytest

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.decode.stage import decode
from dicom_preprocessing.errors import ConfigError
from dicom_preprocessing.imaging.crop import crop
from dicom_preprocessing.imaging.geometry import CropBox, Padding
from dicom_preprocessing.imaging.pad import pad
from dicom_preprocessing.imaging.resize import resize
from dicom_preprocessing.tiff.info import read_info
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import (
    data_set_of,
    functional_groups,
    grey,
    item,
    lut,
    modality_values_of,
    pages_of,
    planes,
    ramp,
    save,
)


def stored(pixels, *, bits_stored=None, **attributes):
    """Values and background of the one row of a frame, as (dtype, values, background)."""
    data_set = data_set_of(pixels, bits_stored=bits_stored, **attributes)
    values, background, _ = modality_values_of(data_set, pixels)
    return str(values.dtype), values[0, 0, :, 0].tolist(), background


def transformed(slope, intercept):
    return {"RescaleSlope": slope, "RescaleIntercept": intercept}


class TestValues:
    def test_hounsfield_units_of_12_bits_are_int16(self):
        pixels = ramp(0, 1000, 4095)
        found = stored(pixels, bits_stored=12, **transformed(1, -1024))
        assert found == ("int16", [-1024, -24, 3071], -1024)

    def test_without_a_transform_they_are_the_stored_values(self):
        assert stored(ramp(7, 65535)) == ("uint16", [7, 65535], 7)

    def test_8_bits_are_not_scaled(self):
        assert stored(ramp(7, 255, dtype=np.uint8)) == ("uint16", [7, 255], 7)

    def test_signed_values_are_int16(self):
        assert stored(ramp(-32768, 5, dtype=np.int16)) == ("int16", [-32768, 5], -32768)

    def test_dtype_is_decided_by_the_header_not_by_the_values(self):
        assert stored(ramp(7, 8), **transformed(1, -1024))[0] == "float32"
        assert stored(ramp(7, 8), bits_stored=15, **transformed(1, -1024))[0] == "int16"

    def test_negative_slope(self):
        found = stored(ramp(0, 255), bits_stored=8, **transformed(-2, 100))
        assert found == ("int16", [100, -410], -410)

    def test_slope_that_is_not_whole_is_float32(self):
        found = stored(ramp(0, 3), bits_stored=8, **transformed(0.5, -1))
        assert found == ("float32", [-1.0, 0.5], -1.0)

    def test_intercept_that_is_not_whole_is_float32(self):
        assert stored(ramp(0, 3), bits_stored=8, **transformed(1, 0.25))[0] == "float32"

    def test_range_that_does_not_fit_is_float32(self):
        found = stored(ramp(0, 3), bits_stored=16, **transformed(2, 0))
        assert found == ("float32", [0.0, 6.0], 0.0)

    def test_32_bits_are_float32(self):
        assert stored(ramp(0, 2**24, dtype=np.uint32)) == ("float32", [0.0, 2.0**24], 0.0)

    def test_few_stored_bits_in_32_are_integers(self):
        assert stored(ramp(0, 9, dtype=np.uint32), bits_stored=12)[0] == "uint16"

    def test_float_data_is_float32(self):
        found = stored(ramp(0.5, -2.25, dtype=np.float64))
        assert found == ("float32", [0.5, -2.25], -2.25)

    def test_single_bits_are_0_and_1(self):
        pixels = ramp(0, 1, dtype=np.uint8)
        found = stored(pixels, BitsAllocated=1, BitsStored=1, HighBit=0)
        assert found == ("uint16", [0, 1], 0)

    def test_modality_lut(self):
        table = lut([100, 200, 300], first=5)
        found = stored(ramp(4, 5, 6, 9), bits_stored=12, ModalityLUTSequence=[table])
        assert found == ("uint16", [100, 100, 200, 300], 100)

    def test_monochrome1_is_not_inverted_and_its_background_is_the_maximum(self):
        found = stored(ramp(1, 9), PhotometricInterpretation="MONOCHROME1")
        assert found == ("uint16", [1, 9], 9)

    def test_windows_do_not_matter(self):
        assert stored(ramp(1, 9), WindowCenter=5, WindowWidth=2)[1] == [1, 9]

    def test_slopes_of_frames_are_their_own(self):
        groups = [
            item(PixelValueTransformationSequence=[item(**transformed(s, 0))]) for s in (1, 2)
        ]
        pixels = np.array([[[3]], [[3]]], np.uint16)
        data_set = functional_groups(data_set_of(pixels, bits_stored=12), frames=groups)
        values, background, _ = modality_values_of(data_set, pixels)
        assert (str(values.dtype), values.ravel().tolist(), background) == ("uint16", [3, 6], 3)

    def test_one_frame_that_needs_float_makes_all_float(self):
        groups = [
            item(PixelValueTransformationSequence=[item(**transformed(s, 0))]) for s in (1, 0.5)
        ]
        pixels = np.array([[[3]], [[3]]], np.uint16)
        data_set = functional_groups(data_set_of(pixels, bits_stored=12), frames=groups)
        values, _, _ = modality_values_of(data_set, pixels)
        assert values.ravel().tolist() == [3.0, 1.5]


class TestBackground:
    def test_is_the_minimum_over_all_frames(self):
        pixels = np.array([[[5, 4]], [[9, 3]]], np.uint16)
        data_set = data_set_of(pixels)
        _, background, _ = modality_values_of(data_set, pixels)
        assert background == 3

    def test_is_the_padding_value_after_the_transform(self):
        pixels = ramp(0, 5, 7)
        found = stored(pixels, bits_stored=12, PixelPaddingValue=5, **transformed(2, -10))
        assert found == ("int16", [-10, 0, 4], 0)

    def test_signed_padding_value_that_was_read_as_unsigned(self):
        pixels = ramp(-2000, 5, dtype=np.int16)
        data_set = data_set_of(pixels)
        data_set.add_new("PixelPaddingValue", "US", 65536 - 2000)
        _, background, _ = modality_values_of(data_set, pixels)
        assert background == -2000

    def test_padding_of_a_frame_with_another_transform_is_background_too(self):
        groups = [
            item(PixelValueTransformationSequence=[item(**transformed(s, -1000))]) for s in (1, 2)
        ]
        pixels = np.array([[[7, 100]], [[7, 100]]], np.uint16)
        data_set = functional_groups(
            data_set_of(pixels, bits_stored=12, PixelPaddingValue=7), frames=groups
        )
        values, background, _ = modality_values_of(data_set, pixels)
        assert (values.ravel().tolist(), background) == ([-993, -900, -993, -800], -993)

    def test_padding_value_that_is_no_number_does_not_count(self):
        pixels = ramp(1, 2, math.nan, dtype=np.float32)
        found = stored(pixels, FloatPixelPaddingValue=math.nan)
        assert found == ("float32", [1.0, 2.0, 1.0], 1.0)

    def test_padding_value_that_no_pixel_can_have_does_not_count(self):
        pixels = ramp(3, 5)
        assert stored(pixels, PixelPaddingValue=40000, **transformed(1, 40000))[2] == 80000.0
        found = stored(pixels, bits_stored=12, PixelPaddingValue=40000, **transformed(1, -1024))
        assert found[2] == 3 - 1024

    def test_takes_the_place_of_values_that_are_no_numbers(self):
        pixels = ramp(math.nan, 2, math.inf, dtype=np.float32)
        data_set = data_set_of(pixels)
        values, background, warnings = modality_values_of(data_set, pixels)
        assert values.ravel().tolist() == [2.0, 2.0, 2.0]
        assert background == 2.0
        (message,) = warnings
        assert message.startswith("values that are not finite numbers are background")

    def test_of_nothing_but_no_numbers_is_zero(self):
        assert stored(ramp(math.nan, dtype=np.float32)) == ("float32", [0.0], 0.0)


AIR = -1024


def hounsfield(*rows, **source_info):
    """A grey image of Hounsfield units whose background is air."""
    return grey(rows, dtype=np.int16, background=AIR, **source_info)


class TestStages:
    def test_crop_looks_for_what_is_not_background(self):
        image = crop(hounsfield([AIR, AIR, 0], [AIR, 40, AIR]))
        assert image.geometry.crop == CropBox(1, 0, 2, 2)

    def test_zero_is_foreground(self):
        assert crop(hounsfield([AIR, 0, AIR])).geometry.crop == CropBox(1, 0, 1, 1)

    def test_largest_component_of_what_is_not_background(self):
        image = hounsfield([0, AIR, 5, 5, 5, AIR, 1])
        assert crop(image, crop_components=True).geometry.crop == CropBox(2, 0, 3, 1)

    def test_component_where_the_background_is_the_highest_value(self):
        image = grey([[9, 9, 5, 9, 1, 1, 9]], dtype=np.uint16, background=9)
        assert crop(image, crop_components=True).geometry.crop == CropBox(4, 0, 2, 1)

    def test_component_is_on_any_of_the_frames(self):
        image = grey([[9, 1, 9, 9]], [[9, 9, 1, 9]], dtype=np.uint16, background=9)
        assert crop(image, crop_components=True).geometry.crop == CropBox(1, 0, 2, 1)

    def test_padding_is_background(self):
        image = pad(hounsfield([0, 40]), size=[4, 1], padding="center")
        assert planes(image) == [[[AIR, 0, 40, AIR]]]

    def test_padding_goes_to_the_side_with_more_background(self):
        image = hounsfield([0, AIR], [0, AIR])
        assert pad(image, size=[3, 2]).geometry.padding == Padding(0, 0, 1, 0)

    def test_values_near_the_background_are_none(self):
        # 100 of 65535 would be 0 in 8 bits.
        image = grey([[100, 7]], dtype=np.uint16, background=7)
        assert pad(image, size=[3, 1]).geometry.padding == Padding(0, 0, 1, 0)

    def test_resampling_clamps_to_the_dtype(self):
        image = hounsfield([-32768] * 4 + [32767] * 4)
        found = planes(resize(image, size=[16, 2], filter="lanczos3"))
        assert np.min(found) == -32768
        assert np.max(found) == 32767

    def test_negative_values_are_rounded_half_away_from_zero(self):
        image = hounsfield([-1, -2])
        assert planes(resize(image, size=[1, 1], filter="triangle")) == [[[-2]]]

    def test_float32_is_not_rounded(self):
        image = grey([[0.5, 1.0]], dtype=np.float32, background=0.0)
        assert planes(resize(image, size=[1, 1], filter="triangle")) == [[[0.75]]]


@pytest.fixture
def ct(tmp_path):
    """A CT slice of 12 bits with slope 1 and intercept -1024, in MONOCHROME1."""
    pixels = np.array([[[0, 0, 0], [0, 1024, 4095]]], np.uint16)
    data_set = data_set_of(
        pixels, bits_stored=12, PhotometricInterpretation="MONOCHROME1", **transformed(1, -1024)
    )
    return save(tmp_path / "ct.dcm", data_set)


class TestFromFileToTiff:
    @pytest.mark.parametrize("compressor", ["packbits", "lzw", "uncompressed", "deflate", "zstd"])
    def test_values_come_back_from_the_tiff(self, ct, tmp_path, compressor):
        config, _ = parse_config({"intensity": "stored", "compressor": compressor})
        image = decode(ct, intensity="stored")
        path = tmp_path / "ct.tiff"
        write_tiff(path, image, compressor=compressor, recipe=make_recipe(config, "write"))
        frames = pages_of(path)
        assert (frames.dtype, frames[0, 1, :, 0].tolist()) == (np.int16, [-1024, 0, 3071])
        assert read_info(path).dtype == "int16"

    def test_polarity_and_background_are_recorded(self, ct):
        source_info = decode(ct, intensity="stored").source_info
        assert (source_info.photometric_interpretation, source_info.background) == (
            "MONOCHROME1",
            3071,
        )

    def test_colour_is_as_without(self, tmp_path):
        pixels = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.uint8)
        path = save(tmp_path / "rgb.dcm", data_set_of(pixels))
        image = decode(path, intensity="stored")
        assert image.source_info.background is None
        assert np.array_equal(image.frames, pixels)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"crop": True, "crop_max": True}, "config keys 'intensity' and 'crop_max'"),
        ({"volume": "laplacian-mip"}, "laplacian-mip"),
    ],
)
def test_what_needs_display_values_is_refused(keys, message):
    with pytest.raises(ConfigError, match=message):
        parse_config({"intensity": "stored"} | keys)


def test_window_has_no_effect():
    _, warnings = parse_config({"intensity": "stored", "window": [40, 400]})
    assert warnings == ["config key 'window' has no effect without intensity: voi"]
