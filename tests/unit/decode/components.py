"""Streams of three components of any size, put together from streams of one."""

import struct

import imagecodecs
import numpy as np

from dicom_preprocessing.decode.streams.info import END
from dicom_preprocessing.decode.streams.jpeg_2000 import COD, SOT, first_marker, header_markers
from dicom_preprocessing.decode.streams.jpeg_2000 import SOT_LENGTH as TILE_HEADER

SIDE_WITH_LEVELS = 16

SOD = b"\xff\x93"
BY_COMPONENT = 4
"""Progression order in which all packets of a component follow each other (T.800 Table A.16)."""


def subsample(pixels, sampling):
    """The components of (rows, columns, n), each with a sample for every w x h pixels."""
    return [pixels[::h, ::w, i] for i, (w, h) in enumerate(sampling)]


def repeat(components, sampling, shape):
    """The components at the size of the image again."""
    rows, columns = shape
    full = [
        c.repeat(h, 0)[:rows].repeat(w, 1)[:, :columns]
        for c, (w, h) in zip(components, sampling, strict=True)
    ]
    return np.stack(full, axis=-1)


def join_j2k(components, sampling, shape, *, mct=False, encode=None, order=BY_COMPONENT, **options):
    """A JPEG 2000 codestream of components that were encoded one by one, lossless by default.

    ``order`` is what the header says of the order of packets, whatever it is.
    """
    encode = encode or _encode_j2k
    # The coder leaves levels out where a side is short; they must be the same for all.
    is_large = min(side for c in components for side in c.shape) >= SIDE_WITH_LEVELS
    options = {"resolutions": 2 if is_large else 1} | options
    streams = [encode(np.ascontiguousarray(c), **options) for c in components]
    first = streams[0]
    markers, _ = header_markers(first, first_marker(first), SOT)
    depth, (rows, columns) = first[42], shape
    sizes = struct.pack(">8L", columns, rows, 0, 0, columns, rows, 0, 0)
    size = first[6:8] + sizes + struct.pack(">H", len(streams))
    size += b"".join(bytes([depth, w, h]) for w, h in sampling)
    header = first[:4] + struct.pack(">H", 2 + len(size)) + size
    for marker, at in sorted(markers.items(), key=lambda one: one[1]):
        (length,) = struct.unpack_from(">H", first, at + 2)
        segment = bytearray(first[at : at + 2 + length])
        if marker == COD:
            segment[5], segment[8] = order, int(mct)
        if marker != b"\xff\x55":  # TLM, the lengths of tile-parts
            header += segment
    packets = b"".join(map(_packets_of, streams))
    tile = struct.pack(">HHHLBB", 0xFF90, 10, 0, TILE_HEADER + 2 + len(packets), 0, 1)
    return header + tile + SOD + packets + END


def _encode_j2k(component, **options):
    options = {"reversible": True, "level": 0} | options
    return bytes(imagecodecs.jpeg2k_encode(component, codecformat="J2K", **options))


def encode_htj2k(component, **options):
    return bytes(imagecodecs.htj2k_encode(component, reversible=True, **options))


def _packets_of(stream):
    _, at = header_markers(stream, first_marker(stream), SOT)
    packets = b""
    while stream[at : at + 2] == SOT:
        (length,) = struct.unpack_from(">L", stream, at + 6)
        part = stream[at : at + length]
        packets += part[part.index(SOD) + 2 :]
        at += length
    return packets


def join_lossless_jpeg(components, sampling, shape, *, app=b""):
    """A lossless JPEG stream with a scan for each component."""
    streams = [
        bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(c), lossless=True)) for c in components
    ]
    rows, columns = shape
    widest, highest = (max(sizes) for sizes in zip(*sampling, strict=True))
    frame = struct.pack(">BHHB", 8, rows, columns, len(streams))
    for n, (w, h) in enumerate(sampling):
        frame += bytes([n + 1, (widest // w) << 4 | highest // h, 0])
    joined = b"\xff\xd8" + app + b"\xff\xc3" + struct.pack(">H", 2 + len(frame)) + frame
    for n, stream in enumerate(streams):
        tables, scan = stream.index(b"\xff\xc4"), stream.index(b"\xff\xda")
        (length,) = struct.unpack_from(">H", stream, tables + 2)
        joined += stream[tables : tables + 2 + length]
        renamed = bytearray(stream[scan : -len(END)])
        renamed[5] = n + 1
        joined += renamed
    return joined + END
