"""Resize by separable antialiased kernels, by nearest sampling, or by maxima."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dicom_preprocessing.errors import NoSpacingError
from dicom_preprocessing.imaging.conversion import quantise
from dicom_preprocessing.imaging.frames import map_frames
from dicom_preprocessing.imaging.geometry import Size
from dicom_preprocessing.imaging.planning import fit_size, spacing_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from dicom_preprocessing.imaging.frames import Frames
    from dicom_preprocessing.imaging.image import DisplayLut, Image

LOWEST_WEIGHT: Final = 0.25
"""Sum of the weights of tissue below which a kernel with negative weights gives way to the
triangle. Straight edges and corners of tissue have more."""

ROUNDING: Final = 1e-9
"""More than the rounding errors of sums of weights."""

MAX_FRAME_PIXELS = 2**31
"""Pixels of the output; a spacing that leads to more is an error in the header."""


def resize(
    image: Image,
    *,
    size: Sequence[int] | None = None,
    spacing: Sequence[float] | None = None,
    filter: str = "triangle",  # noqa: A002  # the config key and the field's word
) -> Image:
    """Scale every frame to fit ``size``, or to a pixel of ``spacing``.

    Parameters
    ----------
    image : Image
    size : (width, height) or None
        The output fits within it and keeps the aspect ratio of the picture, whose pixels may not be
        square.
    spacing : (x, y) or None
        Pixel spacing of the output in mm. With neither, the image is returned as it is.
    filter : str
        triangle, catmull-rom, gaussian, lanczos3, nearest or max-pool.

    Raises
    ------
    NoSpacingError
        ``spacing`` is given and that of the object is unknown or unusable.
    """
    if size is not None:
        target = fit_size(image.size, Size(size[0], size[1]), image.source_info.pixel_shape)
    elif spacing is not None:
        if image.source_info.pixel_spacing is None:
            raise NoSpacingError(
                "no attribute tells the spacing of pixels, such as Pixel Spacing or Imager Pixel "
                "Spacing: cannot resample to mm"
            )
        native = image.source_info.pixel_spacing
        target = spacing_size(image.size, native=native, target=(spacing[0], spacing[1]))
    else:
        return image
    if target.width * target.height > MAX_FRAME_PIXELS:
        raise NoSpacingError(
            f"this spacing makes {target.width} x {target.height} pixels; at most "
            f"{MAX_FRAME_PIXELS} are possible"
        )
    frames = resize_frames(
        image.frames,
        size=target,
        filter=filter,
        background=image.source_info.background,
        lookup=image.lookup,
        grids=sample_grids(image),
    )
    resized = image.evolve(frames, image.geometry.with_resized(target))
    return replace(resized, lookup=None, reduction=None)


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """Samples of a line of ``length`` pixels: sample i is at pixel ``start + i * step``."""

    count: int
    length: int
    step: int = 1
    start: int = 0


def sample_grids(image: Image) -> tuple[SampleGrid, SampleGrid]:
    """Return the samples of an image along y and x."""
    _, rows, columns, _ = image.frames.shape
    if image.reduction is None:
        return SampleGrid(rows, rows), SampleGrid(columns, columns)
    sampling, size = image.reduction.sampling, image.size
    return (
        SampleGrid(rows, size.height, sampling.step, sampling.top),
        SampleGrid(columns, size.width, sampling.step, sampling.left),
    )


def resize_frames(
    frames: Frames,
    *,
    size: Size,
    filter: str,  # noqa: A002
    background: float | None = None,
    lookup: DisplayLut | None = None,
    grids: tuple[SampleGrid, SampleGrid] | None = None,
) -> Frames:
    """Scale every frame to exactly ``size``.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples), integer or float32
    size : Size
        Output width and height, pixels.
    filter : str
        As for ``resize``.
    background : float or None
        The value of modality values that is no tissue, and is never mixed with tissue; None for
        display values.
    lookup : DisplayLut or None
        Display values, if ``frames`` are stored values.
    grids : (SampleGrid, SampleGrid), optional
        Rows and columns, if they are not all pixels of the image.

    Returns
    -------
    (n_frames, size.height, size.width, samples), dtype of ``frames`` or of the lookup
    """
    _, height, width, _ = frames.shape
    y, x = grids or (SampleGrid(height, height), SampleGrid(width, width))
    dtype = frames.dtype if lookup is None else lookup.table.dtype
    # Comparisons of one dtype are several times as fast.
    b = None if background is None else dtype.type(background)

    def resize_frame(frame: NDArray[Any]) -> NDArray[Any]:
        # Of nearest the samples alone are looked up; maxima are those of display values, since a
        # lookup may be inverted.
        if filter == "nearest":
            sampled = _nearest(frame, size)
            return sampled if lookup is None else lookup(sampled)
        if filter == "max-pool":
            values = frame if lookup is None else lookup(frame)
            return _max_pool(values, size, b)
        out = np.empty((size.height, size.width, frame.shape[2]), dtype)
        for sample in range(frame.shape[2]):
            plane = frame[..., sample]
            _convolve(plane, (y, x), filter, lookup, out[..., sample], background=b)
        return out

    shape = (size.height, size.width, frames.shape[3])
    return map_frames(frames, resize_frame, shape=shape, dtype=dtype)


def _nearest(frame: NDArray[Any], size: Size) -> NDArray[Any]:
    """Sample at floor((i + 0.5) * n_in / n_out), in integer arithmetic."""
    y = ((2 * np.arange(size.height) + 1) * frame.shape[0]) // (2 * size.height)
    x = ((2 * np.arange(size.width) + 1) * frame.shape[1]) // (2 * size.width)
    sampled: NDArray[Any] = frame[y[:, None], x]
    return sampled


def _max_pool(frame: NDArray[Any], size: Size, background: float | None) -> NDArray[Any]:
    """Take the maximum of pixels floor(i*n/N) to floor((i+1)*n/N) - 1, at least of the first.

    The background is the lowest value, whatever it is.
    """
    y = np.arange(size.height) * frame.shape[0] // size.height
    x = np.arange(size.width) * frame.shape[1] // size.width

    def take_highest(values: NDArray[Any]) -> NDArray[Any]:
        return np.maximum.reduceat(np.maximum.reduceat(values, y, axis=0), x, axis=1)

    if background is None or frame.min() >= background:
        return take_highest(frame)
    is_tissue = frame != background
    highest = take_highest(np.where(is_tissue, frame, frame.min()))
    return np.where(take_highest(is_tissue), highest, background)


def _convolve(
    plane: NDArray[Any],
    grids: tuple[SampleGrid, SampleGrid],
    kernel: str,
    lookup: DisplayLut | None,
    out: NDArray[Any],
    *,
    background: float | None,
) -> None:
    """Resize a plane into ``out``: vertical, then horizontal pass in float64.

    Clamped, and rounded half away from zero.
    """
    # Float32 would be faster, and rounds some halves the other way. By bands, of which each is
    # finished from the stored value to the rounded result while it is in the cache.
    passes = _plan_passes(grids, plane.shape[1], out.shape, kernel)
    triangles = passes
    if background is not None:
        triangles = _plan_passes(grids, plane.shape[1], out.shape, "triangle")
    for both, triangle in zip(passes, triangles, strict=True):
        band = both.vertical
        stored = plane[band.first : band.end]
        if lookup is None:
            rows = stored.astype(np.float64)
        else:
            rows = np.empty(stored.shape)
            lookup.floats.look_up(stored, rows)
        if background is not None and (stored == background).any():
            scaled = _scale_tissue(rows, float(background), both, triangle)
        else:
            scaled = both.scale(rows)
        quantise(scaled, out[band.top : band.bottom].T)


def _plan_passes(
    grids: tuple[SampleGrid, SampleGrid], columns: int, shape: tuple[int, ...], kernel: str
) -> list[Passes]:
    """Return both passes of each band."""
    y, x = grids
    horizontal = kernel_weights(x, shape[1], kernel)
    return [Passes(band, horizontal) for band in kernel_bands(y, columns, shape[0], kernel)]


def _scale_tissue(
    rows: NDArray[np.float64], background: float, passes: Passes, triangle: Passes
) -> NDArray[np.float64]:
    """Resize a band without mixing background into tissue.

    Background is what has more than half of the weight of the triangle kernel on background. Of
    other pixels, the weights of tissue are brought to the sum 1.

    Parameters
    ----------
    rows : (rows, columns)
        Of the band; background becomes 0 in it.
    background : float
    passes, triangle : Passes
        Of the kernel, and of the triangle kernel for the same output.

    Returns
    -------
    (output columns, output rows)
    """
    is_background = rows == background
    rows[is_background] = 0
    tissue = (~is_background).astype(np.float64)
    start = triangle.vertical.first - passes.vertical.first
    inner = slice(start, triangle.vertical.end - passes.vertical.first)
    shares = triangle.scale(tissue[inner])
    sums, weights = passes.scale(rows), shares
    if passes.vertical is not triangle.vertical:
        weights = passes.scale(tissue)
        # Negative weights may nearly cancel the others, and their quotient would be noise.
        is_unstable = weights < LOWEST_WEIGHT
        sums = np.where(is_unstable, triangle.scale(rows[inner]), sums)
        weights = np.where(is_unstable, shares, weights)
    # Away from background, where the sum is 1 but for its last bits, results are those without it.
    weights[np.abs(weights - 1) < ROUNDING] = 1
    is_tissue = shares > 0.5 - ROUNDING
    return np.divide(sums, weights, out=np.full_like(sums, background), where=is_tissue)


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


KERNELS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "triangle": (_triangle, 1.0),
    "catmull-rom": (_catmull_rom, 2.0),
    "gaussian": (_gaussian, 3.0),
    "lanczos3": (_lanczos3, 3.0),
}
"""Kernel function and support in output pixels when shrinking, in input pixels when enlarging."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Output rows ``top`` to ``bottom``, and the input rows ``first`` to ``end`` that they need."""

    top: int
    bottom: int
    first: int
    end: int
    weights: sparse.csr_array


class Passes(NamedTuple):
    """Weights of a band's vertical pass, and of the horizontal pass of all bands."""

    vertical: Band
    horizontal: sparse.csr_array

    def scale(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (output columns, output rows) of the band's input rows."""
        scaled: NDArray[np.float64] = self.horizontal @ (self.vertical.weights @ rows).T
        return scaled


BAND_BYTES = 1 << 20
"""Bytes of the input of a band in float64, which should stay in the cache."""


@lru_cache(maxsize=64)
def kernel_bands(rows: SampleGrid, columns: int, n_out: int, kernel: str) -> tuple[Band, ...]:
    """Cut the weights of ``kernel_weights`` into bands, for rows of ``columns`` samples."""
    from scipy import sparse  # noqa: PLC0415  # 0.1 s that only resampling must pay

    # Cached: for a CT slice, cutting the kernels took 4 of 13 ms.
    weights = kernel_weights(rows, n_out, kernel)
    rows_in = BAND_BYTES // (columns * np.dtype(np.float64).itemsize)
    step = max(1, rows_in * n_out // rows.count)
    bands = []
    for top in range(0, n_out, step):
        bottom = min(top + step, n_out)
        starts = weights.indptr[top : bottom + 1]  # slicing a sparse array takes thrice as long
        of_band = slice(starts[0], starts[-1])
        samples, values = weights.indices[of_band], weights.data[of_band]
        first, end = int(samples.min()), int(samples.max()) + 1
        content = values, samples - first, starts - starts[0]
        narrow = sparse.csr_array(content, shape=(bottom - top, end - first))
        bands.append(Band(top, bottom, first, end, narrow))
    return tuple(bands)


@lru_cache(maxsize=64)
def kernel_weights(grid: SampleGrid, n_out: int, kernel: str) -> sparse.csr_array:
    """Return the weights of the samples of a line for each of ``n_out`` output pixels.

    The kernel is widened by the ratio when shrinking, taken at pixel centres, clipped at the
    edges and renormalised.

    Returns
    -------
    (n_out, grid.count) sparse array of float64
        Each row has the sum 1.
    """
    from scipy import sparse  # noqa: PLC0415  # as above

    function, support = KERNELS[kernel]
    n_in, step = grid.count, grid.step
    ratio = grid.length / n_out
    # Without widening, pixels between the samples of a kernel would not count: aliasing.
    widening = max(ratio / step, 1.0)
    # In samples, whose centres are at i + 0.5 here and at start + i * step + 0.5 in pixels.
    centre = (np.arange(n_out) + 0.5) * ratio / step + (0.5 - (grid.start + 0.5) / step)
    first = np.clip(np.floor(centre - support * widening).astype(np.int64), 0, n_in - 1)
    end = np.clip(np.ceil(centre + support * widening).astype(np.int64), first + 1, n_in)
    counts = end - first
    row_starts = np.concatenate(([0], np.cumsum(counts)))
    offsets = np.arange(row_starts[-1]) - np.repeat(row_starts[:-1], counts)
    columns = np.repeat(first, counts) + offsets
    weights = function((columns + 0.5 - np.repeat(centre, counts)) / widening)
    weights /= np.repeat(np.add.reduceat(weights, row_starts[:-1]), counts)
    return sparse.csr_array((weights, columns, row_starts), shape=(n_out, n_in))
