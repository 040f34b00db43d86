"""Deflated frames."""

import zlib

import numpy as np
import pytest

from dicom_preprocessing.decode.codecs.deflated import decode
from dicom_preprocessing.decode.codecs.runner import warnings_of
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

    @pytest.mark.parametrize("bits", [15, 31])
    def test_in_a_wrapper_are_read_with_a_warning(self, bits):
        runner = runner_for(DEFLATED_IMAGE_FRAME, GREY_12)
        stream = zlib.compress(GREY_12.tobytes(), wbits=bits)
        assert np.array_equal(decode(stream, runner)[..., 0], GREY_12)
        assert codes_of(runner) == ["stream_contradicts_syntax"]

    def test_in_members_of_gzip_are_joined(self):
        content = GREY_12.tobytes()
        parts = (b"", content[:100], b"", content[100:], b"")
        stream = b"".join(zlib.compress(part, wbits=31) for part in parts)
        runner = runner_for(DEFLATED_IMAGE_FRAME, GREY_12)
        assert np.array_equal(decode(stream, runner)[..., 0], GREY_12)
        assert codes_of(runner) == ["stream_contradicts_syntax"]

    @pytest.mark.parametrize("bits", [-15, 15, 31])
    @pytest.mark.parametrize("level", [0, 9])
    def test_another_frame_behind_is_left_out(self, bits, level):
        runner = runner_for(DEFLATED_IMAGE_FRAME, GREY_12)
        stream = zlib.compress(GREY_12.tobytes(), level, bits)
        other = zlib.compress(GREY_12[::-1].tobytes(), level, bits)
        for padding in (b"", b"\0"):
            found = decode(stream + padding + other, runner)
            assert np.array_equal(found[..., 0], GREY_12)
        assert "excess_frames" in codes_of(runner)
        assert "trailing_bytes" not in codes_of(runner)

    def test_that_are_not_deflated_are_called_so(self, decoded_frames):
        with pytest.raises(DecodeError, match="not deflated"):
            decoded_frames(DEFLATED_IMAGE_FRAME, GREY_12, GREY_12.tobytes())


def codes_of(runner):
    return [warning.code for warning in warnings_of(runner)]
