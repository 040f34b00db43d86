"""Tags of this project's TIFFs: geometry, resolution, and how the image was made."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.imaging.image import output_spacing
from dicom_preprocessing.tiff.numbers import Tag, TagType
from dicom_preprocessing.tiff.place import describe_place, find_place
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from dicom_preprocessing.config.recipe import Recipe
    from dicom_preprocessing.imaging.geometry import Geometry
    from dicom_preprocessing.imaging.image import Image

SOFTWARE = "dicom-preprocessing " + ".".join(__version__.split(".")[:2])
REFERENCE_SOFTWARE = "dicom-preprocessing=="

RATIONAL_LIMIT = 2**32 - 1
CENTIMETRE, NO_UNIT = 3, 1
MM_IN_CM = 10


Rational = tuple[int, int]
RationalResolution = tuple[Rational | None, Rational | None]
"""X and y, pixels per cm; None where unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTags:
    """Values for the tags of a page, except its number.

    Parameters
    ----------
    geometry : Geometry
    resolution : (x, y)
        Pixels per cm as (numerator, denominator), None where unknown.
    description : str
        ImageDescription, ASCII.
    """

    geometry: Geometry
    resolution: RationalResolution = (None, None)
    description: str = ""


def geometry_tags(geometry: Geometry) -> list[tuple[int, int, int, Any, bool]]:
    """Return tifffile's extratags of the geometry; stages that did not run have neutral values."""
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


def make_image_description(image: Image, recipe: Recipe) -> str:
    """Make the ImageDescription: ASCII JSON of the source's shape and the stages that ran."""
    source_info, geometry = image.source_info, image.geometry
    ran = {
        "decode": True,
        "crop": geometry.crop is not None,
        "resize": geometry.resized is not None,
        "pad": geometry.padding is not None,
    }
    steps = {name: recipe.settings[name] for name, did in ran.items() if did}
    return json.dumps(
        {
            "source": {
                "rows": source_info.source_rows,
                "columns": source_info.source_columns,
                "frames": source_info.source_frames,
                "photometric_interpretation": source_info.photometric_interpretation,
            },
            "background": source_info.fill,
            "frame_spacing": source_info.frame_spacing,
            "spacing_source": source_info.spacing_source,
            **describe_place(find_place(geometry)),
            "steps": steps,
            "versions": dict(recipe.versions),
            "fingerprint": recipe.fingerprint,
        }
        | (
            {"resolution_level": source_info.resolution_level}
            if source_info.resolution_level
            else {}
        ),
        sort_keys=True,
        ensure_ascii=True,
    )


def output_resolution(image: Image) -> RationalResolution:
    """Return XResolution and YResolution, in pixels per cm, as the nearest rationals of 32 bits."""
    spacing = output_spacing(image.source_info, image.geometry)
    if spacing is None:
        return None, None
    return _to_rational(MM_IN_CM / spacing[0]), _to_rational(MM_IN_CM / spacing[1])


def spacing_of(resolution: RationalResolution) -> tuple[float, float] | None:
    """Return the spacing (x, y) in mm, None where it is unknown."""
    x, y = resolution
    if x is None or y is None:
        return None
    return MM_IN_CM * x[1] / x[0], MM_IN_CM * y[1] / y[0]


def _to_rational(value: float) -> tuple[int, int] | None:
    """Return the nearest RATIONAL, which has two unsigned integers of 32 bits, if there is one."""
    if not math.isfinite(value) or not 1 / RATIONAL_LIMIT <= value <= RATIONAL_LIMIT:
        return None
    # Of values above 1 the numerator is the larger, and has to fit.
    max_denominator = min(RATIONAL_LIMIT, math.floor(RATIONAL_LIMIT / value))
    nearest = Fraction(value).limit_denominator(max_denominator)
    return nearest.numerator, nearest.denominator
