"""What is used of Snakemake besides its documented interface, and what is changed for a run.

No member of Snakemake's classes and modules is replaced. Two settings of a process are changed: the
limit of jobs per second, for speed and in tested versions only, and the handler of SIGTERM.
``DP_UNCHANGED_SNAKEMAKE=1`` leaves both, and so does a workflow that includes this one. Correct
results need one thing, which such a workflow has too: jobs are added to those that are forced.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from snakemake import __version__
from snakemake.io import flag
from snakemake.logging import logger

from dicom_preprocessing.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

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
    if _is_to_be_unchanged():
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


def require_forcing(workflow: Workflow) -> None:
    """Raise an OutputError where ``run_again`` cannot work with this version of Snakemake."""
    if not isinstance(getattr(workflow.dag, "forcefiles", None), set):
        raise OutputError(
            f"Snakemake {__version__} was not tested with this workflow, and does not let it run "
            "jobs again whose settings changed. Install a tested version: "
            f"{', '.join(sorted(TESTED_VERSIONS))}"
        )


def run_again(workflow: Workflow, file: str) -> None:
    """Make the job of a file run in this run, as ``--forcerun`` with that file does.

    Snakemake's records of settings are in the working directory of the run that wrote them. A run
    in another one, or in another number of shards, has none of the same results, or older ones. So
    receipts are the record, and decide here.
    """
    workflow.dag.forcefiles.add(file)


def stay(output: Path) -> object:
    """Have an output of an earlier run stay where the job that replaces it fails.

    By Snakemake's flag ``update``: it copies the file before the job, and back after a failure. It
    complains where there is no file yet. The copy has the path of the file below its own folder, so
    a path that leads up twice would end outside.
    """
    path = str(output)
    leads_outside = os.path.normpath(path).startswith(os.path.join("..", ".."))
    return flag(path, "update") if output.exists() and not leads_outside else path


def end_gracefully_in_thread() -> None:
    """Keep Snakemake from hanging at SIGTERM; to be called when a run starts.

    Its handler takes a lock in the main thread, which may hold that lock already: with small
    studies it does a tenth of the time.
    """
    handle = signal.getsignal(signal.SIGTERM)
    if callable(handle) and not _is_to_be_unchanged():
        signal.signal(
            signal.SIGTERM, lambda *about: threading.Thread(target=handle, args=about).start()
        )


def _is_to_be_unchanged() -> bool:
    return os.environ.get(UNCHANGED, "") not in ("", "0")
