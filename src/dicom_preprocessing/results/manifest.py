"""The manifest: one row per image, from receipts or from the tags of any tree of TIFFs."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import (
    as_record,
    atomic_write,
    naming,
    path_key,
)
from dicom_preprocessing.imaging.image import output_spacing
from dicom_preprocessing.results.layout import (
    IMAGES,
    MANIFEST,
    TIFF_SUFFIXES,
    parse_image_path,
)
from dicom_preprocessing.results.tables import (
    Cells,
    Unsigned,
    arrow_type,
    cells_of,
    column_types,
    fits_column,
    write_cells,
)
from dicom_preprocessing.temporary_files import SortedOnDisk, make_temporary
from dicom_preprocessing.text import csv_cell, unescape_formula
from dicom_preprocessing.tiff.info import TiffInfo, read_info
from dicom_preprocessing.tiff.place import KEYS as PLACE_KEYS
from dicom_preprocessing.tiff.place import find_place
from dicom_preprocessing.tiff.reader import explain_unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from dicom_preprocessing.results.receipts import Receipt
    from dicom_preprocessing.tiff.place import Place

by_instance = itemgetter(0, 1)
"""Sort key of a row's cells: study and SOP Instance UID."""

MAX_SHOWN = 40
"""Characters of a value that a message shows."""

CSV_BLOCK_BYTES = 16 * 2**20
"""Bytes of csv that become a row group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """A row of the manifest, in the order of its columns; None where a value is unknown.

    Each field is a column: header, types and parquet schema come from these lines.

    ``path`` is relative to the folder of images; spacings are of the output, in mm; ``crop`` is in
    decoded pixels; ``active`` has right and bottom exclusive; ``spacing_source`` is one of
    PRECEDENCES["true_spacing"]; ``position`` is that of the centre of pixel (0, 0) of the first
    page in mm (LPS), ``row`` and ``column`` are unit vectors along which the column index and the
    row index grow; ``volume`` and ``volume_id`` are those of a receipt; ``warnings`` is their
    number.
    """

    study_instance_uid: str
    sop_instance_uid: str
    path: str
    inode: Unsigned
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
    spacing_source: str | None = None
    position_x: float | None = None
    position_y: float | None = None
    position_z: float | None = None
    row_x: float | None = None
    row_y: float | None = None
    row_z: float | None = None
    column_x: float | None = None
    column_y: float | None = None
    column_z: float | None = None
    volume: int | None = None
    volume_id: str | None = None
    warnings: int | None = None


COLUMN_TYPES = column_types(ManifestRow)
"""Types of the columns, in their order."""

COLUMNS = tuple(COLUMN_TYPES)


def make_cells(row: ManifestRow, more: Iterable[str] = ()) -> Cells:
    """The cells of a row, and of the columns that the configuration asks for besides."""
    return (*cells_of(row), *map(csv_cell, more))


def write_manifest(rows: Iterable[ManifestRow], path: Path) -> None:
    """Write rows as csv or parquet, by the suffix of ``path``, atomically.

    They are sorted by study and SOP Instance UID, on disk, so there may be any number of them.
    """
    ordered: SortedOnDisk[Cells] = SortedOnDisk(by_instance)
    ordered.extend(map(cells_of, rows))
    if path.suffix.lower() != ".parquet":
        write_cells(COLUMNS, ordered, path)
        return
    make = partial(tempfile.TemporaryDirectory, ignore_cleanup_errors=True)
    with make_temporary(make) as folder:
        table = Path(folder) / MANIFEST
        write_cells(COLUMNS, ordered, table)
        convert_to_parquet(table, path)


def convert_to_parquet(table: Path, path: Path, columns: Sequence[str] = ()) -> None:
    """Write the same manifest as parquet, typed, one block of rows at a time.

    ``columns`` are those that it has besides, all of text.
    """
    import pyarrow as pa  # noqa: PLC0415  # slow to import, and csv does not need it
    import pyarrow.parquet as pq  # noqa: PLC0415
    from pyarrow import csv as arrow_csv  # noqa: PLC0415

    types = COLUMN_TYPES | dict.fromkeys(columns, str)
    schema = pa.schema([(name, arrow_type(kind)) for name, kind in types.items()])
    reading = arrow_csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK_BYTES)
    converting = arrow_csv.ConvertOptions(
        column_types=schema, null_values=[""], strings_can_be_null=True
    )
    # Of a path, Arrow would replace ~ and unpack what ends in .gz.
    with (
        naming(table),
        table.open("rb") as opened,
        arrow_csv.open_csv(opened, reading, convert_options=converting) as blocks,
        atomic_write(path, "wb") as file,
        pq.ParquetWriter(file, schema) as writer,
    ):
        for block in blocks:
            writer.write_batch(_unescape_formulas(block))


def _unescape_formulas(block: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of a csv table with the text that its cells stand for."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    def unescape(column: pa.Array) -> pa.Array:
        if not pa.types.is_string(column.type) or not pc.any(pc.starts_with(column, "'")).as_py():
            return column
        texts = (None if text is None else unescape_formula(text) for text in column.to_pylist())
        return pa.array(texts, column.type)

    columns = [unescape(column) for column in block.columns]
    return pa.RecordBatch.from_arrays(columns, schema=block.schema)


def row_of_receipt(receipt: Receipt, images: Path) -> ManifestRow:
    """The row of a written image, geometry from its receipt and the inode from the file.

    Raises
    ------
    FileNotFoundError
        The image is not there.
    """
    source_info, geometry = receipt.parse_source_info(), receipt.parse_geometry()
    spacing = output_spacing(source_info, geometry)
    box, scale, active = geometry.crop_box, geometry.scale, geometry.active_area
    flip, output = geometry.flip, geometry.output
    return ManifestRow(
        study_instance_uid=receipt.study_instance_uid,
        sop_instance_uid=receipt.sop_instance_uid,
        path=receipt.output,
        inode=Unsigned(os.stat(os.path.join(images, receipt.output)).st_ino),
        width=output.width,
        height=output.height,
        channels=receipt.channels,
        num_frames=receipt.frames,
        series_instance_uid=receipt.series_instance_uid,
        modality=source_info.modality,
        dtype=receipt.dtype,
        spacing_x=spacing[0] if spacing else None,
        spacing_y=spacing[1] if spacing else None,
        spacing_z=source_info.frame_spacing,
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
        source_columns=source_info.source_columns,
        source_rows=source_info.source_rows,
        source_frames=source_info.source_frames,
        spacing_source=source_info.spacing_source or None,
        **_place_cells(find_place(geometry)),
        volume=receipt.volume or None,
        volume_id=receipt.volume_id or None,
        warnings=len(source_info.warnings),
    )


def _place_cells(place: Place | None) -> dict[str, float]:
    """The cells of where an image lies."""
    if place is None:
        return {}
    numbers = (*place.position, *place.row, *place.column)
    return dict(zip(PLACE_KEYS, numbers, strict=True))


def row_of_tiff(path: Path, root: Path) -> ManifestRow:
    """The row of any TIFF below ``root``, extras from its tags.

    UIDs come from {study}/{series}/{sop}.tiff or {study}/{sop}.tiff.

    Raises
    ------
    OutputError
        The file is not a readable TIFF, or has a value that its column cannot hold.
    """
    with explain_unreadable(path):
        inode = path.stat().st_ino
    info = read_info(path)
    relative = path.relative_to(root)
    study, series, sop = parse_image_path(relative)
    row = ManifestRow(
        study_instance_uid=study,
        series_instance_uid=series,
        sop_instance_uid=sop,
        path=str(relative),
        inode=Unsigned(inode),
        width=info.width,
        height=info.height,
        channels=info.channels,
        num_frames=info.num_frames,
        dtype=info.dtype,
        **_read_extra_cells(info),
    )
    for name, cell in as_record(row).items():
        if cell is not None and not fits_column(cell, COLUMN_TYPES[name]):
            raise OutputError(f"{path}: cannot be read as TIFF: {name} is {str(cell)[:MAX_SHOWN]}")
    return row


def _read_extra_cells(info: TiffInfo) -> dict[str, Any]:
    groups = {
        ("crop_left", "crop_top", "crop_width", "crop_height"): info.crop,
        ("scale_x", "scale_y"): info.scale,
        ("active_left", "active_top", "active_right", "active_bottom"): info.active_area,
        ("spacing_x", "spacing_y"): info.spacing,
        ("flip_h", "flip_v"): info.flip,
        ("source_columns", "source_rows", "source_frames"): info.source,
    }
    extras: dict[str, Any] = {
        "spacing_z": info.frame_spacing,
        "spacing_source": info.spacing_source,
        **_place_cells(info.place),
    }
    for names, values in groups.items():
        if values is not None:
            extras |= dict(zip(names, values, strict=True))
    return extras


def find_tiffs(root: Path) -> list[Path]:
    """TIFFs below a folder by suffix, hidden ones left out, in path order.

    Raises
    ------
    NotADirectoryError
    OSError
        A folder cannot be read.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder")
    paths, folders = [], [str(root)]
    while folders:  # os.walk calls itself for each level, of which there may be thousands
        folder = folders.pop()
        # One that was removed meanwhile has no TIFFs; of one that cannot be read nobody knows.
        with suppress(FileNotFoundError), naming(folder), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif _is_tiff_name(entry.name) and not _leads_to_folder(entry):
                    paths.append(Path(entry.path))
    return sorted(paths, key=lambda path: path_key(str(path)))


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_tiff_name(name: str) -> bool:
    return name.lower().endswith(TIFF_SUFFIXES) and not name.startswith(".")


def root_of_manifest(manifest: Path, first: str) -> Path:
    """The folder to which a manifest's paths are relative, of which ``first`` is one."""
    root = manifest.parent
    images = root / IMAGES
    # os.path: of a name that is too long, pathlib raises an error instead.
    return images if images.is_dir() and not (first and os.path.exists(root / first)) else root
