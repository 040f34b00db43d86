"""Markers of JPEG 2000 and HTJ2K codestreams (ITU-T T.800 Annex A, T.814)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from dicom_preprocessing.decode.streams.info import END, StreamError, StreamInfo

CODESTREAM: Final = b"\xff\x4f\xff\x51"
JP2_CODESTREAM_BOX: Final = b"jp2c"
JP2_SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
"""The first box of a JP2 file (T.800 I.5.1)."""
HAS_CAPABILITIES: Final = 0x4000
"""Bit of Rsiz that says that a CAP marker follows, as in HTJ2K (T.814 A.2)."""

COD, SOT = b"\xff\x52", b"\xff\x90"
SOT_LENGTH: Final = 12
"""Bytes of marker and segment (T.800 A.4.2)."""

IRREVERSIBLE: Final = 0
"""Value of the wavelet transform in the coding style (T.800 Table A.20)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg2000Info(StreamInfo):
    """Contents of the markers of a codestream.

    Parameters
    ----------
    is_signed : bool
        Whether samples of the first component have a sign.
    has_component_transform : bool
        Whether the first three components are decoded to RGB (T.800 Annex G).
    is_measured : bool
        Whether every tile-part states its length, so that a missing byte is noticed.
    sampling : tuple of (int, int)
        Of each component, how many columns and rows of the image a sample is for.
    origin : (int, int)
        Column and row of the reference grid at which the image begins.
    end : int
        Offset behind the last tile-part, where the end marker is if there is one.
    """

    is_signed: bool
    has_component_transform: bool
    is_measured: bool
    sampling: tuple[tuple[int, int], ...]
    origin: tuple[int, int]
    end: int

    @property
    def is_subsampled(self) -> bool:
        """Whether some components have fewer samples than others."""
        return len(set(self.sampling)) > 1


def codestream_of(stream: bytes) -> bytes:
    """Return the codestream without the JP2 boxes that some writers put around it.

    Raises
    ------
    StreamError
        The stream has none.
    """
    if stream.startswith(CODESTREAM):
        return stream
    # Boxes are searched, not parsed, so that their lengths need not be right.
    box = stream.find(JP2_CODESTREAM_BOX)
    start = stream.find(CODESTREAM, max(box, 0))
    if box < 0 or start < 0:
        raise StreamError("no JPEG 2000 codestream")
    return stream[start:]


def is_htj2k(stream: bytes) -> bool:
    """Whether a codestream, with or without JP2 boxes, has block coding of HTJ2K."""
    start = stream.find(CODESTREAM)
    capabilities = stream[start + 6 : start + 8]  # Rsiz (T.800 A.5.1)
    return start >= 0 and bool(int.from_bytes(capabilities, "big") & HAS_CAPABILITIES)


def read_jpeg_2000(codestream: bytes) -> Jpeg2000Info:
    """Read the main header of a codestream, and check that every tile-part is complete.

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
    """Read without checks of length, which raise struct.error or IndexError in a cut codestream."""
    # Offsets of SIZ, which follows SOC (T.800 A.5.1): 8 the sizes, 40 Csiz, 42 Ssiz, XRsiz and
    # YRsiz of each component. Bit 7 of Ssiz is the sign, the others are the precision less 1.
    rows, columns, tiles = _read_size(codestream)
    (components,) = struct.unpack_from(">H", codestream, 40)
    depth = codestream[42]
    of_components = codestream[42 : 42 + 3 * components]
    # Decoders have one type for all, in which the sign or the range of others would be lost.
    if set(of_components[0::3]) != {depth}:
        raise StreamError("the JPEG 2000 components differ in precision or sign")
    markers, offset = header_markers(codestream, first_marker(codestream), SOT)
    end, is_measured = _walk_tile_parts(codestream, offset, tiles)
    if COD not in markers:
        raise StreamError("the JPEG 2000 codestream has no coding style")
    # Offsets of COD (T.800 A.6.1): 8 the component transform, 13 the wavelet transform.
    style = markers[COD]
    return Jpeg2000Info(
        rows=rows,
        columns=columns,
        components=components,
        precision=(depth & 0x7F) + 1,
        is_signed=depth > 0x7F,  # noqa: PLR2004  # the highest bit
        is_lossless=codestream[style + 13] != IRREVERSIBLE,
        has_component_transform=codestream[style + 8] > 0,
        has_end_marker=codestream[end : end + len(END)] == END,
        is_measured=is_measured,
        sampling=tuple(zip(of_components[1::3], of_components[2::3], strict=True)),
        origin=struct.unpack_from(">2L", codestream, 16),
        end=end,
    )


def _read_size(codestream: bytes) -> tuple[int, int, int]:
    """Return rows, columns and the number of tiles by SIZ (T.800 A.5.1, B.3)."""
    x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y = struct.unpack_from(">8L", codestream, 8)
    if not (tile_x <= x0 < x1 and tile_y <= y0 < y1):
        raise StreamError("the JPEG 2000 codestream has no image area")
    tiles = -(-(x1 - tile_x) // tile_w) * -(-(y1 - tile_y) // tile_h)
    return y1 - y0, x1 - x0, tiles


def first_marker(codestream: bytes) -> int:
    """Return the offset of the first marker after SIZ."""
    return 4 + int(struct.unpack_from(">H", codestream, 4)[0])


def header_markers(codestream: bytes, offset: int, end: bytes) -> tuple[dict[bytes, int], int]:
    """Return the offsets of the markers of a header, and of the marker ``end`` after them.

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


def _walk_tile_parts(codestream: bytes, offset: int, tiles: int) -> tuple[int, bool]:
    """Return the offset behind the last tile-part, and whether all have a length.

    Raises
    ------
    StreamError
        A tile-part is cut or missing, where a decoder would fill the image without an error.
    """
    is_measured = True
    counts: dict[int, int] = {}
    announced: dict[int, int] = {}
    while codestream[offset : offset + 2] == SOT:
        # T.800 A.4.2: Isot, Psot, TPsot, TNsot. TNsot may be 0, for a number that is not known yet.
        tile, length, _, parts = struct.unpack_from(">HLBB", codestream, offset + 4)
        # Psot of 0, in the last tile-part only: up to the end marker.
        if length == 0:
            is_measured = False
            length = codestream.rfind(END) - offset
        if length < SOT_LENGTH or offset + length > len(codestream):
            raise StreamError("the JPEG 2000 codestream is cut inside a tile-part")
        counts[tile] = counts.get(tile, 0) + 1
        announced[tile] = max(parts, announced.get(tile, 0))
        offset += length
    if len(counts) < tiles or any(counts[tile] < parts for tile, parts in announced.items()):
        raise StreamError("the JPEG 2000 codestream lacks tile-parts")
    return offset, is_measured
