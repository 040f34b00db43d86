"""Build the index: every file found gets a state or a place in the inventory of its study."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import SKIPPED_ERRORS
from dicom_preprocessing.files import (
    as_record,
    json_lines,
    printable,
    replace_if_changed,
    replacing,
)
from dicom_preprocessing.index.scan import Scan, scan_files, with_digest, write_cache
from dicom_preprocessing.index.state import limited_studies, pending_files, pending_studies
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
from dicom_preprocessing.shards import withdraw_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from dicom_preprocessing.header import Header

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
    """A found file that has an image's header."""

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
    cache: Path | None = None,
    workers: int = 1,
    advance: Callable[[int], object] | None = None,
) -> tuple[Index, list[Scan]]:
    """Scan and sort files; nothing is written.

    Parameters
    ----------
    files : sequence of Found
        In path order.
    duplicates : str
        ``first`` lets decoding choose among files of one SOP Instance UID, ``fail`` none of them.
    cache, workers, advance
        As for ``scan_files``.

    Returns
    -------
    Index
    list of Scan
        For the cache, one for each file.
    """
    scans = scan_files(files, cache=cache, workers=workers, advance=advance)
    left_out: dict[str, LeftOut] = {}
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, (found, scan) in enumerate(zip(files, scans, strict=True)):
        refused = _refusal(found, scan)
        if refused is not None:
            left_out[found.path] = refused
        elif scan.header is not None:
            groups[scan.header.study_instance_uid, scan.header.sop_instance_uid].append(i)
    _digest_twins(files, scans, groups.values())
    studies: dict[str, list[Entry]] = defaultdict(list)
    for (study, _sop), members in groups.items():
        images = [
            _Image(files[i], scans[i], header)
            for i in members
            if (header := scans[i].header) is not None
        ]
        kept, rejected = _resolve(images, duplicates)
        left_out |= {item.source_path: item for item in rejected}
        studies[study] += [entry_of(image.found, image.header, image.series) for image in kept]
        for i in members:
            if scans[i].header is None:  # became unreadable between scan and digest
                left_out[files[i].path] = _left_out(files[i], scans[i])
    order = {found.path: i for i, found in enumerate(files)}
    index = Index(
        studies={
            study: sorted(entries, key=lambda entry: order[entry.path])
            for study, entries in sorted(studies.items())
            if entries
        },
        left_out=sorted(left_out.values(), key=lambda item: order[item.source_path]),
        warnings=_shared_instances(groups),
    )
    return index, scans


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


def _digest_twins(files: Sequence[Found], scans: list[Scan], groups: Iterable[list[int]]) -> None:
    """Fill in the digests of files that share their UIDs and their size."""
    for members in groups:
        if len(members) == 1:
            continue
        sizes = [files[i].size for i in members]
        for i in members:
            if sizes.count(files[i].size) > 1:
                scans[i] = with_digest(files[i], scans[i])


def _resolve(images: list[_Image], duplicates: str) -> tuple[list[_Image], list[LeftOut]]:
    """Sort files of one instance into those that go on and those that are left out."""
    kept: dict[str, _Image] = {}
    rejected: list[LeftOut] = []
    for image in images:
        first = kept.setdefault(image.scan.sha256 or image.found.path, image)
        if first is not image:
            message = f"same bytes as {printable(first.found.path)}"
            rejected.append(_left_out(image.found, image.scan, error="duplicate", message=message))
    different = list(kept.values())
    if len(different) > 1 and duplicates == "fail":
        message = f"{len(different)} different files have this SOP Instance UID"
        rejected += [
            _left_out(image.found, image.scan, error="sop_conflict", message=message)
            for image in different
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


def _shared_instances(groups: Iterable[tuple[str, str]]) -> list[str]:
    pairs = list(groups)
    times = Counter(sop for _, sop in pairs)
    studies: dict[str, list[str]] = defaultdict(list)
    for study, sop in pairs:
        if times[sop] > 1:
            studies[sop].append(study)
    return [
        f"SOP Instance UID {sop} is in {len(names)} studies, each is written: {', '.join(names)}"
        for sop, names in studies.items()
    ]


def update_index(
    output: str | Path,
    sources: Sequence[str],
    *,
    excluded: Sequence[str] = (),
    duplicates: str = "first",
    limits: Limits | None = None,
    workers: int = 1,
) -> Index:
    """Index the sources and write ``{output}/index``, renewing only what changed.

    Raises
    ------
    SourceError
        The source cannot be used; nothing was changed.
    """
    files = find_files(sources, excluded)
    folder = IndexFolder(output)
    folder.studies.mkdir(parents=True, exist_ok=True)
    folder.path.chmod(0o700)
    due_studies, due_files = pending_studies(folder), pending_files(folder)
    index, scans = build_index(files, duplicates=duplicates, cache=folder.headers, workers=workers)
    request = Request(source=list(sources), duplicates=duplicates, limits=limits or Limits())
    before = folder.read_request()
    freed = limited_studies(folder) if before and before.limits != request.limits else []
    replace_if_changed(folder.request, request.to_json())
    present = {path.name.removesuffix(".jsonl") for path in folder.studies.glob("*.jsonl")}
    vanished = present - index.studies.keys()
    withdraw_parts(folder.output, vanished)
    for study in vanished:
        folder.inventory(study).unlink()
    for study, entries in index.studies.items():
        _renew_inventory(folder, study, entries, retry=study in due_studies, renew=study in freed)
    write_cache(folder.headers, files, scans)
    retries = folder.read_retries()
    tried = {item.source_path for item in index.left_out if item.transient}
    with replacing(folder.retries) as file:
        counted = Retries(
            issued=retries.issued + len(due_studies) + len(due_files),
            unreadable={
                path: min(MAX_ATTEMPTS, retries.unreadable.get(path, 0) + 1)
                for path in sorted(tried)
            },
        )
        file.write(counted.to_json())
    replace_if_changed(folder.warnings, "".join(f"{warning}\n" for warning in index.warnings))
    replace_if_changed(folder.left_out, "".join(json_lines(map(as_record, index.left_out))))
    studies = [_study(study, entries) for study, entries in index.studies.items()]
    replace_if_changed(folder.table, study_table(studies))
    return index


def _renew_inventory(
    folder: IndexFolder, study: str, entries: list[Entry], *, retry: bool, renew: bool
) -> None:
    """Replace an inventory if the study changed or is to be tried again.

    ``renew`` starts the attempts anew; the first may be counted as the second, so that there is a
    change to see.
    """
    path = folder.inventory(study)
    before, last = _previous_inventory(path)
    text = _text_at(entries, last)
    attempt = 1
    if text == before:
        attempt = min(MAX_ATTEMPTS, last + retry) if not renew else 1 if last > 1 else 2
    if attempt != last:
        text = _text_at(entries, attempt)
    if text != before:
        withdraw_parts(folder.output, [study])
        with replacing(path) as file:
            file.write(text)


def _text_at(entries: list[Entry], attempt: int) -> str:
    if attempt == 1:
        return inventory_text(entries)
    return inventory_text([replace(entry, attempt=attempt) for entry in entries])


def _previous_inventory(path: Path) -> tuple[str, int]:
    """The inventory of the last run and its attempt; nothing if it cannot be read."""
    try:
        text = path.read_text(encoding="ascii")
        return text, int(json.loads(text.partition("\n")[0])["attempt"])
    except (OSError, ValueError, TypeError, LookupError):
        return "", 1


def _study(study: str, entries: list[Entry]) -> Study:
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
    )
