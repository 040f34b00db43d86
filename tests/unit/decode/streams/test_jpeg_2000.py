"""Markers of JPEG 2000 codestreams."""

import struct

import imagecodecs
import numpy as np
import pytest

from dicom_preprocessing.decode.streams.info import END, StreamError
from dicom_preprocessing.decode.streams.jpeg_2000 import codestream_of, read_jpeg_2000
from tests.unit.decode.examples import COLOUR, COLUMNS, GREY_12, STREAMS, j2k


class TestJpeg2000Header:
    def test_precision_sign_and_reversibility(self):
        found = read_jpeg_2000(STREAMS["JPEG 2000"][2])
        assert (found.precision, found.is_signed, found.is_lossless) == (16, False, True)
        found = read_jpeg_2000(j2k(GREY_12.astype(np.int16), level=60, bitspersample=13))
        assert (found.precision, found.is_signed, found.is_lossless) == (13, True, False)

    def test_codestream_is_taken_out_of_its_boxes(self):
        boxed = bytes(imagecodecs.jpeg2k_encode(GREY_12, codecformat="JP2", reversible=True))
        assert codestream_of(boxed) == STREAMS["JPEG 2000"][2]

    @pytest.mark.parametrize("end", range(2, 110, 9))
    def test_cut_header_is_refused(self, end):
        with pytest.raises(StreamError):
            read_jpeg_2000(STREAMS["JPEG 2000"][2][:end])

    def test_missing_tile_is_refused(self):
        stream = bytearray(STREAMS["JPEG 2000"][2])
        assert struct.unpack_from(">L", stream, 24) == (COLUMNS,)  # XTsiz
        struct.pack_into(">L", stream, 24, COLUMNS // 2)
        with pytest.raises(StreamError, match="lacks tile-parts"):
            read_jpeg_2000(bytes(stream))

    @pytest.mark.parametrize("transformed", [True, False])
    def test_component_transform(self, transformed):
        stream = j2k(COLOUR, reversible=True, mct=transformed)
        assert read_jpeg_2000(stream).has_component_transform is transformed

    def test_end_marker(self):
        stream = STREAMS["JPEG 2000"][2]
        assert read_jpeg_2000(stream).has_end_marker
        assert not read_jpeg_2000(stream[: -len(END)]).has_end_marker

    def test_tile_part_without_length_goes_to_the_end_marker(self):
        stream = bytearray(STREAMS["JPEG 2000"][2])
        assert read_jpeg_2000(bytes(stream)).is_measured
        struct.pack_into(">L", stream, stream.find(b"\xff\x90") + 6, 0)  # Psot
        found = read_jpeg_2000(bytes(stream))
        assert (found.has_end_marker, found.is_measured) == (True, False)

    def test_header_without_coding_style_is_refused(self):
        stream = STREAMS["JPEG 2000"][2].replace(b"\xff\x52", b"\xff\x64", 1)  # a comment
        with pytest.raises(StreamError, match="no coding style"):
            read_jpeg_2000(stream)

    def test_boxes_without_codestream_are_refused(self):
        with pytest.raises(StreamError, match="no JPEG 2000 codestream"):
            codestream_of(b"\0\0\0\x0cjP  \r\n\x87\n")
