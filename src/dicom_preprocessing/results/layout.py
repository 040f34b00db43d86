"""Every path of results, once; of images also back to the UIDs that they are made of.

```
images/{study}/...              what the stage write made
stages/{stage}/{study}/...      what a kept stage made
receipts/{stage}/{study}.jsonl  a line a file of the study
receipts/summary.json           what the receipts of write tell together
manifest.csv, .parquet          a row an image
failures.csv, retry.txt         what has no image
orphans.txt                     what is no longer part of the run
report.html, verdict.txt        about the run
tiff_benchmark/                  about the images, on demand
```

What is in index/ is told by `index/table.py`, what is in shards/ by `results/parts.py`.
Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path, PurePath

IMAGES = "images"
MANIFEST = "manifest.csv"
FAILURES = "failures.csv"
SLICES = "slices.csv"
"""Which slice became which page; tiff-combine writes it."""
WITH_SERIES = "study/series/sop"
SUFFIX = ".tiff"
RECEIPT_SUFFIX = ".jsonl"
TIFF_SUFFIXES = (".tif", ".tiff")
"""Of any TIFF, in lower case."""


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


@dataclass(frozen=True, slots=True)
class ResultsFolder:
    """Paths in a folder of results."""

    output: Path

    def images(self, stage: str) -> Path:
        """The folder in which a stage has a folder a study, and from which images are named."""
        return self.output / IMAGES if stage == "write" else self.output / "stages" / stage

    def study(self, stage: str, study: str) -> Path:
        """What a stage made of a study."""
        return self.images(stage) / study

    def receipts(self, stage: str) -> Path:
        """The folder of receipts of a stage."""
        return self.output / "receipts" / stage

    def receipt(self, stage: str, study: str) -> Path:
        """The receipt of a study."""
        return self.receipts(stage) / f"{study}{RECEIPT_SUFFIX}"

    @property
    def summary(self) -> Path:
        """What the receipts of the write stage tell together."""
        return self.output / "receipts" / "summary.json"

    @property
    def manifest(self) -> Path:
        """A row an image."""
        return self.output / MANIFEST

    @property
    def manifest_parquet(self) -> Path:
        """The same, typed."""
        return self.output / "manifest.parquet"

    @property
    def failures(self) -> Path:
        """A row a file without an image."""
        return self.output / FAILURES

    @property
    def retry_list(self) -> Path:
        """Paths of files that failed."""
        return self.output / "retry.txt"

    @property
    def orphans(self) -> Path:
        """What is there and no longer part of the run."""
        return self.output / "orphans.txt"

    @property
    def report(self) -> Path:
        """One page about the run."""
        return self.output / "report.html"

    @property
    def verdict(self) -> Path:
        """The last word on a run, which is there only if that was good enough."""
        return self.output / "verdict.txt"

    @property
    def tiff_benchmark(self) -> Path:
        """What compressors and file systems would make of the images, on demand."""
        return self.output / "tiff_benchmark"

    @property
    def of_run(self) -> tuple[Path, ...]:
        """What a whole run is for."""
        return (
            self.manifest,
            self.manifest_parquet,
            self.failures,
            self.retry_list,
            self.orphans,
            self.summary,
            self.report,
            self.verdict,
        )
