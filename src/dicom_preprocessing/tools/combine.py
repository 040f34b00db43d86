"""Combine the single-frame images of a series into a volume of several pages.

A finished tree says which images are of one series, by its manifest or its folders, but not their
positions in space: neither tags nor manifest have slice positions. The order comes from a table, or
from the headers of the DICOM files that the images were made from.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.config import Limits
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.errors import FileError, OutputError, SourceError
from dicom_preprocessing.files import path_key
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.positions import distances_along_normal, median_step
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.table import is_path_part
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.results.layout import MANIFEST, SLICES, SUFFIX, parse_image_path
from dicom_preprocessing.results.manifest import ManifestRow, row_of_tiff
from dicom_preprocessing.results.slice_table import NOWHERE, SliceRow, write_slices
from dicom_preprocessing.results.tables import as_records, load_table, read_column_names
from dicom_preprocessing.text import list_names
from dicom_preprocessing.tiff.reader import read_frames
from dicom_preprocessing.tiff.writer import write_pages
from dicom_preprocessing.tools.tiff_image import (
    TiffImage,
    add_record,
    format_description,
    read_tiff_image,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.index.table import InventoryEntry
    from dicom_preprocessing.tiff.place import Place
    from dicom_preprocessing.tiff.tags import PageTags
    from dicom_preprocessing.tools.tree import Tree

TOOL = "tiff-combine"
POSITION, INSTANCE_NUMBER = "position", "instance_number"
ORDERS = (POSITION, INSTANCE_NUMBER)
"""Columns to order a table by if none is named; the first that it has is used."""
ORDER_TABLE_TYPES = {"path": str, "sop_instance_uid": str, "series_instance_uid": str}
"""Columns of a table of slices, besides the one to order by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """An image that becomes a page.

    Slices are sorted by ``sort_value``: mm along the normal if ``is_mm``, else any number.
    """

    path: Path
    name: str
    study: str
    series: str
    sop_instance_uid: str
    sort_value: float | None
    is_mm: bool = False
    modality: str = ""


@dataclass(slots=True)
class SliceGroups:
    """Slices by study and series, problems of some series, and counts of what does not match.

    ``unlisted`` counts images that are not in the table or headers, ``missing`` rows of the table
    without an image.
    """

    series: dict[tuple[str, str], list[Slice]] = field(default_factory=lambda: defaultdict(list))
    problems: dict[tuple[str, str], str] = field(default_factory=dict)
    unlisted: int = 0
    missing: int = 0


def sort_by_table(tree: Tree, table: Path, order: str | None) -> SliceGroups:
    """Sort images by the rows of a table; images that it does not name are left out.

    Parameters
    ----------
    tree : Tree
    table : Path
        .csv or .parquet, with a column path (as in the manifest) or sop_instance_uid, one to
        order by, and series_instance_uid unless manifest or folders have it.
    order : str or None
        The column; None for position (mm), else instance_number.

    Raises
    ------
    SourceError
        The table cannot be read, or columns are missing.
    """
    wanted = {*ORDER_TABLE_TYPES, *ORDERS, *([order] if order else [])}
    rows = as_records(load_table(table, ORDER_TABLE_TYPES, columns=wanted))
    columns = list(rows[0]) if rows else []
    key = next((name for name in ("path", "sop_instance_uid") if name in columns), None)
    order = order or next((name for name in ORDERS if name in columns), None)
    if key is None or order is None or order not in columns:
        raise SourceError(
            f"the table needs a column path or sop_instance_uid, and {order or ' or '.join(ORDERS)}"
            f" to order by; found: {list_names(read_column_names(table)) if rows else 'no row'}"
        )
    by_key: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_key[row[key]].append(row)
    sorting = SliceGroups()
    used = Counter[str | None]()
    for path in tree.paths:
        name = str(path.relative_to(tree.root))
        matching = by_key.get(name if key == "path" else parse_image_path(path)[2], [])
        used.update(row[key] for row in matching[:1])
        if not matching:
            sorting.unlisted += 1
            continue
        row = matching[0]
        made = _make_slice(tree, path, row, _parse_number(row[order]), is_mm=order == POSITION)
        sorting.series[made.study, made.series].append(made)
        if len(matching) > 1:
            problem = f"{row[key]} is in {len(matching)} rows of the table"
            sorting.problems[made.study, made.series] = problem
    missing = [row for row in rows if row[key] not in used]
    sorting.missing = len(missing)
    of_series = {row["series_instance_uid"]: row for row in missing if "series_instance_uid" in row}
    for where in [where for where in sorting.series if where[1] in of_series]:
        sorting.problems[where] = f"{of_series[where[1]][key]} is in the table and not in the tree"
    return sorting


def sort_by_headers(tree: Tree, sources: Sequence[str]) -> SliceGroups:
    """Sort images by the position in the headers of their DICOM files, else by instance number.

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
    sorting = SliceGroups()
    by_series: dict[tuple[str, str], list[tuple[Slice, InventoryEntry]]] = defaultdict(list)
    for path in tree.paths:
        study, _, sop = parse_image_path(path.relative_to(tree.root))
        entry = entries.get((study, sop))
        if entry is None:
            sorting.unlisted += 1
            continue
        row = {"series_instance_uid": entry.series_instance_uid}
        made = _make_slice(tree, path, row, float(entry.instance_number), is_mm=False)
        by_series[made.study, made.series].append((made, entry))
    expected = Counter((study, entry.series_instance_uid) for (study, _), entry in entries.items())
    for where, pairs in by_series.items():
        slices = [made for made, _ in pairs]
        try:
            positions = _read_positions([entry for _, entry in pairs])
        except OutputError as error:
            sorting.problems[where] = str(error)
            positions = None
        if positions is not None:
            slices = [
                replace(made, sort_value=mm, is_mm=True)
                for made, mm in zip(slices, positions, strict=True)
            ]
        sorting.series[where] = slices
        if len(slices) < expected[where]:
            sorting.problems[where] = (
                f"the tree has {len(slices)} of {expected[where]} images; the volume has gaps"
            )
    return sorting


def _read_positions(entries: Sequence[InventoryEntry]) -> list[float] | None:
    """Mm along the normal, None unless every header has position and orientation."""
    positions, orientations = [], []
    for entry in entries:
        try:
            top = open_image(entry.path).description.top
        except FileError as error:
            raise OutputError(f"{entry.path}: {error}") from error
        positions.append(top.position())
        orientations.append(top.orientation())
    first = orientations[0]
    known = [p for p in positions if p is not None]
    if first is None or len(known) < len(positions) or None in orientations:
        return None
    if not np.allclose(np.array(orientations, np.float64), first, atol=1e-3):
        raise OutputError("slices of several orientations; expected one volume")
    return distances_along_normal(known, first)


def _make_slice(
    tree: Tree, path: Path, row: dict[str, Any], sort_value: float | None, *, is_mm: bool
) -> Slice:
    study, series = _find_series(tree, path, row)
    return Slice(
        path=path,
        name=str(path.relative_to(tree.root)),
        study=study,
        series=series,
        sop_instance_uid=parse_image_path(path)[2],
        sort_value=sort_value,
        is_mm=is_mm,
        modality=tree.row(path).get("modality") or "",
    )


def _find_series(tree: Tree, path: Path, row: dict[str, Any]) -> tuple[str, str]:
    """Study and series: the table's, else the manifest's, else the folder's."""
    study, in_path, _ = parse_image_path(path.relative_to(tree.root))
    known = row.get("series_instance_uid") or tree.row(path).get("series_instance_uid")
    return study, known or in_path or ""


def _parse_number(cell: Any) -> float | None:  # noqa: ANN401  # any cell of a table
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class CombinedVolume:
    """A volume that was written, with the slices of its pages and where they lie."""

    row: ManifestRow
    slices: tuple[Slice, ...]
    places: tuple[Place | None, ...]

    def rows(self) -> Iterator[SliceRow]:
        """Rows of slices.csv."""
        for page, (made, place) in enumerate(zip(self.slices, self.places, strict=True), 1):
            x, y, z = place.position if place is not None else NOWHERE
            yield SliceRow(
                path=self.row.path,
                page=page,
                sop_instance_uid=made.sop_instance_uid,
                source_path=made.name,
                source_frame=1,
                position_mm=made.sort_value if made.is_mm else None,
                x=x,
                y=y,
                z=z,
            )


def list_targets(sorting: SliceGroups, output: Path) -> list[Path]:
    """The files that ``combine`` may write of series."""
    known = (where for where in sorting.series if is_path_part(where[1]))
    return [_make_target(output, *where) for where in known]


def _make_target(output: Path, study: str, series: str) -> Path:
    return output / study / f"{series}{SUFFIX}"


def combine(
    slices: Sequence[Slice], output: Path, *, compressor: str | None = None, force: bool = False
) -> CombinedVolume:
    """Write the slices of one series as ``output/{study}/{series}.tiff``.

    Parameters
    ----------
    slices : sequence of Slice
        In any order.
    output : Path
    compressor : str or None
        None: that of the first slice.
    force : bool
        Write even if slices share a position or differ in geometry. Each page then has its own
        tags.

    Raises
    ------
    OutputError
        The slices do not form a volume: their order is unknown, several are at one position, or
        sizes or geometry differ.
    """
    ordered = _sort_slices(slices, force=force)
    stored = [_reopen_per_page(read_tiff_image(made.path)) for made in ordered]
    _require_slices(stored)
    if not force:
        _require_agreement(stored)
    first, study, series = stored[0], ordered[0].study, ordered[0].series
    if study in (MANIFEST, SLICES):
        raise OutputError(
            f"{first.path}: OUTPUT has a table of the name of its folder, rename that"
        )
    spacing = _frame_spacing(ordered, stored)
    record = {"tool": TOOL, "slices": len(ordered), "by": "mm" if ordered[0].is_mm else "number"}
    pages = [first] if not force else stored
    tags = [_make_page_tags(page, len(stored), spacing, record) for page in pages]
    target = _make_target(output, study, series)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_pages(target, _join_pages(stored), tags, compressor=first.choose_compressor(compressor))
    row = replace(
        row_of_tiff(target, output),
        series_instance_uid=series,
        sop_instance_uid=ordered[0].sop_instance_uid,
        modality=ordered[0].modality or None,
    )
    return CombinedVolume(row, tuple(ordered), tuple(one.info.place for one in stored))


def _sort_slices(slices: Sequence[Slice], *, force: bool) -> list[Slice]:
    series = slices[0].series
    if not is_path_part(series):
        raise OutputError(
            f"{slices[0].name}: found no Series Instance UID in table, manifest or folder"
        )
    unknown = [made.name for made in slices if made.sort_value is None]
    if unknown:
        raise OutputError(f"series {series}: {unknown[0]} has no number to order it by")
    ordered = sorted(slices, key=lambda made: (made.sort_value or 0, path_key(made.name)))
    for one, other in pairwise(ordered):
        if one.sort_value == other.sort_value and not force:
            raise OutputError(
                f"series {series}: {one.name} and {other.name} are both at {one.sort_value:g}; "
                "expected one volume (--force orders them by path)"
            )
    return ordered


def _require_slices(stored: Sequence[TiffImage]) -> None:
    first = stored[0]
    for other in stored:
        if other.info.num_frames != 1:
            raise OutputError(f"{other.path}: found {other.info.num_frames} pages, expected one")
        if other.frames.shape != first.frames.shape or other.frames.dtype != first.frames.dtype:
            found, expected = (
                f"{s.info.width} x {s.info.height} x {s.info.channels} {s.info.dtype}"
                for s in (other, first)
            )
            raise OutputError(f"{other.path}: found {found}, expected {expected} ({first.path})")


def _require_agreement(stored: Sequence[TiffImage]) -> None:
    """Require that all slices have the same geometry and were made with the same settings."""
    expected = _describe_settings(stored[0])
    for other in stored[1:]:
        for name, value in _describe_settings(other).items():
            if value != expected[name]:
                raise OutputError(
                    f"{other.path}: {name} is {value}, and {expected[name]} in {stored[0].path}; "
                    "slices of a volume share it (--force writes each page with its own tags)"
                )


def _describe_settings(stored: TiffImage) -> dict[str, Any]:
    geometry, info = stored.geometry, stored.info
    return {
        "crop box": info.crop,
        "scale": geometry.scale,
        "active area": geometry.active_area,
        "flip": geometry.flip,
        "resolution": stored.resolution,
        "source size": (geometry.source.width, geometry.source.height),
        "background": stored.background,
        "fingerprint": stored.description.get("fingerprint"),
    }


def _frame_spacing(ordered: Sequence[Slice], stored: Sequence[TiffImage]) -> float | None:
    """Median step of positions, mm, else what all slices state."""
    if all(made.is_mm for made in ordered):
        step = median_step([made.sort_value or 0 for made in ordered])
        if step is not None:
            return step
    stated = {one.info.frame_spacing for one in stored}
    return stated.pop() if len(stated) == 1 else None


def _make_page_tags(
    stored: TiffImage, count: int, spacing: float | None, record: dict[str, Any]
) -> PageTags:
    description = add_record(stored.description, **record)
    if stored.description:
        source = {**description.get("source", {}), "frames": count}
        description |= {"source": source, "frame_spacing": spacing}
    return replace(stored.tags(), description=format_description(description))


def _reopen_per_page(stored: TiffImage) -> TiffImage:
    """The same, but the file is opened for each page, since a series may have thousands."""
    path, frames = stored.path, stored.frames
    reopened = LazyFrames(frames.shape, frames.dtype, lambda index: read_frames(path)[index])
    return replace(stored, frames=reopened)


def _join_pages(stored: Sequence[TiffImage]) -> LazyFrames:
    first = stored[0].frames
    shape = (len(stored), *first.shape[1:])
    return LazyFrames(shape, first.dtype, lambda index: stored[index].frames[0])


def write_slices_of(volumes: Iterable[CombinedVolume], path: Path) -> None:
    """Write slices.csv: which slice became which page."""
    ordered = sorted(volumes, key=lambda volume: path_key(volume.row.path))
    write_slices((row for volume in ordered for row in volume.rows()), path)
