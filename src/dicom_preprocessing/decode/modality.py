"""The modality transform: from stored values to values with a unit, such as Hounsfield units.

PS3.3 C.11.1. A Modality LUT, or Rescale Slope and Intercept, of the object or of each frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.decode.bits import BYTE_BITS, find_range
from dicom_preprocessing.decode.facts import warn_of_infinite_values
from dicom_preprocessing.decode.lookup_tables import MODALITY_LUT, LookupTable, grey_table
from dicom_preprocessing.decode.padding import pixel_padding, replace_padding
from dicom_preprocessing.dicom.contradictions import Decision, GroupLevel, decide
from dicom_preprocessing.dicom.description import Rescale
from dicom_preprocessing.errors import MissingAttributeError, UnsupportedPixelsError
from dicom_preprocessing.imaging.frames import map_in_order, map_indexed, spool_frames
from dicom_preprocessing.imaging.image import TABLE_BITS, DisplayLut
from dicom_preprocessing.text import hide_text, make_printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.decode.padding import StoredPadding
    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.image_warnings import ImageWarnings
    from dicom_preprocessing.imaging.frames import Frames

Transform = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]


RESCALE_TYPES: Final = (
    *("HU", "US", "OD", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT"),
    *("GML", "BQML", "CNTS", "UM2", "normalized"),
)
"""Rescale Types that messages show."""

Modality = LookupTable | Rescale
"""Modality LUT, or slope and intercept."""


def modality_of_frames(
    description: Description, pixel_format: PixelFormat, warnings: ImageWarnings
) -> list[Modality]:
    """Return Modality LUT, or slope and intercept, of each frame; 1 and 0 where there is neither.

    Raises
    ------
    UnsupportedPixelsError
        The Modality LUT cannot be used.
    MissingAttributeError
        A slope or intercept is present and no number: without it values would have another unit.
    """
    n = pixel_format.number_of_frames
    rescales = description.rescales(n)
    by_frame = list(zip(rescales.values, rescales.levels, strict=True))
    # One object per transform, so that frames with the same one share tables and caches.
    different = dict.fromkeys(by_frame)
    is_required = description.dose_scaling() is None and (None, None) in different
    table = _read_modality_lut(description, pixel_format, warnings, is_required=is_required)
    chosen = {key: _choose_modality(description, table, key, warnings) for key in different}
    _warn_of_rescales(description, rescales.values, warnings)
    _warn_of_units(description, n, warnings)
    return [chosen[key] for key in by_frame]


def _read_modality_lut(
    description: Description,
    pixel_format: PixelFormat,
    warnings: ImageWarnings,
    *,
    is_required: bool,
) -> LookupTable | None:
    """Read the Modality LUT; None where there is none, or where another transform may be used."""
    stored = description.modality_lut
    if stored is None:
        return None
    try:
        return grey_table(
            MODALITY_LUT,
            stored,
            warnings,
            values=stored_limits(pixel_format),
            little_endian=description.is_little_endian,
        )
    except UnsupportedPixelsError as error:
        # An item without any value says nothing. One with some says that values need it.
        if is_required and not stored.is_empty:
            raise
        warnings.add("lut_unusable", f"{error}; it was ignored")
        return None


def _choose_modality(
    description: Description,
    table: LookupTable | None,
    rescale_and_level: tuple[Rescale | None, GroupLevel | None],
    warnings: ImageWarnings,
) -> Modality:
    """Choose the transform of frames with a rescale of a level; a neutral one if there is none."""
    rescale, level = rescale_and_level
    own, top = (None, rescale) if level is GroupLevel.TOP else (rescale, None)
    by_source: dict[str, Modality | None] = {
        "rescale of functional groups": own,
        "DoseGridScaling": description.dose_scaling(),
        "ModalityLUTSequence": table,
        "rescale": top,
    }
    decision: Decision[Modality] = decide("modality", by_source)
    for source in decision.overruled:
        other = by_source[source]
        if other is not None and not _agree(decision.value or Rescale(), other):
            message = f"{decision.source} and {source} are different transforms: the first counts"
            warnings.add("transforms_contradict", message)
    if isinstance(decision.value, LookupTable):
        return decision.value
    return _make_usable(decision.value or Rescale(), decision.source, warnings)


def _agree(chosen: Modality, other: Modality) -> bool:
    """Whether two transforms give the same values."""
    if isinstance(chosen, LookupTable) and isinstance(other, Rescale):
        stored = chosen.first + np.arange(len(chosen.entries), dtype=np.float64)
        return np.array_equal(chosen.entries, modality_transform(other)(stored))
    if isinstance(chosen, Rescale) and isinstance(other, LookupTable):
        return _agree(other, chosen)
    # Converters add a rescale of 1 and 0, which says nothing, to any image.
    return other in (chosen, Rescale())


def _make_usable(rescale: Rescale, source: str, warnings: ImageWarnings) -> Rescale:
    """Return a rescale that can be applied."""
    slope, names = "Rescale Slope", "Rescale Slope or Rescale Intercept"
    if source == "DoseGridScaling":
        slope = names = "Dose Grid Scaling"
    if not rescale.is_finite:
        raise MissingAttributeError(f"{names} is not a number")
    # It would make all pixels equal. Writers leave 0 where they have no slope.
    if rescale.slope == 0:
        warnings.add("rescale_slope_zero", f"{slope} is 0 and counts as 1")
        return replace(rescale, slope=1.0)
    return rescale


def modality_transform(modality: Modality) -> Transform:
    """Return the modality transform as a function of stored values."""
    if isinstance(modality, LookupTable):
        return modality
    slope, intercept = modality.slope, modality.intercept
    return lambda values: slope * values + intercept


def modality_range(modality: Modality, pixel_format: PixelFormat) -> tuple[float, float]:
    """Return the lowest and highest value that the modality transform can give, by the header.

    Of floating point numbers they are infinite.
    """
    if isinstance(modality, LookupTable):
        return 0.0, float((1 << modality.bits) - 1)
    # A negative slope makes the lowest stored value the highest.
    mapped = [modality.slope * x + modality.intercept for x in stored_limits(pixel_format)]
    return min(mapped), max(mapped)


def stored_limits(pixel_format: PixelFormat) -> tuple[float, float]:
    """Return the lowest and highest stored value by the header, infinite ones of floats."""
    return (-math.inf, math.inf) if pixel_format.is_float else pixel_format.stored_range


def modality_values(
    description: Description, stored: Frames, pixel_format: PixelFormat, warnings: ImageWarnings
) -> tuple[Frames, float]:
    """Return values after the modality transform, neither windowed nor scaled nor inverted.

    Parameters
    ----------
    description : Description
    stored : (n_frames, rows, columns, 1)
    pixel_format : PixelFormat
    warnings : ImageWarnings
        Takes what is irregular in the transforms.

    Returns
    -------
    (n_frames, rows, columns, 1)
        uint16 or int16 if all values that the header allows are whole and fit, else float32.
    float
        The background: the padding value, else the darkest value of all frames, which is the
        minimum, or the maximum of MONOCHROME1.
    """
    modality = modality_of_frames(description, pixel_format, warnings)
    transforms = [modality_transform(m) for m in modality]
    dtype = modality_dtype(modality, pixel_format)
    padding = pixel_padding(description, pixel_format)
    known = _padding_background(description, pixel_format, modality[0], dtype)
    background = 0.0 if known is None else known
    # All frames are read before the first is finished. With integers and a padding value none has
    # to be.
    if known is None or dtype.kind == "f":
        stored = spool_frames(stored)
        values = map_indexed(
            stored, lambda i, f: _apply_to_frame(transforms[i], f, dtype), dtype=dtype
        )
        counted = None
        # Padding that fits the dtype is the background itself.
        if padding is not None and known is None:
            counted = partial(_is_no_padding, stored, padding)
        darkest, has_others = _find_background(values, counted, inverted=pixel_format.is_inverted)
        background = darkest if known is None else known
        if has_others:
            warn_of_infinite_values(warnings)
    if padding is not None:
        transforms = [replace_padding(t, padding, background) for t in transforms]

    def make_frame(index: int, frame: NDArray[Any]) -> NDArray[Any]:
        values = _apply_to_frame(transforms[index], frame, dtype)
        if dtype.kind == "f":
            values[~np.isfinite(values)] = background
        return values

    return map_indexed(stored, make_frame, dtype=dtype), background


def _apply_to_frame(
    transform: Transform, frame: NDArray[Any], dtype: np.dtype[Any]
) -> NDArray[Any]:
    return apply_transform(transform, frame).astype(dtype)


def _is_no_padding(stored: Frames, padding: StoredPadding, index: int) -> NDArray[np.bool_]:
    return ~padding.covers(stored[index])


def _find_background(
    values: Frames, counted: Callable[[int], NDArray[np.bool_]] | None, *, inverted: bool
) -> tuple[float, bool]:
    """Return the darkest finite value of all frames, else 0, and whether any is not finite.

    ``counted`` says which pixels of a frame, by its index, count; None: all.
    """

    def find_darkest(index: int, frame: NDArray[Any]) -> tuple[list[float], bool]:
        is_finite = np.isfinite(frame)
        finite = frame[is_finite if counted is None else is_finite & counted(index)]
        darkest = [float(finite.max() if inverted else finite.min())] if finite.size else []
        return darkest, not is_finite.all()

    by_frame = list(map_in_order(values, find_darkest))
    darkest = [value for of_frame, _ in by_frame for value in of_frame]
    extreme = max if inverted else min
    return extreme(darkest, default=0.0), any(has_others for _, has_others in by_frame)


def _warn_of_rescales(
    description: Description, rescales: Sequence[Rescale | None], warnings: ImageWarnings
) -> None:
    """Add warnings about the rescales of an object's frames."""
    if len({rescale is None for rescale in rescales}) > 1:
        message = "frames without a rescale are taken as they are, although others have one"
        warnings.add("rescale_missing_in_frames", message)
    items = max(groups.rescale_items for groups in (description.shared, *description.frames))
    if items > 1:
        message = f"Pixel Value Transformation Sequence has {items} items: the first counts"
        warnings.add("transforms_contradict", message)


def _warn_of_units(description: Description, count: int, warnings: ImageWarnings) -> None:
    """Add a warning where values of frames have different units."""
    units = sorted({unit for unit in description.rescale_types(count) if unit is not None})
    if len(units) > 1 or any("\\" in unit for unit in units):
        shown = ", ".join(hide_text(unit, RESCALE_TYPES) for unit in units)
        message = f"Rescale Types of frames are {shown}: values have different units"
        warnings.add("rescale_types_differ", make_printable(message))


def _padding_background(
    description: Description, pixel_format: PixelFormat, modality: Modality, dtype: np.dtype[Any]
) -> float | None:
    """Return the padding value after the modality transform, None unless it fits ``dtype``."""
    padding = pixel_padding(description, pixel_format)
    if padding is None:
        return None
    (value,) = modality_transform(modality)(np.array([padding[0]]))
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return float(value.astype(dtype)) if limits.min <= value <= limits.max else None


def modality_dtype(modality: Sequence[Modality], pixel_format: PixelFormat) -> np.dtype[Any]:
    """Return the dtype of values after the modality transform."""
    # By the header alone, so that all slices of a scanner get one dtype, whatever their pixels are.
    different = {m if isinstance(m, Rescale) else id(m): m for m in modality}.values()
    if pixel_format.is_float or not all(map(_is_whole, different)):
        return np.dtype(np.float32)
    ranges = [modality_range(m, pixel_format) for m in different]
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    fitting = (dtype for dtype in (np.uint16, np.int16) if _fits(low, high, np.iinfo(dtype)))
    return np.dtype(next(fitting, np.float32))


def _is_whole(modality: Modality) -> bool:
    if isinstance(modality, LookupTable):
        return True
    return modality.slope.is_integer() and modality.intercept.is_integer()


def _fits(low: float, high: float, limits: np.iinfo[Any]) -> bool:
    return low >= limits.min and high <= limits.max


def can_tabulate(dtype: np.dtype[Any]) -> bool:
    """Whether a table of all values of a dtype is small enough."""
    return dtype.kind != "f" and dtype.itemsize <= TABLE_BITS // BYTE_BITS


@lru_cache(maxsize=8)
def tabulate(
    transform: Callable[[NDArray[np.float64]], NDArray[Any]], bits_stored: int, *, signed: bool
) -> DisplayLut:
    """Make a table of ``transform`` for all values of Bits Stored; cached for the next image."""
    low, _ = find_range(bits_stored, signed=signed)
    return DisplayLut(transform(_list_values(bits_stored, signed=signed)), low)


@lru_cache(maxsize=4)
def _list_values(bits_stored: int, *, signed: bool) -> NDArray[np.float64]:
    """Return all values of Bits Stored, which images share."""
    low, high = find_range(bits_stored, signed=signed)
    values = np.arange(low, high + 1, dtype=np.float64)
    values.flags.writeable = False
    return values


def apply_transform(
    transform: Callable[[NDArray[np.float64]], NDArray[Any]], frame: NDArray[Any]
) -> NDArray[Any]:
    """Apply ``transform`` to (rows, columns, 1)."""
    # A table of the values that occur has 65,536 entries at most, where a mammogram has 8 million
    # pixels to be computed in float64.
    if not can_tabulate(frame.dtype):
        return transform(frame.astype(np.float64))
    low, high = int(frame.min()), int(frame.max())
    return DisplayLut(transform(np.arange(low, high + 1, dtype=np.float64)), low)(frame)
