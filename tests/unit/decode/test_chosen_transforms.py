"""Which modality and which VOI transform counts for each frame, by descriptions written by hand."""

import math
import re

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


def modality_and_warnings(**values):
    description, warnings = description_of(**values), ImageWarnings()
    return modality_of_frames(description, layout_of(description), warnings), list(warnings)


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
        broken = LutAttributes(attribute("LUTDescriptor", 2, 0, 8))
        with pytest.raises(UnsupportedPixelsError, match="the Modality LUT has no descriptor or"):
            modality(modality_lut=broken)

    def test_empty_table_is_ignored_and_reported(self):
        found, (warning,) = modality_and_warnings(modality_lut=LutAttributes())
        assert (found, warning.code) == ([Rescale()], "lut_unusable")

    def test_rescale_takes_the_place_of_a_table_that_cannot_be_used(self):
        broken = LutAttributes(attribute("LUTDescriptor", 2, 0, 8))
        found, (warning,) = modality_and_warnings(modality_lut=broken, rescale_slope=2)
        assert (found, warning.code) == ([Rescale(2.0)], "lut_unusable")

    def test_table_and_rescale_of_other_values_are_reported(self):
        _, (warning,) = modality_and_warnings(modality_lut=table(5, 6), rescale_slope=2)
        assert warning.code == "transforms_contradict"
        assert warning.message.startswith("ModalityLUTSequence and rescale are different")

    def test_table_and_rescale_of_the_same_values_are_not_reported(self):
        _, warnings = modality_and_warnings(
            modality_lut=table(5, 7, 9), rescale_slope=2, rescale_intercept=5
        )
        assert warnings == []

    def test_rescale_of_a_frame_goes_before_the_table(self):
        frames = (groups(rescale_slope=2), groups())
        found, warnings = modality_and_warnings(
            number_of_frames=2, modality_lut=table(5, 6), frames=frames
        )
        assert found[0] == Rescale(2.0)
        assert found[1](np.array([1.0])) == [6.0]
        assert "transforms_contradict" in [w.code for w in warnings]

    @pytest.mark.parametrize("other", [{}, {"rescale_slope": 1, "rescale_intercept": 0}])
    def test_dose_grid_scaling_is_a_slope(self, other):
        found = modality_and_warnings(dose_grid_scaling="1e-05", **other)
        assert found == ([Rescale(1e-05)], [])

    def test_dose_grid_scaling_goes_before_another_rescale_which_is_reported(self):
        found, (warning,) = modality_and_warnings(dose_grid_scaling=2, rescale_slope=3)
        assert (found, warning.code) == ([Rescale(2.0)], "transforms_contradict")

    def test_dose_grid_scaling_that_is_no_number_is_an_error(self):
        with pytest.raises(MissingAttributeError, match="Dose Grid Scaling is not a number"):
            modality(dose_grid_scaling="x")

    @pytest.mark.parametrize("level", ["top", "shared", "frame"])
    def test_slope_zero_counts_as_one_at_every_level(self, level):
        fields = {"rescale_slope": 0, "rescale_intercept": -5}
        values = {
            "top": fields,
            "shared": {"shared": groups(**fields)},
            "frame": {"frames": (groups(**fields),)},
        }[level]
        found, (warning,) = modality_and_warnings(**values)
        assert (found, warning.code) == ([Rescale(1.0, -5.0)], "rescale_slope_zero")

    def test_several_items_of_the_macro_are_reported(self):
        frames = (groups(rescale_slope=2, rescale_items=2),)
        found, (warning,) = modality_and_warnings(frames=frames)
        assert (found, warning.code) == ([Rescale(2.0)], "transforms_contradict")

    @pytest.mark.parametrize(("types", "differ"), [(("HU", "US"), True), (("HU", "hu "), False)])
    def test_rescale_types_that_differ_are_reported(self, types, differ):
        frames = tuple(groups(rescale_slope=1, rescale_type=one) for one in types)
        _, warnings = modality_and_warnings(number_of_frames=2, frames=frames)
        codes = [warning.code for warning in warnings]
        assert codes == (["rescale_types_differ"] if differ else [])

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
        found, _ = shown([0, 1, 2], voi_luts=(table(7, 8, 9),), **WIDE)
        assert found == [[7, 8, 9]]

    def test_windows_go_before_minimum_and_maximum(self):
        assert shown([10, 20], **WIDE)[0] == [[10, 20]]

    def test_minimum_and_maximum_without_any(self):
        assert shown([10, 20]) == ([[0, 255]], [])

    @pytest.mark.parametrize(("center", "width"), [(5, 0), (math.nan, 9), ("x", 9), (5, "x")])
    def test_unusable_window_is_ignored_and_reported(self, center, width):
        found, (message,) = shown([10, 20], window_center=center, window_width=width)
        assert found == [[0, 255]]
        assert re.match(
            r"window of center (5|no number) and width (0|9|no number) cannot be used", message
        )

    def test_next_window_that_is_usable_counts(self):
        found = shown([0, 100], window_center=(5, 128), window_width=(0, 256))
        message = "window of center 5 and width 0 cannot be used: ignored"
        assert found == ([[0, 100]], [message])

    def test_unusable_table_is_ignored_and_reported(self):
        found = shown([0, 100], voi_luts=(LutAttributes(),), **WIDE)
        message = "the VOI LUT has no descriptor or no data; it was ignored"
        assert found == ([[0, 100]], [message])

    def test_next_table_that_is_usable_counts(self):
        found, (message,) = shown([0, 1], voi_luts=(LutAttributes(), table(7, 200)), **WIDE)
        assert (found, message.startswith("the VOI LUT has no")) == ([[7, 200]], True)

    @pytest.mark.parametrize(
        "unusable", [{"voi_luts": (LutAttributes(),)}, WIDE | {"window_width": 0}]
    )
    def test_unusable_one_of_a_frame_leaves_it_to_the_next_level(self, unusable):
        found, messages = shown([0, 100], frames=(groups(**unusable),), shared=groups(**WIDE))
        assert (found, len(messages)) == ([[0, 100]], 1)

    def test_window_of_a_frame_goes_before_a_table_at_the_top_level(self):
        found, _ = shown([0, 100], voi_luts=(table(7, 8),), frames=(groups(**WIDE),))
        assert found == [[0, 100]]

    def test_half_a_window_is_ignored_and_reported(self):
        found, (message,) = shown([10, 20], window_center=5)
        assert (found, "width no number" in message) == ([[0, 255]], True)

    @pytest.mark.parametrize("function", ["LINEAR", "UNKNOWN", None])
    def test_window_narrower_than_one_is_exact_and_reported(self, function):
        found, (message,) = shown(
            [9, 10, 11], window_center=10, window_width=0.5, voi_lut_function=function
        )
        assert found == [[0, 127, 255]]
        assert message.startswith("window of center 10 and width 0.5 is narrower than 1")

    def test_window_of_width_one_is_linear(self):
        assert shown([9, 10, 11], window_center=10, window_width=1) == ([[0, 0, 255]], [])

    @pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID"])
    def test_narrow_window_of_other_functions_is_sound(self, function):
        _, messages = shown([9, 10], window_center=10, window_width=0.5, voi_lut_function=function)
        assert messages == []

    def test_windows_of_many_frames_are_one_warning(self):
        frames = tuple(groups(window_center=c, window_width=0) for c in (1, 2, 3))
        _, messages = shown([0], [1], [2], frames=frames)
        assert (
            messages[0] == "window of center 1 and width 0 (and 2 others) cannot be used: ignored"
        )

    def test_second_window_does_not_count(self):
        found = shown([0, 100], window_center=(128, 5), window_width=(256, 1))
        assert found == ([[0, 100]], [])

    def test_window_that_is_set_goes_before_all(self):
        found, _ = shown([0, 100], voi_luts=(table(7, 8),), window=(128, 256), **WIDE)
        assert found == [[0, 100]]

    def test_minmax_that_is_set_goes_before_all(self):
        found, _ = shown([10, 20], intensity="minmax", voi_luts=(table(7, 8),), **WIDE)
        assert found == [[0, 255]]

    def test_each_frame_chooses_for_itself(self):
        frames = (groups(voi_luts=(table(7, 8),)), groups(**WIDE))
        assert shown([0, 1], [0, 100], frames=frames)[0] == [[7, 8], [0, 100]]

    def test_table_of_the_shared_group_goes_before_windows_at_the_top_level(self):
        found, _ = shown([0, 1], shared=groups(voi_luts=(table(7, 8),)), **WIDE)
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
            ({"voi_luts": (table(7, 8),)}, False),
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
