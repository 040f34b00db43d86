"""Isolation: files are processed in worker processes that a bad one cannot take along.

A codec that crashes, hangs or eats memory costs the file it was at. The supervisor hands a worker
one SOP instance at a time and knows which file it is at; when a worker dies or goes beyond a limit,
that file is recorded, and the instance's other files and the rest go on in a new worker.

A job with one core, watched by the server that forked it (workflow/fork_server.py), does the work
without a worker: if it dies or goes beyond a limit, the server forks it again, and then it works
with one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, TypeVar

from dicom_preprocessing import processes
from dicom_preprocessing.errors import CodecCrashError, LimitMemoryError, LimitTimeError
from dicom_preprocessing.files import remove_partials
from dicom_preprocessing.imaging.frames import frame_threads
from dicom_preprocessing.processes import (
    POLL_SECONDS,
    SharedLimits,
    die_with_parent,
    keep_freed_memory,
    resident_bytes,
)
from dicom_preprocessing.processing.instance import import_libraries_of, process_instance
from dicom_preprocessing.results.receipts import new_receipt
from dicom_preprocessing.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.process import BaseProcess

    from dicom_preprocessing.config import Limits
    from dicom_preprocessing.errors import FileError
    from dicom_preprocessing.index.table import InventoryEntry
    from dicom_preprocessing.processing.instance import OutputSpec
    from dicom_preprocessing.results.receipts import Receipt

T = TypeVar("T")

MIB = 1 << 20

# Forking keeps what is imported; macOS does not allow it with its libraries.
IS_MACOS = sys.platform == "darwin"
CONTEXT: Any = multiprocessing.get_context("spawn" if IS_MACOS else "fork")


@dataclass(slots=True)
class _Instance:
    """The files of one SOP instance, and what is known of those that killed a worker."""

    candidates: Sequence[InventoryEntry]
    known: dict[str, FileError] = field(default_factory=dict)


class _Worker:
    """A process that works on one instance at a time."""

    def __init__(self, spec: OutputSpec, limits: Limits, *, threads: int) -> None:
        self.connection, theirs = CONTEXT.Pipe()
        self.process: BaseProcess = CONTEXT.Process(
            target=_run_worker, args=(theirs, spec, limits, threads, os.getpid()), daemon=True
        )
        self.process.start()
        theirs.close()
        self.spec = spec
        self.instance: _Instance | None = None
        self.at = ""
        self.since = 0.0
        self.base = 0

    def assign(self, instance: _Instance) -> None:
        """Start work on an instance."""
        self.instance = instance
        self.set_current_file(instance.candidates[0].path)
        with suppress(OSError):  # a worker that is dead already is seen at its connection
            self.connection.send((instance.candidates, instance.known))

    def set_current_file(self, path: str) -> None:
        """The worker is at a file now."""
        self.at = path
        self.since = time.monotonic()
        self.base = resident_bytes(self.process.pid)

    def check_limits(self, limits: Limits) -> FileError | None:
        """The error of a file that goes beyond a limit."""
        return _check_limits(limits, self.process, self.since, self.base)

    def kill(self) -> int:
        """Kill the process and give its exit code.

        No error of the disk is raised, which would hide the one for which workers are ended. What
        cannot be removed has a hidden name, and the next job of the study removes it.
        """
        self.connection.close()
        self.process.kill()
        self.process.join()
        with suppress(OSError):
            self._remove_partials()
        return self.process.exitcode or 0

    def _remove_partials(self) -> None:
        """Remove the image of which the process was killed."""
        candidates = self.instance.candidates if self.instance is not None else ()
        for image in {self.spec.relative_path(new_receipt(entry)) for entry in candidates}:
            path = self.spec.root / image
            remove_partials(path.parent, path.name)


def process_all(
    groups: Sequence[Sequence[InventoryEntry]], spec: OutputSpec, *, limits: Limits, cores: int = 1
) -> Iterator[list[Receipt]]:
    """Process the files of each SOP instance in worker processes, or here under watch.

    Parameters
    ----------
    groups : sequence of sequences of InventoryEntry
        Candidates of one instance each.
    spec : OutputSpec
    limits : Limits
        Seconds and memory that a file may cost; pixels are looked at by ``process_instance``.
    cores : int
        Processes, if there are as many instances; else each has several threads for frames.

    Yields
    ------
    list of Receipt
        Of each instance, in no certain order.

    Raises
    ------
    OSError
        An image could not be written.
    """
    if processes.shared_limits is not None and cores == 1:
        yield from _process_in_this_process(groups, spec, limits, processes.shared_limits)
        return
    waiting = deque(map(_Instance, groups))
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
                    error = _crash(worker.kill())
                else:
                    error = worker.check_limits(limits)
                    if error is None:
                        continue
                    worker.kill()
                busy.remove(worker)
                waiting.appendleft(_record_culprit(worker, error))
                idle.append(start())
    finally:
        for worker in (*busy, *idle):
            worker.kill()


def call_isolated(function: Callable[..., T], *arguments: Any, limits: Limits) -> T:  # noqa: ANN401
    """Call a function in a process of its own, which is killed when it goes beyond a limit.

    Raises
    ------
    CodecCrashError, LimitTimeError, LimitMemoryError
        The process died, or was killed.
    Exception
        What the function raised.
    """
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process: BaseProcess = CONTEXT.Process(
        target=_call_and_send, args=(theirs, function, arguments, os.getpid()), daemon=True
    )
    process.start()
    theirs.close()
    since, base = time.monotonic(), resident_bytes(process.pid or 0)
    try:
        while not ours.poll(POLL_SECONDS):
            error = _check_limits(limits, process, since, base)
            if error is not None:
                raise error
        try:
            returned, raised = ours.recv()
        except EOFError:
            process.join()
            raise _crash(process.exitcode or 0) from None
    finally:
        ours.close()
        process.kill()
        process.join()
    if raised is not None:
        raise raised
    value: T = returned
    return value


def _call_and_send(
    asker: connection.Connection,
    function: Callable[..., object],
    arguments: Sequence[Any],
    parent: int,
) -> None:
    """In the process: what the function returns, and what it raises."""
    die_with_parent(parent)
    answer: tuple[object, Exception | None]
    try:
        answer = function(*arguments), None
    except Exception as error:  # noqa: BLE001  # raised again by the asker
        answer = None, error
    asker.send(answer)


def _check_limits(
    limits: Limits, process: BaseProcess, since: float, base: int
) -> FileError | None:
    """The error of a file that goes beyond a limit: seconds from a time, memory above a base."""
    if time.monotonic() - since > limits.seconds:
        return LimitTimeError(
            f"not done after {plural(limits.seconds, 'second')}, which is what limits allow"
        )
    if resident_bytes(process.pid or 0) - base > limits.memory_mb * MIB:
        return LimitMemoryError(
            f"needs more than {limits.memory_mb} MB, which is what limits allow"
        )
    return None


def _process_in_this_process(
    groups: Sequence[Sequence[InventoryEntry]],
    spec: OutputSpec,
    limits: Limits,
    shared_limits: SharedLimits,
) -> Iterator[list[Receipt]]:
    """Process all in this process, each file within the limits."""

    def bound(_path: str = "") -> None:
        shared_limits.bound(limits.seconds, limits.memory_mb * MIB)

    try:
        for candidates in groups:
            bound()
            yield process_instance(candidates, spec, limits=limits, on_start=bound)
    finally:
        shared_limits.release()


def _receive(worker: _Worker) -> Any:  # noqa: ANN401  # a path, receipts, an error, None
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        return None


def _crash(code: int) -> FileError:
    name = f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
    return CodecCrashError(f"the process that decoded it ended with {name}")


def _record_culprit(worker: _Worker, error: FileError) -> _Instance:
    """The instance again, with the file that killed its worker recorded."""
    instance = worker.instance
    if instance is None:
        raise AssertionError("a worker without work ended")
    culprit = worker.at
    if culprit in instance.known:  # it was not the file
        instance.known |= {entry.path: error for entry in instance.candidates}
    instance.known[culprit] = error
    return instance


def _run_worker(
    supervisor: connection.Connection, spec: OutputSpec, limits: Limits, threads: int, parent: int
) -> None:
    """Work until the supervisor hangs up."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    keep_freed_memory()
    with suppress(EOFError, BrokenPipeError), frame_threads(threads):
        while True:
            candidates, known = supervisor.recv()
            first = candidates[0].path  # where the supervisor takes us to be

            def tell(path: str, first: str = first) -> None:
                if path != first:
                    supervisor.send(path)

            try:
                receipts = process_instance(
                    candidates, spec, limits=limits, known=known, on_start=tell
                )
            except OSError as error:  # an image that cannot be written ends the job
                supervisor.send(error)
            except Exception as error:  # noqa: BLE001  # a bug, which must not look like a bad file
                traceback.print_exc()
                supervisor.send(RuntimeError(f"{type(error).__name__}: {error}"))
            else:
                supervisor.send(receipts)
