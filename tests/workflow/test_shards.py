"""Shards of a run, each in a working directory of its own, and gathering what they made."""

import os
import shutil
import signal
import subprocess

import pytest

from dicom_preprocessing.results.parts import Part
from dicom_preprocessing.workflow.shards import list_parts, shard_of
from tests.workflow.conftest import Project, fault, new_project, rows, tiffs
from tests.workflow.tiny import BLANK, instance, make_source, save

STUDIES = [f"1.2.{n}" for n in range(1, 7)]
SHARDS = 2
MINE = {shard: {s for s in STUDIES if shard_of(s, SHARDS) == shard} for shard in range(SHARDS)}


def index(project: Project):
    return project.run("--", "index")


def shard(project: Project, number: int, *arguments: str, of: int = SHARDS, check: bool = True):
    return project.run("--config", f"shard={number},{of}", *arguments, check=check)


def gather(project: Project, of: int = SHARDS, *, check: bool = True):
    return project.run("--config", f"gather={of}", check=check)


def new_sharded(parent) -> Project:
    made = new_project(parent)
    make_source(made.source, studies=len(STUDIES), instances=1)
    for study in STUDIES[2:]:
        save(instance(study, 1, PixelData=BLANK), made.source / study / "1.dcm")
    frames = instance(STUDIES[1], 1).PixelData + BLANK
    of_two = instance(STUDIES[1], 2, NumberOfFrames=2, PixelData=frames)
    save(of_two, made.source / STUDIES[1] / "1.dcm")
    bad = made.source / STUDIES[0] / "2.dcm"
    save(instance(STUDIES[0], 2), bad)
    bad.write_bytes(bad.read_bytes()[:-3])
    (made.source / "notes.txt").write_text("text")
    made.is_served = True
    return made


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """A project that was run in two shards and gathered, and its four runs."""
    project = new_sharded(tmp_path_factory.mktemp("sharded"))
    project.is_served = False
    made = [index(project), shard(project, 0), shard(project, 1), gather(project)]
    return project, made


@pytest.fixture
def finished(sharded, tmp_path):
    """A copy of it, which a test may change."""
    original, _ = sharded
    copy = new_project(tmp_path)
    shutil.copytree(original.folder, copy.folder, dirs_exist_ok=True, symlinks=True)
    copy.is_served = True
    return copy


def test_each_shard_processes_its_own_studies(sharded):
    _, (of_index, *of_shards, of_gather) = sharded
    assert [run.studies for run in of_shards] == [MINE[0], MINE[1]]
    assert all(MINE.values())
    assert dict(of_index.jobs) == {"index": 1}
    assert dict(of_gather.jobs) == {"collect": 1, "report": 1, "verdict": 1, "all": 1}


def test_results_are_those_of_one_run(sharded, tmp_path):
    project, _ = sharded
    whole = new_project(tmp_path)
    shutil.copytree(project.source, whole.source)
    whole.run()
    assert tiffs(project.results / "images") == whole.images()

    def table(of, name):
        return [row | {"inode": ""} for row in rows(of.results / name)]

    for name in ("manifest.csv", "failures.csv", "slices.csv", "warnings.csv"):
        assert table(project, name) == table(whole, name)
    assert len(table(project, "warnings.csv")) == 4
    assert [row["page"] for row in table(project, "slices.csv")] == ["1", "2"]
    for name in ("verdict.txt", "orphans.txt"):
        assert (project.results / name).read_text() == (whole.results / name).read_text()
    retry = (project.results / "retry.txt").read_text().splitlines()
    assert retry == [str(project.source / STUDIES[0] / "2.dcm")]


def test_second_time_nothing_is_done(finished):
    runs = [index(finished), shard(finished, 0), shard(finished, 1), gather(finished)]
    assert [run.is_noop for run in runs] == 4 * [True]


def test_a_new_study_touches_one_shard(finished):
    new = "1.2.77"
    save(instance(new, 1), finished.source / "new.dcm")
    index(finished)
    mine = shard_of(new, SHARDS)
    assert shard(finished, 1 - mine).is_noop
    assert f"1 of 2 shards have not finished: {mine}." in gather(finished, check=False).output
    run = shard(finished, mine)
    assert (run.studies, run.jobs["part"]) == ({new}, 1)
    gather(finished)
    assert new in {row["study_instance_uid"] for row in rows(finished.results / "manifest.csv")}


def test_a_study_that_vanished_leaves_the_manifest(finished):
    shutil.rmtree(finished.source / STUDIES[2])
    index(finished)
    run = shard(finished, shard_of(STUDIES[2], SHARDS))
    assert (run.studies, run.jobs["part"]) == (set(), 1)
    gather(finished)
    found = {row["study_instance_uid"] for row in rows(finished.results / "manifest.csv")}
    assert found == set(STUDIES) - {STUDIES[2]}


def test_a_shard_with_a_study_that_cannot_be_written_is_run_again(finished):
    study = "1.2.2"
    mine = shard_of(study, SHARDS)
    save(instance(study, 1, value=2000), finished.source / study / "1.dcm")
    index(finished)
    finished.environment = fault("disk_full", "write")
    assert shard(finished, mine, check=False).returncode == 1
    finished.environment = {}
    refused = gather(finished, check=False)
    assert refused.returncode == 1
    assert f"Run them again (shard: [{mine}, {SHARDS}]), then gather." in refused.output
    assert shard(finished, mine).studies == {study}
    assert gather(finished).jobs["collect"] == 1


def test_a_shard_that_fails_after_the_settings_changed_is_not_gathered(finished):
    """Its part of before is still there when the shard begins."""
    finished.config["size"] = [9, 9]
    mine = shard_of("1.2.2", SHARDS)
    shard(finished, 1 - mine)
    finished.environment = fault("disk_full", "write")
    assert shard(finished, mine, check=False).returncode == 1
    assert not Part(finished.results, mine, SHARDS).summary.exists()


def test_killed_shard_and_killed_gather_are_finished_by_the_next_call(finished):
    shutil.rmtree(finished.results / "images")
    for key in ("shard=0,1", "gather=1"):
        process = subprocess.Popen(
            finished.command("--config", key),
            cwd=finished.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        wait_for_line(process, "Select jobs to execute")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert finished.run("--config", key).returncode == 0
    assert len(rows(finished.results / "manifest.csv")) == len(STUDIES)


def wait_for_line(process, text):
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError("it ended before it could be killed")


def test_settings_of_a_shard_are_watched_as_ever(finished):
    finished.config["size"] = [10, 10]
    refused = gather(finished, check=False)
    assert "shard 0 of 2 was run with other settings; run it again" in refused.output
    assert [shard(finished, number).studies for number in (0, 1)] == [MINE[0], MINE[1]]
    gather(finished)
    assert {row["width"] for row in rows(finished.results / "manifest.csv")} == {"10"}


def test_another_number_of_shards_writes_nothing_anew(finished):
    times = finished.times("images")
    runs = [shard(finished, number, of=3) for number in range(3)]
    gather(finished, of=3)
    assert {study for run in runs for study in run.studies} == set()
    assert finished.times("images") == times
    assert (finished.results / "orphans.txt").read_text().split() == [
        "shards/0-of-2",
        "shards/1-of-2",
    ]


def test_images_of_other_settings_are_made_anew_in_another_working_directory(finished):
    """Snakemake's records of them are with the two shards, so that it knows of no change."""
    finished.config["size"] = [10, 10]
    for dry in (["--dry-run"], []):
        run = shard(finished, 0, *dry, of=1)
        assert run.studies == set(STUDIES)
        assert run.output.count("reason: Forced execution") == len(STUDIES)
    gather(finished, of=1)
    assert {row["width"] for row in rows(finished.results / "manifest.csv")} == {"10"}
    finished.config["size"] = [8, 8]  # of which the two shards have records that are true no more
    for number in range(SHARDS):
        assert shard(finished, number).studies == MINE[number]
        assert shard(finished, number).is_noop
    run = finished.run()
    assert (run.studies, run.jobs["manifest"]) == (set(), 1)
    assert {row["width"] for row in rows(finished.results / "manifest.csv")} == {"8"}
    finished.config["size"] = [9, 9]
    assert finished.run().studies == set(STUDIES)
    assert [shard(finished, number).studies for number in range(SHARDS)] == [set(), set()]


def test_kept_stage_of_other_settings_is_made_anew_in_another_working_directory(tmp_path):
    (tmp_path / "other").mkdir()
    project, other = new_sharded(tmp_path), new_sharded(tmp_path / "other")
    project.config["keep"] = ["decode"]
    index(project)
    shard(project, 0, of=1)
    project.config["intensity"] = other.config["intensity"] = "minmax"
    for number in range(SHARDS):
        run = shard(project, number)
        assert (run.jobs["decode"], run.jobs["write"]) == 2 * (len(MINE[number]),)
    gather(project)
    other.run()
    assert project.images() == other.images()


def test_shards_go_on_with_what_a_plain_run_made_with_other_settings(tmp_path):
    project = new_sharded(tmp_path)
    project.run()
    project.config["size"] = [10, 10]
    index(project)
    assert [shard(project, number).studies for number in range(SHARDS)] == [MINE[0], MINE[1]]
    gather(project)
    assert {row["width"] for row in rows(project.results / "manifest.csv")} == {"10"}


def test_a_plain_run_goes_on_with_what_shards_made(finished):
    times = finished.times("images")
    run = finished.run()
    assert (run.studies, run.jobs["manifest"]) == (set(), 1)
    assert finished.times("images") == times


def test_shard_without_an_index_is_refused(tmp_path):
    project = new_sharded(tmp_path)
    for run in (shard(project, 0, check=False), gather(project, check=False)):
        assert run.returncode == 1
        assert (
            "index.tsv does not exist. Make it once for all shards: snakemake index" in run.output
        )
    assert not project.results.exists()


def test_index_of_another_version_is_refused(finished):
    (finished.results / "index" / "request.json").write_text("{}")
    run = shard(finished, 0, check=False)
    assert "index.tsv was written by another version: remove it, then snakemake index" in run.output


@pytest.mark.parametrize(
    ("key", "value"),
    [("source", "other"), ("duplicates", "fail"), ("limits", {"seconds": 7})],
)
def test_index_of_other_settings_is_refused(finished, key, value):
    finished.config[key] = value
    run = shard(finished, 0, check=False)
    assert run.returncode == 1
    assert f"config key '{key}': " in run.output
    assert "Make it again: snakemake index" in run.output


def test_relative_source_of_another_folder_is_refused(finished, tmp_path):
    elsewhere = Project(tmp_path / "elsewhere", config=finished.config)
    shutil.copytree(finished.source, elsewhere.source)
    elsewhere.config["output"] = str(finished.results)
    run = shard(elsewhere, 0, check=False)
    assert run.returncode == 1
    assert f"was made in {finished.folder}, where its relative paths start" in run.output


def test_other_limits_try_again_also_what_was_never_gathered(tmp_path):
    project = new_sharded(tmp_path)
    for limits in ({"pixels": 10}, {}):
        project.config["limits"] = limits
        index(project)
        made = [shard(project, number).studies for number in range(SHARDS)]
        assert made == [MINE[0], MINE[1]]
    gather(project)
    assert len(rows(project.results / "manifest.csv")) == len(STUDIES)


def test_shard_in_a_directory_of_the_command_is_refused(finished):
    run = shard(finished, 0, "--directory", str(finished.folder), "--quiet", "all", check=False)
    assert run.returncode == 1
    assert "error: config key 'shard': a shard works in a folder of its own" in run.output


def test_results_of_shards_work_with_a_folder_elsewhere(tmp_path):
    project = new_sharded(tmp_path)
    project.config |= {"output": str(tmp_path / "else where")}
    index(project)
    for number in range(SHARDS):
        shard(project, number)
    gather(project)
    output = tmp_path / "else where"
    assert len(rows(output / "manifest.csv")) == len(STUDIES)
    assert all(part.summary.exists() for part in list_parts(output, SHARDS))
    assert not (project.folder / "results").exists()
