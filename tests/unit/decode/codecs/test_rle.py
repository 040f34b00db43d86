"""RLE: segments, and headers that a decoder must not follow."""

import struct

import numpy as np
import pytest
from pydicom.uid import RLELossless

from dicom_preprocessing.decode.codecs.rle import decode, decode_with_pylibjpeg
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.errors import DecodeError
from tests.unit.datasets import rle
from tests.unit.decode.examples import BITS, SINGLE_BITS, runner_for


class TestRle:
    def test_missing_segment_is_refused(self, decoded_frames):
        pixels = np.array([[1, 2], [3, 4]], np.uint16)
        with pytest.raises(DecodeError):
            decoded_frames(RLELossless, pixels, rle(b"\1\2\3\4"))

    def test_single_bits(self, decoded_frames):
        packed = np.packbits(BITS.ravel(), bitorder="little").tobytes()
        found = decoded_frames(RLELossless, BITS, rle(packed), rle(packed), **SINGLE_BITS)
        assert found[..., 0].tolist() == [BITS.tolist()] * 2

    def test_32_bits(self, decoded_frames):
        pixels = np.array([[1, 2**31 + 5]], np.uint32)
        planes = [bytes((int(v) >> s) & 255 for v in pixels[0]) for s in (24, 16, 8, 0)]
        assert decoded_frames(RLELossless, pixels, rle(*planes))[0, 0, :, 0].tolist() == [
            1,
            2**31 + 5,
        ]

    def test_rle_segments_that_lead_out_of_the_frame(self, decoded_frames):
        frame = struct.pack("<16L", 2, 64, 10**8, *[0] * 13) + b"\3\1\2\3\4\0"
        with pytest.raises(DecodeError, match="do not follow each other"):
            decoded_frames(RLELossless, np.zeros((2, 2), np.uint16), frame)

    @pytest.mark.parametrize("starts", [(64, 64), (66, 64), (60, 66)])
    def test_rle_segments_that_do_not_ascend(self, decoded_frames, starts):
        frame = struct.pack("<16L", 2, *starts, *[0] * 13) + b"\3\1\2\3\4\0"
        with pytest.raises(DecodeError):
            decoded_frames(RLELossless, np.zeros((2, 2), np.uint16), frame)

    @pytest.mark.parametrize("planar", [0, 1])
    @pytest.mark.parametrize("decoder", [decode, decode_with_pylibjpeg])
    def test_planes_of_colour_whatever_the_header_says(self, decoder, planar):
        runner = runner_for(RLELossless, np.zeros((1, 2, 3), np.uint8), planar_configuration=planar)
        found = decoder(rle(b"\1\2", b"\3\4", b"\5\6"), runner)
        assert found.tolist() == [[[1, 3, 5], [2, 4, 6]]]

    @pytest.mark.parametrize("decoder", [decode, decode_with_pylibjpeg])
    def test_highest_byte_comes_first(self, decoder):
        runner = runner_for(RLELossless, np.zeros((1, 2), np.uint16))
        found = decoder(rle(b"\1\2", b"\3\4"), runner)
        assert found[..., 0].tolist() == [[0x103, 0x204]]

    def test_frame_shorter_than_its_header_is_refused(self):
        runner = runner_for(RLELossless, np.zeros((1, 2), np.uint8))
        with pytest.raises(StreamError, match="shorter than its header"):
            decode(bytes(63), runner)

    def test_number_of_segments_is_that_of_the_header(self):
        runner = runner_for(RLELossless, np.zeros((1, 2), np.uint16))
        with pytest.raises(StreamError, match="has 1 segments, the header says 2"):
            decode(rle(b"\1\2"), runner)
