"""Streams recognised by their first bytes."""

import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_preprocessing.decode.streams.recognition import read_stream_shape, recognise_stream
from dicom_preprocessing.dicom.transfer_syntaxes import JPEG_XL, are_alike, name_kind

PIXELS = np.random.default_rng(1).integers(0, 255, (20, 31)).astype(np.uint8)
STREAMS = {
    "JPEG": (imagecodecs.jpeg8_encode(PIXELS), JPEGBaseline8Bit),
    "lossless JPEG": (imagecodecs.jpeg8_encode(PIXELS, lossless=True), JPEGLosslessSV1),
    "JPEG-LS": (imagecodecs.jpegls_encode(PIXELS), JPEGLSNearLossless),
    "JPEG 2000": (imagecodecs.jpeg2k_encode(PIXELS, codecformat="j2k"), JPEG2000),
    "JP2": (imagecodecs.jpeg2k_encode(PIXELS, codecformat="jp2"), JPEG2000),
    "HTJ2K": (imagecodecs.htj2k_encode(PIXELS), HTJ2K),
    "JPEG XL": (imagecodecs.jpegxl_encode(PIXELS), JPEG_XL[-1]),
    "RLE": (struct.pack("<16L", 2, 64, 80, *[0] * 13) + bytes(40), RLELossless),
}


@pytest.mark.parametrize("name", STREAMS)
def test_stream_is_recognised(name):
    stream, syntax = STREAMS[name]
    assert recognise_stream(bytes(stream)) == syntax


@pytest.mark.parametrize("name", [n for n in STREAMS if n != "RLE"])
def test_shape_is_that_of_the_header(name):
    assert read_stream_shape(bytes(STREAMS[name][0]), 1) == (20, 31, 1)


@given(st.binary(max_size=100))
def test_other_bytes_have_no_shape(content):
    assert read_stream_shape(content, 1) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        bytes(64),
        struct.pack("<16L", 16, 64, *range(65, 79)),
        struct.pack("<16L", 2, 60, 80, *[0] * 13),
        struct.pack("<16L", 2, 64, 64, *[0] * 13),
        struct.pack("<16L", 2, 64, 80, 90, *[0] * 12),
        struct.pack("<16L", 2, 64, 80, *[0] * 13)[:63],
    ],
)
def test_no_header_of_rle(head):
    assert recognise_stream(head) is None


def test_processes_of_jpeg_are_alike_and_other_kinds_are_not():
    assert are_alike(JPEGBaseline8Bit, JPEGBaseline8Bit)
    assert not are_alike(JPEG2000, HTJ2K)
    assert name_kind(HTJ2K) == "HTJ2K"


@pytest.mark.parametrize(
    "size", [(8, 8), (64, 256), (20, 31), (600, 480), (9, 16), (256, 1), (5, 9000)]
)
def test_size_of_jpeg_xl_is_that_of_the_image(size):
    stream = bytes(imagecodecs.jpegxl_encode(np.zeros(size, np.uint8)))
    assert read_stream_shape(stream, 1) == (*size, 1)
