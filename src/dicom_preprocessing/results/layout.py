"""Paths of images and receipts, and back to the UIDs that they are made of.

Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path, PurePath

WITH_SERIES = "study/series/sop"
SUFFIX = ".tiff"


def image_path(layout: str, study: str, series: str, sop: str) -> str:
    """``{study}/{sop}.tiff``, or ``{study}/{series}/{sop}.tiff`` for the layout with series."""
    folder = f"{study}/{series}" if layout == WITH_SERIES else study
    return f"{folder}/{sop}{SUFFIX}"


def parse_image_path(path: PurePath) -> tuple[str, str | None, str]:
    """Study, series and SOP Instance UID of an image's relative path.

    The series is None in the layout without it; the study is empty for a file without folder.
    Of deeper paths the last two folders count.
    """
    *_, outer, inner = ("", "", *path.parts[:-1])
    study, series = (outer, inner) if outer else (inner, None)
    return study, series, path.name.removesuffix(path.suffix)


def receipt_path(output: Path, stage: str, study: str) -> Path:
    """``{output}/receipts/{stage}/{study}.jsonl``."""
    return output / "receipts" / stage / f"{study}.jsonl"


def summary_path(output: Path) -> Path:
    """What the receipts of the write stage tell together."""
    return output / "receipts" / "summary.json"


def verdict_path(output: Path) -> Path:
    """The last word on a run, which is there only if that was good enough."""
    return output / "verdict.txt"
