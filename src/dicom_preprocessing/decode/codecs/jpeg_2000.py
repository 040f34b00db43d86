"""JPEG 2000 (ITU-T T.800) by OpenJPEG, and HTJ2K (T.814) by OpenJPH where that is right."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from pydicom.pixels.decoders import pylibjpeg

from dicom_preprocessing.decode.codecs.runner import (
    RESOLUTION_LEVEL,
    require_shape,
    reshape_samples,
    shape_of,
)
from dicom_preprocessing.decode.codecs.samples import stored_values
from dicom_preprocessing.decode.streams.info import END, StreamError
from dicom_preprocessing.decode.streams.jpeg_2000 import codestream_of, read_jpeg_2000
from dicom_preprocessing.decode.transfer_syntaxes import HTJ2K_REVERSIBLE
from dicom_preprocessing.dicom.contradictions import decide

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner

    from dicom_preprocessing.decode.streams.jpeg_2000 import Jpeg2000Info


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with imagecodecs, see ``registry.decode_stream``."""
    codestream = codestream_of(stream)  # without boxes, whose colour DICOM does not heed
    info = _read_header(codestream, runner)
    if not info.has_end_marker:
        codestream += END  # every tile-part is there, and OpenJPEG wants to see the end
    if _is_for_openjph(info, runner):
        values = _decode_htj2k(codestream)
    else:
        values = np.asarray(imagecodecs.jpeg2k_decode(codestream, numthreads=1))
    return _stored_values(reshape_samples(values, runner), info, runner)


def decode_with_pylibjpeg(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with pylibjpeg-openjpeg."""
    info = _read_header(codestream_of(stream), runner)
    # pydicom's plugin sets Bits Allocated to that of the container, which goes by this option.
    allocated = runner.bits_allocated
    runner.set_option("j2k_precision", info.precision)
    # It has the boxes too, if there are any.
    frame = pylibjpeg._decode_frame(stream, runner)  # noqa: SLF001  # pydicom's plugin
    values = np.frombuffer(frame, runner.pixel_dtype)
    runner.set_option("bits_allocated", allocated)
    return _stored_values(values.reshape(shape_of(runner)), info, runner)


def _read_header(codestream: bytes, runner: DecodeRunner) -> Jpeg2000Info:
    """Markers, compared with the header, whose Photometric Interpretation they may correct."""
    info = read_jpeg_2000(codestream)
    require_shape((info.rows, info.columns, info.components), runner)
    if info.components > 1:
        by_source = {
            # Both component transforms are from RGB, and decoders undo them (T.800 Annex G).
            "component transform": "RGB" if info.has_component_transform else None,
            "header": runner.photometric_interpretation,
        }
        runner.set_option("photometric_interpretation", decide("jpeg_2000_colour", by_source).value)
    return info


def _stored_values(values: NDArray[Any], info: Jpeg2000Info, runner: DecodeRunner) -> NDArray[Any]:
    return stored_values(
        values,
        runner,
        precision=info.precision,
        is_signed=info.is_signed,
        is_lossless=info.is_lossless,
    )


def _is_for_openjph(info: Jpeg2000Info, runner: DecodeRunner) -> bool:
    """Whether OpenJPH, the faster one, gives what the stream holds."""
    return (
        runner.transfer_syntax in HTJ2K_REVERSIBLE
        # It lets values of irreversible streams that overshoot wrap around: 657 samples of an 8-bit
        # image were 0 where OpenJPEG and the original have 255.
        and info.is_lossless
        # Reversible ones overshoot as well where their finest levels are left out.
        and not runner.get_option(RESOLUTION_LEVEL)
        # It fills up what was cut without a word; with lengths the markers tell.
        and info.is_measured
        and not info.is_signed
    )


IGNORED = threading.local()
"""What ``_note_ignored`` noted in this thread while it was ``watching``."""

PRINT_IGNORED = sys.unraisablehook


def _note_ignored(args: sys.UnraisableHookArgs) -> None:
    """Note an exception that Python would print and forget."""
    if getattr(IGNORED, "watching", False):
        IGNORED.error = args.exc_value
    else:
        PRINT_IGNORED(args)


def _decode_htj2k(codestream: bytes) -> NDArray[Any]:
    """Decode with OpenJPH, whose errors reach Python as ignored exceptions, with a blank image.

    The hook is one for all threads, so it stays: another thread may be decoding when this is done.
    """
    sys.unraisablehook = _note_ignored
    IGNORED.watching, IGNORED.error = True, None
    try:
        values = np.asarray(imagecodecs.htj2k_decode(codestream))
    finally:
        IGNORED.watching = False
    if IGNORED.error is not None:
        raise StreamError(f"the HTJ2K codestream is damaged: {IGNORED.error}")
    return values
