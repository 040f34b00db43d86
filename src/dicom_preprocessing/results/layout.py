"""Every path in the results, and the UIDs of an image from its path.

```
images/{study}/...              images of the write stage
stages/{stage}/{study}/...      images of a kept stage
receipts/{stage}/{study}.jsonl  one line per file of the study
receipts/summary.json           summary of the receipts of the write stage
manifest.csv, .parquet          one row per image
failures.csv, retry.txt         files without an image
slices.csv                      one row per page of images of several pages, frames or files
warnings.csv                    what is irregular in files of which there are images
orphans.txt                     what is no longer part of the run
report.html, verdict.txt        about the run
tiff_benchmark/                 about the images, on demand
```

The folder index/ is described in `index/table.py`, shards/ in `results/parts.py`.
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
WARNINGS = "warnings.csv"
SLICES = "slices.csv"
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
        """The folder in which a stage has one per study; paths of images are relative to it."""
        return self.output / IMAGES if stage == "write" else self.output / "stages" / stage

    def study(self, stage: str, study: str) -> Path:
        """The images of a study at a stage."""
        return self.images(stage) / study

    def receipts(self, stage: str) -> Path:
        """The folder of receipts of a stage."""
        return self.output / "receipts" / stage

    def receipt(self, stage: str, study: str) -> Path:
        """The receipt of a study."""
        return self.receipts(stage) / f"{study}{RECEIPT_SUFFIX}"

    @property
    def summary(self) -> Path:
        """Summary of the receipts of the write stage."""
        return self.output / "receipts" / "summary.json"

    @property
    def manifest(self) -> Path:
        """One row per image."""
        return self.output / MANIFEST

    @property
    def manifest_parquet(self) -> Path:
        """The same, typed."""
        return self.output / "manifest.parquet"

    @property
    def failures(self) -> Path:
        """One row per file without an image."""
        return self.output / FAILURES

    @property
    def slices(self) -> Path:
        """One row per page of images of several pages, frames or files."""
        return self.output / SLICES

    @property
    def warnings(self) -> Path:
        """One row per warning about an image."""
        return self.output / WARNINGS

    @property
    def retry_list(self) -> Path:
        """Paths of files that failed."""
        return self.output / "retry.txt"

    @property
    def orphans(self) -> Path:
        """Files and folders that are no longer part of the run."""
        return self.output / "orphans.txt"

    @property
    def report(self) -> Path:
        """One page about the run."""
        return self.output / "report.html"

    @property
    def verdict(self) -> Path:
        """The counts of a run, which are there only if they are good enough."""
        return self.output / "verdict.txt"

    @property
    def tiff_benchmark(self) -> Path:
        """The comparison of compressors and file systems, on demand."""
        return self.output / "tiff_benchmark"

    @property
    def tables(self) -> tuple[Path, ...]:
        """The files that are made together from all receipts."""
        return (
            self.manifest,
            self.manifest_parquet,
            self.failures,
            self.slices,
            self.warnings,
            self.retry_list,
            self.orphans,
            self.summary,
        )

    @property
    def final_files(self) -> tuple[Path, ...]:
        """The files with which a run is finished."""
        return (*self.tables, self.report, self.verdict)
