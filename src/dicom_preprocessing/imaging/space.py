"""Where the stored pixels of each page lie in the patient.

Points are LPS: x grows towards the left of the patient, y towards the back, z towards the head, in
millimetres (PS3.3 C.7.6.2.1.1). Other programs may count x and y the other way (RAS).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Vector = tuple[float, float, float]

EVEN: Final = 1e-3
"""Part of a step, and of a millimetre, by which evenly spaced pages may miss their places."""

CACHED_AXES: Final = 64
"""Orientations of which the axes are kept for the next image."""

SAME_PLANE: Final = 1e-6
"""Distance of two pages in mm up to which they lie in one plane."""

ORTHONORMAL: Final = 1e-2
"""What direction cosines may lack to unit vectors at right angles."""


@dataclass(frozen=True, slots=True)
class PatientSpace:
    """The image plane of each page in the patient.

    Parameters
    ----------
    orientation : (6,) tuple of float
        Image Orientation (Patient): direction cosines of the row, along which the column index
        grows, then of the column. They are used as unit vectors at right angles, which they are but
        for their rounding.
    pixel_spacing : (x, y)
        Pixel Spacing of the stored image in mm, that between columns first.
    positions : tuple of (x, y, z)
        For each page the centre of the stored pixel at the top left in mm, as in Image Position
        (Patient); between those of the frames of which a page was made.
    """

    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, float]
    positions: tuple[tuple[float, ...], ...]

    @property
    def row_direction(self) -> NDArray[np.float64]:
        """Unit vector (3,) along which the column index of stored pixels grows."""
        row: NDArray[np.float64] = find_axes(self.orientation)[0]
        return row

    @property
    def column_direction(self) -> NDArray[np.float64]:
        """Unit vector (3,) along which the row index of stored pixels grows."""
        column: NDArray[np.float64] = find_axes(self.orientation)[1]
        return column

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector (3,) at right angles to the image: the row times the column direction."""
        normal: NDArray[np.float64] = find_axes(self.orientation)[2]
        return normal

    @property
    def distances(self) -> NDArray[np.float64]:
        """Distance of each page along the normal in mm, (n_pages,)."""
        return np.array(self.positions) @ self.normal

    def to_patient(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map points of stored pixels to the patient.

        Parameters
        ----------
        points : (..., 3) array_like
            x and y in stored pixels, pixel centres at integers, and page from 0. Between pages, and
            outside by the nearest step, positions are linear; a single page has no step, and then
            the page does not count.

        Returns
        -------
        (..., 3) float64
            x, y and z in mm.

        References
        ----------
        DICOM PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1.
        """
        given = as_points(points)
        return self.way_to(given[..., :2]) + self._positions_at(given[..., 2])

    def way_to(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the way in mm from stored pixel (0, 0) to points (..., 2) of its page."""
        way: NDArray[np.float64] = (points * self.pixel_spacing) @ self._directions()
        return way

    def from_patient(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map points of the patient to stored pixels and pages; the inverse of ``to_patient``.

        Of a single page it is page 0, and the distance of the point from its plane is dropped.

        Raises
        ------
        ValueError
            Pages are not one behind the other along the normal.
        """
        given = as_points(points)
        pages = self._pages_at(given @ self.normal)
        rest = given - self._positions_at(pages)
        xy = rest @ self._directions().T / self.pixel_spacing
        return np.concatenate((xy, pages[..., np.newaxis]), axis=-1)

    def page_step(self) -> NDArray[np.float64]:
        """Return the way from each page to the next in mm, (3,); of a single page 1 mm of normal.

        Raises
        ------
        ValueError
            Pages are not evenly spaced, or in one plane.
        """
        positions, last = np.array(self.positions), len(self.positions) - 1
        if not last:
            return self.normal
        step: NDArray[np.float64] = (positions[-1] - positions[0]) / last
        misses = np.linalg.norm(
            positions - positions[0] - np.arange(last + 1)[:, np.newaxis] * step, axis=1
        )
        length, worst = float(np.linalg.norm(step)), int(misses.argmax())
        if abs(step @ self.normal) <= SAME_PLANE:
            raise ValueError("pages are not one behind the other along the slice normal")
        if misses[worst] > EVEN * min(length, 1.0):
            raise ValueError(
                f"pages are not evenly spaced: with steps of {length:g} mm, page {worst + 1} is "
                f"{misses[worst]:.3g} mm from its place"
            )
        return step

    def _directions(self) -> NDArray[np.float64]:
        """Return the unit vectors of row and column, (2, 3)."""
        in_plane: NDArray[np.float64] = find_axes(self.orientation)[:2]
        return in_plane

    def _positions_at(self, pages: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the position of the stored pixel at the top left at fractional pages, (..., 3)."""
        positions = np.array(self.positions)
        if len(positions) == 1:
            return np.broadcast_to(positions[0], (*pages.shape, 3))
        # A page that is NaN gives NaN.
        low = np.clip(np.nan_to_num(np.floor(pages)), 0, len(positions) - 2).astype(np.intp)
        share = (pages - low)[..., np.newaxis]
        between: NDArray[np.float64] = positions[low] + share * (
            positions[low + 1] - positions[low]
        )
        return between

    def _pages_at(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fractional pages at distances along the normal, of any shape."""
        along = self.distances
        if len(along) == 1:
            return np.zeros(distances.shape)
        sign = 1 if along[-1] > along[0] else -1
        ascending = sign * along
        steps = np.diff(ascending)
        if not (steps > SAME_PLANE).all():
            raise ValueError(
                "pages are not one behind the other along the slice normal: a point of the patient "
                "is on no one page"
            )
        low = np.searchsorted(ascending, sign * distances, side="right") - 1
        low = np.clip(low, 0, len(steps) - 1)
        pages: NDArray[np.float64] = low + (sign * distances - ascending[low]) / steps[low]
        return pages

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PatientSpace:
        """Make it from its fields as JSON has them, lists for tuples."""
        x, y = data["pixel_spacing"]
        return cls(
            orientation=tuple(data["orientation"]),
            pixel_spacing=(x, y),
            positions=tuple(map(tuple, data["positions"])),
        )


def are_orthonormal(orientation: Sequence[float]) -> bool:
    """Whether the two vectors have the length 1 and are at right angles, but for rounding."""
    row, column = orientation[:3], orientation[3:]
    overlap = sum(r * c for r, c in zip(row, column, strict=True))
    misses = (math.hypot(*row) - 1, math.hypot(*column) - 1, overlap)
    return all(abs(miss) <= ORTHONORMAL for miss in misses)  # NaN is not


@lru_cache(maxsize=CACHED_AXES)
def find_axes(orientation: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the unit vectors of row, column and normal, (3, 3), which slices share."""
    row = _unit(np.array(orientation[:3]))
    column = np.array(orientation[3:])
    column = _unit(column - (column @ row) * row)
    axes = np.stack((row, column, np.cross(row, column)))
    axes.flags.writeable = False
    return axes


def as_points(points: ArrayLike) -> NDArray[np.float64]:
    """Return a copy of points as float64.

    Raises
    ------
    ValueError
        Their shape is not (..., 3).
    """
    given = np.array(points, dtype=np.float64)
    if given.shape[-1:] != (3,):
        raise ValueError(f"points have shape {given.shape} instead of (..., 3)")
    return given


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit
