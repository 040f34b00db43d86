"""Small helpers for files that appear whole, and for their records."""

from __future__ import annotations

import filecmp
import functools
import hashlib
import heapq
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

    from _typeshed import DataclassInstance


LINES_AT_ONCE = 500

HELD = 50_000
"""Items that ``SortedOnDisk`` holds in memory."""

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
        done += os.pwrite(descriptor, content[done:], offset + done)


T = TypeVar("T")


class SortedOnDisk(Generic[T]):
    """Any number of items, given back in order; all but ``held`` of them wait in temporary files.

    Items must be picklable. TMPDIR tells where the files are; they have no name, so that nothing
    is left of a killed job. Items of equal ``key`` stay in the order in which they came.
    """

    def __init__(self, key: Callable[[T], Any], held: int = HELD) -> None:
        self._key = key
        self._most = held
        self._number = 0
        self._held: list[T] = []
        self._runs: list[IO[bytes]] = []

    def __del__(self) -> None:
        for run in self._runs:
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
        run = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as this object
        items = iter(self._held)
        while some := list(islice(items, LINES_AT_ONCE)):
            pickle.dump(some, run, pickle.HIGHEST_PROTOCOL)
        self._runs.append(run)
        self._held = []

    @staticmethod
    def _read(run: IO[bytes]) -> Iterator[T]:
        run.seek(0)
        with suppress(EOFError):
            while True:
                yield from pickle.load(run)  # noqa: S301  # this process wrote it


def path_key(path: str) -> bytes:
    """Sort key of path order, which is byte order."""
    return os.fsencode(path)


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
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


def remove_partials(folder: Path) -> None:
    """Remove what killed jobs left under the names of ``appearing``."""
    if folder.is_dir():
        for path in folder.iterdir():
            if PARTIAL.fullmatch(path.name):
                path.unlink(missing_ok=True)


@contextmanager
def replacing(target: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open ``target`` for writing so that it appears whole, and durable, at the end."""
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    with appearing(target) as partial, open(partial, mode, **text) as file:  # type: ignore[call-overload]
        yield file
        file.flush()
        os.fsync(file.fileno())


def replace_if_changed(target: Path, lines: Iterable[str]) -> bool:
    """Write text unless the file already holds it, so that its mtime tells the truth."""
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8", newline="") as new:
        new.writelines(lines)
        new.flush()
        with suppress(OSError):
            if filecmp.cmp(new.name, target, shallow=False):
                return False
        new.seek(0)
        with replacing(target) as file:
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
    """Make a file or folder that was written durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
