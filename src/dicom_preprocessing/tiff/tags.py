"""Tags of this project's TIFFs: geometry, resolution, and how the image was made."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from dicom_preprocessing.imaging.image import output_spacing
from dicom_preprocessing.tiff.numbers import Photometric, Predictor, Tag, TagType
from dicom_preprocessing.tiff.place import describe_place, find_place
from dicom_preprocessing.tiff.strips import choose_predictor
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from dicom_preprocessing.config.recipe import Recipe
    from dicom_preprocessing.imaging.geometry import Geometry
    from dicom_preprocessing.imaging.image import Image
    from dicom_preprocessing.tiff.compressors import Compressor
    from dicom_preprocessing.tiff.directories import PageFormat
    from dicom_preprocessing.tiff.new_directory import Entry

SOFTWARE = "dicom-preprocessing " + ".".join(__version__.split(".")[:2])
REFERENCE_SOFTWARE = "dicom-preprocessing=="

RATIONAL_LIMIT = 2**32 - 1
CENTIMETRE, NO_UNIT = 3, 1
MM_IN_CM = 10

CACHED_RATIONALS: Final = 256
"""Resolutions that are kept as rationals: those of a series are the same, or nearly all."""

CACHED_RECIPES: Final = 16
"""Descriptions of a recipe that are kept, by the stages that ran: nearly always the same."""

# Made once, since ``json.dumps`` makes one for each text.
_to_json: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=True).encode

PHOTOMETRIC_BY_SAMPLES: Final = {1: Photometric.BLACK_IS_ZERO, 3: Photometric.RGB}
SAMPLE_FORMATS: Final = {"i": 2, "f": 3}
"""SampleFormat by kind of dtype; unsigned is the default."""


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


def list_entries(form: PageFormat, compressor: Compressor, tags: PageTags) -> list[Entry]:
    """Return the entries of a page of one strip, but for those that differ from page to page."""
    return [
        *_pixel_entries(form, compressor),
        (Tag.IMAGE_DESCRIPTION, TagType.ASCII, _end_text(tags.description)),
        (Tag.SOFTWARE, TagType.ASCII, _end_text(SOFTWARE)),
        *_resolution_entries(tags.resolution),
        *_geometry_entries(tags.geometry),
    ]


def _pixel_entries(form: PageFormat, compressor: Compressor) -> list[Entry]:
    """Return the entries by which a page is decoded, without those that have their defaults."""
    samples, dtype = form.samples, form.dtype
    predictor = choose_predictor(compressor, dtype)
    entries: list[Entry] = [
        (Tag.WIDTH, TagType.LONG, (form.columns,)),
        (Tag.LENGTH, TagType.LONG, (form.rows,)),
        (Tag.ROWS_PER_STRIP, TagType.LONG, (form.rows,)),
        (Tag.COMPRESSION, TagType.SHORT, (compressor.code,)),
        (Tag.PHOTOMETRIC, TagType.SHORT, (PHOTOMETRIC_BY_SAMPLES[samples],)),
        (Tag.SAMPLES, TagType.SHORT, (samples,)),
    ]
    if predictor != Predictor.NONE:
        entries.append((Tag.PREDICTOR, TagType.SHORT, (predictor,)))
    if samples > 1:
        entries.append((Tag.PLANAR, TagType.SHORT, (1,)))
    if dtype.kind != "b":
        entries.append((Tag.BITS, TagType.SHORT, (8 * dtype.itemsize,) * samples))
    if dtype.kind in SAMPLE_FORMATS:
        entries.append((Tag.SAMPLE_FORMAT, TagType.SHORT, (SAMPLE_FORMATS[dtype.kind],) * samples))
    return entries


def _resolution_entries(resolution: RationalResolution) -> list[Entry]:
    x, y = resolution
    is_known = x is not None and y is not None
    return [
        (Tag.X_RESOLUTION, TagType.RATIONAL, _reduce(x or (1, 1))),
        (Tag.Y_RESOLUTION, TagType.RATIONAL, _reduce(y or (1, 1))),
        (Tag.RESOLUTION_UNIT, TagType.SHORT, (CENTIMETRE if is_known else NO_UNIT,)),
    ]


def _geometry_entries(geometry: Geometry) -> list[Entry]:
    """Return the entries of the geometry; stages that did not run have neutral values."""
    box = geometry.crop_box
    entries: list[Entry] = [
        (Tag.DEFAULT_SCALE, TagType.FLOAT, geometry.scale),
        (Tag.DEFAULT_CROP_ORIGIN, TagType.LONG, (box.left, box.top)),
        (Tag.DEFAULT_CROP_SIZE, TagType.LONG, (box.width, box.height)),
        (Tag.ACTIVE_AREA, TagType.LONG, geometry.active_area),
    ]
    flip = geometry.flip
    if flip is not None:
        values = (flip.width, flip.height, int(flip.horizontal), int(flip.vertical))
        entries.append((Tag.FLIP, TagType.LONG, values))
    return entries


def _end_text(text: str) -> bytes:
    """Return a text as an ASCII value, which ends with NUL (section 2)."""
    return text.encode("ascii") + b"\0"


def _reduce(rational: Rational) -> Rational:
    divisor = math.gcd(*rational)
    return rational[0] // divisor, rational[1] // divisor


def make_image_description(image: Image, recipe: Recipe) -> str:
    """Make the ImageDescription: ASCII JSON of the source's shape and the stages that ran."""
    source_info, geometry = image.source_info, image.geometry
    described = {
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
        "fingerprint": recipe.fingerprint,
    }
    if source_info.resolution_level:
        described["resolution_level"] = source_info.resolution_level
    of_recipe = _describe_recipe(
        recipe,
        is_cropped=geometry.crop is not None,
        is_resized=geometry.resized is not None,
        is_padded=geometry.padding is not None,
    )
    # In the order of all keys, those of the recipe are the last.
    return f"{_to_json(described)[:-1]}, {of_recipe[1:]}"


@functools.lru_cache(maxsize=CACHED_RECIPES)
def _describe_recipe(recipe: Recipe, *, is_cropped: bool, is_resized: bool, is_padded: bool) -> str:
    """Return JSON of the settings of the stages that ran, and of the versions of all."""
    ran = {"decode": True, "crop": is_cropped, "resize": is_resized, "pad": is_padded}
    steps = {name: recipe.settings[name] for name, did in ran.items() if did}
    return _to_json({"steps": steps, "versions": dict(recipe.versions)})


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


@functools.lru_cache(maxsize=CACHED_RATIONALS)
def _to_rational(value: float) -> tuple[int, int] | None:
    """Return the nearest RATIONAL, which has two unsigned integers of 32 bits, if there is one."""
    if not math.isfinite(value) or not 1 / RATIONAL_LIMIT <= value <= RATIONAL_LIMIT:
        return None
    # Of values above 1 the numerator is the larger, and has to fit.
    max_denominator = min(RATIONAL_LIMIT, math.floor(RATIONAL_LIMIT / value))
    nearest = Fraction(value).limit_denominator(max_denominator)
    return nearest.numerator, nearest.denominator
