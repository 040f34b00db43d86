"""Plans of stages: sizes, paddings and boxes, without pixels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.imaging.geometry import CropBox, Padding, Size
from dicom_preprocessing.imaging.planning import (
    fit_size,
    grow_box,
    inner_box,
    plan_padding,
    spacing_size,
)


class TestFitSize:
    @pytest.mark.parametrize(
        ("content", "target", "fitted"),
        [
            (Size(100, 50), Size(10, 10), Size(10, 5)),
            (Size(50, 100), Size(10, 10), Size(5, 10)),
            (Size(3, 2), Size(9, 9), Size(9, 6)),
            (Size(7, 7), Size(7, 7), Size(7, 7)),
            (Size(3, 2), Size(4, 4), Size(4, 3)),  # 2 * 4/3 = 2.67
            (Size(4, 3), Size(100, 6), Size(8, 6)),
        ],
    )
    def test_fits_the_tighter_side(self, content, target, fitted):
        assert fit_size(content, target) == fitted

    def test_half_a_pixel_is_rounded_up(self):
        assert fit_size(Size(2, 1), Size(5, 5)) == Size(5, 3)

    def test_no_side_vanishes(self):
        assert fit_size(Size(1000, 1), Size(10, 10)) == Size(10, 1)

    def test_factor_is_float32(self):
        # 11 * 13/22 is 6.5 and would round up; the float32 next to 13/22 is below it: 6.4999995.
        assert fit_size(Size(22, 11), Size(13, 13)) == Size(13, 6)
        assert fit_size(Size(11, 22), Size(13, 13)) == Size(6, 13)

    @given(
        st.builds(Size, st.integers(1, 5000), st.integers(1, 5000)),
        st.builds(Size, st.integers(1, 5000), st.integers(1, 5000)),
    )
    def test_never_exceeds_the_target_and_reaches_it_on_one_side(self, content, target):
        fitted = fit_size(content, target)
        assert 1 <= fitted.width <= target.width
        assert 1 <= fitted.height <= target.height
        assert fitted.width == target.width or fitted.height == target.height


class TestSpacingSize:
    def test_halving_the_spacing_doubles_the_side(self):
        assert spacing_size(Size(10, 20), native=(1.0, 1.0), target=(0.5, 0.5)) == Size(20, 40)

    def test_axes_have_their_own_spacing(self):
        assert spacing_size(Size(10, 20), native=(0.5, 2.0), target=(1.0, 1.0)) == Size(5, 40)

    def test_half_a_pixel_is_rounded_up(self):
        assert spacing_size(Size(5, 5), native=(0.5, 0.5), target=(1.0, 1.0)) == Size(3, 3)

    def test_no_side_vanishes(self):
        assert spacing_size(Size(5, 5), native=(0.1, 0.1), target=(9.0, 9.0)) == Size(1, 1)


class TestPlanPadding:
    @pytest.mark.parametrize(
        ("side", "padding"),
        [
            ("before", Padding(3, 5, 0, 0)),
            ("after", Padding(0, 0, 3, 5)),
            ("split", Padding(1, 2, 2, 3)),
        ],
    )
    def test_puts_the_lack_on_its_side(self, side, padding):
        assert plan_padding(Size(4, 2), Size(7, 7), x=side, y=side) == padding

    def test_axes_have_their_own_side(self):
        found = plan_padding(Size(4, 2), Size(7, 7), x="before", y="after")
        assert found == Padding(3, 0, 0, 5)

    def test_a_side_that_is_too_large_gets_nothing(self):
        found = plan_padding(Size(9, 2), Size(7, 7), x="split", y="split")
        assert found == Padding(0, 2, 0, 3)


class TestInnerBox:
    def test_no_fraction_leaves_the_whole_image(self):
        assert inner_box(Size(7, 5), 0) == CropBox(0, 0, 7, 5)

    def test_whole_lines_are_lost_at_each_edge(self):
        assert inner_box(Size(20, 10), 0.1) == CropBox(2, 1, 16, 8)

    def test_broken_line_is_lost_at_the_right_and_bottom_only(self):
        # 10 * 0.25 = 2.5: two lines at the left, and 10 * 0.75 = 7.5 ends before 7
        assert inner_box(Size(10, 10), 0.25) == CropBox(2, 2, 5, 5)

    def test_fraction_is_the_decimal_that_was_written(self):
        # As floats, 100 * 0.29 is 28.999999999999996.
        assert inner_box(Size(100, 100), 0.29) == CropBox(29, 29, 42, 42)

    def test_nothing_left_is_none(self):
        assert inner_box(Size(1, 9), 0.3) is None


class TestGrowBox:
    def test_grows_on_each_side(self):
        grown = grow_box(CropBox(4, 5, 2, 3), dx=2, dy=1, within=CropBox(0, 0, 20, 20))
        assert grown == CropBox(2, 4, 6, 5)

    def test_is_clamped_to_the_area(self):
        grown = grow_box(CropBox(3, 2, 4, 5), dx=3, dy=3, within=CropBox(2, 1, 6, 7))
        assert grown == CropBox(2, 1, 6, 7)
