"""Conversion of display values between dtypes, by every value."""

import numpy as np
import pytest

from dicom_preprocessing import convert
from dicom_preprocessing.imaging.conversion import are_black

EVERY_U8 = np.arange(256, dtype=np.uint8)
EVERY_U16 = np.arange(65536, dtype=np.uint16)


def test_u16_to_u8():
    expected = [(v * 255 + 32767) // 65535 for v in range(65536)]
    assert convert(EVERY_U16, np.uint8).tolist() == expected
    # As the design writes it for crop and padding: the nearest of the values v * 257.
    assert [(v + 128) // 257 for v in range(65536)] == expected


@pytest.mark.parametrize("values", [EVERY_U8, EVERY_U16, EVERY_U16.astype(np.float32) / 65535])
def test_black_is_what_becomes_0_in_8_bits(values):
    assert np.array_equal(are_black(values), convert(values, np.uint8) == 0)


def test_u8_to_u16():
    assert convert(EVERY_U8, np.uint16).tolist() == [v * 257 for v in range(256)]


@pytest.mark.parametrize(("values", "top"), [(EVERY_U8, 255), (EVERY_U16, 65535)])
def test_to_f32(values, top):
    converted = convert(values, np.float32)
    assert converted.dtype == np.float32
    np.testing.assert_array_equal(converted, values.astype(np.float32) / top)


@pytest.mark.parametrize("values", [EVERY_U8, EVERY_U16])
def test_there_and_back(values):
    np.testing.assert_array_equal(convert(convert(values, np.float32), values.dtype), values)


def test_floats_beyond_the_range_are_clamped():
    values = np.array([-1, 2, np.nan, np.inf], np.float32)
    assert convert(values, np.uint8).tolist() == [0, 255, 0, 255]


@pytest.mark.parametrize("values", [EVERY_U8, EVERY_U16, EVERY_U16.astype(np.float32)])
def test_same_dtype_is_not_copied(values):
    assert convert(values, values.dtype) is values


@pytest.mark.parametrize(("of", "to"), [(np.int16, np.uint8), (np.uint8, np.float64)])
def test_other_dtypes_are_refused(of, to):
    with pytest.raises(TypeError, match="cannot convert"):
        convert(np.zeros(1, of), to)
