"""Fragments of frames, and offset tables that are wrong."""

import io
import struct
from itertools import pairwise

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import RLELossless

from dicom_preprocessing.decode.pixel_format import read_pixel_format
from dicom_preprocessing.decode.pixels import stored_frames
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.errors import DecodeError, ShortPixelDataError
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.datasets import compressed, data_set_of, rle, save
from tests.unit.decode.examples import COLUMNS, ROWS, STREAMS, stored_of


class TestFragments:
    @pytest.mark.parametrize("name", ["JPEG lossless", "JPEG-LS", "JPEG 2000", "HTJ2K"])
    def test_frames_of_several_fragments(self, decoded_frames, name):
        syntax, pixels, stream = STREAMS[name]
        found = decoded_frames(syntax, pixels, stream, stream, fragments=3)
        assert np.array_equal(found[..., 0], [pixels, pixels])

    @pytest.mark.parametrize("second", [0, 7, 2**31])
    def test_offset_table_that_is_wrong_is_ignored(self, second):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = data_set_of(np.stack([pixels, pixels]))
        compressed(data_set, [stream, stream])
        data = bytearray(data_set.PixelData)
        struct.pack_into("<L", data, 12, second)
        data_set.PixelData = bytes(data)
        data_set["PixelData"].is_undefined_length = True
        assert np.array_equal(stored_of(data_set, syntax)[..., 0], [pixels, pixels])

    @pytest.mark.parametrize("table", [(580, 1178), (0, 0), (1178, 0)])
    def test_offset_table_that_does_not_ascend_from_the_start_is_ignored(self, table):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = data_set_of(np.stack([pixels, pixels]))
        compressed(data_set, [stream, stream], fragments=2)
        data = bytearray(data_set.PixelData)
        struct.pack_into("<2L", data, 8, *table)
        data_set.PixelData = bytes(data)
        data_set["PixelData"].is_undefined_length = True
        assert np.array_equal(stored_of(data_set, syntax)[..., 0], [pixels, pixels])

    def test_offset_table_of_several_fragments_that_is_wrong_is_ignored(self):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = data_set_of(np.stack([pixels, pixels]))
        compressed(data_set, [stream, stream], fragments=3)
        data = bytearray(data_set.PixelData)
        struct.pack_into("<L", data, 12, 7)
        data_set.PixelData = bytes(data)
        data_set["PixelData"].is_undefined_length = True
        assert np.array_equal(stored_of(data_set, syntax)[..., 0], [pixels, pixels])

    @pytest.mark.parametrize(
        ("offsets", "lengths"), [((0, 7), (10, 10)), ((0, 10**6), (500, 500)), ((0,), (500,))]
    )
    def test_extended_offset_table_that_is_wrong_is_ignored(self, offsets, lengths):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = data_set_of(np.stack([pixels, pixels]))
        compressed(data_set, [stream, stream])
        data_set.ExtendedOffsetTable = struct.pack(f"<{len(offsets)}Q", *offsets)
        data_set.ExtendedOffsetTableLengths = struct.pack(f"<{len(lengths)}Q", *lengths)
        assert np.array_equal(stored_of(data_set, syntax)[..., 0], [pixels, pixels])

    def test_number_of_frames_decides_over_more_fragments(self):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = compressed(data_set_of(pixels[np.newaxis]), [stream, stream])
        assert stored_of(data_set, syntax).shape == (1, ROWS, COLUMNS, 1)

    def test_cut_in_the_header_of_a_fragment(self):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = compressed(data_set_of(pixels[np.newaxis]), [stream])
        data_set.PixelData += b"\xfe\xff\x00\xe0\x05"
        with pytest.raises(DecodeError, match="ends inside the header of a fragment"):
            stored_of(data_set, syntax)

    def test_fewer_fragments_than_frames_are_short(self):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = compressed(data_set_of(np.stack([pixels, pixels])), [stream])
        with pytest.raises(ShortPixelDataError, match="1 fragment cannot hold 2 frames"):
            stored_of(data_set, syntax)

    def test_more_rle_fragments_than_frames_are_left_out(self):
        pixels = np.array([[[1, 2]], [[3, 4]]], np.uint8)
        frames = [rle(bytes(row)) for row in ([1, 2], [3, 4], [5, 6])]
        data_set = compressed(data_set_of(pixels), frames)
        assert np.array_equal(stored_of(data_set, RLELossless)[..., 0], pixels)


KINDS = ["JPEG lossless", "JPEG-LS", "JPEG 2000", "HTJ2K", "RLE"]


def stream_of(kind, number):
    """A stream of rows that differ by frame, and its pixels."""
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 3, 4) + 20 * number
    if kind == "RLE":
        return rle(pixels.tobytes()), pixels
    encode = {
        "JPEG lossless": lambda p: imagecodecs.jpeg8_encode(p, lossless=True),
        "JPEG-LS": imagecodecs.jpegls_encode,
        "JPEG 2000": lambda p: imagecodecs.jpeg2k_encode(p, codecformat="j2k", reversible=True),
        "HTJ2K": imagecodecs.htj2k_encode,
    }[kind]
    return bytes(encode(pixels[0])), pixels


@st.composite
def fragmented(draw):
    """Frames in fragments of any number and size, empty ones among them, and an offset table."""
    kind, n = draw(st.sampled_from(KINDS)), draw(st.integers(1, 4))
    offsets, fragments, place = [], [], 0
    for number in range(n):
        stream = stream_of(kind, number)[0]
        stream += b"\0" * (len(stream) % 2)
        cuts = draw(st.lists(st.integers(64, max(64, len(stream) - 1)), max_size=3))
        parts = [stream[a:b] for a, b in pairwise([0, *sorted(cuts), len(stream)])]
        parts += [b""] * draw(st.integers(0, 1))
        offsets.append(place)
        fragments += parts
        place += sum(8 + len(part) for part in parts)
    table = draw(st.sampled_from(["right", "none", "wrong"]))
    if table == "wrong":
        offsets = [offset + draw(st.integers(1, 30)) for offset in offsets]
    return kind, n, fragments, b"" if table == "none" else struct.pack(f"<{n}L", *offsets)


@given(fragmented(), st.integers(0, 2))
def test_frames_are_found_in_any_fragments(made, excess):
    kind, n, fragments, table = made
    stated = max(1, n - excess)
    pixels = np.concatenate([stream_of(kind, number)[1] for number in range(stated)])
    items = b"".join(ITEM + struct.pack("<L", len(one)) + one for one in [table, *fragments])
    data_set = data_set_of(pixels, PixelData=items)
    syntax = {"RLE": RLELossless} | {name: STREAMS[name][0] for name in KINDS[:-1]}
    found, warnings = frames_and_codes(data_set, syntax[kind])
    assert np.array_equal(found[..., 0], pixels)
    assert ("excess_frames" in warnings) == (n > stated)


ITEM = b"\xfe\xff\x00\xe0"


def frames_and_codes(data_set, syntax):
    """Stored frames, and the codes of warnings."""
    buffer = io.BytesIO()
    data_set["PixelData"].is_undefined_length = True
    save(buffer, data_set, syntax)
    description, pixel_data = open_image(memoryview(buffer.getvalue()))
    warnings = ImageWarnings(description.warnings)
    pixel_format = read_pixel_format(description, pixel_data.keyword, warnings)
    frames = np.asarray(stored_frames(description, pixel_format, pixel_data, warnings))
    return frames, [warning.code for warning in warnings]
