"""The value that travels through the stages: frames, geometry, and facts about the source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.files import as_record
from dicom_preprocessing.imaging.frames import map_frames
from dicom_preprocessing.imaging.geometry import Geometry, Size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from dicom_preprocessing.imaging.frames import Frames
    from dicom_preprocessing.imaging.sampling import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What later stages, tags and the manifest need to know of the source.

    Parameters
    ----------
    study_instance_uid, series_instance_uid, sop_instance_uid : str
        As they appear in paths.
    modality : str
        Modality (0008,0060), empty where absent.
    source_rows, source_columns, source_frames : int
        Of the stored object.
    pixel_spacing : tuple of float or None
        x and y in mm of the decoded image.
    frame_spacing : float or None
        mm between the frames of the decoded image.
    photometric_interpretation : str
        Of the stored object. Display values of MONOCHROME1 are inverted, stored ones are not.
    background : float or None
        The value that counts as background, None for display values, whose background is black.
    warnings : tuple of str
        What was odd and survived.
    resolution_level : int
        Halvings of width and height at which it was decoded (fast_decode).
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    modality: str
    source_rows: int
    source_columns: int
    source_frames: int
    pixel_spacing: tuple[float, float] | None = None
    frame_spacing: float | None = None
    photometric_interpretation: str = ""
    background: float | None = None
    warnings: tuple[str, ...] = ()
    resolution_level: int = 0

    @property
    def fill(self) -> float:
        """The value to pad with."""
        return 0 if self.background is None else self.background

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``from_dict`` gives the same facts back."""
        return as_record(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SourceInfo:
        """Build from what ``as_dict`` gave."""
        spacing = data["pixel_spacing"]
        return cls(
            **{
                **data,
                "pixel_spacing": None if spacing is None else (spacing[0], spacing[1]),
                "warnings": tuple(data["warnings"]),
            }
        )


TABLE_BITS = 16
PIXELS_PER_LOOKUP = 1 << 16
"""Pixels that are looked up at once: their indices stay in the cache."""


@dataclass(frozen=True, eq=False)
class DisplayLut:
    """Display values by stored value: ``table`` starts at the stored value ``low``."""

    table: NDArray[Any]
    low: int

    def __call__(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Display values of stored ones, in the dtype of the table.

        Parameters
        ----------
        stored : any shape, integer
            Values that the table holds.

        Returns
        -------
        Same shape, contiguous
        """
        out = np.empty(stored.shape, self.table.dtype)
        step = max(1, PIXELS_PER_LOOKUP * len(stored) // max(1, stored.size))
        for top in range(0, len(stored), step):
            self.look_up(stored[top : top + step], out[top : top + step])
        return out

    def look_up(self, stored: NDArray[Any], out: NDArray[Any]) -> None:
        """Put display values into ``out``, of the dtype of the table; few enough for the cache."""
        index = stored.astype(np.intp)
        if self.low:
            index -= self.low
        np.take(self.table, index, out=out, mode="clip")

    @cached_property
    def floats(self) -> DisplayLut:
        """The same with a table of float64."""
        return DisplayLut(self.table.astype(np.float64), self.low)


@dataclass(frozen=True, slots=True, eq=False)
class ReducedResolution:
    """How frames were decoded at a part of their resolution (fast_decode).

    Parameters
    ----------
    level : int
        Halvings of width and height.
    sampling : Sampling
        Where the samples lie in the image.
    level_for : callable
        The level that an image of a size needs.
    again : callable
        Decodes the whole image at another level.
    """

    level: int
    sampling: Sampling
    level_for: Callable[[Size], int]
    again: Callable[[int], Image]


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """Frames with everything known about them.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples), uint8, uint16, int16 or float32
        Samples is 1 (grey) or 3 (RGB). Stored values as long as there is a ``lookup``.
    geometry : Geometry
        The way from the stored image to these frames.
    source_info : SourceInfo
    lookup : DisplayLut or None
        Display values, put off until few pixels are left to look up.
    reduction : ReducedResolution or None
        Frames have fewer samples than the image has pixels, until it is resized.
    """

    frames: Frames
    geometry: Geometry
    source_info: SourceInfo = field(repr=False)
    lookup: DisplayLut | None = field(repr=False, default=None)
    reduction: ReducedResolution | None = field(repr=False, default=None)

    @property
    def size(self) -> Size:
        """Width and height of a frame, at full resolution."""
        if self.reduction is not None:
            return self.geometry.active_size
        return Size(self.frames.shape[2], self.frames.shape[1])

    @property
    def is_colour(self) -> bool:
        """Whether the samples are red, green and blue."""
        return bool(self.frames.shape[3] > 1)

    def to_display_values(self) -> Image:
        """The image with its display values."""
        if self.lookup is None:
            return self
        frames = map_frames(self.frames, self.lookup, dtype=self.lookup.table.dtype)
        return replace(self, frames=frames, lookup=None)

    def with_source_info_of(self, other: Image) -> Image:
        """The image with the facts of another one, of the same source at another resolution."""
        source_info = replace(other.source_info, resolution_level=self.source_info.resolution_level)
        return replace(self, source_info=source_info)

    def evolve(self, frames: Frames, geometry: Geometry, warning: str | None = None) -> Image:
        """The image after a step, with the warning that the step may have given."""
        source_info = self.source_info
        if warning is not None:
            source_info = replace(source_info, warnings=(*source_info.warnings, warning))
        return replace(self, frames=frames, geometry=geometry, source_info=source_info)


def output_spacing(source_info: SourceInfo, geometry: Geometry) -> tuple[float, float] | None:
    """Pixel spacing of the output in x and y, mm; None where the source's is unknown."""
    native = source_info.pixel_spacing
    if native is None:
        return None
    scale = geometry.scale
    return native[0] / scale[0], native[1] / scale[1]


def top_value(dtype: np.dtype[Any]) -> int:
    """The highest value of an integer dtype: 255, 65535 or 32767."""
    return int(np.iinfo(dtype).max)


def luma(pixels: NDArray[Any]) -> NDArray[Any]:
    """Brightness of RGB pixels, (2126 R + 7152 G + 722 B) / 10000 truncated; grey as it is.

    Parameters
    ----------
    pixels : (..., samples)

    Returns
    -------
    (...), dtype of ``pixels``
    """
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    weighted = pixels[..., 0].astype(np.uint32) * np.uint32(2126)
    weighted += pixels[..., 1].astype(np.uint32) * np.uint32(7152)
    weighted += pixels[..., 2].astype(np.uint32) * np.uint32(722)
    brightness: NDArray[Any] = (weighted // np.uint32(10000)).astype(pixels.dtype)
    return brightness
