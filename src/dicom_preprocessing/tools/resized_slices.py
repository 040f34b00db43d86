"""The table of slices of resized images: the same pages, with other places in the patient."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dicom_preprocessing.results.reading import read_slices_in_parts
from dicom_preprocessing.results.slice_table import NOWHERE, SLICE_COLUMNS, SliceRow, write_slices
from dicom_preprocessing.results.tables import as_records
from dicom_preprocessing.tiff.info import read_info

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.imaging.space import Vector


NO_PLACES: Final[Sequence[Vector]] = ()


def write_resized_slices(table: Path, images: Path, names: Collection[str], target: Path) -> None:
    """Write the rows of resized images from the table of those before.

    Parameters
    ----------
    table : Path
        slices.csv of the images before.
    images : Path
        Folder of the resized images.
    names : collection of str
        Their paths in it, which are those in the table.
    target : Path

    Raises
    ------
    OutputError
        The table lacks a column, or an image cannot be read.
    SourceError
        The table cannot be read.
    OSError
        The new one cannot be written.
    """
    write_slices(_move_rows(table, images, names), target)


def _move_rows(table: Path, images: Path, names: Collection[str]) -> Iterator[SliceRow]:
    """Yield the rows of these images, with the places of their pages now."""
    current, places = "", NO_PLACES  # rows of an image follow each other
    for part in read_slices_in_parts(table, SLICE_COLUMNS):
        for row in as_records(part):
            name = os.path.normpath(row["path"])
            if name not in names:
                continue
            if name != current:
                current, places = name, _list_places(images / name)
            x, y, z = _find(places, row["page"])
            yield replace(SliceRow(**row), path=name, x=x, y=y, z=z)


def _list_places(path: Path) -> Sequence[Vector]:
    """The position of each page of an image; none if that is unknown."""
    info = read_info(path)
    return NO_PLACES if info.place is None else info.place.list_pages(info.num_frames) or NO_PLACES


def _find(
    places: Sequence[Vector], page: int | None
) -> tuple[float | None, float | None, float | None]:
    return places[page - 1] if page is not None and 1 <= page <= len(places) else NOWHERE
