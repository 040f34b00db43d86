"""Pages of a TIFF, of which only those that are asked for are read.

The usual kinds of pages are read from their place in the file and decoded by one call; tifffile
reads all others.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import weakref
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.text import explain_without_path
from dicom_preprocessing.tiff.directories import (
    DEFLATED,
    PageFormat,
    TiffDirectories,
)
from dicom_preprocessing.tiff.numbers import Predictor
from dicom_preprocessing.tiff.single_page import make_single_page_head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dicom_preprocessing.tiff.directories import Page

MAX_MEMORY_MAPS: Final = 256
"""Pages that are mapped at a time, because each holds a file open; more are read."""


class TiffPages(TiffDirectories):
    """An open TIFF: its pages by number, decoded."""

    def __init__(self, path: os.PathLike[str] | str) -> None:
        super().__init__(path)
        self._looked_at: dict[int, NDArray[Any]] = {}

    def page_format(self, number: int) -> PageFormat:
        """Shape and dtype of a page as ``read`` gives it."""
        page = self[number]
        if page.is_supported and page.dtype is not None:
            dtype = page.dtype.newbyteorder("=")
            return PageFormat(page.rows, page.columns, page.samples, dtype)
        pixels = self._by_tifffile(number)
        self._looked_at = {number: pixels}
        rows, columns, samples = pixels.shape
        return PageFormat(rows, columns, samples, pixels.dtype)

    def read(self, number: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Decode a page.

        Parameters
        ----------
        number : int
        out : (rows, columns, samples), C order, optional
            Where to, of the page's shape and dtype in native byte order.

        Returns
        -------
        (rows, columns, samples), native byte order, writable

        Raises
        ------
        IndexError
            There are fewer pages.
        OutputError
            It cannot be decoded.
        """
        page = self[number]
        try:
            return self._decoded(number, page, out)
        except (MemoryError, OutputError):
            raise
        except Exception as error:  # codecs raise nearly anything on bad bytes
            raise OutputError(f"{self.path}: page {number} cannot be read: {error}") from error

    def _decoded(self, number: int, page: Page, out: NDArray[Any] | None) -> NDArray[Any]:
        if not page.is_supported or page.dtype is None:
            pixels = self._by_tifffile(number)
            if out is None:
                return pixels
            out[...] = pixels
            return out
        if out is None:
            shape = (page.rows, page.columns, page.samples)
            out = np.empty(shape, page.dtype.newbyteorder("="))
        if page.is_contiguous:
            self._copy(page, out)
        elif page.compression in DEFLATED:
            self._inflate(page, out)
        else:
            import imagecodecs  # noqa: PLC0415  # slow to import

            like = out if page.samples > 1 else out[..., 0]
            content = cast("bytearray", self._make_single_page_tiff(page))  # any buffer will do
            imagecodecs.tiff_decode(content, out=like)
        return out

    def _copy(self, page: Page, out: NDArray[Any]) -> None:
        assert page.dtype is not None
        target = out.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(target):
            got = os.preadv(self.descriptor, [target[done:]], page.offsets[0] + done)
            if not got:
                raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
            done += got
        if not page.dtype.isnative:
            out.byteswap(inplace=True)

    def _inflate(self, page: Page, out: NDArray[Any]) -> None:
        """Decode strips of deflate. libtiff does not always see that they were cut."""
        import imagecodecs  # noqa: PLC0415

        assert page.dtype is not None
        starts = range(0, page.rows, page.rows_per_strip)
        for start, offset, count in zip(starts, page.offsets, page.counts, strict=True):
            target = out[start : start + page.rows_per_strip]
            content = imagecodecs.zlib_decode(self._bytes(offset, count), out=target.nbytes)
            strip = np.frombuffer(content, page.dtype).reshape(target.shape)
            if page.predictor == Predictor.FLOATING_POINT:
                strip = imagecodecs.floatpred_decode(strip, axis=-2)
            elif page.predictor == Predictor.HORIZONTAL:
                strip = np.cumsum(strip, axis=-2, dtype=out.dtype)
            target[:] = strip

    def _make_single_page_tiff(self, page: Page) -> memoryview:
        """A page alone as a TIFF in memory, which has what the decoder needs and no more."""
        assert page.dtype is not None
        head, offsets_at, counts_at = make_single_page_head(
            self.order,
            PageFormat(page.rows, page.columns, page.samples, page.dtype),
            coding=(page.compression, page.predictor),
            tile=page.tile,
            rows_per_strip=page.rows_per_strip,
            parts=len(page.offsets),
        )
        places = tuple(_running_offsets(len(head), page.counts))
        content = _scratch(len(head) + sum(page.counts))
        content[: len(head)] = head
        form = f"{self.order}{len(places)}L"
        struct.pack_into(form, content, offsets_at, *places)
        struct.pack_into(form, content, counts_at, *page.counts)
        for place, offset, count in zip(places, page.offsets, page.counts, strict=True):
            self._fill(content[place : place + count], offset)
        return content

    def _fill(self, target: memoryview, offset: int) -> None:
        if offset + len(target) <= len(self.head):
            target[:] = self.head[offset : offset + len(target)]
        elif os.preadv(self.descriptor, [target], offset) < len(target):
            target[:] = self._bytes(offset, len(target))

    def memory_map(self, number: int) -> NDArray[Any] | None:
        """A page without a copy: its bytes come from the file when they are looked at.

        Returns
        -------
        (rows, columns, samples) or None
            Writing to it changes memory, never the file. None where the page is compressed, of
            foreign byte order, or not aligned, or where too many are mapped already.
        """
        page = self[number]
        if not page.is_contiguous or page.dtype is None or not page.dtype.isnative:
            return None
        start = page.offsets[0]
        if start % page.dtype.itemsize or len(_MAPS) >= MAX_MEMORY_MAPS or not page.nbytes:
            return None
        base = start - start % mmap.ALLOCATIONGRANULARITY
        length = start + page.nbytes - base
        if base + length > os.fstat(self.descriptor).st_size:
            raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
        content = mmap.mmap(self.descriptor, length, offset=base, access=mmap.ACCESS_COPY)
        _MAPS.add(content)
        values: NDArray[Any] = np.frombuffer(
            content, page.dtype, page.rows * page.columns * page.samples, start - base
        )
        return values.reshape(page.rows, page.columns, page.samples)

    def _by_tifffile(self, number: int) -> NDArray[Any]:
        """Pixels of a page of another kind, (rows, columns, samples)."""
        import tifffile  # noqa: PLC0415  # slow to import, and seldom needed

        page = self[number]
        known = self._looked_at.pop(number, None)
        if known is not None:
            return known
        try:
            with tifffile.TiffFile(self.path) as tiff:
                found = next(islice(tiff.pages, number, None)).aspage()
                pixels = np.asarray(found.asarray(maxworkers=1))
                if found.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samples > 1:
                    pixels = np.moveaxis(pixels, 0, -1)
        except MemoryError:
            raise
        except Exception as error:  # tifffile raises nearly anything on bad bytes
            raise OutputError(f"{self.path}: page {number} cannot be read: {error}") from error
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        return np.ascontiguousarray(pixels.reshape(page.rows, page.columns, -1))


_MAPS: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


_SCRATCH = threading.local()


def _scratch(length: int) -> memoryview:
    """Memory of this thread, used again and again: the system clears each page of new memory."""
    found: bytearray | None = getattr(_SCRATCH, "content", None)
    if found is None or len(found) < length:
        found = _SCRATCH.content = bytearray(length)
    return memoryview(found)[:length]


def _running_offsets(start: int, counts: tuple[int, ...]) -> Iterator[int]:
    for count in counts:
        yield start
        start += count


def read_frames(path: os.PathLike[str] | str) -> LazyFrames:
    """Pages of an image of this project, which are read when they are asked for.

    Returns
    -------
    (n_frames, rows, columns, samples)

    Raises
    ------
    OutputError
        The file is missing or no TIFF of this project; also when asking for a damaged page.
    """
    try:
        pages = TiffPages(path)
        kinds = {pages.page_format(number) for number in range(len(pages))}
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be read as TIFF: {explain_without_path(error)}"
        ) from error
    if len(kinds) != 1:
        shown = sorted((kind.shape, str(kind.dtype)) for kind in kinds)
        raise OutputError(f"{path}: cannot be read as TIFF of one kind of page: {shown}")
    (kind,) = kinds
    return LazyFrames(
        (len(pages), *kind.shape), kind.dtype, pages.read, is_cheap=pages[0].is_contiguous
    )
