"""Volume handlers: which frames, or which combination of them, a multi-frame object becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.errors import NoSpacingError, VolumeError
from dicom_preprocessing.frames import made_of, picked, remembered
from dicom_preprocessing.geometry import round_half_away

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.frames import Frames

MOST_FRAMES = 1_000_000
"""A spacing that leads to more is a mistake in the header."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Frames of one z axis and what is known of it.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples)
    frame_spacing : float or None
        mm between frames.
    """

    frames: Frames
    frame_spacing: float | None


def handle_volume(
    volume: Volume,
    *,
    handler: str = "keep",
    target_frames: int = 32,
    skip_frames: int | Sequence[int] | None = None,
    spacing_z: float | None = None,
) -> Volume:
    """Apply a volume handler; a single frame is left alone.

    Parameters
    ----------
    volume : Volume
        Frames in the order of the z axis.
    handler : str
        keep, central-slice, max-intensity or interpolate.
    target_frames : int
        Frames that interpolate writes.
    skip_frames : int, (start, end) or None
        Frames that max-intensity leaves out at the ends.
    spacing_z : float or None
        With keep: resample to this frame spacing, mm.

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
        return Volume(picked(volume.frames, [n // 2]), None)
    if handler == "max-intensity":
        return Volume(max_intensity(volume.frames, skip_frames or 0), None)
    if handler == "interpolate":
        return _interpolated(volume, target_frames)
    if spacing_z is not None:
        if volume.frame_spacing is None:
            raise NoSpacingError("the spacing between frames is unknown: cannot resample z to mm")
        count = max(1, round_half_away(n * volume.frame_spacing / spacing_z))
        if count > MOST_FRAMES:
            raise VolumeError(f"{count} frames by the spacing between frames: unusable")
        return _interpolated(volume, count)
    return volume


def max_intensity(frames: Frames, skip_frames: int | Sequence[int] = 0) -> NDArray[Any]:
    """Maximum over frames, without ``skip_frames`` at both ends.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples)
    skip_frames : int or (start, end)

    Returns
    -------
    (1, rows, columns, samples)
    """
    start, end = (skip_frames, skip_frames) if isinstance(skip_frames, int) else skip_frames
    kept = range(start, max(start, len(frames) - end))
    if not kept:
        raise VolumeError(f"skip_frames ({start}, {end}) leaves none of {len(frames)} frames")
    projection = np.array(frames[start])
    for frame in picked(frames, kept[1:]) if len(kept) > 1 else ():
        np.maximum(projection, frame, out=projection)
        del frame  # before the next one is made
    return projection[np.newaxis]


def _interpolated(volume: Volume, count: int) -> Volume:
    n = len(volume.frames)
    spacing = volume.frame_spacing
    if spacing is not None:
        spacing = spacing * (n - 1) / (count - 1) if count > 1 else None
    return Volume(interpolate(volume.frames, count), spacing)


def interpolate(frames: Frames, count: int) -> Frames:
    """Resample to ``count`` frames at positions i * (n - 1) / (count - 1), linearly.

    Integers are interpolated in whole numbers and truncated; one target frame is the first.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples)

    Returns
    -------
    (count, rows, columns, samples), dtype of ``frames``
    """
    frames = remembered(frames)
    n, steps = len(frames), max(count - 1, 1)

    def blend(number: int) -> NDArray[Any]:
        low, rest = divmod(number * (n - 1), steps)
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
        return np.asarray(blended, first.dtype)

    return made_of(frames, count, blend)
