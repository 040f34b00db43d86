"""One SOP instance: from its candidate files to the image of a stage.

The stages in between run in one process, so that what is in memory is one image. Running them one
by one through files gives the same bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.config import STAGES
from dicom_preprocessing.decode.stage import decode_stored
from dicom_preprocessing.errors import (
    FileError,
    LimitPixelsError,
    SourceChangedError,
    UnreadableError,
)
from dicom_preprocessing.files import path_key
from dicom_preprocessing.imaging.crop import crop
from dicom_preprocessing.imaging.pad import pad
from dicom_preprocessing.imaging.resize import resize
from dicom_preprocessing.index.conflicts import describe_other
from dicom_preprocessing.processing.timing import StageTimer
from dicom_preprocessing.results.layout import image_path
from dicom_preprocessing.results.receipts import Receipt, new_receipt
from dicom_preprocessing.tiff.writer import write_tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from dicom_preprocessing.config import Limits, Stage
    from dicom_preprocessing.config.recipe import Recipe
    from dicom_preprocessing.imaging.image import Image
    from dicom_preprocessing.index.table import InventoryEntry


STAGE_FUNCTIONS: Mapping[Stage, Callable[..., Image]] = {"crop": crop, "resize": resize, "pad": pad}
"""Stages between decode and write; their keyword arguments are the recipe's settings."""


def import_libraries_of(recipe: Recipe) -> None:
    """Import what stages of a recipe would import at their first image."""
    size = recipe.settings.get("resize", {})
    if size.get("size") or size.get("spacing"):
        import scipy.sparse  # noqa: PLC0415
    if recipe.settings.get("crop", {}).get("crop_components"):
        import scipy.ndimage  # noqa: F401, PLC0415


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """Where the images of a stage go, and how they are made.

    ``root`` is the folder of all studies, ``recipe`` ends at the stage. ``name`` is given where
    there is one image only, and is then its path below ``root``.
    """

    root: Path
    recipe: Recipe
    name: str | None = None

    def relative_path(self, receipt: Receipt) -> str:
        """Path of an image below ``root``."""
        if self.name is not None:
            return self.name
        recipe = self.recipe
        layout = recipe.settings["write"]["layout"] if recipe.stage == "write" else "study/sop"
        uids = (receipt.study_instance_uid, receipt.series_instance_uid, receipt.sop_instance_uid)
        return image_path(layout, *uids)

    def write(self, image: Image, receipt: Receipt) -> str:
        """Write an image; returns its path below ``root``."""
        relative = self.relative_path(receipt)
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = self.recipe.stage != "write"
        compressor = "uncompressed" if kept else self.recipe.settings["write"]["compressor"]
        write_tiff(path, image, compressor=compressor, recipe=self.recipe)
        return relative


def group_by_instance(entries: Sequence[InventoryEntry]) -> list[list[InventoryEntry]]:
    """Group entries by SOP Instance UID, each group in path order."""
    ordered = sorted(entries, key=lambda e: (e.sop_instance_uid, path_key(e.path)))
    return [list(group) for _, group in groupby(ordered, key=lambda e: e.sop_instance_uid)]


def process_instance(
    candidates: Sequence[InventoryEntry],
    spec: OutputSpec,
    *,
    limits: Limits | None = None,
    known: Mapping[str, FileError] | None = None,
    on_start: Callable[[str], object] = lambda _path: None,
) -> list[Receipt]:
    """Write the image of one SOP instance; of several files the first that decodes is taken.

    Parameters
    ----------
    candidates : sequence of InventoryEntry
        In path order.
    spec : OutputSpec
    limits : Limits or None
        Of which ``pixels`` is looked at here.
    known : mapping, optional
        Errors of files that are not to be tried, by path.
    on_start : callable, optional
        Told the path of each file that is tried.
    """
    receipts: list[Receipt] = []
    chosen: Receipt | None = None
    first: InventoryEntry | None = None
    for entry in candidates:
        receipt = new_receipt(entry)
        if chosen is None:
            try:
                if known and entry.path in known:
                    raise known[entry.path]
                on_start(entry.path)
                _require_few_pixels(entry, limits)
            except FileError as error:
                receipt = receipt.as_failed(error, "decode")
            else:
                receipt = _process(entry, receipt, spec)
            if receipt.is_written or receipt.stage != "decode":
                chosen, first = receipt, entry
        receipts.append(receipt)
    if first is None:
        return receipts
    pairs = zip(candidates, receipts, strict=True)
    return [r if r is chosen else _conflict(entry, r, first) for entry, r in pairs]


def _process(entry: InventoryEntry, receipt: Receipt, spec: OutputSpec) -> Receipt:
    """Decode a file and write its image."""
    timer = StageTimer(receipt.seconds)
    try:
        image = _decode(entry, spec.recipe.settings["decode"], timer)
    except FileError as error:
        return receipt.as_failed(error, "decode")
    outcome = run_stages_and_write(image, receipt, "decode", spec, timer)
    if not outcome.is_written and outcome.stage != "decode":
        try:  # what does not decode fails at that, whatever else is wrong
            for _ in image.frames:
                pass
        except FileError as error:
            return receipt.as_failed(error, "decode")
    return outcome


def _conflict(entry: InventoryEntry, receipt: Receipt, first: InventoryEntry) -> Receipt:
    """The receipt of a candidate that was not chosen; ``first`` was.

    One that failed transiently stays transient: when it can be read, it may be the one to write.
    """
    other = describe_other(entry, first)
    message = f"has the SOP Instance UID of {other}, which differs and comes first in path order"
    if receipt.error:
        reason = f"this file does not decode: {receipt.message}"
        message = f"has the SOP Instance UID of {other}, which decodes; {reason}"
    error = FileError(message, error="sop_conflict", transient=receipt.transient)
    return receipt.as_failed(error, "decode")


def _require_few_pixels(entry: InventoryEntry, limits: Limits | None) -> None:
    pixels = entry.rows * entry.columns * max(1, entry.number_of_frames)
    if limits is not None and pixels > limits.pixels:
        raise LimitPixelsError(f"has {pixels} pixels; limits allow {limits.pixels}")


def _decode(entry: InventoryEntry, settings: Mapping[str, Any], timer: StageTimer) -> Image:
    """Decode a file that is still the one that the index saw."""
    with timer.measure("decode"):
        try:
            status = os.stat(entry.path)
        except OSError as error:
            raise UnreadableError.from_os_error(error) from error
        if (status.st_size, status.st_mtime_ns) != (entry.size, entry.mtime_ns):
            raise SourceChangedError("the file changed after it was indexed; run again")
        return _complete_image(decode_stored(entry.path, **settings), entry, timer)


def _complete_image(image: Image, entry: InventoryEntry, timer: StageTimer) -> Image:
    """The image of an index entry, whose frames are the work of decode."""
    image = timer.time_frames(image, "decode")
    reduction = image.reduction
    if reduction is not None:

        def again(level: int) -> Image:
            with timer.measure("decode"):
                return _complete_image(reduction.again(level), entry, timer)

        image = replace(image, reduction=replace(reduction, again=again))
    source_info = replace(
        image.source_info,
        study_instance_uid=entry.study_instance_uid,
        series_instance_uid=entry.series_instance_uid,
        sop_instance_uid=entry.sop_instance_uid,
    )
    return replace(image, source_info=source_info)


def run_stages(image: Image, recipe: Recipe, after: str, timer: StageTimer) -> Image:
    """Run the stages of a recipe behind ``after``, but for writing.

    Raises
    ------
    FileError
        Something is wrong with the image, at the stage that the error names.
    """
    for stage in STAGES[STAGES.index(after) + 1 : STAGES.index(recipe.stage) + 1]:
        if stage in STAGE_FUNCTIONS:
            with timer.measure(stage):
                image = STAGE_FUNCTIONS[stage](image, **recipe.settings[stage])
            image = timer.time_frames(image, stage)
    return image


def run_stages_and_write(
    image: Image, receipt: Receipt, after: str, spec: OutputSpec, timer: StageTimer | None = None
) -> Receipt:
    """Run the stages behind ``after`` and write the result."""
    last = spec.recipe.stage
    timer = timer or StageTimer(receipt.seconds)
    try:
        image = run_stages(image, spec.recipe, after, timer)
        with timer.measure("write"):
            image = image.to_display_values()
            output = spec.write(image, receipt)
    except FileError as error:
        return receipt.as_failed(error, last if error.stage == "write" else error.stage)
    return receipt.as_written(image, last, output)
