"""Atomic writing of images as TIFFs.

One page per frame, one strip per page, geometry in tags on every page, and nothing that differs
between two runs: no dates, hosts or paths.
"""

from __future__ import annotations

import errno
import os
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.files import atomic_path, open_new_file
from dicom_preprocessing.tiff.compressors import COMPRESSOR_BY_NAME
from dicom_preprocessing.tiff.directories import PageFormat
from dicom_preprocessing.tiff.new_directory import BIG_LAYOUT, CLASSIC_LAYOUT, NewDirectory
from dicom_preprocessing.tiff.numbers import Tag, TagType
from dicom_preprocessing.tiff.strips import encode_strip
from dicom_preprocessing.tiff.tags import (
    PageTags,
    list_entries,
    make_image_description,
    output_resolution,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.config.recipe import Recipe
    from dicom_preprocessing.imaging.frames import Frames
    from dicom_preprocessing.imaging.image import Image
    from dicom_preprocessing.tiff.compressors import Compressor
    from dicom_preprocessing.tiff.new_directory import Entry, Layout


BIGTIFF_FROM = 2**32 - 2**28
"""Bytes of pixels above which a file is BigTIFF, since offsets of classic TIFF have 32 bits.

The rest is for the tags of many pages, and for noise that PackBits makes larger by one in 128.
"""

PAGE_TOTAL_LIMIT = 2**16 - 1
"""Values of PageNumber have 16 bits."""

STRIP_ALIGNMENT: Final = 16
"""Strips begin at multiples of it, so that pixels of any dtype can be mapped to memory."""


def write_tiff(
    path: os.PathLike[str] | str, image: Image, *, compressor: str, recipe: Recipe
) -> None:
    """Write an image as a TIFF, atomically: to a sibling name first, which is then renamed.

    Parameters
    ----------
    path : path
        Its folder must exist.
    image : Image
    compressor : str
        packbits, lzw, uncompressed, deflate or zstd.
    recipe : Recipe
        Stages that made the image, for ImageDescription.

    Raises
    ------
    OSError
        The disk is full, the folder is not writable, or the file is incomplete for another reason.
        Nothing is left under either name.
    """
    tags = PageTags(
        geometry=image.geometry,
        resolution=output_resolution(image),
        description=make_image_description(image, recipe),
    )
    write_pages(path, image.frames, [tags], compressor=compressor)


def write_pages(
    path: os.PathLike[str] | str,
    frames: Frames,
    tags: Sequence[PageTags],
    *,
    compressor: str,
) -> None:
    """Write frames as a TIFF, atomically.

    Parameters
    ----------
    path : path
        Its folder must exist.
    frames : (n_frames, rows, columns, samples)
        Samples is 1 (grey) or 3 (RGB).
    tags : sequence of PageTags
        One for all pages, or one per page.
    compressor : str
        packbits, lzw, uncompressed, deflate or zstd.

    Raises
    ------
    OSError
        As for ``write_tiff``.
    ValueError
        There are no pixels, or a frame has another shape or dtype than ``frames``.
    """
    if 0 in frames.shape:
        raise ValueError(f"frames of {frames.shape} have no pixels")
    with atomic_path(path) as partial:
        with open_new_file(partial, "wb") as file:
            size = _write_pages(file, frames, tags, COMPRESSOR_BY_NAME[compressor])
        _require_complete(partial, size)


def _require_complete(path: str, size: int) -> None:
    """Raise OSError unless a file that was written and closed has all of its bytes."""
    found = os.stat(path).st_size
    if found != size:
        problem = f"the image is not whole after it was written ({found} bytes of {size})"
        raise OSError(errno.EIO, problem, path)


def _write_pages(
    file: IO[bytes], frames: Frames, tags: Sequence[PageTags], compressor: Compressor
) -> int:
    """Write a TIFF from its first byte to its last; return their number."""
    is_big = frames.nbytes * compressor.growth > BIGTIFF_FROM
    layout = BIG_LAYOUT if is_big else CLASSIC_LAYOUT
    rows, columns, samples = frames.shape[1:]
    form = PageFormat(rows, columns, samples, frames.dtype.newbyteorder("<"))
    total = len(frames) if len(frames) <= PAGE_TOTAL_LIMIT else 0  # 0 is an unknown total
    end = file.write(layout.make_header())
    for index, frame in zip(range(len(frames)), frames, strict=True):
        if index == 0 or len(tags) > 1:
            directory = _make_directory(form, compressor, tags[index], layout)
        directory.set_values(Tag.PAGE_NUMBER, min(index, PAGE_TOTAL_LIMIT), total)
        is_last = index == len(frames) - 1
        # Without a name, so that the strip is not in memory while the next frame is made.
        end = _write_page(
            file,
            directory,
            encode_strip(_order_pixels(frame, form), compressor),
            end,
            is_last=is_last,
        )
    return end


def _make_directory(
    form: PageFormat, compressor: Compressor, tags: PageTags, layout: Layout
) -> NewDirectory:
    """Make the directory of a page; its number, and the place of its strip, are 0."""
    entries: list[Entry] = [
        *list_entries(form, compressor, tags),
        (Tag.PAGE_NUMBER, TagType.SHORT, (0, 0)),
        (Tag.STRIP_OFFSETS, layout.offset_type, (0,)),
        (Tag.STRIP_COUNTS, layout.offset_type, (0,)),
    ]
    return NewDirectory(entries, layout)


def _order_pixels(frame: NDArray[Any], form: PageFormat) -> NDArray[Any]:
    """Return a frame in C order and the byte order of the file, without a copy if it has them.

    Raises
    ------
    ValueError
        It has another shape or dtype than the frames say.
    """
    if frame.shape != form.shape or frame.dtype.newbyteorder("<") != form.dtype:
        raise ValueError(
            f"found a frame of {frame.shape} {frame.dtype}, expected {form.shape} {form.dtype}"
        )
    return np.ascontiguousarray(frame, form.dtype)


def _write_page(
    file: IO[bytes], directory: NewDirectory, strip: memoryview, end: int, *, is_last: bool
) -> int:
    """Write a directory and its strip behind the ``end`` of a file; return its new end."""
    # TIFF 6.0, section 2: a directory begins on a word boundary.
    start = end + end % 2
    directory_end = start + len(directory.content)
    strip_start = directory_end + -directory_end % STRIP_ALIGNMENT
    strip_end = strip_start + strip.nbytes
    directory.set_values(Tag.STRIP_OFFSETS, strip_start)
    directory.set_values(Tag.STRIP_COUNTS, strip.nbytes)
    directory.move_to(start, 0 if is_last else strip_end + strip_end % 2)
    file.write(bytes(start - end) + directory.content + bytes(strip_start - directory_end))
    file.write(strip)
    return strip_end
