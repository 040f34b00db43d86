"""Mean, standard deviation, range and histogram of the pixels of TIFFs, with one page in memory.

Values of up to 16 bits are counted, one counter a value, so that everything is exact. Sums of wider
integers are exact too; floats are merged page by page by the formulas of Chan, Golub and LeVeque
(1983), which do not lose digits where the mean is large.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.tiff.writer import read_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

COUNTED_BYTES = 2
"""Bytes of an integer up to which every value has a counter."""
CELLS = 4096
"""Cells of the histogram of wider values, of which the shown one is made."""
FLOAT_DIGITS = 53

Kind = tuple[str, int]
"""dtype and number of channels."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Number of values, their mean, and the sum of their squared distances from it."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def std(self) -> float:
        """Standard deviation of all values (not of a sample of them)."""
        return math.sqrt(self.squares / self.count) if self.count else math.nan

    def merged(self, other: Moments) -> Moments:
        """Of the values of both."""
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        apart = other.mean - self.mean
        return Moments(
            count,
            self.mean + apart * other.count / count,
            self.squares + other.squares + apart * apart * self.count * other.count / count,
        )

    def divided(self, by: float) -> Moments:
        """Of the values divided by a number."""
        return Moments(self.count, self.mean / by, self.squares / by / by)


@dataclass(frozen=True, slots=True)
class Histogram:
    """``counts[i]`` values from ``edges[i]`` up to, and without, ``edges[i + 1]``."""

    edges: list[float]
    counts: list[int]


class CountedValues:
    """How often each value of an integer dtype of at most 16 bits occurs."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        limits = np.iinfo(dtype)
        self.lowest = int(limits.min)
        self.counts = np.zeros(int(limits.max) - self.lowest + 1, np.int64)

    def add(self, values: NDArray[Any]) -> None:
        """Count values, (n,)."""
        shifted = values if not self.lowest else values.astype(np.int32) - self.lowest
        self.counts += np.bincount(shifted, minlength=len(self.counts))

    def merge(self, other: CountedValues) -> None:
        """Add what another one counted."""
        self.counts += other.counts

    @property
    def range(self) -> tuple[int, int]:
        """Lowest and highest value; there must be one."""
        there = np.flatnonzero(self.counts)
        return int(there[0]) + self.lowest, int(there[-1]) + self.lowest

    @property
    def moments(self) -> Moments:
        """From sums in whole numbers."""
        there = np.flatnonzero(self.counts)
        pairs = [(int(i) + self.lowest, int(self.counts[i])) for i in there]
        return _moments_of_sums(
            sum(n for _, n in pairs), sum(v * n for v, n in pairs), sum(v * v * n for v, n in pairs)
        )

    def histogram(self, bins: int) -> Histogram:
        """Over the whole range of an unsigned dtype, over the values found of a signed one."""
        first, last = self.range if self.lowest else (0, len(self.counts) - 1)
        span = last - first + 1
        counts = self.counts[first - self.lowest :][:span]
        summed = np.zeros(bins, np.int64)
        np.add.at(summed, np.arange(span) * bins // span, counts)
        return Histogram([first + span * i / bins for i in range(bins + 1)], summed.tolist())


def _moments_of_sums(count: int, total: int, squares: int) -> Moments:
    if not count:
        return Moments()
    return Moments(count, float(Fraction(total, count)), float(squares - Fraction(total**2, count)))


class WideValues:
    """Sums and a histogram of floats, or of integers of more than 16 bits.

    The cells of the histogram are as wide as a power of two and begin at its multiples, so that two
    of them make one of the next width: nothing need be known of the range beforehand.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.is_integer = dtype.kind in "iu"
        self.count = self.total = self.squares = 0
        self.of_floats = Moments()
        self.range: tuple[float, float] = (math.inf, -math.inf)
        self.exponent = 0 if self.is_integer else -(10**6)
        self.cells: dict[int, int] = {}

    def add(self, values: NDArray[Any]) -> None:
        """Take in finite values, (n,)."""
        if not values.size:
            return
        if self.is_integer:
            self.count += values.size
            total, squares = _exact_sums(values)
            self.total += total
            self.squares += squares
        else:
            wide = values.astype(np.float64)
            mean = float(wide.mean())
            own = Moments(values.size, mean, float(np.square(wide - mean).sum()))
            self.of_floats = self.of_floats.merged(own)
        low, high = values.min().item(), values.max().item()
        self.range = min(self.range[0], low), max(self.range[1], high)
        self._widen(self._exponent_for(low, high))
        if self.is_integer:
            places = values >> values.dtype.type(self.exponent)
        else:
            places = np.floor(np.ldexp(values.astype(np.float64), -self.exponent)).astype(np.int64)
        for place, n in zip(*np.unique(places, return_counts=True), strict=True):
            self.cells[int(place)] = self.cells.get(int(place), 0) + int(n)
        self._shrink()

    def merge(self, other: WideValues) -> None:
        """Add what another one has."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        self.of_floats = self.of_floats.merged(other.of_floats)
        self.range = min(self.range[0], other.range[0]), max(self.range[1], other.range[1])
        self._widen(other.exponent)
        for place, n in _coarser(other.cells, self.exponent - other.exponent).items():
            self.cells[place] = self.cells.get(place, 0) + n
        self._shrink()

    def _exponent_for(self, low: float, high: float) -> int:
        """Of cells that are fine enough for these values, and no finer than they are."""
        if self.is_integer:
            return max(0, (int(high) - int(low)).bit_length() - CELLS.bit_length() + 1)
        size = math.frexp(max(abs(low), abs(high)))[1] - FLOAT_DIGITS
        span = math.frexp(high - low)[1] - CELLS.bit_length() + 1
        return max(size, span if high > low else size)

    def _widen(self, exponent: int) -> None:
        if exponent > self.exponent:
            if self.cells:
                self.cells = _coarser(self.cells, exponent - self.exponent)
            self.exponent = exponent

    def _shrink(self) -> None:
        while self.cells and max(self.cells) - min(self.cells) > 2 * CELLS:
            self._widen(self.exponent + 1)

    @property
    def moments(self) -> Moments:
        """Of all values."""
        if self.is_integer:
            return _moments_of_sums(self.count, self.total, self.squares)
        return self.of_floats

    def histogram(self, bins: int) -> Histogram:
        """At most ``bins`` bins, as wide as a power of two."""
        cells, exponent = dict(self.cells), self.exponent
        while max(cells) - min(cells) >= bins:
            cells, exponent = _coarser(cells, 1), exponent + 1
        places = range(min(cells), max(cells) + 1)
        edges = [math.ldexp(place, exponent) for place in (*places, places.stop)]
        return Histogram(edges, [cells.get(place, 0) for place in places])


def _coarser(cells: Mapping[int, int], steps: int) -> dict[int, int]:
    """Cells 2**steps times as wide."""
    merged: dict[int, int] = {}
    for place, n in cells.items():
        merged[place >> steps] = merged.get(place >> steps, 0) + n
    return merged


def _exact_sums(values: NDArray[Any]) -> tuple[int, int]:
    """Sum and sum of squares of integers; of 32 bits by halves, whose sums 64 bits hold."""
    if values.dtype.itemsize > 4:  # noqa: PLR2004  # 64 bits are rare enough for Python's numbers
        numbers = values.tolist()
        return sum(numbers), sum(v * v for v in numbers)
    wide = values.astype(np.int64)
    high, low = wide >> 16, wide & 0xFFFF
    total = (int(high.sum()) << 16) + int(low.sum())
    squares = (int((high * high).sum()) << 32) + (int((high * low).sum()) << 17)
    return total, squares + int((low * low).sum())


class Tally:
    """Values of the pages of one dtype and number of channels, by channel."""

    def __init__(self, kind: Kind) -> None:
        dtype = np.dtype(kind[0])
        counted = dtype.kind in "iu" and dtype.itemsize <= COUNTED_BYTES
        make = CountedValues if counted else WideValues
        self.kind = kind
        self.files = self.frames = self.not_finite = 0
        self.channels: list[Any] = [make(dtype) for _ in range(kind[1])]

    def add(self, pixels: NDArray[Any]) -> None:
        """Take in pixels, (n, channels)."""
        self.frames += 1
        for channel, values in zip(self.channels, pixels.T, strict=True):
            finite = values
            if pixels.dtype.kind == "f":
                finite = values[np.isfinite(values)]
                self.not_finite += values.size - finite.size
            channel.add(finite)

    def merge(self, other: Tally) -> None:
        """Add another one of the same kind."""
        self.files += other.files
        self.frames += other.frames
        self.not_finite += other.not_finite
        for channel, values in zip(self.channels, other.channels, strict=True):
            channel.merge(values)

    @property
    def top(self) -> int | None:
        """What is divided by for values in 0 to 1; None where the dtype has no full range.

        255 and 65535; 1 for floats that lie in 0 to 1. Signed integers, and floats elsewhere, are
        values such as Hounsfield units.
        """
        dtype = np.dtype(self.kind[0])
        if dtype.kind == "u" and dtype.itemsize <= COUNTED_BYTES:
            return int(np.iinfo(dtype).max)
        ranges = [c.range for c in self.channels if c.moments.count]
        is_unit = dtype.kind == "f" and all(low >= 0 and high <= 1 for low, high in ranges)
        return 1 if is_unit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which pixels count.

    ``active_only`` leaves padding out, by ActiveArea; ``skip_background`` pixels that are the
    background in all channels: 0, or what ImageDescription says for stored values.
    """

    active_only: bool = False
    skip_background: bool = False


def tally_file(path: Path, choice: Choice | None = None) -> dict[Kind, Tally]:
    """Count one file.

    Raises
    ------
    OutputError
        It cannot be read, or not all of it.
    """
    choice = choice or Choice()
    info = read_info(path)
    tallies: dict[Kind, Tally] = {}
    background = background_of(path) if choice.skip_background else None
    for page in _pages(path):
        chosen = page
        if choice.active_only and info.active_area is not None:
            left, top, right, bottom = info.active_area
            chosen = page[top:bottom, left:right]
        pixels = chosen.reshape(-1, page.shape[2])
        if background is not None:
            pixels = pixels[(pixels != background).any(axis=1)]
        kind = str(page.dtype), page.shape[2]
        tallies.setdefault(kind, Tally(kind)).add(pixels)
    for tally in tallies.values():
        tally.files = 1
    return tallies


def background_of(path: Path) -> float:
    """The value of the background that ImageDescription tells, else 0."""
    with tifffile.TiffFile(path) as tiff:
        description = tiff.pages.first.description
    try:
        return float(json.loads(description)["background"])
    except (ValueError, KeyError, TypeError):
        return 0.0


def _pages(path: Path) -> Iterator[NDArray[Any]]:
    """Pages of any TIFF, (rows, columns, channels), one after the other."""
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
    except Exception as error:  # tifffile and codecs raise nearly anything on bad bytes
        raise OutputError(f"{path}: cannot be read as TIFF: {error}") from error


def _require_whole(page: tifffile.TiffPage, size: int) -> None:
    ends = zip(page.dataoffsets, page.databytecounts, strict=True)
    if max(offset + count for offset, count in ends) > size:
        raise ValueError("the file is cut")


@dataclass(slots=True)
class Statistics:
    """What was found in all files that could be read, and what could not be."""

    tallies: dict[Kind, Tally] = field(default_factory=dict)
    files: int = 0
    bad: list[str] = field(default_factory=list)

    def add(self, outcome: dict[Kind, Tally] | OutputError) -> None:
        """Take in a file."""
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
        found: dict[int, list[Moments]] = {}
        for (_, channels), tally in self._in_order():
            if tally.top is not None:
                own = [c.moments.divided(tally.top) for c in tally.channels]
                so_far = found.get(channels, [Moments()] * channels)
                found[channels] = [a.merged(b) for a, b in zip(so_far, own, strict=True)]
        return found

    def _in_order(self) -> Iterable[tuple[Kind, Tally]]:
        return sorted(self.tallies.items())

    def as_dict(self, bins: int) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "files": self.files,
            "bad": self.bad,
            "kinds": [_kind_record(tally, bins) for _, tally in self._in_order()],
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


def _kind_record(tally: Tally, bins: int) -> dict[str, Any]:
    dtype, channels = tally.kind
    return {
        "dtype": dtype,
        "channels": channels,
        "files": tally.files,
        "frames": tally.frames,
        "not_finite": tally.not_finite,
        "full_range": tally.top,
        "by_channel": [_channel_record(values, tally.top, bins) for values in tally.channels],
    }


def _channel_record(values: Any, top: int | None, bins: int) -> dict[str, Any]:  # noqa: ANN401
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
        scaled = moments.divided(top)
        record["normalised"] = {
            "mean": scaled.mean,
            "std": scaled.std,
            "min": low / top,
            "max": high / top,
        }
    return record
