"""Pixel data of another length, layout or kind than its header says: decoded, with a warning."""

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from dicom_preprocessing.decode.stage import decode
from dicom_preprocessing.errors import DecodeError
from tests.unit.datasets import compressed, data_set_of, rle, save
from tests.unit.decode.examples import BITS, SINGLE_BITS, j2k, jpeg

NOISE = np.random.default_rng(3).integers(0, 256, (1, 16, 16)).astype(np.uint8)
NOISE_16 = np.random.default_rng(4).integers(0, 4096, (2, 5, 7)).astype(np.uint16)
STREAMS = {
    "JPEG 2000": j2k(NOISE[0], reversible=True),
    "JPEG lossless": jpeg(NOISE[0], lossless=True, bitspersample=8),
    "JPEG-LS": bytes(imagecodecs.jpegls_encode(NOISE[0])),
    "JPEG XL": bytes(imagecodecs.jpegxl_encode(NOISE[0], lossless=True)),
}
NATIVE = pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])


def noise_file(value):
    return data_set_of(NOISE, PixelData=value + b"\0" * (len(value) % 2))


@pytest.fixture
def decoded(tmp_path):
    """Write a data set and decode the file to stored values."""

    def decoded(data_set, syntax=ExplicitVRLittleEndian, **settings):
        path = save(tmp_path / "image", data_set, syntax)
        return decode(path, **{"intensity": "stored"} | settings)

    return decoded


def codes_of(image):
    return [warning.code for warning in image.source_info.warnings]


def pixels_of(image):
    return image.frames[..., 0]


@NATIVE
@pytest.mark.parametrize("name", STREAMS)
def test_stream_longer_than_native_pixels_is_a_stream(decoded, name, syntax):
    assert len(STREAMS[name]) > NOISE.size
    image = decoded(noise_file(STREAMS[name]), syntax)
    assert np.array_equal(pixels_of(image), NOISE)
    assert codes_of(image) == ["stream_contradicts_syntax"]


@NATIVE
@pytest.mark.parametrize("name", STREAMS)
def test_items_of_known_length_that_are_longer_than_native_pixels_are_items(decoded, name, syntax):
    image = decoded(noise_file(encapsulate([STREAMS[name]])), syntax)
    assert np.array_equal(pixels_of(image), NOISE)
    assert codes_of(image) == ["stream_contradicts_syntax", "no_sequence_delimiter"]


def test_frame_of_rle_without_fragments_is_recognised_by_its_segments(decoded):
    frame = rle(NOISE[0, :4].tobytes(), NOISE[0, 4:8].tobytes())
    pixels = NOISE[0, :4].astype(np.uint16) << 8 | NOISE[0, 4:8]
    data_set = data_set_of(pixels[np.newaxis], PixelData=frame + b"\0" * (len(frame) % 2))
    image = decoded(data_set)
    assert np.array_equal(pixels_of(image)[0], pixels)
    assert codes_of(image) == ["stream_contradicts_syntax"]


def test_several_streams_without_fragments_are_no_image(decoded):
    pixels = NOISE.repeat(2, axis=0)
    with pytest.raises(DecodeError, match="streams without fragments"):
        decoded(data_set_of(pixels, PixelData=STREAMS["JPEG-LS"] * 2))


@pytest.mark.parametrize("tag", [b"\xfe\xff\x00\xe0", b"\xff\xd8\xff\xe0"])
def test_native_pixels_that_look_like_items_or_a_stream_are_native(decoded, tag):
    pixels = np.frombuffer(tag + bytes(12), np.uint8).reshape(1, 4, 4)
    image = decoded(data_set_of(pixels))
    assert np.array_equal(pixels_of(image), pixels)
    assert codes_of(image) == []


@pytest.mark.parametrize("changes", [{"Rows": 15}, {"Columns": 15}])
def test_bytes_that_no_frame_needs_are_a_warning(decoded, changes):
    image = decoded(data_set_of(NOISE, **changes))
    assert codes_of(image) == ["trailing_bytes"]


def test_a_byte_of_padding_is_none(decoded):
    assert codes_of(decoded(data_set_of(NOISE[:, :15, :15]))) == []


def test_longer_segments_of_rle_are_a_warning(decoded):
    data_set = compressed(data_set_of(np.array([[[1, 2]]], np.uint8)), [rle(b"\1\2\3\4")])
    image = decoded(data_set, RLELossless)
    assert pixels_of(image).tolist() == [[[1, 2]]]
    assert codes_of(image) == ["trailing_bytes"]


def test_pixels_without_fragments_have_the_byte_order_of_the_data_set(tmp_path):
    pixels, path = NOISE_16[:1], tmp_path / "image"
    big, rle_syntax = ExplicitVRBigEndian.encode(), RLELossless.encode()
    save(path, data_set_of(pixels, PixelData=pixels.astype(">u2").tobytes()), ExplicitVRBigEndian)
    path.write_bytes(path.read_bytes().replace(big, rle_syntax, 1))
    image = decode(path, intensity="stored")
    assert np.array_equal(pixels_of(image), pixels)
    assert codes_of(image) == ["encoding_contradicts_syntax", "stream_contradicts_syntax"]


class TestBits:
    def test_samples_of_12_bits_in_words(self, decoded):
        data_set = data_set_of(NOISE_16, bits_stored=12, BitsAllocated=12)
        image = decoded(data_set)
        assert np.array_equal(pixels_of(image), NOISE_16)
        assert codes_of(image) == ["bits_contradict_pixels"]

    def test_more_frames_of_packed_samples_are_no_words(self, decoded):
        # Four frames of 12 bits are as long as three of 16 bits.
        pixels = np.full((3, 2, 4), 0x0ABC, np.uint16)
        packed = bytes([0xBC, 0xCA, 0xAB]) * 16
        data_set = data_set_of(pixels, bits_stored=12, BitsAllocated=12, PixelData=packed)
        image = decoded(data_set)
        assert np.array_equal(pixels_of(image), pixels)
        assert codes_of(image) == ["excess_frames"]

    def test_single_bits_in_bytes(self, decoded):
        pixels = BITS[np.newaxis].repeat(3, axis=0)
        image = decoded(data_set_of(pixels, **SINGLE_BITS))
        assert np.array_equal(pixels_of(image), pixels)
        assert codes_of(image) == ["bits_contradict_pixels"]

    def test_frames_of_single_bits_that_start_at_bytes(self, decoded):
        pixels = np.stack([BITS, 1 - BITS] * 8)
        frames = b"".join(np.packbits(f.ravel(), bitorder="little").tobytes() for f in pixels)
        image = decoded(data_set_of(pixels, PixelData=frames, **SINGLE_BITS))
        assert np.array_equal(pixels_of(image), pixels)
        assert codes_of(image) == ["bits_contradict_pixels"]

    @pytest.mark.parametrize(("kind", "stated"), [("f4", 64), ("f8", 32)])
    def test_floating_point_samples_have_the_bits_of_their_element(self, decoded, kind, stated):
        pixels = np.array([[[0.25, 0.5], [0.75, 1.0]]], kind)
        image = decoded(data_set_of(pixels, BitsAllocated=stated), intensity="stored")
        assert np.array_equal(pixels_of(image), pixels)
        assert codes_of(image) == ["bits_contradict_pixels"]

    @pytest.mark.parametrize(
        ("values", "high_bit", "expected", "codes"),
        [
            ([0x0FF1, 0x7FF0], 15, [0x0FF, 0x7FF], ["bits_below_stored"]),
            ([0x0FF0, 0x7FF0], 15, [0x0FF, 0x7FF], []),
            ([0x0FF0, 0x7FF0], 13, [0x3FC, 0xFFC], ["values_above_bits_stored"]),
        ],
        ids=["below", "none", "above"],
    )
    def test_bits_that_high_bit_leaves_out_are_a_warning(
        self, decoded, values, high_bit, expected, codes
    ):
        pixels = np.array([[values]], np.uint16)
        image = decoded(data_set_of(pixels, bits_stored=12, HighBit=high_bit))
        assert pixels_of(image).tolist() == [[expected]]
        assert codes_of(image) == codes


def test_fragments_without_a_table_are_frames(decoded):
    stream = j2k(NOISE[0], reversible=True)
    data_set = compressed(data_set_of(NOISE.repeat(2, axis=0)), [stream] * 2)
    table_bytes = 8 + 2 * 4
    data_set.PixelData = data_set.PixelData[table_bytes:]
    image = decoded(data_set, JPEG2000Lossless)
    assert np.array_equal(pixels_of(image), NOISE.repeat(2, axis=0))
    assert codes_of(image) == ["no_offset_table"]
