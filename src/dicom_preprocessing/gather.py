"""The end of a run: manifest, failures, retry list and orphans, from receipts and the index."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_preprocessing.config import KEEPABLE
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.failures import (
    Failure,
    failure_of_left_out,
    failure_of_receipt,
    write_failures,
    write_retry_list,
)
from dicom_preprocessing.files import path_key, printable, remove_partials, replacing
from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.manifest import ManifestRow, row_of_receipt, write_manifest
from dicom_preprocessing.receipts import Receipt, read_receipts, receipt_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TIMESTAMP = ".snakemake_timestamp"
"""What Snakemake puts into a folder that a job made."""

SHOWN = 5
"""Examples in a message about many files."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows and failures of a whole run."""

    rows: list[ManifestRow]
    failures: list[Failure]


def gather(output: Path) -> Gathered:
    """Read the index and every receipt, and check that each image is there.

    Raises
    ------
    OutputError
        An image or a receipt that should be there is not; says how to rebuild it.
    """
    folder = IndexFolder(output)
    images = output / "images"
    failures = [failure_of_left_out(item) for item in folder.read_left_out()]
    rows: list[ManifestRow] = []
    missing: list[Receipt] = []
    for study in folder.read_table().values():
        receipts = _receipts_of(output, study.study_instance_uid)
        if len(receipts) != study.files:
            raise OutputError(
                f"study {study.study_instance_uid}: {len(receipts)} receipts, {study.files} files"
            )
        for receipt in receipts:
            if not receipt.is_written:
                failures.append(failure_of_receipt(receipt))
                continue
            try:
                rows.append(row_of_receipt(receipt, images))
            except FileNotFoundError:
                missing.append(receipt)
    if missing:
        raise OutputError(_rebuild_message(images, missing))
    return Gathered(rows, failures)


def _receipts_of(output: Path, study: str) -> list[Receipt]:
    path = receipt_path(output, "write", study)
    try:
        return read_receipts(path)
    except FileNotFoundError:
        raise OutputError(f"{path} is missing; run the workflow again to make it") from None


def _rebuild_message(images: Path, missing: Sequence[Receipt]) -> str:
    studies = sorted({receipt.study_instance_uid for receipt in missing})
    shown = "\n".join(f"    {images / receipt.output}" for receipt in missing[:SHOWN])
    more = f"\n    and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    folders = shlex.join(str(images / study) for study in studies[:SHOWN])
    command = f"rm -r {folders}" if len(studies) <= SHOWN else "snakemake --forcerun write"
    return (
        f"{len(missing)} images are missing that were written before:\n{shown}{more}\n"
        f"Snakemake does not see what happens inside a study's folder. To rebuild them, run\n"
        f"    {command}\nand then the workflow again."
    )


def find_orphans(output: Path, keep: Sequence[str]) -> list[Path]:
    """Folders and receipts of studies or stages that are no longer part of the run.

    Only what the workflow made: receipts, and folders that have one or Snakemake's timestamp.
    """
    present = IndexFolder(output).read_table()
    stages = {"write": output / "images"}
    stages |= {stage: output / "stages" / stage for stage in KEEPABLE}
    wanted = {"write", *keep}
    orphans: list[Path] = []
    for stage, folder in stages.items():
        receipts = _by_study(receipt_path(output, stage, "x").parent, ".jsonl")
        folders = {
            study: path
            for study, path in _by_study(folder, "").items()
            if path.is_dir() and (study in receipts or (path / TIMESTAMP).exists())
        }
        for made in (receipts, folders):
            orphans += [
                p for study, p in made.items() if stage not in wanted or study not in present
            ]
    return sorted(orphans, key=lambda path: path_key(str(path)))


def _by_study(folder: Path, suffix: str) -> dict[str, Path]:
    """Visible entries of a folder that end in ``suffix``, by their name without it."""
    if not folder.is_dir():
        return {}
    return {
        path.name.removesuffix(suffix): path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.endswith(suffix)
    }


def prune_orphans(output: Path, orphans: Sequence[Path], warn: Callable[[str], object]) -> None:
    """Remove orphans, unless a part of the source could not be read: it may be theirs."""
    hidden = [item for item in IndexFolder(output).read_left_out() if item.hides_files]
    if hidden:
        unread = printable(hidden[0].source_path)
        warn(f"nothing is pruned, because a part of the source could not be read: {unread}")
        return
    for orphan in orphans:
        if orphan.is_dir() and not orphan.is_symlink():
            shutil.rmtree(orphan)
        else:
            orphan.unlink()


def gather_run(
    output: Path,
    *,
    keep: Sequence[str] = (),
    prune: bool = False,
    warn: Callable[[str], object] = print,
) -> None:
    """Write manifest.csv, manifest.parquet, failures.csv, retry.txt and orphans.txt.

    Raises
    ------
    OutputError
        As for ``gather``; nothing was written then.
    """
    gathered = gather(output)
    folder = IndexFolder(output)
    for place in (output, folder.path, folder.studies, *(output / "receipts").glob("*")):
        remove_partials(place)
    write_manifest(gathered.rows, output / "manifest.csv")
    write_manifest(gathered.rows, output / "manifest.parquet")
    write_failures(gathered.failures, output / "failures.csv")
    write_retry_list(gathered.failures, output / "retry.txt")
    orphans = find_orphans(output, keep)
    if prune and orphans:
        prune_orphans(output, orphans, warn)
        orphans = [path for path in orphans if path.exists()]
    with replacing(output / "orphans.txt") as file:
        file.writelines(f"{printable(str(path.relative_to(output)))}\n" for path in orphans)
