"""Isolation: files are processed in worker processes, so that a bad file costs only itself.

A codec may crash, hang, or use too much memory. The supervisor gives a worker one SOP instance at a
time and knows which of its files is being decoded. When the worker dies or exceeds a limit, the
error is recorded for that file, and a new worker goes on with the other files.

A job with one core that the fork server watches (workflow/fork_server.py) works without a worker.
If it dies or exceeds a limit, the server forks it again, and the second try has a worker.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, TypeVar

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

    from dicom_preprocessing.config import Limits
    from dicom_preprocessing.errors import FileError
    from dicom_preprocessing.index.table import InventoryEntry
    from dicom_preprocessing.processing.instance import OutputSpec
    from dicom_preprocessing.results.receipts import Receipt

T = TypeVar("T")


@dataclass(slots=True)
class _Instance:
    """The files of one SOP instance, and the errors of those that killed a worker, by path.

    ``spared`` are files whose worker was killed once, and which are tried again.
    """

    candidates: Sequence[InventoryEntry]
    known: dict[str, FileError] = field(default_factory=dict)
    spared: set[str] = field(default_factory=set)


class _Worker(WorkerProcess):
    """A process that works on one instance at a time."""

    def __init__(self, spec: OutputSpec, limits: Limits, *, threads: int) -> None:
        super().__init__(_run_worker, spec, limits, threads)
        self.spec = spec
        self.instance: _Instance | None = None
        self.current_file = ""
        self.start_time = 0.0
        self.start_bytes = 0

    def assign(self, instance: _Instance) -> None:
        """Start work on an instance."""
        self.instance = instance
        self.set_current_file(instance.candidates[0].path)
        with suppress(OSError):  # a worker that is dead already is seen at its connection
            self.connection.send((instance.candidates, instance.known))

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
        if self.instance is not None:
            _remove_partials_of([self.instance.candidates], self.spec)
        return code


def _remove_partials_of(groups: Iterable[Sequence[InventoryEntry]], spec: OutputSpec) -> None:
    """Remove what killed processes left of the images of instances; other files stay."""
    remove_partials_of(
        spec.root / spec.relative_path(new_receipt(entry)) for entry in chain.from_iterable(groups)
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
    if groups:
        yield from _process_in_workers(groups, spec, limits, cores)


def _process_in_workers(
    groups: Sequence[Sequence[InventoryEntry]], spec: OutputSpec, limits: Limits, cores: int
) -> Iterator[list[Receipt]]:
    """Process the files of each SOP instance in worker processes, as ``process_all`` says."""
    waiting = deque(map(_Instance, groups))
    # Processes before threads: threads help only where an instance has several frames, or a large
    # one in JPEG 2000.
    workers = max(1, min(cores, len(waiting)))
    import_libraries_of(spec.recipe)  # once for all workers that are forked
    start = partial(_Worker, spec, limits, threads=cores // workers)
    idle = [start() for _ in range(workers)]
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and idle:
                worker = idle.pop()
                worker.assign(waiting.popleft())
                busy.append(worker)
            ready = connection.wait([w.connection for w in busy], timeout=POLL_SECONDS)
            for worker in list(busy):
                error: FileError | None = None
                if worker.connection in ready:
                    # A path: the next candidate. A list: the receipts of the instance. An error:
                    # the job ends. Nothing: the worker died.
                    message = _receive(worker)
                    if isinstance(message, str):
                        worker.set_current_file(message)
                        continue
                    if isinstance(message, list):
                        worker.instance = None
                        busy.remove(worker)
                        idle.append(worker)
                        yield message
                        continue
                    if isinstance(message, BaseException):
                        raise message
                    code = worker.kill()
                    spared = _spare_file(worker, code)
                    error = None if spared else make_crash_error(code, "decoded")
                else:
                    error = worker.check_limits(limits)
                    if error is None:
                        continue
                    worker.kill()
                busy.remove(worker)
                # All of the instance once more: its image may still come from another candidate.
                waiting.appendleft(_take_back_instance(worker, error))
                idle.append(start())
    finally:
        for worker in (*busy, *idle):
            worker.kill()


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
    sender: connection.Connection, function: Callable[..., object], arguments: Sequence[Any]
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
    instance, culprit = worker.instance, worker.current_file
    if code != -signal.SIGKILL or instance is None or culprit in instance.spared:
        return False
    instance.spared.add(culprit)
    return True


def _take_back_instance(worker: _Worker, error: FileError | None) -> _Instance:
    """Return the instance, with the error recorded for the file that killed its worker."""
    instance = worker.instance
    if instance is None:
        raise AssertionError("a worker without work ended")
    culprit = worker.current_file
    if error is None:
        return instance
    # This file was not tried again, so something else kills the worker: give up the instance, which
    # would else be begun for ever.
    if culprit in instance.known:
        instance.known |= {entry.path: error for entry in instance.candidates}
    instance.known[culprit] = error
    return instance


def _run_worker(
    supervisor: connection.Connection, spec: OutputSpec, limits: Limits, threads: int
) -> None:
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
                supervisor.send(receipts)
