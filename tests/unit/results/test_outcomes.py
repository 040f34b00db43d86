"""Work on many files: none of them ends the work on the others."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.results.outcomes import map_in_processes

WAITING = """
import os, sys, time
from dicom_preprocessing.results.outcomes import map_in_processes
def wait(item):
    os.write(1, f"{os.getpid()}\\n".encode())  # whole lines, whatever the buffering
    time.sleep(60)
list(map_in_processes(wait, range(2), 2))
"""


def work(item):
    """Do what an item says."""
    if item == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "memory":
        raise MemoryError
    if item == "bug":
        raise TypeError("odd")
    if item == "name":
        raise OSError(errno.ENAMETOOLONG, "File name too long", "x")
    if item == "disk":
        raise OSError(errno.ENOSPC, "No space left on device")
    return item


@pytest.mark.parametrize("jobs", [1, 3])
def test_errors_are_of_their_file(jobs):
    items = ["a", "memory", "bug", "name", "b"]
    first, *bad, last = map_in_processes(work, items, jobs)
    assert (first, last) == ("a", "b")
    assert all(isinstance(error, OutputError) for error in bad)
    for item, error, told in zip(items[1:4], bad, ("memory", "odd", "too long"), strict=True):
        assert str(error).startswith(f"{item}: ")
        assert told in str(error)


@pytest.mark.parametrize("jobs", [1, 2])
def test_full_disk_ends_the_work(jobs):
    with pytest.raises(OSError, match="No space left"):
        list(map_in_processes(work, ["a", "disk", *"bcdefg"], jobs))


def test_worker_that_dies_costs_its_file_only():
    items = ["a", "dies", "b", "c", "dies", "d"]
    outcomes = list(map_in_processes(work, items, 2))
    for item, outcome in zip(items, outcomes, strict=True):
        if item == "dies":
            told = "dies: the process that worked on it ended with signal SIGKILL"
            assert str(outcome) == told
        else:
            assert outcome == item


def test_item_whose_worker_dies_once_is_tried_again_when_that_was_told(tmp_path):
    def work_unless_first(item):
        if item == "b" and not (tmp_path / "tried").exists():
            (tmp_path / "tried").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item, (tmp_path / "cleaned").exists()

    killed = []

    def on_kill(item):
        killed.append(item)
        if item == "b":
            (tmp_path / "cleaned").touch()

    a, b, c = map_in_processes(work_unless_first, "abc", 2, on_kill)
    assert [a[0], b, c[0]] == ["a", ("b", True), "c"]
    assert "b" in killed


def test_iterator_that_is_closed_ends_its_workers_and_tells_their_items():
    def give_pid(item):
        if item > 0:
            time.sleep(60)
        return os.getpid()

    killed = []
    outcomes = map_in_processes(give_pid, range(6), 2, killed.append)
    start, first = time.monotonic(), next(outcomes)
    time.sleep(0.1)
    outcomes.close()
    assert time.monotonic() - start < 20
    assert not is_running(first)
    assert set(killed) <= {1, 2}


def test_workers_end_with_a_killed_command():
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True
    ) as run:
        workers = [int(run.stdout.readline()) for _ in range(2)]
        run.kill()
    end = time.monotonic() + 10
    while any(map(is_running, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(is_running, workers))


def is_running(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return False
