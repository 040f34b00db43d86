"""Geometry from rows of a manifest and from tags of a TIFF."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.imaging.geometry import (
    CropBox,
    Flip,
    Geometry,
    Padding,
    Size,
    round_half_away,
)
from dicom_preprocessing.results.tables import parse_truth
from dicom_preprocessing.tiff.info import read_info
from dicom_preprocessing.tiff.place import KEYS as PLACE
from dicom_preprocessing.tiff.place import Place, find_space

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dicom_preprocessing.imaging.space import PatientSpace
    from dicom_preprocessing.results.manifest import ManifestRow
    from dicom_preprocessing.tiff.info import TiffInfo

CROP = ("crop_left", "crop_top", "crop_width", "crop_height")
OF_PATIENT = ("pixel", "calibrated")
"""Sources of a spacing that is Pixel Spacing, to which positions in the patient belong."""
ACTIVE = ("active_left", "active_top", "active_right", "active_bottom")


def geometry_of_row(row: Mapping[str, Any] | ManifestRow) -> Geometry:
    """Read the geometry from a row of the manifest.

    Parameters
    ----------
    row : mapping or ManifestRow
        Values by the names of the columns: text of manifest.csv, or values of manifest.parquet;
        also a row of a data frame.

    Returns
    -------
    Geometry
        Steps that changed nothing are None. It maps to the patient if the image has one page: where
        the others lie is in slices.csv and in the TIFF.

    Raises
    ------
    OutputError
        Columns are missing or empty, or contradict each other.
    """
    try:
        width, height = _read_integers(row, "width", "height") or (0, 0)
        scale = (_read_number(row, "scale_x"), _read_number(row, "scale_y"))
        geometry = _make_geometry(
            Size(width, height),
            crop=_read_integers(row, *CROP),
            active=_read_integers(row, *ACTIVE),
            scale=None if None in scale else scale,
            flip=(_read_boolean(row, "flip_h"), _read_boolean(row, "flip_v")),
            source=_read_integers(row, "source_columns", "source_rows"),
        )
        return geometry.with_space(_read_space(row, geometry))
    except ValueError as error:
        name = _read_cell(row, "path") or _read_cell(row, "sop_instance_uid") or "row"
        raise OutputError(f"{name}: {error}") from None


def geometry_of_tiff(
    path: os.PathLike[str] | str, *, source: tuple[int, int] | None = None
) -> Geometry:
    """Read the geometry from the tags of a TIFF of this project or of the reference program.

    Parameters
    ----------
    path : path
    source : (columns, rows), optional
        Size of the DICOM image, for files of the reference program, which do not state it.
        Without it, their image ends where the crop box does, and counts as not flipped.

    Returns
    -------
    Geometry
        Steps that changed nothing are None.

    Raises
    ------
    OutputError
        The file cannot be read, or has no tags of geometry.
    """
    return geometry_of_info(read_info(path), path, source=source)


def geometry_of_info(
    info: TiffInfo, path: os.PathLike[str] | str, *, source: tuple[int, int] | None = None
) -> Geometry:
    """Like ``geometry_of_tiff``, from tags that were read; ``path`` is for messages."""
    try:
        geometry = _make_geometry(
            Size(info.width, info.height),
            crop=info.crop,
            active=info.active_area,
            scale=info.scale,
            flip=info.flip or (False, False),
            source=info.source[:2] if info.source else source,
        )
        spacing = info.spacing if info.spacing_source in OF_PATIENT else None
        return geometry.with_space(find_space(info.place, spacing, geometry, info.num_frames))
    except ValueError as error:
        raise OutputError(f"{path}: {error}") from None


def turn_upright(boxes: NDArray[np.float64], geometry: Geometry) -> NDArray[np.float64]:
    """Return boxes of the stored image as it is upright, or the other way round.

    Tomosynthesis that was stored upside down was turned by 180 degrees. A flip of rows is part of
    that turn; one of columns alone mirrors the image to one side, which no upright image is.

    Parameters
    ----------
    boxes : (n, 4) float64
        Left, top, right, bottom; NaN stays.
    geometry : Geometry
    """
    flip = geometry.flip
    if flip is None or not flip.vertical:
        return boxes
    size = np.array([flip.width, flip.height])
    return np.concatenate((size - boxes[:, 2:], size - boxes[:, :2]), axis=1)


def _read_space(row: Mapping[str, Any] | ManifestRow, geometry: Geometry) -> PatientSpace | None:
    """Where the image of a row lies, if it has one page and that is known."""
    numbers = [_read_number(row, name) for name in (*PLACE, "spacing_x", "spacing_y")]
    known = [number for number in numbers if number is not None and math.isfinite(number)]
    is_single = _read_integers(row, "num_frames") == (1,)
    if len(known) < len(numbers) or not is_single:
        return None
    if _read_cell(row, "spacing_source") not in OF_PATIENT:
        return None
    x, y, z, row_x, row_y, row_z, column_x, column_y, column_z, spacing_x, spacing_y = known
    place = Place((x, y, z), (row_x, row_y, row_z), (column_x, column_y, column_z))
    return find_space(place, (spacing_x, spacing_y), geometry, 1)


def _make_geometry(
    output: Size,
    *,
    crop: tuple[int, ...] | None,
    active: tuple[int, ...] | None,
    scale: tuple[Any, Any] | None,
    flip: tuple[bool, bool],
    source: tuple[int, ...] | None,
) -> Geometry:
    """Geometry from what is known; the reference program leaves out steps that did not run."""
    if crop is None and active is None and scale is None:
        raise ValueError("it holds no geometry: no crop, scale or active area")
    if scale is not None and not all(0 < factor < math.inf for factor in scale):
        raise ValueError(f"its scale {scale[0]:g}, {scale[1]:g} is not a positive number")
    left, top, right, bottom = active or (0, 0, output.width, output.height)
    size = Size(right - left, bottom - top)
    if crop is not None:
        box = CropBox(*crop)
    elif source is not None:
        box = CropBox(0, 0, *source)
    else:
        x, y = scale or (1, 1)
        box = CropBox(0, 0, round_half_away(size.width / x), round_half_away(size.height / y))
    if source is None and any(flip):
        raise ValueError("it was flipped, and the size of its source is unknown")
    image = Size(*source) if source is not None else Size(box.right, box.bottom)
    edges = Padding(left, top, output.width - right, output.height - bottom)
    _require_within(box, image, "crop box", "source")
    _require_within(CropBox(left, top, size.width, size.height), output, "active area", "image")
    return Geometry(
        image,
        flip=Flip(image.width, image.height, *flip) if any(flip) else None,
        crop=box if box != CropBox(0, 0, image.width, image.height) else None,
        resized=size if size != box.size else None,
        padding=edges if edges != Padding(0, 0, 0, 0) else None,
    )


def _require_within(box: CropBox, size: Size, name: str, of: str) -> None:
    fits = 0 <= box.left < box.right <= size.width and 0 <= box.top < box.bottom <= size.height
    if not fits:
        found = f"{box.width} x {box.height} at {box.left}, {box.top}"
        raise ValueError(f"its {name} {found} is not within its {of} {size.width} x {size.height}")


def _read_cell(row: Mapping[str, Any] | ManifestRow, name: str) -> Any:  # noqa: ANN401  # any value
    """A value, None where it is missing, empty or not a number."""
    value = row.get(name) if hasattr(row, "get") else getattr(row, name, None)
    is_itself = value == value  # noqa: PLR0124  # NaN is not, and pandas' NA gives NA
    is_known = isinstance(is_itself, bool | np.bool_) and bool(is_itself)
    return value if is_known and value is not None and value != "" else None


def _read_number(row: Mapping[str, Any] | ManifestRow, name: str) -> float | None:
    value = _read_cell(row, name)
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is not a number: {value!r}") from None


def _read_integers(row: Mapping[str, Any] | ManifestRow, *names: str) -> tuple[int, ...] | None:
    """Integers, None where one is unknown."""
    numbers = [_read_number(row, name) for name in names]
    known = [number for number in numbers if number is not None]
    if len(known) < len(names):
        return None
    for name, number in zip(names, known, strict=True):
        if not number.is_integer():
            raise ValueError(f"{name} is not a whole number: {number:g}")
    return tuple(map(int, known))


def _read_boolean(row: Mapping[str, Any] | ManifestRow, name: str) -> bool:
    value = _read_cell(row, name)
    try:
        return value is not None and parse_truth(value)
    except KeyError:
        raise ValueError(f"{name} is neither true nor false: {value!r}") from None
