"""Limits, memory, cores and parent-death signal of this process.

Standard library only, because the Snakefile imports it.
"""

from __future__ import annotations

import gc
import mmap
import os
import signal
import struct
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAX_KEPT_BYTES = 1 << 30
"""Larger blocks are returned to the system when they are freed."""

POLL_SECONDS = 0.1
"""Seconds between two checks of limits."""

ENDING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and how a queue ends a job at its limit."""

IDLE_SECONDS = 1.0
"""Seconds after which a core without a job counts as idle."""

CORES_VARIABLE = "DP_CORES"
"""Names the cores of a run of which only the fork server's jobs use any."""

STATM_BYTES = 256
"""More than the seven numbers of /proc/PID/statm take."""

END_SECONDS = 2.0
"""Seconds that a process which was killed has to end, before it is left behind: some calls of the
system to a dead file system cannot be interrupted, not even by SIGKILL."""


class SharedLimits:
    """Limits of a job's current file, in memory that it shares with the fork server."""

    BOUNDS = struct.Struct("2d")

    def __init__(self) -> None:
        self.shared = mmap.mmap(-1, self.BOUNDS.size)

    def bound(self, seconds: float, memory: float) -> None:
        """Allow this process so many more seconds, and bytes above what it holds now."""
        held = resident_bytes(os.getpid())
        self.BOUNDS.pack_into(self.shared, 0, time.monotonic() + seconds, held + memory)

    def release(self) -> None:
        """Remove the limits."""
        self.BOUNDS.pack_into(self.shared, 0, 0, 0)

    @property
    def is_set(self) -> bool:
        """Whether there are limits."""
        return any(self.BOUNDS.unpack_from(self.shared))

    def is_exceeded(self, pid: int) -> bool:
        """Whether a process exceeds its limits; never where there are none."""
        deadline, memory = self.BOUNDS.unpack_from(self.shared)
        return self.is_set and (time.monotonic() > deadline or resident_bytes(pid) > memory)


shared_limits: SharedLimits | None = None
"""Limits that the fork server reads; None in every other process than a forked job's first try.

A global, because the server runs a script as Python would: between the two is only a command line.
"""


class RunningJobs:
    """How many jobs a fork server has, and since when, in memory that it shares with them."""

    STATE = struct.Struct("2d")

    def __init__(self) -> None:
        self.shared = mmap.mmap(-1, self.STATE.size)

    def set(self, count: int) -> None:
        """Set how many there are from now on."""
        self.STATE.pack_into(self.shared, 0, count, time.monotonic())

    def find_share(self, cores: int) -> int:
        """Return the cores of each job, at least 1: more once some have had no job for a while."""
        count, since = self.STATE.unpack_from(self.shared)
        # Cores without a job for a moment are those of a job that is about to start.
        if not count or time.monotonic() - since < IDLE_SECONDS:
            return 1
        return max(1, cores // int(count))


running_jobs: RunningJobs | None = None
"""Jobs of the fork server that forked this process; None in every other process."""


def find_share_of_cores() -> int:
    """Return the cores that this process may use: more than 1 in a job beside which cores idle."""
    if running_jobs is None:
        return 1
    return running_jobs.find_share(int(os.environ.get(CORES_VARIABLE, "1")))


def resident_bytes(pid: int | None) -> int:
    """Resident memory of a process in bytes, 0 where the system does not give it."""
    # Asked for each image: a file object would take four times as long.
    try:
        descriptor = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
        try:
            content = os.read(descriptor, STATM_BYTES)
        finally:
            os.close(descriptor)
        # Pages: size, resident, shared, ... (proc(5)).
        return int(content.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next arrays.

    By default it returns large blocks to the system at once, which then clears each page of the
    next array: a third of the CPU time of an image beside its codec.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415

        with suppress(AttributeError, OSError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
                mallopt(option, MAX_KEPT_BYTES)


@contextmanager
def importing() -> Iterator[None]:
    """Import modules without looking for cycles in what they make, now or later: it stays.

    Looking takes an eighth of the time in which numpy, pydicom and this package are imported.
    """
    was_enabled, modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > modules:
            gc.freeze()
        if was_enabled:
            gc.enable()


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent dies; on Linux only.

    ``parent`` is the parent's process id, taken before the fork.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # A parent that died before prctl sends no signal; this process has another one by now.
        if os.getppid() != parent:
            os._exit(1)


def usable_cores() -> int:
    """Number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1
