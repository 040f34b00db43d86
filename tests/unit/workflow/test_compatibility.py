"""What is used of Snakemake besides its documented interface, and what is changed."""

import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest
from snakemake.settings.types import MaxJobsPerTimespan, SchedulingSettings

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.workflow import compatibility
from dicom_preprocessing.workflow.compatibility import (
    DEFAULT_RATE,
    UNCHANGED,
    end_gracefully_in_thread,
    remove_job_rate_limit,
    require_forcing,
    run_again,
)


class TestRateOfJobs:
    @pytest.fixture
    def limit(self, monkeypatch):
        """The limit that is left of one that a run starts with."""
        monkeypatch.delenv(UNCHANGED, raising=False)

        def limit(*started_with):
            settings = SchedulingSettings(
                max_jobs_per_timespan=MaxJobsPerTimespan(started_with[0], f"{started_with[1]}s")
            )
            remove_job_rate_limit(SimpleNamespace(scheduling_settings=settings))
            left = settings.max_jobs_per_timespan
            return left and (left.max_jobs, left.timespan)

        return limit

    def test_default_is_as_it_was_known(self):
        parsed = MaxJobsPerTimespan.parse_choice("100/1s")
        assert (parsed.max_jobs, parsed.timespan) == DEFAULT_RATE

    def test_default_is_dropped(self, limit):
        assert limit(*DEFAULT_RATE) is None

    def test_limit_of_the_user_stays(self, limit):
        assert limit(7, 60) == (7, 60)

    @pytest.mark.parametrize(("value", "is_dropped"), [("1", False), ("0", True), ("", True)])
    def test_nothing_is_changed_where_that_is_asked_for(
        self, limit, monkeypatch, value, is_dropped
    ):
        monkeypatch.setenv(UNCHANGED, value)
        assert (limit(*DEFAULT_RATE) is None) == is_dropped

    def test_version_that_was_not_tested_is_left_alone_and_reported(
        self, limit, monkeypatch, caplog
    ):
        monkeypatch.setattr(compatibility, "__version__", "99.1")
        monkeypatch.setattr(compatibility.logger, "propagate", True)
        with caplog.at_level("INFO"):
            assert limit(*DEFAULT_RATE) == DEFAULT_RATE
        (line,) = caplog.messages
        assert line.startswith("Snakemake 99.1 is not one of the versions that were tested (9.")
        assert "takes about a quarter longer" in line

    def test_commands_without_a_scheduler_have_no_limit(self, monkeypatch):
        monkeypatch.delenv(UNCHANGED, raising=False)
        remove_job_rate_limit(SimpleNamespace(scheduling_settings=None))


class TestOutdatedFile:
    def test_is_made_again(self):
        workflow = SimpleNamespace(dag=SimpleNamespace(forcefiles={"a"}))
        require_forcing(workflow)
        run_again(workflow, "b")
        assert workflow.dag.forcefiles == {"a", "b"}

    @pytest.mark.parametrize("attributes", [{}, {"forcefiles": ()}])
    def test_needs_a_version_that_lets_jobs_be_forced(self, attributes):
        with pytest.raises(OutputError, match=r"was not tested .* Install a tested version: 9"):
            require_forcing(SimpleNamespace(dag=SimpleNamespace(**attributes)))


class TestSigterm:
    @pytest.fixture
    def handler(self):
        """Sets a handler as Snakemake does; that of before comes back."""
        before = signal.getsignal(signal.SIGTERM)
        yield lambda function: signal.signal(signal.SIGTERM, function)
        signal.signal(signal.SIGTERM, before)

    def test_is_handled_though_the_main_thread_holds_the_lock(self, handler):
        lock, ended = threading.Lock(), threading.Event()

        def handle(*_):
            with lock:
                ended.set()

        handler(handle)
        end_gracefully_in_thread()
        with lock:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            assert not ended.is_set()
        assert ended.wait(10)

    def test_is_left_alone_where_that_is_asked_for(self, handler, monkeypatch):
        monkeypatch.setenv(UNCHANGED, "1")
        handler(print)
        end_gracefully_in_thread()
        assert signal.getsignal(signal.SIGTERM) is print

    @pytest.mark.parametrize("function", [signal.SIG_DFL, signal.SIG_IGN])
    def test_is_left_alone_where_there_is_no_handler(self, handler, function):
        handler(function)
        end_gracefully_in_thread()
        assert signal.getsignal(signal.SIGTERM) == function
