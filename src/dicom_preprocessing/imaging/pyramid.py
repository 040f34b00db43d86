"""Laplacian pyramids: an image as bands of detail, each at half the resolution of the one before.

Burt and Adelson 1983, doi 10.1109/TCOM.1983.1095851.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BANDS = 6
"""Bands of detail, up to structures of about 64 pixels."""

BINOMIAL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def modulate_detail(
    image: NDArray[np.float64], brightness: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum the bands of detail of an image, each damped where ``brightness`` is low.

    Band k is multiplied by the square root of ``brightness`` at the next coarser level.

    Parameters
    ----------
    image : (rows, columns, samples)
    brightness : (rows, columns, samples)
        Within 0 .. 1. Where it is 1 everywhere, the result is ``image`` without its coarsest level.

    Returns
    -------
    (rows, columns, samples)
    """
    images, lights = gaussian_levels(image), gaussian_levels(brightness)
    detail = np.zeros_like(images[-1])
    for (fine, coarse), light in zip(
        reversed(list(pairwise(images))), reversed(lights[1:]), strict=True
    ):
        shape = fine.shape[:2]
        band = fine - expand(coarse, shape)
        detail = expand(detail, shape) + np.sqrt(expand(light, shape)) * band
    return detail


def gaussian_levels(image: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the image and smoothed ones, each of half the size, rounded up.

    The last one has a side of one pixel, unless there are ``BANDS`` before it.
    """
    levels = [image]
    while len(levels) <= BANDS and min(levels[-1].shape[:2]) > 1:
        levels.append(_smooth(levels[-1])[::2, ::2])
    return levels


def expand(image: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Interpolate between samples at every other pixel of ``shape`` (rows, columns)."""
    spread = np.zeros((*shape, image.shape[2]))
    spread[::2, ::2] = image
    return 4 * _smooth(spread)  # three of four pixels are 0


def _smooth(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply the binomial kernel along rows and columns, mirrored at the centres of edge pixels."""
    from scipy import ndimage  # noqa: PLC0415  # 0.2 s that only laplacian-mip must pay

    along_rows = ndimage.correlate1d(image, BINOMIAL, axis=0, mode="mirror")
    smoothed: NDArray[np.float64] = ndimage.correlate1d(along_rows, BINOMIAL, axis=1, mode="mirror")
    return smoothed
