"""Mean, standard deviation, range and histogram of the pixels of TIFFs, with one page in memory.

The counting itself is in counting.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.tiff.info import read_header
from dicom_preprocessing.tiff.reader import TiffPages, explain_unreadable
from dicom_preprocessing.tools.counting import COUNTED_BYTES, BinnedValues, CountedValues, Moments

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

MAX_CHANNELS = 256
"""Channels of a file whose values are counted."""

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
    with explain_unreadable(path):
        pages = TiffPages(path)
        header = read_header(pages)
        area = header.info.active_area if choice.active_only else None
        background = float(header.description.get("background", 0))
        tallies: dict[PixelType, Tally] = {}
        for index, page in enumerate(pages):
            if area is not None and (page.columns < area[2] or page.rows < area[3]):
                raise OutputError(f"{path}: its active area is not within page {index}")
            pixels = _select_pixels(
                _read_page(pages, index), area, background if choice.skip_background else None
            )
            kind = str(pixels.dtype), pixels.shape[1]
            tallies.setdefault(kind, Tally(kind)).add(pixels)
            _require_few_channels(path, tallies)
    for tally in tallies.values():
        tally.files = 1
    return tallies


def _select_pixels(
    page: NDArray[Any], area: tuple[int, int, int, int] | None, background: float | None
) -> NDArray[Any]:
    """The pixels of a page that count, (n, channels)."""
    if area is not None:
        left, top, right, bottom = area
        page = page[top:bottom, left:right]
    pixels = page.reshape(page.shape[0] * page.shape[1], page.shape[2])
    return pixels if background is None else pixels[(pixels != background).any(axis=1)]


def _read_page(pages: TiffPages, index: int) -> NDArray[Any]:
    """A page of any TIFF, (rows, columns, channels), of numbers."""
    if pages[index].samples > MAX_CHANNELS:
        raise OutputError(
            f"{pages.path}: found {pages[index].samples} channels; expected {MAX_CHANNELS} at most"
        )
    page = pages.read(index)
    if page.dtype.kind not in "iufb":
        raise OutputError(f"{pages.path}: found values of type {page.dtype}; expected numbers")
    return page.astype(np.uint8) if page.dtype.kind == "b" else page


def _require_few_channels(path: Path, tallies: Collection[PixelType]) -> None:
    """Refuse pages whose counters would take any amount of memory: half a MB a channel."""
    if sum(channels for _, channels in tallies) > MAX_CHANNELS:
        raise OutputError(f"{path}: its pages have more than {MAX_CHANNELS} kinds of channels")


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
