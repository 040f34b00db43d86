"""Slices at one place of a volume, on which their pixels decide."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from dicom_preprocessing.imaging.positions import POSITION_TOLERANCE
from dicom_preprocessing.imaging.stacking.checks import (
    Places,
    describe_repeated,
    group_places,
    measure_places,
)
from dicom_preprocessing.imaging.stacking.findings import FIRST
from dicom_preprocessing.imaging.stacking.volumes import DroppedSlice, drop
from dicom_preprocessing.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from dicom_preprocessing.imaging.stacking.slices import Slice
    from dicom_preprocessing.imaging.stacking.volumes import PlannedVolume

NOT_TOLD_APART = "no attribute parts them into volumes with each position once"


def resolve_duplicates(
    volume: PlannedVolume, pixels_of: Callable[[Slice], Hashable]
) -> tuple[PlannedVolume, tuple[DroppedSlice, ...]]:
    """Take one of the slices of the same pixels at one position, and decide on the others.

    Parameters
    ----------
    volume : PlannedVolume
    pixels_of : callable
        A value for the pixels of a slice, equal only where they are; it is asked for slices that
        are not alone at their place.

    Returns
    -------
    PlannedVolume
        Without slices that repeat another one (duplicate). Those of other pixels at one place are
        dropped (not_selected) if the policy is ``first``; else they stay, with the finding.
    tuple of DroppedSlice
    """
    finding = next((f for f in volume.findings if f.verdict == "duplicate_position"), None)
    if finding is None or volume.distances is None:
        return volume, ()
    kept, dropped = _find_different(volume, pixels_of)
    message = _describe_places(volume, kept)
    if finding.policy == FIRST and message:
        firsts = {group[0] for group in group_places(volume.distances)}
        dropped += [
            drop(volume.slices[i], "duplicate_position", "not the first at its position")
            for i in kept
            if i not in firsts
        ]
        kept = sorted(firsts)
        message += "; the first of them is taken"
    findings = [replace(f, message=message) if f is finding else f for f in volume.findings]
    resolved = replace(
        volume,
        slices=tuple(volume.slices[i] for i in kept),
        distances=tuple(volume.distances[i] for i in kept),
        findings=tuple(f for f in findings if f.message),
    )
    return resolved, tuple(dropped)


def _find_different(
    volume: PlannedVolume, pixels_of: Callable[[Slice], Hashable]
) -> tuple[list[int], list[DroppedSlice]]:
    """Return the indices of slices that repeat no other one, and those that do."""
    different: list[int] = []
    repeating = []
    for group in group_places(volume.distances or ()):
        by_pixels: dict[Hashable, list[int]] = {}
        for i in group:
            s = volume.slices[i]
            alike = by_pixels.setdefault(pixels_of(s) if len(group) > 1 else None, [])
            first = next((f for f in alike if _is_same_position(volume.slices[f], s)), None)
            if first is None:
                alike.append(i)
                different.append(i)
            else:
                name = make_printable(volume.slices[first].name)
                text = f"same position and pixels as {name}"
                repeating.append(DroppedSlice(s, "duplicate", text))
    return different, repeating


def _is_same_position(first: Slice, second: Slice) -> bool:
    """Whether two slices at one place along the normal are not shifted in plane either."""
    positions = first.usable_position, second.usable_position
    if positions[0] is None or positions[1] is None:
        return False
    return math.dist(positions[0], positions[1]) <= POSITION_TOLERANCE


def _describe_places(volume: PlannedVolume, indices: Sequence[int]) -> str:
    """Say which of these slices are at one place, empty if none are."""
    places = measure_places(volume.slices, volume.slices[0].orientation)
    if places is None or volume.distances is None:
        return ""
    text = describe_repeated(Places(volume.distances, places.shifts).take(indices))
    return f"{text}; {NOT_TOLD_APART}" if text else ""
