"""Shards: the studies of one index dealt out to several runs, whose parts are gathered at the end.

```
shards/0-of-8/manifest.csv      rows of the shard's images
shards/0-of-8/failures.jsonl    what the shard's jobs did not write
shards/0-of-8/summary.json      times and warnings; it is there only while the part is up to date
```

Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_preprocessing.index.table import Study

NAME = re.compile(r"(\d+)-of-(\d+)")


def shard_of(study: str, shards: int) -> int:
    """The shard of a study, from 0: its hashed UID, so that other studies do not move it."""
    return int.from_bytes(hashlib.sha256(study.encode()).digest()[:8]) % shards


@dataclass(frozen=True, slots=True)
class Part:
    """Where the results of one shard are: paths only."""

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
        """Failures of jobs, as JSON Lines, which carry file names of any bytes."""
        return self.folder / "failures.jsonl"

    @property
    def summary(self) -> Path:
        """Times and warnings."""
        return self.folder / "summary.json"

    def has(self, study: str) -> bool:
        """Whether a study belongs to this shard."""
        return shard_of(study, self.shards) == self.shard


def parts_of(output: str | Path, shards: int) -> list[Part]:
    """Every part of a run in so many shards."""
    return [Part(Path(output), shard, shards) for shard in range(shards)]


def deal_out(studies: Iterable[Study], shards: int) -> list[list[Study]]:
    """The studies of each shard."""
    dealt: list[list[Study]] = [[] for _ in range(shards)]
    for study in studies:
        dealt[shard_of(study.study_instance_uid, shards)].append(study)
    return dealt


def found_parts(output: Path) -> list[Part]:
    """Parts of which there is a folder, of any number of shards."""
    folder = output / "shards"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = filter(None, map(NAME.fullmatch, names))
    return [Part(output, int(shard), int(shards)) for shard, shards in map(re.Match.groups, found)]


def withdraw_parts(output: Path, studies: Iterable[str]) -> None:
    """Mark the parts that hold these studies as out of date, before the studies change."""
    names = list(studies)
    for part in found_parts(output):
        if any(map(part.has, names)):
            part.summary.unlink(missing_ok=True)
