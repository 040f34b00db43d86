"""The lock of a run on its working directory, which shows whether a run is alive or was killed.

Snakemake's own locks are files that a killed run leaves behind. Standard library only: the
Snakefile imports it.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RUN_LOCK = ".snakemake/run.lock"
"""Locked, shared, as long as Snakemake runs."""

LOCK_DESCRIPTORS: dict[Path, int] = {}
"""Descriptors of locked files by working directory, kept open because closing unlocks."""


def hold_run_lock(folder: Path) -> list[str]:
    """Remove the locks that a killed run left, unless another is alive, and lock until the end.

    Returns
    -------
    list of str
        Warnings: what to do where files cannot be locked and there are locks.
    """
    if folder in LOCK_DESCRIPTORS:
        return []
    (folder / RUN_LOCK).parent.mkdir(exist_ok=True)
    LOCK_DESCRIPTORS[folder] = descriptor = os.open(folder / RUN_LOCK, os.O_CREAT | os.O_RDWR)
    leftover = list((folder / ".snakemake" / "locks").glob("*.lock"))
    warnings = []
    try:
        _lock_exclusively(descriptor)
        for lock in leftover:
            lock.unlink(missing_ok=True)
    except BlockingIOError:
        pass  # another run is alive: Snakemake decides
    except OSError as error:
        if leftover:
            warnings.append(
                f"{folder}: another run is alive in this folder, or one was killed; which of both "
                f"is unknown, because this file system cannot lock files ({error.strerror}). If "
                "none is alive: rm -r .snakemake/locks in this folder, and run again"
            )
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return warnings


def _lock_exclusively(descriptor: int, tries: int = 3) -> None:
    """Lock, waiting a moment for processes that only check whether a run is alive."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if tries == 1:
            raise
        time.sleep(0.05)
        _lock_exclusively(descriptor, tries - 1)


def is_run_alive(folder: Path) -> bool:
    """Whether another process holds the lock; False where files cannot be locked."""
    try:
        with (folder / RUN_LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter if it is another user's
        return True
    except OSError:
        return False
    return False
