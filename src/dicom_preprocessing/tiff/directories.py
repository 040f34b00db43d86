"""Image file directories of a TIFF, classic or BigTIFF: where the pixels of each page are.

Not by tifffile, which makes an object of every tag and so takes ten times as long: most of the time
of a small page. Section numbers are those of TIFF 6.0 (Adobe, 1992).
"""

from __future__ import annotations

import math
import os
import stat
import struct
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import close_read_file, naming, read_at
from dicom_preprocessing.tiff.numbers import Compression, Photometric, Predictor, Tag, TagType

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

CLASSIC, BIG = 42, 43
"""Versions of TIFF, whose offsets have 32 and 64 bits."""
CLASSIC_HEADER, BIG_HEADER = 8, 16

TIFF_HEAD_BYTES: Final = 4096
"""Read at once at the start; of most files, it has header, first directory and its values."""
DIRECTORY_BYTES: Final = 512
"""Read at once of every other directory, and more where that does not hold all entries."""

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
"""Struct codes by type. Readers should take any of them for any unsigned integer (section 2)."""
TEXTS: Final = (TagType.ASCII, TagType.BYTE, TagType.UNDEFINED)
VALUE_CODES: Final = WHOLE_NUMBERS | {
    TagType.ASCII: "B",
    TagType.UNDEFINED: "B",
    TagType.FLOAT: "f",
    TagType.DOUBLE: "d",
}
"""The same of all values that ``read_tags`` gives, besides rational numbers."""
SIZES: Final = {"B": 1, "H": 2, "L": 4, "Q": 8, "f": 4, "d": 8}
"""Bytes of a value by its code: ``calcsize`` takes as long as all else about a tag."""

SAMPLE_DTYPES: Final = frozenset(["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
"""Kind and bytes of the samples that ``TiffPages`` decodes by itself."""
LIBTIFF_COMPRESSIONS: Final = (Compression.LZW, Compression.PACKBITS, Compression.ZSTD)
"""Compressions that libtiff decodes fastest, from a TIFF of one page in memory."""
DEFLATED: Final = (Compression.DEFLATE, Compression.OLD_DEFLATE)
MAX_PAGE_BYTES: Final = 2**32 - 2**16
"""Compressed bytes of a page that fit into a classic TIFF, with room for its directory."""

# A damaged directory may announce gigabytes. PackBits repeats a byte 128 times by two bytes
# (section 9). A code of LZW has at least 9 bits and gives fewer than 4096 bytes (section 13).
# Deflate gives at most 258 bytes for two bits (zlib.net, Technical Details). A block of Zstandard
# has 128 KB at most, in 4 bytes and more (RFC 8878, 3.1.1.2).
MAX_EXPANSION: Final[dict[int, int]] = {
    Compression.NONE: 1,
    Compression.PACKBITS: 64,
    Compression.DEFLATE: 1032,
    Compression.OLD_DEFLATE: 1032,
    Compression.LZW: 4096,
    Compression.ZSTD: 2**15,
    Compression.OLD_ZSTD: 2**15,
}
DEFAULT_MAX_EXPANSION: Final = 2**16
"""How many times its compressed bytes a page may have where no bound is known."""
CAPPED_FROM: Final = 2**15
MAX_UNBOUNDED_BYTES: Final = 2**32
"""Bytes that a page may have whose compression can expand CAPPED_FROM times, or more."""
MAX_SHARED_BYTES: Final = 2**28
"""Bytes of all pages that may share strips. More must be possible in the bytes of the file."""
MAX_VALUES: Final = 2**16
"""Values that a tag may have, except the places of strips and tiles."""
PLACES: Final = (Tag.STRIP_OFFSETS, Tag.STRIP_COUNTS, Tag.TILE_OFFSETS, Tag.TILE_COUNTS)


class PageFormat(NamedTuple):
    """Shape and dtype of a page, which all pages of a volume share."""

    rows: int
    columns: int
    samples: int
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, samples)."""
        return self[:3]


class Values(NamedTuple):
    """Values of a tag; rational numbers are two each, texts their bytes."""

    tag_type: int
    numbers: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A page by its directory.

    Parameters
    ----------
    dtype : dtype or None
        In the byte order of the file; None where samples are not whole bytes, or differ in kind.
    tile : (width, length) or None
        None where the page has strips.
    offsets, counts : tuple of int
        Offset in the file, and number of bytes, of each strip or tile.
    is_supported : bool
        Whether ``TiffPages`` decodes it by itself, without tifffile.
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
        """Bytes of the decoded page; where ``dtype`` is None, as if samples had one byte."""
        size = self.dtype.itemsize if self.dtype is not None else 1
        return self.rows * self.columns * self.samples * size

    @property
    def is_contiguous(self) -> bool:
        """Whether the file holds the pixels uncompressed in one run, strip after strip."""
        if self.compression != Compression.NONE or self.tile is not None or not self.is_supported:
            return False
        ends = map(sum, zip(self.offsets, self.counts, strict=True))
        is_run = all(end == start for end, start in zip(ends, self.offsets[1:], strict=False))
        return is_run and sum(self.counts) >= self.nbytes


class TiffDirectories:
    """An open TIFF: a sequence of pages by their directories.

    Directories are read as far as they are needed. Threads may read at once. The file is closed
    when nothing refers to the object.

    Parameters
    ----------
    path : path

    Raises
    ------
    OSError
        The file cannot be opened.
    OutputError
        It is no file, or does not start like a TIFF.
    """

    def __init__(self, path: os.PathLike[str] | str) -> None:
        self.path = path
        self.descriptor = self._open_file()
        weakref.finalize(self, close_read_file, self.descriptor)
        with naming(path):
            status = os.fstat(self.descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OutputError(f"{path}: cannot be read as TIFF: it is not a file")
        self.size = status.st_size
        with naming(path):
            self.head = read_at(self.descriptor, 0, min(self.size, TIFF_HEAD_BYTES))
        self.order, self.is_big, first = self._parse_header()
        self._lock = threading.Lock()
        # Directories are a linked list: the offset of a page is known once all before it are read.
        self._offsets = [first]
        self._seen = {first}
        self._at_end = False
        self._directory_bytes = 0
        self._pages: dict[int, Page] = {}

    def _open_file(self) -> int:
        try:
            # To open a pipe would wait for one who writes to it.
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except ValueError as error:  # a NUL
            raise OutputError(f"{self.path!r}: cannot be read as TIFF: {error}") from error

    def _parse_header(self) -> tuple[str, bool, int]:
        """Return the byte order, whether it is BigTIFF, and the offset of the first directory."""
        order = {b"II": "<", b"MM": ">"}.get(self.head[:2])
        if order is None or len(self.head) < CLASSIC_HEADER:
            raise OutputError(f"{self.path}: cannot be read as TIFF: it does not start like one")
        (version,) = struct.unpack_from(order + "H", self.head, 2)
        if version == CLASSIC:
            first = struct.unpack_from(order + "L", self.head, 4)[0]
            return order, False, self._check_offset(first)
        if version != BIG or len(self.head) < BIG_HEADER:
            raise OutputError(f"{self.path}: cannot be read as TIFF: version {version}")
        # BigTIFF: bytes 4 to 7 are the size of offsets, always 8, and a zero.
        first = struct.unpack_from(order + "Q", self.head, 8)[0]
        return order, True, self._check_offset(first)

    def _check_offset(self, offset: int) -> int:
        """Return the offset of a directory, which must be in the file."""
        if not CLASSIC_HEADER <= offset < self.size:
            raise OutputError(
                f"{self.path}: cannot be read as TIFF: a directory at {offset} of {self.size} bytes"
            )
        return offset

    def _read_bytes(self, offset: int, length: int) -> bytes:
        """Read bytes of the file, from the head where they are in it.

        Raises
        ------
        OutputError
            The file ends before.
        """
        if offset + length <= len(self.head):
            return self.head[offset : offset + length]
        # Before reading: a damaged count may ask for more memory than there is.
        if offset + length > self.size:
            raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
        with naming(self.path):
            content = read_at(self.descriptor, offset, length)
        if len(content) < length:  # it was cut since it was opened
            raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
        return content

    def _read_directory(self, offset: int) -> tuple[bytes, int]:
        """Read the entries of a directory, and the offset of the next one, 0 after the last."""
        # Section 2: a count, entries of 12 bytes, an offset. BigTIFF widens all three.
        count_format, entry_bytes, next_format = ("Q", 20, "Q") if self.is_big else ("H", 12, "L")
        start, link = struct.calcsize("=" + count_format), struct.calcsize("=" + next_format)
        content = self._read_bytes(offset, min(DIRECTORY_BYTES, self.size - offset))
        if len(content) < start:
            raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
        (count,) = struct.unpack_from(self.order + count_format, content)
        end = start + count * entry_bytes
        if end + link > len(content):
            content = self._read_bytes(offset, end + link)
        (next_offset,) = struct.unpack_from(self.order + next_format, content, end)
        return content[start:end], next_offset

    def _locate_directory(self, index: int) -> int:
        """Return the offset of the directory of a page.

        Raises
        ------
        IndexError
            There are fewer pages.
        """
        with self._lock:
            while index >= len(self._offsets):
                if self._at_end:
                    raise IndexError(index)
                entries, next_offset = self._read_directory(self._offsets[-1])
                self._directory_bytes += len(entries)
                # Else a small file could have any number of large ones.
                if self._directory_bytes > self.size:
                    raise OutputError(
                        f"{self.path}: cannot be read as TIFF: directories of pages overlap"
                    )
                # A damaged link may lead back, and then the list has no end.
                if next_offset in self._seen:
                    raise OutputError(f"{self.path}: cannot be read as TIFF: pages in a circle")
                if next_offset:
                    self._seen.add(self._check_offset(next_offset))
                    self._offsets.append(next_offset)
                self._at_end = not next_offset
        return self._offsets[index]

    def __len__(self) -> int:
        try:
            self._locate_directory(self.size)  # an index that no page can have
        except IndexError:
            return len(self._offsets)
        raise AssertionError("a file has no more pages than bytes")

    def __getitem__(self, index: int) -> Page:
        """Return a page by its index from 0.

        Raises
        ------
        IndexError
            There are fewer pages.
        OutputError
            Its directory is damaged.
        """
        page = self._pages.get(index)
        if page is None:
            page = self._pages[index] = self._parse_page(self._locate_directory(index))
        return page

    def __iter__(self) -> Iterator[Page]:
        """Yield all pages; OutputError if one is damaged, or all have more than the file can."""
        segments = nbytes = 0
        needed = 0.0
        for index in range(len(self)):
            page = self[index]
            segments += len(page.offsets)
            # Pages that share one list of strips would take any amount of memory.
            if segments > self.size:
                raise OutputError(f"{self.path}: cannot be read as TIFF: pages share their strips")
            # Else a few bytes that all pages share would be decoded for hours.
            nbytes += page.nbytes
            needed += page.nbytes / _max_expansion(page)
            if nbytes > MAX_SHARED_BYTES and needed > self.size:
                raise OutputError(
                    f"{self.path}: cannot be read as TIFF: pages share their strips: "
                    f"{nbytes} bytes in {index + 1} of them, in a file of {self.size}"
                )
            yield page

    def read_tags(self, index: int, tags: Collection[int]) -> dict[int, Values]:
        """Return the values of those of the tags that a page has, of duplicates the first.

        Raises
        ------
        OutputError
            Values are not in the file, or more than MAX_VALUES of them are numbers.
        """
        entries = self._read_entries(self._locate_directory(index))
        found: dict[int, Values] = {}
        for tag, tag_type, count, value in entries:
            if tag in tags and tag not in found:
                numbers = 2 * count if tag_type == TagType.RATIONAL else count
                code = "L" if tag_type == TagType.RATIONAL else VALUE_CODES.get(tag_type)
                if code is not None:
                    limit = self.size if tag_type in TEXTS else MAX_VALUES
                    found[tag] = Values(tag_type, self._unpack(code, numbers, value, limit))
        return found

    def _read_entries(self, offset: int) -> Iterator[tuple[int, int, int, bytes]]:
        """Tag, type, count and value of the entries of a directory."""
        entries, _ = self._read_directory(offset)
        return struct.iter_unpack(self.order + ("HHQ8s" if self.is_big else "HHL4s"), entries)

    def _parse_page(self, offset: int) -> Page:
        """Read a page by the directory at an offset; tags that it lacks have their defaults."""
        # All other tags are skipped, which is what makes this fast. Of duplicates the first counts,
        # as for tifffile.
        found = [entry for entry in self._read_entries(offset) if entry[0] in DECODING_TAGS]
        entries = {entry[0]: entry[1:] for entry in reversed(found)}
        values = {tag: self._parse_values(tag, *entry) for tag, entry in entries.items()}

        def first(tag: int, default: int) -> int:
            return (values.get(tag) or (default,))[0]

        rows, columns, samples = first(Tag.LENGTH, 0), first(Tag.WIDTH, 0), first(Tag.SAMPLES, 1)
        if not (rows and columns and samples):
            raise OutputError(f"{self.path}: cannot be read as TIFF: no rows, columns or samples")
        is_tiled = Tag.TILE_OFFSETS in values
        # Section 8 has the defaults: one bit per sample, no compression, one strip. RowsPerStrip
        # says 2**32 - 1 for one strip, and so is limited to the rows. Section 19: samples are
        # unsigned by default.
        dtype = self._make_dtype(values.get(Tag.BITS, (1,)), values.get(Tag.SAMPLE_FORMAT, (1,)))
        page = Page(
            rows=rows,
            columns=columns,
            samples=samples,
            dtype=dtype,
            compression=first(Tag.COMPRESSION, Compression.NONE),
            predictor=first(Tag.PREDICTOR, Predictor.NONE),
            photometric=first(Tag.PHOTOMETRIC, Photometric.BLACK_IS_ZERO),
            tile=(first(Tag.TILE_WIDTH, 0), first(Tag.TILE_LENGTH, 0)) if is_tiled else None,
            rows_per_strip=min(first(Tag.ROWS_PER_STRIP, rows), rows) or rows,
            offsets=values.get(Tag.TILE_OFFSETS if is_tiled else Tag.STRIP_OFFSETS, ()),
            counts=values.get(Tag.TILE_COUNTS if is_tiled else Tag.STRIP_COUNTS, ()),
            # Section 8: PlanarConfiguration is irrelevant where there is one sample.
            is_supported=(
                first(Tag.FILL_ORDER, 1) == 1 and (samples == 1 or first(Tag.PLANAR, 1) == 1)
            ),
        )
        return self._check_page(page)

    def _parse_values(self, tag: int, tag_type: int, count: int, value: bytes) -> tuple[int, ...]:
        """Return the whole numbers of an entry, none if its values are of another type."""
        code = WHOLE_NUMBERS.get(tag_type)
        if code is None:
            return ()
        return self._unpack(code, count, value, self.size if tag in PLACES else MAX_VALUES)

    def _unpack(self, code: str, count: int, value: bytes, limit: int) -> tuple[Any, ...]:
        """Return the numbers of an entry, which may have ``limit`` of them."""
        if count > limit:
            raise OutputError(f"{self.path}: cannot be read as TIFF: a tag of {count} values")
        length = count * SIZES[code]
        # Section 2: values that do not fit into the entry are at the offset that it has instead.
        if length > len(value):
            (offset,) = struct.unpack(self.order + ("Q" if self.is_big else "L"), value)
            value = self._read_bytes(offset, length)
        return struct.unpack_from(f"{self.order}{count}{code}", value)

    def _make_dtype(self, bits: tuple[int, ...], formats: tuple[int, ...]) -> np.dtype[Any] | None:
        """Return the dtype of all samples, in the byte order of the file, or None."""
        if len(set(bits)) != 1 or len(set(formats)) != 1:
            return None
        size = bits[0] // 8
        # SampleFormat: 1 unsigned, 2 signed, 3 floating point.
        name = f"{ {1: 'u', 2: 'i', 3: 'f'}.get(formats[0]) }{size}"
        is_known = 8 * size == bits[0] and name in SAMPLE_DTYPES
        return np.dtype(self.order + name) if is_known else None

    def _check_page(self, page: Page) -> Page:
        """Return the page if its strips are in the file, and it is not absurdly large for them.

        Raises
        ------
        OutputError
            Otherwise.
        """
        # Here and not where pixels are read: memory for them is allocated before.
        if not page.offsets or len(page.offsets) != len(page.counts):
            raise OutputError(f"{self.path}: cannot be read as TIFF: no place of the pixels")
        if max(map(sum, zip(page.offsets, page.counts, strict=True))) > self.size:
            raise OutputError(f"{self.path}: cannot be read as TIFF: the file is cut")
        if page.tile is not None and 0 in page.tile:
            found = f"tiles of {page.tile[0]} x {page.tile[1]}"
            raise OutputError(f"{self.path}: cannot be read as TIFF: {found}")
        self._require_plausible_size(page)
        is_supported = page.is_supported and page.dtype is not None and _is_supported(page)
        if is_supported == page.is_supported:
            return page
        return _mark_unsupported(page)

    def _require_plausible_size(self, page: Page) -> None:
        """Refuse a page or tile of more bytes than its strips in the file can be decoded to."""
        stored = sum(page.counts)
        if stored > self.size:
            # Equal strips may be stored once, but not the bytes of one strip in another.
            distinct = sum(count for _, count in set(zip(page.offsets, page.counts, strict=True)))
            if distinct > self.size or stored > self.size + page.nbytes:
                raise OutputError(f"{self.path}: cannot be read as TIFF: strips overlap")
        growth = _max_expansion(page)
        is_bounded = MAX_EXPANSION.get(page.compression, DEFAULT_MAX_EXPANSION) < CAPPED_FROM
        highest = math.inf if is_bounded else MAX_UNBOUNDED_BYTES
        is_too_large = page.nbytes > min(growth * min(stored, self.size), highest)
        width, length = page.tile or (0, 0)
        if page.tile is not None:
            tile_bytes = page.nbytes * width * length // (page.rows * page.columns)
            is_too_large |= tile_bytes > min(growth * self.size, highest)
        if is_too_large:
            samples = f" x {page.samples}" if page.samples > 1 else ""
            tiles = f" in tiles of {width} x {length}" if page.tile else ""
            raise OutputError(
                f"{self.path}: cannot be read as TIFF: a page of {page.columns} x {page.rows}"
                f"{samples}{tiles} in {stored} bytes"
            )


def _max_expansion(page: Page) -> int:
    """Return how many times its compressed bytes a page may have."""
    growth = MAX_EXPANSION.get(page.compression, DEFAULT_MAX_EXPANSION)
    # Samples may be bits, and nbytes takes each for a byte.
    return growth if page.dtype is not None else 8 * growth


def _is_supported(page: Page) -> bool:
    """Whether ``TiffPages`` decodes a page with samples of whole bytes, side by side."""
    # StripsPerImage (section 8); tiles at the right and bottom are padded to full size (15).
    segments = -(-page.rows // page.rows_per_strip)
    if page.tile is not None:
        segments = -(-page.columns // page.tile[0]) * -(-page.rows // page.tile[1])
    # Uncompressed pages need no strips, only their bytes in one run.
    if len(page.offsets) != segments or sum(page.counts) > MAX_PAGE_BYTES:
        return page.is_contiguous and page.predictor == Predictor.NONE
    if page.compression == Compression.NONE:
        return page.predictor == Predictor.NONE and page.is_contiguous
    # Tiles of deflate are left to tifffile, strips are not left to libtiff: see _inflate.
    if page.compression in DEFLATED:
        return page.tile is None
    return page.compression in LIBTIFF_COMPRESSIONS


def _mark_unsupported(page: Page) -> Page:
    names = Page.__slots__
    return Page(**{name: getattr(page, name) for name in names} | {"is_supported": False})
