"""The table of slices: which stored frame, of which file, each page of an image is, and where.

It has rows of the images of several pages, frames or files, which may be sixty million in a run. So
they are made study by study, and never sorted as a whole.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, fields
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import naming, path_key
from dicom_preprocessing.results.tables import Cells, cells_of, write_cells
from dicom_preprocessing.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.results.receipts import Receipt

NOWHERE = (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """A row of slices.csv, in the order of its columns.

    ``path`` is that of the image, as in the manifest; ``page`` counts from 1, and is None for a
    file of a stack that is no page. ``source_frame``, from 1, is the stored frame of the file that
    the page is or is nearest to. ``position_mm`` is the distance of the page along the normal of
    the stored image; x, y and z are mm in the patient (LPS) of the centre of its pixel (0, 0).
    """

    path: str
    page: int | None
    sop_instance_uid: str
    source_path: str
    source_frame: int
    position_mm: float | None = None
    x: float | None = None
    y: float | None = None
    z: float | None = None


SLICE_COLUMNS = tuple(field.name for field in fields(SliceRow))


@dataclass(frozen=True, slots=True)
class SlicedImage:
    """An image that has rows.

    Parameters
    ----------
    receipt : Receipt
        The one that has the image.
    page_frames : sequence of int
        Number of the stored frame of each page, from 1; in a stack, of the file.
    files : tuple of Receipt
        Those of a stack in its order; of another image none.
    """

    receipt: Receipt
    page_frames: Sequence[int]
    files: tuple[Receipt, ...] = ()

    @property
    def without_page(self) -> list[int]:
        """Numbers of the files of a stack that are no page."""
        pages = set(self.page_frames)
        return [number for number in range(1, len(self.files) + 1) if number not in pages]

    def __len__(self) -> int:
        return len(self.page_frames) + len(self.without_page)

    def rows(self) -> Iterator[SliceRow]:
        """The rows in their order."""
        geometry, count = self.receipt.parse_geometry(), len(self.page_frames)
        distances = geometry.page_distances or [None] * count
        positions = geometry.page_positions or [NOWHERE] * count
        if not len(distances) == len(positions) == count:
            raise _make_error(self.receipt)
        pages = zip(self.page_frames, distances, positions, strict=True)
        for page, (number, distance, (x, y, z)) in enumerate(pages, 1):
            yield self._make_row(number, page, position_mm=distance, x=x, y=y, z=z)
        for number in self.without_page:
            yield self._make_row(number, None)

    def _make_row(self, number: int, page: int | None, **place: float | None) -> SliceRow:
        file = self.files[number - 1] if self.files else self.receipt
        return SliceRow(
            path=self.receipt.output,
            page=page,
            sop_instance_uid=file.sop_instance_uid,
            source_path=file.source_path,
            source_frame=1 if self.files else number,
            **place,
        )


def find_sliced_images(receipts: Iterable[Receipt]) -> list[SlicedImage]:
    """The images of a study that have rows, in the order of their paths.

    Raises
    ------
    OutputError
        Another version wrote the receipts, or files of a stack are missing.
    """
    stacks: dict[str, list[Receipt]] = defaultdict(list)
    images = []
    for receipt in receipts:
        if receipt.is_written and receipt.part_of:
            stacks[receipt.part_of].append(receipt)
        if receipt.has_image:
            images.append(receipt)
    images.sort(key=lambda receipt: path_key(receipt.output))
    sliced = [_slice_image(r, stacks.pop(r.part_of, ())) for r in images if _has_rows(r)]
    for files in stacks.values():
        raise _make_error(files[0])
    return sliced


def _has_rows(receipt: Receipt) -> bool:
    frames = (receipt.source_info or {}).get("source_frames", 1)
    return receipt.frames != 1 or frames != 1 or bool(receipt.part_of)


def _slice_image(receipt: Receipt, files: Iterable[Receipt]) -> SlicedImage:
    ordered = sorted(files, key=lambda file: file.place_in_stack)
    page_frames = receipt.parse_source_info().page_frames or range(1, receipt.frames + 1)
    is_complete = [file.place_in_stack for file in ordered] == list(range(1, len(ordered) + 1))
    is_within = not ordered or all(1 <= number <= len(ordered) for number in page_frames)
    if not is_complete or not is_within or len(page_frames) != receipt.frames:
        raise _make_error(receipt)
    return SlicedImage(receipt, page_frames, tuple(ordered))


def _make_error(receipt: Receipt) -> OutputError:
    return OutputError(
        f"the receipt of study {receipt.study_instance_uid} lacks slices of an image: remove it "
        "and run again"
    )


def slices_of_study(receipts: Iterable[Receipt]) -> Iterator[SliceRow]:
    """The rows of a study in their order; errors are those of ``find_sliced_images``."""
    for image in find_sliced_images(receipts):
        yield from image.rows()


def order_of_study(study: str) -> bytes:
    """Sort key of studies in the order of the paths of their images."""
    return path_key(f"{study}/")


def merge_slices(tables: Iterable[StudyRows]) -> Iterator[Cells]:
    """Rows of several tables in their order; the rows of a study are all in one table."""
    by_number = dict(enumerate(tables))
    waiting = [(t.key, number) for number, t in by_number.items() if t.key is not None]
    heapify(waiting)
    while waiting:
        _, number = heappop(waiting)
        table = by_number[number]
        yield from map(tuple, csv.reader(table.read_study()))
        if table.key is not None:
            heappush(waiting, (table.key, number))


class StudyRows:
    """The rows of a table of slices, which is open only while those of one study are read.

    There may be more parts than files that a process may have open.

    Parameters
    ----------
    path : Path
    left : int
        How many rows it has.

    Raises
    ------
    FileNotFoundError
    """

    def __init__(self, path: Path, left: int) -> None:
        self._path, self._left = path, left
        with naming(path), path.open("rb") as file:
            self._offset = len(file.readline())
            self.key = _key_of_line(file.readline())
        self._check_end()

    def read_study(self) -> Iterator[str]:
        """Lines of the next study; then ``key`` is that of the one after it, or None.

        Raises
        ------
        OutputError
            The table has another number of rows.
        """
        with naming(self._path), self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                key = _key_of_line(line)
                if key != self.key:
                    self.key = key
                    return
                self._offset += len(line)
                self._left -= 1
                yield line.decode()
        self.key = None
        self._check_end()

    def _check_end(self) -> None:
        if self.key is None and self._left:
            more = f"{plural(abs(self._left), 'row')} {'less' if self._left > 0 else 'more'}"
            raise OutputError(
                f"{self._path} has {more} than it should. Remove its folder and run the shard again"
            )


def _key_of_line(line: bytes) -> bytes | None:
    """``order_of_study`` of the study of a row, which no cell breaks; None at the end."""
    study, sign, _ = line.partition(b"/")
    return study + sign or None


def write_slices(ordered: Iterable[SliceRow], path: Path) -> None:
    """Write slices.csv from rows in order: by path, then page, those without a page last."""
    write_cells(SLICE_COLUMNS, map(cells_of, ordered), path)
