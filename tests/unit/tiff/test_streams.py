"""Pixels that a strip announces, which a decoder would allocate."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.tiff.reader import read_frames
from dicom_preprocessing.tiff.streams import count_pixels

IMAGE = np.arange(40 * 30, dtype=np.uint8).reshape(40, 30)


@pytest.mark.parametrize(
    "encode", [imagecodecs.jpeg8_encode, imagecodecs.jpeg2k_encode, imagecodecs.png_encode]
)
def test_pixels_of_a_sound_stream(encode):
    assert count_pixels(encode(IMAGE)) == IMAGE.size


@given(st.binary(max_size=60), st.sampled_from([b"", b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x89PNG"]))
def test_any_bytes_have_a_number_of_pixels(content, start):
    assert count_pixels(start + content) >= 0


def test_strip_that_announces_too_much_is_refused(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, IMAGE, compression="jpeg", photometric="minisblack")
    content = bytearray(path.read_bytes())
    frame = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc1"))
    content[frame + 5 : frame + 9] = b"\xf0\x00\xf0\x00"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"a\.tiff: .* a page of 30 x 40 has a strip or tile of"):
        read_frames(path)[0]
