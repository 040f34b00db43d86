"""Sizes of images in strips and tiles whose compression has a header of its own.

Decoders allocate what that header says, whatever the tags say. This reads no more than the size:
the streams of DICOM files, whose headers decide how they are decoded, are read elsewhere.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_preprocessing.tiff.numbers import Compression

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_preprocessing.tiff.directories import Page

JPEG_START: Final = b"\xff\xd8"
JPEG_2000_SIZE: Final = b"\xff\x4f\xff\x51"
"""Markers SOC and SIZ, which begin every codestream (ISO/IEC 15444-1, A.4.1, A.5.1)."""
PNG_HEADER: Final = b"\x89PNG\r\n\x1a\n"
FRAME_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Second bytes of the markers SOF (ITU-T T.81, table B.1)."""
NO_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD9)))
FILL: Final = 0xFF
MIN_SAMPLES: Final = 4
"""Samples that a stream may have, however few the page has: RGB from a palette, with alpha."""

WITHOUT_HEADER: Final = frozenset(
    (
        *(Compression.NONE, Compression.LZW, Compression.PACKBITS, Compression.LZMA),
        *(Compression.DEFLATE, Compression.OLD_DEFLATE, Compression.ZSTD, Compression.OLD_ZSTD),
        *(Compression.CCITT_RLE, Compression.CCITT_T4, Compression.CCITT_T6),
    )
)
"""Compressions of bytes, and of rows whose width is given, which are decoded up to a length."""

SUPPORTED: Final = (
    "none, deflate, LZW, PackBits, Zstandard, LZMA, CCITT, JPEG, JPEG 2000, PNG, WebP"
)
"""Of WITHOUT_HEADER and SIZE_READERS, for messages."""


class StreamSize(NamedTuple):
    """Size that a stream announces; ``samples`` is 1 where it cannot be more than MIN_SAMPLES."""

    rows: int
    columns: int
    samples: int = 1


def read_size(stream: bytes, compression: int) -> StreamSize | None:
    """Return the size that a strip or tile announces, None if it has no header of the kind."""
    try:
        return SIZE_READERS[compression](stream)
    except struct.error:
        return None


def find_wrong_size(page: Page, number: int, stream: bytes) -> str | None:
    """Return what is wrong if a strip or tile of a page has another size than it must have.

    Parameters
    ----------
    page : Page
    number : int
        Of the strip or tile, from 0; planes follow each other.
    stream : bytes
        Of one of SIZE_READERS.
    """
    what = "tile" if page.tile else "strip"
    found = read_size(stream, page.compression)
    if found is None:
        return f"a {what} does not start like compression {page.compression}"
    width, length = page.tile or (page.columns, page.rows_per_strip)
    across, down = -(-page.columns // width), -(-page.rows // length)
    # Tiles at the right and bottom may end with the image, and so may the last strip.
    last_width = min(width, page.columns - number % across * width)
    last_length = min(length, page.rows - number // across % down * length)
    is_sound = found.columns in (width, last_width) and found.rows in (0, length, last_length)
    if is_sound and found.samples <= max(page.samples, MIN_SAMPLES):
        return None
    samples = f" x {found.samples}" if found.samples > 1 else ""
    return (
        f"a {what} of {width} x {length} pixels has a stream of "
        f"{found.columns} x {found.rows}{samples}"
    )


def _read_jpeg(stream: bytes) -> StreamSize | None:
    """Return the size of the largest frame header, as some decoders take the last one."""
    if not stream.startswith(JPEG_START):
        return None
    largest, position = None, len(JPEG_START)
    while (position := stream.find(b"\xff", position)) >= 0 and position + 9 <= len(stream):
        marker = stream[position + 1]
        (length,) = struct.unpack_from(">H", stream, position + 2)
        if marker in FRAME_MARKERS:
            size = StreamSize(*struct.unpack_from(">2H", stream, position + 5))
            largest = max(largest or size, size, key=_count_pixels)
        # Where this is no marker of a segment, such as in coded data, the next FF may be one.
        is_segment = marker not in (0, FILL) and marker not in NO_LENGTH
        position += 2 + length if is_segment else 1
    return largest


def _read_jpeg_2000(stream: bytes) -> StreamSize | None:
    """Return the largest of all that look like a size: boxes of JP2 may have anything before it."""
    largest, position = None, -1
    while (position := stream.find(JPEG_2000_SIZE, position + 1)) >= 0:
        # A.5.1: Xsiz, Ysiz, XOsiz and YOsiz, the same four of tiles, Csiz.
        right, bottom, left, top, *_, samples = struct.unpack_from(">8LH", stream, position + 8)
        size = StreamSize(max(0, bottom - top), max(0, right - left), samples)
        largest = max(largest or size, size, key=_count_pixels)
    return largest


def _read_png(stream: bytes) -> StreamSize | None:
    if not stream.startswith(PNG_HEADER):
        return None
    columns, rows = struct.unpack_from(">2L", stream, 16)
    return StreamSize(rows, columns)


def _read_webp(stream: bytes) -> StreamSize | None:
    """Return the size of a WebP file without animation (RFC 9649)."""
    if stream[:4] != b"RIFF" or stream[8:12] != b"WEBP":
        return None
    kind, start = stream[12:16], 20
    if kind == b"VP8X":
        (flags,) = struct.unpack_from("B", stream, start)
        sides = stream[start + 4 : start + 10]
        if flags & 2 or len(sides) < 6:  # noqa: PLR2004  # flag of animation, two of 24 bits
            return None
        columns, rows = (int.from_bytes(side, "little") + 1 for side in (sides[:3], sides[3:]))
        return StreamSize(rows, columns)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<L", stream, start + 1)
        return StreamSize((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if kind == b"VP8 ":
        columns, rows = struct.unpack_from("<2H", stream, start + 6)
        return StreamSize(rows & 0x3FFF, columns & 0x3FFF)
    return None


def _count_pixels(size: StreamSize) -> int:
    return size.rows * size.columns * size.samples


SIZE_READERS: Final[dict[int, Callable[[bytes], StreamSize | None]]] = {
    Compression.OLD_JPEG: _read_jpeg,
    Compression.JPEG: _read_jpeg,
    Compression.ALTERNATIVE_JPEG: _read_jpeg,
    Compression.LOSSY_JPEG: _read_jpeg,
    Compression.JPEG_2000: _read_jpeg_2000,
    Compression.JPEG_2000_LOSSY: _read_jpeg_2000,
    Compression.APERIO_JPEG_2000_YCBCR: _read_jpeg_2000,
    Compression.APERIO_JPEG_2000_RGB: _read_jpeg_2000,
    Compression.PNG: _read_png,
    Compression.WEBP: _read_webp,
    Compression.OLD_WEBP: _read_webp,
}
"""How to read the size of a stream, by compression."""
