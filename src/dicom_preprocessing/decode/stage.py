"""The decode stage: from a DICOM file to frames of values, in order, projected and upright."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dicom_preprocessing.decode.chest_wall import is_chest_wall_right
from dicom_preprocessing.decode.facts import (
    find_pixel_shape,
    warn_of_facts,
    warn_of_slice_spacing,
)
from dicom_preprocessing.decode.frame_differences import find_frame_differences
from dicom_preprocessing.decode.frame_order import find_offset_faults, frame_order
from dicom_preprocessing.decode.modality import modality_values
from dicom_preprocessing.decode.pixel_format import PixelFormat, read_pixel_format
from dicom_preprocessing.decode.pixels import count_reducible_levels, stored_frames
from dicom_preprocessing.decode.space import find_patient_space, number_page_frames
from dicom_preprocessing.decode.tomosynthesis import is_upside_down
from dicom_preprocessing.decode.values import (
    is_padding_replaced,
    is_relative,
    make_display_values,
)
from dicom_preprocessing.dicom.common_header import CACHED_HEADERS
from dicom_preprocessing.dicom.contradictions import LEVELS_CONTRADICT
from dicom_preprocessing.dicom.levels import find_level_contradictions
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.dicom.spacing import find_spacing
from dicom_preprocessing.dicom.ultrasound import find_2d_region
from dicom_preprocessing.errors import FileError, VolumeError
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.imaging.frames import map_frames, select_frames
from dicom_preprocessing.imaging.geometry import Flip, Geometry, Size
from dicom_preprocessing.imaging.image import DisplayLut, Image, ReducedResolution, SourceInfo
from dicom_preprocessing.imaging.planning import fit_size, spacing_size
from dicom_preprocessing.imaging.sampling import Sampling, choose_level, halve
from dicom_preprocessing.imaging.stacking.checks import describe_gaps
from dicom_preprocessing.imaging.volume import Volume, handle_volume

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from dicom_preprocessing.decode.frame_order import FrameOrder
    from dicom_preprocessing.dicom.description import CommonHeader, Description
    from dicom_preprocessing.dicom.pixel_data import PixelData
    from dicom_preprocessing.dicom.spacing import PixelSpacing
    from dicom_preprocessing.image_warnings import ImageWarning
    from dicom_preprocessing.imaging.frames import Frames


PROJECTED = ("max-intensity", "interpolate", "laplacian-mip")
"""Volume handlers that compute with display values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings:
    """Settings of the decode stage, named as in the configuration.

    ``spacing_z`` is the z of ``spacing``. The index has carried out ``series``, and ``stack`` but
    for its policy for rescales, when it chose the files of an image. ``fast_decode`` has the
    ``size`` or ``spacing`` to which the image will be resized, and ``crop``, whether it will be
    cropped.
    """

    intensity: str = "voi"
    window: Sequence[float] | None = None
    volume: str = "keep"
    target_frames: int = 32
    skip_frames: int | Sequence[int] | None = None
    mip_weight: float = 1.5
    projection: str = "parallel-beam"
    series: str = "separate"
    stack: Mapping[str, str] = field(default_factory=dict)
    orient: str = "none"
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
    source = prepare_input(description, pixel_data, decode_settings, warnings)
    levels = _count_levels(source, decode_settings)
    return _decode_at_level(source, decode_settings, levels)


def prepare_input(
    description: Description,
    pixel_data: PixelData,
    settings: DecodeSettings,
    warnings: ImageWarnings,
) -> DecodeInput:
    """Read from the header what is not about values, and add warnings about it.

    Raises
    ------
    FileError
        As ``read_pixel_format``.
    """
    keyword, orient, facts = pixel_data.keyword, settings.orient, None
    if description.common is not None:
        facts = _read_common_facts(description.common, keyword, orient)
    if facts is None:
        facts = _read_facts(description, keyword, orient, pixel_data)
    warnings.extend(facts.warnings)
    return DecodeInput(
        description,
        pixel_data,
        facts.pixel_format,
        facts.spacing,
        facts.pixel_shape,
        facts.region,
        facts.flip,
        warnings,
    )


class _Facts(NamedTuple):
    """What is read from a header before its pixels; fields as of ``DecodeInput``."""

    pixel_format: PixelFormat
    spacing: PixelSpacing | None
    pixel_shape: float | None
    region: tuple[int, int, int, int] | None
    flip: Flip | None
    warnings: tuple[ImageWarning, ...]


@lru_cache(maxsize=CACHED_HEADERS)
def _read_common_facts(common: CommonHeader, keyword: str, orient: str) -> _Facts | None:
    """Read the facts of slices with a common header, None where they depend on the pixels."""
    if not common.description.pixel.photometric_interpretation.text():
        return None
    return _read_facts(common.description, keyword, orient)


def _read_facts(
    description: Description, keyword: str, orient: str, pixel_data: PixelData | None = None
) -> _Facts:
    """Read the facts of a header; ``keyword`` is that of its pixel data element."""
    warnings = ImageWarnings()
    pixel_format = read_pixel_format(description, keyword, warnings, pixel_data)
    spacing = find_spacing(description)
    warn_of_facts(description, spacing, warnings)
    _warn_of_frames(description, pixel_format.number_of_frames, warnings)
    flip = _plan_flip(description, pixel_format, orient, warnings)
    pixel_shape = find_pixel_shape(description) if spacing is None else None
    region = _find_region(description, pixel_format, flip)
    return _Facts(pixel_format, spacing, pixel_shape, region, flip, tuple(warnings))


def _find_region(
    description: Description, pixel_format: PixelFormat, flip: Flip | None
) -> tuple[int, int, int, int] | None:
    """Return the pixels of a decoded ultrasound image that show the patient."""
    region = find_2d_region(description)
    if region is None:
        return None
    size = Size(pixel_format.columns, pixel_format.rows)
    return Geometry(size, flip=flip).flip_area(region[:4])


class DecodeInput(NamedTuple):
    """Input of the stage.

    ``flip`` is how frames are turned or mirrored; ``pixel_shape`` and ``region`` are those of
    ``SourceInfo``.
    """

    description: Description
    pixel_data: PixelData
    pixel_format: PixelFormat
    spacing: PixelSpacing | None
    pixel_shape: float | None
    region: tuple[int, int, int, int] | None
    flip: Flip | None
    warnings: ImageWarnings

    @property
    def size(self) -> Size:
        """Width and height of a stored frame."""
        return Size(self.pixel_format.columns, self.pixel_format.rows)

    def plan_target(self, content: Size, resize: Mapping[str, Any] | None) -> Size:
        """Return the size to which ``content`` will be resized."""
        if resize is not None and "size" in resize:
            size = Size(int(resize["size"][0]), int(resize["size"][1]))
            return fit_size(content, size, self.pixel_shape)
        if resize is not None and self.spacing is not None and "spacing" in resize:
            x, y = resize["spacing"][:2]
            return spacing_size(content, native=self.spacing[:2], target=(x, y))
        return content


class Values(NamedTuple):
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


def _plan_flip(
    description: Description, pixel_format: PixelFormat, orient: str, warnings: ImageWarnings
) -> Flip | None:
    """Plan the turn of a tomosynthesis object that is upside down, and the chest wall's side."""
    is_turned = is_upside_down(description)
    is_mirrored = orient == "left" and is_chest_wall_right(description, warnings, turned=is_turned)
    if not is_turned and not is_mirrored:
        return None
    return Flip(
        pixel_format.columns,
        pixel_format.rows,
        horizontal=is_turned != is_mirrored,
        vertical=is_turned,
    )


def _count_levels(source: DecodeInput, settings: DecodeSettings) -> int:
    """Return how often width and height may be halved, 0 unless the image will be made smaller."""
    description, pixel_format, fast = source.description, source.pixel_format, settings.fast_decode
    if fast is None or not choose_level(source.size, source.plan_target(source.size, fast)):
        return 0
    # The crop would keep everything: the lowest value of a reduced image is an overshoot somewhere.
    if fast.get("crop") and is_relative(
        description, pixel_format, settings.intensity, settings.window
    ):
        return 0
    if is_padding_replaced(description, pixel_format, settings.intensity, settings.window):
        return 0
    return count_reducible_levels(description, pixel_format, source.pixel_data)


def _decode_at_level(
    source: DecodeInput, settings: DecodeSettings, levels: int, requested_level: int | None = None
) -> Image:
    """Decode at a resolution level, None for the one that the uncropped image needs.

    ``levels`` is how often width and height may be halved.
    """
    description, pixel_format = source.description, source.pixel_format

    def level_of(content: Size) -> int:
        if not levels:  # nearly all
            return 0
        target = source.plan_target(content, settings.fast_decode)
        return min(levels, choose_level(content, target))

    level = level_of(source.size) if requested_level is None else requested_level
    stored = stored_frames(description, pixel_format, source.pixel_data, source.warnings, level)
    values = make_values(description, pixel_format, stored, source.warnings, settings)
    order, volume = _order_frames(source, settings, values)
    frames, sampling = flip_frames(source, volume.frames, level)
    space = find_patient_space(description, order.order, volume.sources)
    geometry = Geometry(source.size, flip=source.flip, space=space)
    source_info = make_source_info(
        source,
        source_frames=pixel_format.number_of_frames,
        frame_spacing=volume.frame_spacing,
        page_frames=number_page_frames(order.order, volume.sources),
        background=values.background,
        warnings=source.warnings,
        resolution_level=level,
    )
    # The crop may need a finer level than the uncropped image, and then decodes again.
    reduction = None
    if level:
        decode = partial(_decode_at_level, source, settings, levels)
        reduction = ReducedResolution(level, sampling, level_of, decode)
    return Image(frames, geometry, source_info, values.lookup, reduction)


def make_source_info(source: DecodeInput, **facts: Any) -> SourceInfo:  # noqa: ANN401
    """Return the facts of the header, and those about what became of the frames."""
    header, spacing = source.description.header, source.spacing
    return SourceInfo(
        study_instance_uid=header.study_instance_uid,
        series_instance_uid=header.series_instance_uid,
        sop_instance_uid=header.sop_instance_uid,
        modality=header.modality,
        source_rows=source.pixel_format.rows,
        source_columns=source.pixel_format.columns,
        pixel_spacing=spacing[:2] if spacing is not None else None,
        spacing_source=spacing.source if spacing is not None else "",
        pixel_shape=source.pixel_shape,
        region=source.region,
        photometric_interpretation=source.pixel_format.photometric_interpretation,
        **facts,
    )


def make_values(
    description: Description,
    pixel_format: PixelFormat,
    frames: Frames,
    warnings: ImageWarnings,
    settings: DecodeSettings,
) -> Values:
    """Make of stored frames modality values, or display values or their lookup, in stored order."""
    if not pixel_format.is_monochrome:
        return Values(frames, None, None)
    if settings.intensity == "stored":
        frames, background = modality_values(description, frames, pixel_format, warnings)
        return Values(frames, None, background)
    frames, lookup = make_display_values(
        description,
        frames,
        pixel_format,
        warnings,
        intensity=settings.intensity,
        window=settings.window,
    )
    # The mean of stored values is not that of display values, and the maximum of an inverted image
    # is its darkest.
    if lookup is not None and (settings.volume in PROJECTED or settings.spacing_z is not None):
        frames, lookup = map_frames(frames, lookup, dtype=lookup.table.dtype), None
    return Values(frames, lookup, None)


def _order_frames(
    source: DecodeInput, settings: DecodeSettings, values: Values
) -> tuple[FrameOrder, Volume]:
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
    _judge_differences(source, order, settings)
    warn_of_slice_spacing(source.description, order, source.warnings)
    if order.order != tuple(range(len(frames))):
        frames = select_frames(frames, order.order)
    volume = Volume(frames, order.spacing, order.distances)
    if settings.spacing_z is not None and volume.is_ordered:
        _require_no_gap(order.distances or (), settings, source.warnings)
    return order, apply_handler(volume, settings, values.background)


def _judge_differences(source: DecodeInput, order: FrameOrder, settings: DecodeSettings) -> None:
    """Warn of what differs between frames; raise a VolumeError where pages would mix them."""
    is_mixed = settings.volume in PROJECTED or settings.spacing_z is not None
    count = source.pixel_format.number_of_frames
    for difference in find_frame_differences(source.description, count, order):
        if difference.prevents_mixing and is_mixed:
            handler = "a spacing of z" if settings.volume == "keep" else settings.volume
            raise VolumeError(f"{difference.found}: they are no one volume for {handler}")
        source.warnings.add("frames_differ", f"{difference.found}: {difference.done}")


def _require_no_gap(
    distances: Sequence[float], settings: DecodeSettings, warnings: ImageWarnings
) -> None:
    """Raise a VolumeError where frames seem to be missing, unless the policy is to warn.

    Whatever lies in a gap would be resampled from its two sides.
    """
    gaps = describe_gaps(distances)
    if not gaps:
        return
    if settings.stack.get("gap") != "warn":
        raise VolumeError(
            f"gap: {gaps.replace('slices', 'frames')}. To resample z across it: series: stack and "
            "stack: {gap: warn}"
        )
    warnings.add("stack_gap", gaps.replace("slices", "frames"))


def apply_handler(volume: Volume, settings: DecodeSettings, background: float | None) -> Volume:
    """Apply the volume handler of the settings."""
    return handle_volume(
        volume,
        handler=settings.volume,
        target_frames=settings.target_frames,
        skip_frames=settings.skip_frames,
        mip_weight=settings.mip_weight,
        projection=settings.projection,
        spacing_z=settings.spacing_z,
        background=background,
    )


def flip_frames(source: DecodeInput, frames: Frames, level: int = 0) -> tuple[Frames, Sampling]:
    """Turn or mirror frames, and the positions of their samples at a reduced resolution."""
    # Samples of a reduced resolution are at every 2**level-th pixel from the left and top, and so
    # from the right and bottom once they are mirrored.
    flip, sampling = source.flip, Sampling(1 << level)
    if flip is None:
        return frames, sampling
    rows, columns = (
        slice(None, None, -1 if flipped else 1) for flipped in (flip.vertical, flip.horizontal)
    )
    flipped = map_frames(frames, lambda frame: frame[rows, columns], is_cheap=True)
    return flipped, sampling.mirror(flip, halve(source.size, level))
