"""Names of volumes: of what slices have in common, and not of slices."""

import re

from dicom_preprocessing.imaging.stacking import plan_volumes
from tests.unit.imaging.stacking.series import AXIAL, SAGITTAL, made, plan, stack, turned


def names(slices, **policies):
    return [volume.volume_id for volume in plan(slices, **policies).volumes]


def test_it_is_16_hex_digits():
    (name,) = names(stack(0, 3))
    assert re.fullmatch("[0-9a-f]{16}", name)


def test_it_stays_when_slices_are_added():
    slices = stack(0, 3, 6)
    assert names(slices + stack(-3, 9)) == names(slices)


def test_it_stays_when_a_slice_with_noise_in_its_cosines_is_added():
    slices = stack(0, 3, 6)
    noisy = made((0.0, 0.0, 9.0), (0.999999, -1e-6, 0.0, 1e-6, 0.999999, -1e-6))
    assert names([noisy, *slices]) == names(slices)


def test_it_stays_when_a_volume_of_another_geometry_is_added():
    slices = stack(3, 6)
    assert names(slices)[0] in names(slices + stack(0, 3, rows=8, instance_number=0))


def test_it_stays_when_a_scout_is_added_that_is_kept():
    slices = stack(3, 6)
    scout = made((0.0, 0.0, 0.0), SAGITTAL, instance_number=0)
    assert names([*slices, scout], scout="keep")[1] == names(slices)[0]


def test_it_stays_when_slices_are_added_to_an_echo():
    slices = stack(0, 3, echo_time="10") + stack(0, 3, echo_time="80")
    assert names(slices + stack(6, 9, echo_time="80")) == names(slices)


def test_it_stays_when_a_later_part_of_a_split_is_added():
    slices = stack(0, 3, 6)
    assert names(slices + stack(30, 33), gap="split")[0] == names(slices, gap="split")[0]


def test_series_have_different_names():
    slices = stack(0, 3)
    ids = {plan_volumes(uid, slices).volumes[0].volume_id for uid in ("1.2.3", "1.2.4")}
    assert len(ids) == 2


def test_volumes_of_a_series_have_different_names():
    slices = [s for e in ("10", "20", "30") for s in stack(0, 3, 6, 30, 33, echo_time=e)]
    slices += stack(0, 3, rows=8) + stack(0, 3, frame_of_reference_uid="1") + [made(), made()]
    found = names(slices, gap="split")
    assert len(found) == len(set(found)) == 9


def test_orientations_that_are_nearly_one_have_different_names():
    slices = [made((0.0, 0.0, z), turned(t)) for z in (0.0, 3.0) for t in (0.0, 0.1, 0.2)]
    found = names(slices)
    assert len(found) == len(set(found)) == 3


def test_names_of_orientations_that_are_nearly_one_do_not_change_with_instance_numbers():
    first, second = ([made((0.0, 0.0, z), o) for z in (0.0, 3.0)] for o in (AXIAL, turned(0.1)))
    added = made((0.0, 0.0, 6.0), turned(0.1), instance_number=-1)
    before = {v.slices[0].orientation: v.volume_id for v in plan(first + second).volumes}
    after = {v.slices[0].orientation: v.volume_id for v in plan([*first, *second, added]).volumes}
    assert after == before


def test_minus_zero_is_zero():
    one, other = (
        [made((0.0, 0.0, z), (1.0, zero, 0.0, 0.0, 1.0, 0.0)) for z in (0.0, 3.0)]
        for zero in (0.0, -0.0)
    )
    assert names(one) == names(other)


def test_it_is_the_same_in_every_version():
    """It is in manifests, which are compared with others."""
    assert names(stack(0, 3)) == ["608ff3ad33510192"]
