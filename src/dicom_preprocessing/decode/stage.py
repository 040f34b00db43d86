"""The decode stage: from a DICOM file to frames of values, volume handled and turned upright."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.decode.frame_order import frame_order
from dicom_preprocessing.decode.modality import modality_values
from dicom_preprocessing.decode.pixel_format import pixel_format
from dicom_preprocessing.decode.pixels import excess_frames, reducible_to, stored_frames
from dicom_preprocessing.decode.tomosynthesis import is_upside_down
from dicom_preprocessing.decode.values import display_lookup, is_relative
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.errors import FileError, VolumeError
from dicom_preprocessing.imaging.frames import mapped, picked
from dicom_preprocessing.imaging.geometry import Flip, Geometry, Size
from dicom_preprocessing.imaging.image import Facts, Image, Lookup, Reduction
from dicom_preprocessing.imaging.planning import fit_size, spacing_size
from dicom_preprocessing.imaging.sampling import Sampling, halved, level_for
from dicom_preprocessing.imaging.volume import Volume, handle_volume

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData
    from dicom_preprocessing.imaging.frames import Frames


__all__ = ["decode", "decode_opened", "decode_stored"]


PROJECTED = ("max-intensity", "interpolate", "laplacian-mip")
"""Volume handlers that compute with display values."""


def decode(path: str | os.PathLike[str], **settings: Any) -> Image:  # noqa: ANN401
    """Decode a file to its display values, all in memory; settings as for ``decode_opened``."""
    image = decode_stored(path, **settings).displayed()
    return replace(image, frames=np.asarray(image.frames))


def decode_stored(path: str | os.PathLike[str], **settings: Any) -> Image:  # noqa: ANN401
    """Read a DICOM file; settings, result and errors as for ``decode_opened``."""
    return decode_opened(*open_image(path), **settings)


def decode_opened(
    description: Description,
    pixel_data: PixelData | None,
    *,
    intensity: str = "voi",
    window: Sequence[float] | None = None,
    volume: str = "keep",
    target_frames: int = 32,
    skip_frames: int | Sequence[int] | None = None,
    mip_weight: float = 1.5,
    projection: str = "parallel-beam",
    spacing_z: float | None = None,
    fast_decode: Mapping[str, Any] | None = None,
    resolution_level: int | None = None,
) -> Image:
    """Decode what ``open_image`` gave; the settings are those of the configuration.

    ``fast_decode`` holds the ``size`` or ``spacing`` to which the image will be resized, and
    ``crop``, whether it will be cropped; ``resolution_level`` is the level, if not the one for the
    whole image.

    Returns
    -------
    Image
        Frames are decoded when they are asked for. Display values may be left to its lookup.
        Frames (n_frames, rows, columns, samples): uint8 if Bits Stored is at most 8, else uint16;
        for ``stored`` grey values uint16, int16 or float32.

    Raises
    ------
    FileError
        One of its children, for whatever is wrong with this file. Asking for a frame raises one
        if it does not decode.
    """
    if pixel_data is None:
        raise FileError("there is no pixel data element", error="no_pixel_data")
    layout = pixel_format(description, pixel_data.keyword)
    native = description.pixel_spacing()
    size, levels = Size(layout.columns, layout.rows), 0
    if (
        fast_decode is not None
        and level_for(size, _target(size, native, fast_decode))
        and not (fast_decode.get("crop") and is_relative(description, layout, intensity, window))
    ):
        levels = reducible_to(description, layout, pixel_data)

    def level_of(content: Size) -> int:
        return min(levels, level_for(content, _target(content, native, fast_decode or {})))

    level = level_of(size) if resolution_level is None else resolution_level
    frames: Frames = stored_frames(description, layout, pixel_data, level)
    warnings: list[str] = []
    background: float | None = None
    lookup: Lookup | None = None
    if layout.is_monochrome and intensity == "stored":
        frames, background, warnings = modality_values(description, frames, layout)
    elif layout.is_monochrome:
        frames, lookup, warnings = display_lookup(
            description, frames, layout, intensity=intensity, window=window
        )
        if lookup is not None and (volume in PROJECTED or spacing_z is not None):
            frames, lookup = mapped(frames, lookup, dtype=lookup.table.dtype), None
    excess = excess_frames(description, layout, pixel_data)
    warnings += [excess] if excess is not None else []
    order = frame_order(description, layout.number_of_frames)
    if not order.is_one_volume:
        if volume != "keep" or spacing_z is not None:
            raise VolumeError(f"several volumes in one object have no one z axis for {volume}")
        warnings.append("several volumes in one object: frames stay in stored order")
    if order.order != tuple(range(len(frames))):
        frames = picked(frames, order.order)
    handled = handle_volume(
        Volume(frames, order.spacing),
        handler=volume,
        target_frames=target_frames,
        skip_frames=skip_frames,
        mip_weight=mip_weight,
        projection=projection,
        spacing_z=spacing_z,
    )
    frames, flip = handled.frames, None
    sampling = Sampling(1 << level)
    if is_upside_down(description):
        sampling = sampling.mirrored(size, halved(size, level))
        frames = mapped(frames, lambda frame: frame[::-1, ::-1], is_cheap=True)
        flip = Flip(layout.columns, layout.rows, horizontal=True, vertical=True)
    facts = Facts(
        study_instance_uid=description.header.study_instance_uid,
        series_instance_uid=description.header.series_instance_uid,
        sop_instance_uid=description.header.sop_instance_uid,
        modality=description.header.modality,
        source_rows=layout.rows,
        source_columns=layout.columns,
        source_frames=layout.number_of_frames,
        pixel_spacing=native,
        frame_spacing=handled.frame_spacing,
        photometric_interpretation=layout.photometric_interpretation,
        background=background,
        warnings=tuple(warnings),
        resolution_level=level,
    )

    def again(level: int) -> Image:
        return decode_opened(
            description,
            pixel_data,
            intensity=intensity,
            window=window,
            volume=volume,
            target_frames=target_frames,
            skip_frames=skip_frames,
            mip_weight=mip_weight,
            projection=projection,
            spacing_z=spacing_z,
            fast_decode=fast_decode,
            resolution_level=level,
        )

    reduction = Reduction(level, sampling, level_of, again) if level else None
    return Image(frames, Geometry(size, flip=flip), facts, lookup, reduction)


def _target(content: Size, native: tuple[float, float] | None, resize: Mapping[str, Any]) -> Size:
    """The size to which ``content`` will be resized."""
    if "size" in resize:
        return fit_size(content, Size(int(resize["size"][0]), int(resize["size"][1])))
    if native is not None and "spacing" in resize:
        x, y = resize["spacing"][:2]
        return spacing_size(content, native=native, target=(x, y))
    return content
