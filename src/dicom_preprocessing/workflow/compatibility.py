"""What is changed in Snakemake at run time, each where its parts are as they were known.

Where they are not, Snakemake works as it comes: slower with many studies, or with a message.
"""

from __future__ import annotations

import gc
import inspect
import random
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, TypeVar, overload

from snakemake.io import PeriodicityDetector, is_flagged
from snakemake.jobs import Job
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler

from dicom_preprocessing.index.table import is_path_part

try:
    from snakemake.persistence import ParamsChange
except ImportError:  # another Snakemake
    ParamsChange = None

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake.workflow import Workflow

DEFAULT_RATE = (100, 1)
YOUNG_OBJECTS = 50_000
OUTDATED = "the receipt tells of other settings or files"

F = TypeVar("F", bound="Callable[..., Any]")


def change_at_parse(workflow: Workflow) -> None:
    """What has to be changed before rules are read."""
    if workflow.is_main_process:
        collect_garbage_seldom()
        look_at_few_jobs_a_round()
        ask_for_pipes_once()
    accept_repeated_digits()
    end_gracefully_in_a_thread()


def change_for_run(workflow: Workflow, is_outdated: Callable[[str, str], bool | None]) -> None:
    """What has to be changed when it is known what kind of run this is."""
    take_receipts_for_records(workflow, is_outdated)
    if not workflow.local_exec:
        ask_queue_without_accounting(workflow)
    elif not workflow.dryrun:
        start_jobs_at_any_rate(workflow)


def accept_repeated_digits() -> None:
    """Let Snakemake pass UIDs that end in twenty equal digits, as anonymised ones may.

    It takes a wildcard with such an ending for endless recursion of a rule. What is longer than a
    UID it still does.
    """
    if hasattr(PeriodicityDetector, "is_periodic_beyond_uids"):
        return
    PeriodicityDetector.is_periodic_beyond_uids = PeriodicityDetector.is_periodic
    PeriodicityDetector.is_periodic = lambda detector, value: (
        None if is_path_part(value) else detector.is_periodic_beyond_uids(value)
    )


def start_jobs_at_any_rate(workflow: Workflow) -> None:
    """Drop Snakemake's default limit of jobs a second, which is meant for clusters.

    With it each finished job starts a timer that has jobs selected again a second later, and starts
    the next timer: a thousand jobs and a second later there are a thousand selections a second.
    """
    settings = workflow.scheduling_settings  # None for --summary and the like
    limit = settings and settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == DEFAULT_RATE:
        settings.max_jobs_per_timespan = None


def take_receipts_for_records(
    workflow: Workflow, is_receipt_outdated: Callable[[str, str], bool | None]
) -> None:
    """Let receipts say with which params a job ran last, where there is one.

    Snakemake's records are in the working directory of the run that wrote them: another number of
    shards, or a run without shards, has others over the same results.

    Parameters
    ----------
    workflow : Workflow
    is_receipt_outdated : callable
        Whether a receipt, of a path, of a study, tells of other settings or files, None where there
        is none.
    """

    def is_outdated(job: Job) -> bool | None:
        receipt, study = job.output.get("receipt"), job.wildcards.get("study")
        return is_receipt_outdated(str(receipt), str(study))

    records: Any = workflow.persistence
    has_metadata = getattr(records, "has_metadata", None)
    recorded = getattr(records, "params_changed", None)
    if has_metadata is None or recorded is None or ParamsChange is None:
        return  # another Snakemake

    def params_changed(job: Job, file: str | None = None) -> Any:  # noqa: ANN401  # Snakemake's
        outdated = is_outdated(job)
        if outdated is None:
            return recorded(job, file)
        if not outdated:
            return ParamsChange()
        return recorded(job, file) or ParamsChange(only_new={OUTDATED}, files=set(job.output))

    # Without metadata nothing else would be asked.
    records.has_metadata = lambda job: has_metadata(job) or bool(is_outdated(job))
    records.params_changed = params_changed


def ask_queue_without_accounting(workflow: Workflow) -> None:
    """Have SLURM's plugin ask squeue for the state of jobs where accounting is switched off.

    It asks sacct wherever that is installed, and then waits without end for jobs of which sacct
    knows nothing.
    """
    settings = workflow.executor_settings
    if getattr(settings, "status_command", None) != "sacct":
        return  # another executor, or told otherwise
    with suppress(FileNotFoundError):
        answer = subprocess.run(["sacct", "--noheader"], capture_output=True, check=False)  # noqa: S607
        if answer.returncode:
            logger.info("sacct does not answer, so squeue is asked for the state of jobs.")
            settings.status_command = "squeue"


def collect_garbage_seldom() -> None:
    """Have Python look for cycles after more new objects than its default of 700.

    A DAG is built of objects that stay, and each look goes over many of them: a quarter of a run in
    which nothing is to be done.
    """
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


def cache_signature(function: F) -> F:
    """Decorator of functions in rules: Snakemake asks for their signature at each job."""
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


def look_at_few_jobs_a_round() -> None:
    """Have a round of the scheduler cost the same with any number of open jobs.

    Each round, one for nearly every job, goes over all ready jobs to draw ``scheduler-subsample``
    of them and over all remaining ones for a list that only the ILP scheduler reads. Here the
    sample is drawn first, and the list is made when it is read.
    """
    open_jobs = getattr(JobScheduler, "open_jobs", None)
    remaining_jobs = getattr(JobScheduler, "remaining_jobs", None)
    if not (isinstance(open_jobs, property) and isinstance(remaining_jobs, property)):
        return  # another Snakemake, or done before
    JobScheduler.open_jobs = _Sampled()
    JobScheduler.remaining_jobs = _Late(remaining_jobs)


def end_gracefully_in_a_thread() -> None:
    """Keep SIGTERM from hanging Snakemake.

    Its handler runs in the main thread and takes a lock, which this thread may be holding.
    """
    handle = getattr(JobScheduler, "exit_gracefully", None)
    if handle is None or hasattr(handle, "__wrapped__"):
        return  # another Snakemake, or done before

    @wraps(handle)
    def exit_gracefully(scheduler: Any, *_: Any) -> None:  # noqa: ANN401  # Snakemake's
        threading.Thread(target=handle, args=(scheduler,)).start()

    JobScheduler.exit_gracefully = exit_gracefully


def ask_for_pipes_once() -> None:
    """Have Snakemake not look through all dependencies of a job for each of its inputs.

    It asks which inputs are pipes or services before it runs a job: 200 million looks for a
    manifest of 20,000 studies. Where no rule has any, the answer is known.
    """
    asked = getattr(Job, "is_pipe_or_service_input", None)
    if asked is None or hasattr(asked, "__wrapped__"):
        return  # another Snakemake, or done before

    @wraps(asked)
    def is_pipe_or_service_input(job: Any, path: Any) -> bool:  # noqa: ANN401  # Snakemake's
        return _has_pipes_or_services(job.rule.workflow) and bool(asked(job, path))

    Job.is_pipe_or_service_input = is_pipe_or_service_input


def _has_pipes_or_services(workflow: Workflow) -> bool:
    if not hasattr(workflow, "has_pipes_or_services"):
        outputs = (file for rule in workflow.rules for file in rule.output)
        workflow.has_pipes_or_services = any(
            is_flagged(file, kind) for file in outputs for kind in ("pipe", "service")
        )
    return bool(workflow.has_pipes_or_services)


class _Sampled:
    """In the place of ``JobScheduler.open_jobs``: as many ready jobs as a round weighs."""

    def __get__(self, scheduler: Any, kind: type) -> list[Any] | _Sampled:  # noqa: ANN401
        if scheduler is None:
            return self
        ready = scheduler.workflow.dag.ready_jobs
        if scheduler.subsample and len(ready) > scheduler.subsample and not scheduler.dryrun:
            return random.sample(tuple(ready), scheduler.subsample)
        return list(ready)


class _Late:
    """In the place of ``JobScheduler.remaining_jobs``."""

    def __init__(self, jobs: property) -> None:
        self._jobs = jobs

    def __get__(self, scheduler: Any, kind: type) -> LateJobs | _Late:  # noqa: ANN401
        return self if scheduler is None else LateJobs(lambda: self._jobs.__get__(scheduler))


class LateJobs(Sequence[Any]):
    """A list that is made when it is first looked at."""

    def __init__(self, compute: Callable[[], list[Any]]) -> None:
        self._compute = compute

    @cached_property
    def _jobs(self) -> list[Any]:
        return self._compute()

    def __len__(self) -> int:
        return len(self._jobs)

    @overload
    def __getitem__(self, place: int) -> Any: ...  # noqa: ANN401

    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...

    def __getitem__(self, place: int | slice) -> Any:
        return self._jobs[place]
