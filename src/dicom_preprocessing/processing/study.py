"""The job of a study: from its inventory, or from a kept stage, to the images of one stage."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import FileError, KeptStageError, OutputError
from dicom_preprocessing.files import checksum_of, make_durable, make_empty_folder, path_key
from dicom_preprocessing.imaging.frames import frame_threads
from dicom_preprocessing.imaging.image import Image
from dicom_preprocessing.index.table import digest_inventory, read_inventory
from dicom_preprocessing.processing.instance import (
    OutputSpec,
    run_stages_and_write,
)
from dicom_preprocessing.processing.isolation import process_all
from dicom_preprocessing.processing.volume import group_by_image
from dicom_preprocessing.results.receipts import Receipt, read_receipts, write_receipts
from dicom_preprocessing.tiff.reader import explain_unreadable, read_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dicom_preprocessing.config import Stage
    from dicom_preprocessing.config.recipe import Recipe
    from dicom_preprocessing.imaging.frames import Frames


def run_from_inventory(
    inventory: Path,
    spec: OutputSpec,
    receipt: Path,
    limits: Limits | None = None,
    cores: int = 1,
) -> list[Receipt]:
    """Make the images of a stage from the files of an inventory, in isolation.

    Parameters
    ----------
    inventory : Path
        JSON Lines of the files of the study.
    spec : OutputSpec
    receipt : Path
        Where the receipts are written.
    limits : Limits, optional
        Of each file.
    cores : int
        Worker processes, and threads for frames where instances are fewer.

    Returns
    -------
    list of Receipt
        One of each file, in path order.

    Raises
    ------
    OutputError
        The inventory was replaced by an index that ran meanwhile.
    OSError
        An image or the receipt could not be written. Errors of source files are in the receipts.
    """
    digest = digest_inventory(inventory)
    groups = group_by_image(read_inventory(inventory))
    outcomes = process_all(groups, spec, limits=limits or Limits(), cores=cores)
    receipts = [receipt for outcome in outcomes for receipt in outcome]
    receipts.sort(key=lambda r: path_key(r.source_path))
    receipts = _finish(receipts, spec, receipt, inventory=digest)
    # Snakemake compares times: images newer than the new inventory would count as made from it.
    if digest_inventory(inventory) != digest:
        raise OutputError(f"{inventory} was replaced while its study was processed; run again")
    return receipts


@dataclass(frozen=True, slots=True)
class KeptStage:
    """Images of a study by an earlier stage, below ``root``, and their receipts."""

    stage: Stage
    root: Path
    study: str
    receipt: Path

    @property
    def folder(self) -> Path:
        """Folder of the study's images."""
        return self.root / self.study


def run_from_stage(
    kept: KeptStage,
    spec: OutputSpec,
    receipt: Path,
    cores: int = 1,
    inventory: Path | None = None,
) -> list[Receipt]:
    """Make the images of a stage from those of an earlier one.

    Pixels come from the TIFFs, geometry and facts from the receipts. Receipts of files without an
    image are passed on. Where there is an inventory, the receipts must be of all of its files.

    Raises
    ------
    KeptStageError
        A TIFF of the kept stage contradicts its receipt, or was made with other settings, or the
        receipts are of other files than the inventory.
    OSError
        As for ``run_from_inventory``.
    """
    receipts: list[Receipt] = []
    images: dict[str, Receipt] = {}
    for before in _read_kept_receipts(kept, spec.recipe, inventory):
        if not before.has_image:
            receipts.append(
                replace(before, stage=spec.recipe.stage) if before.is_written else before
            )
            continue
        try:
            frames = _read_kept_frames(kept.root / before.output, before)
            image = Image(frames, before.parse_geometry(), before.parse_source_info())
            with frame_threads(cores):
                outcome = run_stages_and_write(image, before, before.stage, spec)
        except OutputError as error:  # pages are read as late as the writer asks for them
            command = shlex.join(["rm", "-r", str(kept.folder)])
            raise KeptStageError(f"{error}. To make it anew: {command}, and run again") from error
        receipts.append(outcome)
        images[before.sop_instance_uid] = outcome
    receipts = [_fail_with_image(r, images.get(r.part_of)) for r in receipts]
    return _finish(receipts, spec, receipt)


def _fail_with_image(receipt: Receipt, image: Receipt | None) -> Receipt:
    """The receipt of a file of a stack, which fails as its image did, if that failed."""
    if image is None or image.is_written or not receipt.is_written:
        return receipt
    error = FileError(image.message, error=image.error, transient=image.transient)
    return receipt.as_failed(error, image.stage)


def run_from_stage_or_inventory(
    kept: KeptStage,
    inventory: Path,
    spec: OutputSpec,
    receipt: Path,
    *,
    limits: Limits | None = None,
    cores: int = 1,
    warn: Callable[[str], object] = print,
) -> list[Receipt]:
    """Make the images of a stage from those of an earlier one, which is made anew if it is bad.

    Parameters
    ----------
    kept : KeptStage
    inventory : Path
        From which the kept stage is made anew.
    spec, receipt, limits, cores
        As for ``run_from_inventory``, which tells the exceptions too.
    warn : callable
        Called with a message about a stage that is made anew.
    """
    try:
        return run_from_stage(kept, spec, receipt, cores, inventory)
    except KeptStageError as error:
        warn(f"{error.args[0].partition('. To make it anew')[0]}: the kept stage is made anew")
    # The receipt first: without it a run that is killed here leaves no stage that looks finished.
    kept.receipt.unlink(missing_ok=True)
    make_empty_folder(kept.folder)
    kept_spec = OutputSpec(kept.root, spec.recipe.up_to(kept.stage))
    run_from_inventory(inventory, kept_spec, kept.receipt, limits, cores)
    return run_from_stage(kept, spec, receipt, cores)


def _require_files_of(inventory: Path, kept: KeptStage, receipts: Sequence[Receipt]) -> None:
    """Raise a KeptStageError unless the receipts are those of all files of this inventory."""
    digest = digest_inventory(inventory)
    paths = {entry.path for entry in read_inventory(inventory)}
    is_of_inventory = all(receipt.inventory == digest for receipt in receipts)
    if not is_of_inventory or {receipt.source_path for receipt in receipts} != paths:
        raise KeptStageError(f"{kept.receipt} is not of the files that are in the index")


def _read_kept_receipts(kept: KeptStage, recipe: Recipe, inventory: Path | None) -> list[Receipt]:
    """Read the receipts of a kept stage, which must have been made by this recipe."""
    try:
        receipts = read_receipts(kept.receipt)
    except OutputError as error:
        raise KeptStageError(str(error)) from error
    if inventory is not None:
        _require_files_of(inventory, kept, receipts)
    # Snakemake makes a stage of other settings again, unless its records of it are in another
    # working directory, as after a run with another number of shards.
    expected = recipe.up_to(kept.stage).digest
    if any(receipt.recipe != expected for receipt in receipts):
        raise KeptStageError(
            f"{kept.folder} was made with other settings or versions. To make this stage anew, for "
            f"all studies, add --forcerun {kept.stage}"
        )
    return receipts


def _read_kept_frames(path: Path, receipt: Receipt) -> Frames:
    """Read the frames of an image of a kept stage, whose file must be as it was written."""
    # By all bytes: a hole in the pixels, as a full disk or a loss of power leaves, has no other
    # sign in a file that is not compressed. Receipts of earlier versions have no checksum.
    if receipt.checksum:
        with explain_unreadable(path):
            found = checksum_of(path)
        if found != receipt.checksum:
            raise OutputError(f"{path} is not as it was written")
    frames = read_frames(path)
    if len(frames) != receipt.frames:
        raise OutputError(f"{path}: {len(frames)} pages, {receipt.frames} were written")
    return frames


def _finish(
    receipts: list[Receipt], spec: OutputSpec, receipt: Path, inventory: str = ""
) -> list[Receipt]:
    """Make the images durable, then write the receipts that name them.

    ``inventory`` is the digest of that of which they were made, empty if receipts have it.
    """
    # In this order: after a loss of power, a receipt never names an image that is not on the disk.
    recipe = spec.recipe.digest
    receipts = [replace(r, recipe=recipe, inventory=inventory or r.inventory) for r in receipts]
    make_durable(spec.root / r.output for r in receipts if r.has_image)
    write_receipts(receipt, receipts)
    return receipts
