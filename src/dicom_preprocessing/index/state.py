"""Whether the index must run again: a digest of the source, and the retries that are due.

Standard library only. Snakemake compares the value with that of the last run.
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

from dicom_preprocessing.index.table import MAX_ATTEMPTS, IndexFolder
from dicom_preprocessing.index.walk import find_files, walk_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def source_state(sources: Sequence[str], output: str, excluded: Sequence[str]) -> str:
    """A digest that changes with any file of the source and when a retry is due.

    Raises
    ------
    SourceError
        The source cannot be used; nothing may be changed then.
    """
    files = find_files(sources, excluded)
    folder = IndexFolder(output)
    due = folder.read_retries().issued + len(pending_studies(folder)) + len(pending_files(folder))
    return f"{walk_hash(files)[:32]}:{due}"


def pending_files(folder: IndexFolder) -> list[str]:
    """Unreadable paths that are to be tried again."""
    tried = folder.read_retries().unreadable
    return [path for path, attempts in tried.items() if attempts < MAX_ATTEMPTS]


def pending_studies(folder: IndexFolder) -> list[str]:
    """Studies of which a file failed transiently at the current attempt, and may be tried again."""
    transient = _studies_with_rows(folder, lambda row: row["transient"] == "true")
    return [study for study in transient if _is_pending(folder, study)]


def limited_studies(folder: IndexFolder) -> list[str]:
    """Studies of which a file went beyond a limit."""
    return _studies_with_rows(folder, lambda row: row["error"].startswith("limit_"))


def _studies_with_rows(folder: IndexFolder, select: Callable[[dict[str, str]], bool]) -> list[str]:
    """Studies with a selected row of a job in failures.csv."""
    try:
        with (folder.output / "failures.csv").open(encoding="utf-8", newline="") as file:
            rows = (row for row in csv.DictReader(file) if row["stage"] != "index")
            return sorted({row["study_instance_uid"] for row in rows if select(row)})
    except OSError:
        return []


def _is_pending(folder: IndexFolder, study: str) -> bool:
    """failures.csv may be older than the receipt, and the receipt than the inventory."""
    receipt = folder.output / "receipts" / "write" / f"{study}.jsonl"
    try:
        lines = [json.loads(line) for line in receipt.read_text(encoding="ascii").splitlines()]
        with folder.inventory(study).open(encoding="ascii") as inventory:
            attempt = json.loads(inventory.readline())["attempt"]
    except (OSError, ValueError):
        return False
    tried = any(line["transient"] and line["attempt"] == attempt for line in lines)
    return tried and attempt < MAX_ATTEMPTS
