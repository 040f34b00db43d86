"""Lower resolutions of a JPEG 2000 or HTJ2K codestream, by a change of its header (ITU-T T.800)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from dicom_preprocessing.decode.streams.jpeg_2000 import (
    COD,
    SOT,
    SOT_LENGTH,
    first_marker,
    header_markers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SOD: Final = b"\xff\x93"

ODD_MARKERS: Final = frozenset(b"\xff" + bytes([code]) for code in (0x53, 0x5E, 0x5F, 0x60, 0x61))
"""Coding style of a component, region of interest, order changes, packed packet headers."""

# Progression orders (T.800, Table A.16).
BY_LAYER: Final = 0
BY_RESOLUTION: Final = (1, 2)
BY_PLACE: Final = (3, 4)


def reducible_levels(codestream: bytes) -> int:
    """How many of the finest resolution levels ``reduce_codestream`` can leave out.

    None of them (0) unless there is one tile at the origin with one coding style, whose packets
    come in the order of resolution, or in any if there is one precinct a level.
    """
    try:
        x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y = struct.unpack_from(">8L", codestream, 8)
        (components,) = struct.unpack_from(">H", codestream, 40)
        markers, offset = header_markers(codestream, first_marker(codestream), SOT)
        if (x0, y0, tile_x, tile_y) != (0, 0, 0, 0) or x1 > tile_w or y1 > tile_h:
            return 0
        of_tile_parts = set(_tile_part_markers(codestream, offset))
        if COD not in markers or COD in of_tile_parts:
            return 0
        if not ODD_MARKERS.isdisjoint(of_tile_parts | markers.keys()):
            return 0
        at = markers[COD]
        has_precincts, order = codestream[at + 4] & 1, codestream[at + 5]
        (layers,) = struct.unpack_from(">H", codestream, at + 6)
    except (struct.error, IndexError):
        return 0
    is_by_resolution = order in BY_RESOLUTION or (order == BY_LAYER and layers == 1)
    is_single = order in BY_PLACE and components == 1 and not has_precincts and layers == 1
    return codestream[at + 9] if is_by_resolution or is_single else 0


def reduce_codestream(codestream: bytes, level: int) -> bytes:
    """The codestream with another header, that of the image at a lower resolution.

    Image and tile are ``level`` times half as large, rounded up, and have as many fewer
    decomposition levels; packets of the finer ones are still there and are not read.

    Parameters
    ----------
    codestream : bytes
    level : int
        At most ``reducible_levels``.

    References
    ----------
    ITU-T T.800, Annexes A and B.
    """
    reduced, step = bytearray(codestream), 1 << level
    x1, y1 = struct.unpack_from(">2L", codestream, 8)
    width, height = -(-x1 // step), -(-y1 // step)
    struct.pack_into(">8L", reduced, 8, width, height, 0, 0, width, height, 0, 0)
    at = header_markers(codestream, first_marker(codestream), SOT)[0][COD]
    reduced[at + 9] -= level
    if codestream[at + 4] & 1:  # sizes of precincts by level, the coarsest first
        (length,) = struct.unpack_from(">H", codestream, at + 2)
        struct.pack_into(">H", reduced, at + 2, length - level)
        del reduced[at + 2 + length - level : at + 2 + length]
    return bytes(reduced)


def _tile_part_markers(codestream: bytes, offset: int) -> Iterator[bytes]:
    """Markers of the headers of all tile-parts, the first of which is at ``offset``."""
    while codestream[offset : offset + 2] == SOT:
        (length,) = struct.unpack_from(">L", codestream, offset + 6)
        yield from header_markers(codestream, offset + SOT_LENGTH, SOD)[0]
        if not length:  # up to the end
            return
        offset += length
