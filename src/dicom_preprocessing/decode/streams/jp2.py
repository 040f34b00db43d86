"""JP2 boxes around a JPEG 2000 codestream (ITU-T T.800 Annex I), for decoders that go by them."""

from __future__ import annotations

import struct
from typing import Final

from dicom_preprocessing.decode.streams.jpeg_2000 import COD, SOT, first_marker, header_markers

SIGNATURE: Final = b"\r\n\x87\n"
SRGB: Final = 16
"""Enumerated colour space (T.800 Table I.10)."""

WAVELET: Final = 7
"""The one value of the compression type (T.800 I.5.3.1)."""


def box_with_luma_second(codestream: bytes) -> bytes:
    """Return three components in boxes that exchange the first two, luma and blue chroma.

    OpenJPEG's callers convert to RGB by themselves if the second component is subsampled; in this
    order they return the samples as they are, upsampled.
    """
    x1, y1, x0, y0 = struct.unpack_from(">4L", codestream, 8)
    (components,) = struct.unpack_from(">H", codestream, 40)
    # Offsets of SIZ as in jpeg_2000: 42 is Ssiz, which this box repeats.
    size = struct.pack(">LLHBBBB", y1 - y0, x1 - x0, components, codestream[42], WAVELET, 1, 0)
    colour = struct.pack(">BBBL", 1, 0, 0, SRGB)
    # Channel definition (T.800 I.5.3.6): number of channels; of each its number, its type (0, a
    # colour), and which of the colours it is, counted from 1.
    channels = struct.pack(">10H", components, *(0, 0, 2), *(1, 0, 1), *(2, 0, 3))
    header = _box(b"ihdr", size) + _box(b"colr", colour) + _box(b"cdef", channels)
    boxes = _box(b"jP  ", SIGNATURE) + _box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + _box(b"jp2h", header)
    return boxes + _box(b"jp2c", codestream)


def clear_component_transform(codestream: bytes) -> bytes:
    """Return the codestream with a header that says there is no component transform."""
    cleared = bytearray(codestream)
    style = header_markers(codestream, first_marker(codestream), SOT)[0][COD]
    cleared[style + 8] = 0  # of COD, as in jpeg_2000
    return bytes(cleared)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L", 8 + len(content)) + kind + content
