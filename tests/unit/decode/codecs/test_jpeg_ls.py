"""JPEG-LS: what NEAR and the header decide."""

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless, JPEGLSNearLossless

from dicom_preprocessing.decode.codecs.jpeg_ls import decode
from tests.unit.decode.examples import COLOUR, GREY_8, STREAMS, runner_for


def jpegls(pixels, **options):
    return bytes(imagecodecs.jpegls_encode(pixels, **options))


def test_near_lossless_is_within_near():
    found = decode(jpegls(GREY_8, level=2), runner_for(JPEGLSNearLossless, GREY_8))
    assert 0 < np.abs(found[..., 0].astype(int) - GREY_8).max() <= 2


def test_bits_above_bits_stored_are_masked_if_lossless():
    pixels = np.array([[0x1005, 0x0FFF]], np.uint16)
    runner = runner_for(JPEGLSLossless, pixels, bits_stored=12)
    assert decode(jpegls(pixels), runner)[..., 0].tolist() == [[5, 0xFFF]]


def test_values_above_bits_stored_are_clipped_if_near_lossless():
    pixels = np.array([[0x1005, 7]], np.uint16)
    runner = runner_for(JPEGLSNearLossless, pixels, bits_stored=12)
    found = decode(jpegls(pixels, level=1), runner)[0, :, 0].tolist()
    assert found[0] == 0xFFF
    assert abs(found[1] - 7) <= 1


@pytest.mark.parametrize("stated", ["RGB", "YBR_FULL"])
def test_header_tells_the_colour(stated):
    runner = runner_for(JPEGLSLossless, COLOUR, photometric_interpretation=stated)
    assert np.array_equal(decode(jpegls(COLOUR), runner), COLOUR)
    assert runner.photometric_interpretation == stated


def test_missing_end_marker_is_made_good():
    syntax, pixels, stream = STREAMS["JPEG-LS"]
    assert np.array_equal(decode(stream[:-2], runner_for(syntax, pixels))[..., 0], pixels)
