"""TIFF: the tags of this project, writing images and reading them back.

One page a frame, one strip a page, geometry in tags on every page, and nothing that differs between
two runs: no dates, hosts or paths.
"""

from __future__ import annotations

import errno
import json
import math
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import tifffile

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import appearing, writing
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.image import output_spacing
from dicom_preprocessing.tiff.reader import NONE, TiffPages
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.config.recipe import Chain
    from dicom_preprocessing.imaging.frames import Frames
    from dicom_preprocessing.imaging.geometry import Geometry
    from dicom_preprocessing.imaging.image import Image


SOFTWARE = "dicom-preprocessing " + ".".join(__version__.split(".")[:2])
REFERENCE_SOFTWARE = "dicom-preprocessing=="

COMPRESSIONS = {
    "packbits": "packbits",
    "lzw": "lzw",
    "uncompressed": None,
    "deflate": "zlib",
    "zstd": "zstd",
}
PREDICTED = ("deflate", "zstd")
HORIZONTAL, FLOATING_POINT = 2, 3
BIGTIFF_FROM = 2**32 - 2**28
"""Bytes from which BigTIFF is used: offsets of classic TIFF have 32 bits.

What is left is for the tags of many pages, and for noise that PackBits makes a 128th larger.
"""
LZW_GROWTH = 1.5
"""How much larger LZW may make noise: up to 12 bits for 8."""


PAGE_TOTAL_LIMIT = 2**16 - 1
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


def write_tiff(
    path: os.PathLike[str] | str, image: Image, *, compressor: str, chain: Chain
) -> None:
    """Write an image whole or not at all: to a sibling name first, then renamed.

    Parameters
    ----------
    path : path
        Its folder must exist.
    image : Image
    compressor : str
        packbits, lzw, uncompressed, deflate or zstd.
    chain : Chain
        What made the image, for ImageDescription.

    Raises
    ------
    OSError
        The disk is full, or the folder is not writable, or the file is not whole for another
        reason; nothing is left under either name.
    """
    tags = PageTags(
        geometry=image.geometry,
        resolution=output_resolution(image),
        description=describe(image, chain),
    )
    write_pages(path, image.frames, [tags], compressor=compressor)


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


def write_pages(
    path: os.PathLike[str] | str,
    frames: Frames,
    tags: Sequence[PageTags],
    *,
    compressor: str,
) -> None:
    """Write frames as a TIFF, whole or not at all.

    Parameters
    ----------
    path : path
        Its folder must exist.
    frames : (n_frames, rows, columns, samples)
        Samples is 1 (grey) or 3 (RGB).
    tags : sequence of PageTags
        One for all pages, or one a page.
    compressor : str
        packbits, lzw, uncompressed, deflate or zstd.

    Raises
    ------
    OSError
        The disk is full, or the folder is not writable, or the file is not whole for another
        reason; nothing is left under either name.
    """
    with appearing(Path(path)) as partial:
        with writing(partial, "wb") as file:
            _write_pages(file, frames, tags, compressor)
        _require_whole(partial, frames)


def _require_whole(path: Path, frames: Frames) -> None:
    """Raise OSError unless each frame has a page and a strip in the file; pixels are not read."""
    try:
        problem = _lacking(TiffPages(path), frames)
    except OutputError as error:
        problem = str(error).removeprefix(f"{path}: ")
    if problem:
        raise OSError(errno.EIO, f"the TIFF is not as it was written: {problem}", str(path))


def _lacking(pages: TiffPages, frames: Frames) -> str | None:
    """What is wrong with the directories of a file that holds these frames."""
    if len(pages) != len(frames):
        return f"{len(pages)} pages of {len(frames)}"
    expected = frames.dtype.newbyteorder("<")
    end = 0
    for number, page in enumerate(pages):
        is_like = (page.rows, page.columns, page.samples) == frames.shape[1:]
        if not is_like or page.dtype not in (expected, None):  # None: single bits
            return f"page {number} is of another kind"
        if len(page.counts) != 1 or page.offsets[0] < end:
            return f"page {number} has no strip of its own"
        if page.compression == NONE and page.dtype and page.counts[0] != page.nbytes:
            return f"page {number} has {page.counts[0]} bytes of {page.nbytes}"
        end = page.offsets[0] + page.counts[0]
    return None


def _write_pages(
    file: IO[bytes], frames: Frames, tags: Sequence[PageTags], compressor: str
) -> None:
    total = len(frames) if len(frames) <= PAGE_TOTAL_LIMIT else 0
    is_colour = frames.shape[3] > 1
    predictor = None
    if compressor in PREDICTED:
        predictor = FLOATING_POINT if frames.dtype.kind == "f" else HORIZONTAL
    largest = frames.nbytes * (LZW_GROWTH if compressor == "lzw" else 1)
    is_plain = COMPRESSIONS[compressor] is None and frames.dtype.kind != "b"  # bits are packed
    with tifffile.TiffWriter(file, bigtiff=largest > BIGTIFF_FROM, byteorder="<") as tiff:
        for number, frame in enumerate(frames):
            page = min(number, PAGE_TOTAL_LIMIT)
            own = tags[number] if len(tags) > 1 else tags[0]
            x, y = own.resolution
            pixels = np.ascontiguousarray(
                frame if is_colour else frame[..., 0], frame.dtype.newbyteorder("<")
            )
            place = tiff.write(
                None if is_plain else pixels,
                shape=pixels.shape,
                dtype=pixels.dtype,
                photometric="rgb" if is_colour else "minisblack",
                planarconfig="contig" if is_colour else None,
                rowsperstrip=frame.shape[0],
                compression=COMPRESSIONS[compressor],
                predictor=predictor,
                description=own.description,
                software=SOFTWARE,
                metadata=None,
                resolution=(x or (1, 1), y or (1, 1)),
                resolutionunit=CENTIMETRE if x and y else NO_UNIT,
                extratags=[
                    (Tag.PAGE_NUMBER, TagType.SHORT, 2, (page, total), False),
                    *geometry_tags(own.geometry),
                ],
                contiguous=False,
                maxworkers=1,
                returnoffset=is_plain,
            )
            if place is not None:
                _fill(file, place[0], pixels)


def _fill(file: IO[bytes], offset: int, pixels: NDArray[Any]) -> None:
    """Write pixels at the place that tifffile left for them: it would copy them first."""
    end = file.tell()
    file.seek(offset)
    file.write(pixels.data)
    file.seek(end)


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


def read_frames(path: os.PathLike[str] | str) -> LazyFrames:
    """Pages of an image of this project, which are read when they are asked for.

    Returns
    -------
    (n_frames, rows, columns, samples)

    Raises
    ------
    OutputError
        The file is missing or no TIFF of this project; also when asking for a damaged page.
    """
    try:
        pages = TiffPages(path)
        kinds = {pages.kind(number) for number in range(len(pages))}
    except OSError as error:
        raise OutputError(f"{path}: cannot be read as TIFF: {error}") from error
    if len(kinds) != 1:
        shown = sorted((kind.shape, str(kind.dtype)) for kind in kinds)
        raise OutputError(f"{path}: cannot be read as TIFF of one kind of page: {shown}")
    (kind,) = kinds
    return LazyFrames(
        (len(pages), *kind.shape), kind.dtype, pages.read, is_cheap=pages[0].is_one_block
    )


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
        raise OutputError(f"{path}: cannot be read as TIFF: {error}") from error
    height, width = shape[:2]
    software = _text(tags.get(Tag.SOFTWARE))
    ours = software.startswith("dicom-preprocessing ")
    reference = software.startswith(REFERENCE_SOFTWARE)
    geometry: dict[str, Any] = {}
    if ours or reference:
        geometry = _geometry(tags, width, height, reference=reference)
    if ours:
        geometry |= _described(_text(tags.get(Tag.IMAGE_DESCRIPTION)))
        geometry["flip"] = (
            tuple(map(bool, tags[Tag.FLIP][2:])) if Tag.FLIP in tags else (False, False)
        )
    return TiffInfo(
        width=width,
        height=height,
        channels=samples,
        num_frames=count,
        dtype=str(dtype),
        spacing=_spacing(tags),
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


def _described(description: str) -> dict[str, Any]:
    try:
        data = json.loads(description)
        source = data["source"]
        return {
            "source": (source["columns"], source["rows"], source["frames"]),
            "frame_spacing": data["frame_spacing"],
        }
    except (ValueError, KeyError, TypeError):
        return {}


def _spacing(tags: Mapping[int, Any]) -> tuple[float, float] | None:
    if tags.get(Tag.RESOLUTION_UNIT) != CENTIMETRE:
        return None
    x, y = tags.get(Tag.X_RESOLUTION), tags.get(Tag.Y_RESOLUTION)
    if x is None or y is None or 0 in (*x, *y):
        return None
    return MM_IN_CM * x[1] / x[0], MM_IN_CM * y[1] / y[0]


def _text(value: Any) -> str:  # noqa: ANN401  # ASCII or BYTE
    if isinstance(value, bytes | bytearray | tuple | list):
        value = bytes(value).decode("ascii", "replace")
    return str(value or "").rstrip("\0")
