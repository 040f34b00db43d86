"""Resize by separable antialiased kernels, by nearest sampling, or by maxima."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.errors import NoSpacingError
from dicom_preprocessing.imaging.conversion import quantise
from dicom_preprocessing.imaging.frames import map_frames
from dicom_preprocessing.imaging.geometry import Size
from dicom_preprocessing.imaging.kernels import (
    KERNELS,
    Passes,
    SampleGrid,
    kernel_bands,
    kernel_weights,
)
from dicom_preprocessing.imaging.planning import fit_size, spacing_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

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
                "Spacing, or it differs between frames: cannot resample to mm"
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
        _convolve(frame, (y, x), filter, lookup, out, background=b)
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
    frame: NDArray[Any],
    grids: tuple[SampleGrid, SampleGrid],
    kernel: str,
    lookup: DisplayLut | None,
    out: NDArray[Any],
    *,
    background: float | None,
) -> None:
    """Resize (rows, columns, samples) into ``out``: vertical, then horizontal pass in float64.

    Clamped, and rounded half away from zero.
    """
    # Float32 would be faster, and rounds some halves the other way. By bands, of which each is
    # finished from the stored value to the rounded result while it is in the cache.
    passes = _plan_passes(grids, frame.shape, out.shape, kernel)
    triangles = passes
    if background is not None:
        triangles = _plan_passes(grids, frame.shape, out.shape, "triangle")
    can_exceed = KERNELS[kernel].has_negative_weights
    for both, triangle in zip(passes, triangles, strict=True):
        band = both.vertical
        stored = frame[band.first : band.end]
        rows = _look_up_floats(stored, lookup)
        if background is not None and (stored == background).any():
            scaled = _scale_tissue(rows, float(background), both, triangle)
        else:
            scaled = both.scale(rows)
        rounded = quantise(scaled, out.dtype, can_exceed=can_exceed)
        # Sample by sample: numpy's innermost loop would be over the samples of a pixel.
        for sample in range(out.shape[2]):
            out[band.top : band.bottom, :, sample] = rounded[:, sample].T


def _look_up_floats(stored: NDArray[Any], lookup: DisplayLut | None) -> NDArray[np.float64]:
    """Return the values to resample of (rows, columns, samples), contiguous."""
    floats = np.empty(stored.shape)
    if lookup is None:
        floats[...] = stored
    else:
        lookup.floats.look_up(stored, floats)
    return floats


def _plan_passes(
    grids: tuple[SampleGrid, SampleGrid],
    shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    kernel: str,
) -> list[Passes]:
    """Return both passes of each band."""
    y, x = grids
    _, columns, samples = shape
    height, width, _ = out_shape
    horizontal = kernel_weights(x, width, kernel)
    bands = kernel_bands(y, columns * samples, height, kernel)
    return [Passes(band, horizontal) for band in bands]


def _scale_tissue(
    rows: NDArray[np.float64], background: float, passes: Passes, triangle: Passes
) -> NDArray[np.float64]:
    """Resize a band without mixing background into tissue.

    Background is what has more than half of the weight of the triangle kernel on background. Of
    other pixels, the weights of tissue are brought to the sum 1.

    Parameters
    ----------
    rows : (rows, columns, samples)
        Of the band; background becomes 0 in it.
    background : float
    passes, triangle : Passes
        Of the kernel, and of the triangle kernel for the same output.

    Returns
    -------
    (output columns, samples, output rows)
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
