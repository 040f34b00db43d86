"""Tables of boxes: reading, mapping every row by the manifest, and writing. No row is dropped."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import as_record, atomic_write
from dicom_preprocessing.imaging.coordinates import INSIDE, OUTSIDE, MappedBoxes, are_boxes
from dicom_preprocessing.mapping.geometry import geometry_of_row, turn_upright
from dicom_preprocessing.mapping.slices import (
    NO_PAGE,
    Slice,
    SliceIndex,
    is_single,
    read_slices_of,
)
from dicom_preprocessing.results.manifest import find_tiffs, row_of_tiff
from dicom_preprocessing.results.outcomes import try_call
from dicom_preprocessing.results.reading import read_manifest
from dicom_preprocessing.results.tables import CELL_PARSERS, as_records, write_lines
from dicom_preprocessing.text import PARQUET, csv_cell, escape_formula, list_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dicom_preprocessing.imaging.geometry import Geometry

    Row = Mapping[str, Any]

Direction = Literal["output", "source"]
IDENTIFIER_COLUMNS = ("path", "study_instance_uid", "sop_instance_uid")
"""Columns that name an image."""
IMAGE_COLUMNS = (*IDENTIFIER_COLUMNS, "width", "height")
FRAME_COLUMNS = ("frame", "slice")
"""Columns that name the stored frame of a box, from 1."""
PAGE = "page"
EDGES = ("left", "top", "right", "bottom")
CORNER_AND_SIZE = ("x", "y", "width", "height")
ADDED = "mapped_"
EMPTY = ("", "nan")
DECIMALS = 6
"""Decimals of pixel coordinates in a table; further ones are noise of the arithmetic."""
NO_BOX, BAD_BOX = "no_box", "bad_box"
UNKNOWN_IMAGE, SEVERAL_IMAGES, NO_GEOMETRY = "unknown_image", "several_images", "no_geometry"
PROBLEM_STATES = (UNKNOWN_IMAGE, SEVERAL_IMAGES, NO_GEOMETRY, NO_PAGE, BAD_BOX)
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
        By the path of an image and the page, None for boxes of all pages, the boxes to draw on it:
        (n, 4) float64 left, top, right, bottom in output pixels; and (n,) bool, whether the box is
        inside completely.
    """

    table: pd.DataFrame
    states: Counter[str]
    drawn: dict[tuple[str, int | None], tuple[NDArray[np.float64], NDArray[np.bool_]]]


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


def index_images(manifest: Path, images: Sequence[Row], table: pd.DataFrame) -> ManifestIndex:
    """The images of a manifest, with the slices of those that a table of boxes names.

    Parameters
    ----------
    manifest : Path
    images : sequence of mapping
        As ``read_images`` reads them.
    table : DataFrame

    Raises
    ------
    OutputError, SourceError
        There is a table of slices beside the manifest, and it cannot be read.
    """
    paths, _, sops = zip(*_read_identifiers(table), strict=True) if len(table) else ((), (), ())
    slices = read_slices_of(manifest, images, filter(None, paths), filter(None, sops))
    return ManifestIndex(images, slices)


class ManifestIndex:
    """Rows of the manifest, by the identifiers that tables of boxes have.

    Parameters
    ----------
    rows : iterable of mapping
    slices : SliceIndex, optional
        Of the images that tables name.
    """

    def __init__(self, rows: Iterable[Row], slices: SliceIndex | None = None) -> None:
        self.slices = slices or SliceIndex()
        self._by_path: dict[str, Row] = {}
        self._by_uid: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self._by_path[os.path.normpath(row["path"])] = row
            self._by_uid[row["sop_instance_uid"]].append(row)

    @property
    def has_volumes(self) -> bool:
        """Whether an image is of several pages or frames, as that of a stack is."""
        return not all(map(is_single, self._by_path.values()))

    def find(self, path: str, study: str, sop: str) -> Row | str:
        """The row of an image, or why there is none; empty identifiers are unknown.

        The path decides, else the SOP Instance UID, of the image or of a file of a stack, within
        its study if that is known.
        """
        if path:
            return self._by_path.get(os.path.normpath(path), UNKNOWN_IMAGE)
        rows = [*self._by_uid.get(sop, [])]
        known = {os.path.normpath(row["path"]) for row in rows}
        others = (path for path in self.slices.list_paths(sop) if path not in known)
        rows += [self._by_path[path] for path in others if path in self._by_path]
        if study:
            rows = [row for row in rows if row["study_instance_uid"] == study]
        if len(rows) > 1:
            return SEVERAL_IMAGES
        return rows[0] if rows else UNKNOWN_IMAGE


def map_table(
    table: pd.DataFrame, images: ManifestIndex, to: Direction, *, are_upright: bool = False
) -> MappedTable:
    """Map the boxes of a table.

    Parameters
    ----------
    table : DataFrame
        Columns left, top, right, bottom or x, y, width, height, and path or sop_instance_uid; with
        frame or slice, to the output, or with page, to the source, also pages.
    images : ManifestIndex
    to : str
        output: boxes are in pixels of the DICOM images; source: in those of the TIFFs.
    are_upright : bool, optional
        Boxes of DICOM images are in those as they are upright, instead of as they are stored.

    Raises
    ------
    OutputError
        Columns are missing, or new ones exist already.
    """
    form = _find_box_columns(table)
    boxes, is_empty = _read_boxes(table, form)
    states = np.where(are_boxes(boxes), "", np.where(is_empty, NO_BOX, BAD_BOX)).astype(object)
    rows, slices = _find_slices(table, images, to, states)
    mapped, inside = np.full(boxes.shape, np.nan), np.full(len(boxes), np.nan)
    drawn = {}
    for (path, page), indices in _group_by_page(slices, states).items():
        try:
            geometry = geometry_of_row(rows[path])
        except OutputError:
            states[indices] = NO_GEOMETRY
            continue
        result = _map_boxes(boxes[indices], geometry, to, are_upright=are_upright)
        mapped[indices], inside[indices] = result.boxes, result.inside
        states[indices] = result.state
        in_output = result.boxes if to == "output" else boxes[indices]
        is_visible = result.state != OUTSIDE
        drawn[path, page] = in_output[is_visible], (result.state == INSIDE)[is_visible]
    if form == CORNER_AND_SIZE:
        mapped[:, 2:] -= mapped[:, :2]
    shown = [*np.round(mapped.T, DECIMALS), np.round(inside, DECIMALS), states]
    added: dict[str, Any] = dict(zip((*form, "inside", "state"), shown, strict=True))
    added |= _list_slices(table, slices, to)
    _require_new_columns(table, added)
    columns = {f"{ADDED}{name}": _make_column(values) for name, values in added.items()}
    complete = pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1)
    return MappedTable(complete, Counter(states.tolist()), drawn)


def lacks_slices(done: MappedTable, images: ManifestIndex) -> bool:
    """Whether rows could not be mapped that a table of slices may have found."""
    could_be_found = done.states[NO_PAGE] + done.states[UNKNOWN_IMAGE]
    return bool(could_be_found) and not images.slices.has_table and images.has_volumes


def _map_boxes(
    boxes: NDArray[np.float64], geometry: Geometry, to: Direction, *, are_upright: bool
) -> MappedBoxes:
    if to == "output":
        stored = turn_upright(boxes, geometry) if are_upright else boxes
        return geometry.boxes_to_output(stored)
    mapped = geometry.boxes_to_source(boxes)
    return replace(mapped, boxes=turn_upright(mapped.boxes, geometry)) if are_upright else mapped


def _find_slices(
    table: pd.DataFrame, images: ManifestIndex, to: Direction, states: NDArray[np.object_]
) -> tuple[dict[str, Row], list[Slice | None]]:
    """Rows of the manifest by path, and of each box what it is on, or None and a state."""
    rows: dict[str, Row] = {}
    slices: list[Slice | None] = []
    named = zip(_read_identifiers(table), _read_numbers(table, to), strict=True)
    for index, ((path, study, sop), number) in enumerate(named):
        image = images.find(path, study, sop)
        if isinstance(image, str):
            states[index] = image
            slices.append(None)
            continue
        if to == "output":
            found = images.slices.find_page(image, sop, number)
        else:
            found = images.slices.find_frame(image, number)
        rows[os.path.normpath(image["path"])] = image
        if isinstance(found, str):
            states[index] = states[index] or found
        slices.append(None if isinstance(found, str) else found)
    return rows, slices


def _group_by_page(
    slices: Sequence[Slice | None], states: NDArray[np.object_]
) -> dict[tuple[str, int | None], list[int]]:
    """Indices of boxes that can be mapped, by path and page."""
    indices_of: dict[tuple[str, int | None], list[int]] = defaultdict(list)
    for index, found in enumerate(slices):
        if found is not None and not states[index]:
            indices_of[found.path, found.page].append(index)
    return indices_of


def _list_slices(
    table: pd.DataFrame, slices: Sequence[Slice | None], to: Direction
) -> dict[str, pa.Array]:
    """New columns of a table whose boxes are on pages, or on frames; none of another one."""
    found = [known or Slice("") for known in slices]
    pages = [known.page for known in found]
    if to == "source":
        uids = pa.array([known.sop_instance_uid for known in found], pa.string())
        frames = pa.array([known.frame for known in found], pa.int64())
        return {"sop_instance_uid": uids, "frame": frames} if PAGE in table else {}
    if _find_frame_column(table) is None and not any(pages):
        return {}
    paths = pa.array([known.path or None for known in found], pa.string())
    return {"path": paths, "page": pa.array(pages, pa.int64())}


def _require_new_columns(table: pd.DataFrame, added: Iterable[str]) -> None:
    existing = sorted({f"{ADDED}{name}" for name in added} & set(table.columns))
    if existing:
        raise OutputError(f"boxes already have a column {existing[0]}: rename it")


def _make_column(values: NDArray[Any] | pa.Array) -> pd.api.extensions.ExtensionArray:
    """Numbers (NaN is unknown) or text as a column."""
    array = values if isinstance(values, pa.Array) else pa.array(values, from_pandas=True)
    return pd.array(array, dtype=pd.ArrowDtype(array.type))


def _find_box_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """The columns of the boxes, after checking that the table can be mapped."""
    names = set(table.columns)
    found = f"found: {list_names(table.columns)}"
    if not names & {"path", "sop_instance_uid"}:
        raise OutputError(f"boxes need a column path or sop_instance_uid; {found}")
    for form in (EDGES, CORNER_AND_SIZE):
        if names.issuperset(form):
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
    is_empty = [[_parse_text(cell).lower() in EMPTY for cell in column] for column in cells]
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


def _read_numbers(table: pd.DataFrame, to: Direction) -> list[int | None]:
    """Number of the frame, or of the page, of each box; None where the cell is empty."""
    column = _find_frame_column(table) if to == "output" else PAGE
    if column is None or column not in table:
        return [None] * len(table)
    return list(map(_parse_count, _read_cells(table, column)))


def _find_frame_column(table: pd.DataFrame) -> str | None:
    names = [name for name in FRAME_COLUMNS if name in table]
    if len(names) > 1:
        raise OutputError("boxes have a column frame and a column slice: rename one of them")
    return names[0] if names else None


def _parse_count(cell: object) -> int | None:
    """A number from 1, None of an empty cell, and 0, which nothing has, of what is no number."""
    text = _parse_text(cell)
    if text.lower() in EMPTY:
        return None
    try:
        return max(0, int(CELL_PARSERS[int](text)))
    except (ValueError, OverflowError):
        return 0


def _parse_text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _read_identifiers(table: pd.DataFrame) -> Iterable[tuple[str, str, str]]:
    """Path, Study and SOP Instance UID of each row, empty where they are unknown."""
    columns = []
    for name in IDENTIFIER_COLUMNS:
        cells = _read_cells(table, name) if name in table else [None] * len(table)
        columns.append([_parse_text(cell) for cell in cells])
    return zip(*columns, strict=True)
