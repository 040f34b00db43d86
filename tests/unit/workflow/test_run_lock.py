"""The lock of a run: what is left of a killed one, and what belongs to one that is alive."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from dicom_preprocessing.workflow.run_lock import (
    LOCK_DESCRIPTORS,
    RUN_LOCK,
    hold_run_lock,
    is_run_alive,
)

HOLD = """
import sys
from pathlib import Path
from dicom_preprocessing.workflow.run_lock import hold_run_lock
hold_run_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    """A working directory with a lock of Snakemake's."""
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    (tmp_path / ".snakemake" / "locks" / "0.input.lock").touch()
    yield tmp_path
    os.close(LOCK_DESCRIPTORS.pop(tmp_path, os.dup(0)))


@pytest.fixture
def other_run(folder):
    """A process that holds the lock."""
    words = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    (folder / ".snakemake" / "locks" / "0.input.lock").touch()
    yield process
    process.communicate()


def leftover(folder):
    return [path.name for path in (folder / ".snakemake" / "locks").iterdir()]


def test_locks_of_a_killed_run_are_removed(folder):
    assert hold_run_lock(folder) == []
    assert leftover(folder) == []


def test_locks_of_a_run_that_is_alive_stay(folder, other_run):
    assert hold_run_lock(folder) == []
    assert leftover(folder) == ["0.input.lock"]


def test_locks_stay_once_the_lock_is_held(folder):
    hold_run_lock(folder)
    (folder / ".snakemake" / "locks" / "0.input.lock").touch()
    assert hold_run_lock(folder) == []
    assert leftover(folder) == ["0.input.lock"]


def test_where_files_cannot_be_locked_it_is_said_what_to_do(folder, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    (advice,) = hold_run_lock(folder)
    assert "this file system cannot lock files (Function not implemented)" in advice
    assert "rm -r .snakemake/locks" in advice
    assert leftover(folder) == ["0.input.lock"]
    assert not is_run_alive(folder)


def test_a_run_is_alive_as_long_as_its_process(folder, other_run):
    assert is_run_alive(folder)
    other_run.communicate()
    assert not is_run_alive(folder)


def test_where_nothing_ran_no_run_is_alive(tmp_path):
    assert not is_run_alive(tmp_path)
    assert not (tmp_path / RUN_LOCK).exists()
