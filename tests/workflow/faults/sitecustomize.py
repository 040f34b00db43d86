"""Put on PYTHONPATH by a test: makes some files fail in the jobs of one rule.

DP_TEST_FAULT_IN   the rule, such as index or write
DP_TEST_FAULT      unreadable: DICOM files named so cannot be opened (EIO), each try is counted;
                   table_full: failures.csv cannot be opened for writing (ENOSPC)
                   disk_full: no TIFF of the study 1.2.2 can be opened for writing (ENOSPC)
                   killed: the job of the study 1.2.2 is killed
                   hungry: the job of the study 1.2.2 takes 500 MB for some seconds
                   slow: the job of the study 1.2.2 takes a minute at its first try
DP_TEST_COUNT      file that gets a line a try
"""

import builtins
import errno
import os
import signal
import sys
import time

_open = builtins.open
_open_descriptor = os.open
_job = os.getpid()
_rule = os.environ.get("DP_TEST_FAULT_IN", "")
_fault = os.environ.get("DP_TEST_FAULT", "")


def _linger(name):
    """What takes memory or time, once a job."""
    global _fault
    fault, _fault = _fault, ""
    with _open(os.environ["DP_TEST_COUNT"], "a+") as log:
        log.write(f"{name}\n")
        log.seek(0)
        tries = len(log.readlines())
    if fault == "hungry":
        taken = b"x" * 500_000_000
        time.sleep(4)
        del taken
    elif tries == 1:
        time.sleep(60)


def _faulty_open_descriptor(path, *args, **kwargs):
    name = os.fsdecode(path)
    if _fault == "unreadable" and "unreadable" in name and name.endswith(".dcm"):
        with _open(os.environ["DP_TEST_COUNT"], "a") as log:
            log.write(f"{name}\n")
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)
    return _open_descriptor(path, *args, **kwargs)


def _faulty_open(file, mode="r", *args, **kwargs):
    name = os.fsdecode(file) if isinstance(file, (str, bytes, os.PathLike)) else ""
    if _fault == "table_full" and "failures.csv" in name and "r" not in mode:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    if "/1.2.2/" in name and ".tiff" in name and "r" not in mode:
        if _fault == "disk_full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        if _fault == "killed":
            os.kill(_job, signal.SIGKILL)  # not only its worker
        if _fault in ("hungry", "slow"):
            _linger(name)
    return _open(file, mode, *args, **kwargs)


if sys.orig_argv[2:3] == [_rule] and os.path.basename(sys.orig_argv[1]) == "job.py":
    builtins.open = _faulty_open
    os.open = _faulty_open_descriptor
