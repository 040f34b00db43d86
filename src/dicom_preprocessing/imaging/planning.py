"""Sizes, paddings and boxes, which stages plan before they compute pixels."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import numpy as np

from dicom_preprocessing.imaging.geometry import CropBox, Padding, Size, round_half_away

CACHED_AREAS = 64
"""Areas of images without their edges that stay for the next image, often of the same size."""


def fit_size(content: Size, target: Size, pixel_shape: float | None = None) -> Size:
    """Return the largest size within ``target`` that has the aspect ratio of the picture.

    Products with the factors are float32. Sides are rounded half away from zero, and at least 1.

    Parameters
    ----------
    content, target : Size
    pixel_shape : float or None
        Height over width of a pixel of ``content``; None for square ones.
    """
    x, y = fit_factors(content, target, pixel_shape)
    return Size(
        max(1, round_half_away(float(np.float32(content.width) * x))),
        max(1, round_half_away(float(np.float32(content.height) * y))),
    )


def fit_factors(
    content: Size, target: Size, pixel_shape: float | None = None
) -> tuple[np.float32, np.float32]:
    """Return the factors (x, y) by which ``content`` just fits into ``target``.

    They differ where pixels are not square; parameters are those of ``fit_size``.
    """
    shape = np.float32(1 if pixel_shape is None else pixel_shape)
    factor = min(
        np.float32(target.width) / np.float32(content.width),
        np.float32(target.height) / (np.float32(content.height) * shape),
    )
    return factor, factor * shape


def spacing_size(
    content: Size, *, native: tuple[float, float], target: tuple[float, float]
) -> Size:
    """Return the size with a pixel spacing of ``target``; spacings are (x, y) in mm."""
    return Size(
        max(1, round_half_away(content.width * native[0] / target[0])),
        max(1, round_half_away(content.height * native[1] / target[1])),
    )


Side = Literal["before", "after", "split"]


def plan_padding(content: Size, target: Size, *, x: Side, y: Side) -> Padding:
    """Distribute the missing pixels to both sides of each axis.

    Split in two, an odd remainder goes to the right and bottom.
    """
    left, right = _distribute(max(0, target.width - content.width), x)
    top, bottom = _distribute(max(0, target.height - content.height), y)
    return Padding(left, top, right, bottom)


def _distribute(total: int, side: Side) -> tuple[int, int]:
    """Return the pixels before and after the content."""
    before = {"before": total, "after": 0, "split": total // 2}[side]
    return before, total - before


@lru_cache(maxsize=CACHED_AREAS)
def inner_box(size: Size, border_frac: float) -> CropBox | None:
    """Return the area of an image without a fraction at each edge, None if nothing is left.

    Left and top lose trunc(n * f) lines; right and bottom end before trunc(n * (1 - f)), and so
    lose the line that the fraction cuts, too.
    """
    # This is what the reference program does in every measured case: trunc(n * f) at all sides
    # gives boxes one pixel larger in 68 of 83. The fraction is the decimal number that was written:
    # 0.29 of 100 is 29, and not 28 as by its binary neighbour.
    fraction = Fraction(str(border_frac))
    left, right = _inner_range(size.width, fraction)
    top, bottom = _inner_range(size.height, fraction)
    if right <= left or bottom <= top:
        return None
    return CropBox(left, top, right - left, bottom - top)


def _inner_range(length: int, fraction: Fraction) -> tuple[int, int]:
    return math.trunc(length * fraction), math.trunc(length * (1 - fraction))


def grow_box(box: CropBox, *, dx: int, dy: int, within: CropBox) -> CropBox:
    """Extend ``box`` by ``dx`` and ``dy`` on each side, clamped to ``within``."""
    left, top = max(within.left, box.left - dx), max(within.top, box.top - dy)
    right, bottom = min(within.right, box.right + dx), min(within.bottom, box.bottom + dy)
    return CropBox(left, top, right - left, bottom - top)
