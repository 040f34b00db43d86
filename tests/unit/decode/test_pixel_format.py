"""What the Image Pixel Module says of pixels, by descriptions written by hand."""

import re

import numpy as np
import pytest
from pydicom.uid import JPEGBaseline8Bit

from dicom_preprocessing.decode.photometric import COLOUR, MONOCHROME, read_photometric
from dicom_preprocessing.decode.pixel_format import PixelFormat, read_pixel_format
from dicom_preprocessing.dicom.attribute import Attribute
from dicom_preprocessing.dicom.description import NO_LUT
from dicom_preprocessing.errors import MissingAttributeError, UnsupportedPixelsError
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.descriptions import description_of, table

RGB = {"samples_per_pixel": 3, "photometric_interpretation": "RGB"}


def format_of(keyword="PixelData", **values):
    return read_pixel_format(description_of(**values), keyword, ImageWarnings())


def bits(allocated, stored=None, **values):
    stored = stored or allocated
    return {"bits_allocated": allocated, "bits_stored": stored, "high_bit": stored - 1} | values


class TestFormat:
    def test_of_grey_pixels(self):
        assert format_of(rows=3, columns=4, number_of_frames=5, **bits(16, 12)) == PixelFormat(
            keyword="PixelData",
            rows=3,
            columns=4,
            samples_per_pixel=1,
            number_of_frames=5,
            photometric_interpretation="MONOCHROME2",
            bits_allocated=16,
            bits_stored=12,
            high_bit=11,
            is_signed=False,
        )

    @pytest.mark.parametrize("value", ["3", 3.0, (3, 9)])
    def test_number_of_another_kind_counts(self, value):
        assert format_of(rows=value).rows == 3

    def test_photometric_interpretation_is_stripped(self):
        assert format_of(photometric_interpretation="MONOCHROME1 \0").is_inverted

    @pytest.mark.parametrize(
        "spell",
        [
            str.lower,
            lambda known: known.replace("_", " "),
            lambda known: known.replace("_", ""),
            lambda known: known.replace(" ", "_"),
            " ".join,
            lambda known: known[:2] + "\0" + known[2:],
            lambda known: f"{known}.",
        ],
    )
    @pytest.mark.parametrize("known", [*MONOCHROME, "PALETTE COLOR", *COLOUR])
    def test_photometric_interpretation_is_known_by_its_letters(self, spell, known):
        warnings = ImageWarnings()
        read = read_photometric(
            description_of(photometric_interpretation=spell(known)), None, warnings
        )
        assert read == known
        expected = [] if spell(known) == known else ["photometric_spelling"]
        assert [warning.code for warning in warnings] == expected

    @pytest.mark.parametrize("values", [("RGB", ""), ("", "RGB"), ("RGB", "YBR_FULL")])
    def test_first_photometric_interpretation_counts(self, values):
        warnings = ImageWarnings()
        described = description_of(photometric_interpretation=values)
        assert read_photometric(described, None, warnings) == "RGB"
        assert [warning.code for warning in warnings] == ["photometric_spelling"]

    @pytest.mark.parametrize("value", ["ARGB", "MONOCHROME", "YBR", "YBR_FULL_444"])
    def test_unknown_photometric_interpretation_stays(self, value):
        warnings = ImageWarnings()
        described = description_of(photometric_interpretation=value)
        assert read_photometric(described, None, warnings) == value
        assert not list(warnings)

    def test_palettes_of_one_sample_tell_what_is_missing(self):
        tables, warnings = (table(1, 2), table(3, 4), table(5, 6)), ImageWarnings()
        described = description_of(photometric_interpretation=None, palette=tables)
        assert read_pixel_format(described, "PixelData", warnings).dtype == np.uint8
        assert [warning.code for warning in warnings] == ["photometric_assumed"]

    def test_two_palettes_tell_nothing(self):
        described = description_of(
            photometric_interpretation=None, palette=(table(1, 2), table(3, 4), NO_LUT)
        )
        with pytest.raises(MissingAttributeError, match="Photometric Interpretation is missing"):
            read_pixel_format(described, "PixelData", ImageWarnings())

    @pytest.mark.parametrize(("representation", "signed"), [(1, True), (0, False)])
    def test_sign(self, representation, signed):
        assert format_of(pixel_representation=representation).is_signed is signed

    def test_single_bit_has_no_sign(self):
        assert not format_of(pixel_representation=1, **bits(8, 1)).is_signed

    def test_missing_high_bit_is_the_usual_one(self):
        assert format_of(**bits(16, 12, high_bit=None)).high_bit == 11

    @pytest.mark.parametrize(("high", "expected"), [(15, 15), (13, 13), (16, 11), (10, 11)])
    def test_high_bit_counts_within_bits_allocated(self, high, expected):
        assert format_of(**bits(16, 12, high_bit=high)).high_bit == expected

    @pytest.mark.parametrize(
        ("values", "dtype"),
        [
            (bits(8), np.uint8),
            (bits(1), np.uint8),
            (bits(16, 8), np.uint16),
            (bits(16, pixel_representation=1), np.int16),
            (bits(32), np.uint32),
            (bits(16, 8) | RGB, np.uint8),
            (bits(16, 12) | RGB, np.uint16),
            (bits(16, 8, photometric_interpretation="PALETTE COLOR"), np.uint8),
        ],
    )
    def test_dtype(self, values, dtype):
        assert format_of(**values).dtype == dtype

    @pytest.mark.parametrize(("keyword", "size"), [("Float", 32), ("DoubleFloat", 64)])
    def test_floats_need_no_bits_stored(self, keyword, size):
        found = format_of(f"{keyword}PixelData", bits_allocated=size, bits_stored=None)
        assert (found.is_float, found.dtype) == (True, f"f{size // 8}")

    @pytest.mark.parametrize(
        ("values", "size"),
        [
            (bits(16), 2 * 3 * 5 * 2),
            (bits(1), 4),  # 30 bits
            (RGB, 2 * 3 * 5 * 3),
            (RGB | {"photometric_interpretation": "YBR_FULL_422"}, 2 * 3 * 5 * 2),
        ],
    )
    def test_native_bytes(self, values, size):
        assert format_of(rows=2, columns=3, number_of_frames=5, **values).native_bytes == size


class TestMissing:
    @pytest.mark.parametrize(
        "keyword", ["Rows", "Columns", "BitsAllocated", "BitsStored", "SamplesPerPixel"]
    )
    @pytest.mark.parametrize("value", [None, (), "", 0, -1, "x", 0.5, float("nan"), b"\1"])
    def test_number_that_is_none_is_named(self, keyword, value):
        field = "".join(f"_{c.lower()}" if c.isupper() else c for c in keyword).lstrip("_")
        found = (
            "empty" if value in ((), "") else "missing" if value is None else re.escape(str(value))
        )
        found = r"\\x01" if value == b"\1" else found
        message = f"^{keyword} is {found}; allowed are whole numbers of at least 1$"
        with pytest.raises(MissingAttributeError, match=message):
            format_of(**{field: value})

    def test_bytes_that_do_not_convert_are_shown(self):
        with pytest.raises(MissingAttributeError, match=r"Rows is \\x01\\x02\\x03; allowed"):
            format_of(rows=Attribute("Rows", raw=b"\1\2\3"))

    @pytest.mark.parametrize("value", [None, "", " ", b"MONOCHROME2"])
    def test_photometric_interpretation(self, value):
        with pytest.raises(MissingAttributeError, match="Photometric Interpretation is missing"):
            format_of(photometric_interpretation=value)

    @pytest.mark.parametrize("value", [None, (), 2, "x", (0, 1)])
    def test_pixel_representation_other_than_0_or_1(self, value):
        with pytest.raises(MissingAttributeError, match=r"is .+; allowed are 0 and 1$"):
            format_of(pixel_representation=value)

    def test_more_bits_stored_than_allocated(self):
        with pytest.raises(MissingAttributeError, match="17 bits stored do not fit 16"):
            format_of(**bits(16, 17))

    @pytest.mark.parametrize("value", [2, -1])
    def test_planar_configuration_of_colour_other_than_0_or_1(self, value):
        with pytest.raises(
            MissingAttributeError, match=f"Planar Configuration is {value}; allowed"
        ):
            format_of(planar_configuration=value, **RGB)


class TestNumberOfFrames:
    @pytest.mark.parametrize("value", [None, (), "", " "])
    def test_absent_or_empty_is_one(self, value):
        assert format_of(number_of_frames=value).number_of_frames == 1

    @pytest.mark.parametrize("value", [0, -1, "x", 0.5, float("inf"), b"\1"])
    def test_what_is_no_positive_number_is_an_error(self, value):
        with pytest.raises(MissingAttributeError, match=r"of Frames is .+; allowed are whole"):
            format_of(number_of_frames=value)

    def test_bytes_that_do_not_convert_are_an_error(self):
        with pytest.raises(MissingAttributeError, match="Number of Frames"):
            format_of(number_of_frames=Attribute("NumberOfFrames", raw=b"x"))


class TestUnsupported:
    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (bits(24), "Bits Allocated is 24; PixelData is read with 1, 8, 12, 16 or 32$"),
            (bits(64), "Bits Allocated is 64; PixelData is read with 1, 8, 12, 16 or 32$"),
            (RGB | {"pixel_representation": 1}, "RGB with 3 signed samples of 8 bits"),
            (RGB | {"photometric_interpretation": "CMYK"}, "CMYK with 3 samples"),
            (RGB | {"photometric_interpretation": "MONOCHROME2"}, "MONOCHROME2 with 3 samples"),
            (RGB | {"samples_per_pixel": 1}, "RGB with 1 samples"),
            (RGB | bits(32), "RGB with 3 samples of 32 bits"),
            (RGB | {"photometric_interpretation": "PALETTE COLOR"}, "PALETTE COLOR with 3 samples"),
        ],
    )
    def test_combination_is_named(self, values, message):
        with pytest.raises(UnsupportedPixelsError, match=message):
            format_of(**values)

    @pytest.mark.parametrize("size", [8, 16])
    def test_floats_of_few_bits(self, size):
        with pytest.raises(
            UnsupportedPixelsError, match=f"is {size}; FloatPixelData is read with 32 or 64$"
        ):
            format_of("FloatPixelData", bits_allocated=size)

    def test_colour_of_floats(self):
        with pytest.raises(UnsupportedPixelsError, match="RGB with 3 samples of 32 bits"):
            format_of("FloatPixelData", bits_allocated=32, **RGB)

    def test_ybr_partial_420_is_for_compressed_pixels_only(self):
        values = RGB | {"photometric_interpretation": "YBR_PARTIAL_420"}
        with pytest.raises(UnsupportedPixelsError, match="for compressed pixel data only"):
            format_of(**values)
        assert format_of(**values, transfer_syntax_uid=JPEGBaseline8Bit).samples_per_pixel == 3
