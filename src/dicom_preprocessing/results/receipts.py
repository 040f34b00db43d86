"""Receipts: what a job did with each file of its study, one line of JSON per file.

Manifest, failures, retry list and report are made from receipts and the index alone.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import as_record, atomic_write, json_lines, reduce_record
from dicom_preprocessing.image_warnings import ImageWarning, ImageWarnings
from dicom_preprocessing.imaging.geometry import Geometry
from dicom_preprocessing.imaging.image import Image, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np

    from dicom_preprocessing.errors import FileError
    from dicom_preprocessing.index.table import InventoryEntry

WRITTEN = "written"

CHECK = "crc32"
CHECK_KEY, END = f', "{CHECK}": ', "}\n"
"""How a line of a receipt ends: a bit of it that changed would give other images in silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The outcome of one file of an inventory at one stage.

    Parameters
    ----------
    source_path, study_instance_uid, series_instance_uid, sop_instance_uid, attempt
        From the inventory.
    state : str
        written, skipped or failed.
    error, message, transient
        For a file that was not written.
    stage : str
        Where it failed, or the stage that wrote ``output``.
    output : str
        Path of the TIFF relative to the folder of all studies of the stage.
    source_info, geometry : dict
        ``SourceInfo.as_dict`` and ``Geometry.as_dict`` of a written image.
    frames, channels, dtype
        For a written image.
    volume, volume_id : int, str
        Number of the volume within its series, from 1, and its name among all of the study; 0 and
        empty where series are not stacked.
    part_of : str
        SOP Instance UID of the first file of the stack that this file is in, which has the image;
        empty where it is not stacked with others.
    place_in_stack : int
        Number of the file in that stack, from 1; 0 where it is in none.
    checksum : str
        ``checksum_of`` the TIFF, for a kept stage only.
    seconds : dict
        Time by stage.
    recipe : str
        ``Recipe.digest`` of the job that wrote the receipt.
    inventory : str
        ``digest_inventory`` of what the image was made from.
    """

    source_path: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    attempt: int
    state: str = WRITTEN
    error: str = ""
    message: str = ""
    transient: bool = False
    stage: str = ""
    output: str = ""
    source_info: dict[str, Any] | None = None
    geometry: dict[str, Any] | None = None
    frames: int = 0
    channels: int = 0
    dtype: str = ""
    volume: int = 0
    volume_id: str = ""
    part_of: str = ""
    place_in_stack: int = 0
    checksum: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    recipe: str = ""
    inventory: str = ""

    __reduce__ = reduce_record  # each comes from another process

    @property
    def is_written(self) -> bool:
        """Whether the file is in an image."""
        return self.state == WRITTEN

    @property
    def has_image(self) -> bool:
        """Whether it is the one receipt of an image, with its path, facts and geometry."""
        return self.is_written and bool(self.output)

    def as_failed(self, error: FileError, stage: str) -> Receipt:
        """The receipt of the same file after it failed at ``stage``."""
        return replace(
            self,
            state=error.state,
            error=error.error,
            message=str(error),
            transient=error.transient,
            stage=stage,
            output="",
            source_info=None,
            geometry=None,
            frames=0,
            channels=0,
            dtype="",
            part_of="",
            place_in_stack=0,
            checksum="",
        )

    def as_written(self, image: Image, stage: str, output: str, checksum: str = "") -> Receipt:
        """The receipt of the same file after ``stage`` wrote its image to ``output``."""
        frames, _, _, channels = image.frames.shape
        return replace(
            self,
            state=WRITTEN,
            stage=stage,
            output=output,
            source_info=image.source_info.as_dict(),
            geometry=image.geometry.as_dict(),
            frames=frames,
            channels=channels,
            dtype=_name_dtype(image.frames.dtype),
            checksum=checksum,
        )

    def parse_source_info(self) -> SourceInfo:
        """SourceInfo of a written image, its numbers exactly as they were.

        Raises
        ------
        OutputError
            Another version wrote the receipt.
        """
        try:
            return SourceInfo.from_dict(self.source_info or {})
        except (LookupError, TypeError, ValueError):
            raise self._make_version_error() from None

    def parse_warnings(self) -> tuple[ImageWarning, ...]:
        """Warnings about a written image, none of another file; errors as for the source info."""
        warnings = self.source_info and self.source_info.get("warnings")
        if not warnings:
            return ()
        try:
            return tuple(ImageWarnings.from_lists(warnings))
        except (TypeError, ValueError):
            raise self._make_version_error() from None

    def _make_version_error(self) -> OutputError:
        return OutputError(
            f"the receipt of study {self.study_instance_uid} was written by another version: "
            "remove it and run again"
        )

    def parse_geometry(self) -> Geometry:
        """Geometry of a written image; errors as for the source info."""
        try:
            return Geometry.from_dict(self.geometry or {})
        except (LookupError, TypeError, ValueError):
            raise self._make_version_error() from None


@cache
def _name_dtype(dtype: np.dtype[Any]) -> str:
    """Return the name of a dtype, which numpy makes anew each time."""
    return str(dtype)


def new_receipt(entry: InventoryEntry) -> Receipt:
    """The receipt of a file on which no work was done yet."""
    return Receipt(
        source_path=entry.path,
        study_instance_uid=entry.study_instance_uid,
        series_instance_uid=entry.series_instance_uid,
        sop_instance_uid=entry.sop_instance_uid,
        attempt=entry.attempt,
        volume=entry.stack.volume if entry.stack is not None else 0,
        volume_id=entry.stack.volume_id if entry.stack is not None else "",
    )


def write_receipts(path: Path, receipts: Iterable[Receipt]) -> None:
    """Write a receipt file atomically.

    Its folder may be gone again: when Snakemake ends with an error it removes empty folders, also
    those of other shards. If a power failure loses the name of a receipt, its study is processed
    once more.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, is_name_durable=False) as file:
        file.writelines(map(_add_check, json_lines(map(as_record, receipts))))


def _add_check(line: str) -> str:
    """A line of JSON with the check sum of what it was without it, as its last item."""
    return f"{line[: -len(END)]}{CHECK_KEY}{zlib.crc32(line.encode('ascii'))}{END}"


def read_receipts(path: Path) -> list[Receipt]:
    """Read what ``write_receipts`` wrote.

    Raises
    ------
    OutputError
        Another version wrote it, or another program changed it.
    """
    try:
        with path.open(encoding="ascii") as file:
            lines = list(file)
        records: list[dict[str, Any]] = json.loads(f"[{','.join(lines)}]")
        if not all(map(_is_as_written, lines)):
            message = f"{path} is not as it was written: remove it and run again"
            raise OutputError(message)
        for record in records:
            record.pop(CHECK, None)
        return [Receipt(**record) for record in records]
    except (AttributeError, RecursionError, TypeError, ValueError):
        message = f"{path} was written by another version: remove it and run again"
        raise OutputError(message) from None


def _is_as_written(line: str) -> bool:
    """Whether a line has the check sum of its content; those of earlier versions have none."""
    content, sign, check = line.rpartition(CHECK_KEY)
    if not sign:
        return f'"{CHECK}"' not in line
    return check == f"{zlib.crc32(f'{content}{END}'.encode('ascii'))}{END}"
