"""What is printed last: how a run ended, and why jobs failed."""

import logging
from pathlib import Path

import pytest

from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.workflow.outcome import (
    MAX_REASON_LENGTH,
    NO_LOG,
    NO_REASON,
    FailedJob,
    FailedJobs,
    describe_results,
    explain_failed_jobs,
)

FULL = "No space left on device. What to do: free space, then run again"
AGAIN = "Finished results stay. Fix the cause and run the same command again."


@pytest.fixture
def job(tmp_path):
    """A failed job with a log of this text; without one if that is None."""

    def job(text, rule="write", name="1.2.3"):
        log = tmp_path / rule / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        if text is not None:
            log.write_text(text)
        return FailedJob(rule, str(log))

    return job


def explain(*jobs):
    return list(explain_failed_jobs(jobs))


def test_run_that_was_stopped_can_go_on(job):
    interrupted = job('Traceback (most recent call last):\n  File "a.py"\nKeyboardInterrupt\n')
    said = ["The run was stopped. Finished results stay: run the same command again to go on."]
    assert explain() == explain(interrupted, interrupted) == said
    assert len(explain(interrupted, job("error: no space\n", name="2"))) == 2


def test_reason_log_and_remedy_of_a_job_are_reported(job):
    failed = job(f"1.2: warning: no window\nerror: results/a.tiff: {FULL}\n")
    assert explain(failed) == [
        f"error: write: results/a.tiff: {FULL} (log: {failed.log})",
        f"1 job failed. {AGAIN}",
    ]


def test_message_of_several_lines_is_one(job):
    (line, _) = explain(
        job("error: config key 'size': found 0\nWrite for example:\n    size: [1, 2]\n")
    )
    assert "write: config key 'size': found 0 Write for example: size: [1, 2] (log:" in line


def test_jobs_that_failed_for_one_cause_are_reported_once(job):
    logs = [job(f"error: results/{n}.tiff: {FULL}\n", name=str(n)) for n in range(30)]
    line, last = explain(*logs)
    assert line.startswith(f"error: write, 30 jobs, one of them: results/0.tiff: {FULL} (log: ")
    assert last == f"30 jobs failed. {AGAIN}"


def test_lines_are_few_with_any_number_of_causes(job):
    failed = [job(f"error: cause {'abcdef'[n]}\n", name=str(n)) for n in range(6)]
    *lines, last = explain(*failed)
    assert [line.split(" (log")[0] for line in lines] == [
        "error: write: cause a",
        "error: write: cause b",
    ]
    assert last == f"6 jobs failed. 4 jobs failed for other reasons: see logs. {AGAIN}"


def test_bad_verdict_is_no_failed_job(job):
    line, last = explain(job("error: strict: 1 file failed\n", rule="verdict"))
    assert line.startswith("error: verdict: strict: 1 file failed (log: ")
    assert last == "All other jobs are done. Fix the cause and run the same command again."


@pytest.mark.parametrize("text", ["", "1.2: warning: no window\n"])
def test_job_without_a_message_was_killed(job, text):
    assert explain(job(text))[0].startswith(f"error: write: {NO_REASON} (log: ")


def test_job_without_a_log_could_not_make_it(job):
    line = explain(job(None))[0]
    assert line.startswith(f"error: write: {NO_LOG} (log: ")
    assert "What to do: " in line


def test_bug_is_called_one(job):
    text = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nKeyError: 7\n'
    assert "write: KeyError: 7 (an error in the program: please report it" in explain(job(text))[0]


def test_long_message_keeps_its_end_where_the_remedy_is(job):
    line = explain(job(f"error: begin {'x' * 5000}\nWhat to do: end\n"))[0]
    assert "begin x" in line
    assert "What to do: end (log:" in line


def test_long_message_and_control_characters_do_no_harm(job):
    line = explain(job("error: \x1b[2J" + "x" * 5000))[0]
    assert "\x1b" not in line
    assert len(line) < MAX_REASON_LENGTH + 200


def record(**fields):
    made = logging.LogRecord("snakemake", logging.ERROR, "", 0, "Error in rule write", (), None)
    vars(made).update(fields)
    return made


def test_failed_jobs_are_taken_from_log_records_each_once():
    jobs = FailedJobs("logs")
    failed = {"event": "job_error", "rule_name": "write", "log": ["logs/a.log"]}
    others = [{"event": "job_finished"}, {}, failed | {"log": []}, failed | {"log": ["host/a.log"]}]
    for fields in (failed, failed, *others):
        jobs.handle(record(**fields))
    assert list(jobs.jobs) == [FailedJob("write", "logs/a.log")]


def test_reasons_are_printed_at_once_in_a_module(job, capsys):
    failed = job("error: no space\n")
    jobs = FailedJobs(str(Path(failed.log).parent), is_module=True)
    jobs.handle(record(event="job_error", rule_name="dp_write", log=[failed.log]))
    assert capsys.readouterr().err.startswith(f"error: dp_write: no space (log: {failed.log})\n")


def test_records_of_snakemake_are_as_expected():
    """The name of the event is Snakemake's."""
    from snakemake_interface_logger_plugins.common import LogEvent

    assert LogEvent.JOB_ERROR == "job_error"


@pytest.mark.parametrize(("failed", "lines"), [(0, 2), (3, 3), (10, 3)])
def test_results_are_described(tmp_path, failed, lines):
    results = ResultsFolder(tmp_path)
    assert list(describe_results(results)) == []
    results.orphans.write_text("")
    results.verdict.write_text(
        f"12 files found: 2 written, 0 skipped, {failed} failed (damaged 3)\n"
    )
    described = list(describe_results(results))
    assert (len(described), f"{failed} failed" in described[0]) == (lines, True)
    assert (str(results.failures) in described[-1]) == (lines > 2)


def test_table_of_warnings_is_named_where_there_are_some(tmp_path):
    results = ResultsFolder(tmp_path)
    results.verdict.write_text("3 files found: 3 written (2 with warnings), 0 skipped, 0 failed\n")
    *_, line = describe_results(results)
    assert line == f"Warnings by image: {results.warnings}"
    results.verdict.write_text("3 files found: 3 written, 0 skipped, 0 failed\n")
    assert str(results.warnings) not in "".join(describe_results(results))


def test_what_was_pruned_is_said(tmp_path):
    results = ResultsFolder(tmp_path)
    results.verdict.write_text("1 file found: 1 written, 0 skipped, 0 failed\n")
    results.summary.parent.mkdir()
    results.summary.write_text('{"pruned": 4}')
    (*_, line) = describe_results(results)
    assert line == "4 folders or receipts of studies that left source or selection were pruned"


def test_what_earlier_runs_left_is_counted(tmp_path):
    results = ResultsFolder(tmp_path)
    results.verdict.write_text("1 file found: 1 written, 0 skipped, 0 failed\n")
    results.orphans.write_text("images/1.2\nreceipts/write/1.2.jsonl\n")
    (*_, line) = describe_results(results)
    assert line == (
        "2 folders or receipts of earlier runs remain, which prune: true removes: see "
        f"{results.orphans}"
    )
    (*_, line) = describe_results(results, "logs/manifest.log")
    assert line == (
        "2 folders or receipts of earlier runs remain, although prune is set (log: "
        f"logs/manifest.log): see {results.orphans}"
    )
