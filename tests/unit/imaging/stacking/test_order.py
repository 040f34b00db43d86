"""The order of the slices of a volume, and their distances."""

import math
import random

import pytest

from dicom_preprocessing.imaging.stacking import plan_volumes
from tests.unit.imaging.stacking.series import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    axial,
    made,
    only_volume,
    plan,
    stack,
    turned,
    verdicts_of,
)


def places(slices):
    return list(only_volume(slices).distances)


def test_shuffled_slices_are_in_ascending_order():
    slices = stack(*range(20))
    random.Random(0).shuffle(slices)
    assert places(slices) == list(range(20))


def test_reversed_slices_are_in_ascending_order():
    assert places(stack(6, 3, 0)) == [0, 3, 6]


def test_position_counts_and_not_instance_number():
    low, high = axial(0, instance_number=9), axial(3, instance_number=1)
    assert only_volume([high, low]).slices == (low, high)


def test_normal_is_the_cross_product_of_row_and_column():
    # row +y, column -z: the normal is -x
    slices = [made((x, 0.0, 0.0), SAGITTAL) for x in (1.0, 3.0, 5.0)]
    assert only_volume(slices).slices == tuple(reversed(slices))
    assert places(slices) == [-5, -3, -1]


def test_coronal_slices_are_ordered_along_y():
    # row +x, column -z: the normal is +y
    slices = [made((0.0, y, 0.0), CORONAL) for y in (5.0, 1.0, 3.0)]
    assert places(slices) == [1, 3, 5]


def test_normal_against_the_axis_turns_the_order():
    # row +x, column -y: the normal is -z
    slices = [made((0.0, 0.0, z), (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)) for z in (1.0, 2.0)]
    assert only_volume(slices).slices == (slices[1], slices[0])


def test_oblique_slices_have_their_distances_along_the_normal():
    # The normal of slices turned by 30 degrees about x is (0, -sin 30, cos 30).
    slices = [
        made((0.0, -2.0 * i * math.sin(math.pi / 6), 2.0 * i * math.cos(math.pi / 6)), turned(30))
        for i in range(4)
    ]
    volume = only_volume(slices)
    assert volume.distances == pytest.approx([0, 2, 4, 6])
    assert volume.findings == ()


def test_distances_are_mm_where_cosines_are_not_quite_of_unit_length():
    slices = [made((0.0, 0.0, z), (1.001, 0.0, 0.0, 0.0, 0.999, 0.0)) for z in (0.0, 500.0)]
    assert places(slices) == [0, 500]


def test_distances_come_from_positions_and_not_from_spacing_between_slices():
    assert places(stack(0, 2, 4, spacing_between_slices=5.0)) == [0, 2, 4]


def test_noise_of_positions_does_not_decide_the_order():
    first, second = axial(1.00003), axial(1.0)
    assert only_volume([second, first]).slices == (first, second)


def test_slices_at_one_position_are_in_the_order_of_their_uids():
    slices = [axial(0), axial(3), axial(3), axial(6)]
    assert only_volume(reversed(slices)).slices == tuple(slices)


class TestWithoutPositions:
    def test_instance_number_orders(self):
        slices = [made(instance_number=n) for n in (3, 1, 2)]
        volume = only_volume(slices)
        assert [s.instance_number for s in volume.slices] == [1, 2, 3]
        assert volume.distances is None

    def test_slices_without_a_number_come_last_by_name(self):
        slices = [made(instance_number=n, name=name) for n, name in ((None, "b"), (None, "a"))]
        slices.append(made(instance_number=7, name="c"))
        assert [s.name for s in only_volume(slices).slices] == ["c", "a", "b"]

    def test_name_orders_slices_of_one_number(self):
        slices = [made(instance_number=1, name=name) for name in "cab"]
        assert [s.name for s in only_volume(slices).slices] == ["a", "b", "c"]

    @pytest.mark.parametrize(
        ("numbers", "end"),
        [
            ((1, 2), "pages follow Instance Number"),
            ((1, 1), "may mean nothing"),
            ((1, None), "may mean nothing"),
            ((None, None), "may mean nothing"),
        ],
    )
    def test_there_is_a_warning(self, numbers, end):
        slices = [made(instance_number=n) for n in numbers]
        (finding,) = only_volume(slices).findings
        assert finding.warning.code == "stack_no_positions"
        assert finding.message.startswith(
            "2 of 2 slices have no usable Image Position (Patient) and Image Orientation (Patient)"
        )
        assert finding.message.endswith(end)

    def test_one_slice_needs_no_position(self):
        assert only_volume([made()]).findings == ()

    @pytest.mark.parametrize("facts", [{"position": (0.0, 0.0, 1.0)}, {"orientation": AXIAL}])
    def test_position_and_orientation_are_both_needed(self, facts):
        slices = [made(**{"orientation": None, **facts}) for _ in range(2)]
        assert verdicts_of(slices) == [("no_positions", "warn")]


UNUSABLE_POSITIONS = [
    (math.nan, 0.0, 0.0),
    (0.0, math.inf, 0.0),
    (0.0, 0.0, -math.inf),
    (0.0, 0.0, 1e300),
    (0.0, 0.0),
    (),
]
UNUSABLE_ORIENTATIONS = [
    (0.0,) * 6,
    (math.nan, *AXIAL[1:]),
    (math.inf, *AXIAL[1:]),
    (1e300, *AXIAL[1:]),
    (1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    (1.0, 0.0, 0.0, 0.5, 0.5, 0.0),
    AXIAL[:5],
    (),
]


@pytest.mark.parametrize("position", UNUSABLE_POSITIONS)
def test_position_that_cannot_be_meant_counts_as_none(position):
    slices = [made(position), made(position)]
    assert verdicts_of(slices) == [("no_positions", "warn")]


@pytest.mark.parametrize("orientation", UNUSABLE_ORIENTATIONS)
def test_orientation_that_cannot_be_meant_counts_as_none(orientation):
    slices = [made((0.0, 0.0, z), orientation) for z in (0.0, 3.0)]
    assert verdicts_of(slices) == [("no_positions", "warn")]


def test_no_slices_are_no_volumes():
    assert plan([]) == plan_volumes("1", [])
    assert (plan([]).volumes, plan([]).dropped) == ((), ())


def test_defaults_are_those_of_the_configuration():
    slices = stack(0, 3, 6, 12)
    assert plan_volumes("1.2.3", slices) == plan(slices)
