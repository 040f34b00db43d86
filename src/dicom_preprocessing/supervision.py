"""Calls in worker processes: one that kills its process, hangs or eats memory costs one item."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import selectors
import signal
import sys
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Self, TypeVar

from dicom_preprocessing.errors import CodecCrashError, LimitMemoryError, LimitTimeError
from dicom_preprocessing.processes import (
    END_SECONDS,
    ENDING,
    POLL_SECONDS,
    die_with_parent,
    resident_bytes,
)
from dicom_preprocessing.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from dicom_preprocessing.config import Limits
    from dicom_preprocessing.errors import FileError

T = TypeVar("T")
R = TypeVar("R")

MIB: Final = 1 << 20

# A fork has everything imported. On macOS system libraries may crash in one.
IS_MACOS: Final = sys.platform == "darwin"
CONTEXT: Any = multiprocessing.get_context("spawn" if IS_MACOS else "fork")

FLUSH_SECONDS: Final = 1.0
"""Seconds after which a worker hands over what it has: else it were lost with the worker."""

YIELDS_PER_LOOK: Final = 8
"""Results that are used between two looks at workers, which may wait for work."""


def find_excess(
    limits: Limits, pid: int | None, start_time: float, start_bytes: int
) -> FileError | None:
    """Return the error of a file that exceeds a limit, by time and memory when it was begun."""
    if time.monotonic() - start_time > limits.seconds:
        return LimitTimeError(
            f"not done after {plural(limits.seconds, 'second')}, which is what limits allow"
        )
    if resident_bytes(pid) - start_bytes > limits.memory_mb * MIB:
        return LimitMemoryError(
            f"needs more than {limits.memory_mb} MB, which is what limits allow"
        )
    return None


def make_crash_error(code: int, work: str) -> FileError:
    """Return the error of a file whose worker ended with an exit code, negative for a signal.

    ``work`` says what the process did.
    """
    name = f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
    return CodecCrashError(f"the process that {work} it ended with {name}")


class WorkerProcess:
    """A process at the other end of a connection.

    Parameters
    ----------
    target : callable
        What the process does; gets the other end, and the arguments.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401
        self.connection, worker_end = CONTEXT.Pipe()
        self.process: BaseProcess = CONTEXT.Process(
            target=_run,
            args=(target, worker_end, *arguments),
            kwargs={"parent": os.getpid()},
            daemon=True,
        )
        with _blocking_signals():
            self.process.start()
        worker_end.close()  # else the death of the worker would not end the connection

    def kill(self) -> int:
        """Kill the process and return its exit code."""
        self.connection.close()
        self.process.kill()
        self.process.join(END_SECONDS)
        if self.process.is_alive():
            _leave_behind(self.process)
        return self.process.exitcode or 0


def _leave_behind(process: BaseProcess) -> None:
    """Have this process end although a worker does not, which waits for a dead file system.

    Some calls of the system cannot be interrupted, not even by SIGKILL: the process ends when the
    call does. ``multiprocessing`` would wait for that at the end of this process.
    """
    children: set[BaseProcess] = getattr(multiprocessing.process, "_children", set())
    children.discard(process)


@contextmanager
def _blocking_signals() -> Iterator[None]:
    """Let a process start before a signal is handled, which its parent's handler would else do."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(target: Callable[..., None], *arguments: Any, parent: int) -> None:  # noqa: ANN401
    """In the process: work until its parent ends it."""
    die_with_parent(parent)
    # Ctrl-C goes to the whole process group; the supervisor kills its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    target(*arguments)


class _Task(NamedTuple):
    """Items for a worker, and the number of the first of them."""

    start: int
    items: Sequence[Any]


class _Worker(WorkerProcess):
    """A process that calls the function for the items of one task at a time.

    ``progress`` is memory that it shares: the item of the task that it is at, and since when, by
    the clock of the system; 0 while it is at none.
    """

    def __init__(self, function: Callable[[Any], object]) -> None:
        self.progress = CONTEXT.RawArray("d", 2)
        super().__init__(_serve, self.progress, function)
        self.start_bytes = resident_bytes(self.process.pid)
        self.task = _Task(0, ())
        self.done = 0

    def assign(self, task: _Task) -> None:
        """Hand over a task; only to a worker that waits, so that this never blocks."""
        self.task, self.done = task, 0
        with suppress(OSError):  # a worker that is dead already is seen at its connection
            self.connection.send(task.items)

    def find_excess(self, limits: Limits) -> FileError | None:
        """Return the error of the current item, if it exceeds a limit."""
        start_time = self.progress[1]
        if not start_time:
            return None
        return find_excess(limits, self.process.pid, start_time, self.start_bytes)

    def find_culprit(self) -> int:
        """Return the position in the task of the item at which the worker was stopped."""
        return max(self.done, int(self.progress[0])) if self.progress[1] else self.done


class IsolatedCalls(Generic[T, R]):
    """Calls of a function in worker processes, which start when there is something to do.

    Parameters
    ----------
    function : callable
        Of an item; raises nothing but what is to end its process.
    limits : Limits or None
        Seconds and MB of memory of an item; None: any.
    workers : int
        Processes.
    chunk : int
        Items that a worker gets at a time.
    work : str
        What the function does to a file, in the past tense, for messages.
    on_kill : callable, optional
        Called with each item that a worker had, and that was not done, when that has ended.
    """

    def __init__(
        self,
        function: Callable[[T], R],
        *,
        limits: Limits | None,
        workers: int,
        chunk: int,
        work: str,
        on_kill: Callable[[T], object] = lambda _: None,
    ) -> None:
        self._function, self._limits = function, limits
        self._count, self._chunk, self._work = workers, chunk, work
        self._on_kill = on_kill
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._waiting: deque[_Task] = deque()
        self._results: dict[int, R | FileError] = {}
        self._selector = selectors.DefaultSelector()
        self._next_check = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        workers = (*self._busy, *self._idle)
        for worker in workers:
            worker.process.kill()  # all, before the first that takes time to end is waited for
        for worker in workers:
            self._kill(worker)
        self._selector.close()

    def _kill(self, worker: _Worker) -> int:
        """Kill a worker, give up its items, and return its exit code."""
        code = worker.kill()
        for item in worker.task.items[worker.done :]:
            self._on_kill(item)
        return code

    def map(self, items: Sequence[T]) -> Iterator[R | FileError]:
        """Yield what the function returns for each item, or the error of one that was stopped.

        One call at a time: its results are to be used up before the next.
        """
        starts = range(0, len(items), self._chunk)
        self._waiting = deque(_Task(s, items[s : s + self._chunk]) for s in starts)
        for number in range(len(items)):
            if number % YIELDS_PER_LOOK == 0:
                self._look(0)
            while number not in self._results:
                self._look(POLL_SECONDS)
            yield self._results.pop(number)

    def _look(self, timeout: float) -> None:
        """Hand out tasks, take results, and stop workers that exceed a limit."""
        while self._waiting and (self._idle or len(self._busy) < self._count):
            worker = self._idle.pop() if self._idle else self._start()
            self._busy.add(worker)
            worker.assign(self._waiting.popleft())
        for key, _ in self._selector.select(timeout):
            self._receive(key.data)
        now = time.monotonic()
        if self._limits is not None and now >= self._next_check:
            self._next_check = now + POLL_SECONDS
            for worker in list(self._busy):
                error = worker.find_excess(self._limits)
                if error is not None:
                    self._stop(worker, error)

    def _start(self) -> _Worker:
        worker = _Worker(self._function)
        self._selector.register(worker.connection, selectors.EVENT_READ, worker)
        return worker

    def _receive(self, worker: _Worker) -> None:
        """Take the results of a worker, or record that it died."""
        try:
            results = worker.connection.recv()
        except (EOFError, OSError):
            self._stop(worker, None)
            return
        first = worker.task.start + worker.done
        self._results.update(enumerate(results, first))
        worker.done += len(results)
        if worker.done == len(worker.task.items):
            self._busy.remove(worker)
            self._idle.append(worker)

    def _stop(self, worker: _Worker, error: FileError | None) -> None:
        """Record the error of a worker's current item, or that it died; others go on."""
        self._selector.unregister(worker.connection)
        code = self._kill(worker)
        if worker not in self._busy:
            self._idle.remove(worker)
            return
        self._busy.remove(worker)
        (start, items), culprit = worker.task, worker.find_culprit()
        self._results[start + culprit] = error or make_crash_error(code, self._work)
        # Results that it did not hand over are made again.
        parts = ((worker.done, culprit), (culprit + 1, len(items)))
        tasks = [_Task(start + a, items[a:b]) for a, b in parts if a < b]
        self._waiting.extendleft(reversed(tasks))


def _serve(
    supervisor: Connection,
    progress: Any,  # noqa: ANN401  # an array of ctypes
    function: Callable[[Any], object],
) -> None:
    """Call the function for the items of each task, until the supervisor ends the connection."""
    with suppress(EOFError, BrokenPipeError):
        while True:
            items = supervisor.recv()
            results: list[object] = []
            sent = now = time.monotonic()
            for position, item in enumerate(items):
                if now - sent > FLUSH_SECONDS:
                    progress[1] = 0
                    supervisor.send(results)
                    sent, results = now, []
                progress[0], progress[1] = position, now
                results.append(function(item))
                now = time.monotonic()
            progress[1] = 0
            supervisor.send(results)
