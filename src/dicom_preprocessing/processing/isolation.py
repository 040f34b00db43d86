"""Isolation: files are processed in worker processes, so that a bad file costs only itself.

A codec may crash, hang, or use too much memory. A worker decodes one SOP instance after the other,
and its supervisor knows which of its files is being decoded. When the worker dies or exceeds a
limit, the error is recorded for that file, and a new worker goes on with the other files.

A job with one core that the fork server watches (workflow/fork_server.py) works without a worker.
If it dies or exceeds a limit, the server forks it again, and the second try has a worker.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dicom_preprocessing import processes
from dicom_preprocessing.files import remove_partials_of
from dicom_preprocessing.imaging.frames import frame_threads
from dicom_preprocessing.processes import (
    POLL_SECONDS,
    SharedLimits,
    keep_freed_memory,
    resident_bytes,
)
from dicom_preprocessing.processing.instance import import_libraries_of
from dicom_preprocessing.processing.volume import process_group
from dicom_preprocessing.results.receipts import new_receipt
from dicom_preprocessing.supervision import MIB, WorkerProcess, find_excess, make_crash_error

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection

    from dicom_preprocessing.config import Limits
    from dicom_preprocessing.errors import FileError
    from dicom_preprocessing.index.table import InventoryEntry
    from dicom_preprocessing.processing.instance import OutputSpec
    from dicom_preprocessing.results.receipts import Receipt

T = TypeVar("T")

AHEAD = 4
"""Instances for each worker that must wait before one has two of them: the last ones go to whoever
is free first."""

MAX_AHEAD_BYTES = 4096
"""Of a message to a worker that has an instance already. More might not fit between the two, and
both would wait for the other to read; a stack has hundreds of files."""


@dataclass(slots=True)
class _Instance:
    """The files of one SOP instance, and the errors of those that killed a worker, by path.

    ``spared`` are files whose worker was killed once, and which are tried again.
    """

    candidates: Sequence[InventoryEntry]
    known: dict[str, FileError] = field(default_factory=dict)
    spared: set[str] = field(default_factory=set)

    def pack(self) -> bytes:
        """Return the message with which a worker gets it."""
        return pickle.dumps((self.candidates, self.known))


class _Worker(WorkerProcess):
    """A process that works on one instance at a time, the first of ``instances``."""

    def __init__(self, spec: OutputSpec, limits: Limits, *, threads: int) -> None:
        super().__init__(_run_worker, spec, limits, threads)
        self.spec = spec
        self.instances: deque[_Instance] = deque()
        self.current_file = ""
        self.start_time = 0.0
        self.start_bytes = 0

    def assign(self, instance: _Instance, message: bytes) -> None:
        """Hand over an instance, packed as a message."""
        self.instances.append(instance)
        if len(self.instances) == 1:
            self.set_current_file(instance.candidates[0].path)
        with suppress(OSError):  # a worker that is dead already is seen at its connection
            self.connection.send_bytes(message)

    def finish(self, end_time: float, end_bytes: int) -> None:
        """Go on with the next instance, which the process has begun already, if there is one.

        Time and memory of its first file count from the end of the last one.
        """
        self.instances.popleft()
        if self.instances:
            self.current_file = self.instances[0].candidates[0].path
            self.start_time, self.start_bytes = end_time, end_bytes

    def set_current_file(self, path: str) -> None:
        """Start to count time and memory for a file."""
        self.current_file = path
        self.start_time = time.monotonic()
        self.start_bytes = resident_bytes(self.process.pid)

    def check_limits(self, limits: Limits) -> FileError | None:
        """Return the error of a file that exceeds a limit."""
        return find_excess(limits, self.process.pid, self.start_time, self.start_bytes)

    def kill(self) -> int:
        """Kill the process, remove the image that it was writing, and return its exit code."""
        code = super().kill()
        _remove_partials_of((instance.candidates for instance in self.instances), self.spec)
        return code


def _remove_partials_of(groups: Iterable[Sequence[InventoryEntry]], spec: OutputSpec) -> None:
    """Remove what killed processes left of the images of instances; other files stay."""
    remove_partials_of(
        os.path.join(spec.root, spec.relative_path(new_receipt(entry)))
        for entry in chain.from_iterable(groups)
    )


def process_all(
    groups: Sequence[Sequence[InventoryEntry]], spec: OutputSpec, *, limits: Limits, cores: int = 1
) -> Iterator[list[Receipt]]:
    """Process the files of each SOP instance in worker processes, or in this one if it is watched.

    Parameters
    ----------
    groups : sequence of sequences of InventoryEntry
        Candidates of one instance each.
    spec : OutputSpec
    limits : Limits
        Of each file: seconds, MB of memory, and pixels.
    cores : int
        Worker processes. With fewer instances than cores, each has several threads for its frames.
        A job that is watched takes more cores once they idle beside it.

    Yields
    ------
    list of Receipt
        Of each instance, in any order.

    Raises
    ------
    OSError
        An image could not be written.
    """
    _remove_partials_of(groups, spec)
    find_share: Callable[[], int] | None = None
    if processes.shared_limits is not None and cores == 1:
        begun = 0
        work = _process_in_this_process(groups, spec, limits, processes.shared_limits)
        with closing(work):
            for begun, receipts in enumerate(work, 1):
                yield receipts
                cores = processes.find_share_of_cores()
                if cores > 1 and len(groups) - begun > 1:
                    break
        groups = groups[begun:]
        find_share = processes.find_share_of_cores
    if groups:
        workers = max(1, min(cores, len(groups)))
        import_libraries_of(spec.recipe)  # once for all workers that are forked
        # Processes before threads: threads help only where an instance has several frames, or a
        # large one in JPEG 2000.
        start = partial(_Worker, spec, limits, threads=max(1, cores // workers))
        with _Pool(groups, limits, start, find_share or (lambda: workers)) as pool:
            yield from pool.run()


class _Pool:
    """Workers, and the instances that wait for one.

    Parameters
    ----------
    groups : sequence of sequences of InventoryEntry
        Candidates of one instance each.
    limits : Limits
    start : callable
        Starts a worker.
    find_share : callable
        Says how many workers there may be now.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[InventoryEntry]],
        limits: Limits,
        start: Callable[[], _Worker],
        find_share: Callable[[], int],
    ) -> None:
        self.waiting = deque(map(_Instance, groups))
        self.limits, self.start, self.find_share = limits, start, find_share
        self.selector = selectors.DefaultSelector()
        self.workers: list[_Worker] = []
        self.next_check = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for worker in self.workers:
            worker.kill()
        self.selector.close()

    def run(self) -> Iterator[list[Receipt]]:
        """Yield the receipts of each instance, in any order."""
        while self.waiting or any(worker.instances for worker in self.workers):
            if time.monotonic() >= self.next_check:
                self.stop_excess()
                self.adjust()
                self.next_check = time.monotonic() + POLL_SECONDS
            while self.assign_next():
                pass
            for key, _ in self.selector.select(POLL_SECONDS):
                receipts = self.receive(key.data)
                if receipts is not None:
                    yield receipts

    def adjust(self) -> None:
        """Start workers as there may be, or let some go that have nothing to do."""
        most = min(self.find_share(), len(self.waiting) + self.count_busy())
        while len(self.workers) < most:
            worker = self.start()
            self.workers.append(worker)
            self.selector.register(worker.connection, selectors.EVENT_READ, worker)
        for worker in self.workers[most:]:
            if not worker.instances:
                self.end(worker)

    def count_busy(self) -> int:
        """Count the workers that work."""
        return sum(bool(worker.instances) for worker in self.workers)

    def assign_next(self) -> bool:
        """Hand the next instance to a worker, if one may have it.

        While many wait, a worker has two, so that it never waits for the second one.
        """
        workers = self.workers[: self.find_share()]
        if not self.waiting or not workers:
            return False
        worker = min(workers, key=lambda worker: len(worker.instances))
        has_many = len(self.waiting) > AHEAD * len(workers)
        if len(worker.instances) > int(has_many):
            return False
        message = self.waiting[0].pack()
        if worker.instances and len(message) > MAX_AHEAD_BYTES:
            return False
        worker.assign(self.waiting.popleft(), message)
        return True

    def receive(self, worker: _Worker) -> list[Receipt] | None:
        """Take a message of a worker; return the receipts of an instance if it is done."""
        # A path: the next candidate. A tuple: the receipts, and when and with what memory the
        # instance was done. An error: the job ends. Nothing: the worker died.
        message = _receive(worker)
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, str):
            worker.set_current_file(message)
            return None
        if message is None:
            self.replace(worker, None)
            return None
        receipts: list[Receipt]
        receipts, end_time, end_bytes = message
        worker.finish(end_time, end_bytes)
        return receipts

    def stop_excess(self) -> None:
        """Replace workers whose file exceeds a limit."""
        for worker in [worker for worker in self.workers if worker.instances]:
            error = worker.check_limits(self.limits)
            if error is not None:
                self.replace(worker, error)

    def replace(self, worker: _Worker, error: FileError | None) -> None:
        """End a worker that exceeds a limit, or died; what it had waits again."""
        code = self.end(worker)
        if worker.instances:
            if error is None and not _spare_file(worker, code):
                error = make_crash_error(code, "decoded")
            if error is not None:
                _record_error(worker.instances[0], worker.current_file, error)
        # All of the instance once more: its image may still come from another candidate.
        self.waiting.extendleft(reversed(worker.instances))
        self.next_check = 0.0  # for another worker at once

    def end(self, worker: _Worker) -> int:
        """End a worker, and return its exit code."""
        self.selector.unregister(worker.connection)
        self.workers.remove(worker)
        return worker.kill()


def call_isolated(function: Callable[..., T], *arguments: Any, limits: Limits) -> T:  # noqa: ANN401
    """Call a function in a process of its own, which is killed when it exceeds a limit.

    Raises
    ------
    CodecCrashError, LimitTimeError, LimitMemoryError
        The process died, or was killed.
    Exception
        Whatever the function raised.
    """
    worker = WorkerProcess(_call_and_send, function, arguments)
    pid = worker.process.pid
    start_time, start_bytes = time.monotonic(), resident_bytes(pid)
    try:
        while not worker.connection.poll(POLL_SECONDS):
            error = find_excess(limits, pid, start_time, start_bytes)
            if error is not None:
                raise error
        try:
            returned, raised = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            raise make_crash_error(worker.process.exitcode or 0, "decoded") from None
    finally:
        worker.kill()
    if raised is not None:
        raise raised
    value: T = returned
    return value


def _call_and_send(
    sender: Connection, function: Callable[..., object], arguments: Sequence[Any]
) -> None:
    """In the process: call the function and send what it returns, or raises."""
    answer: tuple[object, Exception | None]
    try:
        answer = function(*arguments), None
    except Exception as error:  # noqa: BLE001  # the parent raises it
        answer = None, error
    sender.send(answer)


def _process_in_this_process(
    groups: Sequence[Sequence[InventoryEntry]],
    spec: OutputSpec,
    limits: Limits,
    shared_limits: SharedLimits,
) -> Generator[list[Receipt]]:
    """Process all in this process, each file within limits that the fork server checks."""

    def bound(_path: str = "") -> None:
        shared_limits.bound(limits.seconds, limits.memory_mb * MIB)

    try:
        for candidates in groups:
            bound()
            yield process_group(candidates, spec, limits=limits, on_start=bound)
    finally:
        shared_limits.release()


def _receive(worker: _Worker) -> Any:  # noqa: ANN401  # a path, receipts, an error, None
    """Receive a message, or None from a worker that died."""
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        return None


def _spare_file(worker: _Worker, code: int) -> bool:
    """Whether the file of a dead worker is tried again: once, if something else killed it."""
    # No codec ends with SIGKILL: the system did it because memory ran out, maybe that of another
    # process, or somebody by hand. A shard has no index that would have the file tried again.
    culprit = worker.current_file
    if code != -signal.SIGKILL or not worker.instances or culprit in worker.instances[0].spared:
        return False
    worker.instances[0].spared.add(culprit)
    return True


def _record_error(instance: _Instance, culprit: str, error: FileError) -> None:
    """Record the error for the file of an instance that killed its worker."""
    # This file was not tried again, so something else kills the worker: give up the instance, which
    # would else be begun for ever.
    if culprit in instance.known:
        instance.known |= {entry.path: error for entry in instance.candidates}
    instance.known[culprit] = error


def _run_worker(supervisor: Connection, spec: OutputSpec, limits: Limits, threads: int) -> None:
    """Process instances until the supervisor closes the connection."""
    keep_freed_memory()
    with suppress(EOFError, BrokenPipeError), frame_threads(threads):
        while True:
            candidates, known = supervisor.recv()
            first = candidates[0].path  # the supervisor takes it for the current file already

            def send_current_file(path: str, first: str = first) -> None:
                if path != first:
                    supervisor.send(path)

            try:
                receipts = process_group(
                    candidates, spec, limits=limits, known=known, on_start=send_current_file
                )
            except OSError as error:  # an image that cannot be written ends the job
                supervisor.send(error)
            else:
                supervisor.send((receipts, time.monotonic(), resident_bytes(os.getpid())))
