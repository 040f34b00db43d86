"""Resize the images of a finished tree, with tags that still lead to the source.

The image within the padding is resized, and padded again: padding never blends into its border, and
ActiveArea, which counts full pixels, is exact. DefaultScale is then the ratio of both steps, from
the crop box to the new image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.imaging.frames import map_frames
from dicom_preprocessing.imaging.geometry import Padding, Size, round_half_away
from dicom_preprocessing.imaging.image import Image, SourceInfo
from dicom_preprocessing.imaging.pad import FIXED_SIDES, pad_frames, plan_image_padding
from dicom_preprocessing.imaging.planning import Side, fit_size, plan_padding
from dicom_preprocessing.imaging.resize import resize_frames
from dicom_preprocessing.tiff.place import find_place, replace_place
from dicom_preprocessing.tiff.tags import PageTags, output_resolution, spacing_of
from dicom_preprocessing.tiff.writer import write_pages
from dicom_preprocessing.tools.tiff_image import (
    TiffImage,
    add_pixel_record,
    describe_source,
    format_description,
    read_tiff_image,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dicom_preprocessing.imaging.frames import Frames
    from dicom_preprocessing.results.manifest import ManifestRow

TOOL = "tiff-resize"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeOptions:
    """Options of tiff-resize.

    Parameters
    ----------
    size : (width, height) or None
        The image must fit within; its aspect ratio is kept. Padded images are padded to it.
    scale : float or None
        Factor on width and height, where there is no size.
    filter : str
        As for ``resize``.
    padding : str or None
        As for ``pad``. None: as each image was padded before, or not at all.
    compressor : str or None
        None: each image's own.
    """

    size: tuple[int, int] | None = None
    scale: float | None = None
    filter: str = "triangle"
    padding: str | None = None
    compressor: str | None = None

    def record(self) -> dict[str, Any]:
        """The record for ImageDescription."""
        target = {"size": list(self.size)} if self.size else {"scale": self.scale}
        return {"tool": TOOL, "filter": self.filter, **target}


def resize_file(source: Path, target: Path, options: ResizeOptions) -> None:
    """Write an image in another size.

    Its place in the patient is that of the new pixels. It is unknown, and left out, where the
    resolution is not by Pixel Spacing, since the corner moves by a part of a pixel of that size.

    Raises
    ------
    OutputError
        The source is not a TIFF that can be read and written.
    OSError
        The target cannot be written; no part of it stays.
    """
    stored = read_tiff_image(source)
    compressor = stored.choose_compressor(options.compressor)
    image = resize_image(stored, options)
    description = replace_place(describe_source(stored), find_place(image.geometry))
    tags = PageTags(
        geometry=image.geometry,
        resolution=output_resolution(image),
        description=format_description(add_pixel_record(description, **options.record())),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_pages(target, image.frames, [tags], compressor=compressor)


def resize_image(stored: TiffImage, options: ResizeOptions) -> Image:
    """The image in another size, with its geometry."""
    geometry, info = stored.geometry, stored.info
    active = geometry.active_size
    if options.size is not None:
        outer = Size(*options.size)
        content = fit_size(active, outer)
    else:
        outer = _scale_size(Size(info.width, info.height), options.scale or 1)
        content = _scale_size(active, options.scale or 1)
    frames = resize_frames(
        _cut_padding(stored),
        size=content,
        filter=options.filter,
        background=stored.modality_background,
    )
    source_info = _make_source_info(stored)
    image = Image(frames, replace(geometry, resized=content, padding=None), source_info)
    padding = _plan_padding(image, stored, outer, options.padding)
    if padding is None:
        return image
    padded = pad_frames(frames, padding, source_info.fill)
    return image.evolve(padded, image.geometry.with_padding(padding))


def _scale_size(size: Size, scale: float) -> Size:
    return Size(
        max(1, round_half_away(size.width * scale)), max(1, round_half_away(size.height * scale))
    )


def _cut_padding(stored: TiffImage) -> Frames:
    left, top, right, bottom = stored.geometry.active_area
    shape = (bottom - top, right - left, stored.frames.shape[3])
    return map_frames(stored.frames, lambda frame: frame[top:bottom, left:right], shape=shape)


def _make_source_info(stored: TiffImage) -> SourceInfo:
    spacing, scale = spacing_of(stored.resolution), stored.geometry.scale
    native = (spacing[0] * scale[0], spacing[1] * scale[1]) if spacing else None
    source = stored.geometry.source
    is_displayed = stored.frames.dtype.kind == "u" and not stored.background
    return SourceInfo(
        study_instance_uid="",
        series_instance_uid="",
        sop_instance_uid="",
        modality="",
        source_rows=source.height,
        source_columns=source.width,
        source_frames=stored.info.num_frames,
        pixel_spacing=native,
        background=None if is_displayed else stored.background,
    )


def _plan_padding(
    image: Image, stored: TiffImage, outer: Size, wanted: str | None
) -> Padding | None:
    """Padding to ``outer``: as ``wanted`` says, else on the sides that had padding before."""
    before = stored.geometry.padding or Padding(0, 0, 0, 0)
    step = stored.description.get("steps", {}).get("pad", {})
    setting = wanted or step.get("padding") or ("zero" if any(_amounts(before)) else "none")
    if setting == "none":
        return None
    if setting in FIXED_SIDES:
        return plan_padding(image.size, outer, x=FIXED_SIDES[setting], y=FIXED_SIDES[setting])
    x = None if wanted else _find_side(before.left, before.right)
    y = None if wanted else _find_side(before.top, before.bottom)
    if x and y:
        return plan_padding(image.size, outer, x=x, y=y)
    # On an axis without padding the frames decide; to be written, they are made a second time.
    by_frames = plan_image_padding(image, outer, "zero")
    return plan_padding(
        image.size,
        outer,
        x=x or _find_side(by_frames.left, by_frames.right) or "before",
        y=y or _find_side(by_frames.top, by_frames.bottom) or "before",
    )


def _amounts(padding: Padding) -> tuple[int, int, int, int]:
    return padding.left, padding.top, padding.right, padding.bottom


def _find_side(before: int, after: int) -> Side | None:
    if before and after:
        return "split"
    return "before" if before else "after" if after else None


def complete_row(new: ManifestRow, row: Mapping[str, Any]) -> ManifestRow:
    """A row from tags, completed from the manifest that listed the image before."""
    return replace(
        new,
        series_instance_uid=new.series_instance_uid or row.get("series_instance_uid") or None,
        modality=row.get("modality") or None,
        volume=row.get("volume"),
        volume_id=row.get("volume_id") or None,
    )
