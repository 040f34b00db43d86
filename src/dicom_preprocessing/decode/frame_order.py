"""Order and spacing of the frames of a multi-frame object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.dicom import attributes
from dicom_preprocessing.dicom.attributes import group_items, numbers_of, per_frame
from dicom_preprocessing.dicom.reading import value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom.dataset import Dataset

POSITION_TOLERANCE = 1e-4
"""Positions closer than this, in mm, are one."""

# Attributes of which several values in one object mean several volumes, with their macros.
VOLUME_ATTRIBUTES = (
    ("FrameContentSequence", "StackID"),
    ("FrameContentSequence", "TemporalPositionIndex"),
    ("MREchoSequence", "EffectiveEchoTime"),
    ("MRDiffusionSequence", "DiffusionBValue"),
)


@dataclass(frozen=True, slots=True)
class FrameOrder:
    """How the frames of an object stand along their z axis.

    ``order`` lists stored frame numbers; ``spacing`` is in mm, None where unknown.
    """

    order: tuple[int, ...]
    spacing: float | None
    is_one_volume: bool


def frame_order(data_set: Dataset, n_frames: int) -> FrameOrder:
    """Order by dimension indices, else in-stack position, else geometry, else as stored.

    Several volumes in one object stay in stored order.
    """
    stored = tuple(range(n_frames))
    if n_frames == 1:
        return FrameOrder(stored, _stated_spacing(data_set, 1), is_one_volume=True)
    along = _positions(data_set, n_frames)
    spacing = median_step(along) if along is not None else None
    spacing = spacing if spacing is not None else _stated_spacing(data_set, n_frames)
    if not _is_one_volume(data_set, along):
        return FrameOrder(stored, spacing, is_one_volume=False)
    content = group_items(data_set, "FrameContentSequence")
    keys: Sequence[Any] | None = (
        _complete([_indices(item, "DimensionIndexValues") for item in content], n_frames)
        or _complete([_indices(item, "InStackPositionNumber") for item in content], n_frames)
        or along
    )
    order = stored if keys is None else tuple(sorted(stored, key=lambda i: keys[i]))
    return FrameOrder(order, spacing, is_one_volume=True)


def _indices(item: Dataset | None, keyword: str) -> tuple[float, ...]:
    return () if item is None else tuple(numbers_of(item, keyword))


def _complete(keys: list[tuple[float, ...]], n_frames: int) -> list[tuple[float, ...]] | None:
    """The keys if every frame has one, all are of one length and no two are equal."""
    lengths = {len(key) for key in keys}
    if len(keys) != n_frames or len(lengths) != 1 or 0 in lengths or len(set(keys)) != n_frames:
        return None
    return keys


def _positions(data_set: Dataset, n_frames: int) -> list[float] | None:
    """Distance of each frame along the slice normal, mm; None unless all frames have it."""
    positions = per_frame(data_set, n_frames, "PlanePositionSequence", attributes.position)
    orientations = per_frame(data_set, n_frames, "PlaneOrientationSequence", attributes.orientation)
    first = orientations[0]
    if first is None or any(p is None for p in positions):
        return None
    if len(set(positions)) == 1:
        return None  # one position at the top level says nothing about the frames
    return along_normal([p for p in positions if p is not None], first)


def along_normal(positions: Sequence[Sequence[float]], orientation: Sequence[float]) -> list[float]:
    """Distance of each position along the slice normal, mm; noise does not tell two apart.

    Parameters
    ----------
    positions : sequence of (x, y, z)
        Image Position (Patient), mm.
    orientation : (6,)
        Image Orientation (Patient).
    """
    normal = np.cross(orientation[:3], orientation[3:])
    return _merged([float(np.dot(normal, p)) for p in positions])


def _merged(along: list[float]) -> list[float]:
    """Neighbours within the tolerance made equal, so that noise does not decide the order."""
    distances = np.array(along)
    order = np.argsort(distances, kind="stable")
    ascending = distances[order]
    starts = np.diff(ascending, prepend=-np.inf) > POSITION_TOLERANCE
    merged = np.empty_like(distances)
    merged[order] = ascending[starts][np.cumsum(starts) - 1]
    return [float(value) for value in merged]


def median_step(along: Sequence[float]) -> float | None:
    """Median distance of neighbours, mm, None where all are at one place."""
    steps = np.diff(np.unique(along))
    return round(float(np.median(steps)), 6) if steps.size else None


def _stated_spacing(data_set: Dataset, n_frames: int) -> float | None:
    found = per_frame(data_set, n_frames, "PixelMeasuresSequence", attributes.slice_spacing)
    return found[0]


def _is_one_volume(data_set: Dataset, along: list[float] | None) -> bool:
    for macro, keyword in VOLUME_ATTRIBUTES:
        items = [item for item in group_items(data_set, macro) if item is not None]
        values = {str(value_of(item, keyword)) for item in items}
        if len(values) > 1:
            return False
    return along is None or len(set(along)) == len(along)
