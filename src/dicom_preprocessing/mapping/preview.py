"""Pictures of images with boxes drawn on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import atomic_write
from dicom_preprocessing.imaging.picture import stretch_contrast
from dicom_preprocessing.text import plural
from dicom_preprocessing.tiff.reader import read_frames

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WHOLE, CUT = (0, 230, 60), (255, 140, 0)
"""Green for boxes that are completely in the image, orange for those that are cut."""
MIN_PICTURE_SIDE = 512
"""Smaller pictures are enlarged by an integer factor, as long as both sides stay within this."""
LINES_PER_SIDE = 400
GREY_OR_RGB = (1, 3)


def write_preview(
    path: Path,
    image: Path,
    boxes: NDArray[np.float64],
    is_whole: NDArray[np.bool_],
    page: int | None = None,
) -> None:
    """Write a PNG of a page of a TIFF with its boxes.

    Parameters
    ----------
    path : path
        Of the PNG; its folder must exist.
    image : path
    boxes : (n, 4) float64
        Left, top, right, bottom, with pixel edges at integers.
    is_whole : (n,) bool
        Which boxes are not cut, which decides their colour.
    page : int, optional
        From 1; by default the middle one.

    Raises
    ------
    OutputError
        The TIFF cannot be read, or has fewer pages.
    OSError
    """
    frames = read_frames(image)
    if frames.shape[3] not in GREY_OR_RGB:
        raise OutputError(f"{image}: found {frames.shape[3]} samples; expected grey or RGB")
    index = len(frames) // 2 if page is None else page - 1
    if index >= len(frames):
        raise OutputError(f"{image}: found {plural(len(frames), 'page')}; expected page {page}")
    picture = stretch_to_rgb(np.asarray(frames[index]))
    factor = max(1, MIN_PICTURE_SIDE // max(picture.shape[:2]))
    picture = np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)
    for box, whole in zip(boxes * factor, is_whole, strict=True):
        draw_box(picture, box, WHOLE if whole else CUT)
    with atomic_write(path, "wb") as file:
        file.write(imagecodecs.png_encode(picture))


def stretch_to_rgb(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """Stretch a frame from minimum to maximum to 0 to 255.

    Parameters
    ----------
    frame : (rows, columns, samples)
        Samples is 1 or 3.

    Returns
    -------
    (rows, columns, 3) uint8
    """
    return np.array(np.broadcast_to(stretch_contrast(frame), (*frame.shape[:2], 3)))


def draw_box(
    picture: NDArray[np.uint8], box: NDArray[np.float64], colour: tuple[int, int, int]
) -> None:
    """Draw a frame around the pixels of a box, as far as it is within the picture."""
    width = max(1, round(max(picture.shape[:2]) / LINES_PER_SIDE))
    left, top, right, bottom = (int(edge) for edge in np.rint(box))
    outer = np.s_[max(0, top - width) : bottom + width, max(0, left - width) : right + width]
    inner = np.s_[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    content = picture[inner].copy()
    picture[outer] = colour
    picture[inner] = content
