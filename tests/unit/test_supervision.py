"""Calls in worker processes, some of which kill, hang or swell theirs."""

import multiprocessing
import os
import signal
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_preprocessing import supervision
from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import CodecCrashError, LimitMemoryError, LimitTimeError
from dicom_preprocessing.supervision import IsolatedCalls

EXAMPLES = int(os.environ.get("DP_FAULT_WORKERS", "12"))
LIMITS = Limits(seconds=1.5, memory_mb=100)
ERRORS = {
    "die": CodecCrashError,
    "exit": CodecCrashError,
    "raise": CodecCrashError,
    "hang": LimitTimeError,
    "swell": LimitMemoryError,
}


def act(item):
    kind, number = item
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "exit":
        os._exit(3)
    elif kind == "raise":
        os.close(2)  # no traceback in the log of the tests
        raise RuntimeError("a bug")
    elif kind == "hang":
        time.sleep(60)
    elif kind == "swell":
        held = []
        while True:
            held.append(b"x" * (1 << 22))
            time.sleep(0.005)
    elif kind == "slow":
        time.sleep(0.03)
    return number


def calls(workers=2, chunk=8, limits=LIMITS):
    return IsolatedCalls(act, limits=limits, workers=workers, chunk=chunk, work="read")


# Those that take the time of a limit are rare.
kinds = st.integers(0, 30).map(
    lambda n: ("slow", "die", "exit", "raise", "hang", "swell", "")[n % 7] if n < 7 else ""
)


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.lists(kinds, max_size=40), st.integers(1, 3), st.integers(1, 20))
def test_each_loss_costs_one_item(kinds, workers, chunk):
    items = [(kind, number) for number, kind in enumerate(kinds)]
    with calls(workers, chunk) as isolated:
        for _ in range(2):  # workers go on to the next items
            found = list(isolated.map(items))
            for (kind, number), result in zip(items, found, strict=True):
                if kind in ERRORS:
                    assert type(result) is ERRORS[kind]
                    assert result.transient
                else:
                    assert result == number


def test_time_does_not_count_while_results_wait():
    with calls(chunk=1) as isolated:
        results = isolated.map([("", number) for number in range(20)])
        first = next(results)
        time.sleep(2 * LIMITS.seconds)
        assert [first, *results] == list(range(20))


def test_results_before_a_loss_are_handed_over(monkeypatch):
    monkeypatch.setattr("dicom_preprocessing.supervision.FLUSH_SECONDS", 0.0)
    kinds = ["slow"] * 5 + ["die"] + ["slow"] * 5
    with calls(workers=1, chunk=len(kinds)) as isolated:
        found = list(isolated.map([(kind, n) for n, kind in enumerate(kinds)]))
    assert [n for n, result in enumerate(found) if result != n] == [5]


def test_no_process_is_left_where_a_caller_stops_early():
    with calls(workers=3, chunk=1) as isolated:
        next(isolated.map([("slow", number) for number in range(30)]))
        pids = [worker.process.pid for worker in (*isolated._busy, *isolated._idle)]
        assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_nothing_starts_without_items():
    with calls() as isolated:
        assert list(isolated.map([])) == []
        assert not isolated._busy
        assert not isolated._idle


def test_worker_that_cannot_be_killed_is_left_behind(monkeypatch):
    """As one that waits for a dead file system; a real one is in tests/faults/test_hangs.py."""
    monkeypatch.setattr(supervision, "END_SECONDS", 0.2)
    left = []
    with calls(workers=1, chunk=2, limits=Limits(seconds=0.3)) as isolated:

        def note(process):
            left.append(process)

        kill = multiprocessing.process.BaseProcess.kill
        monkeypatch.setattr(multiprocessing.process.BaseProcess, "kill", note)
        answers = list(isolated.map([("hang", 0), ("", 1)]))
        monkeypatch.undo()
    assert isinstance(answers[0], LimitTimeError)
    assert answers[1] == 1
    assert left[0].is_alive()
    assert left[0] not in multiprocessing.active_children()  # whose end this process waits for
    kill(left[0])
    left[0].join()
