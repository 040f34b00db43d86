"""Which slices of a series are of one geometry, and which are no slices of a volume."""

import pytest

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
    volumes_of,
)


def sagittal(*places, **facts):
    return [made((float(x), 0.0, 0.0), SAGITTAL, **facts) for x in places]


@pytest.mark.parametrize(
    "facts",
    [{"rows": 8}, {"columns": 8}, {"samples_per_pixel": 3}, {"frame_of_reference_uid": "1"}],
)
def test_slices_that_differ_in_it_are_of_different_volumes(facts):
    slices = stack(0, 3, 6, frame_of_reference_uid="2")
    slices += stack(3, 6, 9, **{"frame_of_reference_uid": "2"} | facts)
    assert volumes_of(slices) == [[0, 3, 6], [3, 6, 9]]


def test_frames_of_reference_that_part_slices_are_a_warning():
    slices = stack(0, 3, frame_of_reference_uid="1") + stack(6, 9, frame_of_reference_uid="2")
    volumes = plan(slices).volumes
    assert [[f.verdict for f in volume.findings] for volume in volumes] == [
        ["frame_of_reference"]
    ] * 2
    assert "2 Frames of Reference" in volumes[0].findings[0].message


@pytest.mark.parametrize("references", ["1 2 3 4", "1 1 1 "])
def test_frames_of_reference_that_do_not_count_are_no_warning(references):
    """Echoes part these volumes, and the frame of reference of a slice may be any."""
    slices = [
        axial(3.0 * (n // 2), echo_time=str(n % 2), frame_of_reference_uid=reference)
        for n, reference in enumerate(references.split(" "))
    ]
    volumes = plan(slices).volumes
    assert [(len(volume.slices), volume.findings) for volume in volumes] == [(2, ())] * 2


def test_slices_without_a_frame_of_reference_are_of_that_of_the_others():
    slices = stack(0, 3, frame_of_reference_uid="1") + stack(6)
    volume = only_volume(slices)
    assert (len(volume.slices), volume.findings) == (3, ())


def test_frames_of_reference_that_no_two_slices_share_do_not_count():
    slices = [axial(3.0 * n, frame_of_reference_uid=f"1.{n}") for n in range(4)]
    volume = only_volume(slices)
    assert (len(volume.slices), volume.findings) == (4, ())


def test_orientations_are_different_volumes():
    assert volumes_of(stack(0, 3) + sagittal(-4, -2)) == [[0, 3], [2, 4]]


def test_slices_that_face_the_other_way_are_a_volume_of_their_own():
    slices = stack(0, 3)
    slices += [made((0.0, 0.0, z), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)) for z in (1.0, 4.0)]
    assert volumes_of(slices) == [[0, 3], [-4, -1]]


def test_noise_of_cosines_makes_no_other_orientation():
    noisy = made((0.0, 0.0, 3.0), (1.0, 0.001, 0.0, -0.001, 1.0, 0.0))
    assert len(only_volume([*stack(0, 6), noisy]).slices) == 3


def test_cosines_that_differ_by_more_than_a_thousandth_are_another_orientation():
    other = [made((0.0, 0.0, float(z)), (1.0, 0.002, 0.0, -0.002, 1.0, 0.0)) for z in (0, 3)]
    assert len(plan(stack(0, 3) + other).volumes) == 2


def test_chain_of_small_differences_does_not_join_orientations():
    slices = [made((0.0, 0.0, 3.0 * i), turned(0.05 * i)) for i in range(40)]
    found = plan(slices)
    assert len(found.volumes) > 10
    for volume in found.volumes:
        cosines = [s.orientation for s in volume.slices]
        assert max(abs(a - b) for a, b in zip(cosines[0], cosines[-1], strict=True)) <= 0.0021


def test_slices_without_position_are_a_volume_of_their_own():
    placed, others = stack(0, 3), [made(), made()]
    first, second = plan(placed + others).volumes
    assert (first.slices, second.slices) == (tuple(placed), tuple(others))


def test_volumes_of_several_geometries_are_numbered_by_their_lowest_instance_number():
    late = stack(0, 3, rows=8, instance_number=5)
    early = [axial(0, instance_number=9), axial(3, instance_number=2)]
    assert [(v.number, v.slices[0].rows) for v in plan(late + early).volumes] == [(1, 4), (2, 8)]


def test_volumes_of_one_lowest_instance_number_are_numbered_by_their_lowest_uid():
    slices = stack(0, 3, rows=8, instance_number=1) + stack(0, 3, instance_number=1)
    assert [v.slices[0].rows for v in plan(reversed(slices)).volumes] == [8, 4]


def test_volumes_without_instance_number_come_last():
    slices = stack(0, 3, rows=8, instance_number=None) + stack(0, 3, instance_number=1)
    assert [v.slices[0].rows for v in plan(slices).volumes] == [4, 8]


def dropped(slices, **policies):
    """Each dropped slice with its reason."""
    found = plan(slices, **policies)
    assert {d.error for d in found.dropped} <= {"not_selected"}
    return [(d.slice, d.message) for d in found.dropped]


LOCALIZER = "stack: scout (Image Type has LOCALIZER)"
LONE = "stack: scout (a lone slice of another orientation)"


class TestScout:
    @pytest.mark.parametrize(
        "image_type", ["ORIGINAL\\PRIMARY\\LOCALIZER", "ORIGINAL\\PRIMARY\\localizer\\X"]
    )
    def test_localizer_is_dropped(self, image_type):
        scout = axial(99, image_type=image_type)
        assert dropped([*stack(0, 3, 6), scout]) == [(scout, LOCALIZER)]

    def test_series_of_localizers_is_dropped(self):
        scouts = stack(0, 3, image_type="LOCALIZER")
        assert dropped(scouts) == [(scout, LOCALIZER) for scout in scouts]

    def test_part_of_a_value_is_no_localizer(self):
        assert dropped(stack(0, 3, image_type="ORIGINAL\\NOLOCALIZERS")) == []

    def test_localizer_makes_no_gap(self):
        scout = axial(99, image_type="LOCALIZER")
        assert plan([*stack(0, 3, 6), scout]).volumes[0].findings == ()

    def test_lone_slice_of_another_orientation_is_dropped(self):
        (scout,) = sagittal(0)
        assert dropped([*stack(0, 3, 6), scout]) == [(scout, LONE)]

    def test_lone_slice_is_dropped_whatever_its_size_is(self):
        (scout,) = sagittal(0, rows=8, columns=2)
        assert dropped([*stack(0, 3, 6), scout]) == [(scout, LONE)]

    def test_lone_slices_of_two_other_orientations_are_dropped(self):
        scouts = [*sagittal(0), made((0.0, 0.0, 0.0), CORONAL)]
        assert dropped([*stack(0, 3), *scouts]) == [(scout, LONE) for scout in scouts]

    def test_lone_slice_of_the_same_orientation_stays(self):
        other = axial(3, rows=8)
        assert [v.slices for v in plan([*stack(0, 3), other]).volumes][:1] == [(other,)]

    def test_lone_slice_without_orientation_stays(self):
        other = made(orientation=None)
        assert [v.slices for v in plan([*stack(0, 3), other]).volumes][:1] == [(other,)]

    def test_single_slices_of_three_orientations_all_stay(self):
        slices = [made((0.0, 0.0, 0.0), cosines) for cosines in (AXIAL, SAGITTAL, CORONAL)]
        assert dropped(slices) == []
        assert len(plan(slices).volumes) == 3

    def test_localizers_that_are_kept_are_volumes_of_their_own(self):
        slices = stack(0, 3, 6) + stack(3, 9, image_type="LOCALIZER")
        assert volumes_of(slices, scout="keep") == [[0, 3, 6], [3, 9]]

    def test_lone_slice_that_is_kept_is_a_volume(self):
        slices = [*stack(0, 3, 6), *sagittal(-2)]
        assert volumes_of(slices, scout="keep") == [[0, 3, 6], [2]]


SINGLE = "stack: single (the only slice of its volume)"


class TestSingle:
    def test_one_slice_is_a_volume(self):
        volume = only_volume([axial(3)])
        assert (volume.distances, volume.findings, volume.error) == ((3.0,), (), "")

    def test_drop(self):
        s = axial(3)
        assert dropped([s], single="drop") == [(s, SINGLE)]
        assert plan([s], single="drop").volumes == ()

    def test_drop_of_a_slice_beside_a_volume(self):
        other = axial(0, rows=8)
        assert dropped([other, *stack(0, 3)], single="drop") == [(other, SINGLE)]

    def test_dropped_slices_have_no_number(self):
        slices = [axial(0, rows=8), *stack(0, 3)]
        assert [v.number for v in plan(slices, single="drop").volumes] == [1]

    def test_volume_of_two_slices_stays(self):
        assert volumes_of(stack(0, 3), single="drop") == [[0, 3]]

    def test_slice_that_a_split_leaves_alone_is_dropped(self):
        *slices, last = stack(0, 3, 6, 30)
        assert dropped([*slices, last], gap="split", single="drop") == [(last, SINGLE)]
