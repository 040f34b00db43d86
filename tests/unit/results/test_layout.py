"""Paths of images and their UIDs."""

from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.index.table import UID_PATTERN, is_path_part
from dicom_preprocessing.results.layout import (
    FAILURES,
    MANIFEST,
    SLICES,
    WARNINGS,
    ResultsFolder,
    image_path,
    parse_image_path,
)
from dicom_preprocessing.text import TABLE_SUFFIXES

UIDS = st.from_regex(UID_PATTERN, fullmatch=True)


@given(UIDS, UIDS, UIDS)
def test_path_with_series_gives_back_its_uids(study, series, sop):
    path = PurePath(image_path("study/series/sop", study, series, sop))
    assert parse_image_path(path) == (study, series, sop)


@given(UIDS, UIDS, UIDS)
def test_path_without_series_gives_back_its_uids(study, series, sop):
    path = PurePath(image_path("study/sop", study, series, sop))
    assert parse_image_path(path) == (study, None, sop)


@given(UIDS.filter(lambda uid: not uid.lower().endswith(TABLE_SUFFIXES)))
def test_uid_is_one_visible_part_of_a_path(uid):
    assert is_path_part(uid)
    assert PurePath("folder", uid).parts == ("folder", uid)
    assert not uid.startswith(".")


@pytest.mark.parametrize("end", [*TABLE_SUFFIXES, ".CSV"])
@given(uid=UIDS)
def test_uid_does_not_end_like_a_table_beside_the_folders_of_studies(end, uid):
    assert not is_path_part(f"{uid[:50]}{end}")


@pytest.mark.parametrize("name", [MANIFEST, FAILURES, WARNINGS, SLICES])
def test_no_uid_is_the_name_of_a_table(name):
    assert not is_path_part(name)


@pytest.mark.parametrize(
    ("path", "uids"),
    [
        ("1.2/3.4.tiff", ("1.2", None, "3.4")),
        ("1.2/5/3.4.TIF", ("1.2", "5", "3.4")),
        ("3.4.tiff", ("", None, "3.4")),
        ("more/1.2/5/3.4.tiff", ("1.2", "5", "3.4")),
    ],
)
def test_uids_of_a_foreign_path(path, uids):
    assert parse_image_path(PurePath(path)) == uids


@pytest.mark.parametrize(
    ("stage", "folder"), [("write", "results/images"), ("crop", "results/stages/crop")]
)
def test_images_and_receipt_of_a_study(stage, folder):
    results = ResultsFolder(Path("results"))
    assert str(results.images(stage)) == folder
    assert str(results.study(stage, "1.2")) == f"{folder}/1.2"
    assert str(results.receipts(stage)) == f"results/receipts/{stage}"
    assert str(results.receipt(stage, "1.2")) == f"results/receipts/{stage}/1.2.jsonl"


def test_results_of_a_whole_run():
    assert [str(path) for path in ResultsFolder(Path()).final_files] == [
        "manifest.csv",
        "manifest.parquet",
        "failures.csv",
        "slices.csv",
        "warnings.csv",
        "retry.txt",
        "orphans.txt",
        "receipts/summary.json",
        "report.html",
        "verdict.txt",
    ]
