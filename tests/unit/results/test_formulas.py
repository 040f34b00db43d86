"""Text that a spreadsheet would compute, in every table that is written."""

from dataclasses import fields, replace

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dicom_preprocessing.image_warnings import WARNING_CODES
from dicom_preprocessing.results.failures import Failure, write_failures
from dicom_preprocessing.results.manifest import ManifestRow, write_manifest
from dicom_preprocessing.results.reading import read_failures, read_manifest, read_warnings
from dicom_preprocessing.results.tables import as_records
from dicom_preprocessing.results.warning_table import WarningRow, write_warnings
from dicom_preprocessing.text import escape_formula, unescape_formula
from tests.unit.run_results import csv_rows

SIZES = {"inode": 1, "width": 2, "height": 2, "channels": 1, "num_frames": 1}
STARTS = ("=", "+", "-", "@")
HOSTILE = st.text("=+-@'a1 ", min_size=1, max_size=6)


@given(st.text())
@example("'=1")
@example("''")
def test_any_text_comes_back(text):
    escaped = escape_formula(text)
    assert not escaped.startswith(STARTS)
    assert unescape_formula(escaped) == text


@given(st.text().filter(lambda text: not text.lstrip("'").startswith(STARTS)))
def test_other_text_stays_as_it_is(text):
    assert escape_formula(text) == text == unescape_formula(text)


def texts_of(kind, text, **known):
    """A row with the same text in each column that may have any."""
    return kind(**{f.name: text for f in fields(kind) if f.type in ("str", "str | None")} | known)


def check(path, read, row):
    (written,) = csv_rows(path)
    assert not [cell for cell in written.values() if cell.startswith(STARTS)]
    (found,) = as_records(read(path))
    assert {name: found[name] for name in found if isinstance(getattr(row, name), str)} == {
        f.name: getattr(row, f.name) for f in fields(row) if isinstance(getattr(row, f.name), str)
    }


@given(HOSTILE)
def test_failures(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("t") / "failures.csv"
    row = texts_of(Failure, text, transient=False)
    write_failures([row], path)
    check(path, read_failures, row)


@given(HOSTILE)
def test_warnings(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("t") / "warnings.csv"
    row = texts_of(WarningRow, text, code=next(iter(WARNING_CODES)))
    write_warnings([row], path)
    check(path, read_warnings, row)


@given(HOSTILE)
def test_manifest_and_its_parquet(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("t")
    row = texts_of(ManifestRow, text, **SIZES)
    write_manifest([row], folder / "manifest.csv")
    check(folder / "manifest.csv", read_manifest, row)
    write_manifest([row], folder / "manifest.parquet")
    (typed,) = pq.read_table(folder / "manifest.parquet").to_pylist()
    assert typed["modality"] == typed["path"] == text
    (read,) = as_records(read_manifest(folder / "manifest.parquet"))
    assert read["modality"] == text


@pytest.mark.parametrize("number", [-0.5, None])
def test_numbers_are_not_text(tmp_path, number):
    row = replace(texts_of(ManifestRow, "a", **SIZES), spacing_x=number, crop_left=-3)
    write_manifest([row], tmp_path / "manifest.csv")
    (written,) = csv_rows(tmp_path / "manifest.csv")
    assert (written["spacing_x"], written["crop_left"]) == ("-0.5" if number else "", "-3")
