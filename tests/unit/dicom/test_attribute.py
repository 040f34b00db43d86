"""One attribute as it stands in a file: whatever its values are, asking them never raises."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.dicom.attribute import ABSENT, MAX_TEXT_LENGTH, Attribute, clean_text


def attribute(*values):
    return Attribute("WindowCenter", values)


UNREADABLE = Attribute("WindowCenter", raw=b"12\\x")


class TestEmpty:
    def test_absent_is_empty_and_not_present(self):
        assert (ABSENT.is_empty, ABSENT.is_present) == (True, False)

    def test_without_a_value_it_is_empty_and_present(self):
        assert (attribute().is_empty, attribute().is_present) == (True, True)

    @pytest.mark.parametrize("value", ["", "  ", b""])
    def test_of_blanks_it_is_empty(self, value):
        assert attribute(value).is_empty

    @pytest.mark.parametrize("value", [0, 0.0, math.nan, "0", b"\0"])
    def test_zero_and_nan_are_values(self, value):
        assert not attribute(value).is_empty

    def test_several_empty_values_are_not_empty(self):
        assert not attribute("", "").is_empty

    def test_bytes_that_do_not_convert_are_a_value(self):
        assert not UNREADABLE.is_empty

    def test_no_bytes_that_do_not_convert_are_empty(self):
        assert Attribute("Rows", raw=b"").is_empty


class TestSeveral:
    @pytest.mark.parametrize(("count", "several"), [(0, False), (1, False), (2, True)])
    def test_more_than_one_value(self, count, several):
        assert attribute(*range(count)).has_several is several


class TestText:
    def test_first_value_without_blanks_and_nul(self):
        assert attribute(" CC \0", "MLO").text() == "CC"

    def test_none_is_empty(self):
        assert attribute().text() == ""

    def test_zero_is_a_text(self):
        assert attribute(0).text() == "0"

    def test_bytes_are_no_text(self):
        assert attribute(b"CC").text() == ""

    def test_bytes_that_do_not_convert_are_no_text(self):
        assert UNREADABLE.text() == ""

    def test_texts_are_all_values(self):
        assert attribute(" A", "FR ").texts() == ("A", "FR")

    def test_joined_keeps_blanks_within(self):
        assert attribute(" 1.2 ", " 3").joined_text() == "1.2 \\ 3"


class TestInteger:
    @pytest.mark.parametrize("value", [3, 3.0, "3", " 3 ", "3.0", b"3"])
    def test_whole_number(self, value):
        assert attribute(value).integer() == 3

    def test_first_of_several(self):
        assert attribute(3, 4).integer() == 3

    @pytest.mark.parametrize("value", ["", "x", "1e999", math.nan, math.inf, b"\xff", b""])
    def test_what_is_no_whole_number_is_the_default(self, value):
        assert attribute(value).integer(-1) == -1

    @pytest.mark.parametrize("value", ["2.5", 2.5, "2.999", " 2.5 "])
    def test_what_is_behind_the_point_is_cut(self, value):
        assert attribute(value).integer() == 2

    def test_whole_numbers_have_any_length(self):
        assert attribute("9" * 20).integer() == 10**20 - 1

    def test_absent_is_the_default(self):
        assert (ABSENT.integer(), ABSENT.integer(7)) == (0, 7)

    def test_bytes_that_do_not_convert_are_the_default(self):
        assert UNREADABLE.integer(-1) == -1


class TestNumbers:
    def test_of_each_value(self):
        assert attribute(1, "2.5", b"3").numbers() == (1.0, 2.5, 3.0)

    @pytest.mark.parametrize("values", [(), ("",)])
    def test_no_value_is_no_number(self, values):
        assert attribute(*values).numbers() == ()

    @pytest.mark.parametrize("value", ["x", "1,0", b"\xff", 10**400])
    def test_what_is_no_number_is_nan(self, value):
        first, second = attribute(value, 2).numbers()
        assert (math.isnan(first), second) == (True, 2.0)

    def test_each_part_of_bytes_that_do_not_convert_is_tried(self):
        first, second = UNREADABLE.numbers()
        assert (first, math.isnan(second)) == (12.0, True)


class TestVector:
    def test_of_the_right_length(self):
        assert attribute(1, "2", 3.5).vector(3) == (1.0, 2.0, 3.5)

    @pytest.mark.parametrize("values", [(), (1, 2), (1, 2, 3, 4), (1, 2, "x"), (1, 2, math.inf)])
    def test_of_other_numbers_is_none(self, values):
        assert attribute(*values).vector(3) is None


class TestContent:
    def test_bytes(self):
        assert attribute(b"\1\2").content() == b"\1\2"

    @pytest.mark.parametrize("values", [(), ("12",), (12,)])
    def test_of_anything_else_is_empty(self, values):
        assert attribute(*values).content() == b""


class TestShown:
    def test_none_without_values(self):
        assert attribute().shorten_for_message() is None

    def test_values_are_joined(self):
        assert attribute(1, 2.5, "x", b"\xe9").shorten_for_message() == "1\\2.5\\x\\\u00e9"

    def test_text_is_as_it_is_written(self):
        assert attribute("4096.00").shorten_for_message() == "4096.00"

    def test_bytes_that_do_not_convert_are_shown(self):
        assert UNREADABLE.shorten_for_message() == "12\\x"

    def test_longest_text_is_whole(self):
        assert attribute("a" * MAX_TEXT_LENGTH).shorten_for_message() == "a" * 64

    def test_longer_text_is_cut(self):
        assert attribute("a" * (MAX_TEXT_LENGTH + 1)).shorten_for_message() == "a" * 61 + "..."


TEXTS = st.text("0123456789.eE+-_nai \0x\u00e9", max_size=9)
VALUES = st.one_of(st.integers(), st.floats(), TEXTS, st.binary(max_size=9))
ATTRIBUTES = st.builds(Attribute, st.just("Rows"), st.lists(VALUES, max_size=4).map(tuple))
RAW = st.builds(lambda raw: Attribute("Rows", raw=raw), st.binary(max_size=20))


@given(ATTRIBUTES | RAW)
def test_nothing_that_is_asked_of_it_raises(found):
    assert isinstance(found.is_empty, bool)
    assert isinstance(found.text() + found.joined_text() + "".join(found.texts()), str)
    assert isinstance(found.integer(), int)
    assert all(isinstance(number, float) for number in found.numbers())
    assert isinstance(found.content(), bytes)
    assert len(found.shorten_for_message() or "") <= MAX_TEXT_LENGTH
    assert found.vector(1) is None or math.isfinite(found.vector(1)[0])


@given(ATTRIBUTES)
def test_there_is_a_number_for_each_value_of_several(found):
    if found.has_several:
        assert len(found.numbers()) == len(found.values)


# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


@pytest.mark.parametrize("value", ["1.2.3\0", " 1.2.3 ", "1.2.3\0 \0", "\t1.2.3\r\n"])
def test_uid_is_stripped_of_blanks_and_nul(value):
    assert clean_text(value) == "1.2.3"
