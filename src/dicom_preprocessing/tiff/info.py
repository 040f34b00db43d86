"""What a TIFF tells by its tags: this project's, the reference program's, or any other."""

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
    """What a TIFF tells by its first page's tags; None where a tag is missing.

    ``crop`` is left, top, width, height; ``active_area`` left, top, right, bottom with right and
    bottom exclusive; ``spacing`` x, y in mm; ``flip`` horizontal, vertical.
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
    """Columns, rows and frames of the source."""


def read_info(path: os.PathLike[str] | str) -> TiffInfo:
    """Read size and geometry of this project's or the reference program's TIFF, or of any other.

    Raises
    ------
    OutputError
        The file is missing or no TIFF that can be read.
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
    software = _text(tags.get(Tag.SOFTWARE))
    ours = software.startswith("dicom-preprocessing ")
    reference = software.startswith(REFERENCE_SOFTWARE)
    geometry: dict[str, Any] = {}
    if ours or reference:
        geometry = _geometry(tags, width, height, reference=reference)
    if ours:
        geometry |= _parse_description(_text(tags.get(Tag.IMAGE_DESCRIPTION)))
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


def _geometry(
    tags: Mapping[int, Any], width: int, height: int, *, reference: bool
) -> dict[str, Any]:
    origin, size = tags.get(Tag.DEFAULT_CROP_ORIGIN), tags.get(Tag.DEFAULT_CROP_SIZE)
    area, scale = tags.get(Tag.ACTIVE_AREA), tags.get(Tag.DEFAULT_SCALE)
    found: dict[str, Any] = {"scale": tuple(map(float, scale)) if scale else None}
    if origin and size:
        left, top = origin
        if reference:  # it stores the centre of the box
            left, top = left - size[0] // 2, top - size[1] // 2
        found["crop"] = (left, top, *size)
    if area:
        left, top, right, bottom = area
        if reference:  # it stores the amounts of padding
            right, bottom = width - right, height - bottom
        found["active_area"] = (left, top, right, bottom)
    return found


def _parse_description(description: str) -> dict[str, Any]:
    try:
        data = json.loads(description)
        source = data["source"]
        return {
            "source": (source["columns"], source["rows"], source["frames"]),
            "frame_spacing": data["frame_spacing"],
        }
    except (ValueError, KeyError, TypeError):
        return {}


def _text(value: Any) -> str:  # noqa: ANN401  # ASCII or BYTE
    if isinstance(value, bytes | bytearray | tuple | list):
        value = bytes(value).decode("ascii", "replace")
    return str(value or "").rstrip("\0")
