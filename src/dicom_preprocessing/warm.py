"""A server that forks jobs from a process in which the libraries are loaded already.

The first job of a run leaves it behind (scripts/warm.py), in a private folder that the main process
of Snakemake names in $DP_WARM together with its process id. It lives as long as that process:
however Snakemake ends, the server kills what it has forked, removes the folder and exits. A job
whose client goes away is killed too. Wherever something is in doubt, the client runs its script
cold, in a new process.

Linux only: elsewhere no process can be watched by a descriptor. Standard library only, because the
Snakefile imports it.
"""

from __future__ import annotations

import atexit
import gc
import os
import runpy
import select
import shutil
import signal
import socket
import struct
import sys
import tempfile
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

COLD = 255
SECONDS_FOR_A_REQUEST = 10
CREDENTIALS = struct.Struct("3i")

# What the jobs of studies use. What one job of a run needs is not here: each library makes every
# fork slower, pyarrow alone as much as numpy, pydicom and the codecs together.
PRELOADED = (
    "dicom_preprocessing.cli.job",
    "dicom_preprocessing.study",
    "multiprocessing.popen_fork",
    "scipy.ndimage",
)


LONGEST_FOLDER = 90
"""The path of a Unix socket has at most 107 bytes."""


def keep_libraries_loaded() -> None:
    """Name a folder for a server of this process's jobs in $DP_WARM; nothing is started.

    Not where it is set already (``off`` switches it off), nor where no server could run.
    """
    if "DP_WARM" in os.environ or sys.platform != "linux":
        return
    try:
        os.close(os.pidfd_open(os.getpid()))  # Linux 5.3
        folder = tempfile.mkdtemp(prefix="dp-")
    except OSError:
        return
    # As long as nobody serves there, nobody else removes it.
    atexit.register(_remove_if_empty, folder)
    if len(folder) <= LONGEST_FOLDER:
        os.environ["DP_WARM"] = f"{folder}:{os.getpid()}"


def _remove_if_empty(folder: str) -> None:
    with suppress(OSError):
        os.rmdir(folder)


@dataclass(slots=True)
class _Job:
    """A forked job, and the client that waits for it."""

    pid: int
    descriptor: int
    client: socket.socket


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
    from dicom_preprocessing.rehearsal import rehearse  # noqa: PLC0415

    with suppress(OSError), tempfile.TemporaryDirectory(dir=folder) as place:  # a disk may be full
        rehearse(Path(place))
    gc.collect()
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(folder / "socket.new"))
    listener.listen(128)
    (folder / "socket.new").rename(folder / "socket")  # it appears when it answers
    server = _Server(listener)
    try:
        server.run(watched)
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


class _Server:
    """One thread that waits for clients, for their end, and for that of jobs."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.jobs: list[_Job] = []

    def run(self, watched: int) -> None:
        """Serve until the descriptor ``watched`` tells the end of its process."""
        while True:
            poll = select.poll()
            for descriptor in (watched, self.listener.fileno()):
                poll.register(descriptor, select.POLLIN)
            for job in self.jobs:
                poll.register(job.descriptor, select.POLLIN)
                poll.register(job.client, select.POLLHUP | select.POLLRDHUP)
            ready = {descriptor for descriptor, _ in poll.poll()}
            if watched in ready:
                return
            for job in list(self.jobs):
                if job.descriptor in ready:
                    self.conclude(job)
                elif job.client.fileno() in ready:
                    kill_group(job.pid)  # its end is seen next
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
            with suppress(OSError):
                client.send(bytes([COLD]))
            client.close()
        else:
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                run_job(argv, cwd, environment, standard)
            with suppress(OSError):
                os.setpgid(pid, pid)
            self.jobs.append(_Job(pid, os.pidfd_open(pid), client))
        for descriptor in standard:
            os.close(descriptor)

    def conclude(self, job: _Job) -> None:
        """Tell the client how its job ended."""
        _, status = os.waitpid(job.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        kill_group(job.pid)  # what it has left behind
        with suppress(OSError):
            job.client.send(bytes([code if code >= 0 else 128 - code]))
        job.client.close()
        os.close(job.descriptor)
        self.jobs.remove(job)

    def end(self) -> None:
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


def is_own(client: socket.socket) -> bool:
    """Whether the client is of this user."""
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    return bool(CREDENTIALS.unpack(raw)[1] == os.getuid())


def kill_group(pid: int) -> None:
    """Kill a job with its workers."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def run_job(argv: list[str], cwd: str, environment: list[str], standard: list[int]) -> NoReturn:
    """Run a script in this forked process, as Python would have run it, and exit."""
    code = 1
    try:
        os.setpgid(0, 0)
        for target, descriptor in enumerate(standard):
            os.dup2(descriptor, target)
        os.closerange(3, 256)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(entry.partition("=")[::2] for entry in environment)
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")
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
