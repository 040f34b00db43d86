"""Pixel data of another kind than its transfer syntax, in each byte order."""

import struct

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from dicom_preprocessing.decode.stage import decode
from tests.unit.datasets import codes_of, data_set_of, save
from tests.unit.decode.examples import j2k

PIXELS = np.array([[[1, 2, 300], [4000, 5, 60000]]], np.uint16)
ORDERS = [("<", ExplicitVRLittleEndian), (">", ExplicitVRBigEndian)]
GROUP_LENGTH = 140
"""Offset of the value of File Meta Information Group Length."""
OF_ENCODING = {"<": [], ">": ["encoding_contradicts_syntax"]}


def bytes_of_pixels(order):
    return PIXELS.astype(f"{order}u2").tobytes()


def state(path, syntax, other):
    """Write another transfer syntax into the file meta information."""
    content = path.read_bytes()
    before, after = (
        b"UI" + struct.pack("<H", len(uid)) + uid for uid in map(padded, (syntax, other))
    )
    assert content.count(before) == 1
    (length,) = struct.unpack_from("<L", content, GROUP_LENGTH)
    group_length = struct.pack("<L", length + len(after) - len(before))
    content = content[:GROUP_LENGTH] + group_length + content[GROUP_LENGTH + 4 :]
    path.write_bytes(content.replace(before, after))


def padded(uid):
    return uid.encode() + b"\0" * (len(uid) % 2)


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


@pytest.mark.parametrize("stated", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
def test_stream_without_fragments_is_read_and_reported(stated, tmp_path):
    pixels = np.zeros((1, 40, 50), np.uint16)
    stream = j2k(pixels[0], reversible=True)
    path = save(tmp_path / "x.dcm", data_set_of(pixels, PixelData=stream + bytes(len(stream) % 2)))
    if stated != ExplicitVRLittleEndian:
        state(path, ExplicitVRLittleEndian, stated)
    image = decode(path, intensity="stored")
    assert np.array_equal(image.frames[..., 0], pixels)
    assert set(codes_of(image)) == {"stream_contradicts_syntax"}
