"""Receipts: written and read back as they were."""

import os
import pickle
from dataclasses import replace

import pytest

from dicom_preprocessing.errors import LimitMemoryError, OutputError
from dicom_preprocessing.results.receipts import read_receipts, write_receipts
from tests.conftest import needs_byte_names
from tests.unit.study_runs import StudyRuns, entries_of, run, truncate

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


BLACK, RED, BLUE = [0, 0, 0], [255, 0, 0], [0, 0, 255]


COLOUR = [
    [BLACK, BLACK, BLACK, BLACK],
    [BLACK, RED, BLACK, BLACK],
    [BLACK, BLACK, BLUE, BLACK],
]


def test_receipts_round_trip(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm", COLOUR, PixelSpacing=["0.5", "0.25"])
    truncate(write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2"), 3)
    written, failed = StudyRuns(
        tmp_path, entries_of(source), crop=True, size=[7, 5]
    ).from_inventory()
    again, failed_again = read_receipts(tmp_path / "write.jsonl")
    assert failed_again == failed
    # JSON has no tuples: facts are compared as what they are read for.
    assert replace(again, source_info=None) == replace(written, source_info=None)
    assert again.parse_source_info() == written.parse_source_info()


def test_receipts_keep_numbers_exactly(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm", COLOUR, PixelSpacing=["0.333333333333333", "0.1"])
    runs = StudyRuns(tmp_path, entries_of(source))
    runs.from_inventory()
    (receipt,) = read_receipts(runs.receipt("write"))
    assert receipt.parse_source_info().pixel_spacing == (0.1, 0.333333333333333)


def test_receipts_come_from_another_process_as_they_were(tmp_path, source, write_dicom):
    (receipt,) = run(tmp_path, write_dicom(source / "a.dcm", COLOUR)).values()
    assert pickle.loads(pickle.dumps(receipt)) == receipt


@needs_byte_names
def test_receipts_keep_names_that_are_not_utf_8(tmp_path, source, write_dicom):
    path = write_dicom(source / os.fsdecode(b"caf\xe9.dcm"))
    (receipt,) = run(tmp_path, path).values()
    write_receipts(tmp_path / "again.jsonl", [receipt])
    (again,) = read_receipts(tmp_path / "again.jsonl")
    assert os.fsencode(again.source_path).endswith(b"caf\xe9.dcm")


def test_receipts_are_one_line_each(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2")
    run(tmp_path, source)
    assert len((tmp_path / "write.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("line", ['{"source_path": "a"}', '{"another": 1}', "cut {"])
def test_receipts_of_another_version_are_refused(tmp_path, line):
    (tmp_path / "receipt.jsonl").write_text(f"{line}\n")
    with pytest.raises(
        OutputError, match=r"receipt\.jsonl was written by another version: remove it"
    ):
        read_receipts(tmp_path / "receipt.jsonl")


OF_ANOTHER_VERSION = [
    ["nothing but background: the image was not cropped"],
    ["ab"],
    [["mosaic"]],
    [["no_such_code", "odd"]],
    [["mosaic", "odd", "more"]],
    "mosaic",
    5,
]


@pytest.mark.parametrize("warnings", OF_ANOTHER_VERSION)
@pytest.mark.parametrize("parse", ["parse_warnings", "parse_source_info"])
def test_warnings_of_another_version_are_refused(tmp_path, source, write_dicom, warnings, parse):
    (receipt,) = run(tmp_path, write_dicom(source / "a.dcm")).values()
    old = replace(receipt, source_info=receipt.source_info | {"warnings": warnings})
    with pytest.raises(OutputError, match=r"^the receipt of study 1\.2\.3 was written by another"):
        getattr(old, parse)()


def test_warnings_are_read_as_they_were_written(tmp_path, source, write_dicom):
    write_dicom(source / "a.dcm", PhotometricInterpretation="monochrome2")
    runs = StudyRuns(tmp_path, entries_of(source))
    (written,) = runs.from_inventory()
    (again,) = read_receipts(runs.receipt("write"))
    (warning,) = again.parse_warnings()
    assert warning.code == "photometric_spelling"
    assert again.parse_warnings() == written.parse_warnings()


def test_receipt_of_a_failure_tells_nothing_of_an_image(tmp_path, source, write_dicom):
    (receipt,) = run(tmp_path, write_dicom(source / "a.dcm")).values()
    failed = receipt.as_failed(LimitMemoryError("not enough memory"), "write")
    assert (failed.is_written, failed.error, failed.transient) == (False, "limit_memory", True)
    assert (failed.output, failed.source_info, failed.geometry, failed.frames) == (
        "",
        None,
        None,
        0,
    )


def test_folder_of_receipts_is_made_where_it_is_gone(tmp_path):
    write_receipts(tmp_path / "receipts" / "write" / "1.2.jsonl", [])
    assert read_receipts(tmp_path / "receipts" / "write" / "1.2.jsonl") == []
