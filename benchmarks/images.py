"""What an image costs, and memory: CPU time and its shares, by kind of image and syntax.

``floors`` says how time is measured, and what the floor is.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import floors
import make_synthetic
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.scan import scan_file
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processes import keep_freed_memory
from dicom_preprocessing.processing.instance import OutputSpec, group_by_instance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ROWS = (
    "mammo:explicit",
    "mammo:rle",
    "mammo:jpeg-lossless",
    "mammo:jpegls",
    "mammo:htj2k",
    "mammo:j2k",
    "ct:explicit",
    "ct:j2k",
    "mr:explicit",
    "pet:explicit",
    "dbt:explicit",
    "dbt:htj2k",
    "us:explicit",
    "us:jpeg-baseline",
    "mammo:htj2k:fast",
    "mammo:j2k:fast",
)
"""Kind and transfer syntax, and ``fast`` for fast_decode."""

STUDIES = {"mr": 1, "us": 4}
"""By kind, where it is not 2: the second study of MR is an Enhanced object, clips are few."""

FRAME_SCALES = {"mr": 4.0, "pet": 1.0}
"""By kind, where it is not 0.5: small slices need to be many."""

SETTINGS = {"crop": True, "crop_max": True, "size": [384, 512]}
LIKE_SETTINGS = ("--crop", "--crop-max", "-s", "384,512")
MEMORY_ROWS = ("dbt:explicit", "dbt:htj2k", "dbt:j2k")
MEMORY_OPTIONS = {
    "keep": [],
    "keep, crop": ["--crop"],
    "keep, crop, size": ["--crop", "-s", "384,512"],
    "central-slice": ["--volume", "central-slice", "-s", "384,512"],
    "max-intensity": ["--volume", "max-intensity", "-s", "384,512"],
}
MB = 1 << 20
REPORT_PEAK = (
    "import resource, sys; from dicom_preprocessing.cli.preprocess import main; "
    "main(sys.argv[1:]); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


@dataclass(frozen=True)
class ImageCost:
    """A row of the table: shares of an image; MB of the largest file, and of the worker.

    ``peak_mb`` is above what a worker takes for a tiny image.
    """

    row: str
    images: int
    shares: floors.Shares
    decoded_mb: float
    peak_mb: float

    def record(self) -> dict[str, object]:
        """All figures, for JSON."""
        sizes = {"decoded_mb": self.decoded_mb, "peak_mb": self.peak_mb}
        return {"row": self.row, "images": self.images} | self.shares.record() | sizes


def files_of(
    row: str,
    folder: Path,
    *,
    scale: float,
    studies: int,
    views: int = 0,
    frame_scale: float | None = None,
) -> list[Path]:
    """Make the studies of a row; ``views`` images each, 0 for all."""
    kind, syntax, *_ = row.split(":")
    if frame_scale is None:
        frame_scale = FRAME_SCALES.get(kind, 0.5) * scale
    with contextlib.redirect_stderr(io.StringIO()):
        make_synthetic.main(
            [
                *(str(folder), "--kind", kind, "--transfer-syntax", syntax, "--seed", "7"),
                *("--studies", str(studies), "--scale", str(scale), "--jobs", "1"),
                *("--frame-scale", str(frame_scale), "--views", str(views)),
            ]
        )
    return files_in(folder)


def files_in(folder: Path) -> list[Path]:
    """Files of synthetic studies: those of MR have no suffix, and a table is in the folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.parent != folder)


def measure(row: str, folder: Path, *, scale: float, passes: int, base_mb: float) -> ImageCost:
    """Measure a row, on files that stay in ``folder / "source"``."""
    kind, *_ = row.split(":")
    source = folder / "source"
    files = files_of(row, source, scale=scale, studies=STUDIES.get(kind, 2))
    shares = shares_of(source, folder / "images", passes=passes, fast=row.endswith(":fast"))
    peak = peak_memory(source, folder / "memory", *LIKE_SETTINGS)
    return ImageCost(
        row=row,
        images=len(files),
        shares=shares,
        decoded_mb=max(map(floors.stored_bytes, files)) / MB,
        peak_mb=peak - base_mb,
    )


def shares_of(source: Path, output: Path, *, passes: int, fast: bool = False) -> floors.Shares:
    """Measure the images of a folder in this process."""
    index = build_index(find_files([str(source)]))
    groups = [group for entries in index.studies.values() for group in group_by_instance(entries)]
    config, _ = parse_config(SETTINGS | {"fast_decode": fast})
    keep_freed_memory()  # as a worker does
    target = OutputSpec(output, make_recipe(config, "write"))
    return floors.measure(groups, target, passes=passes)


def peak_memory(source: Path, output: Path, *options: str) -> float:
    """MB that the worker of a run of dicom-preprocess held at most."""
    places = [str(source), str(output)]
    command = [sys.executable, "-c", REPORT_PEAK, *places, "-j", "1", "-q", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return int(done.stdout.split()[-1]) / 1024


@dataclass(frozen=True)
class Memory:
    """What one multi-frame object takes, above a tiny image."""

    row: str
    settings: str
    frames: int
    frame_mb: float
    peak_mb: float

    @property
    def peak_frames(self) -> float:
        """In frames."""
        return self.peak_mb / self.frame_mb

    @property
    def peak_volumes(self) -> float:
        """In decoded volumes."""
        return self.peak_frames / self.frames


def measure_memory(row: str, folder: Path, *, scale: float, base_mb: float) -> Iterator[Memory]:
    """Peak memory of a worker over one object, by settings."""
    source = folder / "source"
    path, *_ = files_of(row, source, scale=scale, studies=1, views=1)
    _, layout, _ = floors.opened(path)
    frame_mb = floors.stored_bytes(path) / layout.number_of_frames / MB
    for name, options in MEMORY_OPTIONS.items():
        peak = peak_memory(source, folder / "images", *options) - base_mb
        yield Memory(row, name, layout.number_of_frames, frame_mb, peak)


def memory_table(rows: Sequence[Memory]) -> Iterator[str]:
    """The rows as text."""
    head = ("row", "settings", "frames", "frame MB", "peak MB", "in frames", "in volumes")
    yield "{:<16}{:<20}{:>8}{:>10}{:>9}{:>11}{:>12}".format(*head)
    for m in rows:
        yield (
            f"{m.row:<16}{m.settings:<20}{m.frames:>8}{m.frame_mb:>10.1f}{m.peak_mb:>9.0f}"
            f"{m.peak_frames:>11.1f}{m.peak_volumes:>12.2f}"
        )


def headers_a_second(folder: Path) -> float:
    """Headers that the index scans a second of CPU time, from a warm page cache."""
    files_of("ct:explicit", folder / "ct", scale=0.1, studies=2)
    files_of("mammo:explicit", folder / "mammo", scale=0.02, studies=25)
    files = find_files([str(folder)])

    def scan() -> None:
        for found in files:
            scan_file(found)

    scan()
    return len(files) / statistics.median(floors.cpu_of(scan) for _ in range(5))


def table(rows: Sequence[ImageCost]) -> Iterator[str]:
    """The rows as text; of all figures but the first and the last two, CPU time in ms an image."""
    yield f"{'row':<20}{'images':>8}{floors.HEAD}{'decoded MB':>12}{'peak MB':>9}"
    for m in rows:
        sizes = f"{m.decoded_mb:>12.1f}{m.peak_mb:>9.0f}"
        yield f"{m.row:<20}{m.images:>8}{m.shares.cells()}{sizes}"
