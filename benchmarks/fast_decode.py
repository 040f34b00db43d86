"""What fast_decode saves, and by how much its images differ from exact ones.

Both are resized to one size, without crop and padding, and compared as display values of 16 bits.
Real files become a half and a quarter of their width and height, so that one and two resolution
levels are left out.
"""

from __future__ import annotations

import math
import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tifffile

import floors
import images
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.decode.values import is_relative
from dicom_preprocessing.dicom.transfer_syntaxes import JPEG_2000
from dicom_preprocessing.errors import DicomPreprocessingError
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processes import keep_freed_memory
from dicom_preprocessing.processing.instance import OutputSpec, process_instance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.index.table import InventoryEntry
    from dicom_preprocessing.results.receipts import Receipt

SYNTHETIC = {
    "mammo:j2k": [(384, 512)],
    "mammo:j2k-lossy": [(384, 512)],
    "mammo:htj2k": [(384, 512)],
    "dbt:j2k": [(384, 512)],
    "ct:j2k": [(256, 256), (128, 128)],
    "ct:htj2k": [(256, 256), (128, 128)],
}
"""Widths and heights that images become, by kind and transfer syntax."""

CT_STEP = 10
"""Of this many CT slices one is decoded."""
PARTS = {"half": 2, "quarter": 4}
GREY_LEVELS = 255
"""Steps of the full range in 8 bits, by which differences are told."""


class Difference(NamedTuple):
    """Differences of an image from the exact one, in parts of the full range.

    ``shift`` is by how much the mean is off, ``most`` what 99 % of the samples do not exceed.
    """

    rms: float
    shift: float
    most: float
    largest: float


class Comparison(NamedTuple):
    """An image that was decoded at a reduced resolution, and its CPU time in ms."""

    exact_ms: float
    fast_ms: float
    difference: Difference


@dataclass(frozen=True)
class FastDecode:
    """A row of the table: median CPU time in ms an image, and the greatest differences of all."""

    row: str
    becomes: str
    images: int
    exact_ms: float
    fast_ms: float
    lowest_psnr_db: float
    shift_grey_levels: float
    most_grey_levels: float
    largest_grey_levels: float


def measure(folder: Path, real: Path, *, quick: bool) -> Iterator[FastDecode]:
    """Compare synthetic images, and those of the files below the folder ``real``."""
    keep_freed_memory()  # as a worker does
    for row in SYNTHETIC:
        yield from measure_synthetic(row, folder, quick=quick)
    for name, entries in group_real_images(real).items():
        for part, divisor in PARTS.items():
            sizes = [(-(-e.columns // divisor), -(-e.rows // divisor)) for e in entries]
            pairs = zip(entries, sizes, strict=True)
            compared = [compare(entry, size, folder, repeat=1) for entry, size in pairs]
            yield from row_of(name, part, compared)


def measure_synthetic(row: str, folder: Path, *, quick: bool) -> Iterator[FastDecode]:
    """Compare images of a kind and transfer syntax that are made here."""
    scale, views, repeat = (0.5, 1, 1) if quick else (1.0, 0, 3)
    source = folder / row.replace(":", "-")
    images.files_of(row, source, scale=scale, studies=1, views=views)
    entries = entries_of(source)[:: CT_STEP if row.startswith("ct") else 1]
    for size in SYNTHETIC[row]:
        compared = [compare(entry, size, folder, repeat=repeat) for entry in entries]
        yield from row_of(row, "{}x{}".format(*size), compared)
    shutil.rmtree(source)


def group_real_images(folder: Path) -> dict[str, list[InventoryEntry]]:
    """JPEG 2000 and HTJ2K files by modality, apart where no window decides on the display values.

    Those are scaled from the lowest to the highest value, which differ at a reduced resolution.
    """
    groups: dict[str, list[InventoryEntry]] = {}
    for entry in entries_of(folder):
        if entry.transfer_syntax_uid in JPEG_2000:
            ending = "" if has_window(entry) else ", no window"
            groups.setdefault(f"files: {entry.modality}{ending}", []).append(entry)
    return dict(sorted(groups.items()))


def has_window(entry: InventoryEntry) -> bool:
    """Whether the header decides on the display values, or has errors that decoding will meet."""
    try:
        description, pixel_format, _ = floors.opened(Path(entry.path))
    except DicomPreprocessingError:
        return True
    return not is_relative(description, pixel_format, "voi", None)


def entries_of(folder: Path) -> list[InventoryEntry]:
    """Files below a folder that should become images."""
    studies = build_index(find_files([str(folder)])).studies
    return [entry for entries in studies.values() for entry in entries]


def compare(
    entry: InventoryEntry, size_wh: tuple[int, int], folder: Path, *, repeat: int
) -> Comparison | None:
    """Decode a file fast and exactly; None if it has no level to leave out, or no image."""
    settings = {"size": list(size_wh), "padding": "none"}
    milliseconds, pages = [], []
    for is_fast in (True, False):
        config, _ = parse_config(settings | {"fast_decode": is_fast})
        spec = OutputSpec(folder / "images", make_recipe(config, "write"))
        receipt, cpu_ms = process(entry, spec, repeat)
        if not receipt.is_written or (is_fast and not receipt.source_info["resolution_level"]):
            return None
        milliseconds.append(cpu_ms)
        pages.append(tifffile.imread(spec.root / receipt.output))
    (fast_ms, exact_ms), (fast, exact) = milliseconds, pages
    return Comparison(exact_ms, fast_ms, difference_of(fast, exact))


def process(entry: InventoryEntry, spec: OutputSpec, repeat: int) -> tuple[Receipt, float]:
    """Write the image of a file; its receipt, and the median CPU time in ms."""
    receipts: list[Receipt] = []

    def work() -> None:
        receipts.extend(process_instance([entry], spec))

    seconds = statistics.median(floors.cpu_of(work) for _ in range(repeat))
    return receipts[-1], 1000 * seconds


def difference_of(
    fast: NDArray[np.unsignedinteger], exact: NDArray[np.unsignedinteger]
) -> Difference:
    """Differences of two images of one shape and dtype."""
    signed = (fast.astype(np.float64) - exact) / np.iinfo(exact.dtype).max
    apart = np.abs(signed)
    return Difference(
        rms=math.sqrt(np.mean(apart**2)),
        shift=abs(float(signed.mean())),
        most=float(np.percentile(apart, 99)),
        largest=float(apart.max()),
    )


def row_of(row: str, becomes: str, compared: Sequence[Comparison | None]) -> Iterator[FastDecode]:
    """Yield the row of the images that have a reduced resolution, if any has."""
    reduced = [one for one in compared if one is not None]
    if not reduced:
        return
    differences = [one.difference for one in reduced]
    rms = max(one.rms for one in differences)
    yield FastDecode(
        row=row,
        becomes=becomes,
        images=len(reduced),
        exact_ms=statistics.median(one.exact_ms for one in reduced),
        fast_ms=statistics.median(one.fast_ms for one in reduced),
        lowest_psnr_db=-20 * math.log10(rms) if rms else math.inf,
        shift_grey_levels=GREY_LEVELS * max(one.shift for one in differences),
        most_grey_levels=GREY_LEVELS * max(one.most for one in differences),
        largest_grey_levels=GREY_LEVELS * max(one.largest for one in differences),
    )


def table(rows: Sequence[FastDecode]) -> Iterator[str]:
    """The rows as text; differences in grey levels of 8 bits."""
    head = ("fast_decode", "becomes", "images", "exact ms", "fast ms", "times", "PSNR dB")
    yield "{:<28}{:>9}{:>8}{:>10}{:>9}{:>7}{:>9}{:>8}{:>8}{:>10}{:>11}".format(
        *head, "shift", "99 %", "largest", "% of range"
    )
    for m in rows:
        yield (
            f"{m.row:<28}{m.becomes:>9}{m.images:>8}{m.exact_ms:>10.1f}{m.fast_ms:>9.1f}"
            f"{m.exact_ms / m.fast_ms:>7.1f}{m.lowest_psnr_db:>9.1f}"
            f"{m.shift_grey_levels:>8.1f}{m.most_grey_levels:>8.1f}{m.largest_grey_levels:>10.1f}"
            f"{100 * m.largest_grey_levels / GREY_LEVELS:>11.1f}"
        )
