"""Put on PYTHONPATH by a test: files named *unreadable* open but give an input/output error."""

import builtins
import errno
import os

_open = builtins.open
COUNT = os.environ.get("DP_TEST_COUNT")


def _faulty_open(file, mode="r", *args, **kwargs):
    stage = os.environ.get("DP_TEST_FAULT_IN", "")
    name = os.fsdecode(file) if isinstance(file, (str, bytes, os.PathLike)) else ""
    if "unreadable" in name and name.endswith(".dcm") and _running(stage):
        with _open(COUNT, "a") as log:
            log.write(name + "\n")
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)
    return _open(file, mode, *args, **kwargs)


def _running(script):
    import sys

    return any(os.path.basename(word) == f"{script}.py" for word in sys.orig_argv)


builtins.open = _faulty_open
