"""Work on many files, of which none ends the work on the others."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dicom_preprocessing.errors import FileError, InternalError, OutputError
from dicom_preprocessing.supervision import IsolatedCalls
from dicom_preprocessing.text import explain_error

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

T = TypeVar("T")

OF_ONE_FILE = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP)
"""Errors of the system that another file, with another name, may not have."""

MAX_CHUNK, TASKS_PER_JOB = 8, 16
"""Items that a process gets at a time, and tasks of each by which the last ones end together.

Else processes wait for one another on a machine with other work: 600 small files took tiff-stats
twice as long.
"""


def map_in_processes(
    function: Callable[[Any], T],
    items: Sequence[Any],
    jobs: int,
    on_kill: Callable[[Any], object] = lambda _: None,
) -> Generator[T | OutputError]:
    """Yield ``function`` of each item, or the error that it raised, in order.

    The processes end when the iterator is closed, or raises. ``on_kill`` is called with each item
    whose process was killed before it was done, here and when that has ended.
    """
    if jobs == 1 or len(items) <= 1:
        yield from map(partial(try_call, function), items)
        return

    def start(workers: int) -> IsolatedCalls[Any, _Outcome]:
        return IsolatedCalls(
            partial(_try_in_process, function),
            limits=None,
            workers=workers,
            chunk=max(1, min(MAX_CHUNK, len(items) // (TASKS_PER_JOB * workers))),
            work="worked on",
            on_kill=on_kill,
        )

    done = 0
    while done < len(items):
        with start(min(jobs, len(items) - done)) as calls:
            for outcome in calls.map(items[done:]):
                if isinstance(outcome, FileError):
                    break
                done += 1
                yield _take(outcome)
            else:
                return
        # Memory may have run out because of the other processes: once more, alone.
        item = items[done]
        with start(1) as calls:
            (outcome,) = calls.map([item])
        done += 1
        yield _make_error(item, outcome) if isinstance(outcome, FileError) else _take(outcome)


_Outcome = tuple[Any, OSError | None]
"""What a function returned, or the error for which all work ends."""


def _try_in_process(function: Callable[[Any], T], item: Any) -> _Outcome:  # noqa: ANN401
    """As ``try_call``, but raise nothing."""
    try:
        return try_call(function, item), None
    except OSError as error:
        return None, error


def _take(outcome: _Outcome) -> Any:  # noqa: ANN401  # what the function returns
    value, error = outcome
    if error is not None:
        raise error
    return value


def try_call(function: Callable[[Any], T], item: Any) -> T | OutputError:  # noqa: ANN401
    """Return ``function`` of an item, or an error of the item for whatever it raised.

    Raises
    ------
    OSError
        The output cannot be written, whatever the item.
    """
    try:
        return function(item)
    except OutputError as error:
        return error
    except MemoryError:
        return _make_error(item, "there is not enough memory for it")
    except OSError as error:
        if error.errno not in OF_ONE_FILE:
            raise
        return _make_error(item, explain_error(error))
    except Exception as error:  # noqa: BLE001  # a file must not end the work on all others
        return _make_error(item, InternalError.from_exception(error))


def _make_error(item: object, problem: object) -> OutputError:
    return OutputError(f"{item}: {problem}")
