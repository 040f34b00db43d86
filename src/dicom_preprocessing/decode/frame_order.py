"""Order and spacing of the frames of a multi-frame object."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.dicom.frame_offsets import is_transverse
from dicom_preprocessing.dicom.spacing import SAME_SPACING
from dicom_preprocessing.imaging.positions import (
    distances_along_normal,
    median_step,
    merge_close,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_preprocessing.dicom.attribute import Attribute
    from dicom_preprocessing.dicom.description import Description, FunctionalGroups

OFFSET_TOLERANCE = 0.01
"""Difference of two statements about one position in mm that is rounding."""
PARALLEL: Final = 1e-3
"""Difference of the direction cosines of frames up to which these are parallel."""

# Attributes of which several values in one object mean several volumes, with their macros.
VOLUME_ATTRIBUTES: Final[tuple[tuple[str, Callable[[FunctionalGroups], Attribute]], ...]] = (
    ("FrameContentSequence", attrgetter("stack_id")),
    ("FrameContentSequence", attrgetter("temporal_position_index")),
    ("MREchoSequence", attrgetter("effective_echo_time")),
    ("MRDiffusionSequence", attrgetter("diffusion_b_value")),
)


@dataclass(frozen=True, slots=True)
class FrameOrder:
    """Order and spacing of the frames of an object along their z axis.

    Parameters
    ----------
    order : tuple of int
        Indices of stored frames.
    spacing : float or None
        The usual step in mm, None where unknown.
    is_one_volume : bool
        Whether there is one z axis; else frames stay in stored order.
    distances : tuple of float or None
        Of each frame of ``order`` along the slice normal, or against it where the order goes that
        way, in mm; None where unknown, for a single frame, and without one z axis. They ascend
        unless indices order frames in a way that is not that of their positions.
    """

    order: tuple[int, ...]
    spacing: float | None
    is_one_volume: bool
    distances: tuple[float, ...] | None = None


def frame_order(description: Description, n_frames: int) -> FrameOrder:
    """Order frames by dimension indices, else in-stack position, else geometry, else as stored.

    Frames of several volumes in one object stay in stored order. Geometry orders frames only if
    they are parallel.
    """
    stored = tuple(range(n_frames))
    if n_frames == 1:
        return FrameOrder(stored, description.spacing_between_slices(), is_one_volume=True)
    along = _measure_distances(description, n_frames)
    spacing = slice_step(along, description.spacing_between_slices())
    # Ordered by position, frames of two volumes would alternate.
    if not _is_one_volume(description, along):
        return FrameOrder(stored, spacing, is_one_volume=False)
    # The normal of one is not that of the others.
    if find_different_orientations(description, n_frames) is not None:
        along, spacing = None, description.spacing_between_slices()
    if along is None and find_different_steps(description, n_frames) is not None:
        spacing = None
    indices = [groups.dimension_index_values.numbers() for groups in description.frames]
    in_stack = [groups.in_stack_position_number.numbers() for groups in description.frames]
    # Dimension indices are the order that the writer intends (PS3.3 C.7.6.17).
    by_source = {
        "DimensionIndexValues": _sort_indices(_keep_if_complete(indices, n_frames)),
        "InStackPositionNumber": _sort_indices(_keep_if_complete(in_stack, n_frames)),
        "position": _sort_indices(along),
    }
    order = decide("frame_order", by_source).value or stored
    distances = None if along is None else measure_in_order([along[index] for index in order])
    return FrameOrder(order, spacing, is_one_volume=True, distances=distances)


def find_different_orientations(
    description: Description, count: int
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return two orientations of frames that are not parallel, None if all are."""
    read = description.orientations
    return description.find_different("image_orientation_patient", read, count, _are_parallel)


def find_different_steps(description: Description, count: int) -> tuple[float, float] | None:
    """Return two values of Spacing Between Slices that differ, None if there is one."""
    read = description.spacings_between_slices
    return description.find_different("spacing_between_slices", read, count, _are_same_steps)


def _are_parallel(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) <= PARALLEL for a, b in zip(one, other, strict=True))


def _are_same_steps(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=SAME_SPACING)


def _sort_indices(keys: Sequence[Any] | None) -> tuple[int, ...] | None:
    """Return the indices of frames in the order of their keys."""
    return None if keys is None else tuple(sorted(range(len(keys)), key=keys.__getitem__))


def _keep_if_complete(
    keys: list[tuple[float, ...]], n_frames: int
) -> list[tuple[float, ...]] | None:
    """Return the keys if every frame has one, all have one length, and no two are equal."""
    lengths = {len(key) for key in keys}
    # Comparisons with NaN are false, so that sorting would give any order.
    if any(math.isnan(number) for key in keys for number in key):
        return None
    if len(keys) != n_frames or len(lengths) != 1 or 0 in lengths or len(set(keys)) != n_frames:
        return None
    return keys


def _measure_distances(description: Description, n_frames: int) -> list[float] | None:
    """Return the distance of each frame along the slice normal in mm, None unless all have one."""
    first = description.orientations(n_frames)[0]
    offsets = description.frame_offsets(n_frames)
    if offsets is not None and (first is None or None in description.positions(n_frames)):
        return merge_close(list(offsets))
    positions = distinct_positions(description, n_frames)
    if first is None or positions is None:
        return None
    return distances_along_normal(positions, first)


def distinct_positions(description: Description, n_frames: int) -> list[tuple[float, ...]] | None:
    """Return Image Position (Patient) of each stored frame in mm, None unless all have their own.

    One position at the top level is of the object, and says nothing about its frames.
    """
    positions = description.positions(n_frames)
    known = [p for p in positions if p is not None]
    if len(known) < n_frames or (n_frames > 1 and len(set(known)) == 1):
        return None
    return known


def measure_in_order(along: Sequence[float]) -> tuple[float, ...]:
    """Return distances along the order of their frames: with the other sign if they descend."""
    if along[0] > along[-1] and all(after <= before for before, after in pairwise(along)):
        return tuple(0.0 - distance for distance in along)  # no -0.0
    return tuple(along)


def find_offset_faults(description: Description, count: int) -> Iterator[str]:
    """Yield how the offsets contradict the ``count`` frames or the position of the object."""
    vector = description.grid_frame_offset_vector
    if vector.is_empty or count == 1:
        return
    offsets = description.frame_offsets(count)
    if offsets is None:
        yield (
            f"Grid Frame Offset Vector is not {count} numbers, one for each frame: it is ignored"
        )
        return
    position, orientation = description.top.position(), description.top.orientation()
    if position is None or orientation is None or offsets[0] == 0:
        return
    if not is_transverse(orientation):
        yield (
            f"Grid Frame Offset Vector starts at {offsets[0]:g}, and slices are not transverse: "
            "it counts from its first value"
        )
    elif abs(offsets[0] - position[2]) > OFFSET_TOLERANCE:
        yield (
            f"Grid Frame Offset Vector starts at {offsets[0]:g}, neither 0 nor {position[2]:g}, "
            "the z of Image Position (Patient): it is taken for z"
        )


def slice_step(along: Sequence[float] | None, stated: float | None) -> float | None:
    """Return the distance of slices in mm: the median step of positions, else ``stated``."""
    measured = median_step(along) if along is not None else None
    return decide("slice_step", {"position": measured, "SpacingBetweenSlices": stated}).value


def _is_one_volume(description: Description, along: list[float] | None) -> bool:
    """Whether all frames are of one stack, time, echo and b-value, each at its own position."""
    for macro, attribute_of in VOLUME_ATTRIBUTES:
        having = [groups for groups in description.frames if macro in groups.macros]
        # As text, which is the same whatever the value representation is.
        if len({attribute_of(groups).joined_text() for groups in having}) > 1:
            return False
    return along is None or len(set(along)) == len(along)
