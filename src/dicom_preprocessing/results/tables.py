"""Tables as files, of this project and of its users: csv, all of it text, or parquet, by suffix."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.text import explain_without_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

CSV, PARQUET = ".csv", ".parquet"
TABLE_SUFFIXES = (CSV, PARQUET)


def load_columns(path: Path) -> pa.Table:
    """Columns of a table: text of csv, typed values of parquet.

    Raises
    ------
    SourceError
        It cannot be read as what its suffix says, or rows and header do not agree.
    """
    import pyarrow as pa  # noqa: PLC0415  # slow to import

    with _translate_errors(path):
        if path.suffix.lower() == PARQUET:
            return _load_parquet(path)
        header, rows = _load_csv(path)
        columns = zip(*rows, strict=True) if rows else [()] * len(header)
        arrays = [pa.array(column, pa.string()) for column in columns]
        return pa.Table.from_arrays(arrays, names=header)


def load_text_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table as text, what is unknown as an empty one.

    Raises
    ------
    SourceError
        As for ``load_columns``.
    """
    with _translate_errors(path):
        if path.suffix.lower() == PARQUET:
            rows = _load_parquet(path).to_pylist()
            return [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
        header, cells = _load_csv(path)
        return [dict(zip(header, row, strict=True)) for row in cells]


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """Make one kind of error of whatever is wrong with a file."""
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise SourceError(f"{path}: a table must end in .csv or .parquet")
    try:
        yield
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: cannot be read: it is not text in UTF-8") from error
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read: {explain_without_path(error)}") from error


def _load_parquet(path: Path) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415  # slow to import, and csv does not need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        return pq.read_table(path)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _load_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = list(csv.reader(file, strict=True)) or [[]]
    if not header:
        raise ValueError("the first line has no names of columns")
    if len(set(header)) < len(header):
        raise ValueError(f"the first line names a column twice: {', '.join(header)}")
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells instead of {len(header)}")
    return header, rows
