"""Read files with and without the system's page cache."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

READ_BYTES = 1 << 20
TRIES = 3


def drop_cached(paths: Iterable[Path]) -> float | None:
    """Drop files from the cache, as far as the system allows without being root.

    Returns
    -------
    Share of the pages that are no longer cached, 0 to 1; None where the system cannot drop pages or
    does not say which are cached (macOS).
    """
    if not hasattr(os, "posix_fadvise"):
        return None
    cached = pages = 0
    for path in paths:
        counts = _drop_file(path)
        if counts is None:
            return None
        cached, pages = cached + counts[0], pages + counts[1]
    return 1 - cached / pages if pages else None


def _drop_file(path: Path) -> tuple[int, int] | None:
    """Drop one file; return how many of its pages are still cached, and how many it has."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # pages that were not written yet are not dropped
        for _ in range(TRIES):  # nor are those that another process is reading
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            counts = count_cached_pages(descriptor)
            if counts is None or counts[0] == 0:
                break
        return counts
    finally:
        os.close(descriptor)


def count_cached_pages(descriptor: int) -> tuple[int, int] | None:
    """Numbers of cached and of all pages of a file, by mincore(2), which reads none; else None."""
    size = os.fstat(descriptor).st_size
    count = -(-size // mmap.PAGESIZE)
    if not count:
        return 0, 0
    try:
        mincore = ctypes.CDLL(None, use_errno=True).mincore
    except AttributeError:
        return None
    mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    # ctypes requires a writable buffer, but nothing is written to it.
    with mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        states = (ctypes.c_ubyte * count)()
        first = ctypes.c_ubyte.from_buffer(mapped)
        failed = mincore(ctypes.addressof(first), size, ctypes.addressof(states))
        del first  # else the map cannot be closed
    return None if failed else (sum(state & 1 for state in states), count)


def read_and_discard(path: Path) -> int:
    """Read a file and discard it; return its size in bytes."""
    size = 0
    buffer = bytearray(READ_BYTES)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            size += count
    return size
