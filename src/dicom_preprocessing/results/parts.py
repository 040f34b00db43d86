"""Parts: the results of one shard of a run, which are collected at the end.

```
shards/0-of-8/manifest.csv      rows of the shard's images
shards/0-of-8/failures.jsonl    files that the shard's jobs did not write
shards/0-of-8/slices.csv        rows of pages of its images
shards/0-of-8/warnings.jsonl    warnings about its images
shards/0-of-8/summary.json      times and counts; exists only while the part is up to date
```

Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Part:
    """Paths of the results of one shard."""

    output: Path
    shard: int
    shards: int

    @property
    def folder(self) -> Path:
        """Also the working directory of the shard's run."""
        return self.output / "shards" / f"{self.shard}-of-{self.shards}"

    @property
    def manifest(self) -> Path:
        """Rows of images."""
        return self.folder / "manifest.csv"

    @property
    def failures(self) -> Path:
        """Failures of jobs, as JSON Lines, which can hold file names of any bytes."""
        return self.folder / "failures.jsonl"

    @property
    def slices(self) -> Path:
        """Rows of pages."""
        return self.folder / "slices.csv"

    @property
    def warnings(self) -> Path:
        """Warnings about images, as JSON Lines for the same reason."""
        return self.folder / "warnings.jsonl"

    @property
    def summary(self) -> Path:
        """Times, and numbers of warnings."""
        return self.folder / "summary.json"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files with which the part is finished."""
        return self.manifest, self.failures, self.slices, self.warnings, self.summary
