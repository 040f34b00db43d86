"""Deflated frames."""

import zlib

import numpy as np
import pytest

from dicom_preprocessing.decode.codecs.deflated import decode
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.dicom.transfer_syntaxes import DEFLATED_IMAGE_FRAME
from dicom_preprocessing.errors import DecodeError
from tests.unit.decode.examples import BITS, GREY_12, SINGLE_BITS, runner_for


class TestDeflatedFrames:
    @staticmethod
    def deflated(data):
        deflater = zlib.compressobj(wbits=-15)
        return deflater.compress(data) + deflater.flush()

    def test_give_their_pixels(self, decoded_frames):
        packed = np.packbits(BITS.ravel(), bitorder="little").tobytes()
        found = decoded_frames(DEFLATED_IMAGE_FRAME, BITS, self.deflated(packed), **SINGLE_BITS)
        assert np.array_equal(found[0, ..., 0], BITS)

    def test_of_16_bits(self, decoded_frames):
        stream = self.deflated(GREY_12.tobytes())
        found = decoded_frames(DEFLATED_IMAGE_FRAME, GREY_12, stream)
        assert np.array_equal(found[0, ..., 0], GREY_12)

    @pytest.mark.parametrize("data", [b"\1", b"\1\2\3\4"])
    def test_of_another_length_are_refused(self, decoded_frames, data):
        with pytest.raises(DecodeError, match="the header says 2"):
            decoded_frames(DEFLATED_IMAGE_FRAME, BITS, self.deflated(data), **SINGLE_BITS)

    def test_that_are_cut_are_refused(self, decoded_frames):
        stream = self.deflated(GREY_12.tobytes())
        with pytest.raises(DecodeError):
            decoded_frames(DEFLATED_IMAGE_FRAME, GREY_12, stream[: len(stream) // 2])

    def test_byte_of_padding_is_left_out(self, decoded_frames):
        packed = np.packbits(BITS.ravel(), bitorder="little").tobytes()
        stream = self.deflated(packed + b"\0")
        found = decoded_frames(DEFLATED_IMAGE_FRAME, BITS, stream, **SINGLE_BITS)
        assert np.array_equal(found[0, ..., 0], BITS)

    def test_that_inflate_to_more_are_not_inflated(self):
        runner = runner_for(DEFLATED_IMAGE_FRAME, BITS)
        with pytest.raises(StreamError, match="holds 11 bytes, the header says 9"):
            decode(self.deflated(bytes(10**7)), runner)

    def test_planes_by_the_header(self):
        runner = runner_for(
            DEFLATED_IMAGE_FRAME, np.zeros((1, 2, 3), np.uint8), planar_configuration=1
        )
        found = decode(self.deflated(b"\1\2\3\4\5\6"), runner)
        assert found.tolist() == [[[1, 3, 5], [2, 4, 6]]]
