"""Slices at one place of a volume, on which their pixels decide."""

import pytest

from dicom_preprocessing.imaging.stacking import resolve_duplicates
from tests.unit.imaging.stacking.series import axial, only_volume, stack


def resolve(slices, pixels, **policies):
    """Pixels are named by letters, one for each slice in the order of the pages."""
    volume = only_volume(slices, **policies)
    by_name = {s.name: p for s, p in zip(volume.slices, pixels, strict=True)}
    return resolve_duplicates(volume, lambda s: by_name[s.name])


def test_volume_without_them_stays_as_it_is():
    volume = only_volume(stack(0, 3, 6))
    assert resolve_duplicates(volume, None) == (volume, ())


@pytest.mark.parametrize("policy", ["fail", "first"])
def test_of_slices_with_the_same_pixels_the_first_is_the_page(policy):
    slices = stack(0, 3, 3, 6)
    volume, dropped = resolve(slices, "abbc", duplicate_position=policy)
    assert volume.slices == (*slices[:2], slices[3])
    assert (volume.distances, volume.findings) == ((0, 3, 6), ())
    (repeating,) = dropped
    assert (repeating.slice, repeating.error) == (slices[2], "duplicate")
    assert repeating.message == f"same position and pixels as {slices[1].name}"


def test_pixels_that_are_not_at_one_place_do_not_count():
    volume, dropped = resolve(stack(0, 3, 3, 6), "aaba", duplicate_position="fail")
    assert (len(volume.slices), dropped) == (4, ())


def test_slices_with_other_pixels_fail():
    slices = stack(0, 3, 3, 6)
    volume, dropped = resolve(slices, "abcd")
    assert (volume.slices, dropped) == (tuple(slices), ())
    assert "2 at 3 mm; no attribute parts them into volumes with each position once" in volume.error


def test_message_is_about_the_places_that_remain():
    volume, dropped = resolve(stack(0, 0, 3, 3, 3), "aabcc")
    assert volume.distances == (0, 3, 3)
    assert "position along the normal: 2 at 3 mm; no" in volume.error
    assert [d.error for d in dropped] == ["duplicate", "duplicate"]


def test_first_takes_the_first_with_a_warning():
    slices = stack(0, 3, 3, 3, 6)
    volume, dropped = resolve(slices, "abccd", duplicate_position="first")
    assert volume.distances == (0, 3, 6)
    assert volume.slices[1] == slices[1]
    (finding,) = volume.findings
    assert finding.warning.code == "stack_duplicate_position"
    assert finding.message.endswith("the first of them is taken")
    reason = "stack: duplicate_position (not the first at its position)"
    assert {d.slice.name: (d.error, d.message) for d in dropped} == {
        slices[2].name: ("not_selected", reason),
        slices[3].name: ("duplicate", f"same position and pixels as {slices[2].name}"),
    }


def test_same_pixels_shifted_in_plane_are_another_slice():
    volume, dropped = resolve([axial(0), axial(3), axial(3, x=10)], "abb")
    assert (len(volume.slices), dropped) == (3, ())
    assert "2 at 3 mm (10 mm apart in plane)" in volume.error


def test_other_findings_stay():
    volume, _ = resolve(stack(0, 3, 3, 6, 12), "abbcd")
    assert [f.verdict for f in volume.findings] == ["gap"]


def test_pixels_are_asked_for_only_where_they_decide():
    asked = []

    def pixels_of(s):
        asked.append(s.position[2])
        return s.name

    resolve_duplicates(only_volume(stack(0, 3, 3, 6)), pixels_of)
    assert asked == [3, 3]


def test_number_and_name_of_the_volume_stay():
    before = only_volume(slices := stack(0, 3, 3))
    after, _ = resolve(slices, "abb")
    assert (after.number, after.volume_id) == (before.number, before.volume_id)
