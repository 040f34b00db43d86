"""Mean, standard deviation, range and histogram of the pixels of TIFFs, with one page in memory.

The counting itself is in counting.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.text import explain_without_path
from dicom_preprocessing.tiff.info import read_info
from dicom_preprocessing.tools.counting import COUNTED_BYTES, BinnedValues, CountedValues, Moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

PixelType = tuple[str, int]
"""dtype and number of channels."""


class Tally:
    """Values of the pages of one dtype and number of channels, by channel."""

    def __init__(self, kind: PixelType) -> None:
        dtype = np.dtype(kind[0])
        is_counted = dtype.kind in "iu" and dtype.itemsize <= COUNTED_BYTES
        make = CountedValues if is_counted else BinnedValues
        self.pixel_type = kind
        self.files = self.frames = self.not_finite = 0
        self.channels: list[Any] = [make(dtype) for _ in range(kind[1])]

    def add(self, pixels: NDArray[Any]) -> None:
        """Add the pixels of a page, (n, channels)."""
        self.frames += 1
        for channel, values in zip(self.channels, pixels.T, strict=True):
            finite = values
            if pixels.dtype.kind == "f":
                finite = values[np.isfinite(values)]
                self.not_finite += values.size - finite.size
            channel.add(finite)

    def merge(self, other: Tally) -> None:
        """Add another one of the same dtype and number of channels."""
        self.files += other.files
        self.frames += other.frames
        self.not_finite += other.not_finite
        for channel, values in zip(self.channels, other.channels, strict=True):
            channel.merge(values)

    @property
    def top(self) -> int | None:
        """The divisor that gives values in 0 to 1; None where the dtype has no full range.

        It is 255 or 65535, and 1 for floats within 0 to 1. Signed integers and other floats are
        values such as Hounsfield units.
        """
        dtype = np.dtype(self.pixel_type[0])
        if dtype.kind == "u" and dtype.itemsize <= COUNTED_BYTES:
            return int(np.iinfo(dtype).max)
        ranges = [c.range for c in self.channels if c.moments.count]
        is_unit = dtype.kind == "f" and all(low >= 0 and high <= 1 for low, high in ranges)
        return 1 if is_unit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSelection:
    """Which pixels count.

    ``active_only`` leaves out padding, by ActiveArea; ``skip_background`` leaves out pixels that
    are the background in all channels: 0, or the value in ImageDescription for stored values.
    """

    active_only: bool = False
    skip_background: bool = False


def tally_file(path: Path, choice: PixelSelection | None = None) -> dict[PixelType, Tally]:
    """Count one file.

    Raises
    ------
    OutputError
        It cannot be read, or not all of it.
    """
    choice = choice or PixelSelection()
    info = read_info(path)
    tallies: dict[PixelType, Tally] = {}
    background = read_background(path) if choice.skip_background else None
    for page in _read_pages(path):
        selected = page
        if choice.active_only and info.active_area is not None:
            left, top, right, bottom = info.active_area
            selected = page[top:bottom, left:right]
        pixels = selected.reshape(-1, page.shape[2])
        if background is not None:
            pixels = pixels[(pixels != background).any(axis=1)]
        kind = str(page.dtype), page.shape[2]
        tallies.setdefault(kind, Tally(kind)).add(pixels)
    for tally in tallies.values():
        tally.files = 1
    return tallies


def read_background(path: Path) -> float:
    """The value of the background in ImageDescription, else 0."""
    with tifffile.TiffFile(path) as tiff:
        description = tiff.pages.first.description
    try:
        return float(json.loads(description)["background"])
    except (ValueError, KeyError, TypeError):
        return 0.0


def _read_pages(path: Path) -> Iterator[NDArray[Any]]:
    """Read the pages of any TIFF, (rows, columns, channels), one after the other."""
    try:
        with tifffile.TiffFile(path) as tiff:
            size = tiff.filehandle.size
            for item in tiff.pages:
                page = item.aspage()
                _require_whole(page, size)
                pixels = np.asarray(page.asarray(maxworkers=1))
                if pixels.dtype == np.bool_:
                    pixels = pixels.astype(np.uint8)
                if page.axes.startswith("S"):
                    pixels = np.moveaxis(pixels, 0, -1)
                shape = page.imagelength, page.imagewidth, page.samplesperpixel
                yield pixels.reshape(shape)
    except MemoryError:
        raise
    except Exception as error:  # tifffile and codecs raise errors of any type on bad bytes
        raise OutputError(
            f"{path}: cannot be read as TIFF: {explain_without_path(error)}"
        ) from error


def _require_whole(page: tifffile.TiffPage, size: int) -> None:
    ends = zip(page.dataoffsets, page.databytecounts, strict=True)
    if max(offset + count for offset, count in ends) > size:
        raise ValueError("the file is cut")


@dataclass(slots=True)
class Statistics:
    """Tallies of all files that could be read, and messages about the others."""

    tallies: dict[PixelType, Tally] = field(default_factory=dict)
    files: int = 0
    bad: list[str] = field(default_factory=list)

    def add(self, outcome: dict[PixelType, Tally] | OutputError) -> None:
        """Add the outcome of a file."""
        self.files += 1
        if isinstance(outcome, OutputError):
            self.bad.append(str(outcome))
            return
        for kind, tally in outcome.items():
            if kind in self.tallies:
                self.tallies[kind].merge(tally)
            else:
                self.tallies[kind] = tally

    def normalised(self) -> dict[int, list[Moments]]:
        """Moments of values in 0 to 1 by number of channels, over every dtype that has them."""
        by_channels: dict[int, list[Moments]] = {}
        for (_, channels), tally in self._sort_tallies():
            if tally.top is not None:
                moments = [c.moments.divide(tally.top) for c in tally.channels]
                total = by_channels.get(channels, [Moments()] * channels)
                by_channels[channels] = [a.combine(b) for a, b in zip(total, moments, strict=True)]
        return by_channels

    def _sort_tallies(self) -> Iterable[tuple[PixelType, Tally]]:
        return sorted(self.tallies.items())

    def as_dict(self, bins: int) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "files": self.files,
            "bad": self.bad,
            "kinds": [_make_kind_record(tally, bins) for _, tally in self._sort_tallies()],
            "normalised": [
                {
                    "channels": channels,
                    "pixels": moments[0].count,
                    "mean": [m.mean for m in moments],
                    "std": [m.std for m in moments],
                }
                for channels, moments in self.normalised().items()
                if moments[0].count
            ],
        }


def _make_kind_record(tally: Tally, bins: int) -> dict[str, Any]:
    dtype, channels = tally.pixel_type
    return {
        "dtype": dtype,
        "channels": channels,
        "files": tally.files,
        "frames": tally.frames,
        "not_finite": tally.not_finite,
        "full_range": tally.top,
        "by_channel": [_make_channel_record(values, tally.top, bins) for values in tally.channels],
    }


def _make_channel_record(values: Any, top: int | None, bins: int) -> dict[str, Any]:  # noqa: ANN401
    moments = values.moments
    if not moments.count:
        return {"pixels": 0}
    low, high = values.range
    histogram = values.histogram(bins)
    record: dict[str, Any] = {
        "pixels": moments.count,
        "mean": moments.mean,
        "std": moments.std,
        "min": low,
        "max": high,
        "normalised": None,
        "histogram": {"edges": histogram.edges, "counts": histogram.counts},
    }
    if top is not None:
        scaled = moments.divide(top)
        record["normalised"] = {
            "mean": scaled.mean,
            "std": scaled.std,
            "min": low / top,
            "max": high / top,
        }
    return record
