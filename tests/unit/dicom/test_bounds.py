"""Memory and time that reading a file may take, whatever its lengths and its inflater say."""

import os
import struct
import subprocess
import sys
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_preprocessing.dicom import pixel_data, reading, scanning, sources
from dicom_preprocessing.dicom.header_pattern import HeaderPatterns
from dicom_preprocessing.dicom.reading import open_image, read_header
from dicom_preprocessing.dicom.sources import (
    FileSource,
    InflatedSource,
    MemorySource,
    reopen_for_reads,
)
from dicom_preprocessing.errors import DamagedError, DecodeError

BOMB_MIB = int(os.environ.get("DP_BOMB_MIB", "150"))
"""MiB to which bombs inflate; `make faults` takes 6 GB."""

KEPT_MIB = 16 if BOMB_MIB < 1000 else sources.KEPT_BYTES >> 20
ALLOWED_MB = KEPT_MIB + 100
"""More than the reader keeps of an inflated data set; without a bound it would be a bomb more."""

MIB = 1 << 20
DEFLATED, EXPLICIT = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.1"


def element(tag, vr, value, length=None):
    length = len(value) if length is None else length
    start = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    is_long = vr in (b"OB", b"OW", b"SQ", b"UN")
    return start + struct.pack("<xxL" if is_long else "<H", length) + value


def head(syntax):
    syntax += b"\0" * (len(syntax) % 2)
    meta = element(0x00020010, b"UI", syntax)
    return bytes(128) + b"DICM" + element(0x00020000, b"UL", struct.pack("<L", len(meta))) + meta


def number(tag, value):
    return element(tag, b"US", struct.pack("<H", value))


UIDS = b"".join(
    element(tag, b"UI", value)
    for tag, value in (
        (0x00080016, b"1.2.840.10008.5.1.4.1.1.2\0"),
        (0x00080018, b"1.2.3.1\0"),
        (0x0020000D, b"1.2\0"),
        (0x0020000E, b"1.2.3\0"),
    )
)
PIXEL_MODULE = b"".join(
    (
        number(0x00280002, 1),
        element(0x00280004, b"CS", b"MONOCHROME2 "),
        number(0x00280010, 4),
        number(0x00280011, 4),
        number(0x00280100, 8),
        number(0x00280101, 8),
        number(0x00280102, 7),
        number(0x00280103, 0),
    )
)
PIXELS = element(0x7FE00010, b"OB", bytes(range(16)))
PRIVATE = 0x00290010


class Deflated:
    """Raw deflate code that is put together, with zeros that cost nothing to compress."""

    def __init__(self):
        compressor = zlib.compressobj(9, wbits=-15)
        self.zeros = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
        self.content = b""

    def add(self, content):
        compressor = zlib.compressobj(9, wbits=-15)
        self.content += compressor.compress(content) + compressor.flush(zlib.Z_FULL_FLUSH)
        return self

    def add_zeros(self, mib):
        self.content += self.zeros * mib
        return self

    def end(self):
        return self.content + zlib.compressobj(9, wbits=-15).flush()


def long_private(path):
    """A private element before the pixels."""
    start = element(PRIVATE, b"OB", b"", BOMB_MIB * MIB)
    code = Deflated().add(UIDS + PIXEL_MODULE + start).add_zeros(BOMB_MIB).add(PIXELS).end()
    path.write_bytes(head(DEFLATED) + code)
    return "written"


def long_pixels(path):
    """Pixel data that is longer than the image."""
    mib = min(BOMB_MIB, 4095)
    start = element(0x7FE00010, b"OB", b"", mib * MIB)
    code = Deflated().add(UIDS + PIXEL_MODULE + start).add_zeros(mib).end()
    path.write_bytes(head(DEFLATED) + code)
    return "written"


def long_rest(path):
    """Zeros behind the pixels, in the data set."""
    code = Deflated().add(UIDS + PIXEL_MODULE + PIXELS).add_zeros(BOMB_MIB).end()
    path.write_bytes(head(DEFLATED) + code)
    return "written"


def sparse_private(path):
    """A private element of 2.5 GB that takes no disk."""
    length = 2_500_000_000
    with path.open("wb") as file:
        file.write(head(EXPLICIT) + UIDS + PIXEL_MODULE + element(PRIVATE, b"OB", b"", length))
        file.seek(length, os.SEEK_CUR)
        file.write(PIXELS)
    return "written"


def sparse_palette(path):
    """A look-up table of 2.5 GB that takes no disk."""
    length = 2_500_000_000
    with path.open("wb") as file:
        file.write(head(EXPLICIT) + UIDS + PIXEL_MODULE)
        file.write(element(0x00281201, b"OW", b"", length))
        file.seek(length, os.SEEK_CUR)
        file.write(PIXELS)
    return "DamagedError"


def many_items(path):
    """Functional groups of a million empty items."""
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    groups = element(0x52009230, b"SQ", item * 1_000_000)
    path.write_bytes(head(EXPLICIT) + UIDS + PIXEL_MODULE + groups + PIXELS)
    return "DamagedError"


BOMBS = (long_private, long_pixels, long_rest, sparse_private, sparse_palette, many_items)

READ_AND_MEASURE = """
import resource, sys
from dicom_preprocessing.decode.stage import decode_stored
from dicom_preprocessing.dicom.reading import read_header
from dicom_preprocessing.errors import FileError
from dicom_preprocessing.validation.report import validate_dicom

from dicom_preprocessing.dicom import scanning, sources

sources.KEPT_BYTES, scanning.MAX_ITEMS = int(sys.argv[2]) << 20, 1 << 14

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before, outcome = peak(), "written"
read_header(sys.argv[1])
header = peak() - before
try:
    for frame in decode_stored(sys.argv[1]).frames:
        assert frame.shape[:2] == (4, 4)
except FileError as error:
    outcome = type(error).__name__
try:
    validate_dicom(sys.argv[1])
except RuntimeError:
    pass
print(outcome, header, peak() - before)
"""


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_is_bounded(bomb, tmp_path):
    path = tmp_path / "bomb.dcm"
    expected = bomb(path)
    outcome, header, peak = subprocess.run(
        [sys.executable, "-c", READ_AND_MEASURE, path, str(KEPT_MIB)],
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout.split()
    assert outcome == expected
    assert int(peak) < ALLOWED_MB, (header, peak)
    # The pixels of deflated data sets are not inflated for the header.
    assert int(header) < (ALLOWED_MB if bomb is long_private else 50)


contents = st.lists(
    st.one_of(st.binary(max_size=300), st.integers(0, 3000).map(bytes)), max_size=8
).map(b"".join)


@settings(deadline=None)
@given(
    contents,
    st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 700)), max_size=40),
    st.integers(0, 30),
    st.sampled_from((-15, 15, 31)),
    st.lists(st.integers(0, 2400), max_size=4),
)
def test_inflated_source_reads_as_memory_does(content, reads, behind, window_bits, cuts):
    # RFC 1952 2.2: only a gzip stream may have several members, empty ones among them.
    cuts = sorted(cuts) if window_bits > zlib.MAX_WBITS else []
    members = [content[a:b] for a, b in pairwise([0, *cuts, None])]
    deflated = b"".join(zlib.compress(member, 6, window_bits) for member in members)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("CHUNK", 64), ("KEPT_BYTES", 1000), ("BLOCK", 300)):
            patch.setattr(sources, name, value)
        inflated = InflatedSource(MemorySource(b"ab" + deflated + bytes(behind)), 2, window_bits)
        plain = MemorySource(content)
        for offset, length in reads:
            assert inflated.reaches(offset + length) == plain.reaches(offset + length)
            assert inflated.read(offset, length) == plain.read(offset, length)
        assert inflated.size == len(content)
        assert inflated.unused == bytes(behind)
        assert inflated.read(0, len(content)) == content
        assert len(inflated._kept) <= 1000


@given(contents, st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 700)), max_size=5))
def test_source_that_opens_a_path_for_each_read_reads_as_memory_does(
    tmp_path_factory, content, reads
):
    folder = tmp_path_factory.mktemp("sources")
    compressor = zlib.compressobj(6, wbits=-15)
    (folder / "deflated").write_bytes(b"ab" + compressor.compress(content) + compressor.flush())
    (folder / "plain").write_bytes(content)
    opened = {
        "deflated": InflatedSource(FileSource(folder / "deflated"), 2, -15),
        "plain": FileSource(folder / "plain"),
    }
    expected = MemorySource(content)
    for name, source in opened.items():
        reopened = reopen_for_reads(source, folder / name)
        assert reopened.size == len(content)
        for offset, length in reads:
            assert reopened.reaches(offset + length) == expected.reaches(offset + length)
            assert reopened.read(offset, length) == expected.read(offset, length)


def test_members_of_a_gzip_stream_have_an_end(monkeypatch):
    monkeypatch.setattr(sources, "MAX_MEMBERS", 50)
    empty = zlib.compress(b"", 6, 31)
    allowed = InflatedSource(MemorySource(empty * 49 + zlib.compress(b"end", 6, 31)), 0, 31)
    assert allowed.read(0, 9) == b"end"
    with pytest.raises(DamagedError, match="more than 50 members"):
        InflatedSource(MemorySource(empty * 51), 0, 31).read(0, 9)


def test_path_that_no_longer_inflates_is_damaged(tmp_path):
    path = tmp_path / "deflated"
    path.write_bytes(zlib.compress(bytes(9000)))
    source = reopen_for_reads(InflatedSource(FileSource(path), 0, 15), path)
    path.write_bytes(b"other")
    with pytest.raises(DamagedError, match="incorrect header check"):
        source.read(0, 9000)


def test_inflation_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_INFLATED", 3 * MIB)
    path = tmp_path / "a.dcm"
    code = Deflated().add(UIDS + PIXEL_MODULE + PIXELS).add_zeros(5).end()
    path.write_bytes(head(DEFLATED) + code)
    assert read_header(path).rows == 4
    with pytest.raises(DamagedError, match="inflates to more than"):
        open_image(path)


@st.composite
def nested(draw):
    """A sequence with others in each other, of undefined length, each with something beside."""
    depth = draw(st.integers(1, 40))
    vr = draw(st.sampled_from((b"SQ", b"UN")))
    undefined = 0xFFFFFFFF
    beside = number(0x00280010, 5) if vr == b"SQ" else b""
    start = element(0x00081140, vr, b"", undefined)
    implicit = struct.pack("<HHL", 0x0008, 0x1140, undefined)
    inner = implicit if vr == b"UN" else start
    item = struct.pack("<HHL", 0xFFFE, 0xE000, undefined) + beside
    ends = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return depth, start + item + (inner + item) * (depth - 1) + ends * depth


@settings(deadline=None)
@given(nested(), st.integers(2, 60))
def test_depth_has_an_end(tmp_path_factory, sequence, most):
    depth, content = sequence
    path = tmp_path_factory.mktemp("nested") / "a.dcm"
    path.write_bytes(head(EXPLICIT) + UIDS[: UIDS.index(b"\x20\0\x0d\0")] + content + PIXEL_MODULE)
    with path.open("ab") as file:
        file.write(PIXELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "MAX_DEPTH", most)
        patch.setattr(reading, "PATTERNS", HeaderPatterns())
        if 2 * depth <= most:
            assert open_image(path).description.pixel.rows.integer() == 4
        else:
            with pytest.raises(DamagedError, match="levels"):
                open_image(path)


def test_depth_beyond_recursion_is_read(tmp_path):
    start = element(0x00081140, b"SQ", b"", 0xFFFFFFFF)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ends = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    path = tmp_path / "a.dcm"
    uids = UIDS[: UIDS.index(b"\x20\0\x0d\0")]
    content = (start + item) * 20_000 + ends * 20_000
    path.write_bytes(head(EXPLICIT) + uids + content + PIXEL_MODULE + PIXELS)
    assert read_header(path).rows == 4


@pytest.mark.parametrize("step", [0, 2, 40, 200])
def test_small_elements_have_an_end(tmp_path, monkeypatch, step):
    monkeypatch.setattr(sources, "MAX_PARSED", 2 * MIB)
    path = tmp_path / "a.dcm"
    small = element(PRIVATE, b"LO", b" " * step)
    path.write_bytes(
        head(EXPLICIT) + UIDS + PIXEL_MODULE + small * (4 * MIB // len(small)) + PIXELS
    )
    with pytest.raises(DamagedError, match="small elements"):
        read_header(path)


def test_small_elements_of_sequences_have_an_end(tmp_path, monkeypatch):
    """A sequence whose end was looked for is read once more, from its start."""
    monkeypatch.setattr(sources, "MAX_PARSED", 2 * MIB)
    path = tmp_path / "a.dcm"
    ends = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    sequence = element(0x00283010, b"SQ", b"", 0xFFFFFFFF)
    sequence += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    sequence += element(0x00080005, b"CS", b"") * 7000 + ends
    path.write_bytes(head(EXPLICIT) + UIDS + PIXEL_MODULE + sequence * 100 + PIXELS)
    with pytest.raises(DamagedError, match="small elements"):
        open_image(path)


def test_large_elements_may_be_many(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_PARSED", 2 * MIB)
    path = tmp_path / "a.dcm"
    large = element(PRIVATE, b"OB", bytes(70_000))
    path.write_bytes(head(EXPLICIT) + UIDS + PIXEL_MODULE + large * 100 + PIXELS)
    assert read_header(path).rows == 4


def test_elements_that_repeat_have_one_warning(tmp_path):
    path = tmp_path / "a.dcm"
    twice = number(0x00280010, 5) + number(0x00280010, 4)
    path.write_bytes(head(EXPLICIT) + UIDS + PIXEL_MODULE + twice * 1000 + PIXELS)
    codes = [warning.code for warning in open_image(path).description.warnings]
    assert codes.count("element_twice") == 1


def test_fragments_have_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_data, "MAX_ITEMS", 1000)
    path = tmp_path / "a.dcm"
    pixels = element(0x7FE00010, b"OB", b"", 0xFFFFFFFF)
    pixels += struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 1001
    path.write_bytes(head(b"1.2.840.10008.1.2.4.70") + UIDS + PIXEL_MODULE + pixels)
    with pytest.raises(DecodeError, match="fragments"):
        open_image(path)
