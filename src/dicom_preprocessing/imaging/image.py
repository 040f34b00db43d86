"""The value that stages take and return: frames, geometry, and facts about the source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.files import as_record
from dicom_preprocessing.image_warnings import ImageWarning, ImageWarnings
from dicom_preprocessing.imaging.frames import map_frames
from dicom_preprocessing.imaging.geometry import Geometry, Size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from dicom_preprocessing.imaging.frames import Frames
    from dicom_preprocessing.imaging.sampling import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """Facts about the source for later stages, tags and the manifest.

    Parameters
    ----------
    study_instance_uid, series_instance_uid, sop_instance_uid : str
        As in paths.
    modality : str
        Modality (0008,0060), empty if absent.
    source_rows, source_columns, source_frames : int
        Of the stored object.
    pixel_spacing : tuple of float or None
        (x, y) of the decoded image in mm.
    spacing_source : str
        How it is known, one of PRECEDENCES["true_spacing"]; empty if it is not.
    pixel_shape : float or None
        Height over width of a pixel, where no spacing tells it.
    region : tuple of int or None
        (left, top, right, bottom) of the pixels of the decoded image that show the patient, right
        and bottom exclusive; of ultrasound.
    frame_spacing : float or None
        Distance of the frames of the decoded image in mm.
    page_frames : tuple of int or None
        For each frame of the decoded image the stored frame, from 1, that it is or is nearest to;
        None where they are the stored ones in their order.
    photometric_interpretation : str
        Of the stored object. Display values of MONOCHROME1 are inverted, stored ones are not.
    background : float or None
        The value that counts as background, None for display values, whose background is 0.
    warnings : ImageWarnings
        Contradictions and invalid values that did not prevent the image.
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
    spacing_source: str = ""
    pixel_shape: float | None = None
    region: tuple[int, int, int, int] | None = None
    frame_spacing: float | None = None
    page_frames: tuple[int, ...] | None = None
    photometric_interpretation: str = ""
    background: float | None = None
    warnings: ImageWarnings = field(default_factory=ImageWarnings)
    resolution_level: int = 0

    @property
    def fill(self) -> float:
        """The value to pad with."""
        return 0 if self.background is None else self.background

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values from which ``from_dict`` makes the same facts."""
        return as_record(self) | {"warnings": [list(warning) for warning in self.warnings]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SourceInfo:
        """Make the facts from the result of ``as_dict``; of another version's, a ValueError."""
        spacing, region, pages = data["pixel_spacing"], data["region"], data["page_frames"]
        return cls(
            **{
                **data,
                "pixel_spacing": None if spacing is None else (spacing[0], spacing[1]),
                "page_frames": None if pages is None else tuple(pages),
                "region": None if region is None else tuple(region),
                "warnings": ImageWarnings.from_lists(data["warnings"]),
            }
        )


INT16_MIN = -(1 << 15)
TABLE_BITS = 16
"""Bits of values for which a table is small enough."""
PIXELS_PER_LOOKUP = 1 << 16
"""Pixels that are looked up at once, so that their indices stay in the cache."""


@dataclass(frozen=True, eq=False)
class DisplayLut:
    """Display values by stored value; ``table[0]`` is that of the stored value ``low``."""

    table: NDArray[Any]
    low: int

    def __call__(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Look up the display values of stored values.

        Parameters
        ----------
        stored : any shape, integer
            Values within the table.

        Returns
        -------
        Same shape, contiguous, dtype of the table
        """
        out = np.empty(stored.shape, self.table.dtype)
        step = max(1, PIXELS_PER_LOOKUP * len(stored) // max(1, stored.size))
        for top in range(0, len(stored), step):
            self.look_up(stored[top : top + step], out[top : top + step])
        return out

    def look_up(self, stored: NDArray[Any], out: NDArray[Any]) -> None:
        """Look up display values into ``out``, of the dtype of the table."""
        # For few pixels at a time: their indices have eight bytes each, and should stay in the
        # cache.
        if self._has_every_int16 and stored.dtype == np.int16:
            table, index = self._table_by_bits, stored.view(np.uint16).astype(np.intp)
        else:
            table, index = self.table, stored.astype(np.intp)
            if self.low:
                index -= self.low
        table.take(index, out=out, mode="clip")  # with "raise" numpy would buffer ``out``

    @property
    def _has_every_int16(self) -> bool:
        return self.low == INT16_MIN and len(self.table) == 1 << TABLE_BITS

    @cached_property
    def _table_by_bits(self) -> NDArray[Any]:
        """The table of every int16, by its bits as an uint16: an index without a subtraction."""
        return np.roll(self.table, self.low)

    @cached_property
    def floats(self) -> DisplayLut:
        """The same table in float64."""
        return DisplayLut(self.table.astype(np.float64), self.low)


@dataclass(frozen=True, slots=True, eq=False)
class ReducedResolution:
    """The reduced resolution at which frames were decoded (fast_decode).

    Parameters
    ----------
    level : int
        Halvings of width and height.
    sampling : Sampling
        Positions of the samples in the image.
    level_for : callable
        From the size of an image to the level that it needs.
    decode_at_level : callable
        Decodes the uncropped image at another level.
    """

    level: int
    sampling: Sampling
    level_for: Callable[[Size], int]
    decode_at_level: Callable[[int], Image]


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """Frames, their geometry, and facts about their source.

    Parameters
    ----------
    frames : (n_frames, rows, columns, samples), uint8, uint16, int16 or float32
        Samples is 1 (grey) or 3 (RGB). Stored values as long as there is a ``lookup``.
    geometry : Geometry
        Mapping from the stored image to these frames.
    source_info : SourceInfo
    lookup : DisplayLut or None
        Display values, deferred until fewer pixels are left to look up.
    reduction : ReducedResolution or None
        Until the image is resized, frames with fewer samples than it has pixels.
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
        """Return the image with its display values."""
        if self.lookup is None:
            return self
        frames = map_frames(self.frames, self.lookup, dtype=self.lookup.table.dtype)
        return replace(self, frames=frames, lookup=None)

    def with_source_info_of(self, other: Image) -> Image:
        """Return the image with the facts of one of the same source at another resolution."""
        source_info = replace(other.source_info, resolution_level=self.source_info.resolution_level)
        return replace(self, source_info=source_info)

    def with_warning(self, warning: ImageWarning) -> Image:
        """Return the image with one more warning."""
        warnings = self.source_info.warnings.plus(*warning)
        return replace(self, source_info=replace(self.source_info, warnings=warnings))

    def with_frames(self, frames: Frames) -> Image:
        """Return the image with its frames in another form."""
        return self.evolve(frames, self.geometry)

    def evolve(self, frames: Frames, geometry: Geometry) -> Image:
        """Return the image after a step."""
        # Each image passes here some ten times: ``replace`` takes four times as long.
        return Image(frames, geometry, self.source_info, self.lookup, self.reduction)


def output_spacing(source_info: SourceInfo, geometry: Geometry) -> tuple[float, float] | None:
    """Return the pixel spacing (x, y) of the output in mm, None if it is unknown."""
    native = source_info.pixel_spacing
    if native is None:
        return None
    scale = geometry.scale
    return native[0] / scale[0], native[1] / scale[1]


@cache
def top_value(dtype: np.dtype[Any]) -> int:
    """Return the highest value of an integer dtype: 255, 65535 or 32767."""
    return int(np.iinfo(dtype).max)


def luma(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the luma (2126 R + 7152 G + 722 B) / 10000 of RGB pixels, truncated; grey as it is.

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
