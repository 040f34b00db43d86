"""Checks of the places of slices: gaps, uneven steps, tilt, several slices at one place, order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dicom_preprocessing.config.stacking import StackPolicies
from dicom_preprocessing.imaging.positions import (
    POSITION_TOLERANCE,
    distances_along_normal,
    usual_step,
)
from dicom_preprocessing.imaging.stacking.findings import WARN, Finding, list_some, show_mm
from dicom_preprocessing.imaging.stacking.parts import ORIENTATION_TOLERANCE, is_one_orientation
from dicom_preprocessing.imaging.stacking.slices import make_orthonormal
from dicom_preprocessing.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.imaging.stacking.slices import Slice

GAP_TOLERANCE: Final = 0.05
"""Part of a multiple of the usual step by which a gap may differ from it."""

STEP_TOLERANCE: Final = 0.01
"""Part of the usual step by which another one may differ from it."""

STEP_ROUNDING: Final = 0.01
"""Difference of steps, mm, that is rounding of positions whatever the usual step is."""

ROUNDING: Final = 1e-9
"""Of a difference that is exactly a tolerance in decimal numbers."""

MAX_TILT: Final = 0.5
"""Degrees off the normal."""

SHIFT_ROUNDING: Final = 0.02
"""Shift in plane, mm, that is rounding: of two positions in steps of 0.01 mm, in three axes."""


ONLY_WARN: Final = StackPolicies(gap=WARN, uneven=WARN, duplicate_position=WARN, tilt=WARN)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where slices are. Checks need them in ascending order along the normal.

    Parameters
    ----------
    distances : (n,) sequence of float
        Along the normal, mm; noise is removed, so that slices at one place have the same.
    shifts : (n, 2) float
        In the plane of the slices, along rows and columns, mm.
    """

    distances: Sequence[float]
    shifts: NDArray[Any]

    def take(self, indices: Sequence[int]) -> Places:
        """The places of some of the slices."""
        return Places([self.distances[i] for i in indices], self.shifts[list(indices)])


def measure_places(slices: Sequence[Slice], orientation: Sequence[float] | None) -> Places | None:
    """Measure slices with usable positions along the normal of an orientation, in their order."""
    axes = make_orthonormal(orientation)
    positions = [s.usable_position for s in slices]
    known = [position for position in positions if position is not None]
    if axes is None or len(known) < len(positions):
        return None
    distances = distances_along_normal(known, axes)
    if distances is None:
        return None
    return Places(distances, np.array(known, np.float64) @ np.reshape(axes, (2, 3)).T)


class Gap(NamedTuple):
    """A step of a multiple of the usual one, between places in mm."""

    before: float
    after: float
    times: int


def find_gaps(distances: Sequence[float]) -> list[Gap]:
    """Find steps within ``GAP_TOLERANCE`` of twice the usual one or more, in ascending order."""
    usual = usual_step(distances)
    if usual is None:
        return []
    return [
        Gap(before, after, times)
        for before, after in pairwise(sorted(set(distances)))
        if (times := _count_steps(after - before, usual)) > 1
    ]


def _count_steps(step: float, usual: float) -> int:
    """Return how many usual steps a step is, 1 unless it is about a multiple of them."""
    times = round(step / usual)
    return times if abs(step - times * usual) <= GAP_TOLERANCE * times * usual + ROUNDING else 1


def split_at_gaps(distances: Sequence[float]) -> list[tuple[int, int]]:
    """Return start and end of each run of ascending distances without a gap, in their order."""
    runs, ahead = [], [(0, len(distances))]
    while ahead:
        start, stop = ahead.pop()
        # The usual step of a run may be smaller than that of all.
        ends = {gap.after for gap in find_gaps(distances[start:stop])}
        inner = [i for i in range(start + 1, stop) if distances[i] in ends]
        cuts = [i for i in inner if distances[i - 1] != distances[i]]
        if cuts:
            ahead += reversed(list(pairwise((start, *cuts, stop))))
        else:
            runs.append((start, stop))
    return runs


def check_places(places: Places, policies: StackPolicies) -> tuple[Finding, ...]:
    """Find what is irregular in a volume, in the order of the verdicts."""
    found = {
        "gap": describe_gaps(places.distances),
        "uneven": _describe_uneven_steps(places.distances),
        "duplicate_position": describe_repeated(places),
        "tilt": _describe_tilt(places),
    }
    return tuple(
        Finding(verdict, getattr(policies, verdict), text)
        for verdict, text in found.items()
        if text
    )


def describe_gaps(distances: Sequence[float]) -> str:
    """Say where slices seem to be missing, empty if none are."""
    gaps = find_gaps(distances)
    if not gaps:
        return ""
    usual = show_mm(usual_step(distances) or 0)
    shown = [f"from {show_mm(g.before)} to {show_mm(g.after)} mm ({g.times} steps)" for g in gaps]
    return (
        f"slices seem to be missing along the normal, where the usual step is {usual} mm: "
        f"{list_some(shown)}"
    )


def _describe_uneven_steps(distances: Sequence[float]) -> str:
    usual = usual_step(distances)
    if usual is None:
        return ""
    uneven = [
        (before, after)
        for before, after in pairwise(sorted(set(distances)))
        if _count_steps(after - before, usual) <= 1 and _is_uneven(after - before, usual)
    ]
    if not uneven:
        return ""
    shown = [
        f"{show_mm(after - before)} mm from {show_mm(before)} to {show_mm(after)} mm"
        for before, after in uneven
    ]
    return (
        f"{plural(len(uneven), 'step')} along the normal "
        f"{'differs' if len(uneven) == 1 else 'differ'} from the usual one of {show_mm(usual)} mm: "
        f"{list_some(shown)}"
    )


def _is_uneven(step: float, usual: float) -> bool:
    return abs(step - usual) > max(STEP_TOLERANCE * usual, STEP_ROUNDING) + ROUNDING


def group_places(distances: Sequence[float]) -> Iterator[list[int]]:
    """Yield the indices of slices at one place, for each place of ascending distances."""
    for _, members in groupby(range(len(distances)), key=distances.__getitem__):
        yield list(members)


def describe_repeated(places: Places) -> str:
    """Say which places have several slices, empty if none has."""
    groups = [group for group in group_places(places.distances) if len(group) > 1]
    shown = list_some([_describe_group(places, group) for group in groups])
    return shown and f"several slices are at one position along the normal: {shown}"


def _describe_group(places: Places, group: Sequence[int]) -> str:
    text = f"{len(group)} at {show_mm(places.distances[group[0]])} mm"
    shift = float(np.hypot(*(places.shifts[group] - places.shifts[group[0]]).T).max())
    return text if shift <= POSITION_TOLERANCE else f"{text} ({show_mm(shift)} mm apart in plane)"


def _describe_tilt(places: Places) -> str:
    """Say where positions leave the normal the most, empty if they do not."""
    firsts = [group[0] for group in group_places(places.distances)]
    along, shifts = np.array(places.distances)[firsts], places.shifts[firsts]
    if len(firsts) == 1:
        return ""
    later = np.arange(1, len(firsts))
    # From slice to slice a single shifted one is found, and from the first one a small tilt, which
    # between thin slices is less than rounding.
    starts = np.concatenate([later - 1, np.zeros_like(later)])
    ends = np.concatenate([later, later])
    aside = np.hypot(*(shifts[ends] - shifts[starts]).T)
    angles = np.degrees(np.arctan2(aside, along[ends] - along[starts]))
    angles[aside <= SHIFT_ROUNDING] = 0
    worst = int(np.argmax(angles))
    if angles[worst] <= MAX_TILT:
        return ""
    return (
        f"positions are up to {angles[worst]:.3g} degrees off the normal of the slices, as with a "
        f"tilted gantry: shifted in plane by {show_mm(float(aside[worst]))} mm from "
        f"{show_mm(float(along[starts[worst]]))} to {show_mm(float(along[ends[worst]]))} mm along "
        "the normal"
    )


def check_order(slices: Sequence[Slice]) -> tuple[Finding, ...]:
    """Check slices that stay in the given order: every finding only warns.

    Returns
    -------
    tuple of Finding
        Those of ``plan_volumes`` about places, and ``orientation`` where slices are not parallel or
        ``order`` where their positions go to and fro.
    """
    if len(slices) < 2:  # noqa: PLR2004  # nothing to compare
        return ()
    known = [s.orientation for s in slices if s.orientation is not None and s.is_placed]
    places = measure_places(slices, known[0]) if len(known) == len(slices) else None
    if places is None:
        return (describe_missing(len(slices) - len(known), len(slices)),)
    if not is_one_orientation(known):
        text = (
            "slices are not parallel: Image Orientation (Patient) differs by more than "
            f"{ORIENTATION_TOLERANCE:g}"
        )
        return (Finding("orientation", WARN, text),)
    order = sorted(range(len(slices)), key=places.distances.__getitem__)
    found = check_places(places.take(order), ONLY_WARN)
    reversals = _describe_reversals(places.distances)
    return (*found, Finding("order", WARN, reversals)) if reversals else found


def describe_missing(count: int, total: int) -> Finding:
    """The finding that slices have no usable position."""
    text = (
        f"{count} of {plural(total, 'slice')} have no usable Image Position (Patient) and Image "
        "Orientation (Patient): the distances of slices are unknown, and so is whether any is "
        "missing"
    )
    return Finding("no_positions", WARN, text)


def _describe_reversals(distances: Sequence[float]) -> str:
    """Say where distances begin to grow instead of shrinking, or the other way round."""
    moves = [(before, after) for before, after in pairwise(distances) if before != after]
    turns = [
        second[0]
        for first, second in pairwise(moves)
        if math.copysign(1, first[1] - first[0]) != math.copysign(1, second[1] - second[0])
    ]
    if not turns:
        return ""
    shown = [f"{show_mm(turn)} mm" for turn in turns]
    return (
        "slices are not in the order of their positions, whose direction along the normal turns "
        f"at {list_some(shown)}"
    )
