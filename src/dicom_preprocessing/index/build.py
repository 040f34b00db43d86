"""Build the index: every file found gets a state or a place in the inventory of its study."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import SKIPPED_ERRORS
from dicom_preprocessing.files import (
    SortedOnDisk,
    as_record,
    json_lines,
    replace_if_changed,
    replacing,
    short_digest,
)
from dicom_preprocessing.index.scan import Scan, scan_files, with_digest, write_cache
from dicom_preprocessing.index.state import NO_RETRIES, RetryPlan
from dicom_preprocessing.index.table import (
    MAX_ATTEMPTS,
    SERIES_WITHOUT_UID,
    Entry,
    IndexFolder,
    LeftOut,
    Request,
    Retries,
    Study,
    inventory_text,
    is_path_part,
    study_table,
)
from dicom_preprocessing.index.walk import Found, find_files
from dicom_preprocessing.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.dicom.header import Header

MILLION = 1_000_000
BASE_MB = 300
"""Memory of a job before it reads a pixel: the interpreter and its libraries."""

FRAMES_HELD = 6
"""Frames that a job may hold at once, two bytes a sample, beside an output of the decoded size."""


@dataclass(frozen=True, slots=True)
class Index:
    """Everything found: studies with their files, and the files that were left out.

    ``studies`` maps Study Instance UIDs to entries in path order.
    """

    studies: dict[str, list[Entry]]
    left_out: list[LeftOut]
    warnings: list[str]

    @property
    def found(self) -> int:
        """Number of files found."""
        return len(self.left_out) + sum(map(len, self.studies.values()))


@dataclass(frozen=True, slots=True)
class _Image:
    """A found file that has an image's header; ``number`` is its place in path order."""

    number: int
    found: Found
    scan: Scan
    header: Header

    @property
    def series(self) -> str:
        uid = self.header.series_instance_uid
        return uid if is_path_part(uid) else SERIES_WITHOUT_UID


def build_index(
    files: Sequence[Found],
    *,
    duplicates: str = "first",
    workers: int = 1,
    advance: Callable[[int], object] | None = None,
) -> Index:
    """Scan and sort files; nothing is written.

    Parameters
    ----------
    files : sequence of Found
        In path order.
    duplicates : str
        ``first`` lets decoding choose among files of one SOP Instance UID, ``fail`` none of them.
    workers, advance
        As for ``scan_files``.
    """
    sorter = _Sorter(files, duplicates)
    for scan in scan_files(files, workers=workers, advance=advance):
        sorter.add(scan)
    return Index(dict(sorter.studies()), list(sorter.left_out()), list(sorter.warnings()))


class _Sorter:
    """Takes scans in path order and gives back studies, holding one of them at a time."""

    def __init__(self, files: Sequence[Found], duplicates: str) -> None:
        self._files = files
        self._duplicates = duplicates
        self._number = 0
        self._scans: SortedOnDisk[tuple[int, Scan]] = SortedOnDisk(itemgetter(0))
        self._images: SortedOnDisk[tuple[str, int, Scan]] = SortedOnDisk(itemgetter(0, 1))
        self._left_out: SortedOnDisk[tuple[int, LeftOut]] = SortedOnDisk(itemgetter(0))
        self._instances: SortedOnDisk[tuple[str, str]] = SortedOnDisk(itemgetter(0, 1))
        self._digested: SortedOnDisk[tuple[int, Scan]] = SortedOnDisk(itemgetter(0))

    def add(self, scan: Scan) -> None:
        """Take the scan of the next file."""
        number = self._number
        self._number += 1
        self._scans.append((number, scan))
        refused = _refusal(self._files[number], scan)
        if refused is not None:
            self._left_out.append((number, refused))
        elif scan.header is not None:
            self._images.append((scan.header.study_instance_uid, number, scan))

    def studies(self) -> Iterator[tuple[str, list[Entry]]]:
        """Each study with its files in path order; the rest is known when all were taken."""
        for study, members in groupby(self._images, key=itemgetter(0)):
            entries = self._entries_of(study, [(number, scan) for _, number, scan in members])
            if entries:
                yield study, entries

    def _entries_of(self, study: str, scans: list[tuple[int, Scan]]) -> list[Entry]:
        instances: dict[str, list[tuple[int, Scan]]] = defaultdict(list)
        for number, scan in scans:
            if scan.header is not None:
                instances[scan.header.sop_instance_uid].append((number, scan))
        entries: list[tuple[int, Entry]] = []
        for sop, members in instances.items():
            self._instances.append((sop, study))
            images: list[_Image] = []
            for number, scan in self._with_digests(members):
                if scan.header is None:  # became unreadable since it was scanned
                    self._left_out.append((number, _left_out(self._files[number], scan)))
                else:
                    images.append(_Image(number, self._files[number], scan, scan.header))
            kept, rejected = _resolve(images, self._duplicates)
            self._left_out.extend(rejected)
            entries += [(i.number, entry_of(i.found, i.header, i.series)) for i in kept]
        return [entry for _, entry in sorted(entries, key=itemgetter(0))]

    def _with_digests(self, members: list[tuple[int, Scan]]) -> Iterator[tuple[int, Scan]]:
        """Files of one instance, with digests of those that share their size."""
        sizes = Counter(self._files[number].size for number, _ in members)
        for number, scan in members:
            if sizes[self._files[number].size] == 1:
                yield number, scan
                continue
            digested = with_digest(self._files[number], scan)
            if digested is not scan:
                self._digested.append((number, digested))
            yield number, digested

    def left_out(self) -> Iterator[LeftOut]:
        """Files that are in no study, in path order."""
        return (item for _, item in self._left_out)

    def warnings(self) -> Iterator[str]:
        """What is odd and is indexed all the same."""
        for sop, pairs in groupby(self._instances, key=itemgetter(0)):
            studies = [study for _, study in pairs]
            if len(studies) > 1:
                yield (
                    f"SOP Instance UID {sop} is in {len(studies)} studies, each is written: "
                    f"{', '.join(studies)}"
                )

    def scans(self) -> Iterator[Scan]:
        """For the cache: every scan in path order, with the digests."""
        digested = iter(self._digested)
        following = next(digested, None)
        for number, scan in self._scans:
            if following is not None and following[0] == number:
                yield following[1]
                following = next(digested, None)
            else:
                yield scan


def _refusal(found: Found, scan: Scan) -> LeftOut | None:
    """The state of a file that cannot become an image, None for one that may."""
    if scan.header is None:
        return _left_out(found, scan)
    if not scan.header.has_pixel_data:
        message = "a data set without pixel data"
        return _left_out(found, scan, error="no_pixel_data", message=message)
    for name in ("study_instance_uid", "sop_instance_uid"):
        uid = getattr(scan.header, name)
        if not is_path_part(uid):
            what = f"{printable(uid)!r} cannot be part of a path" if uid else "is missing"
            return _left_out(found, scan, error="bad_uid", message=f"{name} {what}")
    return None


def _left_out(found: Found, scan: Scan, *, error: str = "", message: str = "") -> LeftOut:
    error = error or scan.error
    header = scan.header
    return LeftOut(
        source_path=found.path,
        state="skipped" if error in SKIPPED_ERRORS else "failed",
        error=error,
        message=message or scan.message,
        transient=scan.transient,
        named=found.named,
        hides_files=error == "unreadable" and (found.named or found.is_folder),
        study_instance_uid=printable(header.study_instance_uid) if header else "",
        series_instance_uid=printable(header.series_instance_uid) if header else "",
        sop_instance_uid=printable(header.sop_instance_uid) if header else "",
    )


def _resolve(
    images: list[_Image], duplicates: str
) -> tuple[list[_Image], list[tuple[int, LeftOut]]]:
    """Sort files of one instance into those that go on and those that are left out."""
    kept: dict[str, _Image] = {}
    rejected: list[tuple[int, LeftOut]] = []
    for image in images:
        first = kept.setdefault(image.scan.sha256 or image.found.path, image)
        if first is not image:
            message = f"same bytes as {printable(first.found.path)}"
            refused = _left_out(image.found, image.scan, error="duplicate", message=message)
            rejected.append((image.number, refused))
    different = list(kept.values())
    if len(different) > 1 and duplicates == "fail":
        message = f"{len(different)} different files have this SOP Instance UID"
        rejected += [
            (i.number, _left_out(i.found, i.scan, error="sop_conflict", message=message))
            for i in different
        ]
        return [], rejected
    return different, rejected


def entry_of(found: Found, header: Header, series_instance_uid: str) -> Entry:
    """The inventory line of an image at its first attempt."""
    return Entry(
        path=found.path,
        size=found.size,
        mtime_ns=found.mtime_ns,
        attempt=1,
        study_instance_uid=header.study_instance_uid,
        series_instance_uid=series_instance_uid,
        sop_instance_uid=header.sop_instance_uid,
        sop_class_uid=header.sop_class_uid,
        modality=header.modality,
        transfer_syntax_uid=header.transfer_syntax_uid,
        rows=header.rows,
        columns=header.columns,
        number_of_frames=header.number_of_frames,
        samples_per_pixel=header.samples_per_pixel,
        bits_allocated=header.bits_allocated,
        bits_stored=header.bits_stored,
        instance_number=header.instance_number,
    )


@dataclass(frozen=True, slots=True)
class Indexed:
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
    retries: RetryPlan = NO_RETRIES,
    withdraw: Callable[[Collection[str]], object] = lambda _studies: None,
) -> Indexed:
    """Index the sources and write ``{output}/index``, renewing only what changed.

    Parameters
    ----------
    output : path
    sources, excluded
        As for ``find_files``.
    duplicates, workers
        As for ``build_index``.
    limits : Limits or None
        What a file may cost its job.
    retries : RetryPlan
        What is to be tried again though it did not change.
    withdraw : callable
        Told of studies before they change or vanish: what was gathered of them is out of date.

    Raises
    ------
    SourceError
        The source cannot be used; nothing was changed.
    """
    files = find_files(sources, excluded)
    folder = IndexFolder(output)
    folder.studies.mkdir(parents=True, exist_ok=True)
    folder.path.chmod(0o700)
    sorter = _Sorter(files, duplicates)
    for scan in scan_files(files, cache=folder.headers, workers=workers):
        sorter.add(scan)
    request = Request.made_here(output, sources, duplicates, limits or Limits())
    studies: list[Study] = []
    for study, entries in sorter.studies():
        inventory = _renew_inventory(folder, study, entries, retries, withdraw)
        studies.append(_study(study, entries, inventory))
    # Not before: an index that is killed has to find again what other limits free.
    replace_if_changed(folder.request, [request.to_json()])
    names = [study.study_instance_uid for study in studies]
    present = {path.name.removesuffix(".jsonl") for path in folder.studies.glob("*.jsonl")}
    vanished = present.difference(names)
    withdraw(vanished)
    for study in vanished:
        folder.inventory(study).unlink()
    write_cache(folder.headers, files, sorter.scans())
    before = folder.read_retries()
    tried = {item.source_path for item in sorter.left_out() if item.transient}
    with replacing(folder.retries) as file:
        counted = Retries(
            issued=before.issued + retries.counted,
            unreadable={
                path: min(MAX_ATTEMPTS, before.unreadable.get(path, 0) + 1)
                for path in sorted(tried)
            },
        )
        file.write(counted.to_json())
    warnings = list(sorter.warnings())
    replace_if_changed(folder.warnings, (f"{warning}\n" for warning in warnings))
    replace_if_changed(folder.left_out, json_lines(map(as_record, sorter.left_out())))
    replace_if_changed(folder.table, study_table(studies))
    return Indexed(len(files), names, warnings)


def _renew_inventory(
    folder: IndexFolder,
    study: str,
    entries: list[Entry],
    retries: RetryPlan,
    withdraw: Callable[[Collection[str]], object],
) -> str:
    """Replace an inventory if the study changed or is to be tried again; returns its text.

    The text of a renewed one is never one of before: receipts that were made of that would be taken
    for those of now.
    """
    retry, renew = study in retries.studies, study in retries.renewed
    path = folder.inventory(study)
    before, last, renewal = _previous_inventory(path)
    text = _text_at(entries, last, renewal)
    attempt = 1
    if text == before:
        renewal += renew
        attempt = 1 if renew else min(MAX_ATTEMPTS, last + retry)
    text = _text_at(entries, attempt, renewal)
    if text != before:
        withdraw([study])
        with replacing(path) as file:
            file.write(text)
    return text


def _text_at(entries: list[Entry], attempt: int, renewal: int) -> str:
    if (attempt, renewal) == (1, 0):
        return inventory_text(entries)
    return inventory_text([replace(e, attempt=attempt, renewal=renewal) for e in entries])


def _previous_inventory(path: Path) -> tuple[str, int, int]:
    """The last inventory, its attempt and renewal; nothing if it cannot be read."""
    try:
        text = path.read_text(encoding="ascii")
        first = json.loads(text.partition("\n")[0])
        return text, int(first["attempt"]), int(first["renewal"])
    except (OSError, ValueError, TypeError, LookupError):
        return "", 1, 0


def _study(study: str, entries: list[Entry], inventory: str) -> Study:
    held = max(
        entry.rows
        * entry.columns
        * max(1, entry.samples_per_pixel)
        * 2
        * (max(1, entry.number_of_frames) + FRAMES_HELD)
        for entry in entries
    )
    pixels = sum(e.rows * e.columns * max(1, e.number_of_frames) for e in entries)
    return Study(
        study_instance_uid=study,
        files=len(entries),
        mem_mb=BASE_MB + held // MILLION,
        megapixels=pixels // MILLION,
        inventory=short_digest(inventory),
    )
