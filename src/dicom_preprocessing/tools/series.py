"""The slices of each series of a finished tree, with all that is known of them but their TIFFs.

The manifest or the folders say which images are of one series. Positions are in the TIFFs and the
manifest; a table, or the headers of the DICOM files that the images were made from, have what else
orders slices or tells volumes of one series apart.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from dicom_preprocessing.config import Limits
from dicom_preprocessing.dicom.reading import read_header
from dicom_preprocessing.errors import FileError, SourceError
from dicom_preprocessing.imaging.stacking import TELLING_FIELDS, Slice
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.stacking import make_slice
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.results.layout import parse_image_path
from dicom_preprocessing.results.tables import as_records, load_table, read_column_names
from dicom_preprocessing.text import list_names, make_printable
from dicom_preprocessing.tiff.place import KEYS as PLACE_KEYS
from dicom_preprocessing.tiff.place import parse_place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dicom_preprocessing.tiff.place import Place
    from dicom_preprocessing.tools.tree import Tree

POSITION, INSTANCE_NUMBER = "position", "instance_number"
ORDERS: Final = (POSITION, INSTANCE_NUMBER)
"""Columns to order a table by if none is named; the first that it has is used."""
ORDER_TABLE_TYPES: Final = {"path": str, "sop_instance_uid": str, "series_instance_uid": str}
"""Columns of a table of slices, besides the one to order by."""
KEYWORDS: Final = (*TELLING_FIELDS, "FrameOfReferenceUID")
"""Columns of a table or manifest, named as in DICOM, that tell volumes of a series apart."""
MANIFEST_COLUMNS: Final = (*PLACE_KEYS, *KEYWORDS, "InstanceNumber")
"""Columns of a manifest that say something about slices."""
ALONG_Z: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""The orientation of slices of which a table has the distances and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSlice:
    """An image that becomes a page.

    Parameters
    ----------
    path : Path
    study, series : str
    facts : Slice
        By the table, the header or the manifest, without the size. The name is the path in the
        tree.
    number : float or None
        Of the column to order by, else Instance Number.
    place : Place or None
        By the manifest.
    """

    path: Path
    study: str
    series: str
    facts: Slice
    number: float | None
    place: Place | None = None
    modality: str = ""

    @property
    def name(self) -> str:
        """The path in the tree."""
        return self.facts.name

    @property
    def sop_instance_uid(self) -> str:
        """As the name of the file says."""
        return self.facts.sop_instance_uid


Where = tuple[str, str]
"""Study and series."""


@dataclass(slots=True)
class SliceGroups:
    """Slices by study and series, problems of some series, and counts of what does not match.

    ``column`` is that of the table to order by; ``unread`` has a message for each DICOM file that
    could not be read; ``unlisted`` counts images that are not in the
    table or headers, ``missing`` rows of the table without an image.
    """

    series: dict[Where, list[SeriesSlice]] = field(default_factory=lambda: defaultdict(list))
    problems: dict[Where, str] = field(default_factory=dict)
    column: str = ""
    unread: list[str] = field(default_factory=list)
    unlisted: int = 0
    missing: int = 0

    def add(self, slice_: SeriesSlice) -> Where:
        """Add a slice to its series; return which that is."""
        where = slice_.study, slice_.series
        self.series[where].append(slice_)
        return where


def group_by_tree(tree: Tree) -> SliceGroups:
    """Group images by manifest and folders, which have to know the positions too."""
    groups = SliceGroups()
    for path in tree.paths:
        groups.add(_make_slice(tree, path))
    return groups


def group_by_table(tree: Tree, table: Path, order: str | None) -> SliceGroups:
    """Group images by the rows of a table; images that it does not name are left out.

    Parameters
    ----------
    tree : Tree
    table : Path
        .csv or .parquet, with a column path (as in the manifest) or sop_instance_uid, one to
        order by, and series_instance_uid unless manifest or folders have it. Those of ``KEYWORDS``
        tell volumes apart.
    order : str or None
        The column; None for position (mm), else instance_number.

    Raises
    ------
    SourceError
        The table cannot be read, or columns are missing.
    """
    rows, key, column = _read_table(table, order)
    by_key: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_key[row[key]].append(row)
    groups = SliceGroups(column=column)
    used = Counter[str | None]()
    for path in tree.paths:
        name = str(path.relative_to(tree.root))
        matching = by_key.get(name if key == "path" else parse_image_path(path)[2], [])
        used.update(row[key] for row in matching[:1])
        if not matching:
            groups.unlisted += 1
            continue
        where = groups.add(_add_row(_make_slice(tree, path, matching[0]), matching[0], column))
        if len(matching) > 1:
            problem = f"{matching[0][key]} is in {len(matching)} rows of the table"
            groups.problems[where] = problem
    missing = [row for row in rows if row[key] not in used]
    groups.missing = len(missing)
    of_series = {row["series_instance_uid"]: row for row in missing if "series_instance_uid" in row}
    for where in [where for where in groups.series if where[1] in of_series]:
        groups.problems[where] = f"{of_series[where[1]][key]} is in the table and not in the tree"
    return groups


def _read_table(table: Path, order: str | None) -> tuple[list[dict[str, Any]], str, str]:
    """Return the rows, the column that names images, and the one to order by."""
    wanted = {*ORDER_TABLE_TYPES, *ORDERS, *KEYWORDS, *([order] if order else [])}
    rows = as_records(load_table(table, ORDER_TABLE_TYPES, columns=wanted))
    columns = list(rows[0]) if rows else []
    key = next((name for name in ("path", "sop_instance_uid") if name in columns), None)
    order = order or next((name for name in ORDERS if name in columns), None)
    if key is None or order is None or order not in columns:
        raise SourceError(
            f"the table needs a column path or sop_instance_uid, and {order or ' or '.join(ORDERS)}"
            f" to order by; found: {list_names(read_column_names(table)) if rows else 'no row'}"
        )
    return rows, key, order


def _add_row(slice_: SeriesSlice, row: Mapping[str, Any], column: str) -> SeriesSlice:
    """Add the number of a table, which is a distance along the normal or just a number."""
    number = _parse_number(row[column])
    facts = slice_.facts
    if column == POSITION and number is not None:
        facts = replace(facts, orientation=ALONG_Z, position=(0.0, 0.0, number))
    return replace(slice_, number=number, facts=facts)


def group_by_headers(tree: Tree, sources: Sequence[str]) -> SliceGroups:
    """Group images by the headers of their DICOM files.

    A series of which the tree lacks images is a problem: its volume would have gaps.

    Raises
    ------
    SourceError
        None of the sources can be read.
    """
    index = build_index(find_files(sources, seconds=Limits().seconds))
    entries = {
        (study, entry.sop_instance_uid): entry
        for study, of_study in index.studies.items()
        for entry in reversed(of_study)  # the first of several candidates counts
    }
    groups = SliceGroups(
        unread=[
            f"{make_printable(file.source_path)}: {file.error}: {file.message}"
            for file in index.excluded_files
            if file.state == "failed"
        ]
    )
    unlisted_studies = set()
    for path in tree.paths:
        study, _, sop = parse_image_path(path.relative_to(tree.root))
        entry = entries.get((study, sop))
        if entry is None:
            groups.unlisted += 1
            unlisted_studies.add(study)
            continue
        row = {"series_instance_uid": entry.series_instance_uid}
        try:
            groups.add(_add_header(_make_slice(tree, path, row), entry.path))
        except FileError as error:
            where = groups.add(_make_slice(tree, path, row))
            groups.problems[where] = f"{entry.path}: {error}"
    expected = Counter((study, entry.series_instance_uid) for (study, _), entry in entries.items())
    if groups.unread:
        _leave_out(groups, unlisted_studies)
    for where, slices in groups.series.items():
        if len(slices) < expected[where]:
            groups.problems[where] = (
                f"the tree has {len(slices)} of {expected[where]} images; the volume has gaps"
            )
    return groups


def _leave_out(groups: SliceGroups, studies: set[str]) -> None:
    """Take out series of studies of which an image may be of a file that could not be read."""
    for where in [where for where in groups.series if where[0] in studies]:
        del groups.series[where]
        groups.unread.append(
            f"series {where[1]} is not written: the DICOM file of an image of its study is not "
            "there or could not be read, and may be one of its slices"
        )


def _add_header(slice_: SeriesSlice, path: str) -> SeriesSlice:
    facts = replace(
        make_slice(read_header(path), slice_.name), sop_instance_uid=slice_.sop_instance_uid
    )
    number = facts.instance_number
    return replace(slice_, facts=facts, number=None if number is None else float(number))


def _make_slice(tree: Tree, path: Path, row: Mapping[str, Any] | None = None) -> SeriesSlice:
    """A slice by the manifest, where that is not known better by the row of a table."""
    known = {name: cell for name, cell in (row or {}).items() if cell is not None}
    cells = {**tree.row(path), **known}
    study, in_path, sop = parse_image_path(path.relative_to(tree.root))
    return SeriesSlice(
        path=path,
        study=study,
        series=cells.get("series_instance_uid") or in_path or "",
        facts=_make_facts(str(path.relative_to(tree.root)), sop, cells),
        number=_parse_number(cells.get("InstanceNumber")),
        place=_read_place(tree.row(path)),
        modality=tree.row(path).get("modality") or "",
    )


def _make_facts(name: str, sop_instance_uid: str, cells: Mapping[str, Any]) -> Slice:
    frame_of_reference = _as_text(cells.get("FrameOfReferenceUID"))
    telling: dict[str, Any] = {
        name: _as_text(cells.get(keyword)) for keyword, name in TELLING_FIELDS.items()
    }
    return Slice(
        name=name,
        sop_instance_uid=sop_instance_uid,
        rows=0,
        columns=0,
        frame_of_reference_uid=frame_of_reference,
        **telling,
    )


def _read_place(cells: Mapping[str, Any]) -> Place | None:
    known = {key: cells[key] for key in PLACE_KEYS if cells.get(key) is not None}
    with suppress(ValueError):  # a part of it, or no numbers that can be meant
        return parse_place(known)
    return None


def _as_text(cell: object) -> str:
    return "" if cell is None else str(cell)


def _parse_number(cell: Any) -> float | None:  # noqa: ANN401  # any cell of a table
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None
