"""Tables of boxes: reading, mapping every row by the manifest, and writing. No row is dropped."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import as_record, atomic_write
from dicom_preprocessing.imaging.coordinates import INSIDE, OUTSIDE, are_boxes
from dicom_preprocessing.mapping.geometry import geometry_of_row
from dicom_preprocessing.results.manifest import find_tiffs, row_of_tiff
from dicom_preprocessing.results.outcomes import try_call
from dicom_preprocessing.results.reading import read_manifest
from dicom_preprocessing.results.tables import as_records, write_lines
from dicom_preprocessing.text import PARQUET, csv_cell, escape_formula, list_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Row = Mapping[str, Any]

IDENTIFIER_COLUMNS = ("path", "study_instance_uid", "sop_instance_uid")
"""Columns that name an image."""
IMAGE_COLUMNS = (*IDENTIFIER_COLUMNS, "width", "height")
EDGES = ("left", "top", "right", "bottom")
CORNER_AND_SIZE = ("x", "y", "width", "height")
ADDED = "mapped_"
DECIMALS = 6
"""Decimals of pixel coordinates in a table; further ones are noise of the arithmetic."""
NO_BOX, BAD_BOX = "no_box", "bad_box"
UNKNOWN_IMAGE, SEVERAL_IMAGES, NO_GEOMETRY = "unknown_image", "several_images", "no_geometry"
PROBLEM_STATES = (UNKNOWN_IMAGE, SEVERAL_IMAGES, NO_GEOMETRY, BAD_BOX)
"""States of rows that should have been mapped and could not be."""


@dataclass(frozen=True, slots=True, eq=False)
class MappedTable:
    """A table with its mapped boxes.

    Parameters
    ----------
    table : DataFrame
        All rows and columns as they were, and new columns that begin with ``mapped_``.
    states : Counter
        Rows by state.
    drawn : dict
        By the path of an image, the boxes to draw on it: (n, 4) float64 left, top, right, bottom in
        output pixels; and (n,) bool, whether the box is inside completely.
    """

    table: pd.DataFrame
    states: Counter[str]
    drawn: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]]


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write csv or parquet by the suffix of ``path``, atomically."""
    if path.suffix.lower() == PARQUET:
        with atomic_write(path, "wb") as file:
            pq.write_table(_as_arrow(table), file)
    else:
        with atomic_write(path) as file:
            write_csv(table, file)


def _as_arrow(table: pd.DataFrame) -> pa.Table:
    """The columns, without the metadata of pandas."""
    return pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()


def write_csv(table: pd.DataFrame, file: IO[str]) -> None:
    """Write csv; of text only what a spreadsheet would compute is escaped, unknown is empty."""
    columns = [column.to_pylist() for column in _as_arrow(table).columns]
    cells = [[_make_cell(value) for value in column] for column in columns]
    texts = (cell for column in [table.columns, *cells] for cell in column)
    has_return = any(isinstance(text, str) and "\r" in text for text in texts)
    write_lines(table.columns, zip(*cells, strict=True), file, quote_all=has_return)


def _make_cell(value: object) -> object:
    return escape_formula(value) if isinstance(value, str) else csv_cell(value)


def read_images(manifest: Path, on_error: Callable[[OutputError], object]) -> list[Row]:
    """Rows of a manifest, or of the TIFFs below a folder.

    Parameters
    ----------
    manifest : Path
    on_error : callable
        Called with the error of each TIFF that cannot be read.

    Raises
    ------
    OutputError
        The manifest lacks a column.
    SourceError
        As for ``read_manifest``.
    OSError
    """
    if manifest.is_dir():
        outcomes = [try_call(partial(row_of_tiff, root=manifest), p) for p in find_tiffs(manifest)]
        for outcome in outcomes:
            if isinstance(outcome, OutputError):
                on_error(outcome)
        return [as_record(row) for row in outcomes if not isinstance(row, OutputError)]
    table = read_manifest(manifest)
    missing = set(IMAGE_COLUMNS) - set(table.columns)
    if missing:
        raise OutputError(f"{manifest} is not a manifest: it has no column {min(missing)}")
    rows: list[Row] = [*as_records(table)]
    return rows


class ManifestIndex:
    """Rows of the manifest, by the identifiers that tables of boxes have."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._by_path: dict[str, Row] = {}
        self._by_uid: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self._by_path[os.path.normpath(row["path"])] = row
            self._by_uid[row["sop_instance_uid"]].append(row)

    def find(self, path: str, study: str, sop: str) -> Row | str:
        """The row of an image, or why there is none; empty identifiers are unknown.

        The path decides, else the SOP Instance UID, within its study if that is known.
        """
        if path:
            return self._by_path.get(os.path.normpath(path), UNKNOWN_IMAGE)
        rows = self._by_uid.get(sop, [])
        if study:
            rows = [row for row in rows if row["study_instance_uid"] == study]
        if len(rows) > 1:
            return SEVERAL_IMAGES
        return rows[0] if rows else UNKNOWN_IMAGE


def map_table(
    table: pd.DataFrame, images: ManifestIndex, to: Literal["output", "source"]
) -> MappedTable:
    """Map the boxes of a table.

    Parameters
    ----------
    table : DataFrame
        Columns left, top, right, bottom or x, y, width, height, and path or sop_instance_uid.
    images : ManifestIndex
    to : str
        output: boxes are in pixels of the DICOM images; source: in those of the TIFFs.

    Raises
    ------
    OutputError
        Columns are missing, or new ones exist already.
    """
    form = _find_box_columns(table)
    boxes, is_empty = _read_boxes(table, form)
    states = np.where(are_boxes(boxes), "", np.where(is_empty, NO_BOX, BAD_BOX)).astype(object)
    rows, indices_of = _group_by_image(table, images, states)
    mapped, inside = np.full(boxes.shape, np.nan), np.full(len(boxes), np.nan)
    drawn = {}
    for path, indices in indices_of.items():
        try:
            geometry = geometry_of_row(rows[path])
        except OutputError:
            states[indices] = NO_GEOMETRY
            continue
        transform = geometry.boxes_to_output if to == "output" else geometry.boxes_to_source
        result = transform(boxes[indices])
        mapped[indices], inside[indices] = result.boxes, result.inside
        states[indices] = result.state
        in_output = result.boxes if to == "output" else boxes[indices]
        is_visible = result.state != OUTSIDE
        drawn[path] = in_output[is_visible], (result.state == INSIDE)[is_visible]
    if form == CORNER_AND_SIZE:
        mapped[:, 2:] -= mapped[:, :2]
    shown = [*np.round(mapped.T, DECIMALS), np.round(inside, DECIMALS), states]
    added = dict(zip((*form, "inside", "state"), shown, strict=True))
    columns = {f"{ADDED}{name}": _make_column(values) for name, values in added.items()}
    complete = pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1)
    return MappedTable(complete, Counter(states.tolist()), drawn)


def _make_column(values: NDArray[Any]) -> pd.api.extensions.ExtensionArray:
    """Numbers (NaN is unknown) or text as a column."""
    array = pa.array(values, from_pandas=True)
    return pd.array(array, dtype=pd.ArrowDtype(array.type))


def _group_by_image(
    table: pd.DataFrame, images: ManifestIndex, states: NDArray[np.object_]
) -> tuple[dict[str, Row], dict[str, list[int]]]:
    """Rows of the manifest, and indices of valid boxes, by path; the others get their state."""
    rows: dict[str, Row] = {}
    indices_of: dict[str, list[int]] = defaultdict(list)
    for index, identifiers in enumerate(_read_identifiers(table)):
        row = images.find(*identifiers)
        if isinstance(row, str):
            states[index] = row
        elif not states[index]:
            rows[row["path"]] = row
            indices_of[row["path"]].append(index)
    return rows, indices_of


def _find_box_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """The columns of the boxes, after checking that the table can be mapped."""
    names = set(table.columns)
    found = f"found: {list_names(table.columns)}"
    if not names & {"path", "sop_instance_uid"}:
        raise OutputError(f"boxes need a column path or sop_instance_uid; {found}")
    for form in (EDGES, CORNER_AND_SIZE):
        if names.issuperset(form):
            existing = sorted(names & {f"{ADDED}{name}" for name in (*form, "inside", "state")})
            if existing:
                raise OutputError(f"boxes already have a column {existing[0]}: rename it")
            return form
    raise OutputError(
        f"boxes need the columns left, top, right, bottom or x, y, width, height; {found}"
    )


def _read_boxes(
    table: pd.DataFrame, form: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Left, top, right, bottom, NaN for what is not a number; and which rows have no value."""
    cells = [_read_cells(table, name) for name in form]
    numbers = [[_parse_number(cell) for cell in column] for column in cells]
    boxes = np.array(numbers, dtype=np.float64).T.reshape(-1, 4)
    if tuple(form) == CORNER_AND_SIZE:
        boxes[:, 2:] += boxes[:, :2]
    is_empty = [[_parse_text(cell).lower() in {"", "nan"} for cell in column] for column in cells]
    return boxes, np.all(np.array(is_empty, dtype=bool).T.reshape(-1, 4), axis=1)


def _read_cells(table: pd.DataFrame, name: str) -> list[Any]:
    """Values of a column, None where they are unknown."""
    return [row[name] for row in as_records(table[[name]])]


def _parse_number(cell: object) -> float:
    text = _parse_text(cell)
    try:
        return float("nan" if "_" in text else text)  # 1_000 is a number in Python only
    except ValueError:
        return float("nan")


def _parse_text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _read_identifiers(table: pd.DataFrame) -> Iterable[tuple[str, str, str]]:
    """Path, Study and SOP Instance UID of each row, empty where they are unknown."""
    columns = []
    for name in IDENTIFIER_COLUMNS:
        cells = _read_cells(table, name) if name in table else [None] * len(table)
        columns.append([_parse_text(cell) for cell in cells])
    return zip(*columns, strict=True)
