"""The manifest: its columns, rows of receipts, and of any tree of TIFFs."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.results.collection import collect_receipts
from dicom_preprocessing.results.layout import ResultsFolder
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
from dicom_preprocessing.results.tables import COLUMN_DTYPES, Unsigned
from tests.conftest import needs_byte_names
from tests.unit.receipts import RECIPE, HandMadeRun, failed, stack, written
from tests.unit.run_results import NOT_UTF_8, column, csv_header, csv_rows

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
    spacing_source="pixel",
    position_x=-1.5,
    position_y=2.0,
    position_z=3.0,
    row_x=1.0,
    row_y=0.0,
    row_z=0.0,
    column_x=0.0,
    column_y=1.0,
    column_z=0.0,
    volume=1,
    volume_id="0f",
    warnings=2,
)


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
        "spacing_source",
        "position_x",
        "position_y",
        "position_z",
        "row_x",
        "row_y",
        "row_z",
        "column_x",
        "column_y",
        "column_z",
        "volume",
        "volume_id",
        "warnings",
    ]


def test_columns_are_of_types_that_parquet_and_the_reader_know():
    assert set(COLUMN_TYPES.values()) == set(COLUMN_DTYPES)
    names = ("path", "inode", "modality", "spacing_x", "crop_left", "flip_h")
    assert [COLUMN_TYPES[name] for name in names] == [str, Unsigned, str, float, int, bool]


def test_parquet_has_the_columns_of_the_csv_in_the_same_order(tmp_path):
    write_manifest([], tmp_path / "manifest.parquet")
    assert tuple(pq.read_schema(tmp_path / "manifest.parquet").names) == COLUMNS


def test_parquet_has_typed_columns(tmp_path):
    write_manifest([FULL_ROW], tmp_path / "manifest.parquet")
    schema = pq.read_schema(tmp_path / "manifest.parquet")
    names = ("path", "inode", "spacing_x", "flip_h")
    assert [str(schema.field(name).type) for name in names] == [
        "string",
        "uint64",
        "double",
        "bool",
    ]


def test_parquet_without_rows_has_the_types_of_one_with_rows(tmp_path):
    write_manifest([], tmp_path / "empty.parquet")
    write_manifest([FULL_ROW], tmp_path / "full.parquet")
    assert pq.read_schema(tmp_path / "empty.parquet") == pq.read_schema(tmp_path / "full.parquet")


def test_csv_row(tmp_path):
    write_manifest([FULL_ROW], tmp_path / "manifest.csv")
    assert (tmp_path / "manifest.csv").read_text().splitlines()[1] == (
        "1.2,1.2.1,1.2/1.2.1.tiff,7,4,3,1,1,1.3,MG,uint16,0.1,0.3333333333333333,2.0,"
        "1,2,30,40,0.1,0.05,0,1,3,3,true,false,50,60,1,pixel,-1.5,2.0,3.0,1.0,0.0,0.0,0.0,1.0,0.0,"
        "1,0f,2"
    )


def test_unknown_values_are_empty_cells(tmp_path):
    write_manifest([ROW], tmp_path / "manifest.csv")
    line = (tmp_path / "manifest.csv").read_text().splitlines()[1]
    assert line == "1.2,1.2.1,1.2/1.2.1.tiff,7,4,3,1,1" + 34 * ","


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


# A run


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
        "spacing_source": "pixel",
        "position_x": "",
        "position_y": "",
        "position_z": "",
        "row_x": "",
        "row_y": "",
        "row_z": "",
        "column_x": "",
        "column_y": "",
        "column_z": "",
        "volume": "",
        "volume_id": "",
        "warnings": "0",
    }
    assert (second["study_instance_uid"], second["series_instance_uid"]) == ("1.2.4", "series")


def test_paths_of_the_manifest_follow_the_layout(results, write_dicom):
    write_dicom(results.source / "a.dcm")
    results.run(layout="study/series/sop").gather()
    assert column(results.output / "manifest.csv", "path") == ["1.2.3/1.2.3.1/1.2.3.1.1.tiff"]


def test_manifest_of_a_run_and_of_its_tree_of_images_agree(mixed):
    images = mixed.output / "images"
    receipt = read_receipts(ResultsFolder(mixed.output).receipt("write", "1.2.3"))[0]
    row = row_of_receipt(receipt, images)
    other = row_of_tiff(find_tiffs(images)[0], images)
    # Scale is a float32 in the tags, spacing a rational; what else differs is not there.
    near = ("scale_x", "scale_y", "spacing_x", "spacing_y")
    assert [getattr(other, name) for name in near] == pytest.approx(
        [getattr(row, name) for name in near], rel=1e-6
    )
    differ = dict.fromkeys((*near, "series_instance_uid", "modality", "warnings"))
    assert replace(other, **differ) == replace(row, **differ)


def test_stack_is_one_row_with_its_volume(tmp_path):
    receipts = [*stack("5", "3", volume=2), written("1"), failed("9")]
    results = HandMadeRun(tmp_path, *receipts).gather()
    first, second = csv_rows(results.manifest)
    assert [first[name] for name in ("sop_instance_uid", "volume", "volume_id")] == ["1", "", ""]
    assert [second[name] for name in ("sop_instance_uid", "volume", "volume_id", "num_frames")] == [
        *("5", "2", "id2", "2")
    ]
    table = pq.read_table(results.manifest_parquet, columns=["volume", "volume_id"])
    assert [str(field.type) for field in table.schema] == ["int64", "string"]
    assert table.to_pylist()[1] == {"volume": 2, "volume_id": "id2"}


def test_volume_of_one_slice_has_its_number(tmp_path):
    receipt = replace(written("1"), volume=3, volume_id="id3")
    (row,) = csv_rows(HandMadeRun(tmp_path, receipt).gather().manifest)
    assert (row["volume"], row["volume_id"]) == ("3", "id3")


def test_columns_that_are_asked_for_are_those_of_the_first_file(tmp_path):
    run = HandMadeRun(tmp_path, *stack("5", "3"))
    collected = collect_receipts(run.output, run.studies, RECIPE, columns=["source_path"])
    assert [cells[-1] for cells in collected.rows] == ["/in/5.dcm"]


def write_tiff(path, frames=1, shape=(3, 4), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as tiff:
        for _ in range(frames):
            tiff.write(np.zeros(shape, np.uint16), metadata=None, **options)
    return path


# Any tree of TIFFs


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
    with pytest.raises(NotADirectoryError, match=r"a\.tiff is not a folder"):
        find_tiffs(write_tiff(tmp_path / "a.tiff"))
