"""Sizes of images in strips and tiles whose compression has a header of its own.

Decoders allocate what that header says, whatever the tags say. This reads no more than the size:
the streams of DICOM files, whose headers decide how they are decoded, are read elsewhere.
"""

from __future__ import annotations

import struct
from typing import Final

JPEG_START: Final = b"\xff\xd8"
JPEG_2000_SIZE: Final = b"\xff\x4f\xff\x51"
"""Markers SOC and SIZ, which begin every codestream (ISO/IEC 15444-1, A.4.1, A.5.1)."""
PNG_HEADER: Final = b"\x89PNG\r\n\x1a\n"
FRAME_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Second bytes of the markers SOF (ITU-T T.81, table B.1)."""
NO_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD9)))
FILL: Final = 0xFF


def count_pixels(stream: bytes) -> int:
    """Return the number of pixels that a JPEG, JPEG 2000 or PNG stream announces, else 0."""
    if stream.startswith(JPEG_START):
        return _count_jpeg_pixels(stream)
    start = stream.find(JPEG_2000_SIZE)
    try:
        if start >= 0:
            right, bottom, left, top = struct.unpack_from(">4L", stream, start + 8)
            return int(max(0, right - left) * max(0, bottom - top))
        if stream.startswith(PNG_HEADER):
            columns, rows = struct.unpack_from(">2L", stream, 16)
            return int(columns * rows)
    except struct.error:
        pass  # the decoder says what is wrong
    return 0


def _count_jpeg_pixels(stream: bytes) -> int:
    """Return the pixels of the largest frame header, as some decoders take the last one."""
    largest, position = 0, len(JPEG_START)
    while (position := stream.find(b"\xff", position)) >= 0 and position + 9 <= len(stream):
        marker = stream[position + 1]
        (length,) = struct.unpack_from(">H", stream, position + 2)
        if marker in FRAME_MARKERS:
            rows, columns = struct.unpack_from(">2H", stream, position + 5)
            largest = max(largest, rows * columns)
        # Where this is no marker of a segment, such as in coded data, the next FF may be one.
        is_segment = marker not in (0, FILL) and marker not in NO_LENGTH
        position += 2 + length if is_segment else 1
    return largest
