"""RLE (PS3.5 Annex G): a run-length code of planes of bytes."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from pydicom.pixels.decoders import pylibjpeg

from dicom_preprocessing.decode.bits import BYTE_BITS
from dicom_preprocessing.decode.codecs.runner import warnings_of
from dicom_preprocessing.decode.codecs.samples import unpack_allocated_bits
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.decode.streams.recognition import RLE_HEADER

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with imagecodecs, see ``registry.decode_stream``."""
    # A segment has one byte of one sample of all pixels (PS3.5 G.2), so the result is in planes:
    # Planar Configuration is about native data. To obey it would mix the colours of three pixels.
    runner.set_option("planar_configuration", 1)
    itemsize = max(BYTE_BITS, runner.bits_allocated) // BYTE_BITS
    _require_segments(stream, itemsize * runner.samples_per_pixel)
    # Segments begin with the most significant byte (G.2); the codec puts a sample's bytes together.
    decoded = imagecodecs.dicomrle_decode(stream, f"<u{itemsize}")
    expected = int(runner.frame_length("bytes"))
    if len(decoded) > expected + 1:
        message = f"the RLE frame has {len(decoded)} bytes, of which the image needs {expected}"
        warnings_of(runner).add("trailing_bytes", message)
        decoded = _cut_segments(stream, expected // (itemsize * runner.samples_per_pixel), itemsize)
    return unpack_allocated_bits(decoded, runner)


def _cut_segments(stream: bytes, length: int, itemsize: int) -> bytes:
    """Decode ``length`` bytes of each segment, which has more; samples are little endian.

    Raises
    ------
    StreamError
        A segment is shorter.
    """
    count, *offsets = struct.unpack_from("<16L", stream)
    spans = pairwise([*offsets[:count], len(stream)])
    segments = [_unpack_segment(stream[start:end])[:length] for start, end in spans]
    if any(len(segment) < length for segment in segments):
        raise StreamError(f"a segment of the RLE frame has less than {length} bytes")
    by_sample = np.frombuffer(b"".join(segments), np.uint8).reshape(-1, itemsize, length)
    # Most significant byte first (G.2).
    return by_sample[:, ::-1].transpose(0, 2, 1).tobytes()


def _unpack_segment(segment: bytes) -> bytes:
    """Decode a segment, which a zero may fill up to even length."""
    try:
        return bytes(imagecodecs.packbits_decode(segment))
    except imagecodecs.ImcdError:
        return bytes(imagecodecs.packbits_decode(segment.removesuffix(b"\0")))


def decode_with_pylibjpeg(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with pylibjpeg-rle, which checks the RLE header itself."""
    frame = pylibjpeg._decode_frame(stream, runner)  # noqa: SLF001  # pydicom's plugin
    return unpack_allocated_bits(bytes(frame), runner)


def _require_segments(stream: bytes, segments: int) -> None:
    """Check the RLE header (PS3.5 G.5).

    Raises
    ------
    StreamError
        It has another number of segments, or they do not follow each other.
    """
    # imagecodecs' decoder follows offsets out of the frame, and crashes the process.
    if len(stream) < RLE_HEADER:
        raise StreamError("the RLE frame is shorter than its header")
    count, *offsets = struct.unpack_from("<16L", stream)
    if count != segments:
        raise StreamError(f"the RLE frame has {count} segments, the header says {segments}")
    starts = [*offsets[:count], len(stream)]
    if starts[0] != RLE_HEADER or any(a >= b for a, b in pairwise(starts)):
        raise StreamError("the segments of the RLE frame do not follow each other")
