"""What a job of a study asks the queue for: memory, minutes and cores, from figures of the index.

The index says of each study how many pixels it has and what its largest object takes in memory
(``Study.megapixels`` and ``Study.mem_mb`` in index/index.tsv; see ``index.build``).
Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_preprocessing.index.table import Study

SNAKEMAKE_MB = 400
"""A cluster's executor starts Snakemake twice in each job, and each reads the index table."""

UNKNOWN_MB = 1000
"""Memory for a study that is not in the table."""

MEGAPIXELS_A_CORE = 600
"""A job of a cluster gets another core for so much work, some five minutes."""

MAX_CORES = 4
BASE_MINUTES = 10
MEGAPIXELS_A_MINUTE = 120


def job_mem_mb(study: Study | None, *, threads: int, attempt: int, on_cluster: bool) -> int:
    """Memory in MB: what the headers tell for each thread, more at each attempt."""
    needed = threads * (study.mem_mb if study else UNKNOWN_MB)
    return attempt * (needed + (SNAKEMAKE_MB if on_cluster else 0))


def runtime_minutes(study: Study | None, *, attempt: int) -> int:
    """Minutes by the pixels, half a second a megapixel, more at each attempt."""
    return attempt * (BASE_MINUTES + (study.megapixels if study else 0) // MEGAPIXELS_A_MINUTE)


def cores_on_cluster(study: Study | None) -> int:
    """Cores by the pixels."""
    return min(MAX_CORES, 1 + (study.megapixels // MEGAPIXELS_A_CORE if study else 0))


def local_cores(studies: int, cores: int) -> int:
    """Cores of one of so many studies that share those of a machine."""
    return max(1, cores // max(1, studies))
