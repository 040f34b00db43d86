"""Scan headers in parallel, and only of files that changed since the last scan."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pydicom

from dicom_preprocessing.config import Limits
from dicom_preprocessing.dicom.header import Header
from dicom_preprocessing.dicom.reading import read_header
from dicom_preprocessing.errors import (
    DamagedError,
    FileError,
    InternalError,
    LimitMemoryError,
    NotDicomError,
    SourceChangedError,
    UnreadableError,
    explain_exception,
    print_traceback,
)
from dicom_preprocessing.files import as_record, atomic_write, json_lines, path_key, read_json_lines
from dicom_preprocessing.index.changes import reading_unchanged, require_unchanged
from dicom_preprocessing.index.table import hide_uid
from dicom_preprocessing.supervision import IsolatedCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.index.walk import SourceFile

SCAN_VERSION = f"5 pydicom {pydicom.__version__}"
"""Changes when the same file may get another outcome; an older cache is then ignored."""

FILES_PER_TASK = 64
"""Files that a worker scans at a time; fewer than this are scanned by one worker."""

FILES_PER_ROUND = 50 * FILES_PER_TASK
"""Files that are scanned before the outcome of the first of them is used."""

DIGESTS_PER_TASK = 8
"""Files that a worker reads at a time: few, since whole files are read."""

HEADER_NAMES = tuple(field.name for field in fields(Header))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderScan:
    """Outcome of a header scan: a header, or the error that the file is recorded with.

    ``sha256`` is of all bytes of the file, and set only where several files share SOP Instance UID
    and size.
    """

    header: Header | None = None
    error: str = ""
    message: str = ""
    transient: bool = False
    sha256: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a tuple, since the dataclass's own way takes five times as long."""
        header = tuple(as_record(self.header).values()) if self.header is not None else None
        return _unpickle, (header, self.error, self.message, self.transient, self.sha256)

    @classmethod
    def from_error(cls, error: FileError) -> HeaderScan:
        """The outcome of a file that is not an image."""
        return cls(error=error.error, message=str(error), transient=error.transient)


def _unpickle(header: tuple[Any, ...] | None, *outcome: Any) -> HeaderScan:  # noqa: ANN401
    error, message, transient, sha256 = outcome
    return HeaderScan(
        header=Header(**dict(zip(HEADER_NAMES, header, strict=True))) if header else None,
        error=error,
        message=message,
        transient=transient,
        sha256=sha256,
    )


def scan_files(
    files: Sequence[SourceFile],
    *,
    cache: Path | None = None,
    workers: int = 1,
    limits: Limits | None = None,
    keywords: frozenset[str] = frozenset(),
    advance: Callable[[int], object] | None = None,
) -> Iterator[HeaderScan]:
    """Scan each file, or take what the cache knows of the same path, size and time.

    Parameters
    ----------
    files : sequence of SourceFile
        In path order.
    cache : path or None
        headers.jsonl of the last scan; it is not changed here.
    workers : int
        Processes.
    limits : Limits, optional
        Of each file: seconds, and MB of memory. One that exceeds them, or kills the process that
        reads it, has the error as its outcome.
    keywords : frozenset of str
        Of attributes that headers have besides; a cache of others is not used.
    advance : callable or None
        Called with the number of files that were done since its last call.

    Yields
    ------
    HeaderScan
        In the order of ``files``; at most a block of them is in memory.
    """
    cached = _CachedScans(read_cache(cache, keywords) if cache is not None else iter(()))
    done = advance or (lambda _count: None)
    with IsolatedCalls(
        partial(scan_file, keywords=keywords),
        limits=limits or Limits(),
        workers=workers if len(files) >= FILES_PER_TASK else 1,
        chunk=FILES_PER_TASK,
        work="read",
    ) as calls:
        for start in range(0, len(files), FILES_PER_ROUND):
            block = files[start : start + FILES_PER_ROUND]
            outcomes = [cached.find(file) for file in block]
            todo = [f for f, scan in zip(block, outcomes, strict=True) if scan is None]
            done(len(block) - len(todo))
            scanned = calls.map(todo)
            for scan in outcomes:
                if scan is None:
                    yield to_scan(next(scanned))
                    done(1)
                else:
                    yield scan


def to_scan(outcome: HeaderScan | FileError) -> HeaderScan:
    """The outcome of a file, also of one whose worker was stopped."""
    return HeaderScan.from_error(outcome) if isinstance(outcome, FileError) else outcome


class _CachedScans:
    """Outcomes of the last scan, read along with the files, since both are in path order."""

    def __init__(self, records: Iterator[tuple[tuple[str, int, int], HeaderScan]]) -> None:
        self._records = records
        self._next = next(records, None)

    def find(self, source_file: SourceFile) -> HeaderScan | None:
        """The cached outcome of a file; files must be asked for in path order."""
        key = path_key(source_file.path)
        while self._next is not None and path_key(self._next[0][0]) < key:
            self._next = next(self._records, None)
        if self._next is None or self._next[0] != (
            source_file.path,
            source_file.size,
            source_file.mtime_ns,
        ):
            return None
        return self._next[1]


def scan_file(source_file: SourceFile, keywords: frozenset[str] = frozenset()) -> HeaderScan:
    """Scan one file."""
    try:
        return HeaderScan(header=_hide_names(_read_source_header(source_file, keywords)))
    except FileError as error:
        return HeaderScan.from_error(_find_change(source_file) or error)
    except MemoryError:
        return HeaderScan.from_error(LimitMemoryError("not enough memory"))
    except Exception as error:  # noqa: BLE001  # no header, however broken, may stop the index
        change = _find_change(source_file)
        if change is None:
            print_traceback(error)
        return HeaderScan.from_error(change or explain_exception(error, DamagedError))


def _hide_names(header: Header) -> Header:
    """The header without text in the place of a UID that cannot become a part of a path."""
    uids = (header.study_instance_uid, header.series_instance_uid, header.sop_instance_uid)
    study, series, sop = map(hide_uid, uids)
    if (study, series, sop) == uids:
        return header
    return replace(
        header, study_instance_uid=study, series_instance_uid=series, sop_instance_uid=sop
    )


def _read_source_header(source_file: SourceFile, keywords: frozenset[str]) -> Header:
    if source_file.problem:
        raise UnreadableError(source_file.problem, transient=not source_file.is_missing)
    if not source_file.is_regular:
        raise NotDicomError("not a regular file, such as a pipe or a device")
    header = read_header(source_file.path, keywords)
    if not header.has_pixel_data:  # of an image, the job checks it
        require_unchanged(source_file)
    return header


def _find_change(source_file: SourceFile) -> FileError | None:
    """Return the error of a file that was read while it changed, and so looked damaged."""
    if source_file.problem or not source_file.is_regular:
        return None
    try:
        require_unchanged(source_file)
    except SourceChangedError as error:
        return error
    except UnreadableError:
        return None
    return None


def digesting_files(
    limits: Limits, workers: int
) -> IsolatedCalls[tuple[SourceFile, HeaderScan], HeaderScan]:
    """Processes that add digests to scans; none start unless there are any to add."""
    return IsolatedCalls(
        add_digest, limits=limits, workers=workers, chunk=DIGESTS_PER_TASK, work="read"
    )


def add_digest(scanned: tuple[SourceFile, HeaderScan]) -> HeaderScan:
    """The scan of a file with the SHA-256 of the file's bytes."""
    source_file, scan = scanned
    try:
        with reading_unchanged(source_file), open(source_file.path, "rb") as file:
            return replace(scan, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    except FileError as error:
        return HeaderScan.from_error(error)
    except OSError as error:
        return HeaderScan.from_error(UnreadableError.from_os_error(error))


def add_cached_keywords(path: Path, keywords: frozenset[str]) -> frozenset[str]:
    """The keywords, and those that the cache has: reading these again costs nothing."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        first = next(read_json_lines(path), {})
        if first["version"] == SCAN_VERSION:
            return keywords.union(first["keywords"])
    return keywords


def read_cache(
    path: Path, keywords: frozenset[str] = frozenset()
) -> Iterator[tuple[tuple[str, int, int], HeaderScan]]:
    """Path, size and mtime, and outcome, of the last scan.

    Nothing if another version wrote it, or with attributes of other keywords.
    """
    with suppress(OSError, ValueError, TypeError, KeyError):
        records = read_json_lines(path)
        if next(records, None) == _describe_cache(keywords):
            yield from map(_from_record, records)


def _describe_cache(keywords: frozenset[str]) -> dict[str, Any]:
    """The first line of a cache."""
    return {"version": SCAN_VERSION, "keywords": sorted(keywords)}


def write_cache(
    path: Path,
    files: Iterable[SourceFile],
    scans: Iterable[HeaderScan],
    keywords: frozenset[str] = frozenset(),
) -> None:
    """Keep every outcome in path order, but those that another try or version may change."""
    records = (
        {"path": f.path, "size": f.size, "mtime_ns": f.mtime_ns, **_to_record(scan)}
        for f, scan in zip(files, scans, strict=True)
        if not scan.transient and scan.error != InternalError.error and not f.is_missing
    )
    with atomic_write(path) as file:
        file.writelines(json_lines([_describe_cache(keywords)]))
        file.writelines(json_lines(records))


def _to_record(scan: HeaderScan) -> dict[str, Any]:
    record = as_record(scan)
    if scan.header is not None:
        header = as_record(scan.header)
        record["header"] = {name: value for name, value in header.items() if value != {}}
    return {key: value for key, value in record.items() if value}


def _from_record(record: dict[str, Any]) -> tuple[tuple[str, int, int], HeaderScan]:
    key = (record.pop("path"), record.pop("size"), record.pop("mtime_ns"))
    header = record.pop("header", None)
    return key, HeaderScan(header=None if header is None else Header(**header), **record)
