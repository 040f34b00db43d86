"""Pixel data of another kind than its transfer syntax, in each byte order."""

import struct

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from dicom_preprocessing.decode.stage import decode
from tests.unit.datasets import codes_of, data_set_of, save

PIXELS = np.array([[[1, 2, 300], [4000, 5, 60000]]], np.uint16)
ORDERS = [("<", ExplicitVRLittleEndian), (">", ExplicitVRBigEndian)]
OF_ENCODING = {"<": [], ">": ["encoding_contradicts_syntax"]}


def bytes_of_pixels(order):
    return PIXELS.astype(f"{order}u2").tobytes()


def state(path, syntax, other):
    """Write another UID of the same length into the file meta information."""
    content = path.read_bytes()
    before, after = (f"{uid}\0".encode() for uid in (syntax, other))
    assert content.count(before) == 1
    assert len(before) == len(after)
    path.write_bytes(content.replace(before, after))


@pytest.mark.parametrize(("order", "syntax"), ORDERS)
def test_native_pixels_under_a_compressed_syntax_have_the_order_of_the_data_set(
    order, syntax, tmp_path
):
    path = save(tmp_path / "x.dcm", data_set_of(PIXELS, PixelData=bytes_of_pixels(order)), syntax)
    state(path, syntax, RLELossless)
    image = decode(path, intensity="stored")
    assert np.array_equal(image.frames[..., 0], PIXELS)
    assert codes_of(image) == [*OF_ENCODING[order], "stream_contradicts_syntax"]


@pytest.mark.parametrize(("order", "syntax"), ORDERS)
def test_native_pixels_in_fragments_have_the_order_of_the_data_set(order, syntax, tmp_path):
    path = save(tmp_path / "x.dcm", data_set_of(PIXELS, PixelData=None), syntax)
    content = struct.pack(f"{order}HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 0xFFFFFFFF)
    for element, value in ((0xE000, b""), (0xE000, bytes_of_pixels(order)), (0xE0DD, b"")):
        content += struct.pack(f"{order}HHL", 0xFFFE, element, len(value)) + value
    path.write_bytes(path.read_bytes() + content)
    image = decode(path, intensity="stored")
    assert np.array_equal(image.frames[..., 0], PIXELS)
    assert codes_of(image) == ["stream_contradicts_syntax"]
