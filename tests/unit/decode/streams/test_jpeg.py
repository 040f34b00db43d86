"""Markers of JPEG and JPEG-LS streams."""

import struct

import imagecodecs
import pytest

from dicom_preprocessing.decode.streams.info import END, StreamError
from dicom_preprocessing.decode.streams.jpeg import colour_by_marker, read_jpeg
from tests.unit.decode.examples import COLOUR, COLUMNS, GREY_8, ROWS, STREAMS, jpeg


class TestJpegMarkers:
    def test_precision(self):
        assert read_jpeg(STREAMS["JPEG baseline"][2]).precision == 8
        assert read_jpeg(STREAMS["JPEG extended"][2]).precision == 12
        assert read_jpeg(STREAMS["JPEG lossless"][2]).precision == 16

    def test_lossless(self):
        found = {name: read_jpeg(STREAMS[name][2]).is_lossless for name in list(STREAMS)[:4]}
        assert found == {
            "JPEG baseline": False,
            "JPEG extended": False,
            "JPEG lossless": True,
            "JPEG-LS": True,
        }
        assert not read_jpeg(bytes(imagecodecs.jpegls_encode(GREY_8, level=3))).is_lossless

    def test_names_and_sampling_are_those_of_the_components(self):
        found = read_jpeg(header_of(ids=b"abc", sampling=0x21))
        assert (found.names, found.sampling) == (b"abc", b"\x21\x11\x11")

    def test_markers_between_frame_and_scan_count(self):
        stream = header_of()
        scan = stream.rfind(b"\xff\xda")
        found = read_jpeg(stream[:scan] + JFIF + stream[scan:])
        assert found.has_jfif

    def test_fill_bytes_before_a_marker_are_passed_over(self):
        assert read_jpeg(header_of(apps=b"\xff\xff\xff" + JFIF)).has_jfif

    @pytest.mark.parametrize("stream", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"no stream"])
    def test_other_bytes_are_refused(self, stream):
        with pytest.raises(StreamError):
            read_jpeg(stream)


def header_of(ids=b"\1\2\3", sampling=0x11, apps=b""):
    """A JPEG stream up to its scan."""
    components = b"".join(bytes([i, sampling if n == 0 else 0x11, 0]) for n, i in enumerate(ids))
    size = struct.pack(">HBHHB", 8 + len(components), 8, ROWS, COLUMNS, len(ids))
    frame = b"\xff\xc0" + size + components
    return b"\xff\xd8" + apps + frame + b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0" + b"\0\0" + END


def adobe(transform):
    return b"\xff\xee\0\x0eAdobe" + bytes(6) + bytes([transform])


JFIF = b"\xff\xe0\0\x10JFIF\0" + bytes(9)


def stated_colours(**header):
    """What is told, without what is not."""
    found = colour_by_marker(read_jpeg(header_of(**header)))
    return {source: value for source, value in found.items() if value is not None}


class TestColourTold:
    def test_jfif_means_ycbcr(self):
        stream = jpeg(COLOUR, colorspace="RGB", outcolorspace="YCBCR")
        assert b"JFIF" in stream[:32]
        assert colour_by_marker(read_jpeg(stream))["JFIF marker"] == "YBR_FULL"

    def test_adobe_says_rgb(self):
        stream = jpeg(COLOUR, colorspace="RGB", outcolorspace="RGB")
        assert b"Adobe" in stream[:64]
        assert colour_by_marker(read_jpeg(stream))["Adobe marker"] == "RGB"

    @pytest.mark.parametrize(("transform", "colour"), [(0, "RGB"), (1, "YBR_FULL")])
    def test_adobe_tells_by_its_transform(self, transform, colour):
        assert stated_colours(apps=adobe(transform)) == {"Adobe marker": colour}

    @pytest.mark.parametrize("transform", [2, 3, 255])
    def test_adobe_with_an_unknown_transform_says_nothing(self, transform):
        assert stated_colours(apps=adobe(transform)) == {}
        assert stated_colours(apps=adobe(transform) + JFIF) == {"JFIF marker": "YBR_FULL"}

    def test_last_adobe_with_a_known_transform_counts(self):
        assert stated_colours(apps=adobe(1) + adobe(0) + adobe(2)) == {"Adobe marker": "RGB"}

    def test_cut_adobe_marker_says_nothing(self):
        assert stated_colours(apps=b"\xff\xee\0\x0dAdobe" + bytes(6)) == {}

    @pytest.mark.parametrize("apps", [adobe(0) + JFIF, JFIF + adobe(0)])
    def test_adobe_and_jfif_are_reported_in_any_order(self, apps):
        assert stated_colours(apps=apps) == {"Adobe marker": "RGB", "JFIF marker": "YBR_FULL"}

    def test_names_say_rgb(self):
        assert stated_colours(ids=b"RGB") == {"component names": "RGB"}
        assert stated_colours(ids=b"rgb") == {"component names": "RGB"}
        assert stated_colours(ids=b"BGR") == {}

    def test_sampling_says_ycbcr(self):
        assert stated_colours(sampling=0x22) == {"sampling": "YBR_FULL"}

    def test_nothing_says_nothing(self):
        assert stated_colours() == {}

    def test_grey_has_no_colour(self):
        assert colour_by_marker(read_jpeg(STREAMS["JPEG baseline"][2])) == {}

    @pytest.mark.parametrize("ids", [b"RG", b"RGBA"])
    def test_other_numbers_of_components_have_none(self, ids):
        assert stated_colours(ids=ids, sampling=0x22, apps=adobe(1) + JFIF) == {}
