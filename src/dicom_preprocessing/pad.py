"""Pad to the wanted size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.frames import mapped
from dicom_preprocessing.geometry import Padding, Side, Size, plan_padding
from dicom_preprocessing.image import Image, luma, to_8_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FIXED_SIDES: dict[str, Side] = {"top-left": "before", "bottom-right": "after", "center": "split"}


def pad(image: Image, *, size: Sequence[int] | None = None, padding: str = "zero") -> Image:
    """Fill up to ``size`` with the background value.

    Parameters
    ----------
    image : Image
    size : (width, height) or None
        Without it the image is returned as it is.
    padding : str
        zero (per axis on the side whose border line has more zero pixels), top-left,
        bottom-right, center, or none.

    Returns
    -------
    Image
    """
    if size is None or padding == "none":
        return image
    if padding not in FIXED_SIDES:  # frames decide, and are asked for a second time to be padded
        image = replace(image, frames=np.asarray(image.frames))
    plan = plan_image_padding(image, Size(size[0], size[1]), padding)
    widths = ((plan.top, plan.bottom), (plan.left, plan.right), (0, 0))
    size_wh, samples, fill = image.size, image.frames.shape[3], image.facts.fill
    frames = mapped(
        image.frames,
        lambda frame: np.pad(frame, widths, constant_values=fill),
        shape=(
            plan.top + size_wh.height + plan.bottom,
            plan.left + size_wh.width + plan.right,
            samples,
        ),
    )
    return image.evolve(frames, image.geometry.with_padding(plan))


def plan_image_padding(image: Image, target: Size, padding: str) -> Padding:
    """Decide where the padding goes, without touching a pixel."""
    if padding in FIXED_SIDES:
        side = FIXED_SIDES[padding]
        return plan_padding(image.size, target, x=side, y=side)
    frames, background = np.asarray(image.frames), image.facts.background
    return plan_padding(
        image.size,
        target,
        x=_emptier(frames[:, :, 0], frames[:, :, -1], background),
        y=_emptier(frames[:, 0], frames[:, -1], background),
    )


def _emptier(before: NDArray[Any], after: NDArray[Any], background: float | None) -> Side:
    """The side whose border line has more zero pixels over all frames; a tie is "before".

    Zero is a luma that is 0 in 8 bits, or the background of stored values. Both lines are
    (n_frames, length, samples).
    """
    in_front, behind = (_count_empty(line, background) for line in (before, after))
    return "before" if in_front >= behind else "after"


def _count_empty(line: NDArray[Any], background: float | None) -> int:
    if background is None:
        return int(np.count_nonzero(to_8_bits(luma(line)) == 0))
    return int(np.count_nonzero(line == background))
