"""Places of slices along their normal, and the usual step between them."""

import pytest

from dicom_preprocessing.imaging.positions import distances_along_normal, median_step

AXIAL = (1, 0, 0, 0, 1, 0)


def test_positions_are_projected_on_the_normal():
    assert distances_along_normal([(5, 5, 1), (6, 6, -2)], AXIAL) == [1.0, -2.0]


@pytest.mark.parametrize("z", [1e308, -1e308, 1e200])
def test_distances_that_are_not_finite_are_none(z):
    assert distances_along_normal([(0, 0, 0), (0, 0, z)], (1e200, 0, 0, 0, 1, 0)) is None


def test_noise_does_not_tell_two_positions_apart():
    assert distances_along_normal([(0, 0, 1.00003), (0, 0, 1)], AXIAL) == [1.0, 1.0]


def test_one_missing_slice_does_not_change_the_median_step():
    assert median_step([0, 3, 6, 12, 15]) == 3


def test_median_step_of_one_place_is_none():
    assert median_step([1.0, 1.0]) is None
