"""Another stream behind the first one, and what only looks like it."""

import struct

import numpy as np
import pytest

from dicom_preprocessing.decode.streams import second_stream
from dicom_preprocessing.decode.streams.info import END
from dicom_preprocessing.decode.streams.second_stream import (
    MAX_CANDIDATES,
    SHORT,
    find_second_stream,
)
from tests.contradictory.sound import encode_rle
from tests.unit.decode.examples import COLOUR, GREY_8, STREAMS, jpeg

ALL = {name: stream for name, (_, _, stream) in STREAMS.items()}
ALL["RLE"] = encode_rle(np.repeat(np.arange(96 * 64, dtype=np.uint16).reshape(96, 64), 2, 1), 16)
for_each_kind = pytest.mark.parametrize("stream", ALL.values(), ids=ALL)


@for_each_kind
@pytest.mark.parametrize("padding", [b"", b"\0\0", b"\0" * SHORT])
def test_of_the_same_kind_is_found(stream, padding):
    first = stream + b"\0" * (len(stream) % 2) + padding
    assert find_second_stream(first + stream + stream, 1) == len(first)


@for_each_kind
@pytest.mark.parametrize("behind", [b"", b"\0" * 9, b"\xff" * 8, b"\0" * 2 * SHORT, b"text" * 9])
def test_other_bytes_are_none(stream, behind):
    assert find_second_stream(stream + behind, 1) is None


@for_each_kind
def test_that_begins_and_does_not_go_on_is_none(stream):
    assert find_second_stream(stream + stream[:4], 1) is None


def test_picture_of_another_size_is_none():
    for other in (jpeg(np.ascontiguousarray(GREY_8[::2])), jpeg(COLOUR)):
        assert find_second_stream(jpeg(GREY_8) + other, 1) is None


@pytest.mark.parametrize("padding", [0, SHORT])
def test_thumbnail_in_a_segment_is_none(padding):
    # T.81 B.2.4.6: an application segment holds any bytes.
    thumbnail = jpeg(GREY_8) + bytes(padding)
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    stream = jpeg(GREY_8)
    with_thumbnail = stream[:2] + segment + stream[2:]
    assert find_second_stream(with_thumbnail, 1) is None
    assert find_second_stream(with_thumbnail + stream, 1) == len(with_thumbnail)


def test_behind_a_tile_part_without_length_is_found():
    stream = ALL["JPEG 2000"]
    at = stream.index(b"\xff\x90") + 6  # T.800 A.4.2: Psot, 0 for the rest
    unmeasured = stream[:at] + bytes(4) + stream[at + 4 :]
    assert find_second_stream(unmeasured, 1) is None
    assert find_second_stream(unmeasured + unmeasured, 1) == len(unmeasured)


def test_behind_a_stream_without_end_marker_is_found():
    first = ALL["JPEG baseline"].removesuffix(END)
    assert find_second_stream(first + ALL["JPEG baseline"], 1) == len(first)


CUT = (b"", b"\xff\xd8\xff", b"\xff\x4f\xff\x51\0", b"\xff\x0a", b"\2")


@pytest.mark.parametrize("stream", CUT)
def test_that_is_cut_has_none(stream):
    assert find_second_stream(stream, 1) is None


@pytest.mark.parametrize("behind", [b"\xff\xd8\xff", b"\xff\xe0\0\4\xff\xd8", b"\xff\x4f\xff\x51"])
@for_each_kind
def test_of_many_signatures_a_few_are_looked_at(stream, behind, monkeypatch):
    read, looked = second_stream.read_stream_shape, []

    def count(head, samples):
        looked.append(len(head))
        return read(head, samples)

    monkeypatch.setattr(second_stream, "read_stream_shape", count)
    assert find_second_stream(stream + behind * 50_000, 1) is None
    assert len(looked) <= 1 + MAX_CANDIDATES
