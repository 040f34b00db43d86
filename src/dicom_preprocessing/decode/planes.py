"""Samples in planes (PS3.3 C.7.6.3.1.3, PS3.5 G.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def interleave(planes: NDArray[Any]) -> NDArray[Any]:
    """Return (samples, rows, columns) pixel by pixel, as (rows, columns, samples)."""
    # A copy of the transposed array takes five times as long: its innermost loop is over the
    # samples of a pixel.
    pixels = np.empty((*planes.shape[1:], planes.shape[0]), planes.dtype)
    for sample, plane in enumerate(planes):
        pixels[..., sample] = plane
    return pixels
