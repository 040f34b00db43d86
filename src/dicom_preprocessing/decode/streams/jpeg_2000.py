"""Markers of JPEG 2000 and HTJ2K codestreams (ITU-T T.800 Annex A, T.814)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from dicom_preprocessing.decode.streams.info import END, StreamError, StreamInfo

CODESTREAM: Final = b"\xff\x4f\xff\x51"
JP2_CODESTREAM_BOX: Final = b"jp2c"

COD, SOT = b"\xff\x52", b"\xff\x90"
SOT_LENGTH: Final = 12

IRREVERSIBLE: Final = 0
"""Of the wavelet transforms in the coding style (T.800 Table A.20)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg2000Info(StreamInfo):
    """What the markers of a codestream tell.

    Parameters
    ----------
    is_signed : bool
        Samples of the first component have a sign.
    has_component_transform : bool
        The first three components were RGB, and are so again when decoded (T.800 Annex G).
    is_measured : bool
        The stream tells how long its data is, so that a missing part is noticed.
    """

    is_signed: bool
    has_component_transform: bool
    is_measured: bool


def codestream_of(stream: bytes) -> bytes:
    """The JPEG 2000 codestream, out of the JP2 boxes that some writers put around it.

    Raises
    ------
    StreamError
        There is none.
    """
    if stream.startswith(CODESTREAM):
        return stream
    box = stream.find(JP2_CODESTREAM_BOX)
    start = stream.find(CODESTREAM, max(box, 0))
    if box < 0 or start < 0:
        raise StreamError("no JPEG 2000 codestream")
    return stream[start:]


def read_jpeg_2000(codestream: bytes) -> Jpeg2000Info:
    """Read the main header of a codestream and see that every tile-part is there.

    Raises
    ------
    StreamError
        A header cannot be read, or a tile-part is missing or cut.
    """
    try:
        return _read_headers(codestream)
    except (struct.error, IndexError, ZeroDivisionError) as error:
        raise StreamError("the JPEG 2000 codestream is cut") from error


def _read_headers(codestream: bytes) -> Jpeg2000Info:
    """Read on, whether or not the codestream goes so far."""
    rows, columns, tiles = _size_of(codestream)
    (components,) = struct.unpack_from(">H", codestream, 40)
    depth = codestream[42]
    markers, offset = header_markers(codestream, first_marker(codestream), SOT)
    is_ended, is_measured = _walk_tile_parts(codestream, offset, tiles)
    if COD not in markers:
        raise StreamError("the JPEG 2000 codestream has no coding style")
    style = markers[COD]
    return Jpeg2000Info(
        rows=rows,
        columns=columns,
        components=components,
        precision=(depth & 0x7F) + 1,
        is_signed=depth > 0x7F,  # noqa: PLR2004  # the highest bit
        is_lossless=codestream[style + 13] != IRREVERSIBLE,
        has_component_transform=codestream[style + 8] > 0,
        has_end_marker=is_ended,
        is_measured=is_measured,
    )


def _size_of(codestream: bytes) -> tuple[int, int, int]:
    """Rows and columns of the image, and the number of tiles, by SIZ (T.800 A.5.1, B.3)."""
    x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y = struct.unpack_from(">8L", codestream, 8)
    if not (tile_x <= x0 < x1 and tile_y <= y0 < y1):
        raise StreamError("the JPEG 2000 codestream has no image area")
    tiles = -(-(x1 - tile_x) // tile_w) * -(-(y1 - tile_y) // tile_h)
    return y1 - y0, x1 - x0, tiles


def first_marker(codestream: bytes) -> int:
    """Where the main header goes on behind the image size."""
    return 4 + int(struct.unpack_from(">H", codestream, 4)[0])


def header_markers(codestream: bytes, offset: int, end: bytes) -> tuple[dict[bytes, int], int]:
    """Places of the markers of a header, and of the marker ``end`` behind them.

    Raises
    ------
    struct.error
        The codestream ends before.
    """
    markers: dict[bytes, int] = {}
    while (marker := codestream[offset : offset + 2]) != end:
        (length,) = struct.unpack_from(">H", codestream, offset + 2)
        markers[marker] = offset
        offset += 2 + length
    return markers, offset


def _walk_tile_parts(codestream: bytes, offset: int, tiles: int) -> tuple[bool, bool]:
    """Whether the end marker follows the last tile-part, and whether all tell their length.

    Decoders fill up where a tile-part is missing or cut, so that is refused (T.800 A.4.2).
    """
    is_measured = True
    found: dict[int, int] = {}
    announced: dict[int, int] = {}
    while codestream[offset : offset + 2] == SOT:
        tile, length, _, parts = struct.unpack_from(">HLBB", codestream, offset + 4)
        if length == 0:  # up to the end marker
            is_measured = False
            length = codestream.rfind(END) - offset
        if length < SOT_LENGTH or offset + length > len(codestream):
            raise StreamError("the JPEG 2000 codestream is cut inside a tile-part")
        found[tile] = found.get(tile, 0) + 1
        announced[tile] = max(parts, announced.get(tile, 0))
        offset += length
    if len(found) < tiles or any(found[tile] < parts for tile, parts in announced.items()):
        raise StreamError("the JPEG 2000 codestream lacks tile-parts")
    return codestream[offset : offset + 2] == END, is_measured
