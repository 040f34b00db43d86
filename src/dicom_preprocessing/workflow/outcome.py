"""The last lines on the screen: how a run ended, and why jobs failed.

For a failed job Snakemake prints the command and its exit status, and with ``--quiet rules`` not
even the name of its log, which has the reason. Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.text import (
    ADVICE_BY_ERRNO,
    describe_free_space,
    find_free_bytes,
    make_printable,
    plural,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_preprocessing.results.layout import ResultsFolder

JOB_ERROR = "job_error"
"""Snakemake's name for the event of a log record (``snakemake_interface_logger_plugins``)."""

CAUSES_SHOWN = 2
"""A reader sees some ten lines at the end of a run, of which Snakemake prints four."""

PATH = re.compile(r"\S*/\S*")
"""Paths, which differ between messages of one cause."""

TAIL_BYTES = 1 << 16
MAX_REASON_LENGTH = 600

INTERRUPTED = "KeyboardInterrupt"
"""The last line of a job that Ctrl-C ended."""

ERROR = "error: "
"""How the message of a job with an expected error begins (``cli.job``)."""

LITTLE_SPACE = 1 << 16
"""Bytes below which a disk counts as full."""

NO_REASON = (
    "it ended without a message, as a process does that was killed: by the system because memory "
    "ran out, by a queue at a limit, or by hand; or the disk of its log was full for a while. What "
    "to do: use fewer --cores, or ask for more memory or time, then run again"
)
NO_LOG = (
    "it could not make its log, or was ended before it did. What to do: see what the shell or the "
    "queue said above, check that the folder of logs can be written, then run again"
)


class FailedJob(NamedTuple):
    """A failed job: its rule, and its log, empty where it has none."""

    rule: str
    log: str


class FailedJobs(logging.Handler):
    """Collects the failed jobs that Snakemake logs, however quiet it is on the screen.

    Parameters
    ----------
    logs : str
        Folder of the logs of this workflow's jobs; others are not its own.
    is_module : bool
        Whether another workflow includes this one: then reasons are printed at once, since only
        that workflow can print something at the end.
    """

    def __init__(self, logs: str, *, is_module: bool = False) -> None:
        super().__init__()
        self.folder = logs
        self.is_module = is_module
        self.jobs: dict[FailedJob, None] = {}  # each once, though a job may be tried again

    def emit(self, record: logging.LogRecord) -> None:
        """Add the job of a record about a failed one."""
        logs = getattr(record, "log", None) or [""]
        if getattr(record, "event", None) != JOB_ERROR or not str(logs[0]).startswith(self.folder):
            return
        job = FailedJob(getattr(record, "rule_name", ""), str(logs[0]))
        self.jobs[job] = None
        if self.is_module:
            print_last(explain_failed_jobs([job]))


def explain_failed_jobs(jobs: Iterable[FailedJob]) -> Iterator[str]:
    """Say why jobs failed, where more can be read, and what to do; without jobs, what stopped."""
    by_cause: dict[tuple[str, str], list[tuple[FailedJob, str]]] = defaultdict(list)
    for job in jobs:
        reason = _read_reason(job.log)
        if reason != INTERRUPTED:
            by_cause[job.rule, PATH.sub("", reason)].append((job, reason))
    if not by_cause:
        yield "The run was stopped. Finished results stay: run the same command again to go on."
        return
    commonest = sorted(by_cause.values(), key=len, reverse=True)
    for failed in commonest[:CAUSES_SHOWN]:
        job, reason = failed[0]
        number = "" if len(failed) == 1 else f", {len(failed)} jobs, one of them"
        log = f" (log: {make_printable(job.log)})" if job.log else ""
        yield f"{ERROR}{job.rule}{number}: {reason}{log}"
    if all(rule.endswith("verdict") for rule, _ in by_cause):
        yield "All other jobs are done. Fix the cause and run the same command again."
        return
    total, others = sum(map(len, commonest)), sum(map(len, commonest[CAUSES_SHOWN:]))
    elsewhere = f" {plural(others, 'job')} failed for other reasons: see logs." if others else ""
    yield (
        f"{plural(total, 'job')} failed.{elsewhere} Finished results stay. Fix the cause and run "
        "the same command again."
    )


def _read_reason(log: str) -> str:
    """Read the end of a log: the message of an expected error, or of a bug."""
    try:
        with Path(log).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return _explain_silence(log)
    lines = [line.strip() for line in lines if line.strip()]
    starts = [i for i, line in enumerate(lines) if line.startswith(ERROR)]
    if starts:
        reason = " ".join(lines[starts[-1] :]).removeprefix(ERROR)
    elif lines[-1:] == [INTERRUPTED]:
        return INTERRUPTED
    elif "Traceback (most recent call last):" in lines:
        reason = f"{lines[-1]} (an error in the program: please report it with the log)"
    else:
        return _explain_silence(log)
    reason = make_printable(reason)
    if len(reason) <= MAX_REASON_LENGTH:
        return reason
    half = MAX_REASON_LENGTH // 2  # what to do is at the end
    return f"{reason[:half]} ... {reason[-half:]}"


def _explain_silence(log: str) -> str:
    """Say why a log has no reason: its disk is full, else what is likely."""
    free = find_free_bytes(log) if log else None
    if free is None or free >= LITTLE_SPACE:
        return NO_REASON if not log or os.path.exists(log) else NO_LOG
    room, to_do = describe_free_space(log), ADVICE_BY_ERRNO[errno.ENOSPC]
    return f"the disk of its log is full ({room}), so the log may be cut. What to do: {to_do}"


def print_last(lines: Iterable[str]) -> None:
    """Print lines to the screen, however quiet Snakemake is."""
    red, plain = ("\033[31m", "\033[0m") if sys.stderr.isatty() else ("", "")
    for line in lines:
        sys.stderr.write(f"{red}{line}{plain}\n" if line.startswith(ERROR) else f"{line}\n")
    sys.stderr.flush()


def describe_results(results: ResultsFolder, pruned_by: str = "") -> Iterator[str]:
    """Lines about the results of a finished run: counts, and where to look.

    ``pruned_by`` is the log of the job that was to remove orphans, if any.
    """
    try:
        verdict = results.verdict.read_text(encoding="utf-8").strip()
    except FileNotFoundError:  # other targets were asked for
        return
    yield verdict
    with suppress(FileNotFoundError):
        yield from IndexFolder(results.output).read_census().describe()
    yield f"Images in {results.images('write')}, table {results.manifest}, report {results.report}"
    if " 0 failed" not in verdict:
        yield f"Why files failed: {results.failures}; their paths: {results.retry_list}"
    if " with warnings" in verdict:
        yield f"Warnings by image: {results.warnings}"
    pruned = _count_pruned(results.summary)
    if pruned:
        yield f"{pruned} folders or receipts of studies that left source or selection were pruned"
    with suppress(FileNotFoundError):
        orphans = len(results.orphans.read_text(encoding="utf-8").splitlines())
        if orphans:
            remedy = f"although prune is set (log: {pruned_by})" if pruned_by else ""
            yield (
                f"{orphans} folders or receipts of earlier runs remain, "
                f"{remedy or 'which prune: true removes'}: see {results.orphans}"
            )


def _count_pruned(summary: Path) -> int:
    """How many folders and receipts the run removed; 0 where that is not known."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        return int(json.loads(summary.read_text(encoding="utf-8"))["pruned"])
    return 0
