"""Directories of a TIFF, classic or big: where each page's pixels are, and of what kind.

They are parsed here because most files are small and of a usual kind: tifffile makes objects of
every tag, which takes ten times as long.
"""

from __future__ import annotations

import os
import struct
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import read_at
from dicom_preprocessing.tiff.numbers import Compression, Photometric, Predictor, Tag, TagType

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASSIC, BIG = 42, 43
"""Versions of TIFF, whose offsets have 32 and 64 bits."""
CLASSIC_HEADER, BIG_HEADER = 8, 16
INLINE = 4
"""Bytes of a value that stands in its entry, in classic TIFF."""

TIFF_HEAD_BYTES: Final = 4096
"""Read at once at the start: header, first directory and its values, of most files."""
DIRECTORY_BYTES: Final = 512
"""Read at once of other directories; more if that does not hold all entries."""

DECODING_TAGS: Final = frozenset(
    (
        *(Tag.WIDTH, Tag.LENGTH, Tag.BITS, Tag.COMPRESSION, Tag.PHOTOMETRIC, Tag.FILL_ORDER),
        *(Tag.STRIP_OFFSETS, Tag.SAMPLES, Tag.ROWS_PER_STRIP, Tag.STRIP_COUNTS, Tag.PLANAR),
        *(Tag.PREDICTOR, Tag.TILE_WIDTH, Tag.TILE_LENGTH, Tag.TILE_OFFSETS, Tag.TILE_COUNTS),
        Tag.SAMPLE_FORMAT,
    )
)
WHOLE_NUMBERS: Final = {
    TagType.BYTE: "B",
    TagType.SHORT: "H",
    TagType.LONG: "L",
    TagType.LONG8: "Q",
}
"""Struct codes of the types of whole numbers."""

SAMPLE_DTYPES: Final = frozenset(["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
"""Kinds and bytes of samples that are decoded here."""
LIBTIFF_COMPRESSIONS: Final = (Compression.LZW, Compression.PACKBITS, Compression.ZSTD)
"""Compressions whose pages libtiff decodes, the fastest here: from a TIFF of one page in memory."""
DEFLATED: Final = (Compression.DEFLATE, Compression.OLD_DEFLATE)
TO_32_BITS: Final = 2**32 - 2**16

MAX_EXPANSION: Final[dict[int, int]] = {
    Compression.NONE: 1,
    Compression.PACKBITS: 64,
    Compression.DEFLATE: 1032,
    Compression.OLD_DEFLATE: 1032,
    Compression.LZW: 4096,
}
DEFAULT_MAX_EXPANSION: Final = 2**16
"""Times as many bytes as compressed ones that a page may have: others are not worth the memory."""


class PageFormat(NamedTuple):
    """What the pages of a volume have in common."""

    rows: int
    columns: int
    samples: int
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, samples."""
        return self[:3]


@dataclass(frozen=True, slots=True)
class Page:
    """A page as its directory tells.

    ``dtype`` is None where the samples are no whole bytes of one kind; ``tile`` is its width and
    length; ``is_supported`` says whether it is decoded here and not by tifffile.
    """

    rows: int
    columns: int
    samples: int
    dtype: np.dtype[Any] | None
    compression: int
    predictor: int
    photometric: int
    tile: tuple[int, int] | None
    rows_per_strip: int
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    is_supported: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded page."""
        size = self.dtype.itemsize if self.dtype is not None else 1
        return self.rows * self.columns * self.samples * size

    @property
    def is_contiguous(self) -> bool:
        """Whether pixels lie in the file as they are, strip behind strip."""
        if self.compression != Compression.NONE or self.tile is not None or not self.is_supported:
            return False
        ends = map(sum, zip(self.offsets, self.counts, strict=True))
        follows = all(end == start for end, start in zip(ends, self.offsets[1:], strict=False))
        return follows and sum(self.counts) >= self.nbytes


class TiffDirectories:
    """An open TIFF: what the directory of each page tells, by its number.

    Directories are read as far as it is needed. Reading is safe from several threads. The file is
    closed when nothing refers to this.

    Parameters
    ----------
    path : path

    Raises
    ------
    OSError
        It cannot be opened.
    OutputError
        It does not start like a TIFF.
    """

    def __init__(self, path: os.PathLike[str] | str) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.descriptor)
        self.size = os.fstat(self.descriptor).st_size
        self.head = read_at(self.descriptor, 0, min(self.size, TIFF_HEAD_BYTES))
        self.order, self.is_big, first = self._header()
        self._lock = threading.Lock()
        self._places = [first]
        self._seen = {first}
        self._at_end = False
        self._pages: dict[int, Page] = {}

    def _header(self) -> tuple[str, bool, int]:
        """Byte order, whether it is BigTIFF, and where the first directory is."""
        order = {b"II": "<", b"MM": ">"}.get(self.head[:2])
        if order is None or len(self.head) < CLASSIC_HEADER:
            raise OutputError(f"{self.path}: cannot be read as TIFF: it does not start like one")
        (version,) = struct.unpack_from(order + "H", self.head, 2)
        if version == CLASSIC:
            first = struct.unpack_from(order + "L", self.head, 4)[0]
            return order, False, self._directory_at(first)
        if version != BIG or len(self.head) < BIG_HEADER:
            raise OutputError(f"{self.path}: cannot be read as TIFF: version {version}")
        first = struct.unpack_from(order + "Q", self.head, 8)[0]
        return order, True, self._directory_at(first)

    def _directory_at(self, offset: int) -> int:
        if not CLASSIC_HEADER <= offset < self.size:
            raise OutputError(
                f"{self.path}: cannot be read as TIFF: a directory at {offset} of {self.size} bytes"
            )
        return offset

    def _bytes(self, offset: int, length: int) -> bytes:
        if offset + length <= len(self.head):
            return self.head[offset : offset + length]
        if offset + length > self.size:
            raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
        content = read_at(self.descriptor, offset, length)
        if len(content) < length:
            raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
        return content

    def _directory(self, offset: int) -> tuple[bytes, int]:
        """Entries of a directory, and where the next one is, 0 after the last."""
        count_form, entry, next_form = ("Q", 20, "Q") if self.is_big else ("H", 12, "L")
        start, link = struct.calcsize("=" + count_form), struct.calcsize("=" + next_form)
        content = self._bytes(offset, min(DIRECTORY_BYTES, self.size - offset))
        if len(content) < start:
            raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
        (count,) = struct.unpack_from(self.order + count_form, content)
        end = start + count * entry
        if end + link > len(content):
            content = self._bytes(offset, end + link)
        (following,) = struct.unpack_from(self.order + next_form, content, end)
        return content[start:end], following

    def _locate_directory(self, number: int) -> int:
        """Where the directory of a page is.

        Raises
        ------
        IndexError
            There are fewer pages.
        """
        with self._lock:
            while number >= len(self._places):
                if self._at_end:
                    raise IndexError(number)
                _, following = self._directory(self._places[-1])
                if following in self._seen:
                    raise OutputError(f"{self.path}: cannot be read as TIFF: pages in a circle")
                if following:
                    self._seen.add(self._directory_at(following))
                    self._places.append(following)
                self._at_end = not following
        return self._places[number]

    def __len__(self) -> int:
        try:
            self._locate_directory(self.size)  # more than there can be
        except IndexError:
            return len(self._places)
        raise AssertionError("a file has no more pages than bytes")

    def __getitem__(self, number: int) -> Page:
        """The page of a number from 0.

        Raises
        ------
        IndexError
            There are fewer pages.
        OutputError
            Its directory is damaged.
        """
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = self._parse_page(self._locate_directory(number))
        return page

    def __iter__(self) -> Iterator[Page]:
        return (self[number] for number in range(len(self)))

    def _parse_page(self, offset: int) -> Page:
        entries, _ = self._directory(offset)
        form = "HHQ8s" if self.is_big else "HHL4s"
        found = {
            code: self._values(kind, count, value)
            for code, kind, count, value in struct.iter_unpack(self.order + form, entries)
            if code in DECODING_TAGS
        }

        def one(code: int, default: int) -> int:
            return (found.get(code) or (default,))[0]

        rows, columns, samples = one(Tag.LENGTH, 0), one(Tag.WIDTH, 0), one(Tag.SAMPLES, 1)
        if not (rows and columns and samples):
            raise OutputError(f"{self.path}: cannot be read as TIFF: no rows, columns or samples")
        is_tiled = Tag.TILE_OFFSETS in found
        dtype = self._dtype(found.get(Tag.BITS, (1,)), found.get(Tag.SAMPLE_FORMAT, (1,)))
        page = Page(
            rows=rows,
            columns=columns,
            samples=samples,
            dtype=dtype,
            compression=one(Tag.COMPRESSION, Compression.NONE),
            predictor=one(Tag.PREDICTOR, Predictor.NONE),
            photometric=one(Tag.PHOTOMETRIC, Photometric.BLACK_IS_ZERO),
            tile=(one(Tag.TILE_WIDTH, 0), one(Tag.TILE_LENGTH, 0)) if is_tiled else None,
            rows_per_strip=min(one(Tag.ROWS_PER_STRIP, rows), rows) or rows,
            offsets=found.get(Tag.TILE_OFFSETS if is_tiled else Tag.STRIP_OFFSETS, ()),
            counts=found.get(Tag.TILE_COUNTS if is_tiled else Tag.STRIP_COUNTS, ()),
            is_supported=one(Tag.FILL_ORDER, 1) == 1 and (samples == 1 or one(Tag.PLANAR, 1) == 1),
        )
        return self._check_page(page)

    def _values(self, kind: int, count: int, value: bytes) -> tuple[int, ...]:
        """Whole numbers of an entry, none if it has others."""
        code = WHOLE_NUMBERS.get(kind)
        if code is None:
            return ()
        length = count * struct.calcsize("=" + code)
        if length > len(value):
            (at,) = struct.unpack(self.order + ("Q" if self.is_big else "L"), value)
            value = self._bytes(at, length)
        return struct.unpack_from(f"{self.order}{count}{code}", value)

    def _dtype(self, bits: tuple[int, ...], formats: tuple[int, ...]) -> np.dtype[Any] | None:
        if len(set(bits)) != 1 or len(set(formats)) != 1:
            return None
        size = bits[0] // 8
        name = f"{ {1: 'u', 2: 'i', 3: 'f'}.get(formats[0]) }{size}"
        is_known = 8 * size == bits[0] and name in SAMPLE_DTYPES
        return np.dtype(self.order + name) if is_known else None

    def _check_page(self, page: Page) -> Page:
        """The page, if its parts lie in the file and it is not absurdly large for them."""
        if not page.offsets or len(page.offsets) != len(page.counts):
            raise OutputError(f"{self.path}: cannot be read as TIFF: no place of the pixels")
        if max(map(sum, zip(page.offsets, page.counts, strict=True))) > self.size:
            raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
        growth = MAX_EXPANSION.get(page.compression, DEFAULT_MAX_EXPANSION)
        if page.dtype is None:
            growth *= 8  # samples may be bits
        if page.nbytes > growth * sum(page.counts):
            raise OutputError(
                f"{self.path}: cannot be read as TIFF: a page of {page.columns} x {page.rows} in "
                f"{sum(page.counts)} bytes"
            )
        is_supported = page.is_supported and page.dtype is not None and _is_supported(page)
        if is_supported == page.is_supported:
            return page
        return _mark_unsupported(page)


def _is_supported(page: Page) -> bool:
    """Whether a page of whole samples, one beside the other, is of a kind that is decoded here."""
    parts = -(-page.rows // page.rows_per_strip)
    if page.tile is not None:
        if 0 in page.tile:
            return False
        parts = -(-page.columns // page.tile[0]) * -(-page.rows // page.tile[1])
    if len(page.offsets) != parts or sum(page.counts) > TO_32_BITS:
        return page.is_contiguous and page.predictor == Predictor.NONE
    if page.compression == Compression.NONE:
        return page.predictor == Predictor.NONE and page.is_contiguous
    if page.compression in DEFLATED:
        return page.tile is None
    return page.compression in LIBTIFF_COMPRESSIONS


def _mark_unsupported(page: Page) -> Page:
    names = Page.__slots__
    return Page(**{name: getattr(page, name) for name in names} | {"is_supported": False})
