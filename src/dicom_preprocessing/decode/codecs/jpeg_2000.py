"""JPEG 2000 (ITU-T T.800) by OpenJPEG, and HTJ2K (T.814) by OpenJPH where its result is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from pydicom.pixels.decoders import pylibjpeg

from dicom_preprocessing.decode.codecs.ignored_exceptions import note_ignored_exceptions
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
    # PS3.5 A.4.4 has no JP2 boxes, but some writers add them, and a decoder would go by their
    # colour instead of Photometric Interpretation.
    codestream = codestream_of(stream)
    info = _read_header(codestream, runner)
    # Every tile-part is complete, else the header would not have been read; but OpenJPEG requires
    # the end marker.
    if not info.has_end_marker:
        codestream += END
    if _is_for_openjph(info, runner):
        values = _decode_htj2k(codestream)
    else:
        # One thread: more of them inside OpenJPEG gained nothing, and each core has its own file.
        values = np.asarray(imagecodecs.jpeg2k_decode(codestream, numthreads=1))
    return _to_stored_values(reshape_samples(values, runner), info, runner)


def decode_with_pylibjpeg(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with pylibjpeg-openjpeg."""
    info = _read_header(codestream_of(stream), runner)
    # pydicom's plugin sets Bits Allocated to the size of decoded samples, which it takes from this
    # option; the header's value is needed again below.
    allocated = runner.bits_allocated
    runner.set_option("j2k_precision", info.precision)
    # With JP2 boxes, if there are any.
    frame = pylibjpeg._decode_frame(stream, runner)  # noqa: SLF001  # pydicom's plugin
    values = np.frombuffer(frame, runner.pixel_dtype)
    runner.set_option("bits_allocated", allocated)
    return _to_stored_values(values.reshape(shape_of(runner)), info, runner)


def _read_header(codestream: bytes, runner: DecodeRunner) -> Jpeg2000Info:
    """Read the markers, compare them with the header, and correct its colour by them."""
    info = read_jpeg_2000(codestream)
    require_shape((info.rows, info.columns, info.components), runner)
    if info.components > 1:
        by_source = {
            # Both component transforms are of RGB, and decoders undo them (T.800 Annex G). Taken
            # for YCbCr once more, as a YBR header may say, the colours would be false.
            "component transform": "RGB" if info.has_component_transform else None,
            "header": runner.photometric_interpretation,
        }
        runner.set_option("photometric_interpretation", decide("jpeg_2000_colour", by_source).value)
    return info


def _to_stored_values(
    values: NDArray[Any], info: Jpeg2000Info, runner: DecodeRunner
) -> NDArray[Any]:
    return stored_values(
        values,
        runner,
        precision=info.precision,
        is_signed=info.is_signed,
        is_lossless=info.is_lossless,
    )


def _is_for_openjph(info: Jpeg2000Info, runner: DecodeRunner) -> bool:
    """Whether OpenJPH, which is faster, decodes the stream without an error in its values."""
    return (
        runner.transfer_syntax in HTJ2K_REVERSIBLE
        # It lets overshoot of irreversible streams wrap around: 657 samples of an 8-bit image were
        # 0 where OpenJPEG and the original have 255.
        and info.is_lossless
        # Reversible streams overshoot as well where their finest levels are left out.
        and not runner.get_option(RESOLUTION_LEVEL)
        # It fills a cut stream without an error; read_jpeg_2000 finds a cut by the lengths.
        and info.is_measured
        and not info.is_signed
    )


def _decode_htj2k(codestream: bytes) -> NDArray[Any]:
    """Decode with OpenJPH.

    Raises
    ------
    StreamError
        OpenJPH reported an error.
    """
    # Errors of OpenJPH reach Python as ignored exceptions, and the result is a blank image.
    with note_ignored_exceptions() as ignored:
        values = np.asarray(imagecodecs.htj2k_decode(codestream))
    if ignored:
        raise StreamError(f"the HTJ2K codestream is damaged: {ignored[-1]}")
    return values
