"""JPEG (ITU-T T.81) in all processes but the hierarchical ones, by libjpeg-turbo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np

from dicom_preprocessing.decode.codecs.components import decide_components, subsampled_components
from dicom_preprocessing.decode.codecs.runner import require_shape, reshape_samples
from dicom_preprocessing.decode.codecs.samples import stored_values
from dicom_preprocessing.decode.colour import STREAM_TRANSFORMS, YBR_FULL, to_rgb
from dicom_preprocessing.decode.streams.info import END, StreamError
from dicom_preprocessing.decode.streams.jpeg import colour_by_marker, read_jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner

    from dicom_preprocessing.decode.streams.jpeg import JpegInfo

START_OF_SCAN: Final = b"\xff\xda"
RESTART_INTERVAL: Final = b"\xff\xdd"

USUALLY_YCBCR: Final = dict.fromkeys(STREAM_TRANSFORMS, YBR_FULL)
"""What components of a lossy stream are that neither markers nor a possible header names."""

UNLIKELY: Final = b"\x55" * 64
"""Bytes with which no decoder fills a missing part of an image."""


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with imagecodecs, see ``registry.decode_stream``.

    The result is grey, or RGB whatever the stream has; Photometric Interpretation of the runner is
    set to it.
    """
    info = read_jpeg(stream)
    require_shape((info.rows, info.columns, info.components), runner)
    complete = stream if info.has_end_marker else _append_eoi(stream)
    if runner.samples_per_pixel == 1:
        values = np.asarray(imagecodecs.jpeg8_decode(complete))
    else:
        colour = _decide_colour(info, runner)
        values = _decode_rgb(complete, colour, info)
        runner.set_option("photometric_interpretation", "RGB")
    return stored_values(
        reshape_samples(values, runner),
        runner,
        precision=info.precision,
        is_lossless=info.is_lossless,
    )


def _decide_colour(info: JpegInfo, runner: DecodeRunner) -> str:
    """Decide the colour of three components."""
    by_stream = colour_by_marker(info)
    if by_stream["sampling"]:
        by_stream["sampling"] = subsampled_components(runner)
    # Coders of lossless streams leave components as they are, and some add markers nevertheless.
    if info.is_lossless:
        return decide_components("jpeg_lossless_colour", by_stream, runner)
    # The header comes last: a GDCM version wrote YCbCr streams under an RGB header, without any
    # marker. The wrong choice gives false colours, and no error.
    return decide_components("jpeg_colour", by_stream, runner, without_transform=USUALLY_YCBCR)


def _decode_rgb(stream: bytes, coded: str, info: JpegInfo) -> NDArray[Any]:
    """Decode three components of the colour space ``coded`` to RGB."""
    # The colour space is always passed to libjpeg: by itself it would take a JFIF marker before an
    # Adobe marker, and never the header.
    if coded == YBR_FULL and not info.is_lossless:  # libjpeg's own conversion is faster
        return np.asarray(imagecodecs.jpeg8_decode(stream, colorspace="YCBCR", outcolorspace="RGB"))
    # libjpeg converts no lossless streams, and none of the other forms of YCbCr. "RGB" to "RGB"
    # leaves components unchanged.
    raw = np.asarray(imagecodecs.jpeg8_decode(stream, colorspace="RGB", outcolorspace="RGB"))
    return to_rgb(raw, coded, info.precision)


def _append_eoi(stream: bytes) -> bytes:
    """Return the stream with an end marker, if nothing else is missing.

    Raises
    ------
    StreamError
        The stream was cut.
    """
    # libjpeg fills a missing part of the image without an error. It reads on after the stream then,
    # so that other bytes there give other pixels; of a complete scan they change nothing.
    ended, decode_any = stream + END, imagecodecs.jpeg8_decode
    if _may_lack_eoi(stream) and np.array_equal(
        decode_any(ended), decode_any(stream + UNLIKELY + END)
    ):
        return ended
    raise StreamError("the stream has no end marker: it was cut")


def _may_lack_eoi(stream: bytes) -> bool:
    """Whether a complete stream without end marker can be told from one that was cut.

    Not with several scans (T.81 B.2.1) or restart intervals (B.2.4.4): one of them may be missing
    completely, and then bytes after the stream change nothing.
    """
    return stream.count(START_OF_SCAN) == 1 and RESTART_INTERVAL not in stream
