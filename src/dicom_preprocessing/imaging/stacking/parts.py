"""Parts of a series: slices of one size, orientation and frame of reference."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dicom_preprocessing.imaging.stacking.slices import make_orthonormal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dicom_preprocessing.imaging.stacking.slices import Slice

Orientation = tuple[float, ...]

ORIENTATION_TOLERANCE: Final = 1e-3
"""Difference of direction cosines that are one, each."""

ROUNDING: Final = 1e-9
"""Of a difference that is exactly the tolerance in decimal numbers."""

MOST_SINGLES: Final = 2
"""Slices each of a Frame of Reference of its own, up to which that may be so."""

ORIENTATION_DIGITS: Final = 2
"""Decimal digits of the cosines by which a volume is named."""


class PartKey(NamedTuple):
    """What the slices of a part have in common; ``orientation`` is that of the first of them."""

    is_placed: bool
    is_localizer: bool
    frame_of_reference_uid: str
    rows: int
    columns: int
    samples_per_pixel: int
    orientation: Orientation | None

    def as_record(self) -> list[Any]:
        """Plain values, to which noise of the orientation makes no difference."""
        rounded = None
        if self.orientation is not None:
            # 0.0 is added, since -0.0 is another text.
            rounded = [round(value, ORIENTATION_DIGITS) + 0.0 for value in self.orientation]
        return [*self[:-1], rounded]


class Part(NamedTuple):
    """A part of a series, with its slices in the order in which they were given."""

    key: PartKey
    slices: list[Slice]


def part_by_geometry(slices: Iterable[Slice]) -> list[Part]:
    """Part the slices of a series by all that the slices of a volume have in common.

    Localizers, and slices without position or orientation, are never in a part with others.
    """
    slices = list(slices)
    frames_of_reference = find_frames_of_reference(slices)
    references = group_orientations(s.orientation for s in slices if s.orientation is not None)
    parts = defaultdict(list)
    for s in slices:
        reference = None if s.orientation is None else references.get(s.orientation)
        key = PartKey(
            is_placed=reference is not None and s.usable_position is not None,
            is_localizer=s.is_localizer,
            frame_of_reference_uid=frames_of_reference[s],
            rows=s.rows,
            columns=s.columns,
            samples_per_pixel=s.samples_per_pixel,
            orientation=reference,
        )
        parts[key].append(s)
    return [Part(*item) for item in parts.items()]


def find_frames_of_reference(slices: Sequence[Slice]) -> Mapping[Slice, str]:
    """Return the Frame of Reference UID of each slice of a series, as far as it can be meant.

    Where no two slices share one, as some tools write them that remove identities, there is none
    for any. Slices that lack one have that of the others, if these share one.
    """
    counts = Counter(s.frame_of_reference_uid for s in slices if s.frame_of_reference_uid)
    if len(counts) > MOST_SINGLES and max(counts.values()) == 1:
        return dict.fromkeys(slices, "")
    shared = next(iter(counts)) if len(counts) == 1 else ""
    return {s: s.frame_of_reference_uid or shared for s in slices}


def group_orientations(orientations: Iterable[Orientation]) -> Mapping[Orientation, Orientation]:
    """Return the first orientation within the tolerance, in ascending order, for each usable one.

    So orientations of one group differ from its first by no more than the tolerance, and a chain of
    small differences does not lead from one orientation to any other.
    """
    usable = sorted(o for o in set(orientations) if make_orthonormal(o) is not None)
    references: dict[Orientation, Orientation] = {}
    cosines = np.array(usable)
    firsts = [orientation[0] for orientation in usable]
    for index, first in enumerate(usable):
        if first in references:
            continue
        # The first component ascends, which ends the search.
        end = bisect_right(firsts, first[0] + ORIENTATION_TOLERANCE + ROUNDING)
        near = np.abs(cosines[index:end] - cosines[index]).max(axis=1)
        for offset in np.flatnonzero(near <= ORIENTATION_TOLERANCE + ROUNDING):
            references.setdefault(usable[index + int(offset)], first)
    return references


def is_one_orientation(orientations: Sequence[Orientation]) -> bool:
    """Whether all are within the tolerance of the first."""
    differences = np.abs(np.array(orientations) - orientations[0])
    return bool((differences <= ORIENTATION_TOLERANCE + ROUNDING).all())
