"""Frames as pictures for viewing, from the lowest value to the highest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def stretch_contrast(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """Map minimum to maximum of a frame to 0 to 255; all is 0 where they are equal.

    Parameters
    ----------
    frame : (rows, columns, samples)

    Returns
    -------
    (rows, columns, samples) uint8
    """
    values = frame.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    values = (values - low) * (255 / (high - low) if high > low else 0)
    return values.astype(np.uint8)
