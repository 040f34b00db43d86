"""Laplacian pyramids of images."""

import numpy as np
import pytest

from dicom_preprocessing.imaging.pyramid import expand, gaussian_levels, modulate_detail


class TestPyramid:
    @pytest.mark.parametrize(("rows", "columns"), [(2, 2), (7, 5), (16, 33)])
    def test_constant_expands_to_itself(self, rows, columns):
        small = np.full(((rows + 1) // 2, (columns + 1) // 2, 1), 3.0)
        assert expand(small, (rows, columns)) == pytest.approx(np.full((rows, columns, 1), 3))

    def test_sizes_are_halved_and_rounded_up(self):
        levels = gaussian_levels(np.zeros((9, 20, 1)))
        assert [level.shape[:2] for level in levels] == [(9, 20), (5, 10), (3, 5), (2, 3), (1, 2)]

    def test_there_are_six_bands_at_most(self):
        assert len(gaussian_levels(np.zeros((200, 300, 1)))) == 7

    def test_smoothing_is_binomial(self):
        dot = np.zeros((9, 9, 1))
        dot[4, 4] = 256
        assert gaussian_levels(dot)[1][..., 0][1].tolist() == [0, 1, 6, 1, 0]

    def test_full_brightness_gives_the_image_without_its_coarsest_level(self):
        image = np.random.default_rng(1).uniform(0, 100, (4, 4, 1))
        levels = gaussian_levels(image)
        assert [level.shape[0] for level in levels] == [4, 2, 1]
        coarsest = expand(expand(levels[2], (2, 2)), (4, 4))
        found = modulate_detail(image, np.ones((4, 4, 1)))
        assert found == pytest.approx(image - coarsest)

    def test_no_brightness_gives_nothing(self):
        image = np.random.default_rng(1).uniform(0, 100, (8, 8, 1))
        assert not modulate_detail(image, np.zeros((8, 8, 1))).any()
