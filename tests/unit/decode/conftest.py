"""What tests of decoders share."""

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from dicom_preprocessing.decode.stage import decode
from tests.unit.datasets import compressed, data_set_of, save
from tests.unit.decode.examples import stored_of


@pytest.fixture
def decoded_frames():
    """A function that decodes frames under the header of ``pixels``."""

    def decoded_frames(syntax, pixels, *frames, bits_stored=None, fragments=1, **changes):
        header = pixels[np.newaxis].repeat(len(frames), axis=0)
        data_set = data_set_of(header, bits_stored=bits_stored, **changes)
        compressed(data_set, list(frames), fragments=fragments)
        return stored_of(data_set, syntax)

    return decoded_frames


@pytest.fixture
def decoded(tmp_path):
    """Write a data set and decode the file."""

    def decoded(data_set, syntax=ExplicitVRLittleEndian, **settings):
        return decode(save(tmp_path / "image", data_set, syntax), **settings)

    return decoded
