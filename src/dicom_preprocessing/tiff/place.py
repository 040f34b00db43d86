"""Where the pages of a TIFF lie in the patient, as its ImageDescription says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.imaging.space import PatientSpace, are_orthonormal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dicom_preprocessing.imaging.space import Vector

VECTORS: Final = ("position", "row", "column")
KEYS: Final = tuple(f"{vector}_{axis}" for vector in VECTORS for axis in "xyz")
"""Keys of ImageDescription, and columns of the manifest."""
PAGE_STEP: Final = "page_step"
"""Key of the way from each page to the next in mm, where all are the same."""
PAGE_POSITIONS: Final = "page_positions"
"""Key of the positions of pages in mm, where they are not evenly spaced."""
ALL_KEYS: Final = (*KEYS, PAGE_STEP, PAGE_POSITIONS)
LARGEST: Final = 1e9
"""In mm; more is an error."""


class Place(NamedTuple):
    """Where an image lies, LPS.

    Parameters
    ----------
    position : (x, y, z)
        Of the centre of pixel (0, 0) of the first page in mm, also where that is padding.
    row, column : (x, y, z)
        Unit vectors along which the column index, and the row index, grow.
    page_step : (x, y, z) or None
        The way from each page to the next in mm, None for one page and where pages are uneven.
    page_positions : tuple of (x, y, z) or None
        As ``position``, of each page; None where ``page_step`` says it.
    """

    position: Vector
    row: Vector
    column: Vector
    page_step: Vector | None = None
    page_positions: tuple[Vector, ...] | None = None

    @property
    def is_usable(self) -> bool:
        """Whether its directions are unit vectors at right angles, but for rounding."""
        return are_orthonormal((*self.row, *self.column))

    def list_pages(self, count: int) -> tuple[Vector, ...] | None:
        """Return the position of each of ``count`` pages, None if it is not known."""
        if count == 1:
            return (self.position,)
        if self.page_positions is not None:
            return self.page_positions if len(self.page_positions) == count else None
        if self.page_step is None:
            return None
        first, step = np.array(self.position), np.array(self.page_step)
        pages = first + np.arange(count)[:, np.newaxis] * step
        return tuple(map(tuple, pages.tolist()))


def find_place(geometry: Geometry) -> Place | None:
    """Return where the output of a geometry lies, None if that is unknown or cannot be meant."""
    pages, row, column = geometry.page_positions, geometry.row_direction, geometry.column_direction
    if pages is None or row is None or column is None:
        return None
    # Of few numbers, numpy needs longer.
    if not all(-LARGEST <= number <= LARGEST for page in pages for number in page):  # NaN is not
        return None
    if len(pages) == 1:
        return Place(pages[0], row, column)
    try:
        x, y, z = geometry.affine()[:3, 2].tolist()
    except ValueError:  # no one step
        return Place(pages[0], row, column, page_positions=pages)
    return Place(pages[0], row, column, page_step=(x, y, z))


def place_pages(positions: Sequence[Vector], row: Vector, column: Vector) -> Place | None:
    """Return where pages lie, by the position of pixel (0, 0) of each and their directions."""
    # The size of pixels makes no difference to where the first of them is.
    space = PatientSpace((*row, *column), (1.0, 1.0), tuple(positions))
    return find_place(Geometry(Size(1, 1), space=space))


def replace_place(description: Mapping[str, Any], place: Place | None) -> dict[str, Any]:
    """Return a description with another place, or with none."""
    kept = {key: value for key, value in description.items() if key not in ALL_KEYS}
    return kept | describe_place(place)


def describe_place(place: Place | None) -> dict[str, Any]:
    """Return the keys of ImageDescription, none where the place is unknown."""
    if place is None:
        return {}
    numbers = (*place.position, *place.row, *place.column)
    described: dict[str, Any] = dict(zip(KEYS, numbers, strict=True))
    if place.page_step is not None:
        described[PAGE_STEP] = list(place.page_step)
    if place.page_positions is not None:
        described[PAGE_POSITIONS] = [list(position) for position in place.page_positions]
    return described


def parse_place(description: Mapping[str, Any]) -> Place | None:
    """Return what ``describe_place`` described.

    Raises
    ------
    ValueError
        Numbers are not finite, too large, missing or something else; the message names the key.
    """
    if not any(key in description for key in ALL_KEYS):
        return None
    position, row, column = (
        _parse_vector([description.get(f"{vector}_{axis}") for axis in "xyz"], vector)
        for vector in VECTORS
    )
    step, pages = description.get(PAGE_STEP), description.get(PAGE_POSITIONS)
    if pages is not None and not isinstance(pages, list):
        raise ValueError(_explain(PAGE_POSITIONS))
    return Place(
        position,
        row,
        column,
        page_step=None if step is None else _parse_vector(step, PAGE_STEP),
        page_positions=None
        if pages is None
        else tuple(_parse_vector(page, PAGE_POSITIONS) for page in pages),
    )


def _parse_vector(values: object, key: str) -> Vector:
    if not isinstance(values, list) or len(values) != len("xyz") or not all(map(_is_near, values)):
        raise ValueError(_explain(key))
    x, y, z = map(float, values)
    return x, y, z


def _is_near(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -LARGEST <= value <= LARGEST  # NaN is not


def _explain(key: str) -> str:
    return f"ImageDescription is damaged: its {key} is not what this project writes"


def find_space(
    place: Place | None, spacing: tuple[float, float] | None, geometry: Geometry, count: int
) -> PatientSpace | None:
    """Return where stored pixels lie, from the place of the output.

    Parameters
    ----------
    place : Place or None
    spacing : (x, y) or None
        Of pixels of the output in mm.
    geometry : Geometry
        From the stored image to the output.
    count : int
        Pages of the output.

    Returns
    -------
    PatientSpace or None
        None where it is not known.
    """
    pages = place.list_pages(count) if place is not None else None
    if place is None or pages is None or spacing is None or not place.is_usable:
        return None
    flip, scale = geometry.flip, geometry.scale
    corner = geometry.to_output([0.0, 0.0])
    to_corner = corner[0] * spacing[0] * np.array(place.row)
    to_corner += corner[1] * spacing[1] * np.array(place.column)
    row = _negate_if(place.row, is_mirrored=flip is not None and flip.horizontal)
    column = _negate_if(place.column, is_mirrored=flip is not None and flip.vertical)
    return PatientSpace(
        orientation=(*row, *column),
        pixel_spacing=(spacing[0] * scale[0], spacing[1] * scale[1]),
        positions=tuple(map(tuple, (np.array(pages) + to_corner).tolist())),
    )


def _negate_if(vector: Sequence[float], *, is_mirrored: bool) -> list[float]:
    return [-number for number in vector] if is_mirrored else list(vector)
