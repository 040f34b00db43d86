"""The modality transform: from stored values to values with a meaning, such as Hounsfield units.

PS3.3 C.11.1. A Modality LUT or Rescale Slope and Intercept, for the whole object or for each frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.decode.lookup_tables import BYTE_BITS, LookupTable, lookup_table
from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.dicom.description import LutAttributes, Rescale
from dicom_preprocessing.errors import MissingAttributeError
from dicom_preprocessing.imaging.frames import map_in_order, map_indexed, spool_frames
from dicom_preprocessing.imaging.image import TABLE_BITS, DisplayLut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.imaging.frames import Frames

SHORT_TABLE = "a look-up table has fewer entries than it says: the last one goes on"

Transform = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]


Modality = LookupTable | Rescale
"""Modality LUT, or slope and intercept."""


def modality_of_frames(description: Description, pixel_format: PixelFormat) -> list[Modality]:
    """Modality LUT, or slope and intercept, of each frame; 1 and 0 where there is neither.

    Raises
    ------
    UnsupportedPixelsError
        The Modality LUT cannot be used.
    MissingAttributeError
        A slope or intercept is there and no number: values without it would mean something else.
    """
    n = pixel_format.number_of_frames
    rescales = description.rescales(n)
    by_source: dict[str, Sequence[LutAttributes | Rescale | None] | None] = {
        "ModalityLUTSequence": [description.modality_lut] * n if description.modality_lut else None,
        "rescale": rescales if any(pair is not None for pair in rescales) else None,
    }
    chosen = decide("modality", by_source).value or [None] * n
    usable = {id(one): _make_usable(one, description, pixel_format) for one in chosen}
    return [usable[id(one)] for one in chosen]


def _make_usable(
    stored: LutAttributes | Rescale | None, description: Description, pixel_format: PixelFormat
) -> Modality:
    """A modality transform as it can be used, one that changes nothing where there is none."""
    if isinstance(stored, LutAttributes):
        little_endian = description.is_little_endian
        return lookup_table(stored, signed=pixel_format.is_signed, little_endian=little_endian)
    rescale = stored or Rescale()
    if not rescale.is_finite:
        raise MissingAttributeError("Rescale Slope or Rescale Intercept is not a number")
    return rescale


def modality_transform(modality: Modality) -> Transform:
    """The modality transform as a function of stored values."""
    if isinstance(modality, LookupTable):
        return modality
    slope, intercept = modality.slope, modality.intercept
    return lambda values: slope * values + intercept


def modality_range(modality: Modality, pixel_format: PixelFormat) -> tuple[float, float]:
    """The lowest and highest value that the modality transform can give, by header alone."""
    if isinstance(modality, LookupTable):
        return 0.0, float((1 << modality.bits) - 1)
    half = 2 ** (pixel_format.bits_stored - 1)
    ends = (-half, half - 1) if pixel_format.is_signed else (0, 2 * half - 1)
    mapped = [modality.slope * x + modality.intercept for x in ends]
    return min(mapped), max(mapped)


def pixel_padding(
    description: Description, pixel_format: PixelFormat
) -> tuple[float, float] | None:
    """Pixel Padding Value and Range Limit as stored values, None where there is none.

    PS3.3 C.7.5.1.1.2. A value without limit is its own limit; NaN pads by itself.
    """
    padding = {
        "FloatPixelData": description.float_pixel_padding,
        "DoubleFloatPixelData": description.double_float_pixel_padding,
    }.get(pixel_format.keyword, description.pixel_padding)
    found = (padding.value.numbers(), padding.range_limit.numbers())
    value, limit = ([v for v in values[:1] if math.isfinite(v)] for values in found)
    if not value:
        return None
    return _to_stored_value(value[0], pixel_format), _to_stored_value(
        (limit or value)[0], pixel_format
    )


def _to_stored_value(value: float, pixel_format: PixelFormat) -> float:
    """A pixel padding value with the sign of the stored values, whatever its VR said."""
    if pixel_format.is_float:
        return value
    span = 1 << pixel_format.bits_allocated
    if pixel_format.is_signed and value >= span / 2:
        return value - span
    return value + span if not pixel_format.is_signed and value < 0 else value


def modality_values(
    description: Description, stored: Frames, pixel_format: PixelFormat
) -> tuple[Frames, float, list[str]]:
    """Values after the modality transform, not scaled, windowed or inverted.

    Parameters
    ----------
    description : Description
    stored : (n_frames, rows, columns, 1)
    pixel_format : PixelFormat

    Returns
    -------
    (n_frames, rows, columns, 1)
        uint16 or int16 if the header says that all possible values are whole and fit, else float32.
    float
        The background: the padding value, else what is darkest over all frames, the minimum, or
        the maximum of MONOCHROME1.
    list of str
        Warnings.
    """
    modality = modality_of_frames(description, pixel_format)
    transforms = [modality_transform(m) for m in modality]
    dtype = modality_dtype(modality, pixel_format)
    warnings = modality_warnings(description, modality)
    known = _padding_background(description, pixel_format, modality[0], dtype)
    background = 0.0 if known is None else known
    if known is None or dtype.kind == "f":
        stored = spool_frames(stored)
        values = map_indexed(
            stored, lambda i, f: _apply_to_frame(transforms[i], f, dtype), dtype=dtype
        )
        darkest, has_others = _find_background(values, inverted=pixel_format.is_inverted)
        background = darkest if known is None else known
        if has_others:
            warnings.append("values that are not finite numbers became background")
    # With another transform a frame's padding is another value; it is background all the same.
    padding = None if known is None else pixel_padding(description, pixel_format)

    def filled(number: int, frame: NDArray[Any]) -> NDArray[Any]:
        values = _apply_to_frame(transforms[number], frame, dtype)
        if dtype.kind == "f":
            values[~np.isfinite(values)] = background
        if padding is not None and modality[number] != modality[0]:
            values[frame == padding[0]] = background
        return values

    return map_indexed(stored, filled, dtype=dtype), background, warnings


def _apply_to_frame(
    transform: Transform, frame: NDArray[Any], dtype: np.dtype[Any]
) -> NDArray[Any]:
    return apply_transform(transform, frame).astype(dtype)


def _find_background(values: Frames, *, inverted: bool) -> tuple[float, bool]:
    """The darkest finite value of all frames, 0 without one, and whether others are not finite."""

    def ends(_: int, frame: NDArray[Any]) -> tuple[list[float], bool]:
        finite = frame[np.isfinite(frame)]
        found = [float(finite.max() if inverted else finite.min())] if finite.size else []
        return found, finite.size < frame.size

    surveyed = list(map_in_order(values, ends))
    darkest = [value for found, _ in surveyed for value in found]
    chosen = max if inverted else min
    return chosen(darkest, default=0.0), any(has_others for _, has_others in surveyed)


def modality_warnings(description: Description, modality: Sequence[Modality]) -> list[str]:
    """What is odd about the modality transforms of an object's frames."""
    warnings = []
    if any(isinstance(m, LookupTable) and m.is_short for m in modality):
        warnings.append(SHORT_TABLE)
    own = {"PixelValueTransformationSequence" in groups.macros for groups in description.frames}
    if len(own) > 1:
        warnings.append("frames without a rescale among others that have one: taken as they are")
    return warnings


def _padding_background(
    description: Description, pixel_format: PixelFormat, modality: Modality, dtype: np.dtype[Any]
) -> float | None:
    """The padding value after the modality transform, None without one that ``dtype`` holds."""
    padding = pixel_padding(description, pixel_format)
    if padding is None:
        return None
    (value,) = modality_transform(modality)(np.array([padding[0]]))
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return float(value.astype(dtype)) if limits.min <= value <= limits.max else None


def modality_dtype(modality: Sequence[Modality], pixel_format: PixelFormat) -> np.dtype[Any]:
    """The dtype of values after the modality transform, by header alone."""
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
    """Whether there are few enough possible values for a table of them."""
    return dtype.kind != "f" and dtype.itemsize <= TABLE_BITS // BYTE_BITS


@lru_cache(maxsize=8)
def tabulate(
    transform: Callable[[NDArray[np.float64]], NDArray[Any]], bits_stored: int, *, signed: bool
) -> DisplayLut:
    """``transform`` of every value that Bits Stored can hold; kept for the next image."""
    low = -(1 << bits_stored - 1) if signed else 0
    values = np.arange(low, low + (1 << bits_stored), dtype=np.float64)
    return DisplayLut(transform(values), low)


def apply_transform(
    transform: Callable[[NDArray[np.float64]], NDArray[Any]], frame: NDArray[Any]
) -> NDArray[Any]:
    """Apply ``transform`` to (rows, columns, 1), through a table where that is possible."""
    if not can_tabulate(frame.dtype):
        return transform(frame.astype(np.float64))
    low, high = int(frame.min()), int(frame.max())
    return DisplayLut(transform(np.arange(low, high + 1, dtype=np.float64)), low)(frame)
