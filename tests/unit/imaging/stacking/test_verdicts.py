"""What is irregular in a volume, and what each policy makes of it."""

import math

import pytest

from tests.unit.imaging.stacking.series import (
    axial,
    made,
    only_volume,
    plan,
    stack,
    turned,
    verdicts_of,
    volumes_of,
)


def finding_of(slices, **policies):
    (finding,) = only_volume(slices, **policies).findings
    return finding


def test_even_volume_has_no_findings():
    volume = only_volume(stack(*range(0, 30, 3)))
    assert (volume.findings, volume.error, volume.repeated) == ((), "", ())


class TestGap:
    SLICES = (0, 3, 6, 12, 15)

    def test_volume_fails(self):
        volume = only_volume(stack(*self.SLICES))
        assert volume.error == (
            "gap: slices seem to be missing along the normal, where the usual step is 3 mm: from 6 "
            "to 12 mm (2 steps)"
        )
        assert volume.findings[0].warning is None

    def test_warn_leaves_the_volume_with_a_warning(self):
        volume = only_volume(stack(*self.SLICES), gap="warn")
        assert (volume.error, volume.distances) == ("", self.SLICES)
        assert volume.findings[0].warning.code == "stack_gap"

    def test_split_makes_volumes_of_their_own(self):
        slices = stack(*self.SLICES)
        assert volumes_of(slices, gap="split") == [[0, 3, 6], [12, 15]]
        assert [v.number for v in plan(slices, gap="split").volumes] == [1, 2]
        assert all(v.findings == () for v in plan(slices, gap="split").volumes)

    def test_split_at_two_gaps_makes_three(self):
        slices = stack(0, 3, 6, 9, 15, 18, 27, 30)
        assert volumes_of(slices, gap="split") == [[0, 3, 6, 9], [15, 18], [27, 30]]

    def test_split_of_a_volume_without_a_gap_makes_one(self):
        assert volumes_of(stack(0, 3, 6), gap="split") == [[0, 3, 6]]

    def test_split_goes_by_the_usual_step_of_each_part(self):
        """Beside steps of 4, two of 2 are uneven; by themselves, 4 is a gap among steps of 2."""
        slices = stack(0, 4, 8, 12, 16, 32, 34, 36, 40)
        assert volumes_of(slices, gap="split") == [[0, 4, 8, 12, 16], [32, 34, 36], [40]]

    def test_slices_at_one_position_stay_together_in_a_split(self):
        slices = stack(0, 3, 6, 12, 12, 15)
        assert volumes_of(slices, gap="split") == [[0, 3, 6], [12, 12, 15]]

    @pytest.mark.parametrize("step", [5.71, 6.29, 8.6, 9.4, 300])
    def test_step_within_5_percent_of_a_multiple_is_a_gap(self, step):
        assert ("gap", "fail") in verdicts_of(stack(0, 3, 6, 9, 9 + step))

    @pytest.mark.parametrize("step", [5.69, 6.31, 8.5, 4.5])
    def test_step_between_multiples_is_uneven(self, step):
        assert verdicts_of(stack(0, 3, 6, 9, 9 + step)) == [("uneven", "warn")]

    def test_message_lists_a_few_of_many(self):
        places = [z for k in range(5) for z in (30 * k, 30 * k + 3, 30 * k + 6)]
        message = finding_of(stack(*places)).message
        assert message.endswith(
            ": from 6 to 30 mm (8 steps); from 36 to 60 mm (8 steps); from 66 to 90 mm (8 steps); "
            "and 1 more"
        )


class TestUneven:
    def test_step_that_differs_by_half_a_percent_is_even(self):
        assert verdicts_of(stack(0, 3, 6, 9, 12.015)) == []

    def test_step_that_differs_by_16_percent_warns(self):
        finding = finding_of(stack(0, 3, 6, 9, 12.48))
        assert finding.warning.code == "stack_uneven"
        assert finding.message == (
            "1 step along the normal differs from the usual one of 3 mm: 3.48 mm from 9 to 12.48 mm"
        )

    def test_smaller_step_is_uneven_too(self):
        assert verdicts_of(stack(0, 3, 6, 9, 10)) == [("uneven", "warn")]

    def test_fail(self):
        volume = only_volume(stack(0, 3, 6, 9, 12.48, 16), uneven="fail")
        assert volume.error.startswith("uneven: 2 steps along the normal differ from the usual one")

    def test_positions_rounded_to_a_hundredth_of_a_millimetre_are_even(self):
        slices = stack(*(round(0.625 * i, 2) for i in range(200)))
        assert verdicts_of(slices) == []

    def test_thin_slices_are_uneven_above_a_hundredth_of_a_millimetre(self):
        assert verdicts_of(stack(0, 0.5, 1, 1.5, 2.02)) == [("uneven", "warn")]

    def test_gap_and_uneven_steps_are_both_found(self):
        slices = stack(0, 3, 6, 9, 15, 16)
        assert verdicts_of(slices) == [("gap", "fail"), ("uneven", "warn")]
        assert only_volume(slices, uneven="fail").error.count("; uneven: ") == 1


class TestTilt:
    STEP = 3 * math.tan(math.radians(13.5))

    def test_gantry_tilt_warns(self):
        finding = finding_of([axial(3 * i, y=self.STEP * i) for i in range(10)])
        assert finding.warning.code == "stack_tilt"
        assert finding.message.startswith(
            "positions are up to 13.5 degrees off the normal of the slices, as with a tilted gantry"
        )

    def test_fail(self):
        volume = only_volume([axial(3 * i, y=self.STEP * i) for i in range(10)], tilt="fail")
        assert volume.error.startswith("tilt: positions are up to 13.5 degrees off")

    def test_slice_shifted_in_plane_is_found_with_its_place(self):
        finding = finding_of([axial(3 * i, x=4.0 if i == 5 else 0.0) for i in range(10)])
        assert finding.verdict == "tilt"
        assert "53.1 degrees" in finding.message
        assert "shifted in plane by 4 mm from 12 to 15 mm" in finding.message

    @pytest.mark.parametrize(("degrees", "found"), [(0.4, []), (0.6, [("tilt", "warn")])])
    def test_half_a_degree_is_the_limit(self, degrees, found):
        shift = math.tan(math.radians(degrees))
        assert verdicts_of([axial(5 * i, x=5 * i * shift) for i in range(10)]) == found

    def test_small_tilt_of_thin_slices_is_found_over_the_whole_volume(self):
        shift = 0.5 * math.tan(math.radians(1))
        assert verdicts_of([axial(0.5 * i, x=shift * i) for i in range(100)]) == [("tilt", "warn")]

    def test_oblique_slices_are_not_tilted(self):
        angle = math.radians(20)
        step = (0.0, -math.sin(angle), math.cos(angle))
        slices = [made(tuple(0.7 * i * s for s in step), turned(20)) for i in range(50)]
        assert verdicts_of(slices) == []

    def test_rounding_of_oblique_positions_is_no_tilt(self):
        angle = math.radians(20)
        step = (0.0, -math.sin(angle), math.cos(angle))
        slices = [made(tuple(round(0.7 * i * s, 2) for s in step), turned(20)) for i in range(50)]
        assert ("tilt", "warn") not in verdicts_of(slices)


class TestDuplicatePosition:
    def test_volume_fails_unless_pixels_decide_otherwise(self):
        volume = only_volume(stack(0, 3, 3, 6))
        assert volume.error == (
            "duplicate_position: several slices are at one position along the normal: 2 at 3 mm; "
            "no attribute parts them into volumes with each position once"
        )

    def test_slices_of_each_place_are_listed(self):
        slices = stack(0, 0, 3, 6, 6)
        assert only_volume(slices).repeated == (tuple(slices[:2]), tuple(slices[3:]))

    def test_message_says_how_far_slices_are_apart_in_plane(self):
        message = finding_of([axial(0), axial(3), axial(3, x=40, y=30), axial(6)]).message
        assert "2 at 3 mm (50 mm apart in plane)" in message

    def test_usual_step_is_between_positions_and_not_between_slices(self):
        assert verdicts_of(stack(*[0, 3, 6, 9] * 3)) == [("duplicate_position", "fail")]

    def test_first_warns(self):
        finding = finding_of(stack(0, 3, 3, 6), duplicate_position="first")
        assert (finding.is_failure, finding.warning.code) == (False, "stack_duplicate_position")

    def test_all_slices_at_one_position_are_found(self):
        assert verdicts_of(stack(5, 5, 5)) == [("duplicate_position", "fail")]
