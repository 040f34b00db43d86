"""Numbers that a file system or a file decides: every table holds them, or says of which file."""

import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dicom_preprocessing import TiffDataset, get_manifest, inode_sort, read_manifest
from dicom_preprocessing.cli.manifest import main
from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.results import manifest
from dicom_preprocessing.results.manifest import COLUMN_TYPES, write_manifest
from dicom_preprocessing.results.tables import INTEGER_RANGES
from dicom_preprocessing.tiff.info import read_info
from tests.unit.loading.test_dataset import results as make_results
from tests.unit.results.test_manifest import FULL_ROW

SAME_FOLDER = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
INTEGER_COLUMNS = [name for name, kind in COLUMN_TYPES.items() if kind in INTEGER_RANGES]


def numbers_of(kind):
    """Every number that a column of this type holds, often those at its ends."""
    lowest, end = INTEGER_RANGES[kind]
    return st.integers(lowest, end - 1) | st.sampled_from([lowest, end - 1, 2**53 + 1, 2**62 + 1])


@SAME_FOLDER
@given(st.fixed_dictionaries({name: numbers_of(COLUMN_TYPES[name]) for name in INTEGER_COLUMNS}))
@example({name: INTEGER_RANGES[COLUMN_TYPES[name]][1] - 1 for name in INTEGER_COLUMNS})
@example({name: INTEGER_RANGES[COLUMN_TYPES[name]][0] for name in INTEGER_COLUMNS})
def test_every_number_of_a_column_comes_back(tmp_path, numbers):
    for name in ("manifest.csv", "manifest.parquet"):
        write_manifest([replace(FULL_ROW, **numbers)], tmp_path / name)
        table = read_manifest(tmp_path / name)
        assert {column: int(table[column][0]) for column in numbers} == numbers
    assert str(table["inode"].dtype) == "UInt64"


def test_manifest_of_an_earlier_version_is_read(tmp_path):
    """Its inodes are int64 in parquet."""
    path = tmp_path / "manifest.parquet"
    write_manifest([FULL_ROW], path)
    table = pq.read_table(path)
    at = table.schema.get_field_index("inode")
    pq.write_table(table.set_column(at, "inode", table["inode"].cast(pa.int64())), path)
    assert read_manifest(path)["inode"].tolist() == [7]


@pytest.mark.parametrize("inode", [-1, 2**64])
def test_number_that_is_none_of_its_column_is_an_error_with_its_row(tmp_path, inode):
    path = tmp_path / "manifest.csv"
    path.write_text(f"path,inode\na.tiff,{inode}\n")
    with pytest.raises(SourceError, match=rf"^row 1 of .*: inode is '{inode}'"):
        read_manifest(path)


@pytest.fixture
def with_inodes(monkeypatch):
    """Give files other inodes, by their names."""
    real = os.stat

    def give(inodes):
        def stat(path, *arguments, **options):
            status = real(path, *arguments, **options)
            inode = None if isinstance(path, int) else inodes.get(os.path.basename(path))
            # An os.stat_result is a sequence, of which the second item is the inode.
            return status if inode is None else os.stat_result([*status[:1], inode, *status[2:]])

        monkeypatch.setattr(os, "stat", stat)

    return give


results = pytest.fixture(make_results.__wrapped__)


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet"])
def test_inodes_of_64_bits_pass_through_commands_and_loaders(results, with_inodes, name):
    paths = sorted((results / "images").rglob("*.tiff"))
    given = [2**64 - 1 - number**9 for number in range(len(paths))]
    with_inodes(dict(zip((path.name for path in paths), given, strict=True)))
    table = results / name
    assert main([str(results / "images"), str(table)]) == 0
    assert read_manifest(table)["inode"].tolist() == given
    assert [entry.inode for entry in get_manifest(results / "images")] == given
    assert inode_sort(paths) == paths[::-1]
    images = TiffDataset(table, root=results / "images")
    assert images.inodes().tolist() == given
    assert sorted(images.stream(shuffle=1).reading_order(0)) == list(range(len(paths)))


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet"])
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**400, True, "7", [1], {}])
def test_tiff_with_a_number_that_no_column_holds_is_named_and_the_rest_listed(
    results, monkeypatch, capsys, name, number
):
    bad = min((results / "images").rglob("*.tiff"))

    def read(path):
        info = read_info(path)
        return replace(info, source=(number, 1, 1)) if Path(path) == bad else info

    monkeypatch.setattr(manifest, "read_info", read)
    assert main([str(results / "images"), str(results / name)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {bad}: cannot be read as TIFF: source_columns is ")
    assert said.count("\n") == 1
    assert len(said) < 300 + len(str(bad))
    assert len(read_manifest(results / name)) == len(list(bad.parents[1].rglob("*.tiff"))) - 1
