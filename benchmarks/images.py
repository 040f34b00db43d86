"""What an image costs beside its codec: CPU time and memory, by kind of image and syntax.

Start-up is left out: everything is imported before the first measurement, and images are processed
one after the other in this process, as one worker of `dicom-preprocess` does. "codec" is the
decoder alone on the streams of the same files, or a copy of native pixels.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import make_synthetic
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.decode.codecs.registry import decode_stream
from dicom_preprocessing.decode.codecs.runner import IMAGE_WARNINGS
from dicom_preprocessing.decode.fragments import find_frame_fragments
from dicom_preprocessing.decode.pixel_format import read_pixel_format
from dicom_preprocessing.decode.pixels import decoder_options
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.dicom.transfer_syntaxes import NATIVE
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.scan import scan_file
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processes import keep_freed_memory
from dicom_preprocessing.processing.instance import OutputSpec, group_by_instance, process_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.decode.pixel_format import PixelFormat
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData

ROWS = (
    "mammo:explicit",
    "mammo:rle",
    "mammo:jpeg-lossless",
    "mammo:jpegls",
    "mammo:htj2k",
    "mammo:j2k",
    "ct:explicit",
    "ct:j2k",
    "dbt:explicit",
    "dbt:htj2k",
    "us:jpeg-baseline",
    "mammo:htj2k:fast",
    "mammo:j2k:fast",
)
"""Kind and transfer syntax, and ``fast`` for fast_decode."""

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
    """A row of the table: CPU time in ms an image; MB of the largest file, and of the worker.

    ``peak_mb`` is above what a worker takes for a tiny image.
    """

    row: str
    images: int
    total_ms: float
    codec_ms: float
    rest_ms: float
    ratio: float
    decoded_mb: float
    peak_mb: float


def files_of(row: str, folder: Path, *, scale: float, studies: int, views: int = 0) -> list[Path]:
    """Make the studies of a row; ``views`` images each, 0 for all."""
    kind, syntax, *_ = row.split(":")
    with contextlib.redirect_stderr(io.StringIO()):
        make_synthetic.main(
            [
                *(str(folder), "--kind", kind, "--transfer-syntax", syntax, "--seed", "7"),
                *("--studies", str(studies), "--scale", str(scale), "--jobs", "1"),
                *("--frame-scale", str(0.5 * scale), "--views", str(views)),
            ]
        )
    return sorted(folder.rglob("*.dcm"))


def cpu_of(work: Callable[[], object]) -> float:
    """Seconds of CPU time, all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def codec_only(path: Path) -> Callable[[], object]:
    """The decoder alone on the frames of a file that is in memory."""
    description, layout, pixel_data = opened(path)
    syntax = description.transfer_syntax_uid
    if syntax in NATIVE:
        data = pixel_data.stream([pixel_data.value])
        return lambda: np.frombuffer(data, np.uint8).copy()
    options = decoder_options(description, layout) | {IMAGE_WARNINGS: ImageWarnings()}
    n, warnings = layout.number_of_frames, ImageWarnings()
    frames = find_frame_fragments(pixel_data, description, n, warnings)
    streams = list(map(pixel_data.stream, frames))

    def work() -> None:
        for stream in streams:
            decode_stream(stream, syntax, options)

    return work


def opened(path: Path) -> tuple[Description, PixelFormat, PixelData]:
    """Description, format and pixel data of a file."""
    description, pixel_data = open_image(path)
    if pixel_data is None:
        raise SystemExit(f"{path} has no pixel data")
    return (
        description,
        read_pixel_format(description, pixel_data.keyword, ImageWarnings()),
        pixel_data,
    )


def measure(
    row: str, folder: Path, *, scale: float, studies: int, repeat: int, base_mb: float
) -> ImageCost:
    """Measure a row; the median of ``repeat`` passes over its files."""
    files = files_of(row, folder / "source", scale=scale, studies=studies)
    index = build_index(find_files([str(folder / "source")]))
    groups = [group for entries in index.studies.values() for group in group_by_instance(entries)]
    config, _ = parse_config(SETTINGS | {"fast_decode": row.endswith(":fast")})
    target = OutputSpec(folder / "images", make_recipe(config, "write"))
    keep_freed_memory()  # as a worker does

    def process_all() -> None:
        for group in groups:
            (receipt,) = process_instance(group, target)
            if not receipt.is_written:
                raise SystemExit(f"{receipt.source_path}: {receipt.message}")

    def load_again() -> float:
        shutil.rmtree(
            target.root, ignore_errors=True
        )  # replacing a file costs more than making one
        return cpu_of(process_all)

    # In turn, since the machine is faster at one time than at another.
    decoders = list(map(codec_only, files))
    load_again()
    passes = [(load_again(), sum(map(cpu_of, decoders))) for _ in range(repeat)]
    total, codec = (statistics.median(seconds) for seconds in zip(*passes, strict=True))
    images = len(groups)
    total_ms, codec_ms = 1000 * total / images, 1000 * codec / images
    peak = peak_memory(folder / "source", folder / "memory", *LIKE_SETTINGS)
    return ImageCost(
        row=row,
        images=images,
        total_ms=total_ms,
        codec_ms=codec_ms,
        rest_ms=total_ms - codec_ms,
        ratio=total_ms / codec_ms,
        decoded_mb=max(decoded_bytes(path) for path in files) / MB,
        peak_mb=peak - base_mb,
    )


def decoded_bytes(path: Path) -> int:
    """Bytes of the decoded frames of a file."""
    _, layout, _ = opened(path)
    return layout.rows * layout.columns * layout.number_of_frames * layout.samples_per_pixel * 2


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
    _, layout, _ = opened(path)
    frame_mb = decoded_bytes(path) / layout.number_of_frames / MB
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
    return len(files) / statistics.median(cpu_of(scan) for _ in range(5))


def table(rows: Sequence[ImageCost]) -> Iterator[str]:
    """The rows as text."""
    head = ("row", "images", "ms", "codec ms", "rest ms", "ratio", "decoded MB", "peak MB")
    yield "{:<20}{:>8}{:>10}{:>10}{:>10}{:>8}{:>12}{:>10}".format(*head)
    for m in rows:
        yield (
            f"{m.row:<20}{m.images:>8}{m.total_ms:>10.1f}{m.codec_ms:>10.1f}{m.rest_ms:>10.1f}"
            f"{m.ratio:>8.2f}{m.decoded_mb:>12.1f}{m.peak_mb:>10.0f}"
        )
