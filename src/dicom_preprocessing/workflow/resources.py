"""Memory, minutes and cores that the job of a study asks a queue for, from figures of the index.

The index has for each study the number of pixels and the memory that its largest object takes
(``Study.megapixels`` and ``Study.mem_mb`` in index/index.tsv; see ``index.build``).
Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_preprocessing.index.table import Study

SNAKEMAKE_MB = 400
"""For Snakemake, which a cluster's executor starts twice in each job, with the index table."""

UNKNOWN_MB = 1000
"""Memory for a study that is not in the table."""

MEGAPIXELS_PER_CORE = 600
"""On a cluster a job gets another core for this much work, some five minutes."""

MAX_CORES = 4
BASE_MINUTES = 10
MEGAPIXELS_PER_MINUTE = 120


def estimate_mem_mb(study: Study | None, *, threads: int, attempt: int, on_cluster: bool) -> int:
    """Memory in MB, by the headers, for each thread, and more at each attempt."""
    needed = threads * (study.mem_mb if study else UNKNOWN_MB)
    return attempt * (needed + (SNAKEMAKE_MB if on_cluster else 0))


def estimate_minutes(study: Study | None, *, attempt: int) -> int:
    """Minutes by the pixels, half a second per megapixel, and more at each attempt."""
    return attempt * (BASE_MINUTES + (study.megapixels if study else 0) // MEGAPIXELS_PER_MINUTE)


def choose_cluster_cores(study: Study | None) -> int:
    """Cores by the pixels."""
    return min(MAX_CORES, 1 + (study.megapixels // MEGAPIXELS_PER_CORE if study else 0))


def choose_local_cores(studies: int, cores: int) -> int:
    """Cores for one of several studies that share those of a machine."""
    return max(1, cores // max(1, studies))
