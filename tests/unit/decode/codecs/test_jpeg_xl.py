"""JPEG XL: colour, and samples of more bits than stored."""

import imagecodecs
import numpy as np
import pytest

from dicom_preprocessing.decode.codecs.jpeg_xl import decode
from dicom_preprocessing.decode.colour import ybr_to_rgb
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.decode.streams.jpeg_xl import CODESTREAM, CONTAINER
from dicom_preprocessing.dicom.transfer_syntaxes import JPEG_XL
from tests.unit.decode.examples import COLOUR, GREY_8, runner_for

LOSSLESS, RECOMPRESSED, ANY = JPEG_XL


def jpegxl(pixels, **options):
    return bytes(imagecodecs.jpegxl_encode(pixels, **options))


@pytest.mark.parametrize("stated", ["RGB", "YBR_FULL"])
def test_lossless_stream_has_the_colour_of_the_header(stated):
    runner = runner_for(LOSSLESS, COLOUR, photometric_interpretation=stated)
    expected = COLOUR if stated == "RGB" else ybr_to_rgb(COLOUR, 8)
    assert np.array_equal(decode(jpegxl(COLOUR, lossless=True), runner), expected)
    assert runner.photometric_interpretation == "RGB"


@pytest.mark.parametrize("syntax", [RECOMPRESSED, ANY])
@pytest.mark.parametrize("stated", ["XYB", "YBR_FULL_422"])
def test_other_streams_are_rgb(syntax, stated):
    runner = runner_for(syntax, COLOUR, photometric_interpretation=stated)
    found = decode(jpegxl(COLOUR, level=98), runner)
    assert runner.photometric_interpretation == "RGB"
    assert np.abs(found.astype(int) - COLOUR).mean() < 3


def test_grey_stays_what_the_header_says():
    runner = runner_for(ANY, GREY_8, photometric_interpretation="MONOCHROME1")
    decode(jpegxl(GREY_8, level=98), runner)
    assert runner.photometric_interpretation == "MONOCHROME1"


@pytest.mark.parametrize(("syntax", "expected"), [(LOSSLESS, [5, 7]), (ANY, [0xFFF, 7])])
def test_values_above_bits_stored_are_masked_or_clipped(syntax, expected):
    pixels = np.array([[0x1005, 7]], np.uint16)
    runner = runner_for(syntax, pixels, bits_stored=12)
    assert decode(jpegxl(pixels, lossless=True), runner)[0, :, 0].tolist() == expected


def test_more_bits_than_allocated_are_refused():
    runner = runner_for(LOSSLESS, GREY_8)
    with pytest.raises(StreamError, match="16 bits a sample, the header allocates 8"):
        decode(jpegxl(GREY_8.astype(np.uint16) << 4, lossless=True), runner)


def test_other_size_is_refused():
    with pytest.raises(StreamError, match="holds 24 x 40 x 1, the header says 24 x 39 x 1"):
        decode(jpegxl(GREY_8, lossless=True), runner_for(LOSSLESS, GREY_8[:, 1:]))


@pytest.mark.parametrize("form", ["plain", "whole", "in parts", "behind a false one"])
def test_other_size_is_refused_before_it_is_decoded(form, monkeypatch):
    stream = jpegxl(GREY_8, lossless=True)
    assert stream.startswith(CODESTREAM)
    false = box(b"free", b"jxlc" + CODESTREAM + bytes(20))
    boxes = {
        "plain": stream,
        "whole": CONTAINER + box(b"jxlc", stream),
        "in parts": CONTAINER + box(b"jxlp", bytes(4) + stream),
        "behind a false one": CONTAINER + false + box(b"jxlc", stream),
    }
    monkeypatch.setattr(imagecodecs, "jpegxl_decode", None)
    with pytest.raises(StreamError, match="holds 24 x 40 x 1, the header says 24 x 39 x 1"):
        decode(boxes[form], runner_for(LOSSLESS, GREY_8[:, 1:]))


def test_size_that_goes_on_in_another_box_is_refused():
    stream = CONTAINER + box(b"jxlp", bytes(4) + CODESTREAM) + box(b"jxlp", bytes(40))
    with pytest.raises(StreamError, match="no header of JPEG XL"):
        decode(stream, runner_for(LOSSLESS, GREY_8))


def test_image_in_boxes_is_read():
    stream = (
        CONTAINER + box(b"ftyp", b"jxl \0\0\0\0jxl ") + box(b"jxlc", jpegxl(GREY_8, lossless=True))
    )
    assert np.array_equal(decode(stream, runner_for(LOSSLESS, GREY_8))[..., 0], GREY_8)


def box(kind, content):
    return (8 + len(content)).to_bytes(4) + kind + content
