"""The table of warnings: its columns, order and escaping, and what a run puts into it."""

import os
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.image_warnings import WARNING_CODES, ImageWarning, ImageWarnings
from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.results.collection import collect_parts, write_part
from dicom_preprocessing.results.parts import Part
from dicom_preprocessing.results.warning_table import WarningRow, by_image, write_warnings
from tests.conftest import needs_byte_names
from tests.unit.receipts import HandMadeRun, stack
from tests.unit.run_results import NOT_UTF_8, column, csv_header, csv_rows

ROW = WarningRow(path="1.2/5.tiff", source_path="a.dcm", code="mosaic", message="6 x 6 tiles")
CODES = list(WARNING_CODES)


def test_columns_and_their_order(tmp_path):
    write_warnings([], tmp_path / "warnings.csv")
    assert csv_header(tmp_path / "warnings.csv") == ["path", "source_path", "code", "message"]


@given(
    st.lists(
        st.builds(
            WarningRow,
            path=st.sampled_from(["1.2/B.tiff", "1.2/a.tiff", "1.2-a/a.tiff", "1.10/a.tiff"]),
            source_path=st.just("a.dcm"),
            code=st.sampled_from(CODES),
            message=st.sampled_from("abc"),
        )
    )
)
def test_rows_are_in_the_order_of_images_then_of_codes(rows):
    found = [
        (os.fsencode(row.path), CODES.index(row.code), row.message)
        for row in sorted(rows, key=by_image)
    ]
    assert found == sorted(found)


def test_names_and_messages_are_escaped_like_those_of_failures(tmp_path):
    odd = replace(ROW, source_path=NOT_UTF_8, message="one, two\nthree")
    write_warnings([odd], tmp_path / "warnings.csv")
    (row,) = csv_rows(tmp_path / "warnings.csv")
    assert row["source_path"] == r"caf\xe9.dcm"
    assert row["message"] == r"one, two\nthree"


# A run


def test_run_without_warnings_has_a_table_without_rows(mixed):
    mixed.gather()
    assert (mixed.output / "warnings.csv").read_text() == "path,source_path,code,message\n"


def test_warnings_of_a_run_are_in_table_and_manifest(results, write_dicom):
    blank = ((0,) * 4,) * 3
    write_dicom(results.source / "a.dcm", blank, PhotometricInterpretation="monochrome2")
    write_dicom(results.source / "b.dcm", SOPInstanceUID="1.2.3.1.2")
    write_dicom(results.source / "c.dcm", blank, StudyInstanceUID="1.2.1")
    results.run(crop=True).gather()
    rows = csv_rows(results.output / "warnings.csv")
    assert [(row["path"], row["code"]) for row in rows] == [
        ("1.2.1/1.2.3.1.1.tiff", "only_background"),
        ("1.2.3/1.2.3.1.1.tiff", "photometric_spelling"),
        ("1.2.3/1.2.3.1.1.tiff", "only_background"),
    ]
    assert rows[1]["source_path"] == str(results.source / "a.dcm")
    assert "monochrome2" in rows[1]["message"]
    assert column(results.output / "manifest.csv", "warnings") == ["1", "2", "0"]


def test_warning_of_a_stack_is_one_row_of_its_image(tmp_path):
    warnings = ImageWarnings([ImageWarning("stack_gap", "two are missing")])
    results = HandMadeRun(tmp_path, *stack("5", "3", warnings=warnings)).gather()
    assert csv_rows(results.warnings) == [
        {
            "path": "1.2/5.tiff",
            "source_path": "/in/5.dcm",
            "code": "stack_gap",
            "message": "two are missing",
        }
    ]


def test_file_that_failed_has_no_row(results, write_dicom):
    """Its failure is recorded, and there is no image that could be wrong."""
    path = write_dicom(results.source / "a.dcm", PhotometricInterpretation="monochrome2")
    path.write_bytes(path.read_bytes()[:-3])
    results.run().gather()
    assert csv_rows(results.output / "warnings.csv") == []


@needs_byte_names
def test_source_of_any_bytes_comes_through_parts(tmp_path, results, write_dicom):
    path = results.source / NOT_UTF_8
    write_dicom(path, PhotometricInterpretation="monochrome2")
    results.run()
    part = Part(results.output, 0, 1)
    part.folder.mkdir(parents=True)
    studies = list(IndexFolder(results.output).read_studies().values())
    write_part(results.receipts(), part, studies)
    (row,) = collect_parts([(part, studies)], results.recipe).warnings
    assert row.source_path == str(path)
