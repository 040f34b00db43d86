"""Checks of slices that stay in the order in which they are given."""

import pytest

from dicom_preprocessing.imaging.stacking import check_order
from tests.unit.imaging.stacking.series import SAGITTAL, axial, made, stack


def codes(slices):
    return [finding.warning.code for finding in check_order(slices)]


@pytest.mark.parametrize("places", [(), (3,), (0, 3, 6), (6, 3, 0)])
def test_even_slices_in_either_direction_are_regular(places):
    assert codes(stack(*places)) == []


def test_gap_is_found():
    (finding,) = check_order(stack(0, 3, 6, 12))
    assert finding.warning.code == "stack_gap"
    assert "from 6 to 12 mm (2 steps)" in finding.message


def test_gap_is_found_in_descending_order():
    assert codes(stack(12, 6, 3, 0)) == ["stack_gap"]


def test_uneven_step_is_found():
    assert codes(stack(0, 3, 6, 10)) == ["stack_uneven"]


def test_tilt_is_found():
    assert codes([axial(3 * i, x=i) for i in range(4)]) == ["stack_tilt"]


def test_repeated_position_is_found():
    (finding,) = check_order(stack(0, 3, 3, 6))
    assert finding.warning.code == "stack_duplicate_position"
    assert finding.message == "several slices are at one position along the normal: 2 at 3 mm"


def test_order_against_positions_is_found_where_the_direction_turns():
    (finding,) = check_order(stack(0, 3, 9, 6, 12))
    assert finding.warning.code == "stack_order"
    assert finding.message == (
        "slices are not in the order of their positions, whose direction along the normal turns at "
        "9 mm; 6 mm"
    )


def test_repeated_position_is_no_turn():
    assert codes(stack(0, 3, 3, 6)) == ["stack_duplicate_position"]


def test_slices_that_are_not_parallel_are_found():
    (finding,) = check_order([*stack(0, 3), made((0.0, 0.0, 6.0), SAGITTAL)])
    assert finding.warning.code == "stack_orientation"
    assert finding.message == (
        "slices are not parallel: Image Orientation (Patient) differs by more than 0.001"
    )


@pytest.mark.parametrize("facts", [{"position": None}, {"orientation": None}])
def test_slices_without_position_or_orientation_are_found(facts):
    other = made(**{"position": (0.0, 0.0, 6.0), **facts})
    (finding,) = check_order([*stack(0, 3), other])
    assert finding.warning.code == "stack_no_positions"
    assert finding.message.startswith("1 of 3 slices have no usable Image Position (Patient)")


def test_every_finding_only_warns():
    slices = [*stack(0, 3, 3, 6, 9), axial(12, x=9), *stack(19, 18)]
    found = check_order(slices)
    assert len(found) == 5
    assert not any(finding.is_failure for finding in found)
