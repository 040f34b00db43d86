"""Where the padding goes and what it is filled with."""

from dataclasses import replace

import numpy as np
import pytest

from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.geometry import Padding, Size
from dicom_preprocessing.imaging.pad import pad
from tests.unit.datasets import colour, grey, planes


def padding_of(image, size=(9, 9), padding="zero"):
    return pad(image, size=size, padding=padding).geometry.padding


def sides(image, padding="zero"):
    """The sides that get one pixel of padding each."""
    width, height = image.size.width, image.size.height
    found = padding_of(image, (width + 1, height + 1), padding)
    return ("left" if found.left else "right", "top" if found.top else "bottom")


class TestFixedSides:
    def test_bottom_right_keeps_the_image_at_the_top_left(self):
        image = pad(grey([[1, 2]]), size=[4, 2], padding="bottom-right")
        assert planes(image) == [[[1, 2, 0, 0], [0, 0, 0, 0]]]

    def test_top_left_keeps_the_image_at_the_bottom_right(self):
        image = pad(grey([[1, 2]]), size=[4, 2], padding="top-left")
        assert planes(image) == [[[0, 0, 0, 0], [0, 0, 1, 2]]]

    def test_center_splits_evenly(self):
        image = pad(grey([[1, 2]]), size=[4, 3], padding="center")
        assert planes(image) == [[[0, 0, 0, 0], [0, 1, 2, 0], [0, 0, 0, 0]]]

    def test_center_puts_the_odd_column_right(self):
        image = pad(grey([[1, 2]]), size=[5, 1], padding="center")
        assert planes(image) == [[[0, 1, 2, 0, 0]]]

    def test_center_puts_the_odd_row_below(self):
        image = pad(grey([[1], [2]]), size=[1, 5], padding="center")
        assert planes(image) == [[[0], [1], [2], [0], [0]]]

    def test_center_puts_a_single_line_right_and_below(self):
        assert padding_of(grey([[1, 2]]), (3, 2), "center") == Padding(0, 0, 1, 1)

    def test_borders_do_not_matter(self):
        assert sides(grey([[0, 0, 7]]), "bottom-right") == ("right", "bottom")


class TestZeroSide:
    def test_frames_are_not_held(self):
        """They are made one by one, and once."""
        image = grey([[0, 5], [0, 5]])
        made = []

        def frame(number):
            made.append(number)
            return image.frames[0] + np.uint8(number)

        frames = LazyFrames((5, 2, 2, 1), image.frames.dtype, frame)
        padded = pad(replace(image, frames=frames), size=[3, 2])
        assert isinstance(padded.frames, LazyFrames)
        assert np.asarray(padded.frames)[3, 0, :, 0].tolist() == [0, 3, 8]
        assert made == [0, 1, 2, 3, 4]

    def test_goes_left_where_the_left_column_is_emptier(self):
        assert sides(grey([[0, 5], [0, 5], [3, 5]]))[0] == "left"

    def test_goes_right_where_the_right_column_is_emptier(self):
        assert sides(grey([[3, 5], [3, 0], [0, 0]]))[0] == "right"

    def test_goes_to_the_top_where_the_top_row_is_emptier(self):
        assert sides(grey([[0, 0, 5], [5, 0, 5]]))[1] == "top"

    def test_goes_below_where_the_bottom_row_is_emptier(self):
        assert sides(grey([[5, 0, 5], [0, 0, 5]]))[1] == "bottom"

    def test_axes_are_decided_each_by_itself(self):
        image = grey(
            [
                [0, 4, 4],
                [0, 4, 4],
                [0, 0, 4],
            ]
        )
        assert sides(image) == ("left", "bottom")

    def test_a_tie_goes_left_and_to_the_top(self):
        assert sides(grey([[0, 5], [5, 0]])) == ("left", "top")

    def test_without_any_zero_it_goes_left_and_to_the_top(self):
        assert sides(grey([[5, 5], [5, 5]])) == ("left", "top")

    def test_one_line_is_its_own_opposite(self):
        assert sides(grey([[5]])) == ("left", "top")

    def test_all_of_it_goes_to_one_side(self):
        assert padding_of(grey([[5, 0], [5, 0]]), (7, 5)) == Padding(0, 3, 5, 0)

    def test_zeros_are_counted_over_all_frames(self):
        # The first frame alone would say left.
        image = grey([[0, 5], [5, 5]], [[5, 0], [5, 0]])
        assert sides(image)[0] == "right"

    def test_inner_pixels_do_not_count(self):
        image = grey([[5, 0, 0, 5], [5, 0, 0, 0], [5, 0, 0, 5]])
        assert sides(image)[0] == "right"

    def test_it_is_the_default(self):
        image = pad(grey([[5, 0]]), size=[3, 1])
        assert planes(image) == [[[5, 0, 0]]]

    def test_8_bit_value_1_is_no_zero(self):
        assert sides(grey([[1, 0]]))[0] == "right"

    def test_16_bit_values_up_to_128_count_as_zero(self):
        # (128 + 128) // 257 = 0, (129 + 128) // 257 = 1
        image = grey([[129, 128]], dtype=np.uint16)
        assert sides(image)[0] == "right"

    def test_16_bit_near_zeros_tie_with_zeros(self):
        image = grey([[128, 0], [128, 0]], dtype=np.uint16)
        assert sides(image)[0] == "left"

    def test_colour_is_zero_where_luma_is(self):
        # luma of (4, 0, 2) is 0.99 and of (4, 0, 3) 1.06
        image = colour([[[4, 0, 3], [4, 0, 2]]])
        assert sides(image)[0] == "right"

    def test_16_bit_colour_near_zero_counts_as_zero(self):
        image = colour([[[129] * 3, [128] * 3]], dtype=np.uint16)
        assert sides(image)[0] == "right"


class TestFill:
    def test_colour_is_padded_with_black(self):
        image = pad(colour([[[1, 2, 3]]]), size=[2, 1], padding="bottom-right")
        assert image.frames.tolist() == [[[[1, 2, 3], [0, 0, 0]]]]

    def test_every_frame_is_padded_alike(self):
        image = pad(grey([[1]], [[2]]), size=[2, 1], padding="top-left")
        assert planes(image) == [[[0, 1]], [[0, 2]]]

    def test_background_of_the_facts_is_the_fill(self):
        image = grey([[1]], dtype=np.int16, background=-1000)
        shown = pad(image, size=[2, 1], padding="bottom-right")
        assert planes(shown) == [[[1, -1000]]]

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
    def test_dtype_stays(self, dtype):
        assert pad(grey([[1]], dtype=dtype), size=[2, 2], padding="center").frames.dtype == dtype


class TestSettings:
    def test_without_size_it_returns_the_image_itself(self):
        image = grey([[1, 2]])
        assert pad(image) is image

    def test_none_returns_the_image_itself(self):
        image = grey([[1, 2]])
        assert pad(image, size=[4, 4], padding="none") is image

    @pytest.mark.parametrize("padding", ["zero", "top-left", "bottom-right", "center"])
    def test_image_of_that_size_stays(self, padding):
        image = pad(grey([[1, 2], [3, 4]]), size=[2, 2], padding=padding)
        assert planes(image) == [[[1, 2], [3, 4]]]
        assert image.geometry.padding == Padding(0, 0, 0, 0)

    @pytest.mark.parametrize("padding", ["zero", "top-left", "bottom-right", "center"])
    def test_larger_image_is_not_cut(self, padding):
        image = pad(grey([[1, 2, 3]]), size=[2, 1], padding=padding)
        assert planes(image) == [[[1, 2, 3]]]

    def test_padding_is_recorded(self):
        image = pad(grey([[1, 2]]), size=[5, 4], padding="center")
        assert image.geometry.padding == Padding(left=1, top=1, right=2, bottom=2)
        assert image.geometry.output == Size(5, 4)
