"""What a user sees at the end of the screen, with the commands of the README."""

import pytest

from tests.workflow.conftest import fault
from tests.workflow.tiny import instance, save

QUIET = ("--quiet", "rules")
LAST = 10


def last_lines(run):
    return "\n".join(run.output.splitlines()[-LAST:])


def test_run_ends_with_counts_and_where_results_are(finished):
    (finished.results / "verdict.txt").unlink()
    seen = last_lines(finished.run(*QUIET))
    assert "6 files found: 6 written, 0 skipped, 0 failed\n" in seen
    assert (
        "Images in results/images, table results/manifest.csv, report results/report.html" in seen
    )


def test_files_that_failed_are_reported_with_their_reasons(project):
    project.config["limits"] = {"pixels": 300}
    large = instance("1.2.1", 9, Rows=20, Columns=20, PixelData=bytes(800))
    save(large, project.source / "1.2.1" / "large.dcm")
    seen = last_lines(project.run(*QUIET))
    assert "7 files found: 6 written, 0 skipped, 1 failed (limit_pixels 1)" in seen
    assert "Why files failed: results/failures.csv; their paths: results/retry.txt" in seen


def test_full_disk_is_reported_with_path_log_and_remedy(project):
    project.environment = fault("disk_full", "write")
    run = project.run(*QUIET, check=False)
    seen = last_lines(run)
    assert run.returncode == 1
    assert "error: write: results/images/1.2.2/1.2.2.1.1.tiff: No space left on device" in seen
    assert "What to do: " in seen
    assert "(log: logs/write/1.2.2.log)" in seen
    assert "1 job failed. Finished results stay. Fix the cause and run the same command" in seen


def test_killed_job_is_reported(project):
    project.environment = fault("killed", "write")
    run = project.run(*QUIET, check=False)
    assert run.returncode == 1
    assert "error: write: it ended without a message, as a process does that was" in last_lines(run)
    assert "(log: logs/write/1.2.2.log)" in last_lines(run)


def test_strict_tells_what_it_did_not_like(project):
    (project.source / "cut.dcm").write_bytes(b"\0" * 128 + b"DICM")
    project.config["strict"] = True
    run = project.run(*QUIET, check=False)
    assert run.returncode == 1
    assert "error: verdict: strict: 1 file failed (7 files found: 6 written" in last_lines(run)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "siez=8,8"], "error: config key 'siez' is unknown, did you mean 'size'?"),
        (["--config", "size=0,8"], "error: config key 'size': found 0,8, allowed: two integers"),
        (["--cores", "0"], "error: --cores: found 0, allowed: a number of at least 1, or all"),
        (["--config", "source=nowhere"], "nowhere: no such file or folder"),
        (
            ["--", "results/images/1.2.9"],
            "error: study 1.2.9 is not in the source, or has no image",
        ),
    ],
)
def test_mistakes_end_with_a_sentence(finished, words, message):
    run = finished.run(*QUIET, *words, check=False)
    assert run.returncode != 0
    assert message in last_lines(run)
    assert "Traceback" not in run.output


def test_a_job_takes_few_lines_also_without_quiet(project):
    output = project.run().output
    assert "stages" not in output.replace("results/stages", "")  # no recipe
    assert max(map(len, output.splitlines())) < 1000
    blocks = [block for block in output.split("\n[") if "\nlocalrule write:\n" in block]
    assert len(blocks) == 3
    assert all(len(block) < 1500 for block in blocks)


def test_outputs_of_one_folder_have_logs_of_their_own(finished):
    before = finished.times("../logs")
    finished.config["output"] = "other"
    finished.run(*QUIET)
    assert finished.times("../logs") == before
    assert {path.name for path in (finished.folder / "other" / "logs" / "write").iterdir()} == {
        f"1.2.{n}.log" for n in (1, 2, 3)
    }
