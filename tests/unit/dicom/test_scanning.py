"""Elements as they stand in a file: in each encoding, broken ones passed, the end recognised."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from dicom_preprocessing.dicom import scanning
from dicom_preprocessing.dicom.element_header import (
    ENCODINGS,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    LONG_VRS,
    SHORT_VRS,
    parse_element_header,
)
from dicom_preprocessing.dicom.keywords import READ_TAGS
from dicom_preprocessing.dicom.scanning import (
    ParseError,
    scan_elements,
    scan_items,
    scan_rest,
)
from dicom_preprocessing.dicom.sources import MemorySource, ReadAhead

UNDEFINED = 0xFFFFFFFF


def element(encoding, tag, vr, value, length=None):
    """An element in an encoding."""
    order = "<" if encoding.is_little_endian else ">"
    length = len(value) if length is None else length
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if encoding.is_implicit or tag >> 16 == 0xFFFE:
        return head + struct.pack(f"{order}L", length) + value
    if vr in SHORT_VRS:
        return head + vr + struct.pack(f"{order}H", length) + value
    return head + vr + b"\0\0" + struct.pack(f"{order}L", length) + value


def scanned(content, encoding=EXPLICIT_LITTLE, **options):
    return scan_elements(ReadAhead(MemorySource(content), 64), 0, encoding, **options)


def values_of(scan):
    return {int(tag): raw.value for tag, raw in scan.elements.items()}


def codes_of(scan):
    return [warning.code for warning in scan.warnings]


VALUES = st.binary(max_size=90)
KNOWN_VRS = st.sampled_from(sorted(SHORT_VRS | LONG_VRS))
TAGS = st.integers(0x00080001, 0x7FDFFFFF).filter(lambda tag: tag != 0x20202020)  # blanks


@given(
    st.sampled_from(ENCODINGS),
    st.dictionaries(TAGS, st.tuples(KNOWN_VRS, VALUES), min_size=1, max_size=8),
)
def test_elements_are_read_in_each_encoding(encoding, elements):
    content = b"".join(element(encoding, t, vr, v) for t, (vr, v) in sorted(elements.items()))
    scan = scanned(content, encoding)
    assert values_of(scan) == {tag: value for tag, (_, value) in elements.items()}
    assert (scan.end, scan.cut, scan.warnings) == (len(content), "", [])


ODD_TAGS = st.sampled_from(
    [0, 0x20202020, 0x00020010, 0x00280010, 0x7FE00010, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD]
)
ODD_LENGTHS = st.sampled_from([None, None, None, 0, 3, 70, 0xFFFF, UNDEFINED])


@st.composite
def broken_contents(draw):
    """Elements of which some are not as the encoding has them, or anywhere overwritten."""
    encoding = draw(st.sampled_from(ENCODINGS))
    made_in = draw(st.sampled_from([encoding] * 3 + list(ENCODINGS)))
    content = bytearray()
    for _ in range(draw(st.integers(0, 8))):
        length, vr = draw(ODD_LENGTHS), draw(KNOWN_VRS)
        is_long = vr in LONG_VRS or length in (None, 0, 3, 70)
        tag, value = draw(TAGS | ODD_TAGS), draw(VALUES)
        content += element(made_in, tag, vr, value, length if is_long else None)
    for place in draw(st.lists(st.integers(0, max(0, len(content) - 1)), max_size=4)):
        content[place : place + 1] = draw(st.binary(max_size=3))
    return encoding, bytes(content)


@settings(max_examples=300, deadline=None)
@given(broken_contents(), st.data())
def test_a_scan_is_the_same_whatever_was_read_ahead(broken, data):
    """Plain elements are scanned within a chunk, and one by one where none was read ahead."""
    encoding, content = broken
    options = {
        "wanted": data.draw(st.none() | st.just(range(0x00280000, 0x00290000))),
        "noted": data.draw(st.sampled_from([(), (0x00280010,)])),
        "stop_at": data.draw(st.sampled_from([(), (0x7FE00010,)])),
        "group": data.draw(st.sampled_from([None, None, None, 0x0028])),
    }

    def outcome(chunk):
        try:
            return scan_elements(ReadAhead(MemorySource(content), chunk), 0, encoding, **options)
        except ParseError as error:
            return str(error)

    assert outcome(4096) == outcome(1)


@given(st.sampled_from(ENCODINGS), VALUES, st.binary(min_size=1, max_size=60))
def test_value_is_only_what_its_length_says(encoding, value, broken):
    """A private sequence of known length costs no other element, whatever is in it."""
    content = element(encoding, 0x00291010, b"SQ", broken) + element(
        encoding, 0x00300010, b"LO", value
    )
    assert values_of(scanned(content, encoding))[0x00300010] == value


@given(st.binary(min_size=2, max_size=2), VALUES)
def test_vr_that_is_not_listed_has_a_length_of_32_bits(letters, value):
    vr = bytes(ord("A") + byte % 26 for byte in letters)
    content = element(EXPLICIT_LITTLE, 0x00090010, vr, value)
    scan = scanned(content + element(EXPLICIT_LITTLE, 0x00100010, b"PN", b"A^B"))
    assert values_of(scan)[0x00100010] == b"A^B"
    is_known = vr in SHORT_VRS or vr in LONG_VRS
    assert codes_of(scan) == ([] if is_known else ["unknown_vr"])


def test_unknown_vr_with_a_length_of_16_bits_in_place_of_reserved_bytes():
    content = struct.pack("<HH2sH", 9, 0x10, b"ZZ", 3) + b"abc"
    scan = scanned(content + element(EXPLICIT_LITTLE, 0x00100010, b"PN", b"A^B"))
    assert values_of(scan) == {0x00090010: b"abc", 0x00100010: b"A^B"}


ODD_VRS = st.binary(min_size=2, max_size=2).filter(lambda vr: not (vr.isalpha() and vr.isupper()))


NO_LETTERS = VALUES.map(lambda value: bytes(byte | 0x80 for byte in value))
"""Values in which no element starts, by which the length would be ambiguous."""


@given(ODD_VRS, NO_LETTERS, st.booleans(), st.sampled_from([EXPLICIT_LITTLE, EXPLICIT_BIG]))
def test_vr_that_is_not_two_capitals_is_skipped(vr, value, is_short, encoding):
    order = "<" if encoding.is_little_endian else ">"
    is_short = is_short and len(value) > 0
    length = struct.pack(f"{order}H" if is_short else f"{order}2xL", len(value))
    content = struct.pack(f"{order}HH", 0x0009, 0x1010) + vr + length + value
    after = element(encoding, 0x00100010, b"PN", b"A^B") + element(
        encoding, 0x00200010, b"SH", b"ab"
    )
    scan = scanned(content + after, encoding)
    assert values_of(scan)[0x00100010] == b"A^B"
    assert values_of(scan)[0x00200010] == b"ab"
    assert codes_of(scan) == ["unknown_vr"]


def test_element_without_a_vr_among_explicit_ones_is_read():
    content = element(IMPLICIT_LITTLE, 0x00090010, b"", b"abcd")
    scan = scanned(content + element(EXPLICIT_LITTLE, 0x00100010, b"PN", b"A^B"))
    assert values_of(scan) == {0x00090010: b"abcd", 0x00100010: b"A^B"}
    assert codes_of(scan) == ["unknown_vr"]


def test_bytes_that_are_no_element_are_an_error():
    with pytest.raises(ParseError, match="at byte 0 is no element of explicit VR little endian"):
        scanned(b"\x09\0\x10\0\xff\xff\xff\x7f" + bytes(9))


def test_values_of_others_are_not_read():
    content = element(EXPLICIT_LITTLE, 0x00090010, b"LO", b"abcd")
    content += element(EXPLICIT_LITTLE, 0x00100010, b"PN", b"A^B")
    assert values_of(scanned(content, wanted={0x00100010})) == {0x00100010: b"A^B"}


def test_scan_stops_at_a_tag():
    content = element(EXPLICIT_LITTLE, 0x00090010, b"LO", b"abcd")
    scan = scanned(
        content + element(EXPLICIT_LITTLE, 0x00100010, b"PN", b"A^B"), stop_at={0x00100010}
    )
    assert (scan.is_stopped, scan.end) == (True, len(content))


@given(st.integers(1, 200))
def test_cut_is_described(missing):
    content = element(EXPLICIT_LITTLE, 0x00090010, b"OB", bytes(range(200)))
    assert scanned(content[:-missing]).cut == f"{missing} bytes of (0009,0010) are missing"


def nested(encoding, depth, *, undefined, vr=b"SQ", delimiter=True):
    """A sequence in a sequence, ``depth`` times."""
    inner = b""
    for _ in range(depth):
        length = UNDEFINED if undefined else None
        item = element(encoding, 0xFFFEE000, b"", inner, length)
        if undefined and delimiter:
            item += element(encoding, 0xFFFEE00D, b"", b"")
        if undefined:
            item += element(encoding, 0xFFFEE0DD, b"", b"")
        inner = element(encoding, 0x00081140, vr, item, length)
    return inner


@pytest.mark.parametrize("delimiter", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_sequences_are_skipped_however_deep(encoding, undefined, delimiter):
    content = nested(encoding, 3000, undefined=undefined, delimiter=delimiter)
    last = element(encoding, 0x00100010, b"PN", b"A^B")
    assert values_of(scanned(content + last, encoding, wanted={0x00100010})) == {0x00100010: b"A^B"}


def test_unknown_of_undefined_length_is_a_sequence_of_implicit_vr():
    implicit = nested(IMPLICIT_LITTLE, 2, undefined=True)
    head = b"\x09\0\x10\x10UN\0\0\xff\xff\xff\xff"
    content = head + implicit[8:] + element(EXPLICIT_LITTLE, 0x00100010, b"PN", b"A^B")
    assert 0x00100010 in values_of(scanned(content))


def test_sequence_of_undefined_length_without_an_end_is_an_error():
    content = nested(EXPLICIT_LITTLE, 3, undefined=True)[:-8]
    with pytest.raises(ParseError, match=r"\(0008,1140\) has no delimiter"):
        scanned(content)


@pytest.mark.parametrize("length", ["\0\0\6\0\0\0", "\6\0"], ids=["32 bits", "16 bits"])
@pytest.mark.parametrize("vr", [b"??", b"  ", b"ob", b"Q1", b"\xff\xff"])
def test_vr_without_capitals_has_the_length_behind_which_an_element_follows(vr, length):
    odd = b"\x09\0\1\x10" + vr + length.encode() + b"ABCDEF"
    rows = element(EXPLICIT_LITTLE, 0x00280010, b"US", b"\1\2")
    scan = scanned(odd + rows)
    assert list(scan.elements) == [0x00091001, 0x00280010]
    assert [warning.code for warning in scan.warnings] == ["unknown_vr"]


def test_vr_without_capitals_before_no_element_is_an_error():
    with pytest.raises(ParseError, match="no element"):
        scanned(b"\x09\0\1\x10??\0\0\6\0\0\0ABCDEFsomething else")


@pytest.mark.parametrize("vr", [b"OB", b"OW"])
@pytest.mark.parametrize(
    ("tag", "expected"),
    [(0x00280120, None), (0x00280010, None), (0x00283006, True), (0x00091010, True)],
    ids=["US or SS", "US", "US or OW", "private"],
)
def test_vr_of_bytes_of_an_element_that_is_none_is_that_of_the_dictionary(tag, expected, vr):
    scan = scanned(element(EXPLICIT_LITTLE, tag, vr, b"\1\2"))
    assert (expected and vr.decode()) == scan.elements[BaseTag(tag)].VR


def test_sequence_of_undefined_length_that_does_not_parse_is_an_error():
    content = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"no items at all"
    with pytest.raises(ParseError, match=r"byte 12 is no part of \(0008,1140\)"):
        scanned(content)


class TestItems:
    def raw(self, content, encoding=EXPLICIT_LITTLE, vr="SQ"):
        return RawDataElement(BaseTag(0x00081140), vr, len(content), content, 0, *encoding)

    @pytest.mark.parametrize("undefined", [True, False])
    @pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
    def test_items_are_data_sets(self, encoding, undefined):
        inner = element(encoding, 0x00280010, b"US", b"\1\2")
        item = element(encoding, 0xFFFEE000, b"", inner, UNDEFINED if undefined else None)
        item += element(encoding, 0xFFFEE00D, b"", b"") if undefined else b""
        items, found = scan_items(self.raw(item * 2, encoding))
        assert [list(map(int, one.keys())) for one in items] == [[0x00280010]] * 2
        assert found == encoding

    @pytest.mark.parametrize("due", ENCODINGS, ids=str)
    @pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
    def test_items_of_another_encoding_are_data_sets(self, due, encoding):
        inner = element(encoding, 0x00280010, b"US", b"\1\2")
        item = element(encoding, 0xFFFEE000, b"", inner)
        items, _ = scan_items(self.raw(item * 2, due))
        assert [list(map(int, one.keys())) for one in items] == [[0x00280010]] * 2

    def test_items_before_a_broken_one_are_there(self):
        good = element(EXPLICIT_LITTLE, 0xFFFEE000, b"", b"")
        items, encoding = scan_items(self.raw(good * 3 + b"something"))
        assert (len(items), encoding) == (3, None)

    @given(st.binary(max_size=200), st.sampled_from(ENCODINGS), st.sampled_from(["SQ", "UN"]))
    def test_any_bytes_raise_nothing(self, content, encoding, vr):
        items, _ = scan_items(self.raw(content, encoding, vr))
        assert len(items) <= 25


class TestRest:
    def rest(self, content, encoding=EXPLICIT_LITTLE):
        warnings = []
        source = ReadAhead(MemorySource(b"xx" + content))
        return scan_rest(source, 2, encoding, warnings.append), [w.message for w in warnings]

    @pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
    def test_elements_may_follow(self, encoding):
        content = element(encoding, 0x7FE10010, b"LO", b"VENDOR")
        content += element(encoding, 0x7FE11001, b"OB", b"abcd")
        content += element(encoding, 0xFFFCFFFC, b"OB", bytes(20))
        assert self.rest(content, encoding) == ("", [])

    def test_cut_element_is_described(self):
        content = element(EXPLICIT_LITTLE, 0xFFFCFFFC, b"OB", bytes(20))
        assert self.rest(content[:-3])[0] == "3 bytes of (FFFC,FFFC) are missing"

    def test_explicit_elements_behind_an_implicit_data_set_are_read_past(self):
        content = element(EXPLICIT_LITTLE, 0xFFFCFFFC, b"OB", bytes(20))
        cut, messages = self.rest(content + bytes(9), IMPLICIT_LITTLE)
        assert cut == ""
        assert messages == [
            "(FFFC,FFFC) behind the data set is explicit VR little endian: ignored",
            "9 zeros behind the data set: not part of it, ignored",
        ]

    def test_such_an_element_that_is_cut_is_damage(self):
        content = element(EXPLICIT_LITTLE, 0xFFFCFFFC, b"OB", bytes(20))
        assert "bytes of (FFFC,FFFC) are missing" in self.rest(content[:-1], IMPLICIT_LITTLE)[0]

    @pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
    @pytest.mark.parametrize(
        ("content", "what"),
        [(bytes(500), "500 zeros"), (b" " * 9, "9 blanks"), (b"\0", "1 zero")],
    )
    def test_padding_is_a_warning(self, encoding, content, what):
        message = f"{what} behind the data set: not part of it, ignored"
        assert self.rest(content, encoding) == ("", [message])

    @given(st.binary(max_size=60), st.sampled_from(ENCODINGS))
    def test_other_bytes_are_a_warning(self, content, encoding):
        garbage = b"\x10\x10" + content  # in either order a group before that of the pixels
        message = f"{len(garbage)} bytes behind the data set: not part of it, ignored"
        assert self.rest(garbage, encoding) == ("", [message])


@given(st.binary(min_size=12, max_size=12), st.sampled_from(ENCODINGS))
def test_header_of_any_bytes_is_parsed(content, encoding):
    header = parse_element_header(content, 0, encoding)
    assert header.size in (8, 12)
    assert 0 <= header.length <= UNDEFINED


def test_long_private_element_in_the_place_of_a_creator_is_passed_over(monkeypatch):
    monkeypatch.setattr(scanning, "MAX_VALUE", 100)
    creator = 0x7E010020
    content = element(EXPLICIT_LITTLE, creator, b"OB", bytes(200))
    content += element(EXPLICIT_LITTLE, 0x7FE10010, b"LO", b"HERE")
    assert values_of(scanned(content, wanted=READ_TAGS | {0x7FE10010})) == {
        creator: b"",
        0x7FE10010: b"HERE",
    }
