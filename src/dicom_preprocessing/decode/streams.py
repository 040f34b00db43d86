"""What a compressed stream says of itself, and whether it is whole.

Decoders fill up what was cut off a JPEG or HTJ2K stream without a word, and tell neither precision
nor colour of what they decoded, so the markers are read here: JPEG (ITU-T T.81), JPEG-LS (T.87),
JPEG 2000 and HTJ2K (T.800, T.814).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

END: Final = b"\xff\xd9"
"""End of image (JPEG, JPEG-LS), end of codestream (JPEG 2000)."""

START_OF_IMAGE: Final = b"\xff\xd8"
CODESTREAM: Final = b"\xff\x4f\xff\x51"
JP2_CODESTREAM_BOX: Final = b"jp2c"

SOF_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
LOSSLESS_SOF: Final = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
SOF_JPEG_LS: Final = 0xF7
SOS: Final = 0xDA
APP0, APP14 = 0xE0, 0xEE
FRAME_HEADER: Final = 9
"""Bytes of a frame header with one component."""

ADOBE_TRANSFORM: Final = 11
"""Where the Adobe segment tells the colour transform."""

NO_MARKER: Final = (0x00, 0xFF)
WITHOUT_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD8)))

START_OF_SCAN: Final = b"\xff\xda"
RESTART_INTERVAL: Final = b"\xff\xdd"
RLE_HEADER: Final = 64

COD, SOT = b"\xff\x52", b"\xff\x90"
SOT_LENGTH: Final = 12

IRREVERSIBLE: Final = 0

RGB_IDS: Final = (b"RGB", b"rgb")
ADOBE_COLOUR: Final = {0: "RGB", 1: "YBR_FULL"}


class StreamError(ValueError):
    """The stream is cut, or none of the kind that it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """What the markers of a stream tell.

    Parameters
    ----------
    precision : int
        Bits of a sample.
    is_signed : bool or None
        None where the kind of stream cannot tell.
    is_lossless : bool
        The stream gives back exactly what was put in.
    colour : str or None
        RGB or YBR_FULL where the markers tell what three components are.
    is_ended : bool
        The end marker is there.
    is_measured : bool
        The stream tells how long its data is, so that a missing part is noticed.
    """

    rows: int
    columns: int
    components: int
    precision: int
    is_signed: bool | None
    is_lossless: bool
    colour: str | None
    is_ended: bool
    is_measured: bool = False


def read_jpeg(stream: bytes) -> StreamInfo:
    """Read the markers of a JPEG or JPEG-LS stream up to its first scan.

    Raises
    ------
    StreamError
        It is no such stream, or ends before its first scan.
    """
    if not stream.startswith(START_OF_IMAGE):
        raise StreamError("no JPEG or JPEG-LS stream: it does not start with the marker FFD8")
    frame, kind, app_colour = b"", 0, None
    for marker, offset, segment in _segments(stream):
        if marker in SOF_MARKERS or marker == SOF_JPEG_LS:
            frame, kind = segment, marker
        elif marker == APP14 and segment.startswith(b"Adobe") and len(segment) > ADOBE_TRANSFORM:
            app_colour = ADOBE_COLOUR.get(segment[ADOBE_TRANSFORM], app_colour)
        elif marker == APP0 and segment.startswith(b"JFIF\0"):
            app_colour = app_colour or "YBR_FULL"
        elif marker == SOS and len(frame) >= FRAME_HEADER:
            if kind == SOF_JPEG_LS:
                is_lossless, colour = segment[-3:-2] == b"\0", None  # NEAR
            else:
                is_lossless, colour = kind in LOSSLESS_SOF, _jpeg_colour(frame, app_colour)
            rows, columns = struct.unpack_from(">HH", frame, 1)
            return StreamInfo(
                rows=rows,
                columns=columns,
                components=frame[5],
                precision=frame[0],
                is_signed=None,
                is_lossless=is_lossless,
                colour=colour,
                is_ended=stream.rfind(END) > offset,
            )
    raise StreamError("the stream ends before its first scan")


def _segments(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Markers with the place and content of their segments, as far as they go."""
    offset = len(START_OF_IMAGE)
    while offset + 4 <= len(stream):
        marker = stream[offset + 1]
        if stream[offset] != 0xFF or marker in NO_MARKER:  # noqa: PLR2004  # fill bytes
            offset += 1
            continue
        if marker in WITHOUT_LENGTH:
            offset += 2
            continue
        (length,) = struct.unpack_from(">H", stream, offset + 2)
        yield marker, offset, stream[offset + 4 : offset + 2 + length]
        offset += 2 + max(length, 2)


def _jpeg_colour(frame: bytes, app_colour: str | None) -> str | None:
    """What three components are: by the markers, by their names, by their sampling."""
    components = [frame[6 + 3 * i : 9 + 3 * i] for i in range(frame[5])]
    if len(components) != len("RGB"):
        return None
    if app_colour is not None:
        return app_colour
    if bytes(c[0] for c in components) in RGB_IDS:
        return "RGB"
    # Only chroma is stored at a lower resolution.
    return "YBR_FULL" if len({c[1] for c in components}) > 1 else None


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


def read_jpeg_2000(codestream: bytes) -> StreamInfo:
    """Read the main header of a codestream and see that every tile-part is there.

    Raises
    ------
    StreamError
        A header cannot be read, or a tile-part is missing or cut.
    """
    try:
        x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y = struct.unpack_from(">8L", codestream, 8)
        (components,) = struct.unpack_from(">H", codestream, 40)
        depth = codestream[42]
        if not (tile_x <= x0 < x1 and tile_y <= y0 < y1):
            raise StreamError("the JPEG 2000 codestream has no image area")
        reversible, transformed = None, False
        markers, offset = header_markers(codestream, first_marker(codestream), SOT)
        if COD in markers:
            reversible = codestream[markers[COD] + 13] != IRREVERSIBLE
            transformed = codestream[markers[COD] + 8] > 0
        tiles = -(-(x1 - tile_x) // tile_w) * -(-(y1 - tile_y) // tile_h)
        is_ended, is_measured = _walk_tile_parts(codestream, offset, tiles)
    except (struct.error, IndexError, ZeroDivisionError) as error:
        raise StreamError("the JPEG 2000 codestream is cut") from error
    if reversible is None:
        raise StreamError("the JPEG 2000 codestream has no coding style")
    return StreamInfo(
        rows=y1 - y0,
        columns=x1 - x0,
        components=components,
        precision=(depth & 0x7F) + 1,
        is_signed=depth > 0x7F,  # noqa: PLR2004  # the highest bit
        is_lossless=reversible,
        # The component transforms are from RGB, and the decoder undoes them (T.800 Annex G).
        colour="RGB" if transformed else None,
        is_ended=is_ended,
        is_measured=is_measured,
    )


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

    Raises if one is missing or cut.
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


def may_lack_its_end(stream: bytes) -> bool:
    """Whether a JPEG stream without end marker can be told from one that was cut.

    Not so with several scans or restart markers: a whole scan or interval may be missing.
    """
    return stream.count(START_OF_SCAN) == 1 and RESTART_INTERVAL not in stream


def require_rle_segments(stream: bytes, segments: int) -> None:
    """Refuse an RLE header (PS3.5 G.5) that a decoder must not follow.

    Raises
    ------
    StreamError
        The number of segments is not ``segments``, or their offsets do not ascend in the stream.
    """
    if len(stream) < RLE_HEADER:
        raise StreamError("the RLE frame is shorter than its header")
    count, *offsets = struct.unpack_from("<16L", stream)
    if count != segments:
        raise StreamError(f"the RLE frame has {count} segments, the header says {segments}")
    starts = [*offsets[:count], len(stream)]
    if starts[0] != RLE_HEADER or any(a >= b for a, b in pairwise(starts)):
        raise StreamError("the segments of the RLE frame do not follow each other")
