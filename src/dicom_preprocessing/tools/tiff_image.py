"""Images of a finished tree, with all that is needed to write them again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import short_digest
from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.mapping.geometry import geometry_of_info
from dicom_preprocessing.tiff.compressors import COMPRESSOR_BY_NAME, compressor_of
from dicom_preprocessing.tiff.descriptions import TOOLS
from dicom_preprocessing.tiff.info import TiffInfo, read_header
from dicom_preprocessing.tiff.numbers import Photometric
from dicom_preprocessing.tiff.reader import TiffPages, explain_unreadable, make_frames
from dicom_preprocessing.tiff.tags import PageTags, RationalResolution

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dicom_preprocessing.imaging.frames import Frames


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TiffImage:
    """A TIFF of this project, of the reference program, or of any other.

    Parameters
    ----------
    path : Path
    frames : (n_frames, rows, columns, samples)
        Read when they are asked for.
    info : TiffInfo
    geometry : Geometry
        By the tags; for files of other programs, that of the complete image.
    resolution : (x, y)
        As in the file, pixels per cm.
    description : dict
        ImageDescription; empty if it was not written by this project.
    compressor : str or None
        None for one that this project does not write.
    """

    path: Path
    frames: Frames
    info: TiffInfo
    geometry: Geometry
    resolution: RationalResolution
    description: dict[str, Any]
    compressor: str | None

    @property
    def background(self) -> float:
        """The value to pad with."""
        value = self.description.get("background")
        return float(value) if isinstance(value, int | float) else 0.0

    @property
    def modality_background(self) -> float | None:
        """The background of modality values; None for display values and of other programs."""
        settings = self.description.get("steps", {}).get("decode", {})
        is_grey = self.frames.shape[3] == 1
        return self.background if is_grey and settings.get("intensity") == "stored" else None

    def tags(self) -> PageTags:
        """Tags with the contents of those of the file."""
        return PageTags(
            geometry=self.geometry,
            resolution=self.resolution,
            description=format_description(self.description),
        )

    def choose_compressor(self, wanted: str | None) -> str:
        """The compressor ``wanted``, else the file's own.

        Raises
        ------
        OutputError
            ``wanted`` is None, and this project does not write the file's own.
        """
        compressor = wanted or self.compressor
        if compressor is None:
            names = ", ".join(COMPRESSOR_BY_NAME)
            raise OutputError(f"{self.path}: name a compressor, its own is not written: {names}")
        return compressor


def read_tiff_image(path: Path) -> TiffImage:
    """Read tags; frames are read when they are asked for.

    Raises
    ------
    OutputError
        The file is not a readable TIFF, or of a kind that this project does not write: tiles,
        palettes, planes, inverted grey, single bits.
    """
    with explain_unreadable(path):
        pages = TiffPages(path)
        header, frames = read_header(pages), make_frames(pages)
    page, info = pages[0], header.info
    shown = {
        Photometric.WHITE_IS_ZERO: "miniswhite",
        Photometric.BLACK_IS_ZERO: "minisblack",
        Photometric.RGB: "rgb",
        Photometric.PALETTE: "palette",
        Photometric.YCBCR: "ycbcr",
    }.get(page.photometric, str(page.photometric))
    is_supported = page.samples == {"minisblack": 1, "rgb": 3}.get(shown)
    if not is_supported or page.tile is not None or header.is_planar:
        raise OutputError(
            f"{path}: found {shown} in {page.samples} samples; expected grey or RGB "
            "in strips, not tiles or planes"
        )
    if frames.dtype.kind not in "iuf":
        raise OutputError(f"{path}: found values of type {frames.dtype}; expected numbers")
    return TiffImage(
        path=path,
        frames=frames,
        info=info,
        geometry=_read_geometry(path, info),
        resolution=header.resolution,
        description=header.description if "steps" in header.description else {},
        compressor=compressor_of(page.compression),
    )


def _read_geometry(path: Path, info: TiffInfo) -> Geometry:
    """Geometry by the tags; for files of other programs, that of the complete image.

    Raises
    ------
    OutputError
        The tags contradict each other.
    """
    if info.crop is None and info.active_area is None and info.scale is None:
        return Geometry(Size(info.width, info.height))
    return geometry_of_info(info, path)


def describe_source(stored: TiffImage) -> dict[str, Any]:
    """The description; for a file of another program, the file itself is the source."""
    if stored.description or stored.info.crop is not None:
        return stored.description
    info = stored.info
    source = {"rows": info.height, "columns": info.width, "frames": info.num_frames}
    return {"source": source, "background": 0, "frame_spacing": None, "steps": {}, "versions": {}}


def format_description(description: Mapping[str, Any]) -> str:
    """ImageDescription as ``tiff.tags.describe`` writes it."""
    return json.dumps(description, sort_keys=True, ensure_ascii=True)


def add_record(description: Mapping[str, Any], **record: Any) -> dict[str, Any]:  # noqa: ANN401
    """Add what a tool did to an image to its description."""
    return {**description, TOOLS: [*description.get(TOOLS, ()), record]}


def add_pixel_record(description: Mapping[str, Any], **record: Any) -> dict[str, Any]:  # noqa: ANN401
    """The same for a tool that changed pixels: the fingerprint comes from the previous one."""
    before = description.get("fingerprint", "")
    text = json.dumps([before, record], sort_keys=True)
    return add_record(description, **record) | {"fingerprint": short_digest(text)}
