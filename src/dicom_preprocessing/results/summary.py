"""Summary of receipts: time by stage, warnings, and which studies may be tried again.

Summaries can be added, so each part of a run has its own.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_preprocessing.results.receipts import Receipt

BINS_PER_E_FOLD = 100
"""Bins of a factor of e: a median is right to one percent."""

MIN_SECONDS = 1e-6


@dataclass(slots=True)
class Durations:
    """Times in seconds; single ones are known to one percent.

    ``bins`` counts them by the logarithm of the time.
    """

    total: float = 0.0
    longest: float = 0.0
    bins: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        """Count one more."""
        self.total += seconds
        self.longest = max(self.longest, seconds)
        self.bins[round(BINS_PER_E_FOLD * math.log(max(seconds, MIN_SECONDS)))] += 1

    def __iadd__(self, other: Durations) -> Self:
        self.total += other.total
        self.longest = max(self.longest, other.longest)
        self.bins += other.bins
        return self

    @property
    def number(self) -> int:
        """How many there are."""
        return self.bins.total()

    @property
    def median(self) -> float:
        """Half of them are no longer; 0 if there are none."""
        left = self.number / 2
        for step, number in sorted(self.bins.items()):
            left -= number
            if left <= 0:
                return min(math.exp(step / BINS_PER_E_FOLD), self.longest)
        return 0.0


@dataclass(slots=True)
class Summary:
    """Times by stage, how often each warning was given, and studies with a transient failure.

    ``recipe`` is that of all receipts, ``studies`` the ``digest_studies``. The next index looks
    for retries in ``transient``: it is short, and nobody edits it, as users may edit failures.csv.
    """

    recipe: str = ""
    studies: str = ""
    seconds: dict[str, Durations] = field(default_factory=dict)
    warnings: Counter[str] = field(default_factory=Counter)
    transient: set[str] = field(default_factory=set)

    def add(self, receipt: Receipt) -> None:
        """Count the receipt of a file."""
        for stage, spent in receipt.seconds.items():
            self.seconds.setdefault(stage, Durations()).add(spent)
        warnings = (receipt.source_info or {}).get("warnings", ())
        self.warnings.update(f"{code}: {message}" for code, message in warnings)
        if receipt.transient:
            self.transient.add(receipt.study_instance_uid)

    def __iadd__(self, other: Summary) -> Self:
        for stage, durations in other.seconds.items():
            total = self.seconds.setdefault(stage, Durations())
            total += durations
        self.warnings += other.warnings
        self.transient |= other.transient
        return self

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        seconds = {
            stage: {"total": d.total, "longest": d.longest, "bins": sorted(d.bins.items())}
            for stage, d in self.seconds.items()
        }
        record = {
            "recipe": self.recipe,
            "studies": self.studies,
            "seconds": seconds,
            "warnings": self.warnings,
            "transient": sorted(self.transient),
        }
        with atomic_write(path) as file:
            json.dump(record, file)

    @classmethod
    def read(cls, path: Path) -> Summary:
        """Read what ``write`` wrote.

        Raises
        ------
        OutputError
            Another version wrote it.
        """
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.keys() != {"recipe", "studies", "seconds", "warnings", "transient"}:
            raise OutputError(f"{path} was written by another version: remove it and run again")
        seconds = {
            stage: Durations(d["total"], d["longest"], Counter(dict(d["bins"])))
            for stage, d in record["seconds"].items()
        }
        warnings, transient = Counter(record["warnings"]), set(record["transient"])
        return cls(record["recipe"], record["studies"], seconds, warnings, transient)
