"""What tests of decoders share."""

import numpy as np
import pytest

from tests.unit.datasets import compressed, data_set_of
from tests.unit.decode.examples import stored_of


@pytest.fixture
def decoded():
    """A function that decodes frames under the header of ``pixels``."""

    def decode(syntax, pixels, *frames, bits_stored=None, fragments=1, **changes):
        header = pixels[np.newaxis].repeat(len(frames), axis=0)
        data_set = data_set_of(header, bits_stored=bits_stored, **changes)
        compressed(data_set, list(frames), fragments=fragments)
        return stored_of(data_set, syntax)

    return decode
