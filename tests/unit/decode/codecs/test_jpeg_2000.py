"""JPEG 2000 and HTJ2K: colour, the choice of the codec, and what OpenJPH hides."""

import sys

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import HTJ2K, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, JPEG2000Lossless

from dicom_preprocessing.decode.codecs import jpeg_2000
from dicom_preprocessing.decode.codecs.jpeg_2000 import decode, decode_with_pylibjpeg
from dicom_preprocessing.decode.colour import ybr_to_rgb
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.errors import DecodeError
from dicom_preprocessing.imaging.frames import frame_threads
from tests.unit.decode.examples import COLOUR, COLUMNS, GREY_12, ROWS, STREAMS, X, j2k, runner_for


class TestHostileStreams:
    @pytest.mark.parametrize("at", range(200, 600, 37))
    def test_damaged_htj2k_is_an_error_or_an_image(self, decoded_frames, at):
        syntax, pixels, stream = STREAMS["HTJ2K"]
        damaged = bytearray(stream)
        damaged[at] ^= 0x84
        try:
            found = decoded_frames(syntax, pixels, bytes(damaged))
        except DecodeError:
            return
        assert found.any()

    @pytest.mark.parametrize("name", ["JPEG 2000", "HTJ2K"])
    @pytest.mark.parametrize("at", [8, 12, 16, 20, 32, 36])
    def test_sizes_beyond_the_header_are_not_decoded(self, decoded_frames, name, at):
        syntax, pixels, stream = STREAMS[name]
        damaged = bytearray(stream)
        damaged[at] = 0x7F
        with pytest.raises(DecodeError):
            decoded_frames(syntax, pixels, bytes(damaged))


class TestHeaderAndStream:
    def test_boxed_stream_decodes(self, decoded_frames):
        boxed = bytes(imagecodecs.jpeg2k_encode(GREY_12, codecformat="JP2", reversible=True))
        assert np.array_equal(decoded_frames(JPEG2000Lossless, GREY_12, boxed)[0, ..., 0], GREY_12)

    def test_component_transform_means_rgb_whatever_the_header_says(self, decoded_frames):
        stream = j2k(COLOUR, reversible=True, mct=True)
        for stated in ("RGB", "YBR_RCT", "YBR_FULL"):
            found = decoded_frames(
                JPEG2000Lossless, COLOUR, stream, PhotometricInterpretation=stated
            )
            assert np.array_equal(found[0], COLOUR)

    def test_without_component_transform_the_header_decides(self, decoded_frames):
        ybr = np.full((ROWS, COLUMNS, 3), (81, 90, 240), np.uint8)
        stream = j2k(ybr, reversible=True, mct=False)
        found = decoded_frames(JPEG2000Lossless, ybr, stream, PhotometricInterpretation="YBR_FULL")
        assert found[0, 0, 0].tolist() == [238, 14, 14]


class TestRunner:
    @pytest.mark.parametrize(
        ("transformed", "stated", "is_converted"),
        [(True, "YBR_RCT", False), (True, "YBR_FULL", False), (False, "YBR_FULL", True)],
    )
    @pytest.mark.parametrize("decoder", [decode, decode_with_pylibjpeg])
    def test_is_told_that_colour_is_rgb(self, decoder, transformed, stated, is_converted):
        runner = runner_for(JPEG2000Lossless, COLOUR, photometric_interpretation=stated)
        found = decoder(j2k(COLOUR, reversible=True, mct=transformed), runner)
        assert runner.photometric_interpretation == "RGB"
        assert np.array_equal(found, ybr_to_rgb(COLOUR, 8) if is_converted else COLOUR)

    def test_is_not_told_of_grey(self):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        runner = runner_for(syntax, pixels, photometric_interpretation="MONOCHROME1")
        decode(stream, runner)
        assert runner.photometric_interpretation == "MONOCHROME1"


class TestCodec:
    def test_overshoot_of_lossy_htj2k_is_clipped(self, decoded_frames):
        step = np.where(X < COLUMNS // 2, 0, 255).astype(np.uint8)
        stream = bytes(imagecodecs.htj2k_encode(step, reversible=False, level=0.02))
        found = decoded_frames(HTJ2K, step, stream)[0, ..., 0]
        assert np.abs(found.astype(int) - step).max() < 128

    @pytest.mark.parametrize("name", ["JPEG 2000", "HTJ2K"])
    def test_second_decoder_gives_the_same(self, name):
        syntax, pixels, stream = STREAMS[name]
        found = decode_with_pylibjpeg(stream, runner_for(syntax, pixels))
        assert np.array_equal(found[..., 0], pixels)

    def test_second_decoder_leaves_bits_allocated_as_they_were(self):
        wide = STREAMS["JPEG 2000"][1].astype(np.uint32)
        runner = runner_for(JPEG2000Lossless, wide)
        found = decode_with_pylibjpeg(STREAMS["JPEG 2000"][2], runner)
        assert (found.dtype, runner.bits_allocated) == (np.uint32, 32)
        assert np.array_equal(found[..., 0], wide)

    @pytest.fixture
    def asked(self, monkeypatch):
        """The names of the codecs that were asked."""
        names = []
        for name in ("jpeg2k_decode", "htj2k_decode"):
            codec = getattr(imagecodecs, name)

            def ask(*args, name=name, codec=codec, **options):
                names.append(name)
                return codec(*args, **options)

            monkeypatch.setattr(imagecodecs, name, ask)
        return names

    @pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL])
    def test_reversible_htj2k_is_for_openjph(self, asked, syntax):
        _, pixels, stream = STREAMS["HTJ2K"]
        decode(stream, runner_for(syntax, pixels))
        assert asked == ["htj2k_decode"]

    def test_reversible_stream_of_the_general_syntax_is_for_openjpeg(self, asked):
        _, pixels, stream = STREAMS["HTJ2K"]
        decode(stream, runner_for(HTJ2K, pixels))
        assert asked == ["jpeg2k_decode"]

    def test_irreversible_stream_of_a_reversible_syntax_is_for_openjpeg(self, asked):
        _, pixels, _ = STREAMS["HTJ2K"]
        stream = bytes(imagecodecs.htj2k_encode(pixels, reversible=False, level=0.001))
        decode(stream, runner_for(HTJ2KLossless, pixels))
        assert asked == ["jpeg2k_decode"]

    def test_reduced_resolution_is_for_openjpeg(self, asked):
        _, pixels, stream = STREAMS["HTJ2K"]
        decode(stream, runner_for(HTJ2KLossless, pixels, resolution_level=1))
        assert asked == ["jpeg2k_decode"]

    @pytest.mark.parametrize("precision", [9, 12, 13, 16])
    def test_signed_stream_is_for_openjph(self, asked, precision):
        values = np.random.default_rng(precision).integers(-(1 << 15), 1 << 15, (65, 130))
        pixels = values.astype(np.int16) >> 16 - precision
        stream = bytearray(imagecodecs.htj2k_encode(pixels, reversible=True))
        stream[42] = 0x80 | precision - 1  # Ssiz
        found = decode(bytes(stream), runner_for(HTJ2KLossless, pixels))
        assert asked == ["htj2k_decode"]
        assert np.array_equal(found[..., 0], pixels)


class TestThreads:
    @pytest.fixture
    def pixels(self):
        """A frame for which OpenJPEG can use three threads."""
        steps = np.random.default_rng(4).integers(-20, 21, (1024, 900))
        return (np.cumsum(steps, axis=1).clip(-1000, 1000) + 1000).astype(np.uint16)

    @pytest.mark.parametrize("reversible", [True, False])
    def test_give_the_same_pixels(self, pixels, reversible):
        stream = j2k(pixels, reversible=reversible, level=0 if reversible else 45)
        one = decode(stream, runner_for(JPEG2000, pixels))
        with frame_threads(3):
            assert np.array_equal(decode(stream, runner_for(JPEG2000, pixels)), one)

    @pytest.mark.parametrize(("threads", "expected"), [(1, 1), (2, 2), (8, 3)])
    def test_are_as_many_as_the_frame_has_and_can_use(self, monkeypatch, pixels, threads, expected):
        asked, codec = [], imagecodecs.jpeg2k_decode

        def ask(stream, *, numthreads):
            asked.append(numthreads)
            return codec(stream, numthreads=numthreads)

        monkeypatch.setattr(imagecodecs, "jpeg2k_decode", ask)
        with frame_threads(threads):
            decode(j2k(pixels, reversible=True), runner_for(JPEG2000Lossless, pixels))
            decode(STREAMS["JPEG 2000"][2], runner_for(JPEG2000Lossless, STREAMS["JPEG 2000"][1]))
        assert asked == [expected, 1]


class _Raises:
    def __del__(self):
        raise ValueError("told to nobody")


class TestErrorsThatPythonIgnores:
    def test_of_the_decoder_are_errors(self, monkeypatch):
        def blank(codestream):
            _Raises()
            return np.zeros((2, 2), np.uint8)

        monkeypatch.setattr(imagecodecs, "htj2k_decode", blank)
        with pytest.raises(StreamError, match="damaged: told to nobody"):
            jpeg_2000._decode_htj2k(b"")

    def test_are_forgotten_by_the_next_frame(self, monkeypatch):
        monkeypatch.setattr(imagecodecs, "htj2k_decode", lambda _: _Raises() and None)
        with pytest.raises(StreamError):
            jpeg_2000._decode_htj2k(b"")
        monkeypatch.setattr(imagecodecs, "htj2k_decode", lambda _: np.ones(1))
        assert jpeg_2000._decode_htj2k(b"").tolist() == [1]

    def test_hook_of_the_interpreter_is_as_before_a_frame(self):
        before = sys.unraisablehook
        _, pixels, stream = STREAMS["HTJ2K"]
        decode(stream, runner_for(HTJ2KLossless, pixels))
        assert sys.unraisablehook is before
