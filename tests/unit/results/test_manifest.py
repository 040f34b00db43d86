"""Manifest, failures, retry list, orphans and verdict."""

import csv
import os
import shlex
from dataclasses import fields, replace
from typing import get_args, get_type_hints

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.index.build import update_index
from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.results.collection import find_orphans, gather_receipts
from dicom_preprocessing.results.failures import (
    FAILURE_COLUMNS,
    Failure,
    by_path,
    read_failures,
    write_failures,
    write_retry_list,
)
from dicom_preprocessing.results.layout import receipt_path
from dicom_preprocessing.results.manifest import (
    COLUMN_TYPES,
    COLUMNS,
    ManifestRow,
    find_tiffs,
    row_of_receipt,
    row_of_tiff,
    write_manifest,
)
from dicom_preprocessing.results.receipts import read_receipts
from dicom_preprocessing.results.verdict import Counts, complaint, count, judge_run
from tests.conftest import needs_byte_names
from tests.unit.run_results import Results

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

ROW = ManifestRow(
    study_instance_uid="1.2",
    sop_instance_uid="1.2.1",
    path="1.2/1.2.1.tiff",
    inode=7,
    width=4,
    height=3,
    channels=1,
    num_frames=1,
)
FULL_ROW = replace(
    ROW,
    series_instance_uid="1.3",
    modality="MG",
    dtype="uint16",
    spacing_x=0.1,
    spacing_y=1 / 3,
    spacing_z=2.0,
    crop_left=1,
    crop_top=2,
    crop_width=30,
    crop_height=40,
    scale_x=0.1,
    scale_y=0.05,
    active_left=0,
    active_top=1,
    active_right=3,
    active_bottom=3,
    flip_h=True,
    flip_v=False,
    source_columns=50,
    source_rows=60,
    source_frames=1,
)
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
NOT_UTF_8 = os.fsdecode(b"caf\xe9.dcm")


def csv_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def csv_header(path):
    return path.read_text(encoding="utf-8").splitlines()[0].split(",")


def column(path, name):
    return [row[name] for row in csv_rows(path)]


# The manifest


def test_columns_of_the_manifest_and_their_order(tmp_path):
    write_manifest([], tmp_path / "manifest.csv")
    assert csv_header(tmp_path / "manifest.csv") == [
        "study_instance_uid",
        "sop_instance_uid",
        "path",
        "inode",
        "width",
        "height",
        "channels",
        "num_frames",
        "series_instance_uid",
        "modality",
        "dtype",
        "spacing_x",
        "spacing_y",
        "spacing_z",
        "crop_left",
        "crop_top",
        "crop_width",
        "crop_height",
        "scale_x",
        "scale_y",
        "active_left",
        "active_top",
        "active_right",
        "active_bottom",
        "flip_h",
        "flip_v",
        "source_columns",
        "source_rows",
        "source_frames",
    ]


def test_types_of_columns_are_those_of_a_row():
    hints = get_type_hints(ManifestRow)
    assert {
        name: kind if isinstance(kind, type) else get_args(kind)[0] for name, kind in hints.items()
    } == COLUMN_TYPES
    assert list(COLUMN_TYPES) == [field.name for field in fields(ManifestRow)]


def test_parquet_has_the_columns_of_the_csv_in_the_same_order(tmp_path):
    write_manifest([], tmp_path / "manifest.parquet")
    assert tuple(pq.read_schema(tmp_path / "manifest.parquet").names) == COLUMNS


def test_parquet_has_typed_columns(tmp_path):
    write_manifest([FULL_ROW], tmp_path / "manifest.parquet")
    schema = pq.read_schema(tmp_path / "manifest.parquet")
    names = ("path", "inode", "spacing_x", "flip_h")
    assert [str(schema.field(name).type) for name in names] == ["string", "int64", "double", "bool"]


def test_parquet_without_rows_has_the_types_of_one_with_rows(tmp_path):
    write_manifest([], tmp_path / "empty.parquet")
    write_manifest([FULL_ROW], tmp_path / "full.parquet")
    assert pq.read_schema(tmp_path / "empty.parquet") == pq.read_schema(tmp_path / "full.parquet")


def test_csv_row(tmp_path):
    write_manifest([FULL_ROW], tmp_path / "manifest.csv")
    assert (tmp_path / "manifest.csv").read_text().splitlines()[1] == (
        "1.2,1.2.1,1.2/1.2.1.tiff,7,4,3,1,1,1.3,MG,uint16,0.1,0.3333333333333333,2.0,"
        "1,2,30,40,0.1,0.05,0,1,3,3,true,false,50,60,1"
    )


def test_unknown_values_are_empty_cells(tmp_path):
    write_manifest([ROW], tmp_path / "manifest.csv")
    line = (tmp_path / "manifest.csv").read_text().splitlines()[1]
    assert line == "1.2,1.2.1,1.2/1.2.1.tiff,7,4,3,1,1" + 21 * ","


def test_unknown_values_are_null_in_parquet(tmp_path):
    write_manifest([ROW], tmp_path / "manifest.parquet")
    (row,) = pq.read_table(tmp_path / "manifest.parquet").to_pylist()
    assert [name for name, value in row.items() if value is None] == list(COLUMNS[8:])


def test_rows_are_sorted_by_study_and_instance(tmp_path):
    uids = [("1.2", "5"), ("1.10", "7"), ("1.2", "1"), ("1.10", "10")]
    rows = [replace(ROW, study_instance_uid=s, sop_instance_uid=i) for s, i in uids]
    write_manifest(rows, tmp_path / "manifest.csv")
    rows = csv_rows(tmp_path / "manifest.csv")
    assert [(row["study_instance_uid"], row["sop_instance_uid"]) for row in rows] == [
        ("1.10", "10"),
        ("1.10", "7"),
        ("1.2", "1"),
        ("1.2", "5"),
    ]


def as_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def test_csv_and_parquet_hold_the_same(tmp_path):
    rows = [replace(FULL_ROW, sop_instance_uid=uid) for uid in ("3", "1", "2")] + [ROW]
    write_manifest(rows, tmp_path / "manifest.csv")
    write_manifest(rows, tmp_path / "manifest.parquet")
    table = pq.read_table(tmp_path / "manifest.parquet").to_pylist()
    texts = [{name: as_text(value) for name, value in row.items()} for row in table]
    assert csv_rows(tmp_path / "manifest.csv") == texts


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet"])
def test_manifest_is_the_same_bytes_each_time(tmp_path, name):
    other = replace(ROW, sop_instance_uid="1.2.2")
    write_manifest([FULL_ROW, other], tmp_path / name)
    before = (tmp_path / name).read_bytes()
    write_manifest([other, FULL_ROW], tmp_path / name)
    assert (tmp_path / name).read_bytes() == before


def test_path_that_is_not_utf_8_is_escaped_in_the_manifest(tmp_path):
    rows = [replace(ROW, path=NOT_UTF_8)]
    write_manifest(rows, tmp_path / "manifest.csv")
    write_manifest(rows, tmp_path / "manifest.parquet")
    (row,) = pq.read_table(tmp_path / "manifest.parquet").to_pylist()
    assert column(tmp_path / "manifest.csv", "path") == [row["path"]] == [r"caf\xe9.dcm"]


@needs_byte_names
def test_folder_that_is_not_utf_8_is_escaped_in_the_manifest(tmp_path):
    rows = [replace(ROW, study_instance_uid=NOT_UTF_8)]
    write_manifest(rows, tmp_path / "manifest.parquet")
    (row,) = pq.read_table(tmp_path / "manifest.parquet").to_pylist()
    assert row["study_instance_uid"] == r"caf\xe9.dcm"


def test_blanks_of_unicode_stay_as_they_are_in_the_manifest(tmp_path):
    write_manifest([replace(ROW, path="a\u3000b\u202fc")], tmp_path / "manifest.csv")
    assert column(tmp_path / "manifest.csv", "path") == ["a\u3000b\u202fc"]


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
    (row,) = read_failures(tmp_path / "failures.csv")
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


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path)


@pytest.fixture
def mixed(results, write_dicom):
    """Two studies, of which one has a bad file, and another file."""
    source = results.source
    write_dicom(source / "a.dcm", PixelSpacing=[0.5, 0.25], Modality="MG")
    bad = write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2")
    bad.write_bytes(bad.read_bytes()[:-3])
    write_dicom(source / "c.dcm", StudyInstanceUID="1.2.4", SeriesInstanceUID=None)
    (source / "d.txt").write_text("text")
    return results.run(crop=True, size=[8, 4], padding="bottom-right", filter="nearest")


def test_manifest_of_a_run(mixed):
    mixed.gather()
    first, second = csv_rows(mixed.output / "manifest.csv")
    inode = (mixed.output / "images/1.2.3/1.2.3.1.1.tiff").stat().st_ino
    # 3 rows and 4 columns, all of which have foreground: 4 / 3 as large, and padded to 8 columns.
    assert first == {
        "study_instance_uid": "1.2.3",
        "sop_instance_uid": "1.2.3.1.1",
        "path": "1.2.3/1.2.3.1.1.tiff",
        "inode": str(inode),
        "width": "8",
        "height": "4",
        "channels": "1",
        "num_frames": "1",
        "series_instance_uid": "1.2.3.1",
        "modality": "MG",
        "dtype": "uint8",
        "spacing_x": "0.2",
        "spacing_y": "0.375",
        "spacing_z": "",
        "crop_left": "0",
        "crop_top": "0",
        "crop_width": "4",
        "crop_height": "3",
        "scale_x": "1.25",
        "scale_y": "1.3333333333333333",
        "active_left": "0",
        "active_top": "0",
        "active_right": "5",
        "active_bottom": "4",
        "flip_h": "false",
        "flip_v": "false",
        "source_columns": "4",
        "source_rows": "3",
        "source_frames": "1",
    }
    assert (second["study_instance_uid"], second["series_instance_uid"]) == ("1.2.4", "series")


def test_manifest_and_failures_hold_every_file_once(mixed):
    mixed.gather()
    rows = csv_rows(mixed.output / "manifest.csv")
    assert (len(rows), mixed.failures()) == (
        2,
        {"b.dcm": "short_pixel_data", "d.txt": "not_dicom"},
    )


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


def test_paths_of_the_manifest_follow_the_layout(results, write_dicom):
    write_dicom(results.source / "a.dcm")
    results.run(layout="study/series/sop").gather()
    assert column(results.output / "manifest.csv", "path") == ["1.2.3/1.2.3.1/1.2.3.1.1.tiff"]


def test_manifest_of_a_run_and_of_its_tree_of_images_agree(mixed):
    images = mixed.output / "images"
    receipt = read_receipts(receipt_path(mixed.output, "write", "1.2.3"))[0]
    row = row_of_receipt(receipt, images)
    other = row_of_tiff(find_tiffs(images)[0], images)
    # Scale is a float32 in the tags, spacing a rational; series and modality are not there.
    near = ("scale_x", "scale_y", "spacing_x", "spacing_y")
    assert [getattr(other, name) for name in near] == pytest.approx(
        [getattr(row, name) for name in near], rel=1e-6
    )
    differ = dict.fromkeys((*near, "series_instance_uid", "modality"))
    assert replace(other, **differ) == replace(row, **differ)


def test_missing_image_is_named(mixed):
    path = mixed.output / "images/1.2.3/1.2.3.1.1.tiff"
    path.unlink()
    with pytest.raises(OutputError, match=r"^1 images are missing that were written") as caught:
        mixed.receipts()
    assert f"    {path}\n" in str(caught.value)


def test_missing_image_is_answered_with_how_to_rebuild_it(mixed):
    (mixed.output / "images/1.2.3/1.2.3.1.1.tiff").unlink()
    with pytest.raises(OutputError) as caught:
        mixed.receipts()
    assert str(caught.value).endswith(
        f"To rebuild them, run\n    rm -r {mixed.output}/images/1.2.3\nand then the workflow again."
    )


def test_command_to_rebuild_works_for_a_folder_with_blanks(tmp_path, write_dicom):
    (tmp_path / "my work").mkdir()
    results = Results(tmp_path / "my work")
    write_dicom(results.source / "a.dcm")
    results.run()
    (results.output / "images/1.2.3/1.2.3.1.1.tiff").unlink()
    with pytest.raises(OutputError) as caught:
        results.receipts()
    command = next(line for line in str(caught.value).splitlines() if "rm -r" in line)
    assert shlex.split(command) == ["rm", "-r", f"{results.output}/images/1.2.3"]


def test_many_missing_images_are_counted_and_a_few_shown(results, write_dicom):
    for number in range(7):
        write_dicom(results.source / f"{number}.dcm", StudyInstanceUID=f"1.2.{number}")
    results.run()
    for path in find_tiffs(results.output / "images"):
        path.unlink()
    with pytest.raises(OutputError, match=r"^7 images are missing") as caught:
        results.receipts()
    message = str(caught.value)
    assert message.count(".tiff") == 5
    assert "    and 2 more\n" in message
    assert "    snakemake --forcerun write\n" in message


def test_nothing_is_written_while_an_image_is_missing(mixed):
    (mixed.output / "images/1.2.3/1.2.3.1.1.tiff").unlink()
    with pytest.raises(OutputError):
        mixed.gather()
    assert not (mixed.output / "manifest.csv").exists()


def test_receipt_of_another_number_of_files_is_refused(mixed):
    receipts = mixed.output / "receipts/write/1.2.3.jsonl"
    receipts.write_text(receipts.read_text().splitlines()[0] + "\n")
    with pytest.raises(OutputError, match=r"^study 1\.2\.3: 1 receipts, 2 files"):
        mixed.receipts()


def test_receipts_of_other_settings_are_refused(mixed):
    mixed.chain = "another"
    with pytest.raises(OutputError) as caught:
        mixed.receipts()
    assert str(caught.value) == (
        "3 files were processed with other settings or versions:\n"
        f"    {mixed.source}/a.dcm\n    {mixed.source}/b.dcm\n    {mixed.source}/c.dcm\n"
        "Snakemake did not see it, because its records of these studies are in another working "
        "directory, or are lost. To process everything anew, add\n    --forcerun write"
    )


def test_receipts_of_another_index_are_refused(mixed):
    source = mixed.source / "a.dcm"
    os.utime(source, ns=(1, 1))
    update_index(mixed.output, [str(mixed.source)])
    with pytest.raises(OutputError, match="files were processed before the index was made anew"):
        mixed.receipts()


def test_receipts_of_other_settings_tell_the_first_kept_stage(mixed):
    studies = IndexFolder(mixed.output).read_studies().values()
    with pytest.raises(OutputError, match=r"    --forcerun crop$"):
        gather_receipts(mixed.output, studies, "another", ["pad", "crop"])


def test_failures_and_retry_list_of_a_run_are_in_path_order(results, write_dicom):
    for name in ("b", "a/b", "a-b"):
        (results.source / name).parent.mkdir(exist_ok=True)
        (results.source / name).write_bytes(128 * b"\0" + b"DICM" + b"damaged")
    results.run().gather()
    assert list(results.failures()) == ["a-b", "a/b", "b"]
    retry = (results.output / "retry.txt").read_text().splitlines()
    assert retry == [f"{results.source}/{name}" for name in ("a-b", "a/b", "b")]


# Orphans


def make_orphans(results):
    """Let a study vanish, and leave a stage behind that is not kept any more."""
    (results.source / "c.dcm").unlink()
    results.run()
    stage = results.output / "stages" / "resize" / "1.2.3"
    stage.mkdir(parents=True)
    (stage / "1.2.3.1.1.tiff").write_bytes(b"")
    receipt = results.output / "receipts" / "resize" / "1.2.3.jsonl"
    receipt.parent.mkdir(parents=True)
    receipt.write_text("")
    return results


ORPHANS = [
    "images/1.2.4",
    "receipts/resize/1.2.3.jsonl",
    "receipts/write/1.2.4.jsonl",
    "stages/resize/1.2.3",
]


def test_run_without_leftovers_has_no_orphans(mixed):
    assert mixed.gather().orphans() == []


def test_leftovers_of_studies_and_stages_are_listed(mixed):
    assert make_orphans(mixed).gather().orphans() == ORPHANS


def test_kept_stage_of_a_present_study_is_no_orphan(mixed):
    assert make_orphans(mixed).gather(keep=["resize"]).orphans() == [ORPHANS[0], ORPHANS[2]]


def test_kept_stage_of_a_vanished_study_is_an_orphan(mixed):
    make_orphans(mixed)
    (mixed.output / "stages/resize/1.2.4").mkdir()
    (mixed.output / "stages/resize/1.2.4/.snakemake_timestamp").touch()
    found = find_orphans(mixed.output, ["resize"])
    assert mixed.output / "stages/resize/1.2.4" in found


def test_orphans_are_not_in_the_manifest(mixed):
    make_orphans(mixed).gather()
    assert column(mixed.output / "manifest.csv", "study_instance_uid") == ["1.2.3"]


def test_orphans_stay_without_prune(mixed):
    make_orphans(mixed).gather()
    assert [(mixed.output / path).exists() for path in ORPHANS] == [True] * 4


def test_prune_removes_orphans(mixed):
    make_orphans(mixed).gather(prune=True)
    assert [(mixed.output / path).exists() for path in ORPHANS] == [False] * 4


def test_prune_leaves_no_orphans_listed(mixed):
    assert make_orphans(mixed).gather(prune=True).orphans() == []


def test_prune_leaves_the_present_studies_alone(mixed):
    make_orphans(mixed).gather(prune=True)
    images = [str(p.relative_to(mixed.output)) for p in find_tiffs(mixed.output)]
    assert images == ["images/1.2.3/1.2.3.1.1.tiff"]


def test_prune_removes_nothing_that_the_workflow_did_not_make(mixed, tmp_path):
    (tmp_path / "precious").mkdir()
    (mixed.output / "images" / "1.9").symlink_to(tmp_path / "precious")
    (mixed.output / "images" / "my_notes").mkdir()
    (mixed.output / "images" / "manifest.csv").write_text("dicom-manifest writes here")
    mixed.gather(prune=True)
    assert mixed.orphans() == []
    left = ["1.9", "manifest.csv", "my_notes"]
    assert [os.path.lexists(mixed.output / "images" / name) for name in left] == [True] * 3


def test_prune_removes_a_link_to_a_study_and_not_what_it_leads_to(mixed, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / ".snakemake_timestamp").touch()
    (mixed.output / "images" / "1.9").symlink_to(tmp_path / "precious")
    mixed.gather(prune=True)
    assert not os.path.lexists(mixed.output / "images/1.9")
    assert (tmp_path / "precious").is_dir()


def test_nothing_is_pruned_while_a_named_path_is_missing(mixed):
    make_orphans(mixed).run(mixed.source, mixed.source / "none").gather(prune=True)
    assert mixed.orphans() == ORPHANS
    assert [(mixed.output / path).exists() for path in ORPHANS] == [True] * 4


def test_user_is_told_that_nothing_is_pruned(mixed):
    missing = mixed.source / "none"
    make_orphans(mixed).run(mixed.source, missing).gather(prune=True)
    assert mixed.warnings == [
        f"nothing is pruned, because a part of the source could not be read: {missing}"
    ]


def test_nothing_is_pruned_while_a_folder_cannot_be_listed(mixed, monkeypatch):
    (mixed.source / "secret").mkdir()
    listing = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return listing(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        make_orphans(mixed)
    assert mixed.gather(prune=True).orphans() == ORPHANS


def test_nothing_is_pruned_while_a_named_list_cannot_be_read(mixed, monkeypatch):
    listing = mixed.source.parent / "list.txt"
    listing.write_text(f"{mixed.source / 'c.dcm'}\n")
    really_open = open

    def guarded(path, *arguments, **options):
        if path == str(listing):
            raise PermissionError(13, "Permission denied")
        return really_open(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", guarded)
        mixed.run(mixed.source / "a.dcm", listing)
    mixed.gather(prune=True)
    assert (mixed.output / "images/1.2.4").exists()


def test_bad_file_does_not_keep_prune_from_its_work(mixed):
    assert "b.dcm" in make_orphans(mixed).gather(prune=True).failures()
    assert mixed.orphans() == []


# Any tree of TIFFs


def write_tiff(path, frames=1, shape=(3, 4), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as tiff:
        for _ in range(frames):
            tiff.write(np.zeros(shape, np.uint16), metadata=None, **options)
    return path


def test_foreign_tiff_tells_its_size_and_nothing_else(tmp_path):
    path = write_tiff(tmp_path / "1.2" / "5.tiff", frames=2)
    assert row_of_tiff(path, tmp_path) == ManifestRow(
        study_instance_uid="1.2",
        sop_instance_uid="5",
        path="1.2/5.tiff",
        inode=path.stat().st_ino,
        width=4,
        height=3,
        channels=1,
        num_frames=2,
        dtype="uint16",
    )


def test_foreign_colour_tiff_has_three_channels(tmp_path):
    path = write_tiff(tmp_path / "a.tiff", shape=(3, 4, 3), photometric="rgb")
    row = row_of_tiff(path, tmp_path)
    assert (row.width, row.height, row.channels) == (4, 3, 3)


@pytest.mark.parametrize(
    ("name", "study", "series", "sop"),
    [
        ("5.tiff", "", None, "5"),
        ("1.2/5.tiff", "1.2", None, "5"),
        ("1.2/1.3/5.tiff", "1.2", "1.3", "5"),
        ("x/1.2/1.3/1.2.840.5.tif", "1.2", "1.3", "1.2.840.5"),
    ],
)
def test_uids_come_from_the_path(tmp_path, name, study, series, sop):
    row = row_of_tiff(write_tiff(tmp_path / name), tmp_path)
    found = (row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid, row.path)
    assert found == (study, series, sop, name)


def test_file_that_is_no_tiff_is_refused(tmp_path):
    path = tmp_path / "a.tiff"
    path.write_bytes(b"no tiff")
    with pytest.raises(OutputError, match=r"a\.tiff: cannot be read as TIFF"):
        row_of_tiff(path, tmp_path)


def test_tiffs_are_found_by_suffix_in_path_order(tmp_path):
    for name in ("b.TIF", "a/x.tiff", "a-x.tiff", "c.png", ".partial.tiff", "d.tiff.txt"):
        write_tiff(tmp_path / name)
    names = [str(path.relative_to(tmp_path)) for path in find_tiffs(tmp_path)]
    assert names == ["a-x.tiff", "a/x.tiff", "b.TIF"]


def test_tiffs_are_looked_for_in_folders_only(tmp_path):
    with pytest.raises(NotADirectoryError, match=r"a\.tiff is no folder"):
        find_tiffs(write_tiff(tmp_path / "a.tiff"))


# The verdict


def test_files_that_have_no_other_outcome_are_written():
    outcomes = [("skipped", "not_dicom"), ("failed", "damaged"), ("skipped", "not_dicom")]
    assert count(12, outcomes) == Counts(9, {"not_dicom": 2}, {"damaged": 1})


def test_counts_add_up_to_the_files_found():
    assert Counts(9, {"not_dicom": 2}, {"damaged": 1, "bad_uid": 3}).found == 15


def test_counts_are_one_line_of_text():
    counts = Counts(9, {"not_dicom": 2}, {"damaged": 1, "bad_uid": 3})
    assert str(counts) == (
        "15 files found: 9 written, 2 skipped (not_dicom 2), 4 failed (bad_uid 3, damaged 1)"
    )


def test_counts_of_a_clean_run():
    assert str(Counts(3, {}, {})) == "3 files found: 3 written, 0 skipped, 0 failed"


COMPLAINTS = [
    (Counts(1, {}, {}), False, None, None),
    (Counts(1, {}, {}), True, None, None),
    (Counts(1, {}, {"damaged": 2}), False, None, None),
    (Counts(1, {}, {"damaged": 2}), True, None, "strict: 2 files failed"),
    (Counts(1, {"not_dicom": 2}, {}), True, None, None),
    (Counts(1, {"not_dicom": 1}, {}), False, "a.txt", None),
    (Counts(1, {"not_dicom": 1}, {}), True, "a.txt", "strict: a.txt was named and is not DICOM"),
    (Counts(0, {"not_dicom": 1}, {}), False, None, "no file was written"),
    (Counts(0, {}, {"damaged": 1}), True, None, "no file was written"),
    (Counts(0, {}, {}), False, None, None),
]


@pytest.mark.parametrize(("counts", "strict", "named", "expected"), COMPLAINTS)
def test_complaint(counts, strict, named, expected):
    assert complaint(counts, strict=strict, named_not_written=named) == expected


def verdict_of(results, *, strict=False):
    results.gather()
    problem = judge_run(results.output, strict=strict)
    return problem and problem.split(" (")[0]


def verdict_text(results):
    path = results.output / "verdict.txt"
    return path.read_text() if path.exists() else None


def test_run_with_bad_files_passes(mixed):
    assert verdict_of(mixed) is None
    assert verdict_text(mixed) == (
        "4 files found: 2 written, 1 skipped (not_dicom 1), 1 failed (short_pixel_data 1)\n"
    )


def test_strict_run_with_bad_files_does_not_pass(mixed):
    assert verdict_of(mixed, strict=True) == "strict: 1 file failed"
    assert verdict_text(mixed) is None


def test_complaint_of_a_run_tells_counts_and_where_to_look(mixed):
    mixed.gather()
    assert judge_run(mixed.output, strict=True) == (
        "strict: 1 file failed (4 files found: 2 written, 1 skipped (not_dicom 1), "
        f"1 failed (short_pixel_data 1)); see {mixed.output}/failures.csv"
    )


def test_strict_run_passes_files_met_in_a_folder_that_are_not_dicom(mixed):
    (mixed.source / "b.dcm").unlink()
    mixed.run()
    assert verdict_of(mixed, strict=True) is None


def test_strict_run_with_a_named_file_that_is_not_dicom_does_not_pass(mixed):
    image = mixed.source / "d.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    mixed.run(mixed.source / "a.dcm", image)
    assert verdict_of(mixed, strict=True) == f"strict: {image} was named and is not DICOM"


def test_run_with_a_named_file_that_is_not_dicom_passes(mixed):
    image = mixed.source / "d.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    mixed.run(mixed.source / "a.dcm", image)
    assert verdict_of(mixed) is None


def test_strict_run_with_a_named_path_that_is_missing_does_not_pass(mixed):
    mixed.run(mixed.source / "a.dcm", mixed.source / "none.dcm")
    assert verdict_of(mixed, strict=True) == "strict: 1 file failed"


def test_run_in_which_nothing_was_written_does_not_pass(results):
    (results.source / "a.txt").write_text("text")
    results.run()
    assert verdict_of(results) == "no file was written"
    assert verdict_text(results) is None


def test_named_path_is_printable_in_the_complaint():
    counts = Counts(1, {"not_dicom": 1}, {})
    problem = complaint(counts, strict=True, named_not_written=NOT_UTF_8)
    assert problem == r"strict: caf\xe9.dcm was named and is not DICOM"
