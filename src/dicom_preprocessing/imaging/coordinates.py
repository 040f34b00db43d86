"""Mapping of boxes, polygons and masks between images, and how much of each is kept.

Points have pixel centres at integers, boxes have pixel edges there: pixel i is the point i, and the
box from i to i + 1. So the point p is p + 0.5 as an edge of a box, and a box with integer sides
holds the pixels ``image[top:bottom, left:right]``. Polygons are made of points.

What is outside of the kept area is never dropped: fractions and states say how much of it is kept.
These functions take the transform of points and the kept area, and know no geometry.
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
    """Left, top, right, bottom in pixels; right and bottom exclusive."""

INSIDE, PARTLY, OUTSIDE = "inside", "partly", "outside"
TO_EDGE = 0.5
"""Added to a point, gives its coordinate as an edge of a box."""


@dataclass(frozen=True, slots=True, eq=False)
class MappedBoxes:
    """Boxes in another image.

    Parameters
    ----------
    boxes : (n, 4) float64
        Left, top, right, bottom of the part that is kept; NaN where a box is outside.
    unclipped : (n, 4) float64
        The boxes without the cut.
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
        The corners without the cut.
    inside : float
        Fraction of the area that is kept, 0 to 1.
    state : str
        inside, partly or outside.
    """

    points: NDArray[np.float64]
    unclipped: NDArray[np.float64]
    inside: float
    state: str


def map_boxes(
    boxes: ArrayLike, transform: Callable[[Points], Points], kept_area: Area
) -> MappedBoxes:
    """Cut boxes to the kept area of their image, and map them.

    Parameters
    ----------
    boxes : (n, 4) array_like
        Left, top, right, bottom, pixel edges at integers. No side may be negative; a box without
        area counts by its length, or as a point.
    transform : callable
        Maps (n, 2) points, each axis by itself.
    kept_area : (left, top, right, bottom)
        The area of the boxes' image that the other image shows.

    Raises
    ------
    ValueError
        Other shapes, values that are not finite, right below left or bottom below top.
    """
    checked = check_boxes(boxes)
    start, end = checked[:, :2], checked[:, 2:]
    first, last = kept_area[:2], kept_area[2:]
    low, high = np.clip(start, first, last), np.clip(end, first, last)
    length = end - start
    # A side of length 0 is inside or not, where others are inside by a fraction.
    touching = (start <= last) & (end >= first)
    share = np.where(length > 0, (high - low) / np.where(length > 0, length, 1), touching)
    inside = share.prod(axis=1)
    state = np.full(len(checked), PARTLY, dtype="<U7")
    state[inside <= 0] = OUTSIDE
    state[((start >= first) & (end <= last)).all(axis=1)] = INSIDE
    mapped = _map_edges(np.concatenate((low, high), axis=1), transform)
    mapped[state == OUTSIDE] = np.nan
    return MappedBoxes(mapped, _map_edges(checked, transform), inside, state)


def check_boxes(boxes: ArrayLike) -> NDArray[np.float64]:
    """Return boxes as (n, 4) float64, where n may be 0.

    Raises
    ------
    ValueError
        As for ``map_boxes``; the message names the first box that is wrong.
    """
    checked = np.array(boxes, dtype=np.float64)
    if checked.size == 0:
        checked = checked.reshape(0, 4)
    if checked.ndim != 2 or checked.shape[1] != 4:  # noqa: PLR2004  # left, top, right, bottom
        raise ValueError(f"boxes have shape {checked.shape} instead of (n, 4)")
    wrong = np.flatnonzero(~are_boxes(checked))
    if len(wrong):
        first = wrong[0]
        values = ", ".join(f"{value:g}" for value in checked[first])
        raise ValueError(f"box {first} must have left <= right and top <= bottom: {values}")
    return checked


def are_boxes(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows of (n, 4) are finite and have no negative side."""
    is_ordered = np.all(values[:, :2] <= values[:, 2:], axis=1)
    are_valid: NDArray[np.bool_] = np.logical_and(is_ordered, np.isfinite(values).all(axis=1))
    return are_valid


def _map_edges(
    boxes: NDArray[np.float64], transform: Callable[[Points], Points]
) -> NDArray[np.float64]:
    """Map the top-left and bottom-right corners of boxes."""
    ends = transform(boxes.reshape(-1, 2, 2) - TO_EDGE) + TO_EDGE
    # A flip exchanges the two.
    return np.concatenate((ends.min(axis=1), ends.max(axis=1)), axis=1)


def map_polygon(
    polygon: ArrayLike, transform: Callable[[Points], Points], kept_area: Area
) -> MappedPolygon:
    """Cut a polygon to the kept area of its image, and map it.

    Pieces of a concave polygon that the cut separates stay joined by lines on the border.

    Parameters
    ----------
    polygon : (n, 2) array_like
        x, y of the corners, pixel centres at integers; the last is joined to the first. A polygon
        without area, such as a line, counts by its corners.
    transform, kept_area
        As for ``map_boxes``.

    Raises
    ------
    ValueError
        Other shapes, no corner, or values that are not finite.
    """
    points = np.array(polygon, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):  # noqa: PLR2004  # x, y
        raise ValueError(f"a polygon has shape {points.shape} instead of (n, 2)")
    if not np.isfinite(points).all():
        raise ValueError("a polygon has corners that are not finite")
    low, high = np.subtract(kept_area[:2], TO_EDGE), np.subtract(kept_area[2:], TO_EDGE)
    corners_inside = ((points >= low) & (points <= high)).all(axis=1)
    if corners_inside.all():
        return MappedPolygon(transform(points), transform(points), 1.0, INSIDE)
    area, clipped = _area(points), points
    for axis in (0, 1):
        clipped = _clip_polygon(clipped, axis, low[axis], sign=1)
        clipped = _clip_polygon(clipped, axis, -high[axis], sign=-1)
    inside = _area(clipped) / area if area else float(corners_inside.mean())
    if not inside:
        return MappedPolygon(np.empty((0, 2)), transform(points), 0.0, OUTSIDE)
    return MappedPolygon(transform(clipped), transform(points), min(inside, 1.0), PARTLY)


def _area(polygon: NDArray[np.float64]) -> float:
    """Return the area of a polygon by the shoelace formula."""
    if not len(polygon):
        return 0.0
    # About the first corner, since far from the origin products lose digits.
    (x, y), (u, v) = (polygon - polygon[0]).T, (np.roll(polygon, -1, axis=0) - polygon[0]).T
    return abs(float((x * v - u * y).sum())) / 2


def _clip_polygon(
    polygon: NDArray[np.float64], axis: int, limit: float, *, sign: int
) -> NDArray[np.float64]:
    """Keep where ``sign`` times the coordinate is at least ``limit`` (Sutherland, Hodgman 1974)."""
    if not len(polygon):
        return polygon
    height = sign * polygon[:, axis] - limit
    next_point, next_height = np.roll(polygon, -1, axis=0), np.roll(height, -1)
    crossing = (height >= 0) != (next_height >= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(crossing, height / (height - next_height), 0)[:, np.newaxis]
    points = np.stack((polygon, polygon + share * (next_point - polygon)), axis=1)
    points[:, 1, axis] = sign * limit  # exactly, whatever the division rounds
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
    """Sample masks for the pixels of an area; other pixels become ``fill``.

    Parameters
    ----------
    masks : (..., rows, columns) array_like
        Any dtype.
    index : (rows, columns)
        For each row and column of ``within`` the row or column of ``masks`` under its centre.
    shape : (rows, columns)
        Of the result.
    within : (left, top, right, bottom)
        The area, in pixels of the result.
    fill : number

    Returns
    -------
    (..., shape[0], shape[1]), dtype of ``masks``
    """
    labels = np.asarray(masks)
    left, top, right, bottom = within
    mapped = np.full((*labels.shape[:-2], *shape), fill, dtype=labels.dtype)
    rows, columns = index
    mapped[..., top:bottom, left:right] = labels[..., rows[:, np.newaxis], columns]
    return mapped


def nearest_index(n_out: int, n_in: int) -> NDArray[np.intp]:
    """Return which of ``n_in`` pixels is under the centre of each of ``n_out`` pixels.

    floor((i + 0.5) * n_in / n_out) in integer arithmetic, as the filter ``nearest`` samples.
    """
    index: NDArray[np.intp] = (2 * np.arange(n_out, dtype=np.intp) + 1) * n_in // (2 * n_out)
    return index
