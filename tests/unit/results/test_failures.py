"""The table of failures and the retry list."""

import os
from dataclasses import replace

import pytest

from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.results.failures import (
    FAILURE_COLUMNS,
    Failure,
    by_path,
    iterate_failures,
    write_failures,
    write_retry_list,
)
from tests.conftest import needs_byte_names
from tests.unit.run_results import NOT_UTF_8, column, csv_header

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


FAILURE = Failure(
    source_path="a.dcm",
    state="failed",
    error="damaged",
    message="cut",
    stage="index",
    transient=False,
    study_instance_uid="",
    series_instance_uid="",
    sop_instance_uid="",
)


# Failures


def test_columns_of_the_failures_and_their_order(tmp_path):
    write_failures([], tmp_path / "failures.csv")
    assert csv_header(tmp_path / "failures.csv") == [
        "source_path",
        "state",
        "error",
        "message",
        "stage",
        "transient",
        "study_instance_uid",
        "series_instance_uid",
        "sop_instance_uid",
    ]


def test_failure_row(tmp_path):
    failure = replace(FAILURE, message="one, two", transient=True, study_instance_uid="1.2")
    write_failures([failure], tmp_path / "failures.csv")
    line = (tmp_path / "failures.csv").read_text().splitlines()[1]
    assert line == 'a.dcm,failed,damaged,"one, two",index,true,1.2,,'


def test_failures_are_sorted_by_path_in_byte_order(tmp_path):
    # As text, the last name would come before the one with the emoji.
    names = [b"B", b"a", b"a-b", b"a.b", b"a/b", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\xff"]
    failures = [replace(FAILURE, source_path=os.fsdecode(name)) for name in reversed(names)]
    write_failures(sorted(failures, key=by_path), tmp_path / "failures.csv")
    found = column(tmp_path / "failures.csv", "source_path")
    assert found == ["B", "a", "a-b", "a.b", "a/b", "é", "\N{GRINNING FACE}", r"\xff"]


def test_name_that_is_not_utf_8_is_escaped_in_the_failures(tmp_path):
    write_failures([replace(FAILURE, source_path=NOT_UTF_8)], tmp_path / "failures.csv")
    assert column(tmp_path / "failures.csv", "source_path") == [r"caf\xe9.dcm"]


def test_line_break_in_a_name_does_not_break_the_failures(tmp_path):
    write_failures([replace(FAILURE, source_path="a\nb.dcm")], tmp_path / "failures.csv")
    assert (tmp_path / "failures.csv").read_text().splitlines()[1].startswith(r"a\nb.dcm,failed,")


def test_umlaut_in_a_name_stays(tmp_path):
    write_failures([replace(FAILURE, source_path="Grün.dcm")], tmp_path / "failures.csv")
    assert column(tmp_path / "failures.csv", "source_path") == ["Grün.dcm"]


def test_failures_are_read_back(tmp_path):
    write_failures([FAILURE], tmp_path / "failures.csv")
    (row,) = iterate_failures(tmp_path / "failures.csv")
    assert (tuple(row), row["error"], row["transient"]) == (FAILURE_COLUMNS, "damaged", "false")


# The retry list


def test_retry_list_has_failed_files_only(tmp_path):
    failures = [
        replace(FAILURE, source_path="/a.dcm"),
        replace(FAILURE, source_path="/b.dcm", state="skipped", error="duplicate"),
    ]
    write_retry_list(failures, tmp_path / "retry.txt")
    assert (tmp_path / "retry.txt").read_bytes() == b"/a.dcm\n"


def test_retry_list_has_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_retry_list([replace(FAILURE, source_path="source/a.dcm")], tmp_path / "retry.txt")
    assert (tmp_path / "retry.txt").read_text() == f"{tmp_path}/source/a.dcm\n"


def test_retry_list_has_raw_bytes(tmp_path):
    write_retry_list([replace(FAILURE, source_path=f"/{NOT_UTF_8}")], tmp_path / "retry.txt")
    assert (tmp_path / "retry.txt").read_bytes() == b"/caf\xe9.dcm\n"


@needs_byte_names
def test_retry_list_is_a_valid_source(tmp_path):
    paths = [tmp_path / name for name in ("# a.dcm", " b .dcm", NOT_UTF_8)]
    for path in paths:
        path.write_bytes(b"\0")
    failures = [replace(FAILURE, source_path=str(path)) for path in paths]
    write_retry_list(failures, tmp_path / "retry.txt")
    found = find_files([str(tmp_path / "retry.txt")])
    assert {item.path for item in found} == set(map(str, paths))


def test_name_with_a_line_break_becomes_a_comment_in_the_retry_list(tmp_path):
    write_retry_list([replace(FAILURE, source_path="/a\nb.dcm")], tmp_path / "retry.txt")
    assert (tmp_path / "retry.txt").read_text() == "# has a line break in its name: b'/a\\nb.dcm'\n"


# A run


def test_failure_of_a_job_and_of_the_index_tell_their_stage(mixed):
    mixed.gather()
    assert column(mixed.output / "failures.csv", "stage") == ["decode", "index"]


def test_failures_name_the_instance(mixed):
    mixed.gather()
    assert column(mixed.output / "failures.csv", "sop_instance_uid") == ["1.2.3.1.2", ""]


def test_retry_list_of_a_run_is_a_source_of_the_failed_files(mixed):
    mixed.gather()
    (item,) = find_files([str(mixed.output / "retry.txt")])
    assert item.path == str(mixed.source / "b.dcm")


def test_failures_and_retry_list_of_a_run_are_in_path_order(results, write_dicom):
    for name in ("b", "a/b", "a-b"):
        (results.source / name).parent.mkdir(exist_ok=True)
        (results.source / name).write_bytes(128 * b"\0" + b"DICM" + b"damaged")
    results.run().gather()
    assert list(results.failures()) == ["a-b", "a/b", "b"]
    retry = (results.output / "retry.txt").read_text().splitlines()
    assert retry == [f"{results.source}/{name}" for name in ("a-b", "a/b", "b")]
