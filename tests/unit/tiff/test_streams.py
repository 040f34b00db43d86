"""Sizes that strips announce, which a decoder would allocate."""

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.tiff.numbers import Compression
from dicom_preprocessing.tiff.reader import read_frames
from dicom_preprocessing.tiff.streams import SIZE_READERS, read_size
from tests.unit.tiffs import single_strip

IMAGE = np.arange(40 * 30, dtype=np.uint8).reshape(40, 30)


COLOURED = np.repeat(IMAGE[..., None], 3, -1)


@pytest.mark.parametrize(
    ("compression", "encode", "image"),
    [
        (Compression.JPEG, imagecodecs.jpeg8_encode, IMAGE),
        (Compression.JPEG_2000, imagecodecs.jpeg2k_encode, IMAGE),
        (Compression.PNG, imagecodecs.png_encode, IMAGE),
        (Compression.WEBP, imagecodecs.webp_encode, COLOURED),
        (Compression.WEBP, lambda image: imagecodecs.webp_encode(image, lossless=True), COLOURED),
    ],
)
def test_size_of_a_sound_stream(compression, encode, image):
    assert read_size(encode(image), compression)[:2] == (40, 30)


def test_size_of_a_webp_with_a_header_of_extensions():
    chunk = b"VP8X" + struct.pack("<LL", 10, 0) + bytes([29, 0, 0, 39, 0, 0])
    stream = b"RIFF" + struct.pack("<L", len(chunk) + 4) + b"WEBP" + chunk
    assert read_size(stream, Compression.WEBP)[:2] == (40, 30)


@given(
    st.sampled_from(list(SIZE_READERS)),
    st.binary(max_size=60),
    st.sampled_from([b"", b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x89PNG\r\n\x1a\n", b"RIFF1234WEBP"]),
)
def test_any_bytes_have_a_size_or_none(compression, content, start):
    size = read_size(start + content, compression)
    assert size is None or min(size) >= 0


def test_strip_that_announces_too_much_is_refused(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, IMAGE, compression="jpeg", photometric="minisblack")
    content = bytearray(path.read_bytes())
    frame = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc1"))
    content[frame + 5 : frame + 9] = b"\xf0\x00\xf0\x00"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"a\.tiff: .* a strip of 30 x 40 pixels has a stream of"):
        read_frames(path)[0]


@pytest.mark.parametrize(
    ("compression", "encode"),
    [
        (Compression.JPEG_2000, imagecodecs.jpeg2k_encode),
        (Compression.PNG, imagecodecs.png_encode),
        (Compression.JPEG, imagecodecs.jpeg8_encode),
    ],
)
def test_strip_of_another_shape_is_refused(tmp_path, compression, encode):
    path = tmp_path / "a.tiff"
    # tifffile would take the first rows of the first, and the second for 30 x 40.
    for shown in (np.zeros((400, 30), np.uint8), IMAGE.T):
        path.write_bytes(single_strip(30, 40, encode(np.ascontiguousarray(shown)), compression))
        with pytest.raises(OutputError, match="a strip of 30 x 40 pixels has a stream of"):
            read_frames(path)[0]


@pytest.mark.parametrize("number", [22610, 34887, 34934, 50002, 52546, 65000])
def test_compression_whose_size_is_not_read_is_refused(tmp_path, number):
    (tmp_path / "a.tiff").write_bytes(single_strip(30, 40, bytes(1200), number))
    with pytest.raises(OutputError, match=f"its compression {number} is not supported"):
        read_frames(tmp_path / "a.tiff")
