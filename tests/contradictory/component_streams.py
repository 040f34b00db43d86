"""JPEG 2000 codestreams of three components of different sizes, from one of each component.

In the progression component-position-resolution-layer (ITU-T T.800 B.12.1.5) all packets of a
component follow each other, so that those of single-component streams can be joined.
"""

import struct

import numpy as np

from tests.contradictory.sound import encode_jpeg_2000

SIZ, COD, SOT, SOD, EOC = 0xFF51, 0xFF52, 0xFF90, 0xFF93, b"\xff\xd9"
BY_COMPONENT = 4


def encode_subsampled(ybr, factors):
    """A reversible codestream without component transform.

    Parameters
    ----------
    ybr : (rows, columns, 3), uint8
    factors : (x, y)
        Subsampling of the second and third component.
    """
    x, y = factors
    planes = [ybr[..., 0], ybr[::y, ::x, 1], ybr[::y, ::x, 2]]
    # The encoder gives small planes fewer levels than it is asked for, but one header is for all.
    streams = [bytes(encode_jpeg_2000(np.ascontiguousarray(p), 8, resolutions=1)) for p in planes]
    headers, bodies = zip(*map(_split, streams), strict=True)
    header = b"".join(_adapt(segment, factors) for segment in headers[0])
    packets = b"".join(bodies)
    tile = struct.pack(">HHHLBB", SOT, 10, 0, 14 + len(packets), 0, 1) + struct.pack(">H", SOD)
    return b"\xff\x4f" + header + tile + packets + EOC


def _split(stream):
    """The segments of the main header, and the packets of the one tile-part."""
    segments, offset = [], 2
    while True:
        marker, length = struct.unpack_from(">HH", stream, offset)
        if marker == SOT:
            break
        segments.append(stream[offset : offset + 2 + length])
        offset += 2 + length
    (tile_length,) = struct.unpack_from(">L", stream, offset + 6)
    start = stream.index(struct.pack(">H", SOD), offset) + 2
    return segments, stream[start : offset + tile_length]


def _adapt(segment, factors):
    """A segment of the main header for three components."""
    (marker,) = struct.unpack_from(">H", segment)
    if marker == SIZ:
        depth = segment[40:41]
        components = depth + b"\1\1" + (depth + bytes(factors)) * 2
        return segment[:2] + struct.pack(">H", 38 + 9) + segment[4:38] + b"\0\3" + components
    if marker == COD:
        return segment[:5] + bytes([BY_COMPONENT]) + segment[6:]
    return segment
