"""Boxes, polygons and masks carried from one image to another, and what of them is lost.

Points have pixel centres at whole numbers, boxes have pixel edges there: pixel i is the point i,
and the box from i to i + 1. So the point p is p + 0.5 as an edge of a box, and a box of whole
pixels holds the pixels ``image[top:bottom, left:right]``. Polygons are made of points.

What lies outside of the kept part is told by fractions and states, never dropped. These functions
know nothing of geometry: they get a map of points, and the part of the image that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Points = NDArray[np.float64]
    Area = tuple[int, int, int, int]
    """Left, top, right, bottom in whole pixels; right and bottom exclusive."""

INSIDE, PARTLY, OUTSIDE = "inside", "partly", "outside"
TO_EDGE = 0.5
"""From a point to the box coordinate of the same place."""


@dataclass(frozen=True, slots=True, eq=False)
class MappedBoxes:
    """Boxes in another image.

    Parameters
    ----------
    boxes : (n, 4) float64
        Left, top, right, bottom of the part that is kept; NaN where a box is outside.
    unclipped : (n, 4) float64
        Where the whole boxes would be.
    inside : (n,) float64
        Fraction of the area that is kept, 0 to 1.
    state : (n,) str
        inside, partly or outside.
    """

    boxes: NDArray[np.float64]
    unclipped: NDArray[np.float64]
    inside: NDArray[np.float64]
    state: NDArray[np.str_]


@dataclass(frozen=True, slots=True, eq=False)
class MappedPolygon:
    """A polygon in another image.

    Parameters
    ----------
    points : (m, 2) float64
        x, y of the corners of the part that is kept; none where the polygon is outside.
    unclipped : (n, 2) float64
        Where the corners of the whole polygon would be.
    inside : float
        Fraction of the area that is kept, 0 to 1.
    state : str
        inside, partly or outside.
    """

    points: NDArray[np.float64]
    unclipped: NDArray[np.float64]
    inside: float
    state: str


def map_boxes(boxes: ArrayLike, way: Callable[[Points], Points], kept: Area) -> MappedBoxes:
    """Cut boxes to the kept part of their image, and map them.

    Parameters
    ----------
    boxes : (n, 4) array_like
        Left, top, right, bottom, pixel edges at whole numbers. No side may be negative; a box
        without area counts by its length, or as a point.
    way : callable
        Maps (n, 2) points, each axis by itself.
    kept : (left, top, right, bottom)
        The part of the boxes' image that the other image shows.

    Raises
    ------
    ValueError
        Other shapes, values that are not finite, right below left or bottom below top.
    """
    given = checked_boxes(boxes)
    start, end = given[:, :2], given[:, 2:]
    low, high = np.clip(start, kept[:2], kept[2:]), np.clip(end, kept[:2], kept[2:])
    length = end - start
    touching = (start <= kept[2:]) & (end >= kept[:2])
    share = np.where(length > 0, (high - low) / np.where(length > 0, length, 1), touching)
    inside = share.prod(axis=1)
    state = np.full(len(given), PARTLY, dtype="<U7")
    state[inside <= 0] = OUTSIDE
    state[((start >= kept[:2]) & (end <= kept[2:])).all(axis=1)] = INSIDE
    mapped = _map_edges(np.concatenate((low, high), axis=1), way)
    mapped[state == OUTSIDE] = np.nan
    return MappedBoxes(mapped, _map_edges(given, way), inside, state)


def checked_boxes(boxes: ArrayLike) -> NDArray[np.float64]:
    """Boxes as (n, 4) float64, none included.

    Raises
    ------
    ValueError
        As for ``map_boxes``; the message names the first box that is wrong.
    """
    given = np.array(boxes, dtype=np.float64)
    if given.size == 0:
        given = given.reshape(0, 4)
    if given.ndim != 2 or given.shape[1] != 4:  # noqa: PLR2004  # left, top, right, bottom
        raise ValueError(f"boxes have shape {given.shape} instead of (n, 4)")
    wrong = np.flatnonzero(~are_boxes(given))
    if len(wrong):
        first = wrong[0]
        values = ", ".join(f"{value:g}" for value in given[first])
        raise ValueError(f"box {first} must have left <= right and top <= bottom: {values}")
    return given


def are_boxes(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of (n, 4) are finite and have no negative side."""
    ordered = np.all(values[:, :2] <= values[:, 2:], axis=1)
    sound: NDArray[np.bool_] = np.logical_and(ordered, np.isfinite(values).all(axis=1))
    return sound


def _map_edges(boxes: NDArray[np.float64], way: Callable[[Points], Points]) -> NDArray[np.float64]:
    """Map corners; a flip exchanges them."""
    ends = way(boxes.reshape(-1, 2, 2) - TO_EDGE) + TO_EDGE
    return np.concatenate((ends.min(axis=1), ends.max(axis=1)), axis=1)


def map_polygon(polygon: ArrayLike, way: Callable[[Points], Points], kept: Area) -> MappedPolygon:
    """Cut a polygon to the kept part of its image, and map it.

    Parts of a concave polygon that the cut separates stay joined by lines on the border.

    Parameters
    ----------
    polygon : (n, 2) array_like
        x, y of the corners, pixel centres at whole numbers; the last is joined to the first. A
        polygon without area, such as a line, counts by its corners.
    way, kept
        As for ``map_boxes``.

    Raises
    ------
    ValueError
        Other shapes, no corner, or values that are not finite.
    """
    given = np.array(polygon, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != 2 or not len(given):  # noqa: PLR2004  # x, y
        raise ValueError(f"a polygon has shape {given.shape} instead of (n, 2)")
    if not np.isfinite(given).all():
        raise ValueError("a polygon has corners that are not finite")
    low, high = np.subtract(kept[:2], TO_EDGE), np.subtract(kept[2:], TO_EDGE)
    corners_inside = ((given >= low) & (given <= high)).all(axis=1)
    if corners_inside.all():
        return MappedPolygon(way(given), way(given), 1.0, INSIDE)
    area, part = _area(given), given
    for axis in (0, 1):
        part = _clip_polygon(part, axis, low[axis], sign=1)
        part = _clip_polygon(part, axis, -high[axis], sign=-1)
    inside = _area(part) / area if area else float(corners_inside.mean())
    if not inside:
        return MappedPolygon(np.empty((0, 2)), way(given), 0.0, OUTSIDE)
    return MappedPolygon(way(part), way(given), min(inside, 1.0), PARTLY)


def _area(polygon: NDArray[np.float64]) -> float:
    """The shoelace formula, about the first corner to lose no digits far from the origin."""
    if not len(polygon):
        return 0.0
    (x, y), (u, v) = (polygon - polygon[0]).T, (np.roll(polygon, -1, axis=0) - polygon[0]).T
    return abs(float((x * v - u * y).sum())) / 2


def _clip_polygon(
    polygon: NDArray[np.float64], axis: int, limit: float, *, sign: int
) -> NDArray[np.float64]:
    """The part with ``sign`` times the coordinate from ``limit`` on (Sutherland, Hodgman 1974)."""
    if not len(polygon):
        return polygon
    height = sign * polygon[:, axis] - limit
    following, next_height = np.roll(polygon, -1, axis=0), np.roll(height, -1)
    crossing = (height >= 0) != (next_height >= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(crossing, height / (height - next_height), 0)[:, np.newaxis]
    points = np.stack((polygon, polygon + share * (following - polygon)), axis=1)
    points[:, 1, axis] = sign * limit
    kept: NDArray[np.float64] = points[np.stack((height >= 0, crossing), axis=1)]
    return kept


def sample_mask(
    masks: ArrayLike,
    index: tuple[NDArray[np.intp], NDArray[np.intp]],
    *,
    shape: tuple[int, int],
    within: Area,
    fill: float = 0,
) -> NDArray[Any]:
    """Masks whose pixels in ``within`` are picked from others, and elsewhere ``fill``.

    Parameters
    ----------
    masks : (..., rows, columns) array_like
        Any dtype.
    index : (rows, columns)
        For each row and column of ``within`` the one of ``masks`` that is under its centre.
    shape : (rows, columns)
        Of the result.

    Returns
    -------
    (..., shape[0], shape[1]), dtype of ``masks``
    """
    given = np.asarray(masks)
    left, top, right, bottom = within
    mapped = np.full((*given.shape[:-2], *shape), fill, dtype=given.dtype)
    rows, columns = index
    mapped[..., top:bottom, left:right] = given[..., rows[:, np.newaxis], columns]
    return mapped


def nearest_index(n_out: int, n_in: int) -> NDArray[np.intp]:
    """The pixel of ``n_in`` under the centre of each of ``n_out``, in whole numbers.

    floor((i + 0.5) * n_in / n_out): what the filter ``nearest`` samples.
    """
    index: NDArray[np.intp] = (2 * np.arange(n_out, dtype=np.intp) + 1) * n_in // (2 * n_out)
    return index
