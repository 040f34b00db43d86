"""JPEG XL (ISO/IEC 18181), by libjxl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from dicom_preprocessing.decode.codecs.runner import reshape_samples
from dicom_preprocessing.decode.codecs.samples import stored_values
from dicom_preprocessing.decode.lookup_tables import BYTE_BITS
from dicom_preprocessing.dicom.transfer_syntaxes import JPEG_XL_LOSSLESS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with imagecodecs, see ``registry.decode_stream``.

    No markers are read, since libjxl refuses a cut stream. Samples come with the precision of the
    stream; values that exceed Bits Stored are masked or clipped.
    """
    is_lossless = runner.transfer_syntax == JPEG_XL_LOSSLESS
    # libjxl undoes XYB, and the YCbCr of a recompressed JPEG. A lossless stream has the components
    # of the header.
    if runner.samples_per_pixel > 1 and not is_lossless:
        runner.set_option("photometric_interpretation", "RGB")
    values = np.asarray(imagecodecs.jpegxl_decode(stream, numthreads=1))
    # Without markers the precision is unknown: with the highest that fits, every value is checked
    # against Bits Stored.
    precision = max(BYTE_BITS, runner.bits_allocated)
    return stored_values(
        reshape_samples(values, runner), runner, precision=precision, is_lossless=is_lossless
    )
