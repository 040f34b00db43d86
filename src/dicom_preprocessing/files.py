"""Small helpers for files that appear whole, and for their records."""

from __future__ import annotations

import errno
import filecmp
import functools
import hashlib
import heapq
import io
import json
import os
import pickle
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import fields
from itertools import islice
from operator import attrgetter
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from _typeshed import DataclassInstance, ReadableBuffer


LINES_AT_ONCE = 500

BUFFERED = 1 << 16
"""Bytes that are gathered before they are written."""

ITEMS_IN_MEMORY = 50_000
"""Items that ``SortedOnDisk`` holds in memory."""

NOT_FOR_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)
"""What fsync of a folder gives where the file system has none, or where it may only be written."""

PARTIAL = re.compile(r"\..+\.[0-9a-f]{32}")


def read_at(descriptor: int, offset: int, length: int) -> bytes:
    """Read from a place of a file; less than ``length`` at its end. Threads may do so at once."""
    content = os.pread(descriptor, length, offset)
    if len(content) == length or not content:
        return content
    rest = read_at(descriptor, offset + len(content), length - len(content))  # 2 GB at once
    return content + rest


def write_at(descriptor: int, offset: int, content: memoryview) -> None:
    """Write all of ``content`` at a place of a file."""
    done = 0
    while done < len(content):
        done += _require_progress(os.pwrite(descriptor, content[done:], offset + done))


def _require_progress(done: int | None) -> int:
    """How many bytes were written, which must not be none: it would be tried for ever."""
    if not done:
        raise OSError(errno.EIO, "the disk takes no more bytes and does not say why")
    return done


T = TypeVar("T")


class SortedOnDisk(Generic[T]):
    """Any number of items, given back in order; all but ``held`` of them wait in temporary files.

    Items must be picklable. TMPDIR tells where the files are; they have no name, so that nothing
    is left of a killed job. Items of equal ``key`` stay in the order in which they came. Whatever
    is wrong with the files is an OSError that names their folder.
    """

    def __init__(self, key: Callable[[T], Any], held: int = ITEMS_IN_MEMORY) -> None:
        self._key = key
        self._most = held
        self._number = 0
        self._held: list[T] = []
        self._runs: list[tuple[IO[bytes], int]] = []

    def __del__(self) -> None:
        for run, _ in self._runs:
            run.close()

    def append(self, item: T) -> None:
        """Take an item."""
        self._held.append(item)
        self._number += 1
        if len(self._held) >= self._most:
            self._spill()

    def extend(self, items: Iterable[T]) -> None:
        """Take items."""
        for item in items:
            self.append(item)

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[T]:
        """Items in order, as often as wanted, but not two iterations at a time."""
        self._held.sort(key=self._key)
        yield from heapq.merge(*map(self._read, self._runs), self._held, key=self._key)

    def _spill(self) -> None:
        self._held.sort(key=self._key)
        run = make_temporary(tempfile.TemporaryFile)
        items, parts = iter(self._held), 0
        try:
            while some := list(islice(items, LINES_AT_ONCE)):
                pickle.dump(some, run, pickle.HIGHEST_PROTOCOL)
                parts += 1
            run.flush()  # else whoever reads first would be told
        except OSError as error:
            with suppress(OSError):
                run.close()
            raise _temporary_error(error) from error
        self._runs.append((run, parts))
        self._held = []

    @staticmethod
    def _read(run_and_parts: tuple[IO[bytes], int]) -> Iterator[T]:
        run, parts = run_and_parts
        run.seek(0)
        for _ in range(parts):
            try:
                some = pickle.load(run)  # noqa: S301  # this process wrote it
            except OSError as error:
                raise _temporary_error(error) from error
            except MemoryError:
                raise
            except Exception as error:  # pickle raises nearly anything on bad bytes
                raise _temporary_error() from error
            yield from some


def make_temporary(make: Callable[[], T]) -> T:
    """Make a temporary file or folder; an error says that TMPDIR sets where."""
    try:
        return make()
    except OSError as error:
        if error.filename is not None:
            raise _temporary_error(error) from error
        told = error.strerror or str(error)  # that no folder it knows can be written to
        raise OSError(
            f"{told}. What to do: free space there, or set TMPDIR to another folder, then run again"
        ) from error


def _temporary_error(error: OSError | None = None) -> OSError:
    """The error of a file in the temporary folder, else that one came back cut or changed."""
    code, told = errno.EIO, "a file came back cut or damaged"
    if error is not None:
        code, told = error.errno or code, error.strerror or str(error)
    told = f"{told}, in the folder for temporary files (set by TMPDIR)"
    return OSError(code, told, tempfile.gettempdir())


def path_key(path: str) -> bytes:
    """Sort key of path order, which is byte order."""
    return os.fsencode(path)


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a sibling name to write to, and rename it to ``target`` on success.

    Nothing is left under either name if the block raises. The name is unique, because a job that
    outlives a killed run may still be writing the same target.
    """
    partial = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        yield partial
        partial.replace(target)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and error.filename == str(partial):
            error.filename = str(target)  # the name that the user knows
        raise


def remove_partials(folder: Path, name: str | None = None) -> None:
    """Remove what killed jobs left under the names of ``atomic_path``: of one target, or of all."""
    start = "." if name is None else f".{name}."
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name.startswith(start) and PARTIAL.fullmatch(path.name):
                path.unlink(missing_ok=True)


class _FirstErrorFile(io.RawIOBase):
    """A new file whose first error is raised by all that follows, should somebody have missed it.

    There is no ``fileno``: what C code writes to a copy of a descriptor may fail without a word, as
    the last 4 KB of ``ndarray.tofile`` do.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._end = 0
        self._error: OSError | None = None

    @contextmanager
    def _keep_first_error(self) -> Iterator[None]:
        if self._error is not None:
            raise self._error
        try:
            yield
        except OSError as error:
            error.filename = str(self._file.name)
            self._error = error
            raise

    def write(self, content: ReadableBuffer) -> int:
        with self._keep_first_error():
            done = _require_progress(self._file.write(content))
            self._end = max(self._end, self._file.tell())
        return done

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def finish(self, *, is_durable: bool) -> None:
        """Raise an error that came up, or if the file has another size than what was written."""
        with self._keep_first_error():
            if is_durable:
                os.fsync(self._file.fileno())
            size = os.fstat(self._file.fileno()).st_size
            if size != self._end:
                found = f"{self._end} bytes were written, {size} are there"
                raise OSError(errno.EIO, f"the file is not whole after it was written ({found})")

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:  # a network's file system may tell only now
            error.filename = str(self._file.name)
            raise
        finally:
            super().close()


@contextmanager
def open_new_file(path: Path, mode: str = "w", *, is_durable: bool = False) -> Iterator[IO[Any]]:
    """Open a new file for writing; all files of results and their pixels are written so.

    Parameters
    ----------
    path : Path
        Nothing may be there.
    mode : str
        w for text in UTF-8, wb for bytes.
    is_durable : bool
        Whether the content is on the disk at the end.

    Raises
    ------
    OSError
        A byte was not written: at the end at the latest, although the block may have caught the
        error of a write, or never saw it.
    """
    raw = _FirstErrorFile(open(path, "xb", buffering=0))  # noqa: SIM115  # closed as ``file``
    file: IO[Any] = io.BufferedWriter(raw, BUFFERED)
    if "b" not in mode:
        file = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        yield file
        file.flush()
        raw.finish(is_durable=is_durable)
    except BaseException:
        with suppress(OSError):
            file.close()
        raise
    file.close()


@contextmanager
def atomic_write(
    target: Path, mode: str = "w", *, is_name_durable: bool = True
) -> Iterator[IO[Any]]:
    """Open ``target`` for writing so that it appears whole, and durable, at the end.

    Without ``is_name_durable`` a loss of power may take it back to what was there before, never to
    something else: for files of which there are many, and that are made again where they are not.
    """
    with atomic_path(target) as partial, open_new_file(partial, mode, is_durable=True) as file:
        yield file
    if is_name_durable:
        fsync_folder(target.parent)


def replace_if_changed(target: Path, lines: Iterable[str]) -> bool:
    """Write text unless the file already holds it, so that its mtime tells the truth."""
    make = functools.partial(tempfile.NamedTemporaryFile, "w+", encoding="utf-8", newline="")
    with make_temporary(make) as new:
        try:
            new.writelines(lines)
            new.flush()
        except OSError as error:
            if error.filename is not None:  # of where the lines come from
                raise
            with suppress(OSError):
                new.close()  # else it would raise the same again
            raise _temporary_error(error) from error
        with suppress(OSError):
            if filecmp.cmp(new.name, target, shallow=False):
                return False
        new.seek(0)
        with atomic_write(target) as file:
            shutil.copyfileobj(new, file)
    return True


def short_digest(text: str) -> str:
    """16 hex digits of an ASCII text."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def json_lines(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Records as JSON Lines; ASCII only, which carries file names of any bytes."""
    return (json.dumps(record, ensure_ascii=True) + "\n" for record in records)


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read what ``json_lines`` made."""
    with path.open(encoding="ascii") as file:
        while lines := list(islice(file, LINES_AT_ONCE)):
            yield from json.loads(f"[{','.join(lines)}]")  # twice as fast as one by one


def as_record(value: DataclassInstance) -> dict[str, Any]:
    """Fields by name, for tables of many rows: unlike ``asdict`` it does not look into values."""
    names, values_of = _fields_of(type(value))
    return dict(zip(names, values_of(value), strict=True))


@functools.cache
def _fields_of(
    kind: type[DataclassInstance],
) -> tuple[tuple[str, ...], Callable[[object], tuple[Any, ...]]]:
    names = tuple(field.name for field in fields(kind))
    return names, attrgetter(*names)


def fsync(path: Path) -> None:
    """Make a file or folder that was written durable; an error names it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        error.filename = str(path)
        raise


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the file system knows how to."""
    try:
        fsync(folder)
    except OSError as error:
        if error.errno not in NOT_FOR_FOLDERS:
            raise


def make_durable(paths: Iterable[Path]) -> None:
    """Make files that were written durable, and their names in their folders.

    A file system that finds places for bytes later than they are written tells only now that there
    are none, to whoever asks.

    Raises
    ------
    OSError
        Of the first file that is not whole on the disk.
    """
    folders: dict[Path, None] = {}
    for path in paths:
        fsync(path)
        folders[path.parent] = None
    for folder in folders:
        fsync_folder(folder)
