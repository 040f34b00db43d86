"""A server that forks jobs from a process in which the libraries are loaded already.

The first job of a run starts it (scripts/run_job.py) in a private folder, which Snakemake's main
process names in $DP_FORK_SERVER together with its own process id. The server lives as long as that
process: however Snakemake ends, the server kills its jobs, removes the folder and exits. A job is
killed when its client goes away or the server dies. In any doubt the client runs its script in a
new process.

A job may set limits of time and memory for itself. If it exceeds them, or dies while they are set,
the server forks it once more, without limits.

Linux only, for its pidfds. Standard library only, because the Snakefile imports it.
"""

from __future__ import annotations

import atexit
import fcntl
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
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from dicom_preprocessing import processes
from dicom_preprocessing.files import short_digest
from dicom_preprocessing.processes import (
    CORES_VARIABLE,
    END_SECONDS,
    POLL_SECONDS,
    RunningJobs,
    SharedLimits,
    die_with_parent,
    keep_freed_memory,
)

NOT_SERVED = 255
MAX_OPEN_FILES = 4096
"""Descriptors that the server may hold. A job takes five: pidfd, socket and three standard ones."""
# The server has one thread: a client that stops in the middle of a request holds up every job.
SECONDS_FOR_A_REQUEST = 10
CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): process, user and group ids

# Only what the job of a study uses, since each library makes every fork slower: pyarrow, which one
# job of a run needs, took a fork from 5 to 9 ms.
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


MAX_SOCKET_FOLDER_LENGTH = 79
"""The path of a Unix socket has at most 107 bytes; TMPDIR of a cluster's job may be longer."""


def keep_libraries_loaded(cores: int = 1) -> None:
    """Name a folder for a server of this process's jobs in $DP_FORK_SERVER, and start nothing.

    ``cores`` are those of the run if no others than these jobs use them, and nothing else limits
    how many run: a job may then use those that idle.

    Does nothing where the variable is set (``off`` switches the server off) or no server could run.
    """
    if "DP_FORK_SERVER" in os.environ or sys.platform != "linux":
        return
    try:
        os.close(os.pidfd_open(os.getpid()))  # Linux 5.3 or newer
        parent = tempfile.gettempdir()
        if len(parent) > MAX_SOCKET_FOLDER_LENGTH:
            parent = "/tmp"  # noqa: S108  # mkdtemp is private
        _remove_abandoned(Path(parent))
        folder = _make_locked_folder(parent)
    except OSError:
        return
    atexit.register(_remove_unserved, folder)
    os.environ["DP_FORK_SERVER"] = f"{folder}:{os.getpid()}"
    os.environ[CORES_VARIABLE] = str(cores)


def _make_locked_folder(parent: str) -> str:
    """Make a private folder that this process holds locked until it ends, however it does."""
    folder = tempfile.mkdtemp(prefix=_folder_prefix(), dir=parent)
    # Never closed, and not inherited by jobs, so the lock is this process's life.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # taken for an abandoned one in this moment, or there are no locks here
        return folder
    # Removed in the moment before it was locked: make another.
    return folder if os.fstat(descriptor).st_nlink else _make_locked_folder(parent)


def _folder_prefix() -> str:
    """How folders of this host begin: what is locked on another one may be unknown here."""
    return f"dp-{short_digest(ascii(os.uname().nodename))[:4]}-"


def _remove_abandoned(parent: Path) -> None:
    """Remove folders of this user that are not locked: all processes of their run were killed."""
    for folder in parent.glob(f"{_folder_prefix()}????????"):
        with suppress(OSError):  # locked by a process that is alive, or gone meanwhile
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.getuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def end_with_workflow() -> None:
    """Have this process, a job that was not forked, end when Snakemake's does.

    Between the two is a shell, whose end is all that a parent-death signal could show. Does nothing
    in a run without a server.
    """
    snakemake_pid = os.environ.get("DP_FORK_SERVER", "").rpartition(":")[2]
    if not snakemake_pid.isdecimal():
        return
    try:
        snakemake = os.pidfd_open(int(snakemake_pid))
    except ProcessLookupError:  # it ended before this line
        os._exit(1)
    except OSError:
        return
    threading.Thread(target=_end_after, args=(snakemake,), daemon=True).start()


def _end_after(process: int) -> None:
    """End this process when that of a pidfd ends."""
    select.select([process], [], [])
    os._exit(1)  # sys.exit would end this thread only


def _remove_unserved(folder: str) -> None:
    """Remove the folder, unless a server answers in it: that server removes it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            link.connect(f"{folder}/socket")
        # No server was started, or it was killed, or it is still loading libraries: that one finds
        # no folder for its socket and gives up.
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)


class _Request(NamedTuple):
    """What a client asks for; ``standard`` are its descriptors 0 to 2."""

    argv: list[str]
    cwd: str
    environment: list[str]
    standard: list[int]


@dataclass(slots=True)
class _ForkedJob:
    """A forked job, and the client that waits for it.

    ``shared_limits`` is None in a second try, and where no client waits for one; ``kill_time`` is
    when the job was first killed for exceeding them.
    """

    pid: int
    pidfd: int
    client: socket.socket
    request: _Request
    shared_limits: SharedLimits | None
    kill_time: float = 0.0


def serve(folder: Path, snakemake_pid: int) -> None:
    """Fork jobs for clients of the socket in ``folder`` until Snakemake's process ends."""
    # This process is no child of Snakemake's (run_job.py detaches it), so there is no parent-death
    # signal to wait for. A pidfd shows the end also of a process that is killed, and stays that of
    # the same process when its number is given to another.
    try:
        snakemake = os.pidfd_open(snakemake_pid)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        return
    # A fork copies the calling thread only: in it, a pool of threads may be waited for in vain.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    for name in PRELOADED:
        __import__(name)
    keep_freed_memory()
    from dicom_preprocessing.workflow.warm_up import warm_up  # noqa: PLC0415

    # What libraries prepare at first use is then prepared once: 26 to 16 ms for a tiny image.
    with suppress(OSError), tempfile.TemporaryDirectory(dir=folder) as images:  # a disk may be full
        warm_up(Path(images))
    # A collection in a fork would write to the header of every object, and so copy its pages.
    gc.collect()
    gc.freeze()
    with suppress(OSError, ValueError):  # fewer descriptors are fewer jobs at once
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(folder / "socket.new"))
    listener.listen(128)
    # Between bind and listen a socket refuses connections, which clients take for no server.
    (folder / "socket.new").rename(folder / "socket")
    server = _Server(listener)
    try:
        server.run(snakemake)
    finally:
        server.kill_jobs()
        shutil.rmtree(folder, ignore_errors=True)


class _Server:
    """One thread that waits for requests of clients, and for the ends of clients and jobs."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.jobs: list[_ForkedJob] = []
        processes.running_jobs = RunningJobs()  # each fork has the same

    def run(self, snakemake: int) -> None:
        """Serve until the process of the pidfd ``snakemake`` ends."""
        while True:
            # select() takes no descriptor above 1023, and a server may hold MAX_OPEN_FILES. One
            # SIGCHLD may be for the ends of several jobs, and its handler runs between any two
            # lines; a pidfd stays readable until it is closed.
            poll = select.poll()
            for descriptor in (snakemake, self.listener.fileno()):
                poll.register(descriptor, select.POLLIN)
            for job in self.jobs:
                poll.register(job.pidfd, select.POLLIN)
                # A client sends nothing after its request, so only its end is of interest.
                poll.register(job.client, select.POLLHUP | select.POLLRDHUP)
            # Limits have no descriptor: they are checked at each timeout. Without jobs none is due.
            timeout = 1000 * POLL_SECONDS if self.jobs else None
            ready = {descriptor for descriptor, _ in poll.poll(timeout)}
            if snakemake in ready:
                return
            for job in list(self.jobs):
                # First the job: one that has ended in time has its status, whatever else is seen.
                if job.pidfd in ready:
                    self.conclude(job)
                elif job.client.fileno() in ready:
                    job.shared_limits = None  # nobody waits for a second try
                    kill_group(job.pid)  # the next turn concludes it
                elif job.shared_limits is not None and job.shared_limits.is_exceeded(job.pid):
                    # The limits stay set, by which conclude knows that a second try is due.
                    kill_group(job.pid)
                    job.kill_time = job.kill_time or time.monotonic()
                    if time.monotonic() - job.kill_time > END_SECONDS:
                        self.leave_behind(job)
            if self.listener.fileno() in ready:
                self.accept()

    def accept(self) -> None:
        """Fork the job that a client asks for, or answer NOT_SERVED."""
        client, _ = self.listener.accept()
        standard: list[int] = []
        try:
            request, standard = receive(client)
            executable, cwd, count, *rest = request
            argv, environment = rest[: int(count)], rest[int(count) :]
        except (OSError, ValueError):
            close(standard)
            client.close()
            return
        # The Python of a conda environment has other libraries than those that are loaded.
        if not is_own(client) or executable != sys.executable:
            self.answer(client, NOT_SERVED, standard)
        else:
            self.start(client, _Request(argv, cwd, environment, standard), SharedLimits())

    def start(
        self, client: socket.socket, request: _Request, shared_limits: SharedLimits | None
    ) -> None:
        """Fork a job."""
        server_pid = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # too many processes, or no memory
            self.answer(client, NOT_SERVED, request.standard)
            return
        if pid == 0:
            run_job(request, shared_limits, server_pid)
        # The job does the same. Whoever comes first, its group is there before it starts a worker
        # and before this process can kill it; a job that has ended already makes this an error.
        with suppress(OSError):
            os.setpgid(pid, pid)
        # Until conclude waits for it, its number cannot be given to another process.
        self.jobs.append(_ForkedJob(pid, os.pidfd_open(pid), client, request, shared_limits))
        self.count_jobs()

    def count_jobs(self) -> None:
        """Let jobs know how many there are."""
        if processes.running_jobs is not None:
            processes.running_jobs.set(len(self.jobs))

    def conclude(self, job: _ForkedJob) -> None:
        """Send the client the exit status of its job, or fork the job again."""
        _, status = os.waitpid(job.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        kill_group(job.pid)  # workers that it has left running
        os.close(job.pidfd)
        self.jobs.remove(job)
        self.count_jobs()
        # A job releases its limits after its last file, or when it goes on with workers, so it died
        # at a file, or exceeded them at one. Without limits to share, the second try works in
        # isolation (processing/isolation.py), which finds the file. To have each job do so from the
        # start costs a second fork: 51 ms of CPU in place of 28 for a tiny study.
        if job.shared_limits is not None and job.shared_limits.is_set:
            self.start(job.client, job.request, None)
            return
        # As a shell has it: 128 and the number of the signal.
        self.answer(job.client, code if code >= 0 else 128 - code, job.request.standard)

    def leave_behind(self, job: _ForkedJob) -> None:
        """Fork a job again that was killed and does not end: it waits for a dead file system."""
        os.close(job.pidfd)
        self.jobs.remove(job)
        self.count_jobs()
        self.start(job.client, job.request, None)

    def answer(self, client: socket.socket, status: int, standard: list[int]) -> None:
        """Send a client the exit status of its job, and close what it sent."""
        # The client may be gone.
        with suppress(OSError):
            client.send(bytes([status]))
        client.close()
        close(standard)

    def kill_jobs(self) -> None:
        """Kill every job."""
        for job in self.jobs:
            kill_group(job.pid)


def receive(client: socket.socket) -> tuple[list[str], list[int]]:
    """Fields and standard descriptors of a request: a length in 8 bytes, then text with NULs.

    Raises
    ------
    OSError, ValueError
        The request is cut, or lacks a standard descriptor.
    """
    client.settimeout(SECONDS_FOR_A_REQUEST)
    # Descriptors come with the first bytes (SCM_RIGHTS): a job then writes to its log by itself,
    # and not through this process.
    head, descriptors, _, _ = socket.recv_fds(client, 8, 3)
    length, body = int.from_bytes(head, "little"), bytearray()
    while len(body) < length:
        chunk = client.recv(min(length - len(body), 1 << 16))
        if not chunk:
            raise ValueError("the request is cut")
        body += chunk
    client.settimeout(None)
    if len(descriptors) != 3:  # noqa: PLR2004  # standard input, output, error
        close(descriptors)
        raise ValueError("the request has no standard descriptors")
    return os.fsdecode(bytes(body)).split("\0"), list(descriptors)


def close(descriptors: list[int]) -> None:
    """Close each of them."""
    for descriptor in descriptors:
        os.close(descriptor)


def is_own(client: socket.socket) -> bool:
    """Whether the client is a process of this user."""
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    return bool(CREDENTIALS.unpack(credentials)[1] == os.getuid())


def kill_group(pid: int) -> None:
    """Kill a job and its workers."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def run_job(request: _Request, shared_limits: SharedLimits | None, server_pid: int) -> NoReturn:
    """Run a script in this forked process, as Python would have run it, and exit."""
    processes.shared_limits, code = shared_limits, 1
    try:
        os.setpgid(0, 0)
        # A job that hangs within its own process has nobody else to end it.
        die_with_parent(server_pid)
        for target, descriptor in enumerate(request.standard):
            os.dup2(descriptor, target)
        # Among them are copies of other clients' sockets: while a job held one, that client would
        # not see that the server is gone, and wait.
        os.closerange(3, MAX_OPEN_FILES)
        os.chdir(request.cwd)
        os.environ.clear()
        os.environ.update(entry.partition("=")[::2] for entry in request.environment)
        # The server ends this job: end_with_workflow needs no thread.
        os.environ.pop("DP_FORK_SERVER", None)
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
        # sys.exit would unwind into the loop of the server, of which this process is a copy.
        os._exit(code)
