"""The verdict on a run: one line of counts, and whether they are good enough."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_preprocessing.files import atomic_write
from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.results.failures import iterate_failures
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.results.summary import Summary
from dicom_preprocessing.text import make_printable, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Counts:
    """Files by outcome; ``skipped`` and ``failed`` by error class.

    ``with_warnings`` is the number of images with warnings, ``stacked`` that of written files that
    are in the image of another one.
    """

    written: int
    skipped: dict[str, int]
    failed: dict[str, int]
    with_warnings: int = 0
    stacked: int = 0

    @property
    def images(self) -> int:
        """What the written files became."""
        return self.written - self.stacked

    @property
    def found(self) -> int:
        """All files."""
        return self.written + sum(self.skipped.values()) + sum(self.failed.values())

    def __str__(self) -> str:
        """``12 files found: 9 written, 2 skipped (not_dicom 2), 1 failed (damaged 1)``.

        With stacks, ``9 written as 2 images``.
        """
        images = f" as {plural(self.images, 'image')}" if self.stacked else ""
        warned = f" ({self.with_warnings} with warnings)" if self.with_warnings else ""
        return (
            f"{plural(self.found, 'file')} found: {self.written} written{images}{warned}, "
            f"{_total(self.skipped)} skipped{_detail(self.skipped)}, "
            f"{_total(self.failed)} failed{_detail(self.failed)}"
        )


def _total(errors: Mapping[str, int]) -> int:
    return sum(errors.values())


def _detail(errors: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{name} {n}' for name, n in sorted(errors.items()))})" if errors else ""


def count_files(
    found: int, outcomes: Iterable[tuple[str, str]], with_warnings: int = 0, stacked: int = 0
) -> Counts:
    """Count ``found`` files of which ``outcomes`` (state, error) were not written.

    ``with_warnings`` and ``stacked`` are as in ``Counts``.
    """
    by_state: dict[str, Counter[str]] = {"skipped": Counter(), "failed": Counter()}
    for state, error in outcomes:
        by_state[state][error] += 1
    skipped, failed = by_state["skipped"], by_state["failed"]
    written = found - skipped.total() - failed.total()
    return Counts(written, dict(skipped), dict(failed), with_warnings, stacked)


def find_failure_reason(
    counts: Counts, *, strict: bool, named_not_written: str | None = None
) -> str | None:
    """Why a run is not good enough, None if it is.

    Parameters
    ----------
    counts : Counts
    strict : bool
        Refuse any failed file, and a named path that is missing or not DICOM.
    named_not_written : str or None
        Such a path.
    """
    if counts.found and not counts.written:
        return "no file was written"
    if strict and counts.failed:
        return f"strict: {plural(_total(counts.failed), 'file')} failed"
    if strict and named_not_written is not None:
        return f"strict: {make_printable(named_not_written)} was named and is not DICOM"
    return None


def judge_run(output: Path, *, strict: bool) -> str | None:
    """Write verdict.txt into the results if they are good enough; else return why not."""
    folder, results = IndexFolder(output), ResultsFolder(output)
    excluded = sum(1 for _ in folder.read_excluded_files())
    found = excluded + sum(study.files for study in folder.read_studies().values())
    rows = iterate_failures(results.failures)
    summary = Summary.read(results.summary)
    counts = count_files(
        found,
        ((row["state"], row["error"]) for row in rows),
        summary.images_with_warnings,
        summary.stacked_files,
    )
    not_dicom = (i for i in folder.read_excluded_files() if i.named and i.error == "not_dicom")
    named = next((item.source_path for item in not_dicom), None)
    problem = find_failure_reason(counts, strict=strict, named_not_written=named)
    if problem is not None:
        return f"{problem} ({counts}); see {results.failures}"
    with atomic_write(results.verdict) as file:
        file.write(f"{counts}\n")
    return None
