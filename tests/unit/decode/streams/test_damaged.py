"""Damaged markers are errors of the stream, and never a bug."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.decode.codecs.rle import _require_segments
from dicom_preprocessing.decode.reduced_resolution import reducible_levels
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.decode.streams.jpeg import colour_by_marker, read_jpeg
from dicom_preprocessing.decode.streams.jpeg_2000 import codestream_of, read_jpeg_2000
from tests.unit.decode.examples import STREAMS


def read_codestream(stream):
    codestream = codestream_of(stream)
    read_jpeg_2000(codestream)
    reducible_levels(codestream)


def read_markers(stream):
    colour_by_marker(read_jpeg(stream))


READERS = {
    "JPEG baseline": read_markers,
    "JPEG extended": read_markers,
    "JPEG lossless": read_markers,
    "JPEG-LS": read_markers,
    "JPEG 2000": read_codestream,
    "HTJ2K": read_codestream,
}
HEADER = 300
"""Bytes of a stream in which most of its markers are."""

changes = st.lists(
    st.tuples(st.integers(0, HEADER - 1), st.integers(0, 255)), min_size=1, max_size=5
)


@pytest.mark.parametrize("name", READERS)
@given(changes=changes, length=st.integers(0, 2 * HEADER))
def test_damaged_markers_are_an_error_of_the_stream_or_nothing(name, changes, length):
    stream = bytearray(STREAMS[name][2])
    for at, value in changes:
        stream[at] = value
    for damaged in (bytes(stream), bytes(stream[:length])):
        with suppress(StreamError):
            READERS[name](damaged)


@given(header=st.binary(max_size=80), segments=st.integers(1, 20))
def test_any_rle_header_is_right_or_an_error_of_the_stream(header, segments):
    with suppress(StreamError):
        _require_segments(header, segments)
