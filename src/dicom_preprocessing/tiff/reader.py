"""Decoded pages of a TIFF, of which only those that are asked for are read.

Pages of the common formats are read at their offsets and decoded by one call: a file of one page is
read 3.5 times as fast as by tifffile with PackBits, and 2.1 times with LZW (docs/loading.md).
tifffile reads all other pages.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import naming
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.text import explain_without_path
from dicom_preprocessing.tiff.directories import (
    DEFLATED,
    PageFormat,
    TiffDirectories,
)
from dicom_preprocessing.tiff.numbers import Predictor
from dicom_preprocessing.tiff.single_page import make_single_page_head
from dicom_preprocessing.tiff.streams import (
    SIZE_READERS,
    SUPPORTED,
    WITHOUT_HEADER,
    find_wrong_size,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.tiff.directories import Page

MAX_MEMORY_MAPS: Final = 256
"""Pages that may be mapped at a time, since each holds its file open. Further ones are read."""


class TiffPages(TiffDirectories):
    """An open TIFF: its pages by index, decoded on request."""

    def __init__(self, path: os.PathLike[str] | str) -> None:
        super().__init__(path)
        self._last_decoded: dict[int, NDArray[Any]] = {}

    def page_format(self, index: int) -> PageFormat:
        """Return the shape of a page and its dtype in native byte order, as ``read`` gives it."""
        page = self[index]
        if page.is_supported and page.dtype is not None:
            dtype = page.dtype.newbyteorder("=")
            return PageFormat(page.rows, page.columns, page.samples, dtype)
        # What tifffile makes of it is known only once it is decoded; read is likely to follow.
        pixels = self._decode_by_tifffile(index)
        self._last_decoded = {index: pixels}
        rows, columns, samples = pixels.shape
        return PageFormat(rows, columns, samples, pixels.dtype)

    def read(self, index: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Decode a page.

        Parameters
        ----------
        index : int
            From 0.
        out : (rows, columns, samples), C order, optional
            Array to decode into, of the page's shape and dtype in native byte order.

        Returns
        -------
        (rows, columns, samples), native byte order, writable

        Raises
        ------
        IndexError
            There are fewer pages.
        OutputError
            The page cannot be decoded.
        """
        page = self[index]
        try:
            return self._decode(index, page, out)
        except (MemoryError, OutputError):
            raise
        except Exception as error:  # codecs raise nearly anything on bad bytes
            raise OutputError(f"{self.path}: page {index} cannot be read: {error}") from error

    def _decode(self, index: int, page: Page, out: NDArray[Any] | None) -> NDArray[Any]:
        if not page.is_supported or page.dtype is None:
            pixels = self._decode_by_tifffile(index)
            if out is None:
                return pixels
            out[...] = pixels
            return out
        if out is None:
            shape = (page.rows, page.columns, page.samples)
            out = np.empty(shape, page.dtype.newbyteorder("="))
        if page.is_contiguous:
            self._read_uncompressed(page, out)
        elif page.compression in DEFLATED:
            self._inflate(page, out)
        else:
            import imagecodecs  # noqa: PLC0415  # slow to import

            # libtiff decodes strips, tiles and predictor in one call, but only of a complete TIFF:
            # to give it the file would take all pages into memory.
            squeezed = out if page.samples > 1 else out[..., 0]
            content = cast("bytearray", self._make_single_page_tiff(page))  # any buffer will do
            imagecodecs.tiff_decode(content, out=squeezed)
        return out

    def _read_uncompressed(self, page: Page, out: NDArray[Any]) -> None:
        """Read pixels from the file into ``out``, without a buffer in between."""
        assert page.dtype is not None
        target = out.reshape(-1).view(np.uint8).data
        done = 0
        # Linux gives 2 GB at most in one call. preadv has its own offset: threads share the file.
        while done < len(target):
            with naming(self.path):
                count = os.preadv(self.descriptor, [target[done:]], page.offsets[0] + done)
            if not count:
                raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
            done += count
        if not page.dtype.isnative:
            out.byteswap(inplace=True)

    def _inflate(self, page: Page, out: NDArray[Any]) -> None:
        """Decode strips of deflate. libtiff does not always see that they were cut."""
        import imagecodecs  # noqa: PLC0415

        assert page.dtype is not None
        starts = range(0, page.rows, page.rows_per_strip)
        for start, offset, count in zip(starts, page.offsets, page.counts, strict=True):
            target = out[start : start + page.rows_per_strip]
            content = imagecodecs.zlib_decode(self._read_bytes(offset, count), out=target.nbytes)
            # Fewer bytes than the strip has make reshape raise an error.
            strip = np.frombuffer(content, page.dtype).reshape(target.shape)
            # Section 14: each sample but the first of a row is the difference to the one on its
            # left, of the same component, modulo 2 to the power of BitsPerSample.
            if page.predictor == Predictor.FLOATING_POINT:
                strip = imagecodecs.floatpred_decode(strip, axis=-2)
            elif page.predictor == Predictor.HORIZONTAL:
                strip = np.cumsum(strip, axis=-2, dtype=out.dtype)
            target[:] = strip

    def _make_single_page_tiff(self, page: Page) -> memoryview:
        """Return the page as a TIFF of its own, in memory that the next call overwrites."""
        assert page.dtype is not None
        head, offsets_start, counts_start = make_single_page_head(
            self.order,
            PageFormat(page.rows, page.columns, page.samples, page.dtype),
            coding=(page.compression, page.predictor),
            tile=page.tile,
            rows_per_strip=page.rows_per_strip,
            segments=len(page.offsets),
        )
        new_offsets = tuple(_running_offsets(len(head), page.counts))
        content = _reuse_memory(len(head) + sum(page.counts))
        # The head is cached, since pages of a volume differ in offsets and counts only.
        content[: len(head)] = head
        longs = f"{self.order}{len(new_offsets)}L"
        struct.pack_into(longs, content, offsets_start, *new_offsets)
        struct.pack_into(longs, content, counts_start, *page.counts)
        for start, offset, count in zip(new_offsets, page.offsets, page.counts, strict=True):
            self._read_into(content[start : start + count], offset)
        return content

    def _read_into(self, target: memoryview, offset: int) -> None:
        """Fill ``target`` with bytes of the file, from the head where they are in it."""
        if offset + len(target) <= len(self.head):
            target[:] = self.head[offset : offset + len(target)]
            return
        with naming(self.path):
            count = os.preadv(self.descriptor, [target], offset)
        if count < len(target):
            # A short read is rare, so it is simply done again, or the error says that bytes miss.
            target[:] = self._read_bytes(offset, len(target))

    def memory_map(self, index: int) -> NDArray[Any] | None:
        """Map a page: its bytes are not copied, and come from the file when they are used.

        Returns
        -------
        (rows, columns, samples) or None
            Writing to the array changes memory, never the file. None where the page is compressed,
            not in native byte order, or not aligned, or MAX_MEMORY_MAPS pages are mapped.

        Raises
        ------
        OutputError
            The file ends before the page.
        """
        page = self[index]
        if not page.is_contiguous or page.dtype is None or not page.dtype.isnative:
            return None
        start = page.offsets[0]
        if start % page.dtype.itemsize or len(_MAPS) >= MAX_MEMORY_MAPS or not page.nbytes:
            return None
        base = start - start % mmap.ALLOCATIONGRANULARITY
        length = start + page.nbytes - base
        # Reading a map past the end of its file raises nothing: SIGBUS ends the process.
        with naming(self.path):
            size = os.fstat(self.descriptor).st_size
        if base + length > size:
            raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
        content = mmap.mmap(self.descriptor, length, offset=base, access=mmap.ACCESS_COPY)
        _MAPS.add(content)  # counted as long as an array refers to it
        values: NDArray[Any] = np.frombuffer(
            content, page.dtype, page.rows * page.columns * page.samples, start - base
        )
        return values.reshape(page.rows, page.columns, page.samples)

    def _decode_by_tifffile(self, index: int) -> NDArray[Any]:
        """Decode a page of an uncommon format to (rows, columns, samples), native byte order."""
        import tifffile  # noqa: PLC0415  # slow to import, and seldom needed

        # What is wrong is said once, by the error; a program that wants this log still gets it.
        logging.getLogger("tifffile").addHandler(_NO_HANDLER)
        page = self[index]
        pixels = self._last_decoded.pop(index, None)
        if pixels is not None:
            return pixels
        if page.compression not in WITHOUT_HEADER and page.compression not in SIZE_READERS:
            raise OutputError(
                f"{self.path}: page {index} cannot be read: its compression {page.compression} is "
                f"not supported; expected one of {SUPPORTED}"
            )
        try:
            with tifffile.TiffFile(self.path) as tiff:
                # Not by its number: tifffile would read all pages before it.
                tiff.filehandle.seek(self._locate_directory(index))
                tiff_page = tifffile.TiffPage(tiff, index)
                # Tags that only tifffile reads may say that there is more to allocate.
                if tiff_page.size != page.rows * page.columns * page.samples:
                    problem = f"page {index} has another depth or size of samples than expected"
                    raise OutputError(f"{self.path}: {problem}")  # noqa: TRY301
                # Tag 65426 of NDPI has the header of a stream, in place of the stream itself.
                if getattr(tiff_page, "jpegheader", None) is not None:
                    raise OutputError(f"{self.path}: page {index} is of NDPI")  # noqa: TRY301
                self._require_stream_sizes(page, tiff_page.dataoffsets, tiff_page.databytecounts)
                pixels = np.asarray(tiff_page.asarray(maxworkers=1))
                # Planes, one a sample, come first.
                if tiff_page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samples > 1:
                    pixels = np.moveaxis(pixels, 0, -1)
                pixels = pixels.reshape(page.rows, page.columns, page.samples)
        except (MemoryError, OutputError):
            raise
        except Exception as error:  # tifffile raises nearly anything on bad bytes
            raise OutputError(f"{self.path}: page {index} cannot be read: {error}") from error
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        return np.ascontiguousarray(pixels)

    def _require_stream_sizes(
        self, page: Page, offsets: Sequence[int], counts: Sequence[int]
    ) -> None:
        """Refuse a page of which a strip or tile says that it has another size than it must have.

        Decoders would allocate what it says.
        """
        if page.compression in WITHOUT_HEADER:
            return
        for number, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
            # Without bytes, tifffile fills the tile.
            if offset and count:
                problem = find_wrong_size(page, number, self._read_bytes(offset, count))
                if problem:
                    raise OutputError(f"{self.path}: cannot be read as TIFF: {problem}")


_NO_HANDLER: Final = logging.NullHandler()
_MAPS: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


_SCRATCH = threading.local()


def _reuse_memory(length: int) -> memoryview:
    """Return memory of this thread that is used again, since the system clears new memory."""
    content: bytearray | None = getattr(_SCRATCH, "content", None)
    if content is None or len(content) < length:
        content = _SCRATCH.content = bytearray(length)
    return memoryview(content)[:length]


def _running_offsets(start: int, counts: tuple[int, ...]) -> Iterator[int]:
    """Yield the offset of each segment, if they follow each other from ``start``."""
    for count in counts:
        yield start
        start += count


def read_frames(path: os.PathLike[str] | str) -> LazyFrames:
    """Read the pages of an image of this project as lazy frames.

    Returns
    -------
    (n_frames, rows, columns, samples), native byte order

    Raises
    ------
    OutputError
        The file is missing, no TIFF, or has pages of several formats. Damaged pages raise it when
        they are asked for.
    """
    with explain_unreadable(path):
        return make_frames(TiffPages(path))


def make_frames(pages: TiffPages) -> LazyFrames:
    """Make lazy frames of an open TIFF; see ``read_frames``."""
    formats = {pages.page_format(index) for index, _ in enumerate(pages)}
    if len(formats) != 1:
        shown = sorted((form.shape, str(form.dtype)) for form in formats)
        raise OutputError(f"{pages.path}: cannot be read as TIFF of one kind of page: {shown}")
    (form,) = formats
    return LazyFrames(
        (len(pages), *form.shape), form.dtype, pages.read, is_cheap=pages[0].is_contiguous
    )


@contextmanager
def explain_unreadable(path: os.PathLike[str] | str) -> Iterator[None]:
    """Raise an OutputError that names the TIFF where the system does not give its bytes."""
    try:
        yield
    except OSError as error:
        reason = explain_without_path(error)
        raise OutputError(f"{path}: cannot be read as TIFF: {reason}") from error
