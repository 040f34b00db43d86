"""Work on many files, of which none ends the work on the others."""

from __future__ import annotations

import errno
import os
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dicom_preprocessing.errors import InternalError, OutputError
from dicom_preprocessing.processes import die_with_parent
from dicom_preprocessing.text import explain_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

OF_ONE_FILE = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP)
"""Errors of the system that another file, with another name, may not have."""


def map_in_processes(
    function: Callable[[Any], T], items: Sequence[Any], jobs: int
) -> Iterator[T | OutputError]:
    """Yield ``function`` of each item, or the error that it raised, in order."""
    work = partial(try_call, function)
    if jobs == 1 or len(items) <= 1:
        yield from map(work, items)
        return
    waiting, processes = deque(items), jobs
    while waiting:
        with _start_pool(min(processes, len(waiting))) as pool:
            try:
                for future in [pool.submit(work, item) for item in waiting]:
                    yield future.result()
                    waiting.popleft()
            except BrokenProcessPool:
                # Which of the files under work killed its process shows when each is alone.
                if processes == 1:
                    yield _make_error(waiting.popleft(), "the process that worked on it died")
                processes = jobs if processes == 1 else 1
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _start_pool(processes: int) -> ProcessPoolExecutor:
    """Start processes that end with this one, however it ends."""
    return ProcessPoolExecutor(processes, initializer=die_with_parent, initargs=(os.getpid(),))


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
