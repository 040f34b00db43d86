"""Fragments of frames, and offset tables that are wrong."""

import struct

import numpy as np
import pytest
from pydicom.uid import RLELossless

from dicom_preprocessing.errors import DecodeError, ShortPixelDataError
from tests.unit.datasets import compressed, data_set_of, rle
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
        with pytest.raises(ShortPixelDataError, match="1 fragments cannot hold 2 frames"):
            stored_of(data_set, syntax)

    def test_more_rle_fragments_than_frames_are_left_out(self):
        pixels = np.array([[[1, 2]], [[3, 4]]], np.uint8)
        frames = [rle(bytes(row)) for row in ([1, 2], [3, 4], [5, 6])]
        data_set = compressed(data_set_of(pixels), frames)
        assert np.array_equal(stored_of(data_set, RLELossless)[..., 0], pixels)
