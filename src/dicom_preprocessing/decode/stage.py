"""The decode stage: from a DICOM file to frames of values, in order, projected and upright."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dicom_preprocessing.decode.facts import warn_of_facts, warn_of_slice_spacing
from dicom_preprocessing.decode.frame_order import find_offset_faults, frame_order
from dicom_preprocessing.decode.modality import modality_values
from dicom_preprocessing.decode.pixel_format import PixelFormat, read_pixel_format
from dicom_preprocessing.decode.pixels import count_reducible_levels, stored_frames
from dicom_preprocessing.decode.tomosynthesis import is_upside_down
from dicom_preprocessing.decode.values import (
    is_padding_replaced,
    is_relative,
    make_display_values,
)
from dicom_preprocessing.dicom.contradictions import LEVELS_CONTRADICT
from dicom_preprocessing.dicom.levels import find_level_contradictions
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.errors import FileError, VolumeError
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.imaging.frames import map_frames, select_frames
from dicom_preprocessing.imaging.geometry import Flip, Geometry, Size
from dicom_preprocessing.imaging.image import DisplayLut, Image, ReducedResolution, SourceInfo
from dicom_preprocessing.imaging.planning import fit_size, spacing_size
from dicom_preprocessing.imaging.sampling import Sampling, choose_level, halve
from dicom_preprocessing.imaging.volume import Volume, handle_volume

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData
    from dicom_preprocessing.imaging.frames import Frames


PROJECTED = ("max-intensity", "interpolate", "laplacian-mip")
"""Volume handlers that compute with display values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings:
    """Settings of the decode stage, named as in the configuration.

    ``spacing_z`` is the z of ``spacing``. ``fast_decode`` has the ``size`` or ``spacing`` to which
    the image will be resized, and ``crop``, whether it will be cropped.
    """

    intensity: str = "voi"
    window: Sequence[float] | None = None
    volume: str = "keep"
    target_frames: int = 32
    skip_frames: int | Sequence[int] | None = None
    mip_weight: float = 1.5
    projection: str = "parallel-beam"
    spacing_z: float | None = None
    fast_decode: Mapping[str, Any] | None = None


def decode(path: str | os.PathLike[str], **settings: Any) -> Image:  # noqa: ANN401
    """Decode a file to display values, all in memory; settings as ``DecodeSettings``."""
    image = decode_stored(path, **settings).to_display_values()
    return replace(image, frames=np.asarray(image.frames))


def decode_stored(path: str | os.PathLike[str], **settings: Any) -> Image:  # noqa: ANN401
    """Decode a file; settings as ``DecodeSettings``, result and errors as ``decode_opened``."""
    return decode_opened(*open_image(path), **settings)


def decode_opened(
    description: Description,
    pixel_data: PixelData | None,
    **settings: Any,  # noqa: ANN401
) -> Image:
    """Decode the result of ``open_image``; settings as ``DecodeSettings``.

    Returns
    -------
    Image
        Frames (n_frames, rows, columns, samples) are decoded when they are asked for: uint8 if Bits
        Stored is at most 8, else uint16; grey values with intensity ``stored`` are uint16, int16 or
        float32. Where the image has a lookup, frames are stored values.

    Raises
    ------
    FileError
        One of its subclasses. A frame that cannot be decoded raises one when it is asked for.
    """
    if pixel_data is None:
        raise FileError("there is no pixel data element", error="no_pixel_data")
    decode_settings = DecodeSettings(**settings)
    warnings = ImageWarnings(description.warnings)
    pixel_format = read_pixel_format(description, pixel_data.keyword, warnings, pixel_data)
    warn_of_facts(description, warnings)
    _warn_of_frames(description, pixel_format.number_of_frames, warnings)
    levels = _count_levels(description, pixel_format, pixel_data, decode_settings)
    source = _DecodeInput(description, pixel_data, pixel_format, levels, warnings)
    return _decode_at_level(source, decode_settings, None)


class _DecodeInput(NamedTuple):
    """Input of the stage; ``levels`` is how often width and height may be halved."""

    description: Description
    pixel_data: PixelData
    pixel_format: PixelFormat
    levels: int
    warnings: ImageWarnings

    @property
    def size(self) -> Size:
        return Size(self.pixel_format.columns, self.pixel_format.rows)


class _Values(NamedTuple):
    """Frames of values, or of stored values with the lookup of their display values."""

    frames: Frames
    lookup: DisplayLut | None
    background: float | None


def _warn_of_frames(description: Description, count: int, warnings: ImageWarnings) -> None:
    """Add warnings about what the header says of frames in several ways."""
    for message in find_level_contradictions(description, count):
        warnings.add(LEVELS_CONTRADICT, message)
    for message in find_offset_faults(description, count):
        warnings.add("frame_offsets_contradict", message)


def _count_levels(
    description: Description,
    pixel_format: PixelFormat,
    pixel_data: PixelData,
    settings: DecodeSettings,
) -> int:
    """Return how often width and height may be halved, 0 unless the image will be made smaller."""
    size, fast = Size(pixel_format.columns, pixel_format.rows), settings.fast_decode
    if fast is None or not choose_level(
        size, _plan_target(size, description.pixel_spacing(), fast)
    ):
        return 0
    # The crop would keep everything: the lowest value of a reduced image is an overshoot somewhere.
    if fast.get("crop") and is_relative(
        description, pixel_format, settings.intensity, settings.window
    ):
        return 0
    if is_padding_replaced(description, pixel_format, settings.intensity, settings.window):
        return 0
    return count_reducible_levels(description, pixel_format, pixel_data)


def _decode_at_level(
    source: _DecodeInput, settings: DecodeSettings, requested_level: int | None
) -> Image:
    """Decode at a resolution level, None for the one that the uncropped image needs."""
    description, pixel_format = source.description, source.pixel_format
    native = description.pixel_spacing()

    def level_of(content: Size) -> int:
        target = _plan_target(content, native, settings.fast_decode or {})
        return min(source.levels, choose_level(content, target))

    level = level_of(source.size) if requested_level is None else requested_level
    values = _decode_values(source, settings, level)
    volume = _handle_frames(source, settings, values)
    frames, geometry, sampling = _turn_upright(source, volume.frames, level)
    source_info = SourceInfo(
        study_instance_uid=description.header.study_instance_uid,
        series_instance_uid=description.header.series_instance_uid,
        sop_instance_uid=description.header.sop_instance_uid,
        modality=description.header.modality,
        source_rows=pixel_format.rows,
        source_columns=pixel_format.columns,
        source_frames=pixel_format.number_of_frames,
        pixel_spacing=native,
        frame_spacing=volume.frame_spacing,
        photometric_interpretation=pixel_format.photometric_interpretation,
        background=values.background,
        warnings=source.warnings,
        resolution_level=level,
    )
    # The crop may need a finer level than the uncropped image, and then decodes again.
    reduction = None
    if level:
        decode = partial(_decode_at_level, source, settings)
        reduction = ReducedResolution(level, sampling, level_of, decode)
    return Image(frames, geometry, source_info, values.lookup, reduction)


def _decode_values(source: _DecodeInput, settings: DecodeSettings, level: int) -> _Values:
    """Return frames in stored order, of modality values, or of display values or their lookup."""
    description, pixel_format = source.description, source.pixel_format
    frames: Frames = stored_frames(
        description, pixel_format, source.pixel_data, source.warnings, level
    )
    if not pixel_format.is_monochrome:
        return _Values(frames, None, None)
    if settings.intensity == "stored":
        frames, background = modality_values(description, frames, pixel_format, source.warnings)
        return _Values(frames, None, background)
    frames, lookup = make_display_values(
        description,
        frames,
        pixel_format,
        source.warnings,
        intensity=settings.intensity,
        window=settings.window,
    )
    # The mean of stored values is not that of display values, and the maximum of an inverted image
    # is its darkest.
    if lookup is not None and (settings.volume in PROJECTED or settings.spacing_z is not None):
        frames, lookup = map_frames(frames, lookup, dtype=lookup.table.dtype), None
    return _Values(frames, lookup, None)


def _handle_frames(source: _DecodeInput, settings: DecodeSettings, values: _Values) -> Volume:
    """Order the frames along the z axis, and apply the volume handler."""
    frames = values.frames
    order = frame_order(source.description, source.pixel_format.number_of_frames)
    if not order.is_one_volume:
        if settings.volume != "keep" or settings.spacing_z is not None:
            message = f"several volumes in one object have no one z axis for {settings.volume}"
            raise VolumeError(message)
        source.warnings.add(
            "several_volumes", "several volumes in one object: frames stay in stored order"
        )
    warn_of_slice_spacing(source.description, order, source.warnings)
    if order.order != tuple(range(len(frames))):
        frames = select_frames(frames, order.order)
    return handle_volume(
        Volume(frames, order.spacing, order.distances),
        handler=settings.volume,
        target_frames=settings.target_frames,
        skip_frames=settings.skip_frames,
        mip_weight=settings.mip_weight,
        projection=settings.projection,
        spacing_z=settings.spacing_z,
        background=values.background,
    )


def _turn_upright(
    source: _DecodeInput, frames: Frames, level: int
) -> tuple[Frames, Geometry, Sampling]:
    """Turn the frames of a tomosynthesis object that is upside down by 180 degrees."""
    # Samples of a reduced resolution are at every 2**level-th pixel from the left and top, and so
    # from the right and bottom once they are turned: hence the mirrored sampling.
    size, sampling = source.size, Sampling(1 << level)
    if not is_upside_down(source.description):
        return frames, Geometry(size), sampling
    turned = map_frames(frames, lambda frame: frame[::-1, ::-1], is_cheap=True)
    flip = Flip(size.width, size.height, horizontal=True, vertical=True)
    return turned, Geometry(size, flip=flip), sampling.mirror(size, halve(size, level))


def _plan_target(
    content: Size, native: tuple[float, float] | None, resize: Mapping[str, Any]
) -> Size:
    """Return the size to which ``content`` will be resized."""
    if "size" in resize:
        return fit_size(content, Size(int(resize["size"][0]), int(resize["size"][1])))
    if native is not None and "spacing" in resize:
        x, y = resize["spacing"][:2]
        return spacing_size(content, native=native, target=(x, y))
    return content
