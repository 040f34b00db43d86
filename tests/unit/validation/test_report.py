"""Reports on DICOM files: their shape, whether a frame decodes, and all files of the corpus."""

import csv
import json

import numpy as np
import pytest

from dicom_preprocessing import validate_dicom
from tests.conftest import BETTER_THAN_EXPECTED
from tests.unit.datasets import data_set_of, item, save
from tests.unit.validation.reports import (
    EXPLICIT,
    SMOOTH,
    TWO_PIXELS,
    codes,
    encapsulated,
    replace_in,
)

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

KINDS = ("errors", "warnings", "info")
MPEG_4 = "1.2.840.10008.1.2.4.102"
STRUCTURED_REPORT = "1.2.840.10008.5.1.4.1.1.88.11"


def only(report, kind, code):
    (message,) = (m for m in report[kind] if m["code"] == code)
    return message


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
    assert (codes(made, "errors"), codes(made, "warnings")) == ([], ["unknown_syntax"])


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


def test_smoke_test_of_a_good_frame(report):
    assert report(NumberOfFrames=2, PixelData=bytes(24))["decode_smoke_test"] == {
        "attempted": True,
        "status": "pass",
        "message": "2 frames decoded",
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


def test_number_that_is_none(write_dicom, tmp_path):
    path = replace_in(write_dicom(tmp_path / "a.dcm", RescaleSlope="1.75"), b"1.75", b"1,75")
    assert codes(validate_dicom(path), "errors") == ["frame_decode_failed"]


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


def test_bug_fails_and_is_told_from_bad_pixels(report, monkeypatch):
    def fail(*_, **__):
        raise IndexError("a bug")

    monkeypatch.setattr("dicom_preprocessing.validation.report.decode_opened", fail)
    made = report()
    assert made["status"] == "fail"
    message = only(made, "errors", "frame_decode_failed")["message"]
    assert message.startswith("internal_error: IndexError: a bug (validation.report:")


def test_bug_in_reading_or_a_check_is_told_with_the_file(write_dicom, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise IndexError("a bug")

    path = write_dicom(tmp_path / "a.dcm")
    monkeypatch.setattr("dicom_preprocessing.validation.report.open_image", fail)
    with pytest.raises(RuntimeError, match=f"^Cannot check {path}: internal_error: IndexError"):
        validate_dicom(path)


def test_video_is_not_decoded_here(report):
    made = report(syntax=MPEG_4, NumberOfFrames=9, PixelData=encapsulated(b"video"))
    message = only(made, "errors", "frame_decode_failed")
    assert "no decoder for transfer syntax" in message["message"]


def test_more_pixels_than_a_file_may_have(report):
    stream = encapsulated(b"x")
    made = report(syntax=SMOOTH, Rows=65535, Columns=65535, PixelData=stream)
    message = only(made, "errors", "frame_decode_failed")
    assert message["message"] == "has 4294836225 pixels; limits allow 2000000000"


def test_report_without_an_image_has_one_error(tmp_path):
    data_set = item(
        SOPClassUID=STRUCTURED_REPORT,
        SOPInstanceUID="1.2.3.4",
        StudyInstanceUID="1.2.3",
        Modality="SR",
    )
    made = validate_dicom(save(tmp_path / "report.dcm", data_set))
    assert codes(made, "errors") == ["missing_pixel_data"]
    assert made["errors"][0]["message"] == "is missing: this is not an image"
    assert made["image"] == made["pixel_format"] == {}
    assert made["decode_smoke_test"]["status"] == "skip"


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
    with pytest.raises(
        RuntimeError, match=f"^Not a DICOM file: {path}: starts with neither the DICM prefix"
    ):
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


def test_what_is_about_no_attribute_has_no_tag(tmp_path):
    report = validate_dicom(save(tmp_path / "image", data_set_of(np.zeros((1, 2, 2), np.uint8))))
    unnamed = [check for check in report["checks"] if not check.get("tag_name")]
    assert unnamed
    assert not any("tag" in check or "tag_name" in check for check in unnamed)
