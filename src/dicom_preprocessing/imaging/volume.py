"""Volume handlers: the frames, or combinations of frames, that a multi-frame object becomes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dicom_preprocessing.errors import NoSpacingError, VolumeError
from dicom_preprocessing.imaging.conversion import quantise
from dicom_preprocessing.imaging.frames import combine_frames, select_frames, spool_frames
from dicom_preprocessing.imaging.pyramid import modulate_detail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from dicom_preprocessing.imaging.frames import Frames

MAX_FRAMES = 1_000_000
"""A spacing that leads to more is a mistake in the header."""

LAPLACIAN_SKIP = 5
"""Frames that laplacian-mip leaves out at each end by default, because they are noisy."""


SAME_PLACE: Final = 1e-6
"""Part of a step by which a frame may miss a place that it is to be at."""


class Blend(NamedTuple):
    """Two frames of which one is made, by their indices, and their weights, of any sum above 0."""

    first: int
    last: int
    first_weight: float = 1
    last_weight: float = 0


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Frames along one z axis, their spacing, and where they lie.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples)
    frame_spacing : float or None
        In mm; the usual one where frames are uneven.
    positions : tuple of float or None
        Of each frame along the z axis in mm; None where unknown.
    sources : tuple of Blend or None
        Of a result: the frames given to the handler of which each one was made, for a projection
        the first one. None where each is the frame of its own index.
    """

    frames: Frames
    frame_spacing: float | None
    positions: tuple[float, ...] | None = None
    sources: tuple[Blend, ...] | None = None

    @property
    def is_ordered(self) -> bool:
        """Whether no frame is before the one in front of it, as far as positions are known."""
        return all(before <= after for before, after in pairwise(self.positions or ()))


def handle_volume(
    volume: Volume,
    *,
    handler: str = "keep",
    target_frames: int = 32,
    skip_frames: int | Sequence[int] | None = None,
    mip_weight: float = 1.5,
    projection: str = "parallel-beam",
    spacing_z: float | None = None,
    background: float | None = None,
) -> Volume:
    """Apply a volume handler; a single frame stays as it is.

    Parameters
    ----------
    volume : Volume
        Frames in the order of the z axis.
    handler : str
        keep, central-slice, max-intensity, interpolate or laplacian-mip.
    target_frames : int
        Frames that interpolate writes.
    skip_frames : int, (start, end) or None
        Frames that max-intensity and laplacian-mip leave out at the ends; None is 0, and
        ``LAPLACIAN_SKIP`` for laplacian-mip.
    mip_weight, projection
        As for ``laplacian_mip``.
    spacing_z : float or None
        With keep: resample to frames at 0, z, 2z, ... mm from the first one, by positions, else by
        the frame spacing.
    background : float or None
        The value of modality values that is no tissue: it is the lowest one of a maximum, and not
        mixed with tissue. None for display values.

    Returns
    -------
    Volume
        Frames of the same rows, columns, samples and dtype.

    Raises
    ------
    VolumeError
        All frames would be skipped; with ``spacing_z``, positions do not ascend, or make more than
        MAX_FRAMES.
    NoSpacingError
        ``spacing_z`` is asked for, and neither positions nor the frame spacing are known.
    """
    frames, n = volume.frames, len(volume.frames)
    if n == 1:
        return volume
    if handler == "central-slice":
        return _derive(volume, select_frames(frames, [n // 2]), [Blend(n // 2, n // 2)])
    if handler == "max-intensity":
        skipped = skip_frames or 0
        return _derive_projection(volume, max_intensity(frames, skipped, background), skipped)
    if handler == "laplacian-mip":
        skipped = LAPLACIAN_SKIP if skip_frames is None else skip_frames
        fused = laplacian_mip(frames, skipped, mip_weight=mip_weight, projection=projection)
        return _derive_projection(volume, fused, skipped)
    if handler == "interpolate":
        return _interpolate_volume(volume, target_frames, background)
    return volume if spacing_z is None else _resample(volume, spacing_z, background)


def _derive(
    volume: Volume, frames: Frames, sources: Sequence[Blend], frame_spacing: float | None = None
) -> Volume:
    """Return the volume of frames that were made of those of ``volume``."""
    positions = None
    if volume.positions is not None:
        positions = tuple(mix(volume.positions, sources).tolist())
    return Volume(frames, frame_spacing, positions, tuple(sources))


def _derive_projection(
    volume: Volume, projection: Frames, skip_frames: int | Sequence[int]
) -> Volume:
    """Return the volume of a projection, which lies where the first frame of it does."""
    first = _select_indices(len(volume.frames), skip_frames)[0]
    return _derive(volume, projection, [Blend(first, first)])


def mix(values: ArrayLike, sources: Sequence[Blend]) -> NDArray[np.float64]:
    """Return what frames made of others have, if it is linear between those.

    Parameters
    ----------
    values : (n_frames, ...) array_like
        One number or vector of each frame, such as its position.
    sources : sequence of Blend

    Returns
    -------
    (len(sources), ...) float64
    """
    of_frames = np.asarray(values, np.float64)
    first, last, *weights = np.array(sources, np.float64).T
    shape = (-1, *[1] * (of_frames.ndim - 1))
    first_weight, last_weight = (weight.reshape(shape) for weight in weights)
    total = of_frames[first.astype(np.intp)] * first_weight
    total += of_frames[last.astype(np.intp)] * last_weight
    mixed: NDArray[np.float64] = total / (first_weight + last_weight)
    return mixed


def max_intensity(
    frames: Frames, skip_frames: int | Sequence[int] = 0, background: float | None = None
) -> NDArray[Any]:
    """Return the maximum over frames, without ``skip_frames`` at both ends.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples)
    skip_frames : int or (start, end)
    background : float or None
        As for ``handle_volume``.

    Returns
    -------
    (1, rows, columns, samples), dtype of ``frames``

    Raises
    ------
    VolumeError
        All frames would be skipped.
    """
    kept = _select_indices(len(frames), skip_frames)
    projection = np.array(frames[kept[0]])
    for frame in select_frames(frames, kept[1:]) if len(kept) > 1 else ():
        if background is None:
            np.maximum(projection, frame, out=projection)
        else:
            is_higher = (frame > projection) | (projection == background)
            np.copyto(projection, frame, where=is_higher & (frame != background))
        del frame  # before the next one is made, so that memory has one less
    return projection[np.newaxis]


def _select_indices(count: int, skip_frames: int | Sequence[int]) -> range:
    """Return the indices of the frames that are not skipped at both ends, at least one."""
    start, end = (skip_frames, skip_frames) if isinstance(skip_frames, int) else skip_frames
    kept = range(start, max(start, count - end))
    if not kept:
        raise VolumeError(f"skip_frames ({start}, {end}) leaves none of {count} frames")
    return kept


def laplacian_mip(
    frames: Frames,
    skip_frames: int | Sequence[int] = 0,
    *,
    mip_weight: float = 1.5,
    projection: str = "parallel-beam",
) -> NDArray[Any]:
    """Project frames, and add the fine detail of their maximum, such as calcifications.

    Each band of the Laplacian pyramid of the maximum is damped where the projection is dark, and
    their sum is added. Pixels that are 0 in every frame stay 0.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples), uint8 or uint16
        Display values.
    skip_frames : int or (start, end)
        Frames that are left out at both ends.
    mip_weight : float
        Weight of the detail; 0 gives the projection.
    projection : str
        parallel-beam, the mean over the frames, or central-slice, the middle one of them.

    Returns
    -------
    (1, rows, columns, samples), dtype of ``frames``

    Raises
    ------
    VolumeError
        All frames would be skipped.

    References
    ----------
    Wei et al. 2019, doi 10.1088/1361-6560/aafcda; Burt and Adelson 1983, doi
    10.1109/TCOM.1983.1095851.
    """
    kept = _select_indices(len(frames), skip_frames)
    middle = kept[len(kept) // 2]
    total = np.zeros(frames.shape[1:])
    highest = np.zeros(frames.shape[1:], frames.dtype)
    for index, frame in zip(kept, select_frames(frames, kept), strict=True):
        np.maximum(highest, frame, out=highest)
        if projection == "parallel-beam":
            total += frame
        elif index == middle:
            total[:] = frame
        del frame  # before the next one is made, so that memory has one less
    # The mean, not the sum over its highest value: one white label would darken all of the image.
    base = total / len(kept) if projection == "parallel-beam" else total
    top = np.iinfo(frames.dtype).max
    fused = base + mip_weight * modulate_detail(highest.astype(np.float64), base / top)
    fused[highest == 0] = 0  # else crop would find the halo of an edge
    rounded: NDArray[Any] = np.floor(np.clip(fused, 0, top) + 0.5).astype(frames.dtype)
    return rounded[np.newaxis]


def _resample(volume: Volume, spacing_z: float, background: float | None) -> Volume:
    """Resample to frames every ``spacing_z`` mm from the first one on, as far as frames reach.

    Linear between neighbours by where they lie, so that uneven frames keep their places; integers
    are rounded half away from zero. A frame that lies where one is asked for stays as it is.
    """
    along = _measure_from_first(volume)
    steps = float(along[-1]) / spacing_z
    require_few_frames(steps)
    count = math.floor(steps + SAME_PLACE) + 1
    places = np.arange(count) * np.float64(spacing_z)
    sources = _blends_at(places, along)
    frames = _blend_frames(volume.frames, sources, _blend_rounded, background)
    positions = None
    if volume.positions is not None:
        positions = tuple((volume.positions[0] + places).tolist())
    return Volume(frames, spacing_z if count > 1 else None, positions, tuple(sources))


def require_few_frames(count: float) -> None:
    """Raise a VolumeError if a z spacing makes more frames than any volume has."""
    if not count < MAX_FRAMES:
        message = f"this z spacing makes {count:.0f} frames; at most {MAX_FRAMES} are possible"
        raise VolumeError(message)


def _measure_from_first(volume: Volume) -> NDArray[np.float64]:
    """Return how far each frame is from the first one in mm, ascending."""
    if volume.positions is not None:
        if not volume.is_ordered:
            raise VolumeError("frames are not in the order of their positions: cannot resample z")
        return np.array([position - volume.positions[0] for position in volume.positions])
    if volume.frame_spacing is None:
        raise NoSpacingError("the spacing between frames is unknown: cannot resample z to mm")
    return np.arange(len(volume.frames)) * np.float64(volume.frame_spacing)


def _blends_at(places: NDArray[np.float64], along: NDArray[np.float64]) -> list[Blend]:
    """Return of which frames those at ``places`` are made.

    Parameters
    ----------
    places : (count,)
        Distance of each from the first frame, mm.
    along : (n_frames,)
        Distance of each frame from the first one, mm, ascending. Of equal ones the first counts.
    """
    kept = np.flatnonzero(np.diff(along, prepend=-np.inf) > 0)
    known = along[kept]
    low = np.maximum(np.searchsorted(known, places, side="right") - 1, 0)
    high = np.minimum(low + 1, len(kept) - 1)
    gap = known[high] - known[low]  # 0 at and behind the last frame
    weight = np.divide(places - known[low], gap, out=np.zeros_like(places), where=gap > 0)
    # To digits that the last bits of positions do not reach, so that half of the weight is a half.
    weight = np.round(weight, 9)
    is_at_high = weight >= 1 - SAME_PLACE
    low = np.where(is_at_high, high, low)
    weight[is_at_high | (weight <= SAME_PLACE)] = 0
    high = np.where(weight > 0, high, low)
    columns = kept[low], kept[high], 1 - weight, weight
    return list(map(Blend, *(column.tolist() for column in columns)))


def _interpolate_volume(volume: Volume, count: int, background: float | None) -> Volume:
    """Resample to ``count`` frames, of which the first and last stay where they are."""
    n = len(volume.frames)
    spacing = volume.frame_spacing
    if spacing is not None:
        spacing = spacing * (n - 1) / (count - 1) if count > 1 else None
    frames = interpolate(volume.frames, count, background)
    return _derive(volume, frames, _spread_blends(n, count), spacing)


def interpolate(frames: Frames, count: int, background: float | None = None) -> Frames:
    """Interpolate linearly to ``count`` frames at positions i * (n - 1) / (count - 1).

    Integers are interpolated in integer arithmetic and truncated; one target frame is the first.
    Of background and tissue, the one with more weight counts, tissue if both have the same.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples)
    count : int
    background : float or None
        As for ``handle_volume``.

    Returns
    -------
    (count, rows, columns, samples), dtype of ``frames``
    """
    return _blend_frames(frames, _spread_blends(len(frames), count), _blend_truncated, background)


def _spread_blends(n: int, count: int) -> list[Blend]:
    """Return of which of ``n`` frames each of ``count`` is made, from the first to the last one."""
    steps = max(count - 1, 1)
    blends = []
    for index in range(count):
        low, rest = divmod(index * (n - 1), steps)
        blends.append(Blend(low, min(low + 1, n - 1), steps - rest, rest))
    return blends


def _blend_frames(
    frames: Frames,
    sources: Sequence[Blend],
    blend: Callable[[NDArray[Any], NDArray[Any], float, float], NDArray[Any]],
    background: float | None,
) -> Frames:
    """Return frames of which each is made of one or two others."""
    frames = spool_frames(frames)

    def make(index: int) -> NDArray[Any]:
        source = sources[index]
        first: NDArray[Any] = frames[source.first]
        if not source.last_weight:
            return first
        last = frames[source.last]
        weights = source.first_weight, source.last_weight
        blended = blend(first, last, *weights)
        if background is not None:
            # Of two pixels one of which is background, the other has all the weight of tissue.
            for pixel, other, has_more in (
                (first, last, weights[0] > weights[1]),
                (last, first, weights[1] > weights[0]),
            ):
                np.copyto(blended, pixel if has_more else other, where=pixel == background)
        return np.asarray(blended, first.dtype)

    return combine_frames(frames, len(sources), make)


def _blend_truncated(
    first: NDArray[Any], last: NDArray[Any], first_weight: float, last_weight: float
) -> NDArray[Any]:
    """Return the weighted mean of two frames, by whole weights; integers are truncated."""
    steps = first_weight + last_weight
    if first.dtype.kind == "f":
        blended: NDArray[Any] = (first * np.float64(first_weight) + last * last_weight) / steps
        return blended
    blended = first.astype(np.int64) * first_weight + last.astype(np.int64) * last_weight
    # Truncation is towards zero, // would round negative values down.
    truncated: NDArray[Any] = np.sign(blended) * (np.abs(blended) // steps)
    return truncated


def _blend_rounded(
    first: NDArray[Any], last: NDArray[Any], first_weight: float, last_weight: float
) -> NDArray[Any]:
    """Return the sum of two frames by weights; integers are rounded half away from zero."""
    blended = first * np.float64(first_weight) + last * np.float64(last_weight)
    return quantise(blended, first.dtype)
