"""What a selection keeps of a source, as a table: a dry look before a run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from dicom_preprocessing.files import path_key
from dicom_preprocessing.index.selection import name_class
from dicom_preprocessing.results.tables import cells_of, write_cells

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dicom_preprocessing.index.build import Index

KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedFile:
    """A row: a file of the source, and what the index makes of it.

    ``state`` is ``kept``, ``skipped`` or ``failed``; ``error`` and ``message`` are as in
    failures.csv, so that of ``not_selected`` the message is the rule.
    """

    source_path: str
    state: str
    error: str = ""
    message: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    modality: str | None = None
    sop_class: str | None = None


SELECTED_COLUMNS = tuple(field.name for field in fields(SelectedFile))


def list_selected(index: Index) -> list[SelectedFile]:
    """The rows of all files of an index, in path order."""
    rows = [
        SelectedFile(
            source_path=entry.path,
            state=KEPT,
            study_instance_uid=entry.study_instance_uid,
            series_instance_uid=entry.series_instance_uid,
            sop_instance_uid=entry.sop_instance_uid,
            modality=entry.modality,
            sop_class=name_class(entry.sop_class_uid),
        )
        for entries in index.studies.values()
        for entry in entries
    ]
    rows += [
        SelectedFile(
            source_path=item.source_path,
            state=item.state,
            error=item.error,
            message=item.message,
            study_instance_uid=item.study_instance_uid,
            series_instance_uid=item.series_instance_uid,
            sop_instance_uid=item.sop_instance_uid,
        )
        for item in index.excluded_files
    ]
    return sorted(rows, key=lambda row: path_key(row.source_path))


def write_selected(rows: Iterable[SelectedFile], path: Path) -> None:
    """Write the rows as csv."""
    write_cells(SELECTED_COLUMNS, map(cells_of, rows), path)
