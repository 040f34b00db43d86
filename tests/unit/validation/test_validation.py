"""Reports on DICOM files: every code by a file made for it, and all files of the corpus."""

import csv
import json
import struct

import pytest
from pydicom.dataset import Dataset

from dicom_preprocessing import validate_dicom
from tests.conftest import BETTER_THAN_EXPECTED
from tests.unit.datasets import functional_groups, item, lut, save

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

KINDS = ("errors", "warnings", "info")
EXPLICIT = b"1.2.840.10008.1.2.1"
SMOOTH = "1.2.840.10008.1.2.4.70"  # JPEG lossless
MPEG_4 = "1.2.840.10008.1.2.4.102"
STRUCTURED_REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
TWO_PIXELS = (((1, 2, 3), (4, 5, 6)),)


@pytest.fixture
def report(write_dicom, tmp_path):
    """The report of a file with these attributes."""

    def make(*pixels, decode="frame", **attributes):
        path = write_dicom(tmp_path / "image.dcm", *pixels, **attributes)
        return validate_dicom(path, decode=decode)

    return make


def codes(report, kind):
    return [message["code"] for message in report[kind]]


def only(report, kind, code):
    (message,) = (m for m in report[kind] if m["code"] == code)
    return message


def without_value(path, keyword, vr):
    """Put a value of no bytes into a file written before, whatever its VR."""
    tag = {"Rows": (0x0028, 0x0010)}[keyword]
    head = struct.pack("<HH2sH", *tag, vr, 2)
    content = path.read_bytes()
    at = content.index(head)
    path.write_bytes(content[:at] + struct.pack("<HH2sH", *tag, vr, 0) + content[at + 10 :])
    return path


def replace_in(path, old, new):
    """Change bytes of a file, as no library writes them."""
    content = path.read_bytes()
    assert old in content
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))
    return path


# The shape of a report


def test_keys(report):
    assert list(report()) == [
        "status",
        "summary",
        "file",
        "image",
        "pixel_format",
        "preprocessing",
        "decode_smoke_test",
        "errors",
        "warnings",
        "info",
        "checks",
    ]


def test_good_file_passes(report):
    made = report()
    assert made["status"] == "pass"
    assert made["errors"] == made["warnings"] == []
    assert made["summary"] == {
        "valid": True,
        "error_count": 0,
        "warning_count": 0,
        "info_count": len(made["info"]),
        "decode_mode": "frame",
    }


def test_facts_of_the_file(report, tmp_path):
    assert report()["file"] == {
        "path": str(tmp_path / "image.dcm"),
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "transfer_syntax_name": "Explicit VR Little Endian",
    }


def test_private_transfer_syntax_has_no_name(write_dicom, tmp_path):
    path = replace_in(write_dicom(tmp_path / "a.dcm"), EXPLICIT, b"1.2.840.99999.1.2.1")
    made = validate_dicom(path)
    assert made["file"] == {"path": str(path), "transfer_syntax_uid": "1.2.840.99999.1.2.1"}
    assert codes(made, "errors") == ["frame_decode_failed"]


def test_facts_of_a_grey_image(report):
    made = report()
    assert made["image"] == {
        "rows": 3,
        "columns": 4,
        "number_of_frames": 1,
        "number_of_frames_source": "explicit",
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "pixel_representation": 0,
    }
    assert made["pixel_format"] == {
        "bits_allocated": 8,
        "bits_stored": 8,
        "high_bit": 7,
        "output_color_type": "Gray8",
    }


def test_facts_of_a_colour_image(report):
    made = report(TWO_PIXELS)
    assert made["image"]["planar_configuration"] == 0
    assert made["pixel_format"]["output_color_type"] == "RGB8"
    assert made["decode_smoke_test"]["expected_frame_bytes"] == 6


def test_facts_for_preprocessing(report):
    made = report(
        RescaleSlope=2,
        RescaleIntercept=-1024,
        WindowCenter=[40, 600],
        WindowWidth=[400, 1500],
        VOILUTFunction="SIGMOID",
        PixelSpacing=[0.5, 0.25],
        SpacingBetweenSlices=2,
    )
    assert made["preprocessing"] == {
        "rescale_slope": [2.0],
        "rescale_intercept": [-1024.0],
        "window_center": [40.0, 600.0],
        "window_width": [400.0, 1500.0],
        "voi_lut_function": ["SIGMOID"],
        "voi_lut_sequence_present": False,
        "voi_lut_sequence_items": 0,
        "resolution": {
            "available": True,
            "pixels_per_mm_x": 4.0,
            "pixels_per_mm_y": 2.0,
            "frames_per_mm": 0.5,
        },
        "output_naming": {
            "directory_output_ready": True,
            "study_instance_uid": "1.2.3",
            "series_instance_uid": "1.2.3.1",
            "sop_instance_uid": "1.2.3.1.1",
        },
    }


def test_windows_of_frames_are_each_told_once(write_dicom, tmp_path):
    frames = [
        item(FrameVOILUTSequence=[item(WindowCenter=center, WindowWidth=9)]) for center in (1, 2, 1)
    ]
    groups = functional_groups(Dataset(), frames=frames)
    path = write_dicom(
        tmp_path / "a.dcm",
        NumberOfFrames=3,
        PixelData=bytes(36),
        PerFrameFunctionalGroupsSequence=groups.PerFrameFunctionalGroupsSequence,
    )
    made = validate_dicom(path)
    assert made["status"] == "pass"
    assert made["preprocessing"]["window_center"] == [1.0, 2.0]
    assert made["preprocessing"]["window_width"] == [9.0]


def test_smoke_test_of_a_good_frame(report):
    assert report(NumberOfFrames=2, PixelData=bytes(24))["decode_smoke_test"] == {
        "attempted": True,
        "status": "pass",
        "message": "frame 1 of 2 was decoded",
        "frame_index": 0,
        "image_color_type": "Gray8",
        "expected_frame_bytes": 12,
    }


def test_messages_have_tag_name_and_value(report):
    made = report(BitsStored=9)
    assert made["errors"] == [
        {
            "code": "invalid_bits_stored",
            "message": "is not from 1 to Bits Allocated, 8",
            "tag": "(0028,0101)",
            "tag_name": "BitsStored",
            "value": "9",
        }
    ]


def test_checks_have_a_status_and_a_severity(report):
    made = report(TWO_PIXELS, PlanarConfiguration=None, BitsStored=9)
    outcomes = {(c["name"], c["status"], c["severity"]) for c in made["checks"]}
    assert ("bits", "fail", "error") in outcomes
    assert ("planar_configuration", "warn", "warning") in outcomes
    assert ("pixel_data", "pass", "info") in outcomes
    assert ("decode_smoke_test", "skip", "info") in outcomes


# Errors


@pytest.mark.parametrize(
    ("keyword", "code"),
    [
        ("Rows", "missing_rows"),
        ("Columns", "missing_columns"),
        ("SamplesPerPixel", "missing_samples_per_pixel"),
        ("PhotometricInterpretation", "missing_photometric_interpretation"),
        ("BitsAllocated", "missing_bits_allocated"),
        ("BitsStored", "missing_bits_stored"),
        ("HighBit", "missing_high_bit"),
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
        ({"BitsAllocated": 12}, "unsupported_bits_allocated"),
        ({"BitsStored": 0}, "invalid_bits_stored"),
        ({"HighBit": 6}, "invalid_high_bit"),
        ({"HighBit": 8}, "invalid_high_bit"),
        ({"PhotometricInterpretation": "CMYK"}, "unsupported_output_color_type"),
        ({"SamplesPerPixel": 3}, "unsupported_output_color_type"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "frame_decode_failed"),
    ],
)
def test_error(report, attributes, code):
    made = report(**attributes)
    assert code in codes(made, "errors")
    assert made["status"] == "fail"


def test_required_attribute_without_a_value(write_dicom, tmp_path):
    path = without_value(write_dicom(tmp_path / "a.dcm"), "Rows", b"US")
    assert codes(validate_dicom(path), "errors") == ["empty_required_tag"]


def test_invalid_planar_configuration_of_colour(report):
    made = report(TWO_PIXELS, PlanarConfiguration=2)
    assert codes(made, "errors") == ["invalid_planar_configuration"]


def test_number_that_is_none(write_dicom, tmp_path):
    path = replace_in(write_dicom(tmp_path / "a.dcm", RescaleSlope="1.75"), b"1.75", b"1,75")
    assert codes(validate_dicom(path), "errors") == ["frame_decode_failed"]


def test_fragments_in_a_native_syntax(write_dicom, tmp_path):
    path = write_dicom(tmp_path / "a.dcm", syntax=SMOOTH, PixelData=encapsulated(b"stream"))
    native = EXPLICIT.ljust(len(SMOOTH), b"\0")
    made = validate_dicom(replace_in(path, SMOOTH.encode(), native))
    assert codes(made, "errors") == ["invalid_pixel_data_value"]


def test_stream_that_does_not_decode(report):
    made = report(syntax=SMOOTH, PixelData=encapsulated(b"no JPEG stream"))
    message = only(made, "errors", "frame_decode_failed")
    assert made["decode_smoke_test"]["status"] == "fail"
    assert made["decode_smoke_test"]["message"] == message["message"]
    assert message["tag_name"] == "PixelData"


def test_stream_that_does_not_decode_passes_where_it_is_not_decoded(report):
    made = report(syntax=SMOOTH, PixelData=encapsulated(b"no JPEG stream"), decode="none")
    assert made["status"] == "pass"
    assert made["decode_smoke_test"] == {
        "attempted": False,
        "status": "skip",
        "message": "not decoded: decode is none",
    }
    assert made["summary"]["decode_mode"] == "none"


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


def test_video_is_not_decoded_here(report):
    made = report(syntax=MPEG_4, NumberOfFrames=9, PixelData=encapsulated(b"video"))
    message = only(made, "errors", "frame_decode_failed")
    assert "no decoder for transfer syntax" in message["message"]


def test_more_pixels_than_a_file_may_have(report):
    stream = encapsulated(b"x")
    made = report(syntax=SMOOTH, Rows=65535, Columns=65535, PixelData=stream)
    message = only(made, "errors", "frame_decode_failed")
    assert message["message"] == "4294836225 pixels are more than 2000000000"


def test_report_without_an_image_has_one_error(tmp_path):
    data_set = item(
        SOPClassUID=STRUCTURED_REPORT,
        SOPInstanceUID="1.2.3.4",
        StudyInstanceUID="1.2.3",
        Modality="SR",
    )
    made = validate_dicom(save(tmp_path / "report.dcm", data_set))
    assert codes(made, "errors") == ["missing_pixel_data"]
    assert made["errors"][0]["message"] == "is missing: it is no image"
    assert made["image"] == made["pixel_format"] == {}
    assert made["decode_smoke_test"]["status"] == "skip"


# What can be processed is no error


@pytest.mark.parametrize(
    "attributes",
    [
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
        {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelData": bytes(24)},
        {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31, "PixelData": bytes(48)},
        {"PixelRepresentation": 1},
        {"PhotometricInterpretation": "MONOCHROME1"},
    ],
)
def test_grey_formats(report, attributes):
    assert report(**attributes)["status"] == "pass"


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colour_formats(report, photometric):
    made = report(TWO_PIXELS, PhotometricInterpretation=photometric)
    assert made["status"] == "pass"
    assert made["decode_smoke_test"]["image_color_type"] == "RGB8"


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
        ({"PhotometricInterpretation": ["MONOCHROME2", "RGB"]}, "invalid_string_value"),
    ],
)
def test_warning(report, attributes, code):
    made = report(**attributes)
    assert codes(made, "warnings") == [code]
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


def test_number_of_frames_by_default(report):
    image = report(NumberOfFrames=None)["image"]
    assert (image["number_of_frames"], image["number_of_frames_source"]) == (1, "default")


def test_invalid_number_of_frames_is_left_out(report):
    image = report(NumberOfFrames=-1)["image"]
    assert image["number_of_frames_source"] == "invalid"
    assert "number_of_frames" not in image


# Exceptions


@pytest.mark.parametrize("mode", ["FRAME", "None", "none"])
def test_decode_mode_in_any_case(report, mode):
    assert report(decode=mode)["summary"]["decode_mode"] == mode.lower()


def test_unknown_decode_mode(tmp_path):
    with pytest.raises(
        ValueError, match=r"^Invalid decode mode: All\. Expected 'frame' or 'none'$"
    ):
        validate_dicom(tmp_path / "absent.dcm", decode="All")


def test_absent_file(tmp_path):
    path = tmp_path / "absent.dcm"
    with pytest.raises(FileNotFoundError, match=f"^File not found: {path}$"):
        validate_dicom(path)


def test_file_that_is_not_dicom(tmp_path):
    path = tmp_path / "text.dcm"
    path.write_text("a text")
    with pytest.raises(RuntimeError, match=f"^Not a DICOM file: {path}: neither the DICM prefix"):
        validate_dicom(path)


def test_folder(tmp_path):
    with pytest.raises(RuntimeError, match=f"^Cannot read {tmp_path}: Is a directory"):
        validate_dicom(tmp_path)


def test_cut_file(write_dicom, tmp_path):
    path = write_dicom(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(RuntimeError, match=f"^Damaged DICOM file: {path}: "):
        validate_dicom(path)


# Real files


@pytest.fixture(scope="module", params=["compact_corpus", "shared_corpus"])
def outcomes(request):
    """Report or RuntimeError of each file of the corpus, with its expected state."""
    folder = request.getfixturevalue(request.param)
    with (folder / "expected.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["file"], row["state"], outcome_of(folder / row["file"])) for row in rows]


def outcome_of(path):
    try:
        return validate_dicom(path)
    except RuntimeError as error:
        return error


def is_pass(outcome):
    return not isinstance(outcome, RuntimeError) and outcome["status"] == "pass"


def test_reports_of_the_corpus_are_plain_values(outcomes):
    for _, _, outcome in outcomes:
        if not isinstance(outcome, RuntimeError):
            assert json.loads(json.dumps(outcome, allow_nan=False)) == outcome


def test_images_of_the_corpus_that_are_written_pass(outcomes):
    refused = [name for name, state, o in outcomes if state == "written" and not is_pass(o)]
    assert refused == []


def test_files_of_the_corpus_that_cannot_be_written_fail(outcomes):
    # What fails because of its UIDs alone, or beside another file, decodes.
    decodes = ("written", "any", "failed: bad_uid", "failed: sop_conflict")
    passed = [name for name, state, o in outcomes if state not in decodes and is_pass(o)]
    assert [name for name in passed if name not in BETTER_THAN_EXPECTED] == []


def test_files_of_the_corpus_without_usable_uids_are_not_ready_for_folders(outcomes):
    reports = [outcome for _, state, outcome in outcomes if state == "failed: bad_uid"]
    for report in reports:
        assert "directory_output_not_ready" in codes(report, "warnings")


def test_files_that_are_no_dicom_or_damaged_cannot_be_read(outcomes):
    states = ("skipped: not_dicom", "failed: damaged")
    assert [name for name, s, o in outcomes if s in states and isinstance(o, dict)] == []


def encapsulated(*fragments):
    """Pixel data of an empty offset table and fragments of an even length."""
    items = [b"", *(fragment + b"\0" * (len(fragment) % 2) for fragment in fragments)]
    return b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(i)) + i for i in items) + struct.pack(
        "<HHL", 0xFFFE, 0xE0DD, 0
    )
