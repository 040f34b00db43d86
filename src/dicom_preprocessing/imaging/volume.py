"""Volume handlers: the frames, or combinations of frames, that a multi-frame object becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.errors import NoSpacingError, VolumeError
from dicom_preprocessing.imaging.frames import combine_frames, select_frames, spool_frames
from dicom_preprocessing.imaging.geometry import round_half_away
from dicom_preprocessing.imaging.pyramid import modulate_detail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.imaging.frames import Frames

MAX_FRAMES = 1_000_000
"""A spacing that leads to more is a mistake in the header."""

LAPLACIAN_SKIP = 5
"""Frames that laplacian-mip leaves out at each end by default, because they are noisy."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Frames along one z axis, and their spacing.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples)
    frame_spacing : float or None
        In mm.
    """

    frames: Frames
    frame_spacing: float | None


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
        With keep: resample to this frame spacing in mm.
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
        All frames would be skipped.
    NoSpacingError
        ``spacing_z`` is asked for and the frame spacing is unknown.
    """
    n = len(volume.frames)
    if n == 1:
        return volume
    if handler == "central-slice":
        return Volume(select_frames(volume.frames, [n // 2]), None)
    if handler == "max-intensity":
        return Volume(max_intensity(volume.frames, skip_frames or 0, background), None)
    if handler == "laplacian-mip":
        skipped = LAPLACIAN_SKIP if skip_frames is None else skip_frames
        fused = laplacian_mip(volume.frames, skipped, mip_weight=mip_weight, projection=projection)
        return Volume(fused, None)
    if handler == "interpolate":
        return _interpolate_volume(volume, target_frames, background)
    return volume if spacing_z is None else _resample(volume, spacing_z, background)


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
    """Resample to a frame spacing in mm."""
    if volume.frame_spacing is None:
        raise NoSpacingError("the spacing between frames is unknown: cannot resample z to mm")
    count = max(1, round_half_away(len(volume.frames) * volume.frame_spacing / spacing_z))
    if count > MAX_FRAMES:
        raise VolumeError(f"this z spacing makes {count} frames; at most {MAX_FRAMES} are possible")
    return _interpolate_volume(volume, count, background)


def _interpolate_volume(volume: Volume, count: int, background: float | None) -> Volume:
    """Resample to ``count`` frames, of which the first and last stay where they are."""
    n = len(volume.frames)
    spacing = volume.frame_spacing
    if spacing is not None:
        spacing = spacing * (n - 1) / (count - 1) if count > 1 else None
    return Volume(interpolate(volume.frames, count, background), spacing)


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
    frames = spool_frames(frames)
    n, steps = len(frames), max(count - 1, 1)

    def blend(index: int) -> NDArray[Any]:
        low, rest = divmod(index * (n - 1), steps)
        first: NDArray[Any] = frames[low]
        if not rest:
            return first
        last = frames[min(low + 1, n - 1)]
        if first.dtype.kind == "f":
            blended = (first * np.float64(steps - rest) + last * rest) / steps
        else:
            blended = first.astype(np.int64) * (steps - rest) + last.astype(np.int64) * rest
            # Truncation is towards zero, // would round negative values down.
            blended = np.sign(blended) * (np.abs(blended) // steps)
        if background is not None:
            # Of two pixels one of which is background, the other has all the weight of tissue.
            for pixel, other, weight in ((first, last, steps - rest), (last, first, rest)):
                kept = pixel if 2 * weight > steps else other
                np.copyto(blended, kept, where=pixel == background)
        return np.asarray(blended, first.dtype)

    return combine_frames(frames, count, blend)
