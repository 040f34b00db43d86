"""Which modality and which VOI transform counts for each frame, by descriptions written by hand."""

import math

import numpy as np
import pytest

from dicom_preprocessing.decode.modality import (
    modality_dtype,
    modality_of_frames,
)
from dicom_preprocessing.decode.padding import pixel_padding
from dicom_preprocessing.decode.pixel_format import read_pixel_format
from dicom_preprocessing.decode.values import is_relative, make_display_values
from dicom_preprocessing.dicom.attribute import Attribute
from dicom_preprocessing.dicom.description import LutAttributes, PixelPadding, Rescale
from dicom_preprocessing.errors import MissingAttributeError, UnsupportedPixelsError
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.descriptions import attribute, description_of, groups, table

WIDE = {"window_center": 128, "window_width": 256}
"""Shows 8 bits as they are."""

TRANSFORMATION = "PixelValueTransformationSequence"


def layout_of(description, keyword="PixelData"):
    return read_pixel_format(description, keyword, ImageWarnings())


def modality(**values):
    description = description_of(**values)
    return modality_of_frames(description, layout_of(description), ImageWarnings())


def shown(*frames, intensity="voi", window=None, **values):
    """Display values of frames of a row of 8 bits, and the warnings."""
    description = description_of(number_of_frames=len(frames), columns=len(frames[0]), **values)
    stored = np.array(frames, np.uint8)[:, np.newaxis, :, np.newaxis]
    warnings = ImageWarnings()
    found, lookup = make_display_values(
        description, stored, layout_of(description), warnings, intensity=intensity, window=window
    )
    rows = np.asarray(found if lookup is None else lookup(found))[:, 0, :, 0]
    return rows.tolist(), [warning.message for warning in warnings]


class TestModality:
    def test_without_any_it_is_neutral(self):
        assert modality() == [Rescale(1.0, 0.0)]

    def test_rescale_counts_for_every_frame(self):
        found = modality(number_of_frames=2, rescale_slope=2, rescale_intercept=-5)
        assert found == [Rescale(2.0, -5.0)] * 2

    def test_frames_have_their_own(self):
        frames = (groups(rescale_slope=2), groups(rescale_intercept=3))
        assert modality(number_of_frames=2, frames=frames) == [Rescale(2, 0), Rescale(1, 3)]

    def test_frames_without_one_are_neutral(self):
        found = modality(number_of_frames=2, frames=(groups(rescale_slope=2),))
        assert found == [Rescale(2.0), Rescale()]

    def test_table_goes_before_rescale(self):
        (found,) = modality(modality_lut=table(5, 6, 7), rescale_slope=2)
        assert found(np.array([0.0, 1.0, 9.0])).tolist() == [5.0, 6.0, 7.0]

    def test_table_is_one_for_all_frames(self):
        first, second = modality(number_of_frames=2, modality_lut=table(5, 6))
        assert first is second

    def test_rescale_that_is_no_number_does_not_matter_beside_a_table(self):
        assert len(modality(modality_lut=table(5, 6), rescale_slope="x")) == 1

    def test_table_that_cannot_be_used_is_an_error(self):
        with pytest.raises(UnsupportedPixelsError, match="without descriptor or without data"):
            modality(modality_lut=LutAttributes(), rescale_slope=2)

    @pytest.mark.parametrize("field", ["rescale_slope", "rescale_intercept"])
    @pytest.mark.parametrize("value", ["1,0", math.nan, math.inf, b"\xff"])
    def test_rescale_that_is_no_number_is_an_error(self, field, value):
        with pytest.raises(MissingAttributeError, match="is not a number"):
            modality(**{field: value})

    def test_bytes_that_do_not_convert_are_no_number(self):
        with pytest.raises(MissingAttributeError, match="is not a number"):
            modality(rescale_slope=Attribute("RescaleSlope", raw=b"\xff\xfe"))

    def test_rescale_of_some_frame_that_is_no_number_is_an_error(self):
        frames = (groups(rescale_slope=2), groups(rescale_slope="x"))
        with pytest.raises(MissingAttributeError, match="is not a number"):
            modality(number_of_frames=2, frames=frames)

    def test_frames_with_and_without_a_macro_are_reported(self):
        frames = (groups(macros=[TRANSFORMATION], rescale_slope=2), groups())
        description = description_of(number_of_frames=2, frames=frames)
        warnings = ImageWarnings()
        modality_of_frames(description, layout_of(description), warnings)
        (warning,) = warnings
        assert warning.code == "rescale_missing_in_frames"
        assert warning.message.startswith("frames without a rescale are taken as they are")

    @pytest.mark.parametrize(
        ("rescale", "dtype"),
        [
            (Rescale(1.0, -1024.0), np.int16),
            (Rescale(2.0, 0.0), np.uint16),
            (Rescale(0.5, 0.0), np.float32),
            (Rescale(1.0, 1e9), np.float32),
        ],
    )
    def test_dtype_holds_all_possible_values(self, rescale, dtype):
        pixel_format = layout_of(description_of())
        assert modality_dtype([rescale], pixel_format) == dtype


class TestPadding:
    def found(self, keyword="PixelData", bits=8, signed=0, **paddings):
        description = description_of(
            bits_allocated=bits, bits_stored=bits, pixel_representation=signed, **paddings
        )
        return pixel_padding(description, layout_of(description, keyword))

    @pytest.mark.parametrize(
        ("keyword", "bits", "field"),
        [
            ("PixelData", 8, "pixel_padding"),
            ("FloatPixelData", 32, "float_pixel_padding"),
            ("DoubleFloatPixelData", 64, "double_float_pixel_padding"),
        ],
    )
    def test_is_that_of_its_kind_of_pixel_data(self, keyword, bits, field):
        fields = ("pixel_padding", "float_pixel_padding", "double_float_pixel_padding")
        paddings = {f: PixelPadding(attribute("Value", 1 if f == field else 2)) for f in fields}
        assert self.found(keyword, bits, **paddings) == (1.0, 1.0)

    def test_goes_up_to_its_limit(self):
        padding = PixelPadding(attribute("Value", 1), attribute("Limit", 3))
        assert self.found(pixel_padding=padding) == (1.0, 3.0)

    @pytest.mark.parametrize("value", [math.nan, math.inf, "x", b"\xff"])
    def test_that_is_no_number_is_none(self, value):
        assert self.found(pixel_padding=PixelPadding(attribute("Value", value))) is None

    def test_limit_that_is_no_number_does_not_count(self):
        padding = PixelPadding(attribute("Value", 1), attribute("Limit", "x"))
        assert self.found(pixel_padding=padding) == (1.0, 1.0)

    @pytest.mark.parametrize(("signed", "value", "expected"), [(1, 200, -56), (0, -56, 200)])
    def test_takes_the_sign_of_the_pixels(self, signed, value, expected):
        padding = PixelPadding(attribute("Value", value))
        assert self.found(signed=signed, pixel_padding=padding) == (expected, expected)


class TestVoi:
    def test_window(self):
        assert shown([0, 100, 255], **WIDE) == ([[0, 100, 255]], [])

    def test_table_goes_before_windows(self):
        found, _ = shown([0, 1, 2], voi_lut=table(7, 8, 9), **WIDE)
        assert found == [[7, 8, 9]]

    def test_windows_go_before_minimum_and_maximum(self):
        assert shown([10, 20], **WIDE)[0] == [[10, 20]]

    def test_minimum_and_maximum_without_any(self):
        assert shown([10, 20]) == ([[0, 255]], [])

    @pytest.mark.parametrize(("center", "width"), [(5, 0), (math.nan, 9), ("x", 9), (5, "x")])
    def test_unusable_window_is_ignored_and_reported(self, center, width):
        found = shown([10, 20], window_center=center, window_width=width)
        assert found == ([[0, 255]], ["an unusable window was ignored"])

    def test_next_window_that_is_usable_counts(self):
        found = shown([0, 100], window_center=(5, 128), window_width=(0, 256))
        assert found == ([[0, 100]], ["an unusable window was ignored"])

    def test_second_window_does_not_count(self):
        found = shown([0, 100], window_center=(128, 5), window_width=(256, 1))
        assert found == ([[0, 100]], [])

    def test_window_that_is_set_goes_before_all(self):
        found, _ = shown([0, 100], voi_lut=table(7, 8), window=(128, 256), **WIDE)
        assert found == [[0, 100]]

    def test_minmax_that_is_set_goes_before_all(self):
        found, _ = shown([10, 20], intensity="minmax", voi_lut=table(7, 8), **WIDE)
        assert found == [[0, 255]]

    def test_each_frame_chooses_for_itself(self):
        frames = (groups(voi_lut=table(7, 8)), groups(**WIDE))
        assert shown([0, 1], [0, 100], frames=frames)[0] == [[7, 8], [0, 100]]

    def test_table_of_the_shared_group_goes_before_windows_at_the_top_level(self):
        found, _ = shown([0, 1], shared=groups(voi_lut=table(7, 8)), **WIDE)
        assert found == [[7, 8]]

    def test_frame_without_any_has_minimum_to_maximum_of_all_and_is_reported(self):
        found = shown([0, 100], [20, 10], frames=(groups(**WIDE), groups()))
        warning = "frames without a usable window use minimum to maximum"
        # LINEAR over 101 steps: ((20 - 49.5) / 100 + 0.5) * 255 and ((10 - 49.5) / 100 + 0.5) * 255
        assert found == ([[0, 100], [52, 26]], [warning])

    def test_polarity_comes_last(self):
        found, _ = shown([0, 100], photometric_interpretation="MONOCHROME1", **WIDE)
        assert found == [[255, 155]]


class TestRelative:
    """Whether the background is the lowest value of the pixels."""

    def relative(self, intensity="voi", window=None, **values):
        description = description_of(**values)
        return is_relative(description, layout_of(description), intensity, window)

    @pytest.mark.parametrize(
        ("values", "relative"),
        [
            ({}, True),
            (WIDE, False),
            ({"voi_lut": table(7, 8)}, False),
            (WIDE | {"intensity": "minmax"}, True),
            ({"window": (1, 2)}, False),
            (WIDE | {"intensity": "stored"}, True),
            (
                {"intensity": "stored", "pixel_padding": PixelPadding(attribute("Value", 0))},
                False,
            ),
            ({"samples_per_pixel": 3, "photometric_interpretation": "RGB"}, False),
            (WIDE | {"window_width": 0}, True),
        ],
    )
    def test_is_where_no_header_tells_it(self, values, relative):
        assert self.relative(**values) is relative
