"""RLE (PS3.5 Annex G): a run-length code over planes of bytes, which knows nothing of pixels."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import imagecodecs
from pydicom.pixels.decoders import pylibjpeg

from dicom_preprocessing.decode.codecs.samples import unpack_allocated_bits
from dicom_preprocessing.decode.lookup_tables import BYTE_BITS
from dicom_preprocessing.decode.streams.info import StreamError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner

HEADER: Final = 64
"""Bytes of the header: the number of segments and 15 offsets (PS3.5 G.5)."""


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with imagecodecs, see ``registry.decode_stream``."""
    # A segment is the bytes of one place of one sample of all pixels (PS3.5 G.2), so the result is
    # in planes whatever the header says of the planes of native data.
    runner.set_option("planar_configuration", 1)
    itemsize = max(BYTE_BITS, runner.bits_allocated) // BYTE_BITS
    _require_segments(stream, itemsize * runner.samples_per_pixel)
    # The codec puts the bytes of a sample together, the highest of which come first (G.2).
    return unpack_allocated_bits(imagecodecs.dicomrle_decode(stream, f"<u{itemsize}"), runner)


def decode_with_pylibjpeg(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with pylibjpeg-rle, which checks the header itself."""
    frame = pylibjpeg._decode_frame(stream, runner)  # noqa: SLF001  # pydicom's plugin
    return unpack_allocated_bits(bytes(frame), runner)


def _require_segments(stream: bytes, segments: int) -> None:
    """Refuse a header (PS3.5 G.5) that a decoder must not follow.

    imagecodecs' decoder follows offsets out of the frame, and crashes.
    """
    if len(stream) < HEADER:
        raise StreamError("the RLE frame is shorter than its header")
    count, *offsets = struct.unpack_from("<16L", stream)
    if count != segments:
        raise StreamError(f"the RLE frame has {count} segments, the header says {segments}")
    starts = [*offsets[:count], len(stream)]
    if starts[0] != HEADER or any(a >= b for a, b in pairwise(starts)):
        raise StreamError("the segments of the RLE frame do not follow each other")
