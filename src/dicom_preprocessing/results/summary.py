"""Summary of receipts: time by stage, counts of warnings, and which studies may be tried again.

Summaries can be added, so each part of a run has its own.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NamedTuple, Self

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import atomic_write, read_text
from dicom_preprocessing.image_warnings import WARNING_CODES

if TYPE_CHECKING:
    from collections.abc import Mapping
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


class WarningCount(NamedTuple):
    """Number of images that have a warning, and its message about one of them."""

    images: int
    example: str

    def merge(self, other: WarningCount) -> WarningCount:
        """Count the images of both; the example is the same whichever comes first."""
        return WarningCount(self.images + other.images, min(self.example, other.example))


@dataclass(slots=True)
class Summary:
    """Times by stage, counts of images with warnings, and studies with a transient failure.

    ``recipe`` is that of all receipts, ``studies`` the ``digest_studies``, ``columns`` are those
    that the manifest has besides. ``stacked_files`` are written files that are in the image of
    another one, ``slices`` the rows of slices.csv. ``warnings`` has the codes that occur; there are
    as many of them however different the messages are, which warnings.csv has. The next index looks
    for retries in ``transient``: it is short, and nobody edits it, as users may edit failures.csv.
    ``pruned`` are folders and receipts that were removed.
    """

    recipe: str = ""
    studies: str = ""
    columns: list[str] = field(default_factory=list)
    seconds: dict[str, Durations] = field(default_factory=dict)
    stacked_files: int = 0
    slices: int = 0
    images_with_warnings: int = 0
    warnings: dict[str, WarningCount] = field(default_factory=dict)
    transient: set[str] = field(default_factory=set)
    pruned: int = 0

    def add(self, receipt: Receipt) -> None:
        """Count the receipt of a file."""
        for stage, spent in receipt.seconds.items():
            self._durations_of(stage).add(spent)
        self.stacked_files += receipt.is_written and not receipt.has_image
        if warnings := receipt.parse_warnings():
            self.images_with_warnings += 1
            examples = dict(reversed(warnings))  # the first of each code
            self._add_warnings({code: WarningCount(1, text) for code, text in examples.items()})
        if receipt.transient:
            self.transient.add(receipt.study_instance_uid)

    def _durations_of(self, stage: str) -> Durations:
        durations = self.seconds.get(stage)
        if durations is None:
            durations = self.seconds[stage] = Durations()
        return durations

    def _add_warnings(self, counts: Mapping[str, WarningCount]) -> None:
        for code, count in counts.items():
            known = self.warnings.get(code)
            self.warnings[code] = count if known is None else known.merge(count)

    def __iadd__(self, other: Summary) -> Self:
        for stage, durations in other.seconds.items():
            total = self._durations_of(stage)
            total += durations
        self.stacked_files += other.stacked_files
        self.slices += other.slices
        self.images_with_warnings += other.images_with_warnings
        self._add_warnings(other.warnings)
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
            "columns": self.columns,
            "seconds": seconds,
            "stacked_files": self.stacked_files,
            "slices": self.slices,
            "images_with_warnings": self.images_with_warnings,
            "warnings": self.warnings,
            "transient": sorted(self.transient),
            "pruned": self.pruned,
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
        record = json.loads(read_text(path))
        is_of_this_version = record.keys() == {field.name for field in fields(cls)}
        if not is_of_this_version or not record["warnings"].keys() <= WARNING_CODES.keys():
            raise OutputError(f"{path} was written by another version: remove it and run again")
        seconds = {
            stage: Durations(d["total"], d["longest"], Counter(dict(d["bins"])))
            for stage, d in record["seconds"].items()
        }
        warnings = {code: WarningCount(*count) for code, count in record["warnings"].items()}
        parsed = {"seconds": seconds, "warnings": warnings, "transient": set(record["transient"])}
        return cls(**{**record, **parsed})
