"""Pad to the target size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.imaging.conversion import are_black
from dicom_preprocessing.imaging.frames import map_frames, map_in_order, spool_frames
from dicom_preprocessing.imaging.geometry import Padding, Size
from dicom_preprocessing.imaging.image import Image, luma
from dicom_preprocessing.imaging.planning import Side, plan_padding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.imaging.frames import Frames

FIXED_SIDES: dict[str, Side] = {"top-left": "before", "bottom-right": "after", "center": "split"}


def pad(image: Image, *, size: Sequence[int] | None = None, padding: str = "zero") -> Image:
    """Pad to ``size`` with the background value.

    Parameters
    ----------
    image : Image
    size : (width, height) or None
        None returns the image as it is.
    padding : str
        zero (per axis, on the side whose border line has more zero pixels), top-left, bottom-right,
        center, or none.

    Returns
    -------
    Image
    """
    if size is None or padding == "none":
        return image
    target = Size(size[0], size[1])
    if padding not in FIXED_SIDES and image.size != target:
        # All frames are read to choose the sides, and again to be padded.
        image = image.with_frames(spool_frames(image.frames))
    plan = plan_image_padding(image, target, padding)
    frames = pad_frames(image.frames, plan, image.source_info.fill)
    return image.evolve(frames, image.geometry.with_padding(plan))


def pad_frames(frames: Frames, plan: Padding, fill: float) -> Frames:
    """Put frames into larger ones that are filled with a value."""
    _, rows, columns, samples = frames.shape
    bottom, right = plan.top + rows, plan.left + columns
    shape = (bottom + plan.bottom, right + plan.right, samples)

    def pad_frame(frame: NDArray[Any]) -> NDArray[Any]:
        padded = np.empty(shape, frame.dtype)
        padded[: plan.top] = padded[bottom:] = fill
        padded[plan.top : bottom, : plan.left] = padded[plan.top : bottom, right:] = fill
        padded[plan.top : bottom, plan.left : right] = frame
        return padded

    return map_frames(frames, pad_frame, shape=shape)


def plan_image_padding(image: Image, target: Size, padding: str) -> Padding:
    """Decide on which sides the padding is."""
    if padding in FIXED_SIDES or image.size == target:
        side = FIXED_SIDES.get(padding, "before")
        return plan_padding(image.size, target, x=side, y=side)
    background = image.source_info.background

    def count_by_side(_: int, frame: NDArray[Any]) -> list[int]:
        borders = frame[:, 0], frame[:, -1], frame[0], frame[-1]
        return [_count_empty(line, background) for line in borders]

    counts = map_in_order(image.frames, count_by_side)
    left, right, top, bottom = map(sum, zip(*counts, strict=True))
    return plan_padding(
        image.size, target, x=_find_emptier_side(left, right), y=_find_emptier_side(top, bottom)
    )


def _find_emptier_side(before: int, after: int) -> Side:
    """Return the side whose border line has more zero pixels over all frames, else "before"."""
    return "before" if before >= after else "after"


def _count_empty(line: NDArray[Any], background: float | None) -> int:
    """Count the pixels of (length, samples) with luma 0 in 8 bits, or the background value."""
    # In 8 bits: faint noise of 16 bits in a border is background too.
    if background is None:
        return int(np.count_nonzero(are_black(luma(line))))
    return int(np.count_nonzero(line == background))
