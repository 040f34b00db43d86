"""Kernels of resampling: their weights along a line of samples, cut into bands of rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """Samples of a line of ``length`` pixels: sample i is at pixel ``start + i * step``."""

    count: int
    length: int
    step: int = 1
    start: int = 0


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _catmull_rom(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic of Mitchell and Netravali with B = 0, C = 0.5 (SIGGRAPH 1988)."""
    a = np.abs(x)
    near = (1.5 * a - 2.5) * a * a + 1.0
    far = ((-0.5 * a + 2.5) * a - 4.0) * a + 2.0
    return np.where(a < 1, near, np.where(a < 2, far, 0.0))  # noqa: PLR2004  # the support


def _gaussian(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal distribution with a standard deviation of half a pixel."""
    return np.exp(-2.0 * x**2)


def _lanczos3(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)  # noqa: PLR2004  # the support


class Kernel(NamedTuple):
    """A function of the distance from the centre, and how far it reaches.

    Parameters
    ----------
    function : callable
        From distances to weights, any shape, float64.
    support : float
        In output pixels when shrinking, in input pixels when enlarging.
    has_negative_weights : bool
        Whether results may be outside of the range of the input.
    """

    function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    support: float
    has_negative_weights: bool


KERNELS = {
    "triangle": Kernel(_triangle, 1.0, has_negative_weights=False),
    "catmull-rom": Kernel(_catmull_rom, 2.0, has_negative_weights=True),
    "gaussian": Kernel(_gaussian, 3.0, has_negative_weights=False),
    "lanczos3": Kernel(_lanczos3, 3.0, has_negative_weights=True),
}


@dataclass(frozen=True, slots=True, eq=False)
class LineWeights:
    """Weights of the samples of a line for each output pixel: a sparse matrix in compressed rows.

    A class, since an array of scipy takes as long to be made as its weights.

    Parameters
    ----------
    weights : (count,), float64
        Those of an output pixel have the sum 1.
    samples : (count,), int32
        Index of the sample of each weight.
    starts : (n_out + 1,), int32
        Where the weights of each output pixel start; the last one is the count.
    n_in : int
        Samples of the line.
    """

    weights: NDArray[np.float64]
    samples: NDArray[np.int32]
    starts: NDArray[np.int32]
    n_in: int

    def apply(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted sums of (n_in, ...) samples as (n_out, count)."""
        lines = samples.reshape(self.n_in, -1)
        add_product = _find_product()
        if add_product is None:
            return self.multiply(lines)
        n_out, count = len(self.starts) - 1, lines.shape[1]
        sums = np.zeros((n_out, count))
        sizes, matrix = (n_out, self.n_in, count), (self.starts, self.samples, self.weights)
        add_product(*sizes, *matrix, lines.ravel(), sums.ravel())
        return sums

    def multiply(self, lines: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums of (n_in, count) samples by the operator that scipy documents."""
        from scipy import sparse  # noqa: PLC0415  # 0.1 s that only resampling must pay

        content = self.weights, self.samples, self.starts
        matrix = sparse.csr_array(content, shape=(len(self.starts) - 1, self.n_in))
        return np.asarray(matrix @ lines, np.float64)


@cache
def _find_product() -> Callable[..., None] | None:
    """Return the function of scipy that adds the product of a matrix and lines, if it is there.

    The operator comes to it through thirty others, which take as long as a small image.
    """
    from scipy import sparse  # noqa: PLC0415  # as above

    product: Callable[..., None] | None
    product = getattr(getattr(sparse, "_sparsetools", None), "csr_matvecs", None)
    return product


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Output rows ``top`` to ``bottom``, and the input rows ``first`` to ``end`` that they need."""

    top: int
    bottom: int
    first: int
    end: int
    weights: LineWeights


class Passes(NamedTuple):
    """Weights of a band's vertical pass, and of the horizontal pass of all bands."""

    vertical: Band
    horizontal: LineWeights

    def scale(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Resize the band's input rows: vertically, then horizontally.

        Parameters
        ----------
        rows : (rows, columns, samples)

        Returns
        -------
        (output columns, samples, output rows)
        """
        _, columns, samples = rows.shape
        # Both products sum lines that are as long as they can be, of all samples.
        lines = self.vertical.weights.apply(rows)
        scaled = self.horizontal.apply(lines.T.reshape(columns, -1))
        return scaled.reshape(len(scaled), samples, -1)


BAND_BYTES = 1 << 20
"""Bytes of the input of a band in float64, which should stay in the cache."""
BAND_ROWS = 96
"""Output rows of a band: of more of them, what a band makes would not stay in the cache, nor would
lines to be transposed, where they are a large power of two of bytes apart."""


CACHED_KERNELS = 96
"""Kernels that stay for the next image: slices of a series are cropped to a few dozen sizes."""


def kernel_bands(rows: SampleGrid, width: int, n_out: int, kernel: str) -> tuple[Band, ...]:
    """Return the weights of ``kernel_weights`` in bands, for rows of ``width`` values."""
    rows_in = BAND_BYTES // (width * np.dtype(np.float64).itemsize)
    step = min(max(1, rows_in * n_out // rows.count), BAND_ROWS)
    step = -(-n_out // -(-n_out // step))  # bands of the same height
    return _cut_into_bands(rows, step, n_out, kernel)


@lru_cache(maxsize=CACHED_KERNELS)
def _cut_into_bands(rows: SampleGrid, step: int, n_out: int, kernel: str) -> tuple[Band, ...]:
    """Return bands of ``step`` output rows."""
    line = line_weights(rows, n_out, kernel)
    bands = []
    for top in range(0, n_out, step):
        bottom = min(top + step, n_out)
        starts = line.starts[top : bottom + 1]
        of_band = slice(starts[0], starts[-1])
        # No kernel starts or ends before that of the row above.
        samples = line.samples[of_band]
        first, end = int(samples[0]), int(samples[-1]) + 1
        weights = line.weights[of_band]
        narrow = LineWeights(weights, samples - first, starts - starts[0], end - first)
        bands.append(Band(top, bottom, first, end, narrow))
    return tuple(bands)


@lru_cache(maxsize=CACHED_KERNELS)
def kernel_weights(grid: SampleGrid, n_out: int, kernel: str) -> LineWeights:
    """Return the weights of ``line_weights``, and keep them for the next image."""
    return line_weights(grid, n_out, kernel)


def line_weights(grid: SampleGrid, n_out: int, kernel: str) -> LineWeights:
    """Return the weights of the samples of a line for each of ``n_out`` output pixels.

    The kernel is widened by the ratio when shrinking, taken at pixel centres, clipped at the
    edges and renormalised.
    """
    function, support, _ = KERNELS[kernel]
    n_in, step = grid.count, grid.step
    ratio = grid.length / n_out
    # Without widening, pixels between the samples of a kernel would not count: aliasing.
    widening = max(ratio / step, 1.0)
    # In samples, whose centres are at i + 0.5 here and at start + i * step + 0.5 in pixels.
    centre = (np.arange(n_out) + 0.5) * ratio / step + (0.5 - (grid.start + 0.5) / step)
    first = np.floor(centre - support * widening).astype(np.int64)
    first = np.minimum(np.maximum(first, 0), n_in - 1)
    end = np.ceil(centre + support * widening).astype(np.int64)
    counts = np.minimum(np.maximum(end, first + 1), n_in) - first
    ends = counts.cumsum()
    samples = np.arange(ends[-1]) + (first + counts - ends).repeat(counts)
    distances = (samples + 0.5 - centre.repeat(counts)) / widening
    weights = function(distances)
    weights /= np.add.reduceat(weights, ends - counts).repeat(counts)
    # Samples on the edge of the support weigh nothing: a third of those of an enlarged line.
    counted = ((weights != 0) | (np.abs(distances) < support)).nonzero()[0]
    starts = np.zeros(n_out + 1, np.int32)
    starts[1:] = counted.searchsorted(ends)
    return LineWeights(weights[counted], samples[counted].astype(np.int32), starts, n_in)
