"""Writing images as TIFFs, whole or not at all.

One page a frame, one strip a page, geometry in tags on every page, and nothing that differs between
two runs: no dates, hosts or paths.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import tifffile

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import atomic_path, open_new_file
from dicom_preprocessing.tiff.compressors import COMPRESSORS
from dicom_preprocessing.tiff.numbers import Compression, Predictor, Tag, TagType
from dicom_preprocessing.tiff.reader import TiffPages
from dicom_preprocessing.tiff.tags import (
    CENTIMETRE,
    NO_UNIT,
    SOFTWARE,
    PageTags,
    geometry_tags,
    make_image_description,
    output_resolution,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.config.recipe import Recipe
    from dicom_preprocessing.imaging.frames import Frames
    from dicom_preprocessing.imaging.image import Image


BIGTIFF_FROM = 2**32 - 2**28
"""Bytes from which BigTIFF is used: offsets of classic TIFF have 32 bits.

What is left is for the tags of many pages, and for noise that PackBits makes a 128th larger.
"""

PAGE_TOTAL_LIMIT = 2**16 - 1


def write_tiff(
    path: os.PathLike[str] | str, image: Image, *, compressor: str, recipe: Recipe
) -> None:
    """Write an image whole or not at all: to a sibling name first, then renamed.

    Parameters
    ----------
    path : path
        Its folder must exist.
    image : Image
    compressor : str
        packbits, lzw, uncompressed, deflate or zstd.
    recipe : Recipe
        What made the image, for ImageDescription.

    Raises
    ------
    OSError
        The disk is full, or the folder is not writable, or the file is not whole for another
        reason; nothing is left under either name.
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
    """Write frames as a TIFF, whole or not at all.

    Parameters
    ----------
    path : path
        Its folder must exist.
    frames : (n_frames, rows, columns, samples)
        Samples is 1 (grey) or 3 (RGB).
    tags : sequence of PageTags
        One for all pages, or one a page.
    compressor : str
        packbits, lzw, uncompressed, deflate or zstd.

    Raises
    ------
    OSError
        The disk is full, or the folder is not writable, or the file is not whole for another
        reason; nothing is left under either name.
    """
    with atomic_path(Path(path)) as partial:
        with open_new_file(partial, "wb") as file:
            _write_pages(file, frames, tags, compressor)
        _require_whole(partial, frames)


def _require_whole(path: Path, frames: Frames) -> None:
    """Raise OSError unless each frame has a page and a strip in the file; pixels are not read."""
    try:
        problem = _find_missing(TiffPages(path), frames)
    except OutputError as error:
        problem = str(error).removeprefix(f"{path}: ")
    if problem:
        raise OSError(
            errno.EIO, f"the image is not whole after it was written ({problem})", str(path)
        )


def _find_missing(pages: TiffPages, frames: Frames) -> str | None:
    """What is wrong with the directories of a file that holds these frames."""
    if len(pages) != len(frames):
        return f"{len(pages)} pages of {len(frames)}"
    is_bits = frames.dtype.kind == "b"
    expected = frames.dtype.newbyteorder("<")
    end = 0
    for number, page in enumerate(pages):
        is_like = (page.rows, page.columns, page.samples) == frames.shape[1:]
        is_kind = (page.dtype is None) == is_bits and (is_bits or page.dtype == expected)
        if not (is_like and is_kind):
            return f"page {number} is of another kind"
        if len(page.counts) != 1 or page.offsets[0] < end:
            return f"page {number} has no strip of its own"
        row_bits = page.columns * page.samples
        nbytes = page.rows * -(-row_bits // 8) if is_bits else page.nbytes  # whole bytes a row
        if page.compression == Compression.NONE and page.counts[0] != nbytes:
            return f"page {number} has {page.counts[0]} bytes of {nbytes}"
        end = page.offsets[0] + page.counts[0]
    return None


def _write_pages(
    file: IO[bytes], frames: Frames, tags: Sequence[PageTags], compressor: str
) -> None:
    total = len(frames) if len(frames) <= PAGE_TOTAL_LIMIT else 0
    is_colour = frames.shape[3] > 1
    packed, predictor = COMPRESSORS[compressor], None
    if packed.is_predicted:
        is_float = frames.dtype.kind == "f"
        predictor = Predictor.FLOATING_POINT if is_float else Predictor.HORIZONTAL
    largest = frames.nbytes * packed.growth
    is_packed = packed.code != Compression.NONE
    is_plain = not is_packed and frames.dtype.kind != "b"  # bits are packed
    with tifffile.TiffWriter(file, bigtiff=largest > BIGTIFF_FROM, byteorder="<") as tiff:
        for number, frame in enumerate(frames):
            page = min(number, PAGE_TOTAL_LIMIT)
            own = tags[number] if len(tags) > 1 else tags[0]
            x, y = own.resolution
            pixels = np.ascontiguousarray(
                frame if is_colour else frame[..., 0], frame.dtype.newbyteorder("<")
            )
            place = tiff.write(
                None if is_plain else pixels,
                shape=pixels.shape,
                dtype=pixels.dtype,
                photometric="rgb" if is_colour else "minisblack",
                planarconfig="contig" if is_colour else None,
                rowsperstrip=frame.shape[0],
                compression=packed.code if is_packed else None,
                predictor=predictor,
                description=own.description,
                software=SOFTWARE,
                metadata=None,
                resolution=(x or (1, 1), y or (1, 1)),
                resolutionunit=CENTIMETRE if x and y else NO_UNIT,
                extratags=[
                    (Tag.PAGE_NUMBER, TagType.SHORT, 2, (page, total), False),
                    *geometry_tags(own.geometry),
                ],
                contiguous=False,
                maxworkers=1,
                returnoffset=is_plain,
            )
            if place is not None:
                _fill(file, place[0], pixels)


def _fill(file: IO[bytes], offset: int, pixels: NDArray[Any]) -> None:
    """Write pixels at the place that tifffile left for them: it would copy them first."""
    end = file.tell()
    file.seek(offset)
    file.write(pixels.data)
    file.seek(end)
