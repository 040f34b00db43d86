"""What has to be done again: the index, by a digest of the source and retries, and studies.

Standard library only. Snakemake compares the digest with that of the last run.
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

from dicom_preprocessing.index.table import MAX_ATTEMPTS, IndexFolder, inventory_digest
from dicom_preprocessing.index.walk import find_files, walk_hash

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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
    try:
        with (folder.output / "failures.csv").open(encoding="utf-8", newline="") as file:
            rows = (row for row in csv.DictReader(file) if row["stage"] != "index")
            transient = {row["study_instance_uid"] for row in rows if row["transient"] == "true"}
    except OSError:
        return []
    return [study for study in sorted(transient) if _is_pending(folder, study)]


def limited_studies(folder: IndexFolder) -> list[str]:
    """Studies of which a file went beyond a limit, and which are not to be done again anyway.

    By the receipts, since there may be no failures.csv of the last jobs: a run was killed, or
    shards were not gathered.
    """
    receipts = (folder.output / "receipts").glob("*/*.jsonl")
    return sorted({receipt.stem for receipt in receipts if _is_limited(folder, receipt)})


def is_made_of(receipt: Path, chain: str, inventory: str) -> bool:
    """Whether a receipt tells these digests, of settings and of files."""
    try:
        with receipt.open(encoding="ascii") as lines:
            told = json.loads(lines.readline())
    except (OSError, ValueError):
        return False
    return (told.get("chain"), told.get("inventory")) == (chain, inventory)


def _receipts(folder: IndexFolder) -> Path:
    return folder.output / "receipts" / "write"


def _is_limited(folder: IndexFolder, receipt: Path) -> bool:
    text = receipt.read_text(encoding="ascii")
    if '"error": "limit_' not in text:
        return False
    made_of = json.loads(text.partition("\n")[0]).get("inventory")
    try:
        return bool(made_of == inventory_digest(folder.inventory(receipt.stem)))
    except FileNotFoundError:
        return False  # the study has vanished


def _is_pending(folder: IndexFolder, study: str) -> bool:
    """failures.csv may be older than the receipt, and the receipt than the inventory."""
    receipt = _receipts(folder) / f"{study}.jsonl"
    try:
        lines = [json.loads(line) for line in receipt.read_text(encoding="ascii").splitlines()]
        with folder.inventory(study).open(encoding="ascii") as inventory:
            attempt = json.loads(inventory.readline())["attempt"]
    except (OSError, ValueError):
        return False
    tried = any(line["transient"] and line["attempt"] == attempt for line in lines)
    return tried and attempt < MAX_ATTEMPTS
