"""The image that is checked, its findings, and the facts that checks and report share."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal

from dicom_preprocessing.decode.frame_order import frame_order
from dicom_preprocessing.decode.photometric import read_photometric
from dicom_preprocessing.decode.pixel_format import read_pixel_format
from dicom_preprocessing.dicom.description import FunctionalGroups
from dicom_preprocessing.dicom.spacing import find_spacing
from dicom_preprocessing.errors import FileError
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.index.table import is_path_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_preprocessing.dicom.attribute import Attribute
    from dicom_preprocessing.dicom.description import Description
    from dicom_preprocessing.dicom.pixel_data import PixelData

Severity = Literal["error", "warning", "info"]

U16_MAX: Final = 65535
IMAGE_ATTRIBUTES: Final = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
"""Attributes that every image must have, in the order in which they are checked."""


@dataclass(frozen=True, slots=True)
class MacroAttribute:
    """An attribute of functional group macros that changes the output where it is present.

    ``row`` of the table of contradictions decides which groups count, ``read`` gives the value that
    is read from such groups, and ``attribute`` the attribute itself.
    """

    row: str
    read: Callable[[FunctionalGroups], object | None]
    attribute: Callable[[FunctionalGroups], Attribute]

    def find(self, description: Description) -> tuple[Attribute, ...]:
        """The attribute in the groups that count; if it is in none, wherever it is present."""
        effective_groups = description.find_effective_groups(self.row, self.read)
        attributes = (self.attribute(groups) for groups in effective_groups)
        present = tuple(attribute for attribute in attributes if attribute.is_present)
        return present or description.find_present(self.attribute)


GROUPS: Final = FunctionalGroups
MACRO_ATTRIBUTES: Final[Mapping[str, MacroAttribute]] = {
    "RescaleSlope": MacroAttribute("rescale", GROUPS.rescale, attrgetter("rescale_slope")),
    "RescaleIntercept": MacroAttribute("rescale", GROUPS.rescale, attrgetter("rescale_intercept")),
    "WindowCenter": MacroAttribute("voi_level", GROUPS.windows, attrgetter("window_center")),
    "WindowWidth": MacroAttribute("voi_level", GROUPS.windows, attrgetter("window_width")),
    "VOILUTFunction": MacroAttribute(
        "voi_lut_function", GROUPS.function, attrgetter("voi_lut_function")
    ),
    "PixelSpacing": MacroAttribute(
        "pixel_spacing", GROUPS.patient_spacing, attrgetter("pixel_spacing")
    ),
    "ImagerPixelSpacing": MacroAttribute(
        "pixel_spacing", GROUPS.detector_spacing, attrgetter("imager_pixel_spacing")
    ),
    "SpacingBetweenSlices": MacroAttribute(
        "spacing_between_slices", GROUPS.slice_spacing, attrgetter("spacing_between_slices")
    ),
}
"""By keyword. Validation shows the values that decoding uses."""


def find_attributes(description: Description, keyword: str) -> tuple[Attribute, ...]:
    """An attribute that changes the output, in each group where it counts."""
    if keyword == "PixelPaddingValue":
        padding = description.pixel_padding.value
        return (padding,) if padding.is_present else ()
    return MACRO_ATTRIBUTES[keyword].find(description)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check of the file (not a radiological finding).

    Parameters
    ----------
    code : str
        An identifier for programs.
    severity : error, warning or info
    message : str
        A phrase for readers.
    keyword : str
        The attribute that it is about, if it is about one.
    value : str or None
        The value of the attribute.
    """

    code: str
    severity: Severity
    message: str
    keyword: str = ""
    value: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CheckedImage:
    """An image to check.

    Parameters
    ----------
    description : Description
    pixel_data : PixelData or None
    broken : str
        Why pixel data that the file has could not be found.
    decoding_warnings : ImageWarnings
        Takes those of decoding.
    """

    description: Description
    pixel_data: PixelData | None
    broken: str = ""
    decoding_warnings: ImageWarnings = field(default_factory=ImageWarnings)

    @property
    def warnings(self) -> ImageWarnings:
        """Warnings of reading and decoding, as the converter gives them."""
        return ImageWarnings(self.description.warnings, self.decoding_warnings)

    @property
    def has_pixels(self) -> bool:
        """Whether there is a pixel data element, in whatever state."""
        return self.pixel_data is not None or bool(self.broken)

    @property
    def keyword(self) -> str:
        """Keyword of the pixel data element, PixelData where there is none."""
        return self.pixel_data.keyword if self.pixel_data is not None else "PixelData"

    @property
    def is_float(self) -> bool:
        """Whether samples are floating point numbers."""
        return self.keyword != "PixelData"

    @property
    def is_image(self) -> bool:
        """Whether the file has any part of an image."""
        return self.has_pixels or any(self.attribute(name).is_present for name in IMAGE_ATTRIBUTES)

    def attribute(self, keyword: str) -> Attribute:
        """An attribute of the Image Pixel Module."""
        attribute: Attribute = getattr(self.description.pixel, to_snake_case(keyword))
        return attribute

    def integer(self, keyword: str) -> int | None:
        """An unsigned short of the Image Pixel Module, None where there is none."""
        number = self.attribute(keyword).integer(-1)
        return number if 0 <= number <= U16_MAX else None

    @property
    def photometric_interpretation(self) -> str:
        """As decoding takes it; empty if it is missing and none can be assumed."""
        return read_photometric(self.description, self.pixel_data, ImageWarnings())

    @property
    def number_of_frames(self) -> tuple[int | None, str]:
        """Number of Frames, 1 by default, and its origin: explicit, default or invalid."""
        number = self.description.number_of_frames()
        if self.description.pixel.number_of_frames.is_empty:
            return number, "default"
        return number, "explicit" if number is not None else "invalid"


def find_color_type(image: CheckedImage) -> str | None:
    """Gray8, Gray16, RGB8 or RGB16: the pixels to be written; None for an unsupported format."""
    if image.pixel_data is None:
        return None
    try:
        pixel_format = read_pixel_format(
            image.description, image.keyword, ImageWarnings(), image.pixel_data
        )
    except FileError:
        return None
    kind = "Gray" if pixel_format.is_monochrome else "RGB"
    return f"{kind}{8 if pixel_format.bits_stored <= 8 else 16}"  # noqa: PLR2004  # bits of a byte


def find_resolution(image: CheckedImage) -> dict[str, float]:
    """Pixels per mm in x and y, and frames per mm, as far as they are known."""
    description = image.description
    resolution: dict[str, float] = {}
    spacing = find_spacing(description)
    if spacing is not None:
        resolution |= {"pixels_per_mm_x": 1 / spacing.x, "pixels_per_mm_y": 1 / spacing.y}
    n = image.number_of_frames[0] or 1
    has_places = n == len(description.frames) or description.frame_offsets(n) is not None
    step = frame_order(description, n if has_places else 1).spacing
    if step:
        resolution["frames_per_mm"] = 1 / step
    return resolution


def count_voi_lut_items(image: CheckedImage) -> int:
    """Number of items of VOI LUT Sequence, in all frames."""
    effective = image.description.find_effective_groups(
        "voi_level", lambda groups: groups.voi_luts or None
    )
    return sum(len(groups.voi_luts) for groups in effective)


def has_output_path(image: CheckedImage) -> bool:
    """Whether UIDs give the path of the image."""
    header = image.description.header
    return is_path_part(header.study_instance_uid) and is_path_part(header.sop_instance_uid)


def find_numbers(description: Description, keyword: str) -> list[float]:
    """Distinct finite numbers of an attribute, in all frames."""
    attributes = find_attributes(description, keyword)
    numbers = (n for attribute in attributes for n in attribute.numbers())
    return list(dict.fromkeys(n for n in numbers if math.isfinite(n)))


def to_snake_case(keyword: str) -> str:
    """``BitsAllocated`` as ``bits_allocated``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", keyword).lower()
