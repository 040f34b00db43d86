"""Conversion of pixel values to another dtype, for crop and padding, loaded TIFFs and the API.

All use one rule, so that what crop and padding take for black in 8 bits is what a loader makes
black. What is computed of pixels, along rows, columns or frames, is rounded by another one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

U8_MAX, U16_MAX = 255, 65535
U16_BLACK = 128
"""The highest uint16 that is 0 in uint8."""


def convert(
    values: NDArray[Any], dtype: DTypeLike, *, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Convert display values from the full range of one dtype to that of another.

    Parameters
    ----------
    values : any shape, uint8, uint16 or float32
    dtype : uint8, uint16 or float32
        uint16 to uint8 is (v * 255 + 32767) // 65535, the same as (v + 128) // 257; uint8 to uint16
        is v * 257; to float32 v / 255 or v / 65535 in float32. From float32, which is clamped to 0
        to 1, values are rounded half up.
    out : same shape, of ``dtype``, optional
        Array for the result.

    Returns
    -------
    Same shape; ``values`` itself if it has the dtype already and there is no ``out``

    Raises
    ------
    TypeError
        Another dtype, such as int16: values of `intensity: stored` have no full range.
    """
    target = np.dtype(dtype)
    if values.dtype == target and out is None:
        return values
    top = {np.dtype(np.uint8): U8_MAX, np.dtype(np.uint16): U16_MAX, np.dtype(np.float32): 1}
    if values.dtype != target and (values.dtype not in top or target not in top):
        raise TypeError(f"cannot convert {values.dtype} to {target}: uint8, uint16 and float32 can")
    converted = np.empty(values.shape, target) if out is None else out
    if values.dtype == target:
        converted[...] = values
    elif target == np.float32:
        np.divide(values, np.float32(top[values.dtype]), dtype=np.float32, out=converted)
    elif values.dtype == np.float32:
        scaled = np.nan_to_num(np.clip(values, 0, 1)) * np.float64(top[target])
        converted[...] = np.floor(scaled + 0.5)
    elif target == np.uint16:
        np.multiply(values, np.uint16(U16_MAX // U8_MAX), out=converted)
    else:
        np.take(_to_uint8(), values, out=converted, mode="clip")
    return converted


def are_black(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which display values ``convert`` makes 0 in uint8."""
    black: NDArray[np.bool_]
    black = values <= U16_BLACK if values.dtype == np.uint16 else convert(values, np.uint8) == 0
    return black


@cache
def _to_uint8() -> NDArray[np.uint8]:
    """Return the uint8 of each uint16."""
    wide = np.arange(U16_MAX + 1, dtype=np.uint32) * U8_MAX
    rounded: NDArray[np.uint8] = ((wide + U16_MAX // 2) // U16_MAX).astype(np.uint8)
    return rounded


HALF: Final = 0.5 + 1e-6
"""Half a step, and what a sum that should be one may lack.

The last bits of kernels depend on the processor, since NumPy has other code for each (exp, sin).
"""


def quantise(
    values: NDArray[np.float64], dtype: np.dtype[Any], *, can_exceed: bool = True
) -> NDArray[Any]:
    """Return computed values in ``dtype``; integers are clamped, and rounded half away from zero.

    Parameters
    ----------
    values : any shape, float64
        Overwritten.
    dtype : dtype
        Floats are not rounded.
    can_exceed : bool
        Whether values may be outside of an integer dtype; means of its values are not.

    Raises
    ------
    TypeError
        ``dtype`` is bool.
    """
    if dtype.kind == "b":
        raise TypeError("single bits have no steps to which values could be rounded")
    if dtype.kind != "f":
        if can_exceed:
            limits = np.iinfo(dtype)
            np.clip(values, limits.min, limits.max, out=values)
        values += HALF if dtype.kind == "u" else np.copysign(HALF, values)
    rounded: NDArray[Any] = values.astype(dtype)  # truncates
    return rounded
