"""Manifest, failures, retry list and orphans: from receipts and index, or from a tree of TIFFs."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.config import KEEPABLE
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import path_key, printable, remove_partials, replacing
from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.receipts import Receipt, read_receipts, receipt_path
from dicom_preprocessing.tiff import TiffInfo, output_spacing, read_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dicom_preprocessing.index.table import LeftOut

TIFF_SUFFIXES = (".tif", ".tiff")
SHOWN = 5
"""Examples in a message about many files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """A row of the manifest, in the order of its columns; None where nothing is known.

    ``path`` is relative to the folder of images; spacings are of the output, in mm; ``crop`` is in
    decoded pixels; ``active`` has right and bottom exclusive.
    """

    study_instance_uid: str
    sop_instance_uid: str
    path: str
    inode: int
    width: int
    height: int
    channels: int
    num_frames: int
    series_instance_uid: str | None = None
    modality: str | None = None
    dtype: str | None = None
    spacing_x: float | None = None
    spacing_y: float | None = None
    spacing_z: float | None = None
    crop_left: int | None = None
    crop_top: int | None = None
    crop_width: int | None = None
    crop_height: int | None = None
    scale_x: float | None = None
    scale_y: float | None = None
    active_left: int | None = None
    active_top: int | None = None
    active_right: int | None = None
    active_bottom: int | None = None
    flip_h: bool | None = None
    flip_v: bool | None = None
    source_columns: int | None = None
    source_rows: int | None = None
    source_frames: int | None = None


COLUMNS = tuple(field.name for field in fields(ManifestRow))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A row of failures.csv, in the order of its columns."""

    source_path: str
    state: str
    error: str
    message: str
    stage: str
    transient: bool
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


FAILURE_COLUMNS = tuple(field.name for field in fields(Failure))


def write_manifest(rows: Iterable[ManifestRow], path: Path) -> None:
    """Write rows as csv or parquet, by the suffix of ``path``, whole or not at all.

    The rows are sorted by study and SOP Instance UID.
    """
    ordered = sorted(rows, key=lambda row: (row.study_instance_uid, row.sop_instance_uid))
    if path.suffix == ".parquet":
        _write_parquet(ordered, path)
        return
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in ordered:
            writer.writerow([_cell(value) for value in asdict(row).values()])


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(value) if isinstance(value, str) else value


def _write_parquet(rows: Sequence[ManifestRow], path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415  # slow to import, and csv does not need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    types = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema(
        [(field.name, types[str(field.type).split(" ", 1)[0]]) for field in fields(ManifestRow)]
    )
    records = [asdict(row) | {"path": printable(row.path)} for row in rows]
    table = pa.Table.from_pylist(records, schema=schema)
    with replacing(path, "wb") as file:
        pq.write_table(table, file)


def write_failures(failures: Iterable[Failure], path: Path) -> None:
    """Write failures.csv, sorted by source path."""
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FAILURE_COLUMNS)
        for failure in sorted(failures, key=lambda f: path_key(f.source_path)):
            writer.writerow([_cell(value) for value in asdict(failure).values()])


def read_failures(path: Path) -> list[dict[str, str]]:
    """Rows of a failures.csv as text."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_retry_list(failures: Iterable[Failure], path: Path) -> None:
    """Write absolute paths of failed files as raw bytes: a valid source."""
    with replacing(path, "wb") as file:
        for failure in sorted(failures, key=lambda f: path_key(f.source_path)):
            if failure.state != "failed":
                continue
            absolute = path_key(os.path.abspath(failure.source_path))
            if b"\n" in absolute or b"\r" in absolute:
                # A list cannot hold it; the comment keeps it from being lost without a word.
                absolute = b"# has a line break in its name: " + ascii(absolute).encode()
            file.write(absolute + b"\n")


def failure_of_left_out(item: LeftOut) -> Failure:
    """The row of a file that the index left out."""
    return Failure(
        source_path=item.source_path,
        state=item.state,
        error=item.error,
        message=item.message,
        stage="index",
        transient=item.transient,
        study_instance_uid=item.study_instance_uid,
        series_instance_uid=item.series_instance_uid,
        sop_instance_uid=item.sop_instance_uid,
    )


def failure_of_receipt(receipt: Receipt) -> Failure:
    """The row of a file that a job did not write."""
    return Failure(
        source_path=receipt.source_path,
        state=receipt.state,
        error=receipt.error,
        message=receipt.message,
        stage=receipt.stage,
        transient=receipt.transient,
        study_instance_uid=receipt.study_instance_uid,
        series_instance_uid=receipt.series_instance_uid,
        sop_instance_uid=receipt.sop_instance_uid,
    )


def row_of_receipt(receipt: Receipt, images: Path) -> ManifestRow:
    """The row of a written image, geometry from its receipt and the inode from the file.

    Raises
    ------
    FileNotFoundError
        The image is not there.
    """
    facts, geometry = receipt.image_facts(), receipt.image_geometry()
    spacing = output_spacing(facts, geometry)
    box, scale, active = geometry.crop_box, geometry.scale, geometry.active_area
    flip, output = geometry.flip, geometry.output
    return ManifestRow(
        study_instance_uid=receipt.study_instance_uid,
        sop_instance_uid=receipt.sop_instance_uid,
        path=receipt.output,
        inode=(images / receipt.output).stat().st_ino,
        width=output.width,
        height=output.height,
        channels=receipt.channels,
        num_frames=receipt.frames,
        series_instance_uid=receipt.series_instance_uid,
        modality=facts.modality,
        dtype=receipt.dtype,
        spacing_x=spacing[0] if spacing else None,
        spacing_y=spacing[1] if spacing else None,
        spacing_z=facts.frame_spacing,
        crop_left=box.left,
        crop_top=box.top,
        crop_width=box.width,
        crop_height=box.height,
        scale_x=scale[0],
        scale_y=scale[1],
        active_left=active[0],
        active_top=active[1],
        active_right=active[2],
        active_bottom=active[3],
        flip_h=flip is not None and flip.horizontal,
        flip_v=flip is not None and flip.vertical,
        source_columns=facts.source_columns,
        source_rows=facts.source_rows,
        source_frames=facts.source_frames,
    )


def row_of_tiff(path: Path, root: Path) -> ManifestRow:
    """The row of any TIFF below ``root``, extras from its tags.

    UIDs come from {study}/{series}/{sop}.tiff or {study}/{sop}.tiff.

    Raises
    ------
    OutputError
        The file is no TIFF that can be read.
    """
    info = read_info(path)
    relative = path.relative_to(root)
    *folders, _ = relative.parts
    has_series = len(folders) > 1
    return ManifestRow(
        study_instance_uid=folders[-2 if has_series else -1] if folders else "",
        series_instance_uid=folders[-1] if has_series else None,
        sop_instance_uid=relative.stem,
        path=str(relative),
        inode=path.stat().st_ino,
        width=info.width,
        height=info.height,
        channels=info.channels,
        num_frames=info.num_frames,
        dtype=info.dtype,
        **_extras(info),
    )


def _extras(info: TiffInfo) -> dict[str, Any]:
    groups = {
        ("crop_left", "crop_top", "crop_width", "crop_height"): info.crop,
        ("scale_x", "scale_y"): info.scale,
        ("active_left", "active_top", "active_right", "active_bottom"): info.active_area,
        ("spacing_x", "spacing_y"): info.spacing,
        ("flip_h", "flip_v"): info.flip,
        ("source_columns", "source_rows", "source_frames"): info.source,
    }
    extras: dict[str, Any] = {"spacing_z": info.frame_spacing}
    for names, values in groups.items():
        if values is not None:
            extras |= dict(zip(names, values, strict=True))
    return extras


def find_tiffs(root: Path) -> list[Path]:
    """TIFFs below a folder by suffix, hidden ones left out, in path order.

    Raises
    ------
    NotADirectoryError
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is no folder")
    found = [
        Path(folder) / name
        for folder, _, names in os.walk(root)
        for name in names
        if name.lower().endswith(TIFF_SUFFIXES) and not name.startswith(".")
    ]
    return sorted(found, key=lambda path: path_key(str(path)))


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
    """Folders and receipts of studies or stages that are no longer part of the run."""
    present = IndexFolder(output).read_table()
    stages = {"write": output / "images"}
    stages |= {stage: output / "stages" / stage for stage in KEEPABLE}
    wanted = {"write", *keep}
    orphans: list[Path] = []
    for stage, folder in stages.items():
        receipts = receipt_path(output, stage, "x").parent
        for parent, suffix in ((folder, ""), (receipts, ".jsonl")):
            for path in _visible(parent):
                study = path.name.removesuffix(suffix)
                if stage not in wanted or study not in present:
                    orphans.append(path)
    return sorted(orphans, key=lambda path: path_key(str(path)))


def _visible(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


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
