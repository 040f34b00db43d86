"""Reading files with and without the system's cache of them."""

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
    """Drop files from the cache, as far as the system lets one do that without being root.

    Returns
    -------
    Part of the pages that are no longer cached, 0 to 1; None where the system cannot drop or cannot
    tell (macOS).
    """
    if not hasattr(os, "posix_fadvise"):
        return None
    cached = pages = 0
    for path in paths:
        found = _dropped(path)
        if found is None:
            return None
        cached, pages = cached + found[0], pages + found[1]
    return 1 - cached / pages if pages else None


def _dropped(path: Path) -> tuple[int, int] | None:
    """Drop one file; how many of its pages are still cached, of how many."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # pages that were not written yet are not dropped
        for _ in range(TRIES):  # nor are those that something else looks at just now
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            found = cached_pages(descriptor)
            if found is None or found[0] == 0:
                break
        return found
    finally:
        os.close(descriptor)


def cached_pages(descriptor: int) -> tuple[int, int] | None:
    """Cached pages of a file and all of them, by mincore(2), which reads none; None without it."""
    size = os.fstat(descriptor).st_size
    count = -(-size // mmap.PAGESIZE)
    if not count:
        return 0, 0
    try:
        mincore = ctypes.CDLL(None, use_errno=True).mincore
    except AttributeError:
        return None
    mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    # ctypes wants a buffer that could be written; nothing is.
    with mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        states = (ctypes.c_ubyte * count)()
        first = ctypes.c_ubyte.from_buffer(mapped)
        failed = mincore(ctypes.addressof(first), size, ctypes.addressof(states))
        del first  # else the map cannot be closed
    return None if failed else (sum(state & 1 for state in states), count)


def read_and_discard(path: Path) -> int:
    """Read a file and forget it; its bytes."""
    size = 0
    buffer = bytearray(READ_BYTES)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            size += count
    return size
