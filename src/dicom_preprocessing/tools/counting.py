"""Count values, with exact sums: one counter per value up to 16 bits, a histogram above.

Sums of wider integers are exact too; floats are merged page by page by the formulas of Chan, Golub
and LeVeque (1983), which do not lose digits where the mean is large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

COUNTED_BYTES = 2
"""Largest size of an integer, in bytes, whose every value has a counter."""
CELLS = 4096
"""Cells of the histogram of wider values, from which the shown histogram is made."""
FLOAT_DIGITS = 53


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

    def combine(self, other: Moments) -> Moments:
        """Moments of the values of both."""
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        difference = other.mean - self.mean
        return Moments(
            count,
            self.mean + difference * other.count / count,
            self.squares
            + other.squares
            + difference * difference * self.count * other.count / count,
        )

    def divide(self, by: float) -> Moments:
        """Moments of the values divided by a number."""
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

    def __getstate__(self) -> dict[str, Any]:
        """Only counts between the lowest and the highest value, since files are sent one by one."""
        occurring = np.flatnonzero(self.counts)
        first, end = (int(occurring[0]), int(occurring[-1]) + 1) if occurring.size else (0, 0)
        counts = self.counts[first:end]
        small = counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
        return {"lowest": self.lowest, "size": len(self.counts), "first": first, "counts": small}

    def __setstate__(self, state: dict[str, Any]) -> None:
        first, counts = state["first"], state["counts"]
        self.lowest = state["lowest"]
        self.counts = np.zeros(state["size"], np.int64)
        self.counts[first : first + len(counts)] = counts

    def add(self, values: NDArray[Any]) -> None:
        """Count values, (n,)."""
        shifted = values if not self.lowest else values.astype(np.int32) - self.lowest
        self.counts += np.bincount(shifted, minlength=len(self.counts))

    def merge(self, other: CountedValues) -> None:
        """Add the counts of another one."""
        self.counts += other.counts

    @property
    def range(self) -> tuple[int, int]:
        """Lowest and highest value; there must be one."""
        occurring = np.flatnonzero(self.counts)
        return int(occurring[0]) + self.lowest, int(occurring[-1]) + self.lowest

    @property
    def moments(self) -> Moments:
        """Moments from exact integer sums."""
        occurring = np.flatnonzero(self.counts)
        pairs = [(int(i) + self.lowest, int(self.counts[i])) for i in occurring]
        return _moments_of_sums(
            sum(n for _, n in pairs), sum(v * n for v, n in pairs), sum(v * v * n for v, n in pairs)
        )

    def histogram(self, bins: int) -> Histogram:
        """Over the full range of an unsigned dtype, over the occurring values of a signed one."""
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


class BinnedValues:
    """Sums and a histogram of floats, or of integers of more than 16 bits.

    The width of the cells of the histogram is a power of two, and they begin at its multiples, so
    two of them make one of the next width: the range need not be known beforehand.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.is_integer = dtype.kind in "iu"
        self.count = self.total = self.squares = 0
        self.float_moments = Moments()
        self.range: tuple[float, float] = (math.inf, -math.inf)
        self.exponent = 0 if self.is_integer else -(10**6)
        self.cells: dict[int, int] = {}

    def add(self, values: NDArray[Any]) -> None:
        """Add finite values, (n,)."""
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
            moments = Moments(values.size, mean, float(np.square(wide - mean).sum()))
            self.float_moments = self.float_moments.combine(moments)
        low, high = values.min().item(), values.max().item()
        self.range = min(self.range[0], low), max(self.range[1], high)
        self._widen(self._exponent_for(low, high))
        if self.is_integer:
            cells = values >> values.dtype.type(self.exponent)
        else:
            cells = np.floor(np.ldexp(values.astype(np.float64), -self.exponent)).astype(np.int64)
        for cell, n in zip(*np.unique(cells, return_counts=True), strict=True):
            self.cells[int(cell)] = self.cells.get(int(cell), 0) + int(n)
        self._shrink()

    def merge(self, other: BinnedValues) -> None:
        """Add the values of another one."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        self.float_moments = self.float_moments.combine(other.float_moments)
        self.range = min(self.range[0], other.range[0]), max(self.range[1], other.range[1])
        self._widen(other.exponent)
        for cell, n in _merge_cells(other.cells, self.exponent - other.exponent).items():
            self.cells[cell] = self.cells.get(cell, 0) + n
        self._shrink()

    def _exponent_for(self, low: float, high: float) -> int:
        """Exponent of cells that are fine enough for these values, but not finer than they are."""
        if self.is_integer:
            return max(0, (int(high) - int(low)).bit_length() - CELLS.bit_length() + 1)
        size = math.frexp(max(abs(low), abs(high)))[1] - FLOAT_DIGITS
        span = math.frexp(high - low)[1] - CELLS.bit_length() + 1
        return max(size, span if high > low else size)

    def _widen(self, exponent: int) -> None:
        if exponent > self.exponent:
            if self.cells:
                self.cells = _merge_cells(self.cells, exponent - self.exponent)
            self.exponent = exponent

    def _shrink(self) -> None:
        while self.cells and max(self.cells) - min(self.cells) > 2 * CELLS:
            self._widen(self.exponent + 1)

    @property
    def moments(self) -> Moments:
        """Moments of all values."""
        if self.is_integer:
            return _moments_of_sums(self.count, self.total, self.squares)
        return self.float_moments

    def histogram(self, bins: int) -> Histogram:
        """At most ``bins`` bins, whose width is a power of two."""
        cells, exponent = dict(self.cells), self.exponent
        while max(cells) - min(cells) >= bins:
            cells, exponent = _merge_cells(cells, 1), exponent + 1
        span = range(min(cells), max(cells) + 1)
        edges = [math.ldexp(cell, exponent) for cell in (*span, span.stop)]
        return Histogram(edges, [cells.get(cell, 0) for cell in span])


def _merge_cells(cells: Mapping[int, int], steps: int) -> dict[int, int]:
    """Merge cells into ones that are 2**steps times as wide."""
    merged: dict[int, int] = {}
    for cell, n in cells.items():
        merged[cell >> steps] = merged.get(cell >> steps, 0) + n
    return merged


def _exact_sums(values: NDArray[Any]) -> tuple[int, int]:
    """Sum and sum of squares of integers; 32 bits are split into halves, so sums fit in 64 bits."""
    if values.dtype.itemsize > 4:  # noqa: PLR2004  # 64 bits are rare: Python's integers will do
        numbers = values.tolist()
        return sum(numbers), sum(v * v for v in numbers)
    wide = values.astype(np.int64)
    high, low = wide >> 16, wide & 0xFFFF
    total = (int(high.sum()) << 16) + int(low.sum())
    squares = (int((high * high).sum()) << 32) + (int((high * low).sum()) << 17)
    return total, squares + int((low * low).sum())
