"""Metadata of the direct Python API: the steps from the stored image to the array."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from dicom_preprocessing.imaging.geometry import Flip, Padding, Size
from dicom_preprocessing.imaging.image import output_spacing
from dicom_preprocessing.imaging.planning import fit_factors

if TYPE_CHECKING:
    from dicom_preprocessing.config import Config
    from dicom_preprocessing.image_warnings import ImageWarning
    from dicom_preprocessing.imaging.geometry import Geometry
    from dicom_preprocessing.imaging.image import Image


@dataclass(frozen=True, slots=True)
class Crop:
    """Kept rectangle in pixels of the decoded image (after the flip), origin top left."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Resize:
    """The requested factor, output over input, and the filter.

    With ``size`` it is one factor for x and y, float32, unless pixels are not square; with
    ``spacing`` one for each. Sides are
    whole pixels, so the realised ratio (of tags and manifest) may differ in the last digits.
    ``filter`` is nearest, triangle, catmullrom, gaussian, lanczos3 or maxpool.
    """

    scale_x: float
    scale_y: float
    filter: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """Pixels and frames of the output per mm; ``frames_per_mm`` is None where it is unknown."""

    pixels_per_mm_x: float
    pixels_per_mm_y: float
    frames_per_mm: float | None


class LeftOut(NamedTuple):
    """A file that was given and is in no volume: its path, and error and message as of a run."""

    path: str
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class PreprocessingMetadata:
    """What was done to an image; a step that did not run is None.

    ``resolution`` is None where the object does not state its pixel spacing. ``num_frames`` counts
    the frames of the output. ``warnings`` are about irregularities that did not prevent an image,
    each with a ``code`` and a ``message``. ``geometry`` maps points to the stored image and, where
    that is known, to the patient.

    Of a volume that functions with ``_series`` make, ``files`` are the paths of its slices in the
    order of the frames before a volume handler or a z spacing, ``volume`` is its number within its
    series and ``volume_id`` its name, both as in the manifest; ``left_out`` are the files of the
    same call that are in no volume, such as localizers. Else they are empty.
    """

    flip: Flip | None
    crop: Crop | None
    resize: Resize | None
    padding: Padding | None
    resolution: Resolution | None
    num_frames: int
    warnings: tuple[ImageWarning, ...] = field(default=(), repr=False)
    geometry: Geometry | None = field(default=None, repr=False, compare=False)
    files: tuple[str, ...] = field(default=(), repr=False, compare=False)
    volume: int = field(default=0, repr=False, compare=False)
    volume_id: str = field(default="", repr=False, compare=False)
    left_out: tuple[LeftOut, ...] = field(default=(), repr=False, compare=False)


def metadata_of(image: Image, config: Config) -> PreprocessingMetadata:
    """What a configuration did to an image, after all its steps."""
    geometry = image.geometry
    box = geometry.crop
    return PreprocessingMetadata(
        flip=geometry.flip,
        crop=Crop(box.left, box.top, box.width, box.height) if box is not None else None,
        resize=_describe_resize(image, config),
        padding=geometry.padding,
        resolution=_describe_resolution(image),
        num_frames=len(image.frames),
        warnings=tuple(image.source_info.warnings),
        geometry=geometry,
    )


def _describe_resize(image: Image, config: Config) -> Resize | None:
    name = config.filter.replace("-", "")
    if config.size is not None:
        content, shape = image.geometry.crop_box.size, image.source_info.pixel_shape
        factors = fit_factors(content, Size(*config.size), shape)
        return Resize(float(factors[0]), float(factors[1]), name)
    native = image.source_info.pixel_spacing
    if config.spacing is not None and native is not None:
        x, y = config.spacing[:2]
        return Resize(native[0] / x, native[1] / y, name)
    return None


def _describe_resolution(image: Image) -> Resolution | None:
    spacing, between = (
        output_spacing(image.source_info, image.geometry),
        image.source_info.frame_spacing,
    )
    if spacing is None:
        return None
    return Resolution(1 / spacing[0], 1 / spacing[1], 1 / between if between else None)
