"""Memory of a worker that stacks the slices of a series, by their number and by settings.

Slices are made when they are written, so that a volume of hundreds of them takes no more memory
than one of twenty, but for some KB of headers each.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

import images

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FEW, MANY, MANY_IF_QUICK = 20, 600, 100
SIDE = 512
STEP = 1.25
SERIES = "1.2.826.0.1.3680043.10.1000.2"
FIRST = 1000
"""Numbers of slices have four digits, so that one file becomes all others by replacing bytes."""

DEFLATED = "keep, deflated"
OPTIONS = {
    "keep": [],
    "keep, crop, size": ["--crop", "-s", "256,256"],
    "keep, minmax": ["--intensity", "minmax"],
    "keep, stored": ["--intensity", "stored"],
    "spacing with z": ["--spacing", "1,1,2"],
    "spacing with z, stored": ["--spacing", "1,1,2", "--intensity", "stored"],
    "interpolate": ["--volume", "interpolate", "--target-frames", "64"],
    "max-intensity": ["--volume", "max-intensity"],
    DEFLATED: [],
}


@dataclass(frozen=True)
class StackMemory:
    """What a worker takes for a volume of few and for one of many slices, MB above a tiny image."""

    settings: str
    few: int
    many: int
    few_mb: float
    many_mb: float

    @property
    def slice_kb(self) -> float:
        """KB that one more slice takes; its pixels have 512."""
        return 1024 * (self.many_mb - self.few_mb) / (self.many - self.few)


def make_slice() -> Dataset:
    """A CT slice: a body of noise in air."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    is_body = np.hypot(rows - SIDE / 2, columns - SIDE / 2) < SIDE / 3
    noise = np.random.default_rng(1).integers(900, 1200, (SIDE, SIDE))
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = CTImageStorage
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{SERIES}.1", f"{SERIES}.2"
    made.SOPInstanceUID = f"{SERIES}.3.{FIRST}"
    made.Modality = "CT"
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.ImagePositionPatient = [-180, -180, position_of(0)]
    made.PixelSpacing = [0.7, 0.7]
    made.WindowCenter, made.WindowWidth = 40, 400
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows = made.Columns = SIDE
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = 0
    made.PixelData = np.where(is_body, noise, 24).astype(np.uint16).tobytes()
    return made


def position_of(index: int) -> str:
    """Of a slice along z, in a text of one length."""
    return f"{1000 + STEP * index:.2f}"


def make_series(folder: Path, count: int, *, deflated: bool = False) -> None:
    """Write a series as fast as a disk takes files: copies of one slice, each at its place."""
    folder.mkdir(parents=True)
    template = folder / "template"
    pydicom.dcmwrite(template, make_slice(), enforce_file_format=True)
    content = template.read_bytes()
    template.unlink()
    for index in range(count):
        copy = content.replace(f".3.{FIRST}".encode(), f".3.{FIRST + index}".encode())
        copy = copy.replace(position_of(0).encode(), position_of(index).encode())
        place = folder / f"{count - index:04d}.dcm"
        place.write_bytes(copy)
        if deflated:
            data_set = pydicom.dcmread(place)
            data_set.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
            data_set.save_as(place)


def measure(folder: Path, *, quick: bool) -> Iterator[StackMemory]:
    """Peak memory of a worker by settings and number of slices."""
    images.files_of("mammo:explicit", folder / "tiny", scale=0.02, studies=1)
    base_mb = images.peak_memory(folder / "tiny", folder / "none")
    counts = FEW, MANY_IF_QUICK if quick else MANY
    for count in counts:
        make_series(folder / f"{count}", count)
        make_series(folder / f"{count} deflated", count, deflated=True)
    for settings, options in OPTIONS.items():
        peaks = []
        for count in counts:
            source = folder / (f"{count} deflated" if settings == DEFLATED else f"{count}")
            peak = images.peak_memory(source, folder / "images", "--series", "stack", *options)
            peaks.append(peak - base_mb)
            shutil.rmtree(folder / "images")
        yield StackMemory(settings, *counts, *peaks)
    shutil.rmtree(folder)


def table(rows: Sequence[StackMemory]) -> Iterator[str]:
    """The rows as text."""
    few, many = rows[0].few, rows[0].many
    head = ("stack of 512x512", f"{few} slices MB", f"{many} slices MB", "KB a slice")
    yield "{:<28}{:>16}{:>16}{:>12}".format(*head)
    for m in rows:
        yield f"{m.settings:<28}{m.few_mb:>16.0f}{m.many_mb:>16.0f}{m.slice_kb:>12.1f}"
