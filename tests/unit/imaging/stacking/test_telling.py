"""Volumes of one geometry, told apart by an attribute where positions repeat."""

import pytest

from tests.unit.imaging.stacking.series import axial, only_volume, plan, stack, volumes_of

PLACES = (0, 3, 6)
ATTRIBUTES = {
    "acquisition_number": ("1", "2"),
    "temporal_position_identifier": ("1", "2"),
    "echo_time": ("10", "80.5"),
    "diffusion_b_value": ("0", "1000"),
    "trigger_time": ("0", "40"),
    "image_type": ("ORIGINAL\\PRIMARY\\M\\ND", "ORIGINAL\\PRIMARY\\P\\ND"),
}


def values_of(slices, field, **policies):
    """The values of an attribute in each volume, in the order of their numbers."""
    return [sorted({getattr(s, field) for s in v.slices}) for v in plan(slices, **policies).volumes]


@pytest.mark.parametrize("field", ATTRIBUTES)
def test_each_value_is_a_volume(field):
    values = ATTRIBUTES[field]
    slices = [axial(z, **{field: value}) for z in PLACES for value in values]
    assert volumes_of(slices) == [list(PLACES)] * 2
    assert values_of(slices, field) == [[value] for value in values]
    assert all(volume.findings == () for volume in plan(slices).volumes)


def test_three_time_points_are_three_volumes():
    slices = [s for time in "123" for s in stack(*PLACES, temporal_position_identifier=time)]
    assert values_of(slices, "temporal_position_identifier") == [["1"], ["2"], ["3"]]


def test_values_are_in_the_order_of_numbers_and_not_of_text():
    slices = [s for b in ("1000", "0", "50") for s in stack(*PLACES, diffusion_b_value=b)]
    assert values_of(slices, "diffusion_b_value") == [["0"], ["50"], ["1000"]]


def test_absent_value_comes_first():
    slices = stack(*PLACES, diffusion_b_value="1000") + stack(*PLACES)
    assert values_of(slices, "diffusion_b_value") == [[""], ["1000"]]


def test_numbers_are_equal_whatever_their_text_is():
    slices = [axial(0, echo_time="10"), axial(3, echo_time="10.0"), *stack(0, 3, echo_time="20")]
    assert values_of(slices, "echo_time") == [["10", "10.0"], ["20"]]


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "x\\y"])
def test_value_that_is_no_number_tells_as_text(value):
    slices = stack(*PLACES, echo_time=value) + stack(*PLACES, echo_time="10")
    assert values_of(slices, "echo_time") == [["10"], [value]]


def test_two_echoes_at_two_times_are_four_volumes():
    slices = [
        axial(z, temporal_position_identifier=time, echo_time=echo)
        for z in PLACES
        for time in "12"
        for echo in ("10", "80")
    ]
    volumes = plan(slices).volumes
    values = [(v.slices[0].temporal_position_identifier, v.slices[0].echo_time) for v in volumes]
    assert values == [("1", "10"), ("1", "80"), ("2", "10"), ("2", "80")]
    assert volumes_of(slices) == [list(PLACES)] * 4


def test_three_attributes_may_be_needed():
    slices = [
        axial(z, acquisition_number=a, echo_time=e, image_type=t)
        for z in PLACES
        for a in "12"
        for e in "12"
        for t in "MP"
    ]
    assert volumes_of(slices) == [list(PLACES)] * 8


def test_the_first_attribute_that_tells_counts():
    slices = [
        axial(z, acquisition_number=a, echo_time=e)
        for z in PLACES
        for a, e in (("1", "80"), ("2", "10"))
    ]
    assert values_of(slices, "acquisition_number") == [["1"], ["2"]]


def test_one_attribute_counts_before_two():
    """By acquisition number and echo the parts would be two as well."""
    slices = [axial(z, echo_time=e, acquisition_number="7") for z in PLACES for e in ("10", "80")]
    assert values_of(slices, "echo_time") == [["10"], ["80"]]


def test_attribute_without_repeated_positions_tells_nothing():
    slices = [axial(z, acquisition_number=str(z), echo_time=str(z % 2)) for z in range(6)]
    assert volumes_of(slices) == [[0, 1, 2, 3, 4, 5]]


def test_attribute_that_differs_from_slice_to_slice_leaves_it_to_another():
    slices = [
        axial(z, acquisition_number=str(number), echo_time=echo)
        for number, (z, echo) in enumerate((z, echo) for z in PLACES for echo in ("10", "80"))
    ]
    assert values_of(slices, "echo_time") == [["10"], ["80"]]


def test_attribute_that_differs_from_slice_to_slice_makes_no_volumes():
    slices = [axial(z, acquisition_number=str(n)) for n, z in enumerate(PLACES * 2)]
    volume = only_volume(slices)
    assert volume.distances == (0, 0, 3, 3, 6, 6)
    assert [f.verdict for f in volume.findings] == ["duplicate_position"]


def test_attribute_that_differs_between_halves_of_a_stack_leaves_it_to_another():
    slices = [
        axial(z, acquisition_number="1" if z < 6 else "2", echo_time=echo)
        for z in (0, 3, 6, 9)
        for echo in ("10", "80")
    ]
    assert values_of(slices, "echo_time") == [["10"], ["80"]]


def test_volume_that_lacks_a_slice_is_told_apart_too():
    slices = stack(0, 3, 6, 9, echo_time="10") + stack(0, 3, 9, echo_time="80")
    first, second = plan(slices).volumes
    assert (first.distances, second.distances) == ((0, 3, 6, 9), (0, 3, 9))
    assert first.error == ""


def test_slice_that_was_sent_twice_does_not_keep_echoes_together():
    slices = [axial(z, echo_time=echo) for z in PLACES for echo in ("10", "80")]
    slices.append(axial(3, echo_time="10"))
    first, second = plan(slices).volumes
    assert (first.distances, second.distances) == ((0, 3, 3, 6), (0, 3, 6))
    assert [f.verdict for f in first.findings] == ["duplicate_position"]
    assert second.findings == ()


def test_directions_of_one_b_value_do_not_keep_others_from_being_told_apart():
    slices = stack(*PLACES, diffusion_b_value="0") + stack(*PLACES * 3, diffusion_b_value="1000")
    first, second = plan(slices).volumes
    assert first.findings == ()
    assert [f.verdict for f in second.findings] == ["duplicate_position"]


def test_positions_that_differ_by_noise_repeat():
    slices = stack(0, 3, 6, echo_time="10") + stack(0.00004, 3.00004, 5.99996, echo_time="80")
    assert volumes_of(slices) == [[0, 3, pytest.approx(5.99996)], [0, 3, pytest.approx(5.99996)]]


def test_positions_shifted_in_plane_repeat():
    slices = stack(0, 3, 6, echo_time="10") + stack(0, 3, 6, echo_time="80", x=0.5)
    assert values_of(slices, "echo_time") == [["10"], ["80"]]


def test_each_slice_of_several_at_one_position_only_is_a_volume():
    slices = [axial(5, trigger_time=str(40 * n)) for n in range(30)]
    assert volumes_of(slices) == [[5]] * 30


TIMES = {0: (0, 40, 80), 3: (2, 41, 83), 6: (1, 44, 79)}
"""Trigger Times of a cine, which differ a little from position to position."""


class TestRank:
    def cine(self, **facts):
        return [axial(z, trigger_time=str(t), **facts) for z, times in TIMES.items() for t in times]

    def test_trigger_times_tell_by_their_rank(self):
        assert volumes_of(self.cine()) == [[0, 3, 6]] * 3
        times = [[s.trigger_time for s in v.slices] for v in plan(self.cine()).volumes]
        assert times == [["0", "2", "1"], ["40", "41", "44"], ["80", "83", "79"]]

    def test_rank_is_of_numbers(self):
        slices = [
            axial(z, trigger_time=t) for z, t in ((0, "9.5"), (0, "100"), (3, "8"), (3, "99"))
        ]
        times = [[s.trigger_time for s in v.slices] for v in plan(slices).volumes]
        assert times == [["9.5", "8"], ["100", "99"]]

    def test_rank_and_another_attribute_tell_together(self):
        slices = self.cine(image_type="M") + self.cine(image_type="P")
        found = plan(slices).volumes
        assert [v.slices[0].image_type for v in found] == ["M"] * 3 + ["P"] * 3
        assert volumes_of(slices) == [[0, 3, 6]] * 6

    def test_missing_time_tells_nothing(self):
        *slices, _ = self.cine()
        assert [f.verdict for f in only_volume(slices).findings] == ["duplicate_position"]

    def test_equal_times_at_one_position_tell_nothing(self):
        slices = [*self.cine()[:-1], axial(6, trigger_time="44", acquisition_number="2")]
        assert "duplicate_position" in [f.verdict for f in only_volume(slices).findings]

    def test_time_that_is_no_number_tells_nothing(self):
        slices = [*self.cine()[:-1], axial(6, trigger_time="late")]
        assert [f.verdict for f in only_volume(slices).findings] == ["duplicate_position"]

    def test_other_attributes_do_not_tell_by_rank(self):
        slices = [axial(z, echo_time=str(t)) for z, times in TIMES.items() for t in times]
        assert [f.verdict for f in only_volume(slices).findings] == ["duplicate_position"]
