"""Frames at reduced resolution: levels, and where samples lie."""

import pytest

from dicom_preprocessing.imaging.geometry import CropBox, Flip, Size
from dicom_preprocessing.imaging.sampling import Sampling, choose_level


class TestLevel:
    @pytest.mark.parametrize(
        ("content", "target", "level"),
        [
            ((2560, 3328), (384, 499), 2),
            ((2560, 3328), (640, 832), 2),
            ((2560, 3328), (641, 832), 1),
            ((100, 100), (100, 100), 0),
            ((99, 99), (50, 50), 1),
            ((99, 99), (200, 200), 0),
            ((1, 1), (1, 1), 0),
            ((1, 64), (1, 4), 0),
            ((8, 64), (1, 4), 3),
        ],
    )
    def test_is_the_last_that_is_no_smaller_than_the_target(self, content, target, level):
        assert choose_level(Size(*content), Size(*target)) == level


class TestSampling:
    def test_samples_within_a_box(self):
        assert Sampling(4).samples_of(CropBox(5, 8, 10, 1)) == CropBox(2, 2, 2, 1)

    def test_pixels_of_samples_with_one_more_on_each_side(self):
        whole = CropBox(0, 0, 100, 100)
        assert Sampling(4).pixels_of(CropBox(2, 0, 3, 1), whole) == CropBox(4, 0, 17, 5)

    def test_box_holds_its_samples(self):
        for left in range(12):
            for width in range(5, 12):
                box = CropBox(left, 0, width, 9)
                samples, cut = Sampling(4).samples_of(box), Sampling(4).crop(box)
                assert 0 <= cut.left < 4
                assert cut.left + 4 * (samples.width - 1) < width

    def test_turned_by_180_degrees(self):
        flip = Flip(10, 9, horizontal=True, vertical=True)
        assert Sampling(4).mirror(flip, Size(3, 3)) == Sampling(4, 1, 0)

    def test_mirrored_from_left_to_right(self):
        flip = Flip(10, 10, horizontal=True, vertical=False)
        assert Sampling(4).mirror(flip, Size(3, 3)) == Sampling(4, 1, 0)
