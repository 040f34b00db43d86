"""Write the same images with each compressor, and measure them."""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.config import COMPRESSORS
from dicom_preprocessing.errors import OutputError, SourceError
from dicom_preprocessing.files import temporary_folder
from dicom_preprocessing.results.outcomes import try_call
from dicom_preprocessing.results.tables import cells_of, write_cells
from dicom_preprocessing.tiff.reader import read_frames
from dicom_preprocessing.tiff.writer import write_pages
from dicom_preprocessing.tools.tiff_benchmark.blocks import RECORD_BYTES, measure_disk_usage
from dicom_preprocessing.tools.tiff_benchmark.cache import drop_cached, read_and_discard
from dicom_preprocessing.tools.tiff_image import TiffImage, read_tiff_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from dicom_preprocessing.tools.tree import Tree

COPIES = "copies"
"""Name of the temporary folder in that of the tables."""
TABLES = ("sizes.csv", "reading.csv", "runs.csv")

SEED = 7
MS = 1000
MIN_DROPPED_SHARE = 0.99
"""Share of the pages that must be out of the cache in a read that counts as uncached."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """A row of the first table: bytes of all files, times per image in ms.

    An image's time is the best of the repeats, read from the cache; ``decode_peak_ms`` is that of
    the slowest image.
    """

    compressor: str
    total_bytes: int
    lz4_bytes: int
    zstd_bytes: int
    decode_median_ms: float
    decode_peak_ms: float
    write_median_ms: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A row of the second table: reading without decoding, files per second.

    ``dropped`` is the share of pages that were out of the cache before, None where unknown.
    """

    compressor: str
    sequential: float
    random: float
    dropped: float | None


@dataclass(frozen=True, slots=True)
class Runs:
    """A row of the third table: files per second, read in random order and decoded."""

    compressor: str
    first: float
    second: float
    dropped: float | None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Everything that the page shows.

    ``images`` were measured; ``unreadable`` ones were left out, the same with each compressor.
    """

    images: int
    unreadable: int
    frames: int
    pixel_bytes: int
    record_bytes: int
    sizes: list[Sizes]
    reading: list[Reading]
    runs: list[Runs]

    @property
    def is_uncached(self) -> bool:
        """Whether nearly all pages were out of the cache before the first reads."""
        parts = [row.dropped for row in self.reading] + [row.dropped for row in self.runs]
        return all(part is not None and part > MIN_DROPPED_SHARE for part in parts)


def run_benchmark(
    tree: Tree,
    *,
    limit: int | None = None,
    repeat: int = 3,
    record_bytes: int = RECORD_BYTES,
    folder: Path | None = None,
    on_compressor: Callable[[str], object] = lambda _: None,
) -> Benchmark:
    """Write images with each compressor to a temporary folder, and measure.

    Parameters
    ----------
    tree : Tree
        Images that the workflow wrote.
    limit : int or None
        At most this number of images, spread over the tree.
    repeat : int
        Passes; the best counts for times per image, the median for rates.
    record_bytes : int
        Record size of the model of ZFS.
    folder : Path or None
        Folder on the file system to measure; None: that of temporary files.
    on_compressor : callable
        Called with each compressor before it is measured.

    Raises
    ------
    SourceError
        No image can be read.
    """
    paths = _sample_evenly(tree.paths, limit)
    sizes, reading, runs = [], [], []
    counts = (0, 0, 0, 0)
    with _make_temporary_folder(folder) as temporary:
        for compressor in COMPRESSORS:
            on_compressor(compressor)
            copies = Path(temporary) / compressor
            written, write_ms, counts = _write_copies(paths, copies, compressor)
            sizes.append(_measure_sizes(compressor, written, write_ms, repeat, record_bytes))
            reading.append(_measure_reading(compressor, written, repeat))
            runs.append(_measure_runs(compressor, written, repeat))
            shutil.rmtree(copies)
    return Benchmark(*counts, record_bytes, sizes, reading, runs)


def _make_temporary_folder(folder: Path | None) -> AbstractContextManager[Path | str]:
    if folder is None:
        return tempfile.TemporaryDirectory(prefix="tiff-benchmark-")
    return temporary_folder(folder, COPIES)


def _sample_evenly(paths: Sequence[Path], limit: int | None) -> list[Path]:
    if limit is None or limit >= len(paths):
        return list(paths)
    return [paths[i * len(paths) // limit] for i in range(limit)]


def _write_copies(
    paths: Sequence[Path], folder: Path, compressor: str
) -> tuple[list[Path], list[float], tuple[int, int, int, int]]:
    """Paths, times in ms, and how many images, unreadable ones, frames and bytes of pixels."""
    folder.mkdir(parents=True)
    written, spent, frames, pixel_bytes = [], [], 0, 0
    for number, path in enumerate(paths):
        image = try_call(_read_image, path)
        if isinstance(image, OutputError):
            continue  # counted below
        stored, pixels = image
        target = folder / f"{number:06}.tiff"
        start = time.perf_counter()
        write_pages(target, pixels, [stored.tags()], compressor=compressor)
        spent.append(MS * (time.perf_counter() - start))
        written.append(target)
        frames += len(pixels)
        pixel_bytes += pixels.nbytes
    if not written:
        raise SourceError("none of the images can be read")
    return written, spent, (len(written), len(paths) - len(written), frames, pixel_bytes)


def _read_image(path: Path) -> tuple[TiffImage, NDArray[Any]]:
    stored = read_tiff_image(path)
    return stored, np.asarray(stored.frames)


def _measure_sizes(
    compressor: str,
    paths: Sequence[Path],
    write_ms: Sequence[float],
    repeat: int,
    record_bytes: int,
) -> Sizes:
    stored = [measure_disk_usage(path, record_bytes) for path in paths]
    decode_ms = [min(_measure_decode_ms(path) for _ in range(repeat)) for path in paths]
    return Sizes(
        compressor,
        sum(s.apparent for s in stored),
        sum(s.lz4 for s in stored),
        sum(s.zstd for s in stored),
        statistics.median(decode_ms),
        max(decode_ms),
        statistics.median(write_ms),
    )


def _measure_decode_ms(path: Path) -> float:
    start = time.perf_counter()
    decode(path)
    return MS * (time.perf_counter() - start)


def decode(path: Path) -> None:
    """Read and decode every page, as a loader would."""
    frames = read_frames(path)
    for index in range(len(frames)):
        frames[index]


def _measure_reading(compressor: str, paths: Sequence[Path], repeat: int) -> Reading:
    by_inode = sorted(paths, key=lambda path: path.stat().st_ino)
    shuffled = _shuffle(paths)
    sequential: list[float] = []
    at_random: list[float] = []
    dropped = []
    for _ in range(repeat):
        for order, rates in ((by_inode, sequential), (shuffled, at_random)):
            dropped.append(drop_cached(paths))
            rates.append(_measure_rate(order, read_and_discard))
    return Reading(
        compressor,
        statistics.median(sequential),
        statistics.median(at_random),
        _find_minimum(dropped),
    )


def _measure_runs(compressor: str, paths: Sequence[Path], repeat: int) -> Runs:
    order = _shuffle(paths)
    first, second, dropped = [], [], []
    for _ in range(repeat):
        dropped.append(drop_cached(paths))
        first.append(_measure_rate(order, decode))
        second.append(_measure_rate(order, decode))
    return Runs(
        compressor, statistics.median(first), statistics.median(second), _find_minimum(dropped)
    )


def _shuffle(paths: Sequence[Path]) -> list[Path]:
    order = list(paths)
    random.Random(SEED).shuffle(order)  # noqa: S311  # not a secret
    return order


def _measure_rate(paths: Sequence[Path], read: Callable[[Path], object]) -> float:
    """Files per second."""
    start = time.perf_counter()
    for path in paths:
        read(path)
    return len(paths) / (time.perf_counter() - start)


def _find_minimum(dropped: Sequence[float | None]) -> float | None:
    known = [part for part in dropped if part is not None]
    return min(known) if len(known) == len(dropped) else None


def write_tables(benchmark: Benchmark, folder: Path) -> None:
    """Write sizes.csv, reading.csv and runs.csv."""
    tables: tuple[Sequence[Any], ...] = (benchmark.sizes, benchmark.reading, benchmark.runs)
    for name, rows in zip(TABLES, tables, strict=True):
        columns = [field.name for field in fields(rows[0])]
        write_cells(columns, map(cells_of, rows), folder / name)
