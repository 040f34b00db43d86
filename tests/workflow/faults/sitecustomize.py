"""Put on PYTHONPATH by a test: makes some files fail in the jobs of one script.

DP_TEST_FAULT_IN   the script, such as index or write
DP_TEST_FAULT      unreadable: DICOM files named so cannot be opened (EIO), each try is counted;
                   disk_full: no TIFF of the study 1.2.2 can be opened for writing (ENOSPC)
DP_TEST_COUNT      file that gets a line a try
"""

import builtins
import errno
import os
import sys

_open = builtins.open
_script = os.environ.get("DP_TEST_FAULT_IN", "")
_fault = os.environ.get("DP_TEST_FAULT", "")


def _faulty_open(file, mode="r", *args, **kwargs):
    name = os.fsdecode(file) if isinstance(file, (str, bytes, os.PathLike)) else ""
    if _fault == "unreadable" and "unreadable" in name and name.endswith(".dcm"):
        with _open(os.environ["DP_TEST_COUNT"], "a") as log:
            log.write(f"{name}\n")
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)
    if _fault == "disk_full" and "/1.2.2/" in name and ".tiff" in name and "r" not in mode:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    return _open(file, mode, *args, **kwargs)


if any(os.path.basename(word) == f"{_script}.py" for word in sys.orig_argv):
    builtins.open = _faulty_open
