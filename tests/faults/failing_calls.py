"""Calls of the system that fail, counted over all processes of a run; see failing_calls.c.

Commands are run by a process that has imported everything and forks for each of them, so that one
takes a tenth of a second.
"""

import ctypes
import json
import mmap
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

CLASSES = (
    "open",
    "read",
    "write",
    "sync",
    "rename",
    "make",
    "remove",
    "list",
    "status",
    "close",
    "cut",
)
"""As in failing_calls.c."""

ANY_PROCESS, NOT_SNAKEMAKE, SNAKEMAKE_ALONE = range(3)
ALWAYS = 1 << 40
"""A number of failing calls that no run reaches."""

PATH_BYTES = 1024
SECONDS_OF_A_COMMAND = 20


class _Layout(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int32),
        ("error", ctypes.c_int32),
        ("number", ctypes.c_uint64),
        ("times", ctypes.c_uint64),
        ("process", ctypes.c_int32),
        ("failed", ctypes.c_int32),
        ("counts", ctypes.c_uint64 * 16),
        ("prefix", ctypes.c_char * PATH_BYTES),
        ("failed_path", ctypes.c_char * PATH_BYTES),
    )


@dataclass(frozen=True)
class Fault:
    """The calls of a class that fail: from a number on, so many, below a path."""

    call: str
    number: int
    error: int
    times: int = 1
    process: int = ANY_PROCESS
    folder: str = ""

    def __str__(self):
        times = "" if self.times == 1 else " and all after it"
        return f"{self.call} {self.number}{times} in {self.folder}: {os.strerror(self.error)}"


class FaultPage:
    """The page that says to all processes of a run which calls fail, and in which they count."""

    def __init__(self, folder):
        self.path = folder / "faults.page"
        self.path.write_bytes(bytes(mmap.PAGESIZE))
        with self.path.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._layout = _Layout.from_buffer(self._mapped)
        self.library = folder / "failing_calls.so"
        compiler = shutil.which("cc") or pytest.skip("there is no C compiler (cc)")
        source = Path(__file__).with_suffix(".c")
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl"]
        subprocess.run(command, check=True)

    @property
    def environment(self):
        """In which the calls of a process and its children fail."""
        return {"LD_PRELOAD": str(self.library), "DP_FAULT_PAGE": str(self.path)}

    def set(self, prefix=None, fault=None, process=ANY_PROCESS):
        """Count calls below a path from now on, and have some fail; without a path, nothing."""
        ctypes.memset(ctypes.addressof(self._layout), 0, ctypes.sizeof(self._layout))
        if fault is not None:
            self._layout.kind = CLASSES.index(fault.call)
            self._layout.number, self._layout.times = fault.number, fault.times
            self._layout.error = fault.error
            process = fault.process
        self._layout.process = process
        self._layout.prefix = os.fsencode(prefix or "")

    @property
    def counts(self):
        """Calls by class since ``set``."""
        return {name: self._layout.counts[i] for i, name in enumerate(CLASSES)}

    @property
    def failed(self):
        """How many calls failed since ``set``."""
        return self._layout.failed

    @property
    def failed_path(self):
        """The path of the first call that failed."""
        return os.fsdecode(self._layout.failed_path)


@dataclass
class Ended:
    """How a command ended."""

    status: int
    output: str
    left: bool
    """Whether a process of it was still there a moment later."""


class Commands:
    """The process that runs commands, in forks of itself, under failing calls."""

    def __init__(self, page):
        self.page = page
        words = [sys.executable, "-m", "tests.faults.faulty_commands"]
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | page.environment,
            cwd=Path(__file__).parents[2],
        )

    def run(self, name, *words, folder, temporary):
        """Run a command in a folder; its temporary files are in another."""
        request = {
            "name": name,
            "words": [str(word) for word in words],
            "folder": str(folder),
            "temporary": str(temporary),
        }
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the process that runs commands has died"
        return Ended(**json.loads(answer))

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def wait_for_group(group, seconds=5.0):
    """Whether all processes of a group end in time; those that do not are killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.005)
    os.killpg(group, signal.SIGKILL)
    return False
