"""Frames a second that training gets, beside tifffile and Pillow on the same files.

The files are synthetic mammograms as `dicom-preprocess` writes them, 384 x 512 of 16 bits. Readers
take turns, pass by pass, in one process; figures are medians of the passes. The files are in the
page cache, but for the last table.
"""

from __future__ import annotations

import mmap
import os
import random
import resource
import shutil
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

import images
from dicom_preprocessing import TiffDataset, load_tiff_u16
from dicom_preprocessing.cli.preprocess import main as preprocess
from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.tiff.tags import PageTags
from dicom_preprocessing.tiff.writer import write_pages

try:
    from PIL import Image
except ImportError:
    Image = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    Reader = Callable[[Path], Any]

COMPRESSORS = ("packbits", "lzw", "uncompressed")
PAGES, PAGE = 50, 25
BLOCK_BYTES = 512
MB = 1 << 20


@dataclass(frozen=True)
class ReaderRate:
    """A row of the table: frames a second, by reader."""

    row: str
    own: float
    tifffile: float
    pillow: float | None
    tifffile_all: float | None = None
    """Where tifffile reads the whole volume for its page."""


@dataclass(frozen=True)
class ReadOrderRate:
    """Images a second in an order, and what came from the disk for it."""

    order: str
    images: int
    a_second: float
    disk_mb: float
    size_mb: float


def sources(folder: Path, *, scale: float) -> dict[str, list[Path]]:
    """Single pages by compressor."""
    images.files_of("mammo:explicit", folder / "dicom", scale=scale, studies=2)
    found = {}
    for name in COMPRESSORS:
        target = folder / name
        options = ("-s", "384,512", "-c", "--crop-max", "--compressor", name, "-j", "1", "-q")
        preprocess([str(folder / "dicom"), str(target), *options])
        found[name] = sorted(target.rglob("*.tiff"))
    shutil.rmtree(folder / "dicom")
    return found


def volumes(folder: Path, singles: Mapping[str, Sequence[Path]]) -> dict[str, list[Path]]:
    """Volumes of 50 pages made of the single ones."""
    found: dict[str, list[Path]] = {}
    for name, paths in singles.items():
        pages = np.concatenate([load_tiff_u16(path) for path in paths])
        frames = np.stack([np.roll(pages[n % len(pages)], n, axis=0) for n in range(PAGES)])
        tags = PageTags(geometry=Geometry(Size(frames.shape[2], frames.shape[1])))
        path = folder / f"{name}-volume.tiff"
        write_pages(path, frames, [tags], compressor=name)
        found[name] = [path]
    return found


def measure(folder: Path, *, quick: bool) -> Iterator[ReaderRate]:
    """The rows of the table of readers."""
    singles = sources(folder, scale=0.15 if quick else 0.3)
    repeat = 9 if quick else 25
    for name, paths in singles.items():
        yield _row(f"{name}, 1 page", paths, _single_readers(), repeat)
    for name, paths in volumes(folder, singles).items():
        yield _row(f"{name}, 1 of {PAGES}", paths * len(singles[name]), _page_readers(), repeat)


def _single_readers() -> dict[str, Reader]:
    readers: dict[str, Reader] = {"own": load_tiff_u16, "tifffile": tifffile.imread}
    if Image is not None:
        readers["pillow"] = lambda path: np.asarray(Image.open(path))
    return readers


def _page_readers() -> dict[str, Reader]:
    def by_pillow(path: Path) -> Any:  # noqa: ANN401
        with Image.open(path) as file:
            file.seek(PAGE)
            return np.asarray(file)

    readers: dict[str, Reader] = {
        "own": lambda path: load_tiff_u16(path, [PAGE]),
        "tifffile": lambda path: tifffile.imread(path, key=PAGE),
        "tifffile, all": lambda path: tifffile.imread(path)[PAGE],
    }
    return readers | ({"pillow": by_pillow} if Image is not None else {})


def _row(name: str, paths: Sequence[Path], readers: dict[str, Reader], repeat: int) -> ReaderRate:
    seen = [np.asarray(read(paths[0])).ravel() for read in readers.values()]
    if not all(np.array_equal(values, seen[0]) for values in seen):
        raise SystemExit(f"{name}: the readers disagree")
    seconds: dict[str, list[float]] = {reader: [] for reader in readers}
    for _ in range(repeat):
        for reader, read in readers.items():
            start = time.perf_counter()
            for path in paths:
                _look_at(read(path))
            seconds[reader].append(time.perf_counter() - start)
    rate = {reader: len(paths) / statistics.median(found) for reader, found in seconds.items()}
    return ReaderRate(
        name, rate["own"], rate["tifffile"], rate.get("pillow"), rate.get("tifffile, all")
    )


def _look_at(image: np.ndarray[Any, Any]) -> None:
    """Touch each page of memory of an array: a mapped one is read then."""
    int(image.reshape(-1)[:: mmap.PAGESIZE // image.itemsize].max())


def table(rows: Sequence[ReaderRate]) -> Iterator[str]:
    """The rows as text; "x" is how many times as fast as that reader."""
    head = ("loader, frames/s", "own", "tifffile", "x", "Pillow", "x", "tifffile, all", "x")
    yield "{:<24}{:>8}{:>10}{:>6}{:>10}{:>6}{:>15}{:>6}".format(*head)
    for m in rows:
        others = zip((m.tifffile, m.pillow, m.tifffile_all), (10, 10, 15), strict=True)
        cells = (
            f"{'-':>{width}}{'-':>6}" if rate is None else f"{rate:>{width}.0f}{m.own / rate:>6.1f}"
            for rate, width in others
        )
        yield f"{m.row:<24}{m.own:>8.0f}{''.join(cells)}"
    if Image is None:
        yield "Pillow is not installed"


def measure_orders(folder: Path, single: Path, *, quick: bool) -> list[ReadOrderRate]:
    """Images a second by inode and in random order, after they were dropped from the cache."""
    count = 200 if quick else 1000
    for number in random.Random(1).sample(range(count), count):  # noqa: S311
        target = folder / "tree" / f"1.{number % 20}" / f"1.{number}.tiff"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(single, target)
    dataset = TiffDataset(folder / "tree")
    ordered = np.argsort(dataset.inodes()).tolist()
    shuffled = random.Random(2).sample(ordered, count)  # noqa: S311
    rates: dict[str, list[tuple[float, float]]] = {"inode": [], "random": []}
    for _ in range(3):
        for name, order in (("inode", ordered), ("random", shuffled)):
            _drop_from_cache([dataset.path(number) for number in order])
            before, start = _disk_mb(), time.perf_counter()
            for number in order:
                _look_at(dataset[number].image)
            rates[name].append((count / (time.perf_counter() - start), _disk_mb() - before))
    size = sum(dataset.path(number).stat().st_size for number in ordered) / MB
    return [
        ReadOrderRate(name, count, *map(statistics.median, zip(*found, strict=True)), size)
        for name, found in rates.items()
    ]


def orders_table(rows: Sequence[ReadOrderRate]) -> Iterator[str]:
    """The rows as text, and whether the cache let go of the files."""
    head = ("order", "images", "images/s", "from disk MB", "of MB")
    yield "{:<24}{:>8}{:>12}{:>14}{:>9}".format(*head)
    for m in rows:
        yield f"{m.order:<24}{m.images:>8}{m.a_second:>12.0f}{m.disk_mb:>14.0f}{m.size_mb:>9.0f}"
    if any(m.disk_mb < 0.5 * m.size_mb for m in rows):
        yield "The page cache could not be dropped: these are not cold."


def _drop_from_cache(paths: Sequence[Path]) -> None:
    if not hasattr(os, "posix_fadvise"):
        return
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def _disk_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_inblock * BLOCK_BYTES / MB
