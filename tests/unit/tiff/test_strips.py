"""The bytes of strips."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dicom_preprocessing.tiff.compressors import COMPRESSOR_BY_NAME
from dicom_preprocessing.tiff.strips import encode_strip

PACKBITS = COMPRESSOR_BY_NAME["packbits"]


def packed(pixels):
    """All rows by the codec, one after the other."""
    return b"".join(imagecodecs.packbits_encode(row[None], axis=-2) for row in pixels)


@st.composite
def pixels_with_blank_rows(draw):
    """Rows of which any may be blank, in any number at the edges."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 300), st.sampled_from([1, 3])))
    dtype = draw(st.sampled_from(["<u1", "<u2", "<i2", "<f4"]))
    values = st.integers(0, 3) if dtype != "<f4" else st.sampled_from([0.0, -0.0, 1.5])
    pixels = draw(arrays(dtype, shape, elements=values, fill=st.just(0)))
    above, below = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    return np.pad(pixels, ((above, below), (0, 0), (0, 0)))


@given(pixels_with_blank_rows())
def test_each_row_is_packed_by_itself(pixels):
    assert bytes(encode_strip(pixels, PACKBITS)) == packed(pixels)


@pytest.mark.parametrize("value", [0.0, -0.0])
def test_negative_zero_is_not_blank(value):
    pixels = np.full((3, 200, 1), value, "<f4")
    assert bytes(encode_strip(pixels, PACKBITS)) == packed(pixels)


@pytest.mark.parametrize("bits", [np.zeros((9, 20, 1), bool), np.eye(20, dtype=bool)[..., None]])
def test_bits_are_packed_as_one_row(bits):
    rows = np.packbits(bits, axis=1).reshape(1, -1, 1)
    assert bytes(encode_strip(bits, PACKBITS)) == packed(rows)
