"""Deflated Image Frame Compression (PS3.5 8.2.16, A.4.13): zlib's code without its header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_preprocessing.decode.codecs.runner import warn_of_second_stream, warnings_of
from dicom_preprocessing.decode.codecs.samples import unpack_allocated_bits
from dicom_preprocessing.decode.streams.deflated import inflate_frame, starts_frame
from dicom_preprocessing.decode.streams.info import StreamError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner

    from dicom_preprocessing.image_warnings import ImageWarnings


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with zlib, see ``registry.decode_stream``."""
    length = int(runner.frame_length("bytes"))
    inflated = inflate_frame(stream, length)
    # zlib raises no error where its input ends early.
    if not inflated.is_ended and len(inflated.content) <= length + 1:
        raise StreamError("the deflated frame is cut")
    pixels = unpack_allocated_bits(inflated.content, runner)
    if inflated.wrapper != "no":
        message = (
            f"a frame is deflated in {inflated.wrapper} wrapper, which its syntax does not have"
        )
        warnings_of(runner).add("stream_contradicts_syntax", message)
    _warn_of_bytes_behind(inflated.behind, length, warnings_of(runner))
    return pixels


def _warn_of_bytes_behind(behind: bytes, length: int, warnings: ImageWarnings) -> None:
    """Warn of bytes other than padding behind a frame: another one, or what belongs to nothing."""
    if not behind.strip(b"\0"):
        return
    # A byte of padding may be between the two; a deflated frame may itself begin with a zero.
    if any(starts_frame(behind[padding:], length) for padding in (0, 1)):
        warn_of_second_stream(warnings)
    else:
        message = "bytes behind a deflated frame, which are neither padding nor a frame: ignored"
        warnings.add("trailing_bytes", message)
