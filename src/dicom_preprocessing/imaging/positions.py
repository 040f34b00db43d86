"""Where slices lie along their common normal, and how far apart; pure functions of numbers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

POSITION_TOLERANCE = 1e-4
"""Positions that differ by less, in mm, are one: noise must not decide the order of frames."""


def distances_along_normal(
    positions: Sequence[Sequence[float]], orientation: Sequence[float]
) -> list[float] | None:
    """Return the distance of each position along the slice normal.

    Parameters
    ----------
    positions : sequence of (x, y, z)
        Image Position (Patient), mm.
    orientation : (6,)
        Image Orientation (Patient).

    Returns
    -------
    list of float or None
        In mm; positions within POSITION_TOLERANCE have the same. None where a distance is not
        finite.
    """
    # PS3.3 C.7.6.2.1.1: direction cosines of the row, then of the column; their cross product is
    # the normal. An axis of the patient would do for slices at right angles to it only.
    with np.errstate(all="ignore"):
        normal = np.cross(orientation[:3], orientation[3:])
        distances = [float(np.dot(normal, p)) for p in positions]
    return merge_close(distances) if all(map(math.isfinite, distances)) else None


def merge_close(along: list[float]) -> list[float]:
    """Make neighbours within the tolerance equal, so that noise does not decide the order."""
    # By gaps between neighbours: rounding to a grid separates positions on both sides of a step.
    distances = np.array(along)
    order = np.argsort(distances, kind="stable")
    ascending = distances[order]
    starts = np.diff(ascending, prepend=-np.inf) > POSITION_TOLERANCE
    merged = np.empty_like(distances)
    merged[order] = ascending[starts][np.cumsum(starts) - 1]
    return [float(value) for value in merged]


def median_step(along: Sequence[float]) -> float | None:
    """Return the median distance of neighbours in mm, None if all positions are equal."""
    # The median, since one missing slice must not change the spacing of all.
    steps = _sort_steps(along)
    if not steps:
        return None
    half = len(steps) // 2  # np.median imports numpy.ma, which takes longer than a small image
    median = steps[half] if len(steps) % 2 else (steps[half - 1] + steps[half]) / 2
    return round(float(median), 6)


def usual_step(along: Sequence[float]) -> float | None:
    """Return the step by which others are judged in mm, None if all positions are equal.

    The median, and of an even number of steps the smaller one in the middle: of slices at 0, 1 and
    3 mm the one at 2 mm is missing, where a mean of 1.5 would make both steps uneven.
    """
    steps = _sort_steps(along)
    return round(float(steps[(len(steps) - 1) // 2]), 6) if steps else None


def _sort_steps(along: Sequence[float]) -> list[float]:
    return sorted(after - before for before, after in pairwise(sorted(set(along))))
