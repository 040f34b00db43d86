"""What a process does about itself and its parent."""

import os
import subprocess
import sys
import time

import pytest

from dicom_preprocessing import processes
from dicom_preprocessing.processes import SharedLimits, resident_bytes, usable_cores

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="told by /proc")


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3}, raising=False)
    assert usable_cores() == 2


def test_cores_where_the_system_does_not_tell_which_may_be_used(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


@on_linux
def test_memory_of_a_process():
    assert resident_bytes(os.getpid()) > 1 << 20
    assert resident_bytes(None) == 0


@on_linux
def test_process_is_beyond_its_bounds_by_time_or_memory():
    watch = SharedLimits()
    assert not watch.is_set
    watch.bound(60, 1 << 40)
    assert (watch.is_set, watch.is_exceeded(os.getpid())) == (True, False)
    watch.bound(-1, 1 << 40)
    assert watch.is_exceeded(os.getpid())
    watch.bound(60, -(1 << 30))
    assert watch.is_exceeded(os.getpid())
    watch.release()
    assert not watch.is_exceeded(os.getpid())


def test_no_process_is_under_watch_by_itself():
    assert processes.shared_limits is None
    assert (processes.running_jobs, processes.find_share_of_cores()) == (None, 1)


@on_linux
@pytest.mark.parametrize(("count", "share"), [(1, 8), (2, 4), (3, 2), (5, 1), (8, 1), (9, 1)])
def test_jobs_share_cores_that_have_been_idle(monkeypatch, count, share):
    jobs = processes.RunningJobs()
    assert jobs.find_share(8) == 1  # there is none yet
    jobs.set(count)
    assert jobs.find_share(8) == 1  # the next job may be about to start
    monkeypatch.setattr(processes, "IDLE_SECONDS", 0)
    assert jobs.find_share(8) == share


@on_linux
def test_process_dies_with_its_parent():
    child = "import os, time; from dicom_preprocessing.processes import die_with_parent\n"
    child += "die_with_parent(os.getppid()); print(os.getpid(), flush=True); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        process.kill()
    deadline = time.monotonic() + 20
    while resident_bytes(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("is_enabled", [True, False])
def test_search_for_cycles_is_as_before_after_imports(is_enabled):
    code = (
        "import gc, sys\n"
        "from dicom_preprocessing.processes import importing\n"
        "before = gc.get_freeze_count()\n"
        f"if not {is_enabled}: gc.disable()\n"
        "with importing():\n"
        "    during = gc.isenabled()\n"
        "    import colorsys\n"
        "print(during, gc.isenabled(), gc.get_freeze_count() > before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"False {is_enabled} True\n"


def test_nothing_is_kept_for_ever_where_nothing_was_imported():
    code = (
        "import gc\n"
        "from dicom_preprocessing.processes import importing\n"
        "before = gc.get_freeze_count()\n"  # Python 3.12 begins with some hundred
        "with importing():\n"
        "    import gc\n"
        "print(gc.get_freeze_count() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
