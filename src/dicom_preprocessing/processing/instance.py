"""One SOP instance: from its candidate files to the image of a stage.

All stages up to it run in one process, which holds one image at a time. Running them one by one
through kept stages gives the same bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.config import STAGES
from dicom_preprocessing.decode.stage import decode_stored
from dicom_preprocessing.errors import (
    FileError,
    InternalError,
    LimitMemoryError,
    LimitPixelsError,
    print_traceback,
)
from dicom_preprocessing.files import checksum_of, path_key
from dicom_preprocessing.imaging.crop import crop
from dicom_preprocessing.imaging.pad import pad
from dicom_preprocessing.imaging.resize import resize
from dicom_preprocessing.index.changes import reading_unchanged
from dicom_preprocessing.index.conflicts import describe_other
from dicom_preprocessing.processing.timing import StageTimer, surround_frames
from dicom_preprocessing.results.layout import image_path
from dicom_preprocessing.results.receipts import Receipt, new_receipt
from dicom_preprocessing.tiff.writer import write_tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dicom_preprocessing.config import Limits, Stage
    from dicom_preprocessing.config.recipe import Recipe
    from dicom_preprocessing.imaging.frames import LazyFrames
    from dicom_preprocessing.imaging.image import Image, SourceInfo
    from dicom_preprocessing.index.table import InventoryEntry


STAGE_FUNCTIONS: Mapping[Stage, Callable[..., Image]] = {"crop": crop, "resize": resize, "pad": pad}
"""Stages between decode and write; their keyword arguments are the settings of the recipe."""


def import_libraries_of(recipe: Recipe) -> None:
    """Import what stages of a recipe would import at their first image."""
    size = recipe.settings.get("resize", {})
    if size.get("size") or size.get("spacing"):
        import scipy.sparse  # noqa: PLC0415
    if recipe.settings.get("crop", {}).get("crop_components"):
        import scipy.ndimage  # noqa: F401, PLC0415


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """Where the images of a stage are written, and by which recipe.

    ``root`` is the folder of all studies, and ``recipe`` ends at the stage. ``name`` is the path
    below ``root`` where there is one image only, else None.
    """

    root: Path
    recipe: Recipe
    name: str | None = None

    def relative_path(self, receipt: Receipt) -> str:
        """Return the path of an image below ``root``."""
        if self.name is not None:
            return self.name
        recipe = self.recipe
        layout = recipe.settings["write"]["layout"] if recipe.stage == "write" else "study/sop"
        uids = (receipt.study_instance_uid, receipt.series_instance_uid, receipt.sop_instance_uid)
        return image_path(layout, *uids)

    def write(self, image: Image, receipt: Receipt) -> str:
        """Write an image and return its path below ``root``."""
        relative = self.relative_path(receipt)
        # As text, and asking for the folder first: objects and an error for one that is there take
        # longer than its tags.
        path = os.path.join(self.root, relative)
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
        # The compressor is a setting of write alone: no kept stage is made again for another one.
        is_kept = self.recipe.stage != "write"
        compressor = "uncompressed" if is_kept else self.recipe.settings["write"]["compressor"]
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
    """Write the image of one SOP instance, from the first of its files that decodes.

    Parameters
    ----------
    candidates : sequence of InventoryEntry
        Files with the SOP Instance UID, in path order.
    spec : OutputSpec
    limits : Limits or None
        Only ``pixels`` counts here; a supervisor watches time and memory.
    known : mapping, optional
        Errors by path of files that are not tried.
    on_start : callable, optional
        Called with the path of each file before it is tried.

    Returns
    -------
    list of Receipt
        One of each candidate, in their order.

    Raises
    ------
    OSError
        The image could not be written.
    """
    work = partial(_try_candidates, candidates, spec, limits, known or {}, on_start)
    return guard_against_bugs(work, candidates, spec)


def guard_against_bugs(
    work: Callable[[], list[Receipt]], entries: Sequence[InventoryEntry], spec: OutputSpec
) -> list[Receipt]:
    """Return the receipts of a work, or failed ones of its files if it raises what none foresaw.

    Raises
    ------
    OSError
        The image could not be written.
    """
    try:
        return work()
    except OSError:
        raise
    except MemoryError:
        unforeseen: FileError = LimitMemoryError("not enough memory")
    except Exception as error:  # noqa: BLE001  # outside of the stages, where StageTimer does this
        print_traceback(error)
        unforeseen = InternalError.from_exception(error)
    return [new_receipt(entry).as_failed(unforeseen, spec.recipe.stage) for entry in entries]


def _try_candidates(
    candidates: Sequence[InventoryEntry],
    spec: OutputSpec,
    limits: Limits | None,
    known: Mapping[str, FileError],
    on_start: Callable[[str], object],
) -> list[Receipt]:
    """Try candidates until one decodes; parameters and result as of ``process_instance``."""
    receipts: list[Receipt] = []
    decoded: Receipt | None = None
    first: InventoryEntry | None = None
    for entry in candidates:
        receipt = new_receipt(entry)
        if decoded is None:
            try:
                if entry.path in known:
                    raise known[entry.path]
                on_start(entry.path)
                require_few_pixels(entry, limits)
            except FileError as error:
                receipt = receipt.as_failed(error, "decode")
            else:
                receipt = _process(entry, receipt, spec)
            # A file that fails at a later stage has decoded, and so is the one to use.
            if receipt.is_written or receipt.stage != "decode":
                decoded, first = receipt, entry
        receipts.append(receipt)
    if first is None:
        return receipts
    pairs = zip(candidates, receipts, strict=True)
    return [r if r is decoded else mark_conflict(entry, r, first) for entry, r in pairs]


def _process(entry: InventoryEntry, receipt: Receipt, spec: OutputSpec) -> Receipt:
    """Decode a file and write its image."""
    timer = StageTimer(receipt.seconds)
    try:
        image = _decode(entry, spec.recipe.settings["decode"], timer)
    except FileError as error:
        return receipt.as_failed(error, "decode")
    outcome = run_stages_and_write(image, receipt, "decode", spec, timer)
    if not outcome.is_written and outcome.stage != "decode":
        # Frames are lazy: the error of a later stage may have come before that of a frame that does
        # not decode. Then the receipt would name the wrong stage, and the next candidate be lost.
        try:
            for _ in image.frames:
                pass
        except FileError as error:
            return receipt.as_failed(error, "decode")
    return outcome


def mark_conflict(entry: InventoryEntry, receipt: Receipt, first: InventoryEntry) -> Receipt:
    """Return the receipt of a candidate whose image came from ``first``.

    A transient failure stays transient: once the file can be read, it may come first.
    """
    other = describe_other(entry, first)
    message = f"has the SOP Instance UID of {other}, which differs and comes first in path order"
    if receipt.error:
        reason = f"this file does not decode: {receipt.message}"
        message = f"has the SOP Instance UID of {other}, which decodes; {reason}"
    error = FileError(message, error="sop_conflict", transient=receipt.transient)
    return receipt.as_failed(error, "decode")


def require_few_pixels(entry: InventoryEntry, limits: Limits | None) -> None:
    """Raise an error if the header announces more pixels than a file may have."""
    pixels = entry.rows * entry.columns * max(1, entry.number_of_frames)
    if limits is not None and pixels > limits.pixels:
        raise LimitPixelsError(f"has {pixels} pixels; limits allow {limits.pixels}")


def _decode(entry: InventoryEntry, settings: Mapping[str, Any], timer: StageTimer) -> Image:
    """Decode a file that stays, until its last frame was read, the one that was indexed."""
    # UIDs are those of the index, which may not be those of a file that came in its place.
    with timer.measure("decode"), reading_unchanged(entry):
        image = decode_stored(entry.path, **settings)
    return _add_index_uids(image, entry, timer)


def _add_index_uids(image: Image, entry: InventoryEntry, timer: StageTimer) -> Image:
    """Return the image with the UIDs of the index, and frames that count as work of decode."""

    def make_frame(frames: LazyFrames, index: int) -> NDArray[Any]:
        with timer.measure("decode"), reading_unchanged(entry):
            return frames[index]

    image = surround_frames(image, make_frame)
    reduction = image.reduction
    if reduction is not None:

        def decode_again(level: int) -> Image:
            with timer.measure("decode"), reading_unchanged(entry):
                image = reduction.decode_at_level(level)
            return _add_index_uids(image, entry, timer)

        image = replace(image, reduction=replace(reduction, decode_at_level=decode_again))
    if _uids_of(image.source_info) == _uids_of(entry):  # nearly always
        return image
    source_info = replace(
        image.source_info,
        study_instance_uid=entry.study_instance_uid,
        series_instance_uid=entry.series_instance_uid,
        sop_instance_uid=entry.sop_instance_uid,
    )
    return replace(image, source_info=source_info)


def _uids_of(facts: InventoryEntry | SourceInfo) -> tuple[str, str, str]:
    return facts.study_instance_uid, facts.series_instance_uid, facts.sop_instance_uid


def run_stages(image: Image, recipe: Recipe, after: str, timer: StageTimer) -> Image:
    """Run the stages of a recipe after the one named ``after``, except write.

    Raises
    ------
    FileError
        The stage that the error names cannot process the image.
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
    """Run the stages after the one named ``after``, and write the result."""
    try:
        return write_image(image, receipt, after, spec, timer or StageTimer(receipt.seconds))
    except FileError as error:
        return receipt.as_failed(error, stage_of(error, spec))


def write_image(
    image: Image, receipt: Receipt, after: str, spec: OutputSpec, timer: StageTimer
) -> Receipt:
    """Run the stages after the one named ``after``, write the result, and return its receipt.

    Raises
    ------
    FileError
        By a stage, which ``stage_of`` names.
    """
    last = spec.recipe.stage
    image = run_stages(image, spec.recipe, after, timer)
    with timer.measure("write"):
        image = image.to_display_values()
        output = spec.write(image, receipt)
        # While the file is in memory: 2 % of the time in which a stage is kept.
        checksum = checksum_of(spec.root / output) if last != "write" else ""
    return receipt.as_written(image, last, output, checksum)


def stage_of(error: FileError, spec: OutputSpec) -> str:
    """The stage at which a file failed: what writing finds is that of the last one."""
    return spec.recipe.stage if error.stage == "write" else error.stage
