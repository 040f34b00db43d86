"""Checks of a file: every code by a file made for it."""

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import JPEGBaseline8Bit

from dicom_preprocessing import validate_dicom
from tests.unit.datasets import item, lut
from tests.unit.validation.reports import (
    EXPLICIT,
    SMOOTH,
    TWO_PIXELS,
    codes,
    encapsulated,
    replace_in,
    without_value,
)

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


# Errors


@pytest.mark.parametrize(
    ("value", "code"),
    [(None, "missing_high_bit"), (6, "invalid_high_bit"), (8, "invalid_high_bit")],
)
def test_high_bit_that_bits_stored_replaces_is_a_warning(report, value, code):
    made = report(HighBit=value)
    assert (codes(made, "errors"), made["status"]) == ([], "pass")
    assert codes(made, "warnings") == [code, "high_bit_unusable"]


@pytest.mark.parametrize(
    ("keyword", "code"),
    [
        ("Rows", "missing_rows"),
        ("Columns", "missing_columns"),
        ("SamplesPerPixel", "missing_samples_per_pixel"),
        ("PhotometricInterpretation", "missing_photometric_interpretation"),
        ("BitsAllocated", "missing_bits_allocated"),
        ("BitsStored", "missing_bits_stored"),
        ("PixelRepresentation", "missing_pixel_representation"),
        ("PixelData", "missing_pixel_data"),
    ],
)
def test_missing_attribute(report, keyword, code):
    made = report(**{keyword: None})
    assert codes(made, "errors") == [code]
    assert made["errors"][0]["tag_name"] == keyword
    assert made["status"] == "fail"
    assert made["summary"]["valid"] is False


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"Rows": 0}, "invalid_u16_value"),
        ({"PhotometricInterpretation": ""}, "empty_required_tag"),
        ({"PhotometricInterpretation": "MÖNOCHROME"}, "invalid_string_value"),
        ({"PixelData": b""}, "empty_pixel_data"),
        ({"PixelData": bytes(10)}, "invalid_pixel_data_value"),
        ({"NumberOfFrames": 0}, "invalid_number_of_frames"),
        ({"NumberOfFrames": 2}, "invalid_pixel_data_value"),
        ({"PixelRepresentation": 2}, "invalid_pixel_representation"),
        ({"BitsAllocated": 24}, "unsupported_bits_allocated"),
        ({"BitsStored": 0}, "invalid_bits_stored"),
        ({"PhotometricInterpretation": "CMYK"}, "unsupported_output_color_type"),
        ({"SamplesPerPixel": 3}, "unsupported_output_color_type"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "frame_decode_failed"),
    ],
)
def test_error(report, attributes, code):
    made = report(**attributes)
    assert code in codes(made, "errors")
    assert made["status"] == "fail"


def test_spacings_of_frames_that_differ(report):
    measures = ([item(PixelSpacing=[s, s])] for s in (1, 2))
    frames = [item(PixelMeasuresSequence=one) for one in measures]
    pixels = {"NumberOfFrames": 2, "PixelData": bytes(24)}
    made = report(**pixels, PerFrameFunctionalGroupsSequence=frames)
    assert made["status"] == "pass"
    found = {w["code"]: w for w in made["warnings"]}
    assert found["resolution_unavailable"]["value"] == "1 x 1 mm and 2 x 2 mm"
    assert "frames_differ" in found


def test_required_attribute_without_a_value(write_dicom, tmp_path):
    path = without_value(write_dicom(tmp_path / "a.dcm"), "Rows", b"US")
    assert codes(validate_dicom(path), "errors") == ["empty_required_tag"]


def test_invalid_planar_configuration_of_colour(report):
    made = report(TWO_PIXELS, PlanarConfiguration=2)
    assert codes(made, "errors") == ["invalid_planar_configuration"]


def test_fragments_of_no_known_codec_in_a_native_syntax(write_dicom, tmp_path):
    path = write_dicom(tmp_path / "a.dcm", syntax=SMOOTH, PixelData=encapsulated(b"stream"))
    native = EXPLICIT.ljust(len(SMOOTH), b"\0")
    made = validate_dicom(replace_in(path, SMOOTH.encode(), native))
    assert codes(made, "errors") == ["frame_decode_failed"]


def test_too_few_fragments(report):
    made = report(syntax=SMOOTH, NumberOfFrames=3, PixelData=encapsulated(b"one", b"two"))
    assert codes(made, "errors") == ["invalid_pixel_data_value"]


def test_no_fragments(report):
    made = report(syntax=SMOOTH, PixelData=encapsulated())
    assert codes(made, "errors") == ["empty_pixel_data"]


def test_file_that_ends_inside_the_header_of_a_fragment(write_dicom, tmp_path):
    path = write_dicom(tmp_path / "a.dcm", syntax=SMOOTH, PixelData=encapsulated(b"one"))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"one") - 2])
    made = validate_dicom(path)
    assert codes(made, "errors") == ["invalid_pixel_data_value"]
    assert made["image"]["rows"] == 3


def test_float_pixels_need_no_bits_stored(report):
    made = report(
        None,
        BitsAllocated=32,
        BitsStored=None,
        HighBit=None,
        PixelRepresentation=None,
        FloatPixelData=bytes(48),
    )
    assert made["errors"] == []
    assert made["decode_smoke_test"]["image_color_type"] == "Gray32"


# Warnings


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"VOILUTFunction": ""}, "empty_voi_lut_function"),
        ({"VOILUTFunction": "CUBIC"}, "voi_lut_function_present"),
        ({"PixelSpacing": [0, 0]}, "resolution_unavailable"),
        ({"StudyInstanceUID": None}, "directory_output_not_ready"),
        ({"SOPInstanceUID": "../1"}, "directory_output_not_ready"),
        ({"PlanarConfiguration": 2}, "invalid_planar_configuration"),
        (
            {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 15, "PixelData": bytes(24)},
            "invalid_high_bit",
        ),
        ({"Rows": [3, 3]}, "invalid_u16_value"),
    ],
)
def test_warning(report, attributes, code):
    made = report(**attributes)
    assert codes(made, "warnings") == [code]
    assert made["status"] == "pass"


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        (["MONOCHROME2", "RGB"], ["invalid_string_value", "photometric_spelling"]),
        ("MONOCHROME_2", ["photometric_spelling"]),
        ("monochrome2", ["photometric_spelling"]),
    ],
)
def test_photometric_interpretation_that_is_understood_is_no_error(report, stated, found):
    made = report(PhotometricInterpretation=stated)
    assert codes(made, "warnings") == found
    assert made["status"] == "pass"


@pytest.mark.parametrize(
    ("value", "code"),
    [(None, "missing_photometric_interpretation"), ("", "empty_required_tag")],
)
def test_photometric_interpretation_that_is_assumed_is_a_warning(report, value, code):
    rgb = np.zeros((1, 2, 3), np.uint8)
    stream = bytes(imagecodecs.jpeg8_encode(rgb))
    made = report(
        rgb.tolist(),
        syntax=JPEGBaseline8Bit,
        PhotometricInterpretation=value,
        PixelData=encapsulated(stream + bytes(len(stream) % 2)),
    )
    assert codes(made, "warnings") == [code, "photometric_assumed"]
    assert made["pixel_format"]["output_color_type"] == "RGB8"
    assert made["status"] == "pass"


def test_planar_configuration_of_colour_is_assumed(report):
    made = report(TWO_PIXELS, PlanarConfiguration=None)
    assert codes(made, "warnings") == ["default_planar_configuration"]
    assert made["status"] == "pass"


# Information


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"NumberOfFrames": None}, "default_number_of_frames"),
        ({"WindowCenter": 1}, "optional_tag_present"),
        ({}, "optional_tag_absent"),
        ({"VOILUTFunction": "SIGMOID"}, "voi_lut_function_present"),
        ({}, "voi_lut_function_absent"),
        ({"VOILUTSequence": [lut([0, 255], bits=8)]}, "voi_lut_sequence_present"),
        ({}, "voi_lut_sequence_absent"),
        ({"PixelSpacing": [1, 1]}, "resolution_available"),
        ({}, "resolution_unavailable"),
        ({}, "directory_output_ready"),
    ],
)
def test_information(report, attributes, code):
    made = report(**attributes)
    assert code in codes(made, "info")
    assert made["status"] == "pass"
