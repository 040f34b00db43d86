"""The tables of a run as data frames: their dtypes, and paths that stay inside."""

from dataclasses import replace

import pandas as pd
import pytest

from dicom_preprocessing import read_failures, read_manifest, read_slices, read_warnings
from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.files import as_record
from dicom_preprocessing.imaging.geometry import Geometry
from dicom_preprocessing.results.failures import Failure, write_failures
from dicom_preprocessing.results.manifest import COLUMN_TYPES, write_manifest
from dicom_preprocessing.results.reading import leads_out
from dicom_preprocessing.results.tables import COLUMN_DTYPES
from dicom_preprocessing.results.warning_table import WARNING_COLUMNS, WarningRow, write_warnings
from tests.unit.mapping.tables import PLAIN, ROW
from tests.unit.receipts import SIZE, HandMadeRun, space_of, stack, written
from tests.unit.tools.series import run

FAILURE = Failure(
    source_path="/in/a.dcm",
    state="failed",
    error="damaged",
    message="cut",
    stage="index",
    transient=False,
    study_instance_uid="1.20",
    series_instance_uid="",
    sop_instance_uid="",
)


@pytest.fixture(params=["manifest.csv", "manifest.parquet"])
def manifest(request, tmp_path):
    write_manifest([ROW, PLAIN], tmp_path / request.param)
    return tmp_path / request.param


def test_manifest_has_a_dtype_for_each_kind_of_column(manifest):
    expected = {name: COLUMN_DTYPES[kind] for name, kind in COLUMN_TYPES.items()}
    assert read_manifest(manifest).dtypes.astype(str).to_dict() == expected


def test_manifest_has_the_values_of_its_rows(manifest):
    table = read_manifest(manifest)
    assert table["sop_instance_uid"].tolist() == ["1.2.1", "1.3.1"]
    assert table["crop_left"].tolist() == [2, pd.NA]
    assert table["crop_left"].fillna(0).tolist() == [2, 0]


def test_folder_stands_for_the_manifest_in_it(tmp_path):
    write_manifest([ROW], tmp_path / "manifest.csv")
    assert len(read_manifest(str(tmp_path))) == 1


def test_manifest_that_pandas_wrote_is_the_same(manifest, tmp_path):
    table = read_manifest(manifest)
    table.astype({"crop_left": "float64"}).to_csv(tmp_path / "again.csv", index=False)
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "again.csv"), table)
    table.to_parquet(tmp_path / "again.parquet")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "again.parquet"), table)


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.tiff", "1.2/../../a.tiff", ".."])
def test_path_that_leads_out_is_refused(tmp_path, path):
    write_manifest([PLAIN, replace(PLAIN, sop_instance_uid="1.3.2", path=path)], tmp_path / "m.csv")
    with pytest.raises(SourceError, match=r"row 2 of .*m\.csv: path '.*' leads out of the folder"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize("path", ["a.tiff", "./a.tiff", "1.2/../a.tiff", "..a/b.tiff", "1.2/..b"])
def test_other_paths_stay_inside(path):
    assert not leads_out(path)


def test_row_without_path_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text("path,width\na.tiff,1\n,2\n")
    with pytest.raises(SourceError, match=r"row 2 of .*m\.csv has no path"):
        read_manifest(tmp_path / "m.csv")


def test_table_without_paths_is_no_manifest(tmp_path):
    (tmp_path / "m.csv").write_text("a,b\n")
    with pytest.raises(SourceError, match="a manifest has a column path; found: a, b"):
        read_manifest(tmp_path / "m.csv")


def test_failures_are_text_but_for_transient(tmp_path):
    write_failures([FAILURE], tmp_path / "failures.csv")
    table = read_failures(tmp_path)
    dtypes = table.dtypes.astype(str).to_dict()
    assert dtypes.pop("transient") == "boolean"
    assert set(dtypes.values()) == {"string"}
    assert (table.at[0, "study_instance_uid"], table.at[0, "transient"]) == ("1.20", False)
    assert pd.isna(table.at[0, "series_instance_uid"])


WARNING = WarningRow(
    path="1.2/1.2.1.tiff", source_path="/in/a.dcm", code="mosaic", message='12 of 16 tiles, "x"'
)


def test_warnings_are_text(tmp_path):
    write_warnings([WARNING], tmp_path / "warnings.csv")
    for source in (tmp_path, str(tmp_path / "warnings.csv")):
        table = read_warnings(source)
        assert set(table.dtypes.astype(str)) == {"string"}
        assert table.to_dict("records") == [as_record(WARNING)]


def test_table_without_warnings_has_the_same_dtypes(tmp_path):
    write_warnings([], tmp_path / "warnings.csv")
    table = read_warnings(tmp_path)
    assert (len(table), list(table.columns)) == (0, list(WARNING_COLUMNS))
    assert set(table.dtypes.astype(str)) == {"string"}


def test_warnings_that_lead_out_are_refused(tmp_path):
    write_warnings([replace(WARNING, path="../a.tiff")], tmp_path / "warnings.csv")
    with pytest.raises(SourceError, match=r"row 1 of .*leads out"):
        read_warnings(tmp_path)


SLICE_DTYPES = {
    "path": "string",
    "page": "Int64",
    "sop_instance_uid": "string",
    "source_path": "string",
    "source_frame": "Int64",
    "position_mm": "float64",
    "x": "float64",
    "y": "float64",
    "z": "float64",
}


def test_slices_of_a_run_are_read(tmp_path):
    geometry = Geometry(SIZE, space=space_of(1.5, 3))
    receipts = [*stack("1.20", "3", "4", page_frames=(1, 2), geometry=geometry), written("5")]
    results = HandMadeRun(tmp_path, *receipts).gather()
    for source in (results.output, results.slices):
        table = read_slices(source)
        assert table.dtypes.astype(str).to_dict() == SLICE_DTYPES
    assert table["page"].tolist() == [1, 2, pd.NA]
    assert table["sop_instance_uid"].tolist() == ["1.20", "3", "4"]
    assert table["z"].tolist()[:2] == [1.5, 3.0]
    assert table["z"].isna().tolist() == [False, False, True]


def test_table_without_slices_has_the_same_dtypes(tmp_path):
    table = read_slices(HandMadeRun(tmp_path, written("5")).gather().output)
    assert (len(table), table.dtypes.astype(str).to_dict()) == (0, SLICE_DTYPES)


def test_slices_of_tiff_combine_are_read(tree):
    assert run(tree, "--source", str(tree.parent / "dicom")) == 0
    table = read_slices(tree.parent / "volumes")
    assert table.dtypes.astype(str).to_dict() == SLICE_DTYPES
    assert table["path"].unique().tolist() == ["1.2.3/1.2.3.1.tiff"]
    assert table["page"].tolist() == [1, 2, 3, 4]
    assert table["source_frame"].tolist() == [1, 1, 1, 1]
    assert table["position_mm"].diff().dropna().tolist() == [2.5, 2.5, 2.5]


def test_slices_that_lead_out_are_refused(tmp_path):
    (tmp_path / "slices.csv").write_text("path,page\n/a.tiff,0\n")
    with pytest.raises(SourceError, match=r"row 1 of .*leads out"):
        read_slices(tmp_path)
