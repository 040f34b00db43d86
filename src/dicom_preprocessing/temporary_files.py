"""Temporary files: items in sorted order that do not fit in memory, and errors that name TMPDIR."""

from __future__ import annotations

import errno
import heapq
import os
import pickle
import tempfile
from contextlib import suppress
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ITEMS_PER_CHUNK = 500
"""Items that are read or written at once."""

ITEMS_IN_MEMORY = 50_000
"""Items that ``SortedOnDisk`` holds in memory."""

T = TypeVar("T")


class SortedOnDisk(Generic[T]):
    """Any number of items in sorted order, of which ``held`` are in memory, others on disk.

    Items must be picklable, and those with equal ``key`` keep their order. The temporary files are
    in TMPDIR and have no name, so that nothing is left of a killed job. Every error of theirs is an
    OSError that names their folder.
    """

    def __init__(self, key: Callable[[T], Any], held: int = ITEMS_IN_MEMORY) -> None:
        self._key = key
        self._max_held = held
        self._count = 0
        self._held: list[T] = []
        self._runs: list[tuple[IO[bytes], int]] = []

    def __del__(self) -> None:
        for run, _ in self._runs:
            with suppress(OSError):  # nobody reads it any more
                run.close()

    def append(self, item: T) -> None:
        """Add an item."""
        self._held.append(item)
        self._count += 1
        if len(self._held) >= self._max_held:
            self._spill()

    def extend(self, items: Iterable[T]) -> None:
        """Add items."""
        for item in items:
            self.append(item)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        """Yield the items in order; any number of times, but one iteration at a time."""
        self._held.sort(key=self._key)
        yield from heapq.merge(*map(self._read, self._runs), self._held, key=self._key)

    def _spill(self) -> None:
        """Write the items in memory to a file, sorted."""
        self._held.sort(key=self._key)
        run = make_temporary(tempfile.TemporaryFile)
        items, chunks = iter(self._held), 0
        try:
            while chunk := list(islice(items, ITEMS_PER_CHUNK)):
                pickle.dump(chunk, run, pickle.HIGHEST_PROTOCOL)
                chunks += 1
            run.flush()  # else an error would be raised only when the items are read
        except OSError as error:
            with suppress(OSError):
                run.close()
            raise make_temporary_error(error) from error
        self._runs.append((run, chunks))
        self._held = []

    @staticmethod
    def _read(run_and_chunks: tuple[IO[bytes], int]) -> Iterator[T]:
        """Yield the items of a file."""
        run, chunks = run_and_chunks
        run.seek(0)
        # By their number: at the end of a cut file pickle raises the same error as at any other.
        for _ in range(chunks):
            try:
                chunk = pickle.load(run)  # noqa: S301  # this process wrote it
            except OSError as error:
                raise make_temporary_error(error) from error
            except MemoryError:
                raise
            except Exception as error:  # pickle raises nearly anything on bad bytes
                raise make_temporary_error() from error
            yield from chunk


def find_tmpdir_problem() -> str | None:
    """Why temporary files do not go where TMPDIR says, None if they do."""
    named = os.environ.get("TMPDIR")
    try:
        used = tempfile.gettempdir()
    except FileNotFoundError:
        return None  # there is none at all, which ``make_temporary`` explains
    if not named or os.path.abspath(named) == used:
        return None
    return f"TMPDIR {named} is not a folder that can be written to; {used} is used instead"


def make_temporary(make: Callable[[], T]) -> T:
    """Make a temporary file or folder.

    Raises
    ------
    OSError
        It names the folder, or says that there is none, and that TMPDIR sets it.
    """
    try:
        return make()
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            raise make_temporary_error(error) from error
        problem = error.strerror or str(error)  # no folder that tempfile tries can be written to
        raise OSError(
            f"{problem}. What to do: free space there, or set TMPDIR to another folder, then run "
            "again"
        ) from error


def make_temporary_error(error: OSError | None = None) -> OSError:
    """Make the error of a file in the temporary folder, by default that it was cut or changed."""
    code, problem = errno.EIO, "a file came back cut or damaged"
    if error is not None:
        code, problem = error.errno or code, error.strerror or str(error)
    problem = f"{problem}, in the folder for temporary files (set by TMPDIR)"
    return OSError(code, problem, tempfile.gettempdir())
