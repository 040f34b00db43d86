"""Where the frames of a dose grid lie, by Grid Frame Offset Vector (PS3.3 C.8.8.3.2)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.decode.frame_order import find_offset_faults, frame_order
from dicom_preprocessing.dicom.frame_offsets import frame_positions
from tests.unit.descriptions import description_of, groups

AXIAL, FEET_FIRST = (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, -1, 0)
CORONAL = (1, 0, 0, 0, 0, -1)
MM = st.integers(-1000, 1000).map(float)


def dose(*offsets, position=(1, 2, 10), orientation=AXIAL, **more):
    placed = {"image_position_patient": position, "image_orientation_patient": orientation}
    return description_of(
        number_of_frames=len(offsets), grid_frame_offset_vector=offsets, **placed, **more
    )


def z_of(description, n):
    return [position[2] for position in description.positions(n)]


def test_offsets_from_zero_count_from_the_position():
    assert z_of(dose(0, 3, 6), 3) == [10, 13, 16]


def test_offsets_from_zero_go_along_the_normal():
    assert z_of(dose(0, 3, 6, orientation=FEET_FIRST), 3) == [10, 7, 4]
    # the normal of a coronal slice whose columns run towards the feet points towards the back
    assert dose(0, 3, orientation=CORONAL).positions(2)[1] == (1, 5, 10)


def test_other_offsets_are_z_of_the_frames():
    assert z_of(dose(10, 13, 16), 3) == [10, 13, 16]


def test_other_offsets_of_slices_that_are_not_transverse_count_from_the_first():
    assert dose(5, 8, orientation=CORONAL).positions(2) == ((1, 2, 10), (1, 5, 10))


@given(st.lists(MM, min_size=2, max_size=9, unique=True), st.tuples(MM, MM, MM))
def test_distances_are_those_of_the_offsets(offsets, position):
    found = frame_positions(position, AXIAL, offsets)
    steps = [after[2] - before[2] for before, after in pairwise(found)]
    assert steps == [after - before for before, after in pairwise(offsets)]


def test_frames_are_ordered_by_their_offsets():
    order = frame_order(dose(0, -3, -6), 3)
    assert (order.order, order.spacing) == ((2, 1, 0), 3.0)


@pytest.mark.parametrize("lacking", ["position", "orientation"])
def test_offsets_order_frames_without_a_position(lacking):
    order = frame_order(dose(0, 3, 6, **{lacking: None}), 3)
    assert (order.order, order.spacing) == ((0, 1, 2), 3.0)


def test_positions_of_functional_groups_count_before_offsets():
    own = tuple(groups(image_position_patient=(0, 0, z)) for z in (7, 9))
    assert z_of(dose(0, 3, frames=own), 2) == [7, 9]


@pytest.mark.parametrize("offsets", [(0, 3), (0, 3, "x"), (0, 3, float("nan"))])
def test_offsets_that_do_not_fit_the_frames_are_ignored_and_named(offsets):
    description = dose(*offsets)
    (fault,) = find_offset_faults(description, 3)
    assert fault.startswith("Grid Frame Offset Vector is not 3 numbers")
    assert set(z_of(description, 3)) == {10}


def test_first_offset_that_is_neither_zero_nor_the_position_is_named():
    (fault,) = find_offset_faults(dose(5, 8), 2)
    assert "starts at 5, neither 0 nor 10" in fault


def test_absolute_offsets_of_slices_that_are_not_transverse_are_named():
    (fault,) = find_offset_faults(dose(10, 13, orientation=CORONAL), 2)
    assert "slices are not transverse" in fault


@pytest.mark.parametrize("offsets", [(0, 3, 6), (10, 13, 16), (10.004, 13, 16)])
def test_sound_offsets_have_no_fault(offsets):
    assert list(find_offset_faults(dose(*offsets), 3)) == []


def test_single_frame_needs_no_offsets():
    assert list(find_offset_faults(dose(0, 3, 6), 1)) == []
