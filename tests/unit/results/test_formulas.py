"""Text that a spreadsheet would compute, in every table that is written."""

import io
import re
from dataclasses import fields, replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicom_preprocessing.image_warnings import WARNING_CODES
from dicom_preprocessing.mapping.boxes import write_csv, write_table
from dicom_preprocessing.results.failures import Failure, iterate_failures, write_failures
from dicom_preprocessing.results.manifest import ManifestRow, write_manifest
from dicom_preprocessing.results.reading import (
    read_failures,
    read_manifest,
    read_slices,
    read_warnings,
)
from dicom_preprocessing.results.slice_table import SliceRow, write_slices
from dicom_preprocessing.results.tables import as_records, load_table
from dicom_preprocessing.results.warning_table import WarningRow, write_warnings
from dicom_preprocessing.text import escape_formula, make_printable, unescape_formula
from dicom_preprocessing.tools.tiff_benchmark.benchmark import Benchmark, Sizes, write_tables
from tests.conftest import CHECKOUT
from tests.unit.run_results import csv_rows

SIZES = {"inode": 1, "width": 2, "height": 2, "channels": 1, "num_frames": 1}
STARTS = ("=", "+", "-", "@", "\t", "\r")
HOSTILE = st.text("=+-@'a1 \t\r", min_size=1, max_size=6)
WRITERS = re.compile(r"csv\.(?:writer|DictWriter)\(|\.to_csv\(|write_csv\(")
FEW = settings(max_examples=40, deadline=None)
TEXT_OF_FAILURE = [f.name for f in fields(Failure) if f.type == "str"]


def is_computed(cell):
    """Whether a spreadsheet takes a cell for a formula, and not for a number."""
    if not cell.startswith(STARTS):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return cell.strip() != cell


@given(st.text())
@example("'=1")
@example("''")
@example("'-5")
@example("-5\n")
@example("-inf")
def test_any_text_comes_back(text):
    escaped = escape_formula(text)
    assert not is_computed(escaped)
    assert unescape_formula(escaped) == text


@given(st.text().filter(lambda text: not text.lstrip("'").startswith(STARTS)))
def test_other_text_stays_as_it_is(text):
    assert escape_formula(text) == text == unescape_formula(text)


@pytest.mark.parametrize("text", ["-5", "+0.5", "-.5e-3", "-5.", "'-5"])
def test_numbers_stay_numbers(text):
    assert escape_formula(text) == text == unescape_formula(text)


def texts_of(kind, text, **known):
    """A row with the same text in each column that may have any."""
    return kind(**{f.name: text for f in fields(kind) if f.type in ("str", "str | None")} | known)


def check(path, read, row):
    (written,) = csv_rows(path)
    assert not [cell for cell in written.values() if is_computed(cell)]
    (found,) = as_records(read(path))
    texts = {f.name: getattr(row, f.name) for f in fields(row)}
    expected = {name: make_printable(t) for name, t in texts.items() if isinstance(t, str)}
    assert {name: found[name] for name in expected} == expected


@FEW
@given(HOSTILE)
def test_failures(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("t") / "failures.csv"
    row = texts_of(Failure, text, transient=False)
    write_failures([row], path)
    check(path, read_failures, row)
    (counted,) = iterate_failures(path)
    assert {counted[name] for name in TEXT_OF_FAILURE} == {make_printable(text)}


@FEW
@given(HOSTILE)
def test_warnings(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("t") / "warnings.csv"
    row = texts_of(WarningRow, text, code=next(iter(WARNING_CODES)))
    write_warnings([row], path)
    check(path, read_warnings, row)


@FEW
@given(HOSTILE)
def test_manifest_and_its_parquet(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("t")
    row = texts_of(ManifestRow, text, **SIZES)
    write_manifest([row], folder / "manifest.csv")
    check(folder / "manifest.csv", read_manifest, row)
    write_manifest([row], folder / "manifest.parquet")
    (typed,) = pq.read_table(folder / "manifest.parquet").to_pylist()
    assert typed["modality"] == typed["path"] == make_printable(text)
    (read,) = as_records(read_manifest(folder / "manifest.parquet"))
    assert read["modality"] == make_printable(text)


@FEW
@given(HOSTILE)
def test_slices(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("t") / "slices.csv"
    row = texts_of(SliceRow, text, page=None, source_frame=1)
    write_slices([row], path)
    check(path, read_slices, row)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@FEW
@given(HOSTILE, HOSTILE)
def test_tables_of_users(tmp_path_factory, suffix, name, text):
    path = tmp_path_factory.mktemp("t") / f"boxes{suffix}"
    column = pd.array(pa.array([text]), dtype=pd.ArrowDtype(pa.string()))
    write_table(pd.DataFrame({name: column, "path": column}), path)
    found = load_table(path)
    assert list(found.columns) == [name, "path"]
    assert as_records(found) == [{name: text, "path": text}]
    if suffix == ".csv":
        assert not [c for pair in csv_rows(path)[0].items() for c in pair if is_computed(c)]
        again = io.StringIO(newline="")
        write_csv(found, again)
        assert again.getvalue() == path.read_bytes().decode()


@FEW
@given(HOSTILE)
def test_tables_of_the_benchmark(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("t")
    row = Sizes(**{f.name: text if f.type == "str" else 1 for f in fields(Sizes)})
    write_tables(Benchmark(**{f.name: [row] for f in fields(Benchmark)}), folder)
    for path in folder.iterdir():
        (written,) = csv_rows(path)
        assert not [cell for cell in written.values() if is_computed(cell)]
        (found,) = as_records(load_table(path))
        assert make_printable(text) in found.values()


def test_one_function_writes_csv():
    found = [
        f"{path.name}: {call}"
        for folder in ("src", "scripts", "workflow")
        for path in (CHECKOUT / folder).rglob("*")
        if path.suffix in (".py", ".smk")
        for call in WRITERS.findall(path.read_text(encoding="utf-8"))
    ]
    # boxes.py has a function of that name, which calls the one in tables.py; map.py calls it.
    assert sorted(found) == [
        *("boxes.py: write_csv(",) * 2,
        "map.py: write_csv(",
        "tables.py: csv.writer(",
    ]


@pytest.mark.parametrize("number", [-0.5, None])
def test_numbers_are_not_text(tmp_path, number):
    row = replace(texts_of(ManifestRow, "a", **SIZES), spacing_x=number, crop_left=-3)
    write_manifest([row], tmp_path / "manifest.csv")
    (written,) = csv_rows(tmp_path / "manifest.csv")
    assert (written["spacing_x"], written["crop_left"]) == ("-0.5" if number else "", "-3")
