"""Disk usage of files on a file system that compresses them by records, as ZFS does.

The model: a file of at most one record is one block, a larger one consists of full records, the
last filled up with zeros. Each block is compressed by itself and stays uncompressed unless that
saves an eighth; a block of zeros takes no space. Stored sizes are rounded up to sectors. Parity,
metadata and snapshots are left out. ZSTD is at level 3, the default of ZFS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import imagecodecs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECORD_BYTES = 128 * 1024
SECTOR_BYTES = 4096
MIN_SAVING_DIVISOR = 8
"""A block is stored compressed if that saves at least one over this of it: an eighth."""
ZSTD_LEVEL = 3


def _measure_lz4(block: bytes) -> int:
    return len(imagecodecs.lz4_encode(block))


def _measure_zstd(block: bytes) -> int:
    return len(imagecodecs.zstd_encode(block, level=ZSTD_LEVEL))


BLOCK_COMPRESSORS: dict[str, Callable[[bytes], int]] = {"lz4": _measure_lz4, "zstd": _measure_zstd}


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Bytes of a file, and its bytes on disk after each block compression."""

    apparent: int
    lz4: int
    zstd: int


def measure_disk_usage(path: Path, record_bytes: int = RECORD_BYTES) -> DiskUsage:
    """Read a file record by record and compress each.

    Parameters
    ----------
    path : Path
    record_bytes : int
        ``recordsize`` of the data set.
    """
    apparent = path.stat().st_size
    taken = dict.fromkeys(BLOCK_COMPRESSORS, 0)
    with path.open("rb") as file:
        while block := file.read(record_bytes):
            if apparent > record_bytes:
                block = block.ljust(record_bytes, b"\0")  # the last one
            for name, compressed_size in BLOCK_COMPRESSORS.items():
                taken[name] += block_size(block, compressed_size)
    return DiskUsage(apparent, **taken)


def block_size(block: bytes, compressed_size: Callable[[bytes], int]) -> int:
    """Bytes that one block takes, in full sectors."""
    if not block.strip(b"\0"):
        return 0
    uncompressed = _round_to_sectors(len(block))
    compressed = compressed_size(block)
    is_worth_it = compressed <= len(block) - len(block) // MIN_SAVING_DIVISOR
    return min(_round_to_sectors(compressed), uncompressed) if is_worth_it else uncompressed


def _round_to_sectors(size: int) -> int:
    return -(-size // SECTOR_BYTES) * SECTOR_BYTES
