"""Shards: the studies of one index assigned to several runs, whose parts are collected at the end.

Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_preprocessing.results.parts import Part

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dicom_preprocessing.index.table import Study

PART_NAME = re.compile(r"(\d+)-of-(\d+)")


def shard_of(study: str, shards: int) -> int:
    """The shard of a study, from 0, by its hashed UID, so that other studies do not move it."""
    return int.from_bytes(hashlib.sha256(study.encode()).digest()[:8]) % shards


def belongs_to(study: str, part: Part) -> bool:
    """Whether the images of a study are in this part."""
    return shard_of(study, part.shards) == part.shard


def list_parts(output: str | Path, shards: int) -> list[Part]:
    """All parts of a run in this number of shards."""
    return [Part(Path(output), shard, shards) for shard in range(shards)]


def assign_to_shards(studies: Iterable[Study], shards: int) -> list[list[Study]]:
    """The studies of each shard."""
    by_shard: list[list[Study]] = [[] for _ in range(shards)]
    for study in studies:
        by_shard[shard_of(study.study_instance_uid, shards)].append(study)
    return by_shard


def find_parts(output: Path) -> list[Part]:
    """Parts whose folder exists, of any number of shards."""
    folder = output / "shards"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    matches = filter(None, map(PART_NAME.fullmatch, names))
    numbers = map(re.Match.groups, matches)
    return [Part(output, int(shard), int(shards)) for shard, shards in numbers]


def find_other_parts(output: Path, shards: int | None = None) -> list[Part]:
    """Parts that a run in this number of shards, or without shards, does not make."""
    return [part for part in find_parts(output) if part.shards != shards]


def invalidate_parts(output: Path, studies: Collection[str]) -> None:
    """Mark the parts that hold these studies as out of date, before the studies change."""
    for part in find_parts(output):
        if any(belongs_to(name, part) for name in studies):
            part.summary.unlink(missing_ok=True)
