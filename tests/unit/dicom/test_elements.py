"""Values of elements: of which types they are, and what becomes of those that do not convert."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom_preprocessing.dicom import elements
from dicom_preprocessing.dicom.attribute import ABSENT, Attribute
from dicom_preprocessing.dicom.data_set import describe
from tests.unit.datasets import item
from tests.unit.dicom.raw_elements import raw, with_vr

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


class TestValues:
    def test_absent(self):
        assert describe(Dataset()).pixel.rows is ABSENT

    def test_one(self):
        assert describe(item(Rows=3)).pixel.rows == Attribute("Rows", (3,))

    def test_several_decimals(self):
        found = describe(item(WindowCenter=[1.5, -2])).top.window_center
        assert found == Attribute("WindowCenter", ("1.5", "-2.0"))

    def test_several_binary_numbers(self):
        found = describe(raw("Rows", "US", b"\1\0\2\0")).pixel.rows
        assert found == Attribute("Rows", (1, 2))

    @pytest.mark.parametrize("vr", ["US", "DS", "IS"])
    def test_none(self, vr):
        found = describe(raw("Rows", vr, b"")).pixel.rows
        assert found == Attribute("Rows", ())

    def test_no_text_is_empty_and_present(self):
        found = describe(item(PhotometricInterpretation="")).pixel.photometric_interpretation
        assert (found.is_present, found.is_empty) == (True, True)

    @pytest.mark.parametrize(
        ("vr", "content", "kind"),
        [
            ("US", b"\1\0", int),
            ("UL", b"\1\0\0\0", int),
            ("IS", b"12", str),
            ("IS", b"\xb2", str),
            ("DS", b"1.50", str),
            ("DS", b"1e999 ", str),
            ("FD", bytes(8), float),
            ("DS", b"x ", str),
            ("UI", b"1.2\0", str),
            ("UI", b"1.\xb2", str),
            ("LO", b"x", str),
            ("PN", b"A^B ", str),
            ("DA", b"20260101", str),
            ("AT", b"\1\0\2\0", int),
            ("OB", b"\1\2", bytes),
        ],
    )
    def test_are_of_python_and_not_of_pydicom(self, vr, content, kind):
        (value,) = describe(raw("Rows", vr, content)).pixel.rows.values
        assert type(value) is kind

    def test_numbers_that_are_text_stay_as_they_are_written(self):
        found = describe(raw("RescaleSlope", "DS", b" 1.50\\+2E0 ")).top.rescale_slope
        assert found.values == ("1.50", "+2E0")

    def test_numbers_of_a_data_set_in_memory_are_text_too(self):
        assert describe(item(NumberOfFrames="3")).pixel.number_of_frames.values == ("3",)

    def test_wrong_value_representation_is_taken_as_it_is(self):
        assert describe(with_vr("Rows", "LO", "3")).pixel.rows == Attribute("Rows", ("3",))

    @pytest.mark.parametrize(
        ("vr", "content"), [("US", b"\1\2\3"), ("FD", b"123"), ("UL", b"12345")]
    )
    def test_bytes_that_do_not_convert_are_kept(self, vr, content):
        assert describe(raw("Rows", vr, content)).pixel.rows == Attribute("Rows", raw=content)

    def test_decimals_in_bytes_that_do_not_convert_may_be_read(self):
        found = describe(raw("PixelSpacing", "FD", b"0.5\\0.25"[:7]))
        assert found.top.pixel_spacing.numbers() == (0.5, 0.2)

    def test_sequence_for_a_value_is_no_value(self):
        found = describe(with_vr("Rows", "SQ", [item(Columns=3)])).pixel.rows
        assert (found.values, found.is_empty, found.text()) == ((), False, "")
        assert found.shorten_for_message() == "(sequence)"

    def test_sequence_for_a_value_may_hold_what_does_not_convert(self):
        broken = with_vr("RescaleSlope", "SQ", [raw("Rows", "US", b"\1\2\3")])
        assert not describe(broken).top.rescale().is_finite

    def test_private_elements_are_left_out(self):
        data_set = item(Rows=3)
        data_set.private_block(0x0029, "maker", create=True).add_new(1, "US", 9)
        assert describe(data_set) == describe(item(Rows=3))


ODD = st.text("0123456789.+-eE \\\0naix", max_size=9).map(str.encode) | st.binary(max_size=9)


@given(st.sampled_from([*elements.NUMBERS, *elements.TEXTS]), ODD)
def test_plain_values_are_those_of_pydicom(vr, content):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "plain_values", lambda _: None)
        expected = describe(raw("Rows", vr, content)).pixel.rows
    found = describe(raw("Rows", vr, content)).pixel.rows
    if expected.raw is None:  # an IS of 1e999 keeps all from being converted
        assert (found.raw, len(found.values)) == (None, len(expected.values))
    if content.isascii() and content.decode().isprintable():
        np.testing.assert_array_equal(found.numbers(), expected.numbers())
        assert found.integer() == expected.integer() or expected.raw is not None
        assert found.is_empty == expected.is_empty


def test_each_value_is_stripped_of_its_padding():
    found = describe(raw("PixelSpacing", "DS", b"0.5\0\\ 0.25 "))
    assert found.top.pixel_spacing.values == ("0.5", "0.25")
