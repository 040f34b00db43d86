"""Size and geometry of a TIFF by its tags: of this project, the reference program, or any other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tifffile

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.text import explain_without_path
from dicom_preprocessing.tiff.numbers import Tag
from dicom_preprocessing.tiff.tags import REFERENCE_SOFTWARE, resolution_of, spacing_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


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
    flip: tuple[bool, bool] | None = None
    source: tuple[int, int, int] | None = None


def read_info(path: os.PathLike[str] | str) -> TiffInfo:
    """Read the size of a TIFF, and its geometry if this project or the reference program wrote it.

    Raises
    ------
    OutputError
        The file is missing, or cannot be read as TIFF.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            tags = {tag.code: tag.value for tag in page.tags}
            count = len(tiff.pages)
            shape, samples, dtype = page.shape, page.samplesperpixel, page.dtype
    except Exception as error:  # tifffile raises nearly anything on bad bytes
        raise OutputError(
            f"{path}: cannot be read as TIFF: {explain_without_path(error)}"
        ) from error
    height, width = shape[:2]
    software = _as_text(tags.get(Tag.SOFTWARE))
    is_own = software.startswith("dicom-preprocessing ")
    is_reference = software.startswith(REFERENCE_SOFTWARE)
    geometry: dict[str, Any] = {}
    # In TIFFs of other programs, DNG for one, the same tags mean other things.
    if is_own or is_reference:
        geometry = _parse_geometry(tags, width, height, is_reference=is_reference)
    if is_own:
        geometry |= _parse_description(_as_text(tags.get(Tag.IMAGE_DESCRIPTION)))
        geometry["flip"] = (
            tuple(map(bool, tags[Tag.FLIP][2:])) if Tag.FLIP in tags else (False, False)
        )
    return TiffInfo(
        width=width,
        height=height,
        channels=samples,
        num_frames=count,
        dtype=str(dtype),
        spacing=spacing_of(resolution_of(tags)),
        **geometry,
    )


def _parse_geometry(
    tags: Mapping[int, Any], width: int, height: int, *, is_reference: bool
) -> dict[str, Any]:
    """Return scale, crop and active area as fields of TiffInfo."""
    origin, size = tags.get(Tag.DEFAULT_CROP_ORIGIN), tags.get(Tag.DEFAULT_CROP_SIZE)
    area, scale = tags.get(Tag.ACTIVE_AREA), tags.get(Tag.DEFAULT_SCALE)
    geometry: dict[str, Any] = {"scale": tuple(map(float, scale)) if scale else None}
    if origin and size:
        left, top = origin
        if is_reference:  # it stores the centre of the box
            left, top = left - size[0] // 2, top - size[1] // 2
        geometry["crop"] = (left, top, *size)
    if area:
        left, top, right, bottom = area
        if is_reference:  # it stores the amounts of padding
            right, bottom = width - right, height - bottom
        geometry["active_area"] = (left, top, right, bottom)
    return geometry


def _parse_description(description: str) -> dict[str, Any]:
    """Return source and frame spacing as fields of TiffInfo, none if it is no JSON of them."""
    try:
        data = json.loads(description)
        source = data["source"]
        return {
            "source": (source["columns"], source["rows"], source["frames"]),
            "frame_spacing": data["frame_spacing"],
        }
    except (ValueError, KeyError, TypeError):
        return {}


def _as_text(value: Any) -> str:  # noqa: ANN401  # ASCII or BYTE
    """Return the text of a tag without the NUL at its end."""
    if isinstance(value, bytes | bytearray | tuple | list):
        value = bytes(value).decode("ascii", "replace")
    return str(value or "").rstrip("\0")
