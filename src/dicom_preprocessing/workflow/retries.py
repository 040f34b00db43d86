"""What has to be done again, by the receipts of earlier jobs and their summary.

Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.config import STAGES
from dicom_preprocessing.files import naming, read_json_lines
from dicom_preprocessing.index.state import RetryPlan
from dicom_preprocessing.index.table import (
    IndexFolder,
    digest_inventory,
    is_path_part,
)
from dicom_preprocessing.results.layout import RECEIPT_SUFFIX, ResultsFolder

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_preprocessing.config import Limits

MAX_ATTEMPTS = 3
"""How often a file with a transient failure is tried altogether."""

LIMIT_PREFIX = "limit_"
"""What the errors of files that exceeded a limit begin with."""


def plan_retries(folder: IndexFolder, limits: Limits | None = None) -> RetryPlan:
    """Find out what the next index has to have tried again.

    Parameters
    ----------
    folder : IndexFolder
        As the last index left it.
    limits : Limits or None
        Those of this run; None does not look for studies that earlier limits stopped.
    """
    before = folder.read_request() if limits is not None else None
    has_new_limits = before is not None and before.limits != limits
    tried = folder.read_retries().unreadable
    return RetryPlan(
        studies=frozenset(
            study for study in _find_transient_studies(folder) if _is_pending(folder, study)
        ),
        renewed=frozenset(_find_limited_studies(folder)) if has_new_limits else frozenset(),
        files=frozenset(path for path, attempts in tried.items() if attempts < MAX_ATTEMPTS),
    )


def receipt_matches(receipt: Path, recipe: str, inventory: str) -> bool:
    """Whether a receipt has these digests, of settings and of files."""
    try:
        with receipt.open(encoding="ascii") as lines:
            first = json.loads(lines.readline())
    except (OSError, ValueError):
        return False
    return (first.get("recipe"), first.get("inventory")) == (recipe, inventory)


def _find_transient_studies(folder: IndexFolder) -> list[str]:
    """Studies with a file that had failed transiently when results were last collected.

    By the summary of the receipts, since opening each of them takes seconds at every start.
    """
    try:
        summary = json.loads(ResultsFolder(folder.output).summary.read_text(encoding="utf-8"))
        return [study for study in summary["transient"] if is_path_part(study)]
    except (OSError, ValueError, LookupError, TypeError):
        return []  # there is none, or it is of another version


def _is_pending(folder: IndexFolder, study: str) -> bool:
    """The summary may be older than the receipt, and the receipt than the inventory."""
    lines = _read_lines(ResultsFolder(folder.output).receipt("write", study))
    try:
        with folder.inventory(study).open(encoding="ascii") as inventory:
            attempt = json.loads(inventory.readline())["attempt"]
        tried = any(line["transient"] and line["attempt"] == attempt for line in lines)
    except (OSError, ValueError, LookupError):
        return False
    return bool(tried and attempt < MAX_ATTEMPTS)


def _find_limited_studies(folder: IndexFolder) -> set[str]:
    """Studies with a file that exceeded a limit, unless they are to be done again anyway.

    By the receipts of all stages, since there may be no summary of the last jobs: a run was killed,
    or shards were not collected.
    """
    folders = map(ResultsFolder(folder.output).receipts, STAGES)
    receipts = (path for receipts in folders for path in receipts.glob(f"*{RECEIPT_SUFFIX}"))
    return {receipt.stem for receipt in receipts if _is_limited(folder, receipt)}


def _is_limited(folder: IndexFolder, receipt: Path) -> bool:
    with naming(receipt):
        content = receipt.read_bytes()
    if LIMIT_PREFIX.encode() not in content:
        return False  # nearly all; parsing them would take three times as long
    lines = _read_lines(receipt)
    if not any(str(line.get("error")).startswith(LIMIT_PREFIX) for line in lines):
        return False
    try:
        return bool(lines[0].get("inventory") == digest_inventory(folder.inventory(receipt.stem)))
    except FileNotFoundError:
        return False  # the study has vanished


def _read_lines(receipt: Path) -> list[dict[str, Any]]:
    """The lines of a receipt; none if it does not exist or is cut."""
    try:
        return list(read_json_lines(receipt))
    except (OSError, ValueError):
        return []
