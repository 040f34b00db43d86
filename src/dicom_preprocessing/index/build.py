"""Build the index: every file found gets a state or a line in the inventory of its study."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dicom_preprocessing.config import Limits
from dicom_preprocessing.config.selection import EVERYTHING
from dicom_preprocessing.files import (
    as_record,
    atomic_write,
    fsync_folder,
    json_lines,
    read_text,
    replace_if_changed,
    short_digest,
)
from dicom_preprocessing.index.grouping import StudyGrouper
from dicom_preprocessing.index.scan import add_cached_keywords, scan_files, write_cache
from dicom_preprocessing.index.selection import Selector
from dicom_preprocessing.index.state import NO_RETRIES, RetryPlan
from dicom_preprocessing.index.table import (
    ExcludedFile,
    IndexFolder,
    IndexRequest,
    InventoryEntry,
    PixelCounts,
    RetryCounts,
    Study,
    format_inventory,
    format_study_table,
)
from dicom_preprocessing.index.walk import SourceFile, find_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from dicom_preprocessing.config.selection import Selection
    from dicom_preprocessing.dicom.header import Header
    from dicom_preprocessing.index.selection import Census


MILLION = 1_000_000
BASE_MB = 300
"""Memory of a job before it reads a pixel: the interpreter and its libraries."""

FRAMES_IN_MEMORY = 6
"""Frames that a job may hold at once, 2 bytes per sample, beside an output of the decoded size."""


@dataclass(frozen=True, slots=True)
class Index:
    """Everything found: studies with their files, and the files that were left out.

    ``studies`` maps Study Instance UIDs to entries in path order.
    """

    studies: dict[str, list[InventoryEntry]]
    excluded_files: list[ExcludedFile]
    warnings: list[str]
    census: Census

    @property
    def found(self) -> int:
        """Number of files found."""
        return len(self.excluded_files) + sum(map(len, self.studies.values()))


def build_index(
    files: Sequence[SourceFile],
    *,
    duplicates: str = "first",
    limits: Limits | None = None,
    workers: int = 1,
    selector: Selector | None = None,
    cache: Path | None = None,
    advance: Callable[[int], object] | None = None,
) -> Index:
    """Scan and sort files; nothing is written.

    Parameters
    ----------
    files : sequence of SourceFile
        In path order.
    duplicates : str
        ``first``: decoding chooses among files of one SOP Instance UID; ``fail``: all of them are
        excluded.
    limits, workers, cache, advance
        As for ``scan_files``.
    selector : Selector, optional
        Of the files to keep; by default all.
    """
    grouper = StudyGrouper(files, duplicates, selector, limits=limits or Limits(), workers=workers)
    keywords = selector.selection.keywords if selector else frozenset[str]()
    scans = scan_files(
        files,
        cache=cache,
        workers=workers,
        limits=limits,
        keywords=add_cached_keywords(cache, keywords) if cache else keywords,
        advance=advance,
    )
    for scan in scans:
        grouper.add(scan)
    studies = {study.study_instance_uid: study.entries for study in grouper.studies()}
    return Index(studies, list(grouper.excluded_files()), list(grouper.warnings()), grouper.census)


@dataclass(frozen=True, slots=True)
class IndexUpdate:
    """What ``update_index`` found."""

    found: int
    studies: list[str]
    warnings: list[str]


def update_index(
    output: str | Path,
    sources: Sequence[str],
    *,
    excluded: Sequence[str] = (),
    duplicates: str = "first",
    limits: Limits | None = None,
    workers: int = 1,
    selection: Selection = EVERYTHING,
    retries: RetryPlan = NO_RETRIES,
    invalidate: Callable[[Collection[str]], object] = lambda _studies: None,
) -> IndexUpdate:
    """Index the sources and write ``{output}/index``, renewing only what changed.

    Parameters
    ----------
    output : path
    sources, excluded
        As for ``find_files``.
    duplicates, workers
        As for ``build_index``.
    limits : Limits or None
        What a file may cost here, and then its job; its seconds are also those in which the
        folders of the source have to answer.
    selection : Selection
        Of the files to keep, and of columns for the manifest.
    retries : RetryPlan
        What to try again although it did not change.
    invalidate : callable
        Called with studies before they change or vanish, since their collected results are out of
        date then.

    Raises
    ------
    SourceError
        The source cannot be used; nothing was changed.
    """
    limits = limits or Limits()
    files = find_files(sources, excluded, limits.seconds)
    folder = IndexFolder(output)
    folder.studies.mkdir(parents=True, exist_ok=True)
    folder.path.chmod(0o700)
    selector = Selector(selection, sources)
    grouper = StudyGrouper(files, duplicates, selector, limits=limits, workers=workers)
    keywords = add_cached_keywords(folder.headers, selection.keywords)
    scans = scan_files(
        files, cache=folder.headers, workers=workers, limits=limits, keywords=keywords
    )
    for scan in scans:
        grouper.add(scan)
    request = IndexRequest.from_working_directory(output, sources, duplicates, limits, selection)
    studies: list[Study] = []
    pixels = PixelCounts()
    for study, entries, headers in grouper.studies():
        if selection.columns:
            write_columns(folder, study, entries, headers, selection.columns)
        inventory = _renew_inventory(folder, study, entries, retries, invalidate)
        slices = count_slices(entries)
        studies.append(_summarise_study(study, entries, slices, inventory))
        for entry in entries:
            pixels.add(entry, slices.get(entry.path, 1))
    if not selection.columns:
        with suppress(FileNotFoundError):
            shutil.rmtree(folder.columns)
    fsync_folder(folder.studies)
    # Only now: if this index is killed earlier, the next one must still see the old limits, to
    # renew the studies that they stopped.
    replace_if_changed(folder.request, [request.to_json()])
    names = [study.study_instance_uid for study in studies]
    present = {path.name.removesuffix(".jsonl") for path in folder.studies.glob("*.jsonl")}
    vanished = present.difference(names)
    invalidate(vanished)
    for study in vanished:
        folder.inventory(study).unlink()
        folder.columns_of(study).unlink(missing_ok=True)
    write_cache(folder.headers, files, grouper.scans(), keywords)
    before = folder.read_retries()
    tried = {item.source_path for item in grouper.excluded_files() if item.transient}
    with atomic_write(folder.retries) as file:
        counts = RetryCounts(
            issued=before.issued + retries.count,
            unreadable={path: before.unreadable.get(path, 0) + 1 for path in sorted(tried)},
        )
        file.write(counts.to_json())
    replace_if_changed(folder.pixels, [pixels.to_json()])
    replace_if_changed(folder.census, [grouper.census.to_json()])
    warnings = list(grouper.warnings())
    replace_if_changed(folder.warnings, (f"{warning}\n" for warning in warnings))
    replace_if_changed(folder.excluded_files, json_lines(map(as_record, grouper.excluded_files())))
    replace_if_changed(folder.table, format_study_table(studies))
    return IndexUpdate(len(files), names, warnings)


def write_columns(
    folder: IndexFolder,
    study: str,
    entries: Sequence[InventoryEntry],
    headers: Sequence[Header],
    columns: Sequence[str],
) -> None:
    """Write the values of some attributes of a study's files, by path."""
    lines = (
        {"path": entry.path, "values": ["\\".join(header.values(c)) for c in columns]}
        for entry, header in zip(entries, headers, strict=True)
    )
    folder.columns.mkdir(exist_ok=True)
    replace_if_changed(folder.columns_of(study), json_lines(lines))


def _renew_inventory(
    folder: IndexFolder,
    study: str,
    entries: list[InventoryEntry],
    retries: RetryPlan,
    invalidate: Callable[[Collection[str]], object],
) -> str:
    """Replace an inventory if the study changed or is to be tried again; return its text.

    A new inventory never repeats the text of an earlier one, since receipts of that one would count
    as up to date.
    """
    retry, renew = study in retries.studies, study in retries.renewed
    path = folder.inventory(study)
    before, last, renewal = _read_previous_inventory(path)
    text = _format_at(entries, last, renewal)
    attempt = 1
    if text == before:
        renewal += renew
        attempt = 1 if renew else last + retry
    text = _format_at(entries, attempt, renewal)
    if text != before:
        invalidate([study])
        with atomic_write(path, is_name_durable=False) as file:
            file.write(text)
    return text


def _format_at(entries: list[InventoryEntry], attempt: int, renewal: int) -> str:
    if (attempt, renewal) == (1, 0):
        return format_inventory(entries)
    return format_inventory([replace(e, attempt=attempt, renewal=renewal) for e in entries])


def _read_previous_inventory(path: Path) -> tuple[str, int, int]:
    """The last inventory, its attempt and renewal; those of an empty one if there is none."""
    try:
        text = read_text(path, "ascii")
        first = json.loads(text.partition("\n")[0])
        return text, int(first["attempt"]), int(first["renewal"])
    except (FileNotFoundError, ValueError, TypeError, LookupError):
        return "", 1, 0


def count_slices(entries: Iterable[InventoryEntry]) -> dict[str, int]:
    """The number of slices of the stack in which a file is, by path; none of other files."""
    volumes = {entry.path: entry.stack.volume_id for entry in entries if entry.stack is not None}
    counts = Counter(volumes.values())
    return {path: counts[volume] for path, volume in volumes.items()}


def _summarise_study(
    study: str, entries: list[InventoryEntry], slices: Mapping[str, int], inventory: str
) -> Study:
    max_bytes = max(
        entry.rows
        * entry.columns
        * max(1, entry.samples_per_pixel)
        * 2
        * (max(1, entry.number_of_frames, slices.get(entry.path, 1)) + FRAMES_IN_MEMORY)
        for entry in entries
    )
    pixels = sum(e.rows * e.columns * max(1, e.number_of_frames) for e in entries)
    return Study(
        study_instance_uid=study,
        files=len(entries),
        mem_mb=BASE_MB + max_bytes // MILLION,
        megapixels=pixels // MILLION,
        inventory=short_digest(inventory),
    )
