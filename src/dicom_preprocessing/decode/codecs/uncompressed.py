"""Frames as they are, in fragments (PS3.5 A.4.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_preprocessing.decode.codecs.runner import warn_of_second_stream, warnings_of
from dicom_preprocessing.decode.codecs.samples import unpack_allocated_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Unpack a frame, see ``registry.decode_stream``."""
    length = int(runner.frame_length("bytes"))
    if len(stream) >= 2 * length:
        warn_of_second_stream(warnings_of(runner))
        stream = stream[:length]
    return unpack_allocated_bits(stream, runner)
