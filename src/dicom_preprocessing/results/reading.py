"""The tables of a run, as data frames with fixed dtypes."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.config.model import SOURCE_PATH
from dicom_preprocessing.errors import OutputError, SourceError
from dicom_preprocessing.results.failures import Failure
from dicom_preprocessing.results.layout import FAILURES, MANIFEST, SLICES, WARNINGS
from dicom_preprocessing.results.manifest import COLUMN_TYPES
from dicom_preprocessing.results.slice_table import SliceRow
from dicom_preprocessing.results.tables import (
    column_types,
    load_in_parts,
    load_table,
    read_column_names,
    read_rows,
)
from dicom_preprocessing.results.warning_table import WarningRow
from dicom_preprocessing.text import list_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import pandas as pd

    PathLike = os.PathLike[str] | str

FAILURE_TYPES = column_types(Failure)
WARNING_TYPES = column_types(WarningRow)
SLICE_TYPES = column_types(SliceRow)


def read_manifest(source: PathLike) -> pd.DataFrame:
    """Read a manifest, one row per image.

    Parameters
    ----------
    source : path
        A manifest (.csv or .parquet), also one that another program wrote, or a folder with a
        manifest.csv.

    Returns
    -------
    DataFrame
        Text as ``string``, integers as ``Int64`` (inodes as ``UInt64``), other numbers as
        ``float64``, true and false as ``boolean``; columns named as DICOM keywords as ``string``.
        Columns that the project does not write are as in the file.

    Raises
    ------
    SourceError
        It cannot be read or has no column path; a row has no path, one that leads out of the
        folder of images, or a value of another type than its column.
    """
    return _read_with_paths(source, MANIFEST, _types_of_manifest(), "a manifest")


@cache
def _types_of_manifest() -> dict[str, type]:
    """Types of the columns of every manifest, and of those that the configuration may add."""
    from pydicom.datadict import keyword_dict  # noqa: PLC0415  # half as slow as the rest together

    return dict.fromkeys((*keyword_dict, SOURCE_PATH), str) | COLUMN_TYPES


def read_failures(source: PathLike) -> pd.DataFrame:
    """Read the table of files that are not in the manifest, one row per file.

    Parameters
    ----------
    source : path
        A failures.csv, or a folder with one.

    Returns
    -------
    DataFrame
        Text as ``string``, ``transient`` as ``boolean``.

    Raises
    ------
    SourceError
        It cannot be read, or a value is of another type than its column.
    """
    return load_table(_table_in(source, FAILURES), FAILURE_TYPES)


def read_warnings(source: PathLike) -> pd.DataFrame:
    """Read what is irregular in files of which there is an image, one row per warning.

    Parameters
    ----------
    source : path
        A warnings.csv, or a folder with one.

    Returns
    -------
    DataFrame
        All columns as ``string``; ``path`` is that of the manifest.

    Raises
    ------
    SourceError
        As for ``read_manifest``.
    """
    return _read_with_paths(source, WARNINGS, WARNING_TYPES, "a table of warnings")


def read_slices(source: PathLike) -> pd.DataFrame:
    """Read which stored frame each page of an image is, and where it lies, one row per page.

    Parameters
    ----------
    source : path
        A slices.csv of a run, of ``dicom-preprocess`` or of ``tiff-combine``, or a folder with one.

    Returns
    -------
    DataFrame
        Text as ``string``, ``page`` and ``source_frame`` (from 1) as ``Int64``, ``position_mm``,
        ``x``, ``y`` and ``z`` as ``float64``. A file of a stack that is no page has no ``page``.

    Raises
    ------
    SourceError
        As for ``read_manifest``.
    """
    return _read_with_paths(source, SLICES, SLICE_TYPES, "a table of slices")


def _read_with_paths(
    source: PathLike,
    name: str,
    types: Mapping[str, type],
    what: str,
    columns: Collection[str] | None = None,
) -> pd.DataFrame:
    """Read a table whose column path must lead to images; ``what`` it is, for messages."""
    path = _table_in(source, name)
    table = load_table(path, types, columns=columns)
    _check_paths(table, path, what)
    return table


def read_manifest_columns(source: PathLike, columns: Collection[str]) -> pd.DataFrame:
    """Read path and other columns of a manifest, as far as it has them; see ``read_manifest``."""
    wanted = {"path", *columns}
    return _read_with_paths(source, MANIFEST, COLUMN_TYPES, "a manifest", wanted)


def read_manifest_rows(path: Path, columns: Collection[str]) -> Iterator[dict[str, Any]]:
    """Columns of a manifest.csv of this project, row by row; see ``read_rows``."""
    return read_rows(path, COLUMN_TYPES, columns)


def read_failure_rows(path: Path, columns: Collection[str]) -> Iterator[dict[str, Any]]:
    """Columns of a failures.csv, row by row; see ``read_rows``."""
    return read_rows(path, FAILURE_TYPES, columns)


def read_slices_in_parts(path: Path, columns: Collection[str]) -> Iterator[pd.DataFrame]:
    """Columns of a slices.csv, path among them, some rows at a time; only rows that have a path.

    Raises
    ------
    OutputError
        The table lacks a column.
    SourceError
        It cannot be read.
    """
    for part in load_in_parts(path, SLICE_TYPES, columns=columns):
        missing = set(columns) - set(part.columns)
        if missing:
            raise OutputError(f"{path} is not a table of slices: it has no column {min(missing)}")
        yield part.dropna(subset="path")


def _table_in(source: PathLike, name: str) -> Path:
    path = Path(source)
    return path / name if path.is_dir() else path


def _check_paths(table: pd.DataFrame, path: Path, what: str) -> None:
    """Refuse rows without a path, and paths out of the folder of the images."""
    if "path" not in table:
        found = list_names(read_column_names(path))
        raise SourceError(f"{path}: {what} has a column path; found: {found}")
    is_known = table["path"].notna()
    if not is_known.all():
        raise SourceError(f"row {int(is_known.argmin()) + 1} of {path} has no path")
    for number, name in enumerate(table["path"], 1):
        if leads_out(name):
            raise SourceError(
                f"row {number} of {path}: path {name!r} leads out of the folder of images; "
                "write it relative to that folder"
            )
        if "\0" in name or os.path.normpath(name) == os.curdir:
            raise SourceError(f"row {number} of {path}: path {name!r} names no file")


def leads_out(path: str) -> bool:
    """Whether a path is absolute, or begins above the folder to which it is relative."""
    return os.path.isabs(path) or os.path.normpath(path).split(os.sep)[0] == os.pardir
