"""The job of a study: from its inventory, or from a kept stage, to the images of one stage."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import make_durable, path_key
from dicom_preprocessing.imaging.frames import frame_threads
from dicom_preprocessing.imaging.image import Image
from dicom_preprocessing.index.table import digest_inventory, read_inventory
from dicom_preprocessing.processing.instance import group_by_instance, run_stages_and_write
from dicom_preprocessing.processing.isolation import process_all
from dicom_preprocessing.results.receipts import Receipt, read_receipts, write_receipts
from dicom_preprocessing.tiff.reader import read_frames

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_preprocessing.config import Stage
    from dicom_preprocessing.config.recipe import Recipe
    from dicom_preprocessing.imaging.frames import Frames
    from dicom_preprocessing.processing.instance import OutputSpec


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
    groups = group_by_instance(read_inventory(inventory))
    outcomes = process_all(groups, spec, limits=limits or Limits(), cores=cores)
    receipts = [replace(receipt, inventory=digest) for outcome in outcomes for receipt in outcome]
    receipts.sort(key=lambda r: path_key(r.source_path))
    receipts = _finish(receipts, spec, receipt)
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
    kept: KeptStage, spec: OutputSpec, receipt: Path, cores: int = 1
) -> list[Receipt]:
    """Make the images of a stage from those of an earlier one.

    Pixels come from the TIFFs, geometry and facts from the receipts. Receipts of files without an
    image are passed on.

    Raises
    ------
    OutputError
        A TIFF of the kept stage contradicts its receipt, or was made with other settings.
    OSError
        As for ``run_from_inventory``.
    """
    receipts = []
    for before in _read_kept_receipts(kept, spec.recipe):
        if not before.is_written:
            receipts.append(before)
            continue
        try:
            frames = _read_kept_frames(kept.root / before.output, before)
            image = Image(frames, before.parse_geometry(), before.parse_source_info())
            with frame_threads(cores):
                receipts.append(run_stages_and_write(image, before, before.stage, spec))
        except OutputError as error:  # pages are read as late as the writer asks for them
            command = shlex.join(["rm", "-r", str(kept.folder)])
            raise OutputError(f"{error}. To make it anew: {command}, and run again") from error
    return _finish(receipts, spec, receipt)


def _read_kept_receipts(kept: KeptStage, recipe: Recipe) -> list[Receipt]:
    """Read the receipts of a kept stage, which must have been made by this recipe."""
    # Snakemake makes a stage of other settings again, unless its records of it are in another
    # working directory, as after a run with another number of shards.
    receipts = read_receipts(kept.receipt)
    expected = recipe.up_to(kept.stage).digest
    if any(receipt.recipe != expected for receipt in receipts):
        raise OutputError(
            f"{kept.folder} was made with other settings or versions. To make this stage anew, for "
            f"all studies, add --forcerun {kept.stage}"
        )
    return receipts


def _read_kept_frames(path: Path, receipt: Receipt) -> Frames:
    """Read the frames of an image of a kept stage."""
    frames = read_frames(path)
    if len(frames) != receipt.frames:
        raise OutputError(f"{path}: {len(frames)} pages, {receipt.frames} were written")
    return frames


def _finish(receipts: list[Receipt], spec: OutputSpec, receipt: Path) -> list[Receipt]:
    """Make the images durable, then write the receipts that name them."""
    # In this order: after a loss of power, a receipt never names an image that is not on the disk.
    receipts = [replace(r, recipe=spec.recipe.digest) for r in receipts]
    make_durable(spec.root / r.output for r in receipts if r.is_written)
    write_receipts(receipt, receipts)
    return receipts
