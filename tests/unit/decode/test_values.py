"""From stored to display values, by numbers worked out from PS3.3 C.11."""

import math
import struct

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicom_preprocessing.decode.values import linear, linear_exact, sigmoid
from dicom_preprocessing.dicom.description import Window
from dicom_preprocessing.errors import UnsupportedPixelsError
from tests.unit.datasets import data_set_of, display_values, format_of, item, lut, ramp

PASSED_OVER = "window of center 100 and width 0 cannot be used: ignored"
EXAMPLE = [0, 1, 2, 3, 1000, 2047, 2048, 4095]
EXAMPLE_SHOWN = [0, 16, 32, 48, 16003, 32759, 32775, 65535]
SMALL = [0, 94, 95, 96, 100, 104, 105, 255]  # with center 100, width 11 in 8 bits
SMALL_SHOWN = [0, 0, 0, 38, 140, 242, 255, 255]  # 0.15, 0.55 and 0.95 of 255, truncated


def display(pixels, *, bits_stored=None, intensity="voi", window=None, **attributes):
    """Display values (n_frames, rows, columns) of stored ones, and the warnings."""
    data_set = data_set_of(pixels, bits_stored=bits_stored, **attributes)
    pixel_format = format_of(data_set)
    stored = pixels[..., np.newaxis]
    values, warnings = display_values(
        data_set, stored, pixel_format, intensity=intensity, window=window
    )
    return values[..., 0], warnings


def shown(pixels, **settings):
    """Display values of the one row of each frame; a single frame without its list."""
    values, _ = display(pixels, **settings)
    rows = values[:, 0].tolist()
    return rows if len(rows) > 1 else rows[0]


def warnings_of(pixels, **settings):
    return display(pixels, **settings)[1]


def frames(*rows, dtype=np.uint16):
    """Frames of one row each."""
    return np.array([[row] for row in rows], dtype)


def byte(*values):
    return ramp(*values, dtype=np.uint8)


class TestLinear:
    def test_lowest_value_is_zero_and_the_next_already_is_not(self):
        pixels = ramp(*EXAMPLE)
        settings = {"WindowCenter": 2048, "WindowWidth": 4096}
        assert shown(pixels, bits_stored=12, **settings) == EXAMPLE_SHOWN

    def test_signed_values(self):
        pixels = ramp(*(v - 2048 for v in EXAMPLE), dtype=np.int16)
        settings = {"WindowCenter": 0, "WindowWidth": 4096}
        assert shown(pixels, bits_stored=12, **settings) == EXAMPLE_SHOWN

    def test_slope_and_intercept_come_first(self):
        pixels = ramp(*EXAMPLE)
        # v = 2 x - 100; (v - 3995.5) / 8190 + 0.5 is (2 x - 0.5) / 8190, the lowest value is 0
        settings = {"WindowCenter": 3996, "WindowWidth": 8191}
        settings |= {"RescaleSlope": 2, "RescaleIntercept": -100}
        expected = [0, *(int((2 * x - 0.5) / 8190 * 65535) for x in EXAMPLE[1:])]
        assert shown(pixels, bits_stored=12, **settings) == expected

    def test_8_bit_bounds(self):
        assert shown(byte(*SMALL), WindowCenter=100, WindowWidth=11) == SMALL_SHOWN

    def test_fractional_center_moves_the_bounds(self):
        # low is 99.75 - 5 = 94.75, high 99.25 + 5 = 104.25; 95 is (95 - 99.25) / 10 + 0.5 = 0.075
        found = shown(byte(94, 95, 104, 105), WindowCenter=99.75, WindowWidth=11)
        assert found == [0, 19, 248, 255]

    def test_width_one_is_a_step_above_the_center(self):
        found = shown(byte(0, 99, 100, 101, 255), WindowCenter=100, WindowWidth=1)
        assert found == [0, 0, 0, 255, 255]

    def test_width_two_is_a_step_at_the_center(self):
        found = shown(byte(98, 99, 100, 101), WindowCenter=100, WindowWidth=2)
        assert found == [0, 0, 255, 255]

    def test_lower_bound_is_inclusive_and_upper_exclusive(self):
        values = np.array([95.0, 95.001, 104.5, 104.501])
        found = linear(values, Window(100, 11), 255)
        assert (found[0], found[3]) == (0, 255)
        assert found[1] == pytest.approx((95.001 - 99.5) / 10 * 255 + 127.5)
        assert found[2] == pytest.approx(255)

    def test_function_is_linear_when_absent_or_unknown(self):
        settings = {"WindowCenter": 100, "WindowWidth": 11, "VOILUTFunction": "CUBIC"}
        assert shown(byte(*SMALL), **settings) == SMALL_SHOWN


class TestLinearExact:
    def test_12_bit_values(self):
        pixels = ramp(0, 1, 2048, 4095)
        settings = {"WindowCenter": 2048, "WindowWidth": 4096, "VOILUTFunction": "LINEAR_EXACT"}
        # x / 4096 of 65535
        assert shown(pixels, bits_stored=12, **settings) == [0, 15, 32767, 65519]

    def test_bounds_are_half_the_width_off_the_center(self):
        values = np.array([94.9, 95.0, 100.0, 105.0, 105.1])
        found = linear_exact(values, Window(100, 10, "LINEAR_EXACT"), 255)
        assert found.tolist() == [0, 0, 127.5, 255, 255]

    def test_width_below_one_is_usable(self):
        settings = {"WindowCenter": 100, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"}
        assert shown(byte(99, 100, 101), **settings) == [0, 127, 255]


class TestSigmoid:
    def test_8_bit_values(self):
        settings = {"WindowCenter": 100, "WindowWidth": 40, "VOILUTFunction": "SIGMOID"}
        expected = [int(255 / (1 + math.exp(-4 * (v - 100) / 40))) for v in (60, 90, 110, 140)]
        assert expected == [4, 68, 186, 250]
        assert shown(byte(60, 90, 100, 110, 140), **settings) == [4, 68, 127, 186, 250]

    def test_far_from_the_center_it_ends_at_zero_and_the_top(self):
        found = sigmoid(np.array([-1e9, 1e9]), Window(0, 1, "SIGMOID"), 65535)
        assert found.tolist() == [0, 65535]

    @pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
    def test_function_may_be_in_lower_case(self):
        settings = {"WindowCenter": 100, "WindowWidth": 40, "VOILUTFunction": "sigmoid"}
        assert shown(byte(90, 110), **settings) == [68, 186]


class TestChoiceOfWindow:
    def test_first_of_several_is_used(self):
        settings = {"WindowCenter": [100, 10], "WindowWidth": [11, 300]}
        assert shown(byte(*SMALL), **settings) == SMALL_SHOWN
        assert warnings_of(byte(*SMALL), **settings) == []

    @pytest.mark.parametrize("width", [0, -0.5, -11])
    def test_without_a_width_it_is_passed_over(self, width):
        settings = {"WindowCenter": [100, 100], "WindowWidth": [width, 11]}
        assert shown(byte(*SMALL), **settings) == SMALL_SHOWN

    def test_passing_over_warns(self):
        settings = {"WindowCenter": [100, 100], "WindowWidth": [0, 11]}
        assert warnings_of(byte(*SMALL), **settings) == [PASSED_OVER]

    def test_zero_width_is_unusable_for_the_other_functions(self):
        settings = {"WindowCenter": [7, 100], "WindowWidth": [0, 40], "VOILUTFunction": "SIGMOID"}
        assert shown(byte(90, 110), **settings) == [68, 186]

    @pytest.mark.parametrize(
        ("center", "width"), [(math.nan, 11), (100, math.nan), (math.inf, 11), (100, math.inf)]
    )
    def test_numbers_that_are_not_finite_are_unusable(self, center, width):
        assert not Window(center, width).is_usable

    def test_without_a_usable_window_it_is_minimum_to_maximum(self):
        settings = {"WindowCenter": 100, "WindowWidth": 0}
        assert shown(byte(0, 1, 2, 3, 4), **settings) == [0, 95, 159, 223, 255]
        assert warnings_of(byte(0, 1, 2, 3, 4), **settings) == [PASSED_OVER]

    def test_without_window_it_is_minimum_to_maximum_and_no_warning(self):
        assert shown(byte(0, 1, 2, 3, 4)) == [0, 95, 159, 223, 255]
        assert warnings_of(byte(0, 1, 2, 3, 4)) == []

    def test_center_without_width_is_no_window(self):
        assert shown(byte(0, 1, 2, 3, 4), WindowCenter=2) == [0, 95, 159, 223, 255]

    @pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
    @pytest.mark.parametrize("text", [b"nan", b"abc"])
    def test_window_that_is_not_a_number_is_passed_over(self, text):
        pixels = byte(*SMALL)
        data_set = data_set_of(pixels)
        raw(data_set, "WindowCenter", text + b"\\100")
        raw(data_set, "WindowWidth", b"11\\11")
        stored = pixels[..., np.newaxis]
        values, warnings = display_values(data_set, stored, format_of(data_set))
        message = "window of center no number and width 11 cannot be used: ignored"
        assert (values.ravel().tolist(), warnings) == (SMALL_SHOWN, [message])


def raw(data_set, keyword, value):
    """An element as it was read from a file, not converted yet."""
    tag = Tag(keyword)
    data_set[tag] = RawDataElement(tag, "DS", len(value), value, 0, False, True)


class TestConfiguredWindow:
    def test_takes_the_place_of_the_objects_window(self):
        settings = {"WindowCenter": 7, "WindowWidth": 3}
        assert shown(byte(*SMALL), window=(100, 11), **settings) == SMALL_SHOWN

    def test_comes_before_the_voi_lut(self):
        settings = {"VOILUTSequence": [lut([9], bits=8)]}
        assert shown(byte(*SMALL), window=(100, 11), **settings) == SMALL_SHOWN

    def test_uses_the_objects_function(self):
        assert shown(byte(90, 110), window=(100, 40), VOILUTFunction="SIGMOID") == [68, 186]

    def test_uses_the_function_of_the_functional_group(self):
        group = item(FrameVOILUTSequence=[item(VOILUTFunction="SIGMOID")])
        found = shown(byte(90, 110), window=(100, 40), SharedFunctionalGroupsSequence=[group])
        assert found == [68, 186]

    def test_is_in_modality_values(self):
        found = shown(byte(*SMALL), window=(-900, 11), RescaleSlope=1, RescaleIntercept=-1000)
        assert found == SMALL_SHOWN

    def test_linear_width_is_at_least_one(self):
        assert shown(byte(99, 100, 101), window=(100, 0.25)) == [0, 0, 255]

    def test_has_no_effect_on_minmax(self):
        found = shown(byte(0, 1, 2, 3, 4), window=(100, 11), intensity="minmax")
        assert found == [0, 95, 159, 223, 255]


WIDE = {"WindowCenter": 100, "WindowWidth": 11}


class TestModality:
    def test_slope_alone_has_intercept_zero(self):
        assert shown(byte(47, 50, 52), RescaleSlope=2, **WIDE) == [0, 140, 242]

    def test_intercept_alone_has_slope_one(self):
        found = shown(byte(0, 1, 9), RescaleIntercept=95, **WIDE)
        assert found == [0, 38, 242]

    def test_lut_gives_the_values_of_the_window(self):
        table = lut([95, 96, 100, 104], first=10)
        found = shown(byte(10, 11, 12, 13), ModalityLUTSequence=[table], **WIDE)
        assert found == [0, 38, 140, 242]

    def test_lut_comes_before_slope_and_intercept(self):
        table = lut([95, 100], first=0)
        settings = {"RescaleSlope": 3, "RescaleIntercept": 7, **WIDE}
        assert shown(byte(0, 1), ModalityLUTSequence=[table], **settings) == [0, 140]

    def test_values_outside_of_the_lut_take_its_ends(self):
        table = lut([96, 100, 104], first=10)
        found = shown(byte(0, 9, 10, 12, 13, 255), ModalityLUTSequence=[table], **WIDE)
        assert found == [38, 38, 38, 242, 242, 242]

    def test_8_bit_lut_is_not_scaled(self):
        table = lut([96, 104], bits=8)
        assert shown(byte(0, 1), ModalityLUTSequence=[table], **WIDE) == [38, 242]

    def test_first_value_of_signed_pixels_is_signed(self):
        table = lut([96, 100, 104], first=65535)  # -1 as US
        pixels = ramp(-1, 0, 1, dtype=np.int8)
        assert shown(pixels, ModalityLUTSequence=[table], **WIDE) == [38, 140, 242]

    def test_lut_without_descriptor_is_an_error(self):
        broken = lut([1, 2])
        del broken.LUTDescriptor
        with pytest.raises(UnsupportedPixelsError, match="has no descriptor or no data"):
            shown(byte(0, 1), ModalityLUTSequence=[broken], **WIDE)

    def test_lut_without_data_is_an_error(self):
        broken = lut([1, 2])
        del broken.LUTData
        with pytest.raises(UnsupportedPixelsError, match="has no descriptor or no data"):
            shown(byte(0, 1), ModalityLUTSequence=[broken], **WIDE)


class TestVoiLut:
    def test_8_bit_entries_are_shown_as_they_are_in_8_bits(self):
        table = lut([0, 10, 100, 255], bits=8)
        assert shown(byte(0, 1, 2, 3), VOILUTSequence=[table]) == [0, 10, 100, 255]

    def test_8_bit_entries_are_spread_over_16_bits(self):
        table = lut([0, 10, 100, 255], bits=8)
        found = shown(ramp(0, 1, 2, 3), bits_stored=12, VOILUTSequence=[table])
        assert found == [0, 2570, 25700, 65535]

    def test_16_bit_entries_are_truncated_to_8_bits(self):
        # e * 255 / 65535 is e / 257
        table = lut([256, 257, 32768, 65534, 65535])
        found = shown(byte(0, 1, 2, 3, 4), VOILUTSequence=[table])
        assert found == [0, 1, 127, 254, 255]

    def test_12_bit_entries_are_spread_over_16_bits(self):
        # 2048 * 65535 / 4095 = 32775.5
        table = lut([0, 1, 2048, 4095], bits=12)
        found = shown(ramp(0, 1, 2, 3), bits_stored=12, VOILUTSequence=[table])
        assert found == [0, 16, 32775, 65535]

    def test_bits_are_raised_to_what_the_entries_need(self):
        table = lut([0, 1, 2048, 4095], bits=8)
        found = shown(ramp(0, 1, 2, 3), bits_stored=12, VOILUTSequence=[table])
        assert found == [0, 16, 32775, 65535]

    def test_bits_out_of_range_count_as_16(self):
        table = lut([0, 257, 65535], bits=0)
        assert shown(byte(0, 1, 2), VOILUTSequence=[table]) == [0, 1, 255]

    def test_packed_8_bit_entries(self):
        table = lut(bytes([0, 10, 100, 255]), bits=8)
        assert shown(byte(0, 1, 2, 3), VOILUTSequence=[table]) == [0, 10, 100, 255]

    def test_odd_number_of_packed_8_bit_entries_ignores_the_padding(self):
        table = lut(bytes([5, 10, 100, 0]), bits=8, count=3)
        assert shown(byte(0, 1, 2, 3), VOILUTSequence=[table]) == [5, 10, 100, 100]

    def test_16_bit_entries_as_words(self):
        table = lut(struct.pack("<3H", 257, 514, 65535), count=3)
        assert shown(byte(0, 1, 2), VOILUTSequence=[table]) == [1, 2, 255]

    def test_number_of_entries_zero_means_65536(self):
        table = lut(np.arange(65535, -1, -1).astype("<u2").tobytes(), count=0)
        found = shown(ramp(0, 1, 40000, 65535), VOILUTSequence=[table])
        assert found == [65535, 65534, 25535, 0]

    def test_values_outside_take_the_ends(self):
        table = lut([5, 6, 7], first=100, bits=8)
        assert shown(byte(0, 100, 101, 102, 103, 255), VOILUTSequence=[table]) == [
            5,
            5,
            6,
            7,
            7,
            7,
        ]

    def test_values_are_rounded_to_the_next_entry(self):
        # 0, 0.5, 1, 1.5, 2
        table = lut([5, 6, 7], bits=8)
        found = shown(byte(0, 1, 2, 3, 4), RescaleSlope=0.5, VOILUTSequence=[table])
        assert found == [5, 6, 6, 7, 7]

    def test_first_value_of_signed_pixels_is_signed(self):
        table = lut([5, 6, 7], first=65534, bits=8)  # -2 as US
        pixels = ramp(-3, -2, -1, 0, dtype=np.int8)
        assert shown(pixels, VOILUTSequence=[table]) == [5, 5, 6, 7]

    def test_first_value_of_unsigned_pixels_is_unsigned(self):
        table = lut([500, 600, 700], first=40000)
        found = shown(ramp(39999, 40000, 40001, 40002), VOILUTSequence=[table])
        assert found == [500, 500, 600, 700]

    def test_first_value_stored_as_signed_is_unsigned_for_unsigned_pixels(self):
        table = lut([500, 600, 700], first=40000 - 65536)
        found = shown(ramp(39999, 40000, 40001, 40002), VOILUTSequence=[table])
        assert found == [500, 500, 600, 700]

    def test_first_value_is_signed_where_the_intercept_makes_values_negative(self):
        table = lut([500, 600, 700], first=65536 - 1024)
        settings = {"RescaleSlope": 1, "RescaleIntercept": -1024}
        found = shown(ramp(0, 1, 2, 3), bits_stored=12, VOILUTSequence=[table], **settings)
        assert found == [500, 600, 700, 700]

    def test_first_value_behind_a_modality_lut_is_unsigned(self):
        modality = lut([40000, 40001, 40002])
        table = lut([500, 600, 700], first=40000)
        pixels = ramp(0, 1, 2, dtype=np.int16)
        found = shown(pixels, ModalityLUTSequence=[modality], VOILUTSequence=[table])
        assert found == [500, 600, 700]

    def test_comes_before_the_window(self):
        table = lut([0, 10, 100, 255], bits=8)
        found = shown(byte(0, 1, 2, 3), VOILUTSequence=[table], **WIDE)
        assert found == [0, 10, 100, 255]

    def test_first_item_is_used(self):
        tables = [lut([1, 2], bits=8), lut([3, 4], bits=8)]
        assert shown(byte(0, 1), VOILUTSequence=tables) == [1, 2]

    def test_is_not_used_for_minmax(self):
        table = lut([9, 9, 9, 9, 9], bits=8)
        found = shown(byte(0, 1, 2, 3, 4), intensity="minmax", VOILUTSequence=[table])
        assert found == [0, 95, 159, 223, 255]

    def test_of_the_shared_functional_group(self):
        table = lut([0, 10, 100, 255], bits=8)
        group = item(FrameVOILUTSequence=[item(VOILUTSequence=[table])])
        found = shown(byte(0, 1, 2, 3), SharedFunctionalGroupsSequence=[group])
        assert found == [0, 10, 100, 255]

    def test_of_each_frames_functional_group(self):
        groups = [
            item(FrameVOILUTSequence=[item(VOILUTSequence=[lut(entries, bits=8)])])
            for entries in ([1, 2], [3, 4])
        ]
        pixels = frames([0, 1], [0, 1], dtype=np.uint8)
        found = shown(pixels, PerFrameFunctionalGroupsSequence=groups)
        assert found == [[1, 2], [3, 4]]


def rescaled(slope, intercept):
    transform = item(RescaleSlope=slope, RescaleIntercept=intercept)
    return item(PixelValueTransformationSequence=[transform])


def windowed(center, width):
    return item(FrameVOILUTSequence=[item(WindowCenter=center, WindowWidth=width)])


class TestFunctionalGroups:
    def test_frames_have_their_own_rescale(self):
        groups = [rescaled(1, 0), rescaled(2, 0)]
        pixels = frames([96, 104], [48, 52], dtype=np.uint8)
        found = shown(pixels, PerFrameFunctionalGroupsSequence=groups, **WIDE)
        assert found == [[38, 242], [38, 242]]

    def test_frames_have_their_own_window(self):
        groups = [windowed(100, 11), windowed(50, 11)]
        pixels = frames([96, 104], [46, 54], dtype=np.uint8)
        found = shown(pixels, PerFrameFunctionalGroupsSequence=groups)
        assert found == [[38, 242], [38, 242]]

    def test_shared_group_is_for_all_frames(self):
        pixels = frames([96, 104], [100, 100], dtype=np.uint8)
        found = shown(pixels, SharedFunctionalGroupsSequence=[windowed(100, 11)])
        assert found == [[38, 242], [140, 140]]

    def test_frame_comes_before_shared(self):
        pixels = frames([96, 104], [46, 54], dtype=np.uint8)
        found = shown(
            pixels,
            SharedFunctionalGroupsSequence=[windowed(100, 11)],
            PerFrameFunctionalGroupsSequence=[item(), windowed(50, 11)],
        )
        assert found == [[38, 242], [38, 242]]

    def test_groups_come_before_the_top_level(self):
        pixels = frames([96, 104], [100, 100], dtype=np.uint8)
        groups = [windowed(100, 11), windowed(100, 11)]
        settings = {"WindowCenter": 7, "WindowWidth": 3}
        found = shown(pixels, PerFrameFunctionalGroupsSequence=groups, **settings)
        assert found == [[38, 242], [140, 140]]

    def test_frame_without_item_keeps_its_place(self):
        groups = [rescaled(2, 0), item(), rescaled(4, 0)]
        pixels = frames([48, 52], [96, 104], [24, 26], dtype=np.uint8)
        found = shown(pixels, PerFrameFunctionalGroupsSequence=groups, **WIDE)
        assert found == [[38, 242]] * 3

    def test_frames_behind_the_last_group_are_neutral(self):
        pixels = frames([48, 52], [96, 104], dtype=np.uint8)
        found = shown(pixels, PerFrameFunctionalGroupsSequence=[rescaled(2, 0)], **WIDE)
        assert found == [[38, 242]] * 2

    def test_frame_without_window_uses_the_range_of_all_frames(self):
        groups = [windowed(100, 11), item()]
        pixels = frames([96, 104], [99, 101], dtype=np.uint8)
        settings = {"PerFrameFunctionalGroupsSequence": groups}
        # 96 .. 104: (99 - 96 + 0.5) / 8 and (101 - 96 + 0.5) / 8 of 255
        assert shown(pixels, **settings) == [[38, 242], [111, 175]]
        assert warnings_of(pixels, **settings) == [
            "frames without a usable window use minimum to maximum"
        ]


class TestMinMax:
    def test_integers_are_spread_over_steps_of_one(self):
        # width 5, center 2: (x - 1.5) / 4 + 0.5 above 0
        found = shown(byte(0, 1, 2, 3, 4), intensity="minmax", **WIDE)
        assert found == [0, 95, 159, 223, 255]

    def test_16_bit_values(self):
        # (1.5 / 4) * 65535 = 24575.6 and so on
        found = shown(ramp(1000, 1001, 1002, 1003, 1004), intensity="minmax")
        assert found == [0, 24575, 40959, 57343, 65535]

    def test_slope_and_intercept_change_nothing(self):
        settings = {"RescaleSlope": 0.25, "RescaleIntercept": -1000}
        found = shown(byte(0, 1, 2, 3, 4), intensity="minmax", **settings)
        assert found == [0, 95, 159, 223, 255]

    def test_negative_slope_turns_the_order(self):
        settings = {"RescaleSlope": -1, "RescaleIntercept": 255}
        found = shown(byte(0, 1, 2, 3, 4), intensity="minmax", **settings)
        assert found == [255, 223, 159, 95, 0]

    def test_signed_values(self):
        found = shown(ramp(-2, -1, 0, 1, 2, dtype=np.int8), intensity="minmax")
        assert found == [0, 95, 159, 223, 255]

    def test_range_is_that_of_all_frames(self):
        found = shown(frames([0, 1], [3, 4], dtype=np.uint8), intensity="minmax")
        assert found == [[0, 95], [223, 255]]

    def test_constant_image_is_zero(self):
        assert shown(byte(7, 7), intensity="minmax") == [0, 0]

    def test_two_values_are_zero_and_the_top(self):
        assert shown(byte(7, 8), intensity="minmax") == [0, 255]

    def test_slope_zero_counts_as_one(self):
        found = shown(byte(7, 9), intensity="minmax", RescaleSlope=0, RescaleIntercept=5)
        assert found == [0, 255]

    def test_padding_value_does_not_count(self):
        found = shown(byte(0, 10, 11, 12, 13, 14), PixelPaddingValue=0)
        assert found == [0, 0, 95, 159, 223, 255]

    def test_padding_above_the_values_is_background(self):
        found = shown(byte(250, 10, 11, 12, 13, 14), PixelPaddingValue=250)
        assert found == [0, 0, 95, 159, 223, 255]

    def test_padding_range_does_not_count(self):
        settings = {"PixelPaddingValue": 3, "PixelPaddingRangeLimit": 5}
        found = shown(byte(3, 4, 5, 10, 11, 12, 13, 14), **settings)
        assert found == [0, 0, 0, 0, 95, 159, 223, 255]

    def test_padding_range_may_be_stored_downwards(self):
        settings = {"PixelPaddingValue": 5, "PixelPaddingRangeLimit": 3}
        found = shown(byte(3, 4, 5, 10, 11, 12, 13, 14), **settings)
        assert found == [0, 0, 0, 0, 95, 159, 223, 255]

    def test_padding_of_signed_pixels_may_be_stored_unsigned(self):
        pixels = ramp(-2000, 10, 11, 12, 13, 14, dtype=np.int16)
        found = shown(pixels, PixelPaddingValue=65536 - 2000)
        assert found == [0, 0, 24575, 40959, 57343, 65535]

    def test_nothing_but_padding_is_zero(self):
        assert shown(byte(7, 7), PixelPaddingValue=7) == [0, 0]

    def test_modality_lut_is_a_straight_line_between_its_ends(self):
        table = lut([100, 110, 200])
        # 10 / 100 of 255
        found = shown(byte(0, 1, 2), intensity="minmax", ModalityLUTSequence=[table])
        assert found == [0, 25, 255]


class TestFloat:
    def test_minimum_to_maximum_is_a_straight_line(self):
        # (0 + 1) / 4 and (2.5 + 1) / 4 of 65535
        found = shown(ramp(-1, 0, 2.5, 3, dtype=np.float32))
        assert found == [0, 16383, 57343, 65535]

    def test_double(self):
        assert shown(ramp(0, 0.25, 1, dtype=np.float64)) == [0, 16383, 65535]

    def test_padding_does_not_count(self):
        found = shown(ramp(-99, 0, 1, 4, dtype=np.float32), FloatPixelPaddingValue=-99.0)
        assert found == [0, 0, 16383, 65535]

    def test_padding_range_of_doubles_does_not_count(self):
        settings = {"DoubleFloatPixelPaddingValue": -99.0}
        settings["DoubleFloatPixelPaddingRangeLimit"] = -50.0
        found = shown(ramp(-99, -70, 0, 1, 4, dtype=np.float64), **settings)
        assert found == [0, 0, 0, 16383, 65535]

    def test_not_a_number_is_zero(self):
        found = shown(ramp(math.nan, 0, 1, 4, dtype=np.float32))
        assert found == [0, 0, 16383, 65535]

    def test_not_a_number_is_zero_where_low_values_are_white(self):
        pixels = ramp(math.nan, 0, 1, 4, dtype=np.float32)
        found = shown(pixels, PhotometricInterpretation="MONOCHROME1")
        assert found == [0, 65535, 49152, 0]

    def test_infinity_does_not_stretch_the_range(self):
        found = shown(ramp(-math.inf, math.inf, 0, 1, 4, dtype=np.float32))
        assert found == [0, 65535, 0, 16383, 65535]

    def test_window(self):
        # (0.5 - 0 + 1) / 2 of 65535
        settings = {"WindowCenter": 0, "WindowWidth": 2, "VOILUTFunction": "LINEAR_EXACT"}
        assert shown(ramp(-1, 0.5, 1, dtype=np.float32), **settings) == [0, 49151, 65535]


class TestPolarity:
    def test_monochrome1_is_inverted_last(self):
        pixels = ramp(*EXAMPLE)
        settings = {"WindowCenter": 2048, "WindowWidth": 4096}
        settings["PhotometricInterpretation"] = "MONOCHROME1"
        found = shown(pixels, bits_stored=12, **settings)
        assert found == [65535 - v for v in EXAMPLE_SHOWN]

    def test_8_bit_monochrome1_is_inverted_from_255(self):
        found = shown(byte(*SMALL), PhotometricInterpretation="MONOCHROME1", **WIDE)
        assert found == [255 - v for v in SMALL_SHOWN]

    @pytest.mark.parametrize("shape", ["IDENTITY", "INVERSE"])
    def test_presentation_lut_shape_does_not_invert_a_second_time(self, shape):
        settings = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": shape}
        found = shown(byte(*SMALL), **settings, **WIDE)
        assert found == [255 - v for v in SMALL_SHOWN]

    def test_monochrome1_minimum_to_maximum(self):
        found = shown(byte(0, 1, 2, 3, 4), PhotometricInterpretation="MONOCHROME1")
        assert found == [255, 160, 96, 32, 0]

    def test_monochrome1_voi_lut(self):
        table = lut([0, 10, 255], bits=8)
        settings = {"PhotometricInterpretation": "MONOCHROME1", "VOILUTSequence": [table]}
        assert shown(byte(0, 1, 2), **settings) == [255, 245, 0]


class TestDtype:
    @pytest.mark.parametrize("bits", [2, 7, 8])
    def test_up_to_8_bits_stored_are_uint8(self, bits):
        values, _ = display(ramp(0, 1), bits_stored=bits)
        assert (values.dtype, values.max()) == (np.uint8, 255)

    @pytest.mark.parametrize("bits", [9, 12, 16])
    def test_more_bits_stored_are_uint16(self, bits):
        values, _ = display(ramp(0, 1), bits_stored=bits)
        assert (values.dtype, values.max()) == (np.uint16, 65535)

    def test_32_bits_are_uint16(self):
        pixels = ramp(0, 10**6, 4 * 10**6, dtype=np.uint32)
        settings = {"WindowCenter": 2 * 10**6, "WindowWidth": 4 * 10**6}
        settings["VOILUTFunction"] = "LINEAR_EXACT"
        values, _ = display(pixels, **settings)
        assert values.dtype == np.uint16
        assert values.ravel().tolist() == [0, 16383, 65535]

    def test_one_bit_is_0_and_255(self):
        values, _ = display(byte(0, 1, 1, 0), bits_stored=1, **WIDE)
        assert values.dtype == np.uint8
        assert values.ravel().tolist() == [0, 255, 255, 0]

    def test_one_constant_bit_is_255(self):
        assert shown(byte(1, 1), bits_stored=1, intensity="minmax") == [255, 255]

    def test_one_bit_of_monochrome1_is_inverted(self):
        settings = {"bits_stored": 1, "PhotometricInterpretation": "MONOCHROME1"}
        assert shown(byte(0, 1), **settings) == [255, 0]
