"""Atomic writing of images as TIFFs.

One page per frame, one strip per page, geometry in tags on every page, and nothing that differs
between two runs: no dates, hosts or paths.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import tifffile

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import atomic_path, open_new_file
from dicom_preprocessing.tiff.compressors import COMPRESSOR_BY_NAME
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
"""Bytes of pixels above which a file is BigTIFF, since offsets of classic TIFF have 32 bits.

The rest is for the tags of many pages, and for noise that PackBits makes larger by one in 128.
"""

PAGE_TOTAL_LIMIT = 2**16 - 1
"""Values of PageNumber have 16 bits."""


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
    """
    with atomic_path(Path(path)) as partial:
        with open_new_file(partial, "wb") as file:
            _write_pages(file, frames, tags, compressor)
        _require_complete(partial, frames)


def _require_complete(path: Path, frames: Frames) -> None:
    """Raise OSError unless each frame has a page and a strip in the file; pixels are not read."""
    # A full disk has cut images in silence: tifffile suppresses errors when it closes a file.
    try:
        problem = _find_missing(TiffPages(path), frames)
    except OutputError as error:
        problem = str(error).removeprefix(f"{path}: ")
    if problem:
        raise OSError(
            errno.EIO, f"the image is not whole after it was written ({problem})", str(path)
        )


def _find_missing(pages: TiffPages, frames: Frames) -> str | None:
    """Return what is wrong with the directories of a file of these frames, None if nothing is."""
    if len(pages) != len(frames):
        return f"{len(pages)} pages of {len(frames)}"
    is_bits = frames.dtype.kind == "b"
    expected = frames.dtype.newbyteorder("<")
    end = 0
    for index, page in enumerate(pages):
        has_shape = (page.rows, page.columns, page.samples) == frames.shape[1:]
        # The directory has no dtype for single bits; compared with one, None would be float64.
        has_dtype = (page.dtype is None) == is_bits and (is_bits or page.dtype == expected)
        if not (has_shape and has_dtype):
            return f"page {index} is of another kind"
        if len(page.counts) != 1 or page.offsets[0] < end:
            return f"page {index} has no strip of its own"
        row_bits = page.columns * page.samples
        # Rows of bits are padded to bytes.
        nbytes = page.rows * -(-row_bits // 8) if is_bits else page.nbytes
        if page.compression == Compression.NONE and page.counts[0] != nbytes:
            return f"page {index} has {page.counts[0]} bytes of {nbytes}"
        end = page.offsets[0] + page.counts[0]
    return None


def _write_pages(
    file: IO[bytes], frames: Frames, tags: Sequence[PageTags], compressor: str
) -> None:
    total = len(frames) if len(frames) <= PAGE_TOTAL_LIMIT else 0  # 0 is an unknown total
    is_colour = frames.shape[3] > 1
    chosen, predictor = COMPRESSOR_BY_NAME[compressor], None
    if chosen.is_predicted:
        is_float = frames.dtype.kind == "f"
        predictor = Predictor.FLOATING_POINT if is_float else Predictor.HORIZONTAL
    max_bytes = frames.nbytes * chosen.growth
    is_compressed = chosen.code != Compression.NONE
    # Of these pages tifffile writes the directory and leaves space for the pixels.
    is_filled = not is_compressed and frames.dtype.kind != "b"  # tifffile packs bits
    with tifffile.TiffWriter(file, bigtiff=max_bytes > BIGTIFF_FROM, byteorder="<") as tiff:
        for index, frame in enumerate(frames):
            page_number = min(index, PAGE_TOTAL_LIMIT)
            page_tags = tags[index] if len(tags) > 1 else tags[0]
            x, y = page_tags.resolution
            pixels = np.ascontiguousarray(
                frame if is_colour else frame[..., 0], frame.dtype.newbyteorder("<")
            )
            space = tiff.write(
                None if is_filled else pixels,
                shape=pixels.shape,
                dtype=pixels.dtype,
                photometric="rgb" if is_colour else "minisblack",
                planarconfig="contig" if is_colour else None,
                rowsperstrip=frame.shape[0],
                compression=chosen.code if is_compressed else None,
                predictor=predictor,
                description=page_tags.description,
                software=SOFTWARE,
                metadata=None,
                resolution=(x or (1, 1), y or (1, 1)),
                resolutionunit=CENTIMETRE if x and y else NO_UNIT,
                extratags=[
                    (Tag.PAGE_NUMBER, TagType.SHORT, 2, (page_number, total), False),
                    *geometry_tags(page_tags.geometry),
                ],
                contiguous=False,
                maxworkers=1,
                returnoffset=is_filled,
            )
            if space is not None:
                _write_at(file, space[0], pixels)


def _write_at(file: IO[bytes], offset: int, pixels: NDArray[Any]) -> None:
    """Write pixels into the space that tifffile left for them, without the copy it would make."""
    end = file.tell()
    file.seek(offset)
    file.write(pixels.data)
    file.seek(end)
