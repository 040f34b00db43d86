"""Scan headers in parallel, and only of files that changed since the last scan."""

from __future__ import annotations

import hashlib
import os
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pydicom

from dicom_preprocessing.dicom_file import read_header
from dicom_preprocessing.errors import DamagedError, FileError, NotDicomError, UnreadableError
from dicom_preprocessing.files import as_record, json_lines, read_json_lines, replacing
from dicom_preprocessing.header import Header
from dicom_preprocessing.warm import die_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.index.walk import Found

SCAN_VERSION = f"1 pydicom {pydicom.__version__}"
"""Changed when the same file may get another outcome; the cache is then not used."""

CHUNK = 64
"""Files a worker scans at a time; fewer than this are scanned without workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Outcome of a header scan: a header, or the error that the file is recorded with.

    ``sha256`` is of the whole file, and filled only where two files have one SOP Instance UID.
    """

    header: Header | None = None
    error: str = ""
    message: str = ""
    transient: bool = False
    sha256: str = ""

    @classmethod
    def from_error(cls, error: FileError) -> Scan:
        """The outcome of a file that is no image."""
        return cls(error=error.error, message=str(error), transient=error.transient)


def scan_files(
    files: Sequence[Found],
    *,
    cache: Path | None,
    workers: int,
    advance: Callable[[int], object] | None = None,
) -> list[Scan]:
    """Scan each file, or take what the cache knows of the same path, size and time.

    Parameters
    ----------
    files : sequence of Found
    cache : path or None
        headers.jsonl of the last scan; it is not changed here.
    workers : int
        Processes.
    advance : callable or None
        Told how many more files are done.
    """
    known = read_cache(cache) if cache is not None else {}
    outcomes = {i: known.get((f.path, f.size, f.mtime_ns)) for i, f in enumerate(files)}
    todo = [i for i, scan in outcomes.items() if scan is None]
    done = advance or (lambda _count: None)
    done(len(files) - len(todo))
    for i, scan in zip(todo, _scan_all([files[i] for i in todo], workers), strict=True):
        outcomes[i] = scan
        done(1)
    return [scan for scan in outcomes.values() if scan is not None]


def scan_file(found: Found) -> Scan:
    """Scan one file."""
    try:
        return Scan(header=_header_of(found))
    except FileError as error:
        return Scan.from_error(error)
    except Exception as error:  # noqa: BLE001  # no header, however odd, may stop the index
        traceback.print_exc()
        return Scan.from_error(DamagedError(f"{type(error).__name__}: {error}"))


def _header_of(found: Found) -> Header:
    if found.problem:
        raise UnreadableError(found.problem, transient=not found.is_missing)
    if not found.is_regular:
        raise NotDicomError("no regular file")
    return read_header(found.path)


def with_digest(found: Found, scan: Scan) -> Scan:
    """The scan with the SHA-256 of the file's bytes."""
    if scan.sha256:
        return scan
    try:
        with open(found.path, "rb") as file:
            return replace(scan, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        return Scan.from_error(UnreadableError.from_os_error(error))


def _scan_all(files: Sequence[Found], workers: int) -> Iterator[Scan]:
    if workers < 2 or len(files) < CHUNK:  # noqa: PLR2004  # one worker is no pool
        yield from map(scan_file, files)
        return
    with ProcessPoolExecutor(workers, initializer=die_with, initargs=(os.getpid(),)) as pool:
        yield from pool.map(scan_file, files, chunksize=CHUNK)


def read_cache(path: Path) -> dict[tuple[str, int, int], Scan]:
    """Outcomes of the last scan by path, size and mtime; empty if there is none of this version."""
    try:
        records = read_json_lines(path)
        if next(records, None) != {"version": SCAN_VERSION}:
            return {}
        return dict(map(_from_record, records))
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def write_cache(path: Path, files: Iterable[Found], scans: Iterable[Scan]) -> None:
    """Keep every outcome but the transient ones, which are to be tried again."""
    records = (
        {"path": f.path, "size": f.size, "mtime_ns": f.mtime_ns, **_to_record(scan)}
        for f, scan in zip(files, scans, strict=True)
        if not scan.transient and not f.is_missing
    )
    with replacing(path) as file:
        file.writelines(json_lines([{"version": SCAN_VERSION}]))
        file.writelines(json_lines(records))


def _to_record(scan: Scan) -> dict[str, Any]:
    record = as_record(scan)
    if scan.header is not None:
        record["header"] = as_record(scan.header)
    return {key: value for key, value in record.items() if value}


def _from_record(record: dict[str, Any]) -> tuple[tuple[str, int, int], Scan]:
    key = (record.pop("path"), record.pop("size"), record.pop("mtime_ns"))
    header = record.pop("header", None)
    return key, Scan(header=None if header is None else Header(**header), **record)
