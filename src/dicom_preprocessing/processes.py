"""What a process does about itself and its parent: bounds, memory, cores, an end in time.

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
"""Bytes; what is larger is returned to the system when it is freed."""

POLL_SECONDS = 0.1
"""Seconds between two looks at what is watched."""


class SharedLimits:
    """Bounds of a job, in memory that it shares with the server."""

    BOUNDS = struct.Struct("2d")

    def __init__(self) -> None:
        self.shared = mmap.mmap(-1, self.BOUNDS.size)

    def bound(self, seconds: float, memory: float) -> None:
        """Allow this process so many seconds and bytes from now on."""
        held = resident_bytes(os.getpid())
        self.BOUNDS.pack_into(self.shared, 0, time.monotonic() + seconds, held + memory)

    def release(self) -> None:
        """Put this process out of watch."""
        self.BOUNDS.pack_into(self.shared, 0, 0, 0)

    @property
    def is_set(self) -> bool:
        """Whether there are bounds."""
        return any(self.BOUNDS.unpack_from(self.shared))

    def is_exceeded(self, pid: int) -> bool:
        """Whether a process is beyond its bounds."""
        deadline, memory = self.BOUNDS.unpack_from(self.shared)
        return self.is_set and (time.monotonic() > deadline or resident_bytes(pid) > memory)


shared_limits: SharedLimits | None = None
"""In a job that may put itself under watch.

The fork server sets it in a forked process, before it runs a script there as Python would. Between
the two is only a command line, so there is no call to hand this over in.
"""


def resident_bytes(pid: int | None) -> int:
    """Bytes of memory that a process holds, 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def keep_freed_memory() -> None:
    """Have glibc keep what arrays free for the next ones, of which each page would be cleared anew.

    By default it returns large blocks to the system at once, which costs a third of the CPU time of
    an image beside its codec.
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
    """Have this process killed when its parent dies, where the system can."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def usable_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1
