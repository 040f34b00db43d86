"""JPEG XL (ISO/IEC 18181), by libjxl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np

from dicom_preprocessing.decode.bits import BYTE_BITS
from dicom_preprocessing.decode.codecs.components import convert_components, decide_components
from dicom_preprocessing.decode.codecs.runner import require_shape, reshape_samples, shape_of
from dicom_preprocessing.decode.codecs.samples import stored_values
from dicom_preprocessing.decode.colour import FULL_RANGE
from dicom_preprocessing.decode.streams.jpeg_xl import read_size
from dicom_preprocessing.dicom.transfer_syntaxes import JPEG_XL_LOSSLESS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner


UNDONE: Final = ("XYB", *FULL_RANGE)
"""Photometric Interpretations of which libjxl makes RGB: XYB, and YCbCr of a recompressed JPEG."""


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with imagecodecs, see ``registry.decode_stream``.

    Of the header only the size is read, since libjxl refuses a cut stream. Samples come with the
    precision of the stream; values that exceed Bits Stored are masked or clipped.
    """
    rows, columns = read_size(stream)
    # libjxl turns an image that says so in its header, behind the size.
    if (columns, rows) != shape_of(runner)[:2]:
        require_shape((rows, columns, runner.samples_per_pixel), runner)
    values = np.asarray(imagecodecs.jpegxl_decode(stream, numthreads=1))
    # Without markers the precision is unknown: with the highest that fits, every value is checked
    # against Bits Stored. Samples that need more bytes than the header allocates are of more.
    precision = max(BYTE_BITS * values.dtype.itemsize, runner.bits_allocated)
    is_lossless = runner.transfer_syntax == JPEG_XL_LOSSLESS
    stored = stored_values(
        reshape_samples(values, runner), runner, precision=precision, is_lossless=is_lossless
    )
    if runner.samples_per_pixel == 1:
        return stored
    # A lossless stream has the components of the header.
    by_stream = {"decoder": None if is_lossless else "RGB"}
    components = decide_components("jpeg_xl_colour", by_stream, runner, undone=UNDONE)
    return convert_components(stored, components, runner.bits_stored, runner)
