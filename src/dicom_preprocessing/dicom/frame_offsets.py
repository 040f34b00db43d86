"""Grid Frame Offset Vector of RT Dose: where the frames of a dose grid lie (PS3.3 C.8.8.3.2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

TRANSVERSE: Final = 0.9
"""Least z component of the normal of slices that offsets along z can separate."""


def frame_positions(
    position: Sequence[float], orientation: Sequence[float], offsets: Sequence[float]
) -> tuple[tuple[float, ...], ...]:
    """Return the position of each frame in mm.

    Parameters
    ----------
    position : (x, y, z)
        Image Position (Patient).
    orientation : (6,)
        Image Orientation (Patient).
    offsets : sequence of float
        Along the normal if the first one is 0, else z of the frames.
    """
    if offsets[0] != 0 and is_transverse(orientation):
        return tuple((*position[:2], z) for z in offsets)
    normal = _find_normal(orientation)
    return tuple(
        tuple(p + (offset - offsets[0]) * n for p, n in zip(position, normal, strict=True))
        for offset in offsets
    )


def is_transverse(orientation: Sequence[float]) -> bool:
    """Whether slices lie across the z axis, so that z tells them apart."""
    return math.fabs(_find_normal(orientation)[2]) > TRANSVERSE


def _find_normal(orientation: Sequence[float]) -> tuple[float, float, float]:
    """Return the cross product of the direction cosines of row and column."""
    a, b, c, d, e, f = orientation
    return b * f - c * e, c * d - a * f, a * e - b * d
