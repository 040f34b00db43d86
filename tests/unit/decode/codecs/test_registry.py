"""Every decoder: whole streams, cut ones, and others; and which decoders are tried."""

import zlib

import imagecodecs
import numpy as np
import openjpeg
import pytest
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from dicom_preprocessing.decode.codecs import registry
from dicom_preprocessing.decode.codecs.registry import FAMILIES, decode_stream, plugins_of
from dicom_preprocessing.decode.streams.info import END, StreamError
from dicom_preprocessing.dicom.transfer_syntaxes import ENCAPSULATED, JPEG_2000, RETIRED_JPEG
from dicom_preprocessing.errors import DecodeError, InternalError
from tests.unit.decode.examples import ENDED, LOSSLESS, STREAMS


class TestWhole:
    @pytest.mark.parametrize("name", LOSSLESS)
    def test_lossless_stream_gives_its_pixels(self, decoded_frames, name):
        syntax, pixels, stream = STREAMS[name]
        assert np.array_equal(decoded_frames(syntax, pixels, stream)[0, ..., 0], pixels)

    @pytest.mark.parametrize("name", ENDED)
    def test_missing_end_marker_is_made_good(self, decoded_frames, name):
        syntax, pixels, stream = STREAMS[name]
        whole = decoded_frames(syntax, pixels, stream)
        assert np.array_equal(decoded_frames(syntax, pixels, stream[:-2]), whole)

    @pytest.mark.parametrize("name", STREAMS)
    @pytest.mark.parametrize("missing", [5, 8, 60])
    def test_cut_stream_is_refused(self, decoded_frames, name, missing):
        syntax, pixels, stream = STREAMS[name]
        with pytest.raises(DecodeError):
            decoded_frames(syntax, pixels, stream[:-missing])

    @pytest.mark.parametrize(
        "name", ["JPEG-LS", "JPEG 2000", "JPEG 2000 lossy", "HTJ2K", "JPEG XL"]
    )
    def test_cut_stream_with_an_end_marker_is_refused(self, decoded_frames, name):
        """Not so for JPEG, whose markers do not tell how long the data should be."""
        syntax, pixels, stream = STREAMS[name]
        with pytest.raises(DecodeError):
            decoded_frames(syntax, pixels, stream[: len(stream) // 2] + END)

    @pytest.mark.parametrize("name", STREAMS)
    def test_bytes_behind_the_end_do_not_matter(self, decoded_frames, name):
        syntax, pixels, stream = STREAMS[name]
        whole = decoded_frames(syntax, pixels, stream)
        assert np.array_equal(decoded_frames(syntax, pixels, stream + b"\0\0\0\0"), whole)

    @pytest.mark.parametrize("name", STREAMS)
    def test_other_size_than_in_the_header_is_refused(self, decoded_frames, name):
        syntax, pixels, stream = STREAMS[name]
        with pytest.raises(DecodeError):
            decoded_frames(syntax, pixels[:, 1:], stream)

    @pytest.mark.parametrize("name", STREAMS)
    def test_other_stream_is_refused(self, decoded_frames, name):
        syntax, pixels, _ = STREAMS[name]
        with pytest.raises(DecodeError):
            decoded_frames(syntax, pixels, b"\x89PNG\r\n\x1a\n" + bytes(500))


class TestDecoders:
    def test_imagecodecs_comes_first_and_pylibjpeg_second(self):
        assert list(plugins_of(UID(JPEG2000Lossless))) == ["imagecodecs", "pylibjpeg"]

    @pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLSLossless, *RETIRED_JPEG])
    def test_jpeg_and_jpeg_ls_have_one_decoder(self, syntax):
        assert list(plugins_of(UID(syntax))) == ["imagecodecs"]

    @pytest.mark.parametrize(
        "syntax", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.94", "1.2.3.4"]
    )
    def test_there_is_none_for_other_syntaxes(self, syntax):
        assert not plugins_of(UID(syntax))

    def test_each_syntax_is_in_one_family(self):
        syntaxes = [syntax for family in FAMILIES for syntax in family.syntaxes]
        assert len(syntaxes) == len(set(syntaxes))
        assert set(syntaxes) == ENCAPSULATED

    def test_pylibjpeg_is_asked_for_jpeg_2000_and_rle_only(self):
        asked = {syntax for syntax in ENCAPSULATED if "pylibjpeg" in plugins_of(syntax)}
        assert asked == {*JPEG_2000, RLELossless}

    def test_second_is_asked_with_the_header_as_it_was(self, monkeypatch):
        def first(stream, runner):
            runner.set_option("photometric_interpretation", "RGB")
            raise StreamError("first")

        def second(stream, runner):
            return np.zeros(1)

        monkeypatch.setattr(registry, "plugins_of", lambda _: {"a": first, "b": second})
        header = {"photometric_interpretation": "YBR_FULL"}
        assert decode_stream(b"", UID(RLELossless), header)[1] == "YBR_FULL"

    def test_failure_tells_what_each_said(self):
        header = {"samples_per_pixel": 1, "rows": 1, "columns": 1, "bits_allocated": 8}
        with pytest.raises(DecodeError, match=r"imagecodecs: StreamError: .*; pylibjpeg: "):
            decode_stream(b"", UID(RLELossless), header)

    @pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit])
    def test_what_is_not_the_stream_s_fault_is_raised(self, monkeypatch, error):
        def codec(stream, runner):
            raise error

        monkeypatch.setattr(registry, "plugins_of", lambda _: {"a": codec})
        with pytest.raises(error):
            decode_stream(b"", UID(RLELossless), {})


def imagecodecs_error(stream, runner):
    return imagecodecs.jpeg8_decode(b"")


def imagecodecs_type_error(stream, runner):
    return imagecodecs.jpeg8_decode(None)


def pylibjpeg_error(stream, runner):
    return openjpeg.decode_pixel_data(bytes(40), version=2)


def pydicom_error(stream, runner):
    return runner.set_option("rows", object()) or runner.validate()


def zlib_error(stream, runner):
    return zlib.decompress(b"no")


def bug_of_types(stream, runner):
    return stream + 1


def bug_in_numpy(stream, runner):
    return np.stack([np.zeros(2), np.zeros(3)])


class TestBugs:
    """What a codec raises is about the stream; what this package raises unforeseen is a bug."""

    def decode(self, monkeypatch, *plugins):
        named = dict(zip("ab", plugins, strict=False))
        monkeypatch.setattr(registry, "plugins_of", lambda _: named)
        return decode_stream(b"", UID(RLELossless), {"photometric_interpretation": "RGB"})

    @pytest.mark.parametrize(
        "plugin",
        [imagecodecs_error, imagecodecs_type_error, pylibjpeg_error, pydicom_error, zlib_error],
    )
    def test_error_of_a_codec_is_none(self, monkeypatch, plugin):
        with pytest.raises(DecodeError):
            self.decode(monkeypatch, plugin)

    @pytest.mark.parametrize("plugin", [bug_of_types, bug_in_numpy])
    def test_bug_is_an_internal_error(self, monkeypatch, plugin, capsys):
        with pytest.raises(InternalError, match=r"Error: .* \(decode\.codecs\.registry:\d+\)$"):
            self.decode(monkeypatch, plugin)
        assert plugin.__name__ in capsys.readouterr().err

    def test_bug_is_not_called_by_the_error_of_the_second(self, monkeypatch):
        with pytest.raises(InternalError, match=r"^TypeError: "):
            self.decode(monkeypatch, bug_of_types, zlib_error)

    def test_second_decoder_gives_the_pixels_and_the_log_has_the_bug(self, monkeypatch, capsys):
        def second(stream, runner):
            return np.ones(1)

        values, _ = self.decode(monkeypatch, bug_of_types, second)
        assert values.tolist() == [1]
        assert "TypeError" in capsys.readouterr().err
