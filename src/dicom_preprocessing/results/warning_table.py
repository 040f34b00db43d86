"""The table of warnings: what is irregular in files of which there is an image."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from dicom_preprocessing.files import path_key
from dicom_preprocessing.image_warnings import RANKS
from dicom_preprocessing.results.tables import cells_of, write_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dicom_preprocessing.results.receipts import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningRow:
    """A row of warnings.csv, in the order of its columns.

    ``path`` is that of the image, as in the manifest; ``code`` is one of ``WARNING_CODES``.
    """

    path: str
    source_path: str
    code: str
    message: str


WARNING_COLUMNS = tuple(field.name for field in fields(WarningRow))


def by_image(row: WarningRow) -> tuple[bytes, int, str]:
    """Sort key of warnings.csv."""
    return path_key(row.path), RANKS[row.code], row.message


def warnings_of_receipt(receipt: Receipt) -> Iterator[WarningRow]:
    """The rows of a file, none if it was not written.

    Raises
    ------
    OutputError
        Another version wrote the receipt.
    """
    for code, message in receipt.parse_warnings():
        yield WarningRow(
            path=receipt.output, source_path=receipt.source_path, code=code, message=message
        )


def write_warnings(ordered: Iterable[WarningRow], path: Path) -> None:
    """Write warnings.csv from rows in the order of ``by_image``."""
    write_cells(WARNING_COLUMNS, map(cells_of, ordered), path)
