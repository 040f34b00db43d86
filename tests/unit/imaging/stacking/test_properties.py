"""What holds for any slices."""

import math
import time

from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.config import StackPolicies
from dicom_preprocessing.config.stacking import VERDICTS
from dicom_preprocessing.image_warnings import WARNING_CODES
from dicom_preprocessing.imaging.stacking import (
    TELLING_FIELDS,
    Slice,
    check_order,
    plan_volumes,
    resolve_duplicates,
)
from tests.unit.imaging.stacking.series import AXIAL, CORONAL, SAGITTAL, stack, turned

ORIENTATIONS = [AXIAL, SAGITTAL, CORONAL, turned(0.05), turned(0.1), turned(30)]
NUMBERS = st.sampled_from([0.0, 1.0, 2.0, 3.0, 7.0, 2.00005]) | st.floats()
ANY_ORIENTATION = st.none() | st.sampled_from(ORIENTATIONS) | st.tuples(*[st.floats()] * 6)
TEXTS = st.sampled_from(["", "1", "2", "1.0", "nan", "x", "LOCALIZER"])
POLICIES = st.builds(
    StackPolicies, **{name: st.sampled_from(of.policies) for name, of in VERDICTS.items()}
)


@st.composite
def series(draw, numbers=NUMBERS, orientations=ANY_ORIENTATION):
    """Any slices, of which many are alike."""
    slices = []
    for number in range(draw(st.integers(0, 12))):
        fields = draw(st.fixed_dictionaries(dict.fromkeys(TELLING_FIELDS.values(), TEXTS)))
        slices.append(
            Slice(
                name=f"{number}.dcm",
                sop_instance_uid=draw(st.sampled_from(["1", "2", str(number)])),
                rows=draw(st.integers(1, 2)),
                columns=1,
                orientation=draw(orientations),
                position=draw(st.none() | st.tuples(numbers, numbers, numbers)),
                instance_number=draw(st.none() | st.integers()),
                **fields,
            )
        )
    return slices


def names_of(plan):
    return sorted(s.name for volume in plan.volumes for s in volume.slices) + sorted(
        d.slice.name for d in plan.dropped
    )


@given(series(), POLICIES)
def test_every_slice_is_in_one_volume_or_dropped(slices, policies):
    plan = plan_volumes("1", slices, policies)
    assert sorted(names_of(plan)) == sorted(s.name for s in slices)
    assert all(volume.slices for volume in plan.volumes)


@given(series(), POLICIES, st.randoms(use_true_random=False))
def test_order_of_the_input_makes_no_difference(slices, policies, random):
    shuffled = random.sample(slices, len(slices))
    assert repr(plan_volumes("1", shuffled, policies)) == repr(plan_volumes("1", slices, policies))


@given(series(), POLICIES)
def test_distances_ascend_and_numbers_count_from_1(slices, policies):
    volumes = plan_volumes("1", slices, policies).volumes
    assert [v.number for v in volumes] == list(range(1, len(volumes) + 1))
    for volume in volumes:
        if volume.distances is not None:
            assert list(volume.distances) == sorted(volume.distances)
            assert len(volume.distances) == len(volume.slices)
            is_repeated = len(set(volume.distances)) < len(volume.distances)
            found = {f.verdict for f in volume.findings}
            assert is_repeated == ("duplicate_position" in found)


@given(series(), POLICIES)
def test_volumes_of_a_series_have_different_ids(slices, policies):
    ids = [volume.volume_id for volume in plan_volumes("1", slices, policies).volumes]
    assert len(ids) == len(set(ids))


@given(series(), POLICIES)
def test_volume_is_of_one_size_and_nearly_one_orientation(slices, policies):
    for volume in plan_volumes("1", slices, policies).volumes:
        assert len({s.rows for s in volume.slices}) == 1
        if volume.distances is not None:
            for values in zip(*(s.orientation for s in volume.slices), strict=True):
                assert max(values) - min(values) <= 0.002 + 1e-8


@given(series(), POLICIES, st.integers(1, 3))
def test_resolving_leaves_a_failure_or_one_slice_at_each_place(slices, policies, kinds):
    for volume in plan_volumes("1", slices, policies).volumes:
        resolved, dropped = resolve_duplicates(volume, lambda s: hash(s.name) % kinds)
        names = [s.name for s in resolved.slices] + [d.slice.name for d in dropped]
        assert sorted(names) == sorted(s.name for s in volume.slices)
        assert resolved.error or resolved.repeated == ()


@given(series(), POLICIES)
def test_findings_are_failures_or_warnings_of_known_codes(slices, policies):
    findings = [f for v in plan_volumes("1", slices, policies).volumes for f in v.findings]
    for finding in (*findings, *check_order(slices)):
        assert finding.message
        assert finding.is_failure or finding.warning.code in WARNING_CODES


@given(
    st.sets(st.integers(0, 20), min_size=3, max_size=12),
    st.sets(st.integers(0, 20), max_size=12),
    st.sampled_from([1, 2, 3]),
)
def test_ids_stay_when_slices_are_added(places, added, echoes):
    kept = sorted(places)

    def ids_of(where):
        slices = [s for echo in range(echoes) for s in stack(*where, echo_time=str(echo))]
        return [volume.volume_id for volume in plan_volumes("1", slices).volumes]

    assert ids_of(sorted(places | added)) == ids_of(kept)


def test_ten_thousand_slices_take_a_second_or_so():
    attributes = {"acquisition_number": "7", "echo_time": "10"}
    slices = stack(*range(2500), **attributes) + stack(*range(2500), echo_time="20")
    slices += stack(*range(5000), rows=8)
    start = time.process_time()
    volumes = plan_volumes("1", slices).volumes
    assert time.process_time() - start < 5
    assert len(volumes) == 3
    assert math.isclose(volumes[0].distances[-1], 2499)
