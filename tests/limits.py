"""Disks that are full, and files that may not be opened, as far as this process sees."""

import errno
import os
import resource
from contextlib import contextmanager


@contextmanager
def limit_file_size(size):
    """Let no file become larger: what is written beyond fails (EFBIG), as with a quota.

    Gives a function that makes room again.
    """
    before, hardest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hardest))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (before, hardest))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hardest))


@contextmanager
def limit_open_files(number):
    """Let so many more files be open at a time."""
    before, hardest = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + number, hardest))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hardest))


def fail_on_fsync(monkeypatch, ending):
    """Let the disk be full for files whose name ends so, as those hear that ask (fsync)."""

    def fsync(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(ending):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
