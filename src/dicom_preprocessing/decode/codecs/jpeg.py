"""JPEG (ITU-T T.81) in all its processes but hierarchical ones, by libjpeg-turbo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np

from dicom_preprocessing.decode.codecs.runner import (
    STATED_PHOTOMETRIC,
    require_shape,
    reshape_samples,
)
from dicom_preprocessing.decode.codecs.samples import stored_values
from dicom_preprocessing.decode.colour import YBR_FULL, to_rgb
from dicom_preprocessing.decode.streams.info import END, StreamError
from dicom_preprocessing.decode.streams.jpeg import colour_by_marker, read_jpeg
from dicom_preprocessing.dicom.contradictions import decide

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner

    from dicom_preprocessing.decode.streams.jpeg import JpegInfo

START_OF_SCAN: Final = b"\xff\xda"
RESTART_INTERVAL: Final = b"\xff\xdd"

UNLIKELY: Final = b"\x55" * 64
"""Bytes that no decoder fills up with."""


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with imagecodecs, see ``registry.decode_stream``.

    Grey values, or RGB whatever the stream holds; Photometric Interpretation of the runner says so.
    """
    info = read_jpeg(stream)
    require_shape((info.rows, info.columns, info.components), runner)
    whole = stream if info.has_end_marker else _append_eoi(stream)
    if runner.samples_per_pixel == 1:
        values = np.asarray(imagecodecs.jpeg8_decode(whole))
    else:
        by_source = colour_by_marker(info) | {"header": _stated_colour(runner)}
        colour = decide("jpeg_colour", by_source).value or ""
        values = _decode_rgb(whole, colour, info)
        runner.set_option("photometric_interpretation", "RGB")
    return stored_values(
        reshape_samples(values, runner),
        runner,
        precision=info.precision,
        is_lossless=info.is_lossless,
    )


def _stated_colour(runner: DecodeRunner) -> str:
    """Photometric Interpretation of the header, before pydicom or a plugin corrected it."""
    return str(runner.get_option(STATED_PHOTOMETRIC) or runner.photometric_interpretation)


def _decode_rgb(stream: bytes, coded: str, info: JpegInfo) -> NDArray[Any]:
    """Three components, brought to RGB from what they are ``coded`` in.

    libjpeg is told what they are in any case: by itself it would believe a JFIF marker before an
    Adobe marker, and never the header.
    """
    if coded == YBR_FULL and not info.is_lossless:  # libjpeg's own conversion is faster
        return np.asarray(imagecodecs.jpeg8_decode(stream, colorspace="YCBCR", outcolorspace="RGB"))
    # libjpeg does not convert lossless streams, nor any of the other forms of YCbCr. "RGB" to "RGB"
    # gives components as they are.
    raw = np.asarray(imagecodecs.jpeg8_decode(stream, colorspace="RGB", outcolorspace="RGB"))
    return to_rgb(raw, coded, info.precision)


def _append_eoi(stream: bytes) -> bytes:
    """The stream with an end marker, if nothing else is missing.

    A decoder that reaches the end early fills up without a word; then it matters what follows the
    stream, and two decoded images differ.
    """
    ended, decode_any = stream + END, imagecodecs.jpeg8_decode
    if _may_lack_eoi(stream) and np.array_equal(
        decode_any(ended), decode_any(stream + UNLIKELY + END)
    ):
        return ended
    raise StreamError("the stream has no end marker: it was cut")


def _may_lack_eoi(stream: bytes) -> bool:
    """Whether a stream without end marker can be told from one that was cut.

    Not so with several scans or restart markers: a whole scan or interval may be missing, and what
    follows the stream then changes nothing.
    """
    return stream.count(START_OF_SCAN) == 1 and RESTART_INTERVAL not in stream
