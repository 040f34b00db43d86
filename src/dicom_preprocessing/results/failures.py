"""The table of files that are not in the manifest, and the list of those to try again."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from dicom_preprocessing.files import atomic_write, path_key
from dicom_preprocessing.results.tables import cells_of, read_cells, write_cells
from dicom_preprocessing.text import unescape_formula

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dicom_preprocessing.index.table import ExcludedFile
    from dicom_preprocessing.results.receipts import Receipt


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


def by_path(failure: Failure) -> bytes:
    """Sort key of failures.csv and retry.txt."""
    return path_key(failure.source_path)


def write_failures(ordered: Iterable[Failure], path: Path) -> None:
    """Write failures.csv from failures in the order of ``by_path``."""
    write_cells(FAILURE_COLUMNS, map(cells_of, ordered), path)


def iterate_failures(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a failures.csv as text, for the verdict, which needs no data frame."""
    for cells in read_cells(path):
        texts = (unescape_formula(str(cell)) for cell in cells)
        yield dict(zip(FAILURE_COLUMNS, texts, strict=True))


def write_retry_list(ordered: Iterable[Failure], path: Path) -> None:
    """Write absolute paths of failed files as raw bytes: a valid source."""
    with atomic_write(path, "wb") as file:
        for failure in ordered:
            if failure.state != "failed":
                continue
            absolute = path_key(os.path.abspath(failure.source_path))
            if b"\n" in absolute or b"\r" in absolute:
                # A list cannot hold it; with the comment it is not lost silently.
                absolute = b"# has a line break in its name: " + ascii(absolute).encode()
            file.write(absolute + b"\n")


def failure_of_excluded_file(item: ExcludedFile) -> Failure:
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
