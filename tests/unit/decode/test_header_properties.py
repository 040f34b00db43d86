"""Any header that makes sense: no crash, dtype and range as documented, order of values kept."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.decode.modality import modality_dtype, modality_of_frames, modality_values
from dicom_preprocessing.dicom.data_set import describe
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.datasets import data_set_of, display_values, format_of, stored_pixels

FUNCTIONS = (None, "LINEAR", "LINEAR_EXACT", "SIGMOID")
NUMBERS = st.floats(-1e5, 1e5).map(lambda x: float(f"{x:.6g}"))


@st.composite
def headers(draw):
    """Bits Stored, High Bit, sign, slope, intercept, windows and function, with pixels."""
    bits_stored = draw(st.integers(1, 16))
    bits_allocated = 8 if bits_stored <= 8 and draw(st.booleans()) else 16
    high_bit = draw(st.integers(bits_stored - 1, bits_allocated - 1))
    is_signed = draw(st.booleans())
    values = draw(st.lists(st.integers(0, 2**bits_allocated - 1), min_size=4, max_size=4))
    pixels = np.array(values, f"u{bits_allocated // 8}").reshape(1, 2, 2)
    if is_signed:
        pixels = pixels.view(f"i{bits_allocated // 8}")
    attributes = {"HighBit": high_bit, "PixelRepresentation": int(is_signed)}
    if draw(st.booleans()):
        attributes |= {"RescaleSlope": draw(NUMBERS), "RescaleIntercept": draw(NUMBERS)}
    if draw(st.booleans()):
        windows = draw(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=3))
        attributes |= {"WindowCenter": [c for c, _ in windows]}
        attributes |= {"WindowWidth": [w for _, w in windows]}
        attributes |= {"VOILUTFunction": draw(st.sampled_from(FUNCTIONS))}
    attributes["PhotometricInterpretation"] = draw(st.sampled_from(("MONOCHROME1", "MONOCHROME2")))
    return data_set_of(pixels, bits_stored=bits_stored, **attributes)


def stored_of(data_set):
    data_set.file_meta = None
    del data_set.file_meta
    pixel_format = format_of(data_set)
    data_set.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    return pixel_format, stored_pixels(data_set)


@given(headers())
def test_stored_values_are_within_bits_stored(data_set):
    pixel_format, stored = stored_of(data_set)
    half = 2 ** (pixel_format.bits_stored - 1)
    low, high = (-half, half - 1) if pixel_format.is_signed else (0, 2 * half - 1)
    assert stored.min() >= low
    assert stored.max() <= high


@given(headers())
def test_stored_values_are_the_bits_up_to_the_high_bit(data_set):
    pixel_format, stored = stored_of(data_set)
    raw = np.frombuffer(data_set.PixelData, f"<u{pixel_format.bits_allocated // 8}").astype(
        np.int64
    )
    shift = pixel_format.high_bit - pixel_format.bits_stored + 1
    expected = (raw >> shift) & ((1 << pixel_format.bits_stored) - 1)
    if pixel_format.is_signed:
        expected -= (expected >> (pixel_format.bits_stored - 1)) << pixel_format.bits_stored
    assert stored.ravel().tolist() == expected.tolist()


@given(headers(), st.sampled_from(("voi", "minmax")))
def test_display_values_have_the_documented_dtype_and_order(data_set, intensity):
    pixel_format, stored = stored_of(data_set)
    values, _ = display_values(data_set, stored, pixel_format, intensity=intensity)
    assert values.dtype == (np.uint8 if pixel_format.bits_stored <= 8 else np.uint16)
    order = np.argsort(stored, axis=None, kind="stable")
    steps = np.diff(values.ravel()[order].astype(np.int64))
    falling = pixel_format.photometric_interpretation == "MONOCHROME1"
    if float(data_set.get("RescaleSlope", 1.0)) < 0 and pixel_format.bits_stored > 1:
        falling = not falling
    assert np.all(steps <= 0) if falling else np.all(steps >= 0)


@given(headers(), st.tuples(NUMBERS, st.floats(1e-3, 1e5)))
def test_configured_window_has_the_documented_dtype(data_set, window):
    pixel_format, stored = stored_of(data_set)
    values, warnings = display_values(data_set, stored, pixel_format, window=window)
    assert values.dtype == (np.uint8 if pixel_format.bits_stored <= 8 else np.uint16)
    slope = data_set.get("RescaleSlope")
    is_zero = slope == 0 and pixel_format.bits_stored > 1  # single bits are black and white
    assert warnings == (["Rescale Slope is 0 and counts as 1"] if is_zero else [])


@given(headers())
def test_stored_intensity_is_the_modality_transform_in_a_dtype_that_the_header_decides(data_set):
    pixel_format, stored = stored_of(data_set)
    description = describe(data_set)
    values, background = modality_values(description, stored, pixel_format, ImageWarnings())
    (rescale,) = modality_of_frames(description, pixel_format, ImageWarnings())
    exact = rescale.slope * stored.astype(np.float64) + rescale.intercept
    assert values.dtype == modality_dtype([rescale], pixel_format)
    if values.dtype.kind in "iu":
        assert np.array_equal(values, exact)
    else:
        assert np.array_equal(values, exact.astype(np.float32))
    is_white = pixel_format.photometric_interpretation == "MONOCHROME1"
    assert background == (values.max() if is_white else values.min())
