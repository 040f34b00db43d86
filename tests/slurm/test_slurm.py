"""The workflow on a real SLURM of one host, with profiles/slurm."""

import importlib.util
import os
import re
import signal
import subprocess

import pytest
import yaml

from dicom_preprocessing.workflow.shards import Part, shard_of
from tests.slurm.cluster import Cluster, find_missing_requirement, wait_for
from tests.workflow.conftest import CHECKOUT, Project, Run, fault, new_project, rows, tiffs
from tests.workflow.tiny import instance, make_source, save

STUDIES = {"1.2.1", "1.2.2", "1.2.3"}
SUBMIT = CHECKOUT / "workflow" / "cluster" / "submit.sh"

SOON = {
    # Jobs of a second are looked at every second.
    "slurm-init-seconds-before-status-checks": 1,
    "seconds-between-status-checks": 1,
    "latency-wait": 5,
}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("snakemake-executor-plugin-slurm is not installed")
    reason = find_missing_requirement()
    if reason:
        pytest.skip(reason)
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    yield made
    made.close()


class OnSlurm(Project):
    """A project whose studies are jobs of the cluster."""

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        words = super().command(*arguments, cores=cores)
        at = words.index("--cores")
        profile = self.folder / "profile"
        profile.mkdir(exist_ok=True)
        settings = yaml.safe_load((CHECKOUT / "profiles/slurm/config.yaml").read_text())
        (profile / "config.yaml").write_text(yaml.safe_dump(settings | SOON))
        return [*words[:at], *words[at + 2 :], "--workflow-profile", str(profile)]


def new_on_slurm(parent) -> OnSlurm:
    made = new_project(parent)
    make_source(made.source)
    return OnSlurm(made.folder, config=made.config)


@pytest.fixture
def on_slurm(cluster, tmp_path):
    return new_on_slurm(tmp_path)


@pytest.fixture(scope="session")
def first_run(cluster, tmp_path_factory):
    project = new_on_slurm(tmp_path_factory.mktemp("on slurm"))
    return project, project.run()


@pytest.fixture(scope="session")
def local_images(tmp_path_factory):
    """What a run without the cluster makes of the same studies."""
    local = new_project(tmp_path_factory.mktemp("local"))
    make_source(local.source)
    local.run()
    return local.images()


def test_each_study_is_a_job_and_images_are_those_of_a_local_run(first_run, local_images):
    project, run = first_run
    assert run.output.count("has been submitted with SLURM jobid") == 3
    assert tiffs(project.results / "images") == local_images
    assert (project.results / "manifest.csv").exists()


def test_logs_of_jobs_are_collected(first_run):
    project, _ = first_run
    assert {path.stem for path in project.folder.glob("logs/write/*.log")} == STUDIES


def test_memory_and_minutes_come_from_the_headers(first_run):
    _, run = first_run
    jobs = [line for line in run.output.splitlines() if "runtime=10" in line]
    assert len(jobs) == 3
    assert all("mem_mb=700" in line for line in jobs)


def test_a_study_of_many_frames_gets_more_cores(on_slurm):
    claimed = instance("1.2.9", 1, Rows=1000, Columns=1000, NumberOfFrames=700)
    save(claimed, on_slurm.source / "9.dcm")
    run = on_slurm.run()
    # A study's jobs are submitted with their threads; the pixels themselves are not there.
    assert run.output.count("threads: 2") == 1
    assert [row["study_instance_uid"] for row in rows(on_slurm.results / "failures.csv")] == [
        "1.2.9"
    ]


def test_rerun_submits_nothing(first_run):
    project, _ = first_run
    assert project.run().is_noop


def test_study_that_fails_costs_no_other(on_slurm, local_images):
    on_slurm.environment = fault("disk_full", "write")
    run = on_slurm.run("--retries", "0", check=False)
    assert run.returncode == 1
    assert "No space left on device" in run.output
    said = on_slurm.folder.glob(".snakemake/slurm_logs/rule_write/1.2.2/*.log")
    assert any("CalledProcessError" in path.read_text() for path in said)
    assert {path.split("/")[0] for path in on_slurm.images()} == STUDIES - {"1.2.2"}
    assert not (on_slurm.results / "manifest.csv").exists()
    on_slurm.environment = {}
    assert on_slurm.run().studies == {"1.2.2"}
    assert on_slurm.images() == local_images


def test_study_that_needs_more_memory_gets_it_at_the_second_try(on_slurm, local_images, tmp_path):
    on_slurm.environment = fault("hungry", "write", tmp_path / "tries.log")
    run = on_slurm.run()
    assert len((tmp_path / "tries.log").read_text().splitlines()) == 2
    assert "Trying to restart job" in run.output
    assert on_slurm.images() == local_images


def start(project: Project) -> subprocess.Popen:
    return subprocess.Popen(
        project.command(),
        cwd=project.folder,
        env=os.environ | project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )


def test_job_that_is_killed_in_the_middle_is_tried_again(on_slurm, local_images, cluster, tmp_path):
    tries = tmp_path / "tries.log"
    on_slurm.environment = fault("slow", "write", tries)
    process = start(on_slurm)
    assert wait_for(lambda: tries.exists() and len(cluster.queue()) == 1)
    cluster.say("scancel", *cluster.queue())
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert len(tries.read_text().splitlines()) == 2
    assert on_slurm.images() == local_images


def test_interrupted_run_leaves_no_job_in_the_queue(on_slurm, local_images, cluster, tmp_path):
    tries = tmp_path / "tries.log"
    on_slurm.environment = fault("slow", "write", tries)
    process = start(on_slurm)
    assert wait_for(tries.exists)
    assert cluster.queue() != []
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0, output
    # Sooner than the job would end by itself.
    assert wait_for(lambda: cluster.queue() == [], 30)
    assert on_slurm.run().returncode == 0
    assert on_slurm.images() == local_images


def submit(project: Project, shards: int) -> dict[str, Run]:
    """Submit in shards, and wait until the queue is empty; gives what each job logged."""
    (project.folder / "config.yaml").write_text(yaml.safe_dump(project.config))
    options = {"SHARD_OPTIONS": "--cpus-per-task=2 --mem=2000", "GATHER_OPTIONS": "--mem=1000"}
    process = subprocess.run(
        [SUBMIT, str(shards), "--configfile", "config.yaml", "--config", "padding=center"],
        cwd=project.folder,
        env=os.environ | options | project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    array = re.search(r"Shards: job (\d+)", process.stdout)
    assert array, process.stdout
    waiting = ["squeue", "--noheader", "--user=root", "--states=all", "--format=%T"]
    done = {"COMPLETED", "FAILED", "CANCELLED"}
    wait_for(lambda: set(Cluster.say(*waiting).split()) <= done, 120)
    logs = re.findall(r"job (\d+), (logs/cluster/\S+)", process.stdout)
    paths = [path for _, pattern in logs for path in project.folder.glob(pattern.rstrip(":"))]
    return {path.stem.partition("-")[2]: Run(0, path.read_text()) for path in paths}


def test_shards_give_what_a_local_run_gives_also_when_one_is_run_again(on_slurm, tmp_path):
    studies = [f"1.2.{n}" for n in range(1, 7)]
    make_source(on_slurm.source, studies=len(studies))
    failing = shard_of("1.2.2", 2)
    on_slurm.environment = fault("disk_full", "write")
    logs = submit(on_slurm, 2)
    assert f"1 of 2 shards have not finished: {failing}." in logs["gather"].output
    assert {path.split("/")[0] for path in on_slurm.images()} == {*studies} - {"1.2.2"}
    assert not Part(on_slurm.results, failing, 2).summary.exists()

    on_slurm.environment = {}
    logs = submit(on_slurm, 2)
    assert logs[f"shard-{failing}"].studies == {"1.2.2"}
    assert logs[f"shard-{1 - failing}"].is_noop
    assert len(rows(on_slurm.results / "manifest.csv")) == 12

    (tmp_path / "other").mkdir()
    local = new_project(tmp_path / "other")
    make_source(local.source, studies=len(studies))
    local.run("--config", "padding=center")
    assert on_slurm.images() == local.images()
    assert (on_slurm.results / "verdict.txt").read_text() == (
        local.results / "verdict.txt"
    ).read_text()


def test_shard_does_not_submit_its_studies(on_slurm):
    Project(on_slurm.folder, config=on_slurm.config).run("--", "index")
    for dry in ([], ["--dry-run"]):
        run = on_slurm.run("--config", "shard=0,2", "--quiet", "all", *dry, check=False)
        assert (run.returncode == 0) == bool(dry), run.output
        assert ("error: config key 'shard': a shard works on the cores" in run.output) != bool(dry)
        assert "Traceback" not in run.output


def test_nothing_is_left_in_the_queue(first_run, cluster):
    assert cluster.queue() == []
