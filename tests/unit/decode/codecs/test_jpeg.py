"""JPEG: what three components are, and streams that are cut or lie."""

import struct

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import JPEGBaseline8Bit, JPEGLosslessSV1

from dicom_preprocessing.decode.codecs.jpeg import decode
from dicom_preprocessing.decode.streams.info import END, StreamError
from dicom_preprocessing.errors import DecodeError
from tests.conftest import data_folder
from tests.unit.datasets import compressed
from tests.unit.decode.examples import COLOUR, COLUMNS, ROWS, STREAMS, jpeg, runner_for, stored_of


class TestHostileStreams:
    def test_jpeg_size_beyond_the_header_is_not_decoded(self, decoded_frames):
        syntax, pixels, stream = STREAMS["JPEG baseline"]
        at = stream.find(b"\xff\xc0") + 5
        damaged = stream[:at] + struct.pack(">HH", 60000, 60000) + stream[at + 4 :]
        with pytest.raises(DecodeError, match="60000 x 60000 x 1, the header says 24 x 40 x 1"):
            decoded_frames(syntax, pixels, damaged)

    def test_progressive_jpeg_without_its_last_scan_is_refused(self):
        name = "CTImage_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm"
        path = data_folder("corpus") / "cornerstone3D" / name
        if not path.exists():
            pytest.skip("needs the full corpus: set DP_SHARED to the folder that holds it")
        data_set = pydicom.dcmread(path)
        stream = next(generate_frames(data_set.PixelData, number_of_frames=1))
        assert stream.count(b"\xff\xda") > 1
        compressed(data_set, [stream[: stream.rfind(b"\xff\xda")]])
        with pytest.raises(DecodeError, match="no end marker"):
            stored_of(data_set, data_set.file_meta.TransferSyntaxUID)


class TestColour:
    @pytest.fixture
    def rgb(self):
        """A stream of RGB, and one of YCbCr, both without any marker that tells."""
        return (
            without_apps(jpeg(COLOUR, level=100, colorspace="RGB", outcolorspace="RGB"), b"\1\2\3"),
            without_apps(jpeg(COLOUR, level=100, subsampling="444"), b"\1\2\3"),
        )

    @pytest.mark.parametrize("stated", ["RGB", "YBR_FULL", "YBR_FULL_422"])
    def test_markers_win_over_the_header(self, decoded_frames, stated):
        for options in ({"subsampling": "444"}, {"outcolorspace": "RGB"}):
            stream = jpeg(COLOUR, level=100, **options)
            found = decoded_frames(
                JPEGBaseline8Bit, COLOUR, stream, PhotometricInterpretation=stated
            )
            assert np.abs(found[0].astype(int) - COLOUR).max() <= 3

    @pytest.mark.parametrize(
        ("stated", "which"), [("RGB", 0), ("YBR_FULL", 1), ("YBR_FULL_422", 1)]
    )
    def test_header_decides_where_markers_do_not(self, decoded_frames, rgb, stated, which):
        found = decoded_frames(
            JPEGBaseline8Bit, COLOUR, rgb[which], PhotometricInterpretation=stated
        )
        assert np.abs(found[0].astype(int) - COLOUR).max() <= 3

    def test_header_decides_for_every_frame(self, decoded_frames, rgb):
        frames = [rgb[1]] * 3
        found = decoded_frames(
            JPEGBaseline8Bit, COLOUR, *frames, PhotometricInterpretation="YBR_FULL"
        )
        assert np.array_equal(found[0], found[2])

    def test_lossless_ycbcr_is_converted(self, decoded_frames):
        ybr = np.full((ROWS, COLUMNS, 3), (81, 90, 240), np.uint8)
        coded = jpeg(ybr, lossless=True, colorspace="RGB", outcolorspace="RGB")
        stream = without_apps(coded, b"\1\2\3")
        found = decoded_frames(JPEGLosslessSV1, ybr, stream, PhotometricInterpretation="YBR_FULL")
        # 81 + 1.402 * 112, 81 - 0.344136 * -38 - 0.714136 * 112, 81 + 1.772 * -38
        assert found[0, 0, 0].tolist() == [238, 14, 14]


class TestRunner:
    @pytest.mark.parametrize("stated", ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422"])
    def test_is_told_that_colour_is_rgb(self, stated):
        runner = runner_for(JPEGBaseline8Bit, COLOUR, photometric_interpretation=stated)
        decode(jpeg(COLOUR), runner)
        assert runner.photometric_interpretation == "RGB"

    def test_is_not_told_of_grey(self):
        syntax, pixels, stream = STREAMS["JPEG baseline"]
        runner = runner_for(syntax, pixels, photometric_interpretation="MONOCHROME1")
        decode(stream, runner)
        assert runner.photometric_interpretation == "MONOCHROME1"

    def test_partial_range_of_the_header_is_not_lost(self):
        """pydicom's own option says YBR_FULL_422 for it."""
        black = np.full((ROWS, COLUMNS, 3), (16, 128, 128), np.uint8)
        coded = jpeg(black, level=100, colorspace="RGB", outcolorspace="RGB", subsampling="444")
        runner = runner_for(JPEGBaseline8Bit, black, photometric_interpretation="YBR_PARTIAL_422")
        runner.set_option("photometric_interpretation", "YBR_FULL_422")
        assert decode(without_apps(coded, b"\1\2\3"), runner)[0, 0].tolist() == [0, 0, 0]


class TestMissingEnd:
    """With several scans or restart markers a whole one of them may be missing."""

    def test_behind_restart_markers_is_a_cut(self):
        syntax, pixels, stream = STREAMS["JPEG baseline"]
        restarts = b"\xff\xdd\0\4\0\1"
        cut = stream[:2] + restarts + stream[2 : -len(END)]
        with pytest.raises(StreamError, match="no end marker"):
            decode(cut, runner_for(syntax, pixels))

    def test_behind_the_second_scan_is_a_cut(self):
        syntax, pixels, stream = STREAMS["JPEG baseline"]
        with pytest.raises(StreamError, match="no end marker"):
            decode(stream[: -len(END)] + b"\xff\xda", runner_for(syntax, pixels))


def without_apps(stream, ids):
    """A JPEG stream without APP segments, its components named ``ids``."""
    kept, offset = bytearray(stream[:2]), 2
    renamed = {}
    while True:
        marker = stream[offset + 1]
        (length,) = struct.unpack_from(">H", stream, offset + 2)
        segment = bytearray(stream[offset : offset + 2 + length])
        if 0xC0 <= marker <= 0xC3:
            for n, name in enumerate(ids):
                renamed[segment[10 + 3 * n]] = name
                segment[10 + 3 * n] = name
        if marker == 0xDA:
            for n in range(segment[4]):
                segment[5 + 2 * n] = renamed[segment[5 + 2 * n]]
            return bytes(kept + segment + stream[offset + 2 + length :])
        if not 0xE0 <= marker <= 0xEF:
            kept += segment
        offset += 2 + length
