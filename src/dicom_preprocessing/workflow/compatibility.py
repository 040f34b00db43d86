"""Uses of Snakemake beyond its documented interface, and the one thing that is changed.

Nothing of Snakemake's classes and modules is replaced. ``DP_UNCHANGED_SNAKEMAKE=1`` switches the
change off, and so does any version that was not tested.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from snakemake import __version__
from snakemake.logging import logger

from dicom_preprocessing.errors import OutputError

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

TESTED_VERSIONS = frozenset({"9.27.1"})
"""Versions whose limit of jobs per second is known; see ``remove_job_rate_limit``."""

DEFAULT_RATE = (100, 1)
"""Jobs and seconds of the limit that Snakemake sets where the user sets none."""

UNCHANGED = "DP_UNCHANGED_SNAKEMAKE"


def remove_job_rate_limit(workflow: Workflow) -> None:
    """Drop Snakemake's default limit of jobs per second, which is meant for clusters.

    With it, each finished job starts a timer that selects jobs again a second later and starts the
    next timer: a second after a thousand jobs there are a thousand selections per second. This
    takes a quarter of the CPU time of 1,000 studies, and more of a longer run. No option switches
    it off: ``--max-jobs-per-timespan`` has no such value.
    """
    if os.environ.get(UNCHANGED, "") not in ("", "0"):
        return
    if __version__ not in TESTED_VERSIONS:
        logger.info(
            f"Snakemake {__version__} is not one of the versions that were tested "
            f"({', '.join(sorted(TESTED_VERSIONS))}): its limit of jobs per second stays, and a "
            "run of many small studies takes about a quarter longer."
        )
        return
    settings = workflow.scheduling_settings
    limit = settings and settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == DEFAULT_RATE:
        settings.max_jobs_per_timespan = None


def run_again(workflow: Workflow, file: str) -> None:
    """Make the job of a file run in this run, as ``--forcerun`` with that file does.

    Snakemake's records of settings are in the working directory of the run that wrote them. A run
    in another directory, or in another number of shards, has no records of the same results, or
    older ones. So the receipts are the record, and decide.

    Raises
    ------
    OutputError
        This version of Snakemake does not let a job be forced.
    """
    forced: Any = getattr(workflow.dag, "forcefiles", None)
    if not isinstance(forced, set):
        raise OutputError(
            f"{file} was made with other settings or files, and with Snakemake {__version__} its "
            "job cannot be forced. Name the rules that have to run, for example --forcerun decode "
            "write"
        )
    forced.add(file)


def end_gracefully_in_thread() -> None:
    """Keep Snakemake from hanging at SIGTERM; to be called when a run starts.

    Its handler takes a lock in the main thread, which may hold that lock already: with small
    studies it does a tenth of the time.
    """
    handle = signal.getsignal(signal.SIGTERM)
    if callable(handle):
        signal.signal(
            signal.SIGTERM, lambda *about: threading.Thread(target=handle, args=about).start()
        )
