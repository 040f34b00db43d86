"""Frames of uncompressed pixel data: bits that start inside a byte, packed samples, big endian."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.decode.native import NativeReader, find_layout
from dicom_preprocessing.decode.pixel_format import PixelFormat
from dicom_preprocessing.dicom.pixel_data import ByteRange, PixelData
from dicom_preprocessing.dicom.sources import MemorySource

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


def format_of(pixels, bits, *, photometric="MONOCHROME2", signed=False, keyword="PixelData"):
    """The format of (frames, rows, columns, samples)."""
    frames, rows, columns, samples = pixels.shape
    return PixelFormat(
        keyword, rows, columns, samples, frames, photometric, bits, bits, bits - 1, signed
    )


def frames_of(content, pixel_format, *, vr="OW", little_endian=True, planar=False):
    """All frames, from pixel data that does not start at the first byte of its source."""
    where = ByteRange(3, len(content))
    source = MemorySource(b"xyz" + content)
    data = PixelData(pixel_format.keyword, vr, source, where, where.end)
    layout, _ = find_layout(pixel_format, data, is_little_endian=little_endian)
    reader = NativeReader(
        data, pixel_format, layout, is_little_endian=little_endian, is_planar=planar
    )
    return np.stack([reader.read_frame(i) for i in range(pixel_format.number_of_frames)])


def swap_words(content):
    """Bytes in the order of OW in big endian."""
    padded = content + b"\0" * (len(content) % 2)
    return np.frombuffer(padded, "<u2").astype(">u2").tobytes()


def random_pixels(seed, shape, high, dtype):
    generator = np.random.default_rng(seed)
    low = -high - 1 if np.dtype(dtype).kind == "i" else 0
    return generator.integers(low, high + 1, (*shape, 1)).astype(dtype)


BIG_ENDIAN = st.sampled_from([("OW", True), ("OB", True), ("OW", False), ("OB", False)])


@given(st.integers(0, 99), SHAPES, BIG_ENDIAN)
def test_single_bits_start_inside_a_byte(seed, shape, encoding):
    vr, little_endian = encoding
    pixels = random_pixels(seed, shape, 1, np.uint8)
    content = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    if not little_endian and vr == "OW":
        content = swap_words(content)
    found = frames_of(content, format_of(pixels, 1), vr=vr, little_endian=little_endian)
    assert np.array_equal(found, pixels)


@given(st.integers(0, 99), SHAPES, BIG_ENDIAN)
def test_bytes_in_words_are_swapped_in_big_endian(seed, shape, encoding):
    vr, little_endian = encoding
    pixels = random_pixels(seed, shape, 255, np.uint8)
    content = pixels.tobytes()
    if not little_endian and vr == "OW":
        content = swap_words(content)
    found = frames_of(content, format_of(pixels, 8), vr=vr, little_endian=little_endian)
    assert np.array_equal(found, pixels)


def packed(values):
    """Samples of 12 bits, two in three bytes."""
    padded = np.append(values, [0] * (len(values) % 2)).astype(np.uint32)
    first, second = padded[::2] & 0xFFF, padded[1::2] & 0xFFF
    three = np.stack([first & 0xFF, first >> 8 | (second & 0xF) << 4, second >> 4], axis=1)
    return three.astype(np.uint8).tobytes()[: (len(values) * 3 + 1) // 2]


@given(st.integers(0, 99), SHAPES)
def test_twelve_bits_are_packed_without_gaps(seed, shape):
    pixels = random_pixels(seed, shape, 4095, np.uint16)
    assert np.array_equal(frames_of(packed(pixels.ravel()), format_of(pixels, 12)), pixels)


@pytest.mark.parametrize("little_endian", [True, False])
@pytest.mark.parametrize("dtype", ["u2", "i2", "u4", "i4", "f4", "f8"])
def test_larger_samples_are_in_the_order_of_the_syntax(dtype, little_endian):
    keyword = {"f4": "FloatPixelData", "f8": "DoubleFloatPixelData"}.get(dtype, "PixelData")
    pixels = np.arange(24).reshape(2, 3, 4, 1).astype(dtype) * 100 - (dtype[0] != "u") * 300
    bits, signed = pixels.dtype.itemsize * 8, dtype.startswith("i")
    content = pixels.astype(pixels.dtype.newbyteorder("<" if little_endian else ">")).tobytes()
    pixel_format = format_of(pixels, bits, signed=signed, keyword=keyword)
    found = frames_of(content, pixel_format, little_endian=little_endian)
    assert (found.dtype, found.tolist()) == (pixels.dtype, pixels.tolist())


@pytest.mark.parametrize("planar", [True, False])
def test_planes_become_pixels(planar):
    pixels = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    stored = pixels.transpose(0, 3, 1, 2) if planar else pixels
    pixel_format = format_of(pixels, 8, photometric="RGB")
    assert np.array_equal(frames_of(stored.tobytes(), pixel_format, planar=planar), pixels)


def test_chroma_is_that_of_two_pixels():
    pixel_format = format_of(np.zeros((2, 1, 4, 3)), 8, photometric="YBR_FULL_422")
    found = frames_of(bytes(range(16)), pixel_format)
    assert found[1, 0].tolist() == [[8, 10, 11], [9, 10, 11], [12, 14, 15], [13, 14, 15]]


def bits_of(frames):
    return np.packbits(frames.ravel(), bitorder="little").tobytes()


LAYOUTS = [(1, bits_of), (12, lambda frames: packed(frames.ravel()))]


@pytest.mark.parametrize(("bits", "pack"), LAYOUTS)
@pytest.mark.parametrize("little_endian", [True, False])
def test_set_bits_between_frames_are_those_of_more_packed_frames(bits, pack, little_endian):
    frames = 5 if bits == 1 else 28
    size = (5, 5) if bits == 1 else (3, 3)
    pixels = np.full((frames, *size, 1), (1 << bits) - 1, np.uint16)
    stated = -(-frames * size[0] * size[1] * bits // 8) // (-(-size[0] * size[1] * bits // 8))
    content = pack(pixels) if little_endian else swap_words(pack(pixels))
    content += b"\0" * (len(content) % 2)
    assert stated == frames - 1  # whose bytes are as many, if each frame starts at one
    found = frames_of(content, format_of(pixels[:stated], bits), little_endian=little_endian)
    assert np.array_equal(found, pixels[:stated])


@pytest.mark.parametrize(("bits", "pack"), LAYOUTS)
@pytest.mark.parametrize("little_endian", [True, False])
@pytest.mark.parametrize("value", [0, 1])
def test_set_bits_behind_packed_frames_are_those_of_frames_apart(bits, pack, little_endian, value):
    pixels = np.zeros((2, 3, 5, 1), np.uint16)
    pixels[:, 0] = 1
    pixels[:, -1] = value * ((1 << bits) - 1)
    packed_frames, apart = pack(pixels), b"".join(map(pack, pixels))
    for content in (packed_frames, apart) if value else (packed_frames,):
        even = content + b"\0" * (len(content) % 2)
        stored = even if little_endian else swap_words(even)
        found = frames_of(stored, format_of(pixels, bits), little_endian=little_endian)
        assert np.array_equal(found, pixels)
