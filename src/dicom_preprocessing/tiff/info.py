"""Size and geometry of a TIFF by its tags: of this project, the reference program, or any other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.tiff.descriptions import SOURCE_KEYS, SPACING_SOURCE, parse_description
from dicom_preprocessing.tiff.directories import TEXTS, WHOLE_NUMBERS
from dicom_preprocessing.tiff.numbers import Tag, TagType
from dicom_preprocessing.tiff.place import parse_place
from dicom_preprocessing.tiff.reader import TiffPages, explain_unreadable
from dicom_preprocessing.tiff.tags import CENTIMETRE, REFERENCE_SOFTWARE, spacing_of

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping

    from dicom_preprocessing.tiff.directories import Page, Values
    from dicom_preprocessing.tiff.place import Place
    from dicom_preprocessing.tiff.tags import RationalResolution

HEADER_TAGS: Final = frozenset(
    (
        *(Tag.SOFTWARE, Tag.IMAGE_DESCRIPTION, Tag.X_RESOLUTION, Tag.Y_RESOLUTION),
        *(Tag.RESOLUTION_UNIT, Tag.DEFAULT_SCALE, Tag.DEFAULT_CROP_ORIGIN, Tag.DEFAULT_CROP_SIZE),
        *(Tag.ACTIVE_AREA, Tag.FLIP, Tag.PLANAR, Tag.BITS, Tag.SAMPLE_FORMAT),
    )
)
FLOATS: Final = (TagType.FLOAT, TagType.DOUBLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffInfo:
    """Size and geometry of a TIFF by the tags of its first page; None where a tag is missing.

    Parameters
    ----------
    crop : (left, top, width, height)
        In pixels of the source.
    scale : (x, y)
    active_area : (left, top, right, bottom)
        In pixels of the output; right and bottom exclusive.
    spacing : (x, y)
        In mm.
    frame_spacing : float
        In mm.
    spacing_source : str
        How ``spacing`` is known.
    place : Place
        Where it lies in the patient.
    flip : (horizontal, vertical)
    source : (columns, rows, frames)
    """

    width: int
    height: int
    channels: int
    num_frames: int
    dtype: str
    crop: tuple[int, int, int, int] | None = None
    scale: tuple[float, float] | None = None
    active_area: tuple[int, int, int, int] | None = None
    spacing: tuple[float, float] | None = None
    frame_spacing: float | None = None
    spacing_source: str | None = None
    place: Place | None = None
    flip: tuple[bool, bool] | None = None
    source: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffHeader:
    """All that the tags of a TIFF tell, of its first page.

    Parameters
    ----------
    info : TiffInfo
    resolution : (x, y)
        As in the file, pixels per cm.
    description : dict
        ImageDescription as this project writes it; else empty.
    is_planar : bool
        Whether each sample has a plane of its own.
    """

    info: TiffInfo
    resolution: RationalResolution
    description: dict[str, Any]
    is_planar: bool


def read_info(path: os.PathLike[str] | str) -> TiffInfo:
    """Read the size of a TIFF, and its geometry if this project or the reference program wrote it.

    Raises
    ------
    OutputError
        The file is missing, or cannot be read as TIFF; the pixels of a page are not all in it; its
        tags are not what the program writes that they name.
    """
    with explain_unreadable(path):
        return read_header(TiffPages(path)).info


def read_header(pages: TiffPages) -> TiffHeader:
    """Read the tags of an open TIFF, after a check of all its pages; see ``read_info``."""
    count = sum(1 for _ in pages)
    tags = pages.read_tags(0, HEADER_TAGS)
    software = _decode_text(tags.get(Tag.SOFTWARE))
    is_own = software.startswith("dicom-preprocessing ")
    is_reference = software.startswith(REFERENCE_SOFTWARE)
    resolution = _read_resolution(tags)
    geometry: dict[str, Any] = {}
    first = pages[0]
    try:
        description = _read_description(tags, is_own=is_own)
        # In TIFFs of other programs, DNG for one, the same tags mean other things.
        if is_own or is_reference:
            geometry = _parse_geometry(tags, first.columns, first.rows, is_reference=is_reference)
        if is_own:
            geometry |= _describe_source(description)
            flip = _read_numbers(tags, Tag.FLIP, WHOLE_NUMBERS, 4) or (0, 0, 0, 0)
            geometry["flip"] = tuple(map(bool, flip[2:]))
    except ValueError as error:
        raise OutputError(f"{pages.path}: cannot be read as TIFF: {error}") from error
    info = TiffInfo(
        width=first.columns,
        height=first.rows,
        channels=first.samples,
        num_frames=count,
        dtype=_name_dtype(first, tags),
        spacing=spacing_of(resolution),
        **geometry,
    )
    is_planar = first.samples > 1 and _read_first(tags, Tag.PLANAR, 1) != 1
    return TiffHeader(
        info=info, resolution=resolution, description=description, is_planar=is_planar
    )


def _name_dtype(page: Page, tags: Mapping[int, Values]) -> str:
    """The dtype that the page is read as."""
    if page.dtype is not None:
        return page.dtype.newbyteorder("=").name
    import tifffile  # noqa: PLC0415  # slow to import, and seldom needed

    bits = tags[Tag.BITS].numbers if Tag.BITS in tags else (1,)
    key = _read_first(tags, Tag.SAMPLE_FORMAT, 1), bits[0] if len(set(bits)) == 1 else bits
    code = tifffile.TIFF.SAMPLE_DTYPES.get(key)
    return "None" if code is None else np.dtype(code).name


def _parse_geometry(
    tags: Mapping[int, Values], width: int, height: int, *, is_reference: bool
) -> dict[str, Any]:
    """Return scale, crop and active area as fields of TiffInfo.

    Raises
    ------
    ValueError
        A tag has not the values that it must have.
    """
    origin = _read_numbers(tags, Tag.DEFAULT_CROP_ORIGIN, WHOLE_NUMBERS, 2)
    size = _read_numbers(tags, Tag.DEFAULT_CROP_SIZE, WHOLE_NUMBERS, 2)
    area = _read_numbers(tags, Tag.ACTIVE_AREA, WHOLE_NUMBERS, 4)
    scale = _read_numbers(tags, Tag.DEFAULT_SCALE, FLOATS, 2)
    if scale and not all(0 < factor < math.inf for factor in scale):
        raise ValueError(f"its scale {scale[0]:g}, {scale[1]:g} is not a positive number")
    geometry: dict[str, Any] = {"scale": scale}
    if origin and size:
        left, top = origin
        if is_reference:  # it stores the centre of the box
            left, top = left - size[0] // 2, top - size[1] // 2
        geometry["crop"] = (left, top, *size)
    if area:
        left, top, right, bottom = area
        if is_reference:  # it stores the amounts of padding
            right, bottom = width - right, height - bottom
        if not (left < right <= width and top < bottom <= height):
            found = f"{right - left} x {bottom - top} at {left}, {top}"
            raise ValueError(f"its active area {found} is not within its image {width} x {height}")
        geometry["active_area"] = (left, top, right, bottom)
    return geometry


def _read_resolution(tags: Mapping[int, Values]) -> RationalResolution:
    """Return the resolution, pixels per cm; where one axis has none, neither has."""
    x, y = tags.get(Tag.X_RESOLUTION), tags.get(Tag.Y_RESOLUTION)
    unit = _read_first(tags, Tag.RESOLUTION_UNIT, 0)
    if x is None or y is None or {x.tag_type, y.tag_type} != {TagType.RATIONAL}:
        return None, None
    numbers = (*x.numbers[:2], *y.numbers[:2])
    is_known = unit == CENTIMETRE and len(numbers) == 4 and 0 not in numbers  # noqa: PLR2004
    return (numbers[:2], numbers[2:]) if is_known else (None, None)


def _read_numbers(
    tags: Mapping[int, Values], tag: int, types: Collection[int], count: int
) -> tuple[Any, ...] | None:
    """Return the values of a tag, None if it is absent."""
    values = tags.get(tag)
    if values is None:
        return None
    if values.tag_type not in types or len(values.numbers) != count:
        raise ValueError(
            f"{len(values.numbers)} values of type {values.tag_type} in tag {tag}, expected {count}"
        )
    return values.numbers


def _read_first(tags: Mapping[int, Values], tag: int, default: int) -> int:
    """Return the first value of a tag of whole numbers."""
    values = tags.get(tag)
    if values is None or values.tag_type not in WHOLE_NUMBERS or not values.numbers:
        return default
    return int(values.numbers[0])


def _read_description(tags: Mapping[int, Values], *, is_own: bool) -> dict[str, Any]:
    """Return the ImageDescription; what another program writes there may be anything."""
    try:
        return parse_description(_decode_text(tags.get(Tag.IMAGE_DESCRIPTION)))
    except ValueError:
        if is_own:
            raise
        return {}


def _describe_source(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return source and frame spacing as fields of TiffInfo, none if they are not known."""
    source = description.get("source", {})
    if "frame_spacing" not in description or not set(SOURCE_KEYS) <= set(source):
        return {}
    return {
        "source": tuple(source[key] for key in SOURCE_KEYS),
        "frame_spacing": description["frame_spacing"],
        "spacing_source": description.get(SPACING_SOURCE) or None,
        "place": parse_place(description),
    }


def _decode_text(values: Values | None) -> str:
    """Return the text of a tag without the NUL at its end."""
    if values is None or values.tag_type not in TEXTS:
        return ""
    return bytes(values.numbers).decode("utf-8", "replace").rstrip("\0")
