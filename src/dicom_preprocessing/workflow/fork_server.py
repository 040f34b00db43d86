"""A server that forks jobs from a process in which the libraries are loaded already.

The first job of a run starts it (scripts/run_job.py), in a private folder that the main process of
Snakemake names in $DP_FORK_SERVER together with its process id. It lives as long as that process:
however Snakemake ends, the server kills what it has forked, removes the folder and exits. A job
whose client goes away is killed too, and jobs die with the server. Wherever something is in doubt,
the client runs its script in a new process.

A job may set itself bounds. If it dies within them, or goes beyond, the server forks it once more,
without watching it.

Linux only: elsewhere no process can be watched by a descriptor. Standard library only, because the
Snakefile imports it.
"""

from __future__ import annotations

import atexit
import gc
import os
import resource
import runpy
import select
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from dicom_preprocessing import processes
from dicom_preprocessing.processes import (
    POLL_SECONDS,
    SharedLimits,
    die_with_parent,
    keep_freed_memory,
)

NOT_SERVED = 255
MAX_OPEN_FILES = 4096
"""Descriptors that the server may hold: a job takes five."""
SECONDS_FOR_A_REQUEST = 10
CREDENTIALS = struct.Struct("3i")

# What the jobs of studies use. What one job of a run needs is not here: each library makes every
# fork slower, pyarrow alone as much as numpy, pydicom and the codecs together.
PRELOADED = (
    "ctypes",
    "dicom_preprocessing.cli.job",
    "dicom_preprocessing.processing.study",
    "dicom_preprocessing.workflow.shards",
    "encodings.ascii",
    "multiprocessing.popen_fork",
    "scipy.ndimage",
    "scipy.sparse",
)


MAX_SOCKET_FOLDER_LENGTH = 88
"""The path of a Unix socket has at most 107 bytes; TMPDIR of a cluster's job may be longer."""


def keep_libraries_loaded() -> None:
    """Name a folder for a server of this process's jobs in $DP_FORK_SERVER; nothing is started.

    Not where it is set already (``off`` switches it off), nor where no server could run.
    """
    if "DP_FORK_SERVER" in os.environ or sys.platform != "linux":
        return
    try:
        os.close(os.pidfd_open(os.getpid()))  # Linux 5.3
        usual = tempfile.gettempdir()
        place = usual if len(usual) <= MAX_SOCKET_FOLDER_LENGTH else "/tmp"  # noqa: S108  # mkdtemp is private
        folder = tempfile.mkdtemp(prefix="dp-", dir=place)
    except OSError:
        return
    atexit.register(_remove_unserved, folder)
    os.environ["DP_FORK_SERVER"] = f"{folder}:{os.getpid()}"


def end_with_workflow() -> None:
    """Have a cold job of a run that has a server end when Snakemake's process does.

    The shell between them does not pass on that Snakemake was killed.
    """
    process = os.environ.get("DP_FORK_SERVER", "").rpartition(":")[2]
    if not process.isdecimal():
        return
    try:
        watched = os.pidfd_open(int(process))
    except ProcessLookupError:
        os._exit(1)
    except OSError:
        return
    threading.Thread(target=_end_after, args=(watched,), daemon=True).start()


def _end_after(watched: int) -> None:
    select.select([watched], [], [])
    os._exit(1)


def _remove_unserved(folder: str) -> None:
    """Remove the folder unless a server answers there, which removes it itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            link.connect(f"{folder}/socket")
        except OSError:  # none was started, or it was killed, or it is not ready and gives up now
            shutil.rmtree(folder, ignore_errors=True)


class _Request(NamedTuple):
    """What a client asks for; ``standard`` are descriptors 0 to 2."""

    argv: list[str]
    cwd: str
    environment: list[str]
    standard: list[int]


@dataclass(slots=True)
class _ForkedJob:
    """A forked job, and the client that waits for it; without a watch if there is no other try."""

    pid: int
    descriptor: int
    client: socket.socket
    request: _Request
    shared_limits: SharedLimits | None


def serve(folder: Path, snakemake: int) -> None:
    """Fork jobs until the process ``snakemake`` ends."""
    try:
        watched = os.pidfd_open(snakemake)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    for name in PRELOADED:
        __import__(name)
    keep_freed_memory()
    from dicom_preprocessing.workflow.warm_up import warm_up  # noqa: PLC0415

    with suppress(OSError), tempfile.TemporaryDirectory(dir=folder) as place:  # a disk may be full
        warm_up(Path(place))
    gc.collect()
    gc.freeze()
    with suppress(OSError, ValueError):
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(folder / "socket.new"))
    listener.listen(128)
    (folder / "socket.new").rename(folder / "socket")  # it appears when it answers
    server = _Server(listener)
    try:
        server.run(watched)
    finally:
        server.kill_jobs()
        shutil.rmtree(folder, ignore_errors=True)


class _Server:
    """One thread that waits for clients, for their end, and for that of jobs."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.jobs: list[_ForkedJob] = []

    def run(self, watched: int) -> None:
        """Serve until the descriptor ``watched`` tells the end of its process."""
        while True:
            poll = select.poll()
            for descriptor in (watched, self.listener.fileno()):
                poll.register(descriptor, select.POLLIN)
            for job in self.jobs:
                poll.register(job.descriptor, select.POLLIN)
                poll.register(job.client, select.POLLHUP | select.POLLRDHUP)
            ready = {found for found, _ in poll.poll(1000 * POLL_SECONDS if self.jobs else None)}
            if watched in ready:
                return
            for job in list(self.jobs):
                if job.descriptor in ready:
                    self.conclude(job)
                elif job.client.fileno() in ready:
                    job.shared_limits = None  # nobody waits for another try
                    kill_group(job.pid)  # its end is seen next
                elif job.shared_limits is not None and job.shared_limits.is_exceeded(job.pid):
                    kill_group(job.pid)
            if self.listener.fileno() in ready:
                self.accept()

    def accept(self) -> None:
        """Fork the job that a client asks for."""
        client, _ = self.listener.accept()
        try:
            request, standard = receive(client)
            executable, cwd, count, *rest = request
        except (OSError, ValueError):
            client.close()
            return
        argv, environment = rest[: int(count)], rest[int(count) :]
        if not is_own(client) or executable != sys.executable:
            self.answer(client, NOT_SERVED, standard)
        else:
            self.start(client, _Request(argv, cwd, environment, standard), SharedLimits())

    def start(self, client: socket.socket, request: _Request, watched: SharedLimits | None) -> None:
        """Fork a job."""
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # too many processes, or no memory
            self.answer(client, NOT_SERVED, request.standard)
            return
        if pid == 0:
            run_job(request, watched, server)
        with suppress(OSError):
            os.setpgid(pid, pid)
        self.jobs.append(_ForkedJob(pid, os.pidfd_open(pid), client, request, watched))

    def conclude(self, job: _ForkedJob) -> None:
        """Tell the client how its job ended, or fork the job again if it died under watch."""
        _, status = os.waitpid(job.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        kill_group(job.pid)  # what it has left behind
        os.close(job.descriptor)
        self.jobs.remove(job)
        if job.shared_limits is not None and job.shared_limits.is_set:
            self.start(job.client, job.request, None)
            return
        self.answer(job.client, code if code >= 0 else 128 - code, job.request.standard)

    def answer(self, client: socket.socket, status: int, standard: list[int]) -> None:
        """Tell a client the exit status of its job, and let go of what it sent."""
        with suppress(OSError):
            client.send(bytes([status]))
        client.close()
        close(standard)

    def kill_jobs(self) -> None:
        """Kill every job."""
        for job in self.jobs:
            kill_group(job.pid)


def receive(client: socket.socket) -> tuple[list[str], list[int]]:
    """Fields and standard descriptors of a request."""
    client.settimeout(SECONDS_FOR_A_REQUEST)
    head, descriptors, _, _ = socket.recv_fds(client, 8, 3)
    length, parts = int.from_bytes(head, "little"), bytearray()
    while len(parts) < length:
        part = client.recv(min(length - len(parts), 1 << 16))
        if not part:
            raise ValueError("the request is cut")
        parts += part
    client.settimeout(None)
    if len(descriptors) != 3:  # noqa: PLR2004  # standard input, output, error
        raise ValueError("the request has no standard descriptors")
    return os.fsdecode(bytes(parts)).split("\0"), list(descriptors)


def close(descriptors: list[int]) -> None:
    """Close each of them."""
    for descriptor in descriptors:
        os.close(descriptor)


def is_own(client: socket.socket) -> bool:
    """Whether the client is of this user."""
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    return bool(CREDENTIALS.unpack(raw)[1] == os.getuid())


def kill_group(pid: int) -> None:
    """Kill a job with its workers."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def run_job(request: _Request, watched: SharedLimits | None, server: int) -> NoReturn:
    """Run a script in this forked process, as Python would have run it, and exit."""
    processes.shared_limits, code = watched, 1
    try:
        os.setpgid(0, 0)
        die_with_parent(server)  # nobody else would end it
        for target, descriptor in enumerate(request.standard):
            os.dup2(descriptor, target)
        os.closerange(3, MAX_OPEN_FILES)
        os.chdir(request.cwd)
        os.environ.clear()
        os.environ.update(entry.partition("=")[::2] for entry in request.environment)
        os.environ.pop("DP_FORK_SERVER", None)  # the server ends this job
        sys.argv = request.argv
        runpy.run_path(request.argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # as the interpreter does at its end
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
