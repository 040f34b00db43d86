"""Where the pixel data element lies in a file."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.dicom.element_header import EXPLICIT_LITTLE, Encoding
from dicom_preprocessing.dicom.pixel_data import locate_pixel_data
from dicom_preprocessing.dicom.scanning import ParseError
from dicom_preprocessing.dicom.sources import FileSource, MemorySource
from dicom_preprocessing.errors import DecodeError, UnreadableError

TAG = b"\xe0\x7f\x10\x00"
ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0" + bytes(4)


def item(content):
    return ITEM + struct.pack("<L", len(content)) + content


def located(content, *, implicit=False, little_endian=True, before=b"xx"):
    source = MemorySource(before + content)
    encoding = Encoding(is_implicit=implicit, is_little_endian=little_endian)
    return locate_pixel_data(source, len(before), encoding)


def value_of(pixel_data):
    return pixel_data.source.read(*pixel_data.value)


class TestNative:
    def test_explicit_vr_with_a_long_length(self):
        found = located(TAG + b"OW\0\0" + struct.pack("<L", 4) + b"abcdrest")
        assert (found.keyword, found.vr, value_of(found)) == ("PixelData", "OW", b"abcd")
        assert found.source.read(found.end, 9) == b"rest"

    def test_explicit_vr_with_a_short_length(self):
        assert value_of(located(TAG + b"US" + struct.pack("<H", 2) + b"abcd")) == b"ab"

    def test_implicit_vr(self):
        found = located(TAG + struct.pack("<L", 2) + b"abcd", implicit=True)
        assert (found.vr, value_of(found)) == (None, b"ab")

    @pytest.mark.parametrize("vr", [b"OB", b"OW", b"OF", b"OD", b"UN"])
    def test_explicit_vr_in_an_implicit_data_set(self, vr):
        content = TAG + vr + b"\0\0" + struct.pack("<L", 4) + b"abcdrest"
        warnings = []
        source, encoding = MemorySource(content), Encoding(True, True)
        found = locate_pixel_data(source, 0, encoding, warnings.append)
        assert (found.vr, value_of(found)) == (vr.decode(), b"abcd")
        assert [warning.code for warning in warnings] == ["encoding_contradicts_syntax"]

    def test_explicit_vr_in_an_implicit_data_set_must_fit_the_file(self):
        content = TAG + b"OW\0\0" + struct.pack("<L", 400) + b"abcd"
        assert located(content, implicit=True).vr is None

    def warned(self, content, encoding=EXPLICIT_LITTLE):
        warnings = []
        found = locate_pixel_data(MemorySource(content), 0, encoding, warnings.append)
        return found, [warning.code for warning in warnings]

    def test_implicit_vr_in_an_explicit_data_set(self):
        found, codes = self.warned(TAG + struct.pack("<L", 4) + b"abcd")
        assert (found.vr, value_of(found)) == (None, b"abcd")
        assert codes == ["encoding_contradicts_syntax"]

    @pytest.mark.parametrize("vr", [b"ZZ", b"ow", b"\0\0", b"\1\2", b"--"])
    @pytest.mark.parametrize("behind", [b"", b"\xfc\xff\xfc\xffOB" + bytes(6)])
    def test_unknown_vr_has_a_long_length(self, vr, behind):
        found, codes = self.warned(TAG + vr + b"\0\0" + struct.pack("<L", 4) + b"abcd" + behind)
        assert (found.vr, value_of(found), codes) == (None, b"abcd", ["unknown_vr"])

    def test_unknown_vr_that_may_be_a_length_is_an_error(self):
        content = TAG + b"\2\0\0\0" + struct.pack("<L", 4) + b"abcdgarbage"
        with pytest.raises(ParseError, match=r"\(7FE0,0010\) at byte 0 has neither a VR nor"):
            located(content, before=b"")

    @pytest.mark.parametrize("implicit", [False, True])
    def test_length_beyond_the_end_is_a_warning(self, implicit):
        encoding = EXPLICIT_LITTLE._replace(is_implicit=implicit)
        head = b"" if implicit else b"OW\0\0"
        found, codes = self.warned(TAG + head + struct.pack("<L", 400) + b"abcd", encoding)
        assert (value_of(found), codes) == (b"abcd", ["length_beyond_end"])

    @given(st.binary(max_size=40), st.booleans(), st.booleans())
    def test_any_bytes_raise_no_other_error(self, content, implicit, little_endian):
        tag = TAG if little_endian else b"\x7f\xe0\x00\x10"
        with suppress(ParseError, DecodeError):
            located(tag + content, implicit=implicit, little_endian=little_endian)

    def test_big_endian(self):
        content = b"\x7f\xe0\x00\x08" + b"OF\0\0" + struct.pack(">L", 4) + b"abcd"
        found = located(content, little_endian=False)
        assert (found.keyword, value_of(found)) == ("FloatPixelData", b"abcd")

    def test_cut_value_is_what_is_there(self):
        assert value_of(located(TAG + b"OW\0\0" + struct.pack("<L", 400) + b"abcd")) == b"abcd"

    @pytest.mark.parametrize("length", [4, 7, 11])
    def test_cut_header_is_an_error(self, length):
        content = TAG + b"OW\0\0" + struct.pack("<L", 4)
        with pytest.raises(DecodeError, match="ends inside the pixel data"):
            located(content[:length])


class TestItems:
    @pytest.mark.parametrize("little_endian", [True, False])
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_items_have_their_own_byte_order(self, order, little_endian):
        tags = [(0xFFFE, 0xE000, 0), (0xFFFE, 0xE000, 4), (0xFFFE, 0xE0DD, 0)]
        heads = [struct.pack(f"{order}HHL", *tag) for tag in tags]
        start = struct.pack("<HH" if little_endian else ">HH", 0x7FE0, 0x10)
        content = start + b"OB\0\0" + b"\xff" * 4 + heads[0] + heads[1] + b"abcd" + heads[2]
        found = located(content, little_endian=little_endian)
        assert [found.source.read(*one) for one in found.items] == [b"", b"abcd"]

    HEAD = TAG + b"OB\0\0" + b"\xff" * 4

    def items(self, content):
        found = located(self.HEAD + content)
        return [found.source.read(*span) for span in found.fragments()], found

    def test_up_to_the_delimiter(self):
        items, found = self.items(item(b"") + item(b"one") + item(b"two") + END + b"rest")
        assert items == [b"", b"one", b"two"]
        assert found.source.read(found.end, 9) == b"rest"

    def test_delimiter_may_be_missing(self):
        assert self.items(item(b"") + item(b"one"))[0] == [b"", b"one"]

    @given(st.integers(0, 20), st.sampled_from([b"\0", b" "]))
    def test_any_number_of_zeros_or_blanks_in_its_place_is_one_warning(self, number, byte):
        content = self.HEAD + item(b"") + item(b"one") + number * byte
        warnings = []
        found = locate_pixel_data(MemorySource(content), 0, EXPLICIT_LITTLE, warnings.append)
        assert (len(found.items), found.end) == (2, len(content))
        assert [warning.code for warning in warnings] == ["no_sequence_delimiter"]

    def test_last_one_may_be_cut(self):
        assert self.items(item(b"") + item(b"whole")[:-2])[0] == [b"", b"who"]

    def test_something_else_is_an_error(self):
        with pytest.raises(DecodeError, match="no fragment at byte"):
            self.items(item(b"") + b"something else")

    def test_item_of_undefined_length_is_an_error(self):
        with pytest.raises(DecodeError, match="no fragment at byte"):
            self.items(ITEM + b"\xff" * 4 + b"abcdefgh")

    def test_cut_header_is_an_error(self):
        with pytest.raises(DecodeError, match="ends inside the header of a fragment"):
            self.items(item(b"") + ITEM + b"\x05")


class TestSources:
    def test_file_reads_from_any_place(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"0123456789")
        source = FileSource(path)
        assert (source.size, source.read(2, 3), source.read(8, 9)) == (10, b"234", b"89")
        assert source.read(20, 3) == b""

    def test_unreadable_file_is_transient(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"0123456789")
        source = FileSource(path)
        source.descriptor = -1
        with pytest.raises(UnreadableError):
            source.read(0, 3)
