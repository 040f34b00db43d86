"""RLE (PS3.5 Annex G): a run-length code of planes of bytes."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import imagecodecs
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
        # pylibjpeg-rle, which is tried next, leaves out what is too much at the end of a segment.
        message = f"the RLE frame has {len(decoded)} bytes, of which the image needs {expected}"
        warnings_of(runner).add("trailing_bytes", message)
    return unpack_allocated_bits(decoded, runner)


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
