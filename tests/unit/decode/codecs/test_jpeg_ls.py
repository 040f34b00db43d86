"""JPEG-LS: what NEAR and the header decide."""

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless, JPEGLSNearLossless

from dicom_preprocessing.decode.codecs.jpeg_ls import decode
from dicom_preprocessing.decode.colour import ybr_to_rgb
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
    expected = COLOUR if stated == "RGB" else ybr_to_rgb(COLOUR, 8)
    assert np.array_equal(decode(jpegls(COLOUR), runner), expected)
    assert runner.photometric_interpretation == "RGB"


def test_chroma_of_fewer_bits_than_stored_has_the_middle_of_the_stream():
    wide = COLOUR.astype(np.uint16)
    runner = runner_for(JPEGLSLossless, wide, photometric_interpretation="YBR_FULL")
    assert np.array_equal(decode(jpegls(COLOUR), runner), ybr_to_rgb(COLOUR, 8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_transform_of_hewlett_packard_is_undone_once(dtype, kind):
    rgb = COLOUR.astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    stream = jpegls(transformed(rgb, kind))
    marked = stream[:2] + b"\xff\xe8\0\7mrfx" + bytes([kind]) + stream[2:]
    assert np.array_equal(decode(marked, runner_for(JPEGLSLossless, rgb)), rgb)


def transformed(rgb, kind):
    """Differences of colours, as the first coder of JPEG-LS made them before coding."""
    bits = rgb.dtype.itemsize * 8
    middle, mask = 1 << (bits - 1), (1 << bits) - 1
    r, g, b = (rgb[..., i].astype(int) for i in range(3))
    if kind == 1:
        planes = (r - g + middle, g, b - g + middle)
    elif kind == 2:
        planes = (r - g + middle, g, b - ((r + g) >> 1) - middle)
    else:
        blue, red = (b - g + middle) & mask, (r - g + middle) & mask
        planes = (g + ((blue + red) >> 2) - (middle >> 1), blue, red)
    return np.stack([plane & mask for plane in planes], axis=-1).astype(rgb.dtype)


def test_missing_end_marker_is_made_good():
    syntax, pixels, stream = STREAMS["JPEG-LS"]
    assert np.array_equal(decode(stream[:-2], runner_for(syntax, pixels))[..., 0], pixels)
