"""What the tags of this project's TIFFs say: geometry, resolution, and how the image was made."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.imaging.image import output_spacing
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from dicom_preprocessing.config.recipe import Chain
    from dicom_preprocessing.imaging.geometry import Geometry
    from dicom_preprocessing.imaging.image import Image

SOFTWARE = "dicom-preprocessing " + ".".join(__version__.split(".")[:2])
REFERENCE_SOFTWARE = "dicom-preprocessing=="

RATIONAL_LIMIT = 2**32 - 1
CENTIMETRE, NO_UNIT = 3, 1
MM_IN_CM = 10


Rational = tuple[int, int]
Resolution = tuple[Rational | None, Rational | None]
"""X and y, pixels per cm; None where unknown."""


class Tag(IntEnum):
    """Codes of the tags that carry geometry."""

    X_RESOLUTION = 282
    Y_RESOLUTION = 283
    PAGE_NUMBER = 297
    RESOLUTION_UNIT = 296
    SOFTWARE = 305
    IMAGE_DESCRIPTION = 270
    DEFAULT_SCALE = 50718
    DEFAULT_CROP_ORIGIN = 50719
    DEFAULT_CROP_SIZE = 50720
    ACTIVE_AREA = 50829
    FLIP = 65000


class TagType(IntEnum):
    """TIFF field types used here."""

    SHORT = 3
    LONG = 4
    FLOAT = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTags:
    """What the tags of a page tell beside its number.

    Parameters
    ----------
    geometry : Geometry
    resolution : (x, y)
        Pixels per cm as numerator and denominator, None where unknown.
    description : str
        ImageDescription, ASCII.
    """

    geometry: Geometry
    resolution: Resolution = (None, None)
    description: str = ""


def geometry_tags(geometry: Geometry) -> list[tuple[int, int, int, Any, bool]]:
    """Geometry as tifffile's extratags, neutral values for steps that did not run."""
    box = geometry.crop_box
    tags: list[tuple[int, int, int, Any, bool]] = [
        (Tag.DEFAULT_SCALE, TagType.FLOAT, 2, geometry.scale, False),
        (Tag.DEFAULT_CROP_ORIGIN, TagType.LONG, 2, (box.left, box.top), False),
        (Tag.DEFAULT_CROP_SIZE, TagType.LONG, 2, (box.width, box.height), False),
        (Tag.ACTIVE_AREA, TagType.LONG, 4, geometry.active_area, False),
    ]
    flip = geometry.flip
    if flip is not None:
        values = (flip.width, flip.height, int(flip.horizontal), int(flip.vertical))
        tags.append((Tag.FLIP, TagType.LONG, 4, values, False))
    return tags


def describe(image: Image, chain: Chain) -> str:
    """ImageDescription: ASCII JSON of the source's shape and of the steps that ran."""
    facts, geometry = image.facts, image.geometry
    ran = {
        "decode": True,
        "crop": geometry.crop is not None,
        "resize": geometry.resized is not None,
        "pad": geometry.padding is not None,
    }
    steps = {name: chain.settings[name] for name, did in ran.items() if did}
    return json.dumps(
        {
            "source": {
                "rows": facts.source_rows,
                "columns": facts.source_columns,
                "frames": facts.source_frames,
                "photometric_interpretation": facts.photometric_interpretation,
            },
            "background": facts.fill,
            "frame_spacing": facts.frame_spacing,
            "steps": steps,
            "versions": dict(chain.versions),
            "fingerprint": chain.fingerprint,
        }
        | ({"resolution_level": facts.resolution_level} if facts.resolution_level else {}),
        sort_keys=True,
        ensure_ascii=True,
    )


def output_resolution(image: Image) -> Resolution:
    """XResolution and YResolution, pixels per cm as the nearest rational of 32-bit parts."""
    spacing = output_spacing(image.facts, image.geometry)
    if spacing is None:
        return None, None
    return _rational(MM_IN_CM / spacing[0]), _rational(MM_IN_CM / spacing[1])


def _rational(value: float) -> tuple[int, int] | None:
    if not math.isfinite(value) or not 1 / RATIONAL_LIMIT <= value <= RATIONAL_LIMIT:
        return None
    largest = min(RATIONAL_LIMIT, math.floor(RATIONAL_LIMIT / value))
    nearest = Fraction(value).limit_denominator(largest)
    return nearest.numerator, nearest.denominator
