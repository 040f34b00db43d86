"""What is changed in Snakemake, on a scheduler and on objects like its own."""

import gc
import inspect
import threading
from types import SimpleNamespace

import pytest
from snakemake.io import flag
from snakemake.iocontainers import OutputFiles
from snakemake.jobs import Job
from snakemake.persistence import ParamsChange
from snakemake.scheduling.job_scheduler import JobScheduler

from dicom_preprocessing.workflow import compatibility
from dicom_preprocessing.workflow.compatibility import (
    LateJobs,
    ask_for_pipes_once,
    ask_queue_without_accounting,
    cache_signature,
    collect_garbage_seldom,
    end_gracefully_in_a_thread,
    look_at_few_jobs_a_round,
    start_jobs_at_any_rate,
    take_receipts_for_records,
)

ORIGINAL = Job.is_pipe_or_service_input


class Named(SimpleNamespace):
    """With a hash, as Snakemake's own have one."""

    __hash__ = object.__hash__


@pytest.fixture
def patched(monkeypatch):
    """The class as Snakemake has it, patched for the time of a test."""
    for name in ("open_jobs", "remaining_jobs"):
        monkeypatch.setattr(JobScheduler, name, vars(JobScheduler)[name])  # undone at the end
    look_at_few_jobs_a_round()


def scheduler(jobs, *, subsample=4, dryrun=False, running=(), failed=()):
    made = object.__new__(JobScheduler)
    made.workflow = SimpleNamespace(
        dag=SimpleNamespace(
            ready_jobs=set(jobs), needrun_jobs=lambda: iter(jobs), finished=lambda _job: False
        )
    )
    made.subsample, made.dryrun = subsample, dryrun
    made.running, made.failed = set(running), set(failed)
    return made


@pytest.mark.usefixtures("patched")
class TestRounds:
    def test_see_a_sample_of_the_ready_jobs(self):
        seen = scheduler(range(100)).open_jobs
        assert len(seen) == len(set(seen)) == 4
        assert set(seen) < set(range(100))

    def test_come_to_every_job(self):
        made = scheduler(range(20))
        assert {job for _ in range(500) for job in made.open_jobs} == set(range(20))

    @pytest.mark.parametrize(
        "settings", [{"subsample": None}, {"subsample": 100}, {"subsample": 200}, {"dryrun": True}]
    )
    def test_see_all_where_none_are_left_out(self, settings):
        assert sorted(scheduler(range(100), **settings).open_jobs) == list(range(100))

    def test_can_read_the_remaining_jobs(self):
        remaining = scheduler(range(5), running=[1], failed=[3]).remaining_jobs
        assert list(remaining) == [0, 2, 4]
        assert len(remaining) == 3
        assert remaining[1] == 2

    def test_do_not_list_remaining_jobs_that_are_not_read(self):
        made = scheduler([])
        del made.workflow.dag.needrun_jobs
        assert isinstance(made.remaining_jobs, LateJobs)
        with pytest.raises(AttributeError):
            len(made.remaining_jobs)

    def test_are_patched_once(self):
        before = dict(vars(JobScheduler))
        look_at_few_jobs_a_round()
        assert dict(vars(JobScheduler)) == before


class TestPipes:
    """Which inputs are pipes is asked only where a rule has any."""

    @pytest.fixture(autouse=True)
    def patched(self, monkeypatch):
        monkeypatch.setattr(Job, "is_pipe_or_service_input", ORIGINAL)
        ask_for_pipes_once()

    def job(self, output):
        made = object.__new__(Job)
        made.rule = Named(workflow=SimpleNamespace(rules=[Named(output=[output])]))
        producer = Named(pipe_or_service_output={"a"})
        made.dag = SimpleNamespace(dependencies={made: {producer: {"a", "b"}}})
        return made

    @pytest.mark.parametrize("kind", ["pipe", "service"])
    def test_are_found(self, kind):
        job = self.job(flag("a", kind))
        assert job.is_pipe_or_service_input("a")
        assert not job.is_pipe_or_service_input("b")

    def test_are_not_looked_for_without_a_rule_that_has_them(self):
        job = self.job("a")
        job.dag = None
        assert not job.is_pipe_or_service_input("a")

    def test_are_patched_once(self):
        before = Job.is_pipe_or_service_input
        ask_for_pipes_once()
        assert Job.is_pipe_or_service_input is before


def test_end_does_not_wait_for_a_lock_that_its_thread_holds(monkeypatch):
    monkeypatch.setattr(JobScheduler, "exit_gracefully", JobScheduler.exit_gracefully)
    end_gracefully_in_a_thread()
    made = object.__new__(JobScheduler)
    made._lock, made._open_jobs, made._user_kill = threading.Lock(), threading.Semaphore(0), None
    with made._lock:
        made.exit_gracefully(15, None)  # as the handler of a signal
    assert made._open_jobs.acquire(timeout=20)
    assert made._user_kill == "graceful"


def test_other_schedulers_are_left_alone(monkeypatch):
    class Other:
        def open_jobs(self):
            return []

    monkeypatch.setattr(compatibility, "JobScheduler", Other)
    before = dict(vars(Other))
    look_at_few_jobs_a_round()
    assert dict(vars(Other)) == before


@pytest.mark.parametrize(("limit", "kept"), [((100, 1), False), ((10, 1), True), ((100, 60), True)])
def test_limit_of_jobs_a_second_is_dropped_only_where_nobody_set_it(limit, kept):
    rate = SimpleNamespace(max_jobs=limit[0], timespan=limit[1])
    settings = SimpleNamespace(max_jobs_per_timespan=rate)
    start_jobs_at_any_rate(SimpleNamespace(scheduling_settings=settings))
    assert (settings.max_jobs_per_timespan is rate) == kept


def test_limit_is_left_alone_where_nothing_is_scheduled():
    start_jobs_at_any_rate(SimpleNamespace(scheduling_settings=None))


def test_garbage_is_collected_less_often():
    before = gc.get_threshold()
    try:
        collect_garbage_seldom()
        assert gc.get_threshold() == (compatibility.YOUNG_OBJECTS, *before[1:])
    finally:
        gc.set_threshold(*before)


def test_signature_is_that_of_the_function():
    def memory(wildcards, attempt):
        return attempt

    parameters = list(inspect.signature(cache_signature(memory)).parameters)
    assert parameters == ["wildcards", "attempt"]
    assert memory.__signature__ is inspect.signature(memory)


class TestStatusOfSlurmJobs:
    @staticmethod
    def asked(monkeypatch, folder, sacct, given="sacct"):
        """What is asked on a host whose sacct is this script, None if there is none."""
        if sacct is not None:
            (folder / "sacct").write_text(f"#!/bin/sh\n{sacct}\n")
            (folder / "sacct").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        settings = SimpleNamespace(status_command=given)
        ask_queue_without_accounting(SimpleNamespace(executor_settings=settings))
        return settings.status_command

    @pytest.mark.parametrize(
        ("sacct", "expected"),
        [
            ("exit 0", "sacct"),
            ("echo Slurm accounting storage is disabled >&2; exit 1", "squeue"),
            (None, "sacct"),  # the plugin sees to it
        ],
    )
    def test_is_asked_of_what_knows_it(self, monkeypatch, tmp_path, sacct, expected):
        assert self.asked(monkeypatch, tmp_path, sacct) == expected

    def test_is_asked_as_the_user_says(self, monkeypatch, tmp_path):
        assert self.asked(monkeypatch, tmp_path, "exit 0", "squeue") == "squeue"

    def test_is_no_matter_of_other_executors(self):
        workflow = SimpleNamespace(executor_settings=None)
        ask_queue_without_accounting(workflow)
        assert workflow.executor_settings is None


class TestRecordsOfJobs:
    @staticmethod
    def changed(*, recorded, outdated, known=True):
        """Whether there is metadata of a job, and what of its params changed."""
        change = ParamsChange(only_old={"a"}, only_new={"b"}) if recorded else ParamsChange()
        records = SimpleNamespace(has_metadata=lambda _job: known, params_changed=lambda *_: change)
        take_receipts_for_records(SimpleNamespace(persistence=records), lambda *_: outdated)
        output = OutputFiles(toclone=["images", "receipt"])
        job = SimpleNamespace(output=output, wildcards={"study": "1.2"})
        return records.has_metadata(job), records.params_changed(job, file="images")

    @pytest.mark.parametrize("known", [True, False])
    @pytest.mark.parametrize("recorded", [True, False])
    def test_are_snakemakes_where_there_is_no_receipt(self, known, recorded):
        metadata, change = self.changed(recorded=recorded, outdated=None, known=known)
        assert (metadata, bool(change)) == (known, recorded)

    def test_tell_of_a_change_that_only_the_receipt_knows(self):
        metadata, change = self.changed(recorded=False, outdated=True, known=False)
        assert metadata
        assert "now: the receipt tells of other settings or files" in str(change)
        assert set(change) == {"images", "receipt"}

    def test_tell_what_snakemake_knows_of_a_change(self):
        _, change = self.changed(recorded=True, outdated=True)
        assert change.only_new == {"b"}

    def test_tell_of_no_change_where_the_receipt_is_right(self):
        """As after a run elsewhere, with the settings of now."""
        _, change = self.changed(recorded=True, outdated=False)
        assert not change
