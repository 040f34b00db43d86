"""JPEG-LS (ITU-T T.87), by CharLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from dicom_preprocessing.decode.codecs.components import components_by_header, convert_components
from dicom_preprocessing.decode.codecs.runner import (
    require_shape,
    reshape_samples,
    stated_photometric,
    warnings_of,
)
from dicom_preprocessing.decode.codecs.samples import stored_values
from dicom_preprocessing.decode.streams.info import END
from dicom_preprocessing.decode.streams.jpeg import read_jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import DecodeRunner


def decode(stream: bytes, runner: DecodeRunner) -> NDArray[Any]:
    """Decode a frame with imagecodecs, see ``registry.decode_stream``.

    The header gives the colour, since T.87 defines no colour transform. CharLS undoes those of
    the coder of Hewlett-Packard (marker APP8, mrfx), which leave components as the header says.
    """
    info = read_jpeg(stream)
    require_shape((info.rows, info.columns, info.components), runner)
    # Unlike libjpeg, CharLS raises an error where data is missing, with or without end marker.
    complete = stream if info.has_end_marker else stream + END
    values = np.asarray(imagecodecs.jpegls_decode(complete))
    stored = stored_values(
        reshape_samples(values, runner),
        runner,
        precision=info.precision,
        is_lossless=info.is_lossless,
    )
    if info.components == 1:
        return stored
    components = components_by_header(stated_photometric(runner), warnings_of(runner))
    return convert_components(stored, components, info.precision, runner)
