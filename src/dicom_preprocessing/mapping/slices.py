"""Which page of an image a stored frame of a file is, and back, by a table of slices."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_preprocessing.results.finding import find_table
from dicom_preprocessing.results.layout import SLICES
from dicom_preprocessing.results.reading import read_slices_in_parts
from dicom_preprocessing.results.tables import as_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    Row = Mapping[str, Any]

NO_PAGE = "no_page"
COLUMNS = ("path", "page", "sop_instance_uid", "source_frame")


class Slice(NamedTuple):
    """A page of an image, from 1, and the stored frame of a file that it is; None is unknown."""

    path: str
    page: int | None = None
    sop_instance_uid: str | None = None
    frame: int | None = None


class SliceIndex:
    """Slices of images of several pages, frames or files; others are not in the table.

    ``has_table`` is whether there is one.
    """

    def __init__(self, slices: Iterable[Slice] = (), *, has_table: bool = True) -> None:
        self.has_table = has_table
        self._by_path: dict[str, list[Slice]] = defaultdict(list)
        self._paths: dict[str | None, dict[str, None]] = defaultdict(dict)
        for known in slices:
            self._by_path[known.path].append(known)
            self._paths[known.sop_instance_uid][known.path] = None

    def list_paths(self, sop: str) -> Iterable[str]:
        """Paths of the images in which a file is."""
        return self._paths.get(sop, ())

    def find_page(self, image: Row, sop: str, frame: int | None) -> Slice | str:
        """The page that a stored frame is.

        Parameters
        ----------
        image : mapping
            Row of the manifest.
        sop : str
            SOP Instance UID of the file; empty if only the image is known.
        frame : int or None
            Number of the stored frame, from 1. None is the only one of a file of a stack, and all
            of another image.

        Returns
        -------
        Slice or str
            The page is None where all are meant. A text says that there is none.
        """
        path = os.path.normpath(image["path"])
        slices = self._by_path.get(path, [])
        uids = {image["sop_instance_uid"], *(known.sop_instance_uid for known in slices)}
        is_stack = len(uids) > 1
        if frame is None and not (is_stack and sop):
            return Slice(path)
        if not slices:
            return Slice(path, 1) if frame == 1 and is_single(image) else NO_PAGE
        wanted = (sop if is_stack else image["sop_instance_uid"], 1 if frame is None else frame)
        pages = [
            known.page
            for known in slices
            if (known.sop_instance_uid, known.frame) == wanted and known.page is not None
        ]
        return Slice(path, _choose_page(pages, image.get("num_frames"))) if pages else NO_PAGE

    def find_frame(self, image: Row, page: int | None) -> Slice | str:
        """The file and stored frame that a page, from 1, is; of None unknown ones."""
        path = os.path.normpath(image["path"])
        slices = self._by_path.get(path, [])
        if page is None:
            return Slice(path)
        if not slices and page == 1 and is_single(image):
            return Slice(path, 1, image["sop_instance_uid"], 1)
        return next((known for known in slices if known.page == page), NO_PAGE)


def is_single(image: Row) -> bool:
    """Whether an image that has no slices is of one page and frame."""
    return image.get("num_frames") == 1 and image.get("source_frames") in (1, None)


def _choose_page(pages: list[int], last: int | None) -> int:
    """Of the pages, in order, to which one frame is the nearest, the one that lies where it does.

    The first and the last frame lie at the ends, others in the middle.
    """
    if pages[0] == 1:
        return 1
    return pages[-1] if pages[-1] == last else pages[(len(pages) - 1) // 2]


def read_slices_of(
    manifest: Path, images: Iterable[Row], paths: Iterable[str], sops: Iterable[str]
) -> SliceIndex:
    """Read the slices of some images from the table beside a manifest; none if there is no table.

    Parameters
    ----------
    manifest : Path
        Or a folder, as for ``find_table``.
    images : iterable of mapping
        Rows of the manifest.
    paths, sops : iterable of str
        Paths of the images, and SOP Instance UIDs of images or of files of stacks.

    Raises
    ------
    OutputError
        The table lacks a column.
    SourceError
        It cannot be read.
    """
    table = find_table(manifest, SLICES)
    if table is None:
        return SliceIndex(has_table=False)
    wanted, files = set(map(os.path.normpath, paths)), set(sops)
    for image in images:
        if image["sop_instance_uid"] in files:
            wanted.add(os.path.normpath(image["path"]))
    # Twice, some rows at a time, since there may be sixty million.
    for part in read_slices_in_parts(table, COLUMNS):
        wanted.update(part.loc[part["sop_instance_uid"].isin(files), "path"])
    return SliceIndex(
        Slice(os.path.normpath(row["path"]), *(row[name] for name in COLUMNS[1:]))
        for part in read_slices_in_parts(table, COLUMNS)
        for row in as_records(part[part["path"].isin(wanted)])
    )
