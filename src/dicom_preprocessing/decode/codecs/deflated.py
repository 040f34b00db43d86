"""Deflated Image Frame Compression (PS3.5 8.2.16, A.4.13): zlib's code without its header."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.decode.codecs.samples import unpack_allocated_bits
from dicom_preprocessing.decode.streams.info import StreamError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with zlib, see ``registry.decode_stream``."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)  # raw: neither zlib's header nor its checksum
    # A few bytes may inflate to gigabytes. The limit is a frame, its byte of padding, and one byte
    # more, by which unpack_allocated_bits sees that there is too much.
    data = inflater.decompress(stream, int(runner.frame_length("bytes")) + 2)
    # zlib raises no error where its input ends early. Input that is left over hit the limit.
    if not inflater.eof and inflater.unconsumed_tail == b"":
        raise StreamError("the deflated frame is cut")
    return unpack_allocated_bits(data, runner)
