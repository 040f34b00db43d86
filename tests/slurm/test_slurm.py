"""The workflow on a real SLURM of one host, with profiles/slurm."""

import importlib.util

import pytest
import yaml

from tests.slurm.cluster import Cluster, why_not
from tests.workflow.conftest import CHECKOUT, Project, new_project, tiffs
from tests.workflow.tiny import make_source

SOON = {
    # Without accounting; and jobs of a second are looked at every second.
    "slurm-status-command": "squeue",
    "slurm-no-account": True,
    "slurm-init-seconds-before-status-checks": 1,
    "seconds-between-status-checks": 1,
    "latency-wait": 5,
}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("snakemake-executor-plugin-slurm is not installed")
    reason = why_not()
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


@pytest.fixture(scope="session")
def first_run(cluster, tmp_path_factory):
    made = new_project(tmp_path_factory.mktemp("on slurm"))
    project = OnSlurm(made.folder, config=made.config)
    make_source(project.source)
    return project, project.run()


def test_each_study_is_a_job_and_images_are_those_of_a_local_run(first_run, tmp_path):
    project, run = first_run
    assert run.output.count("has been submitted with SLURM jobid") == 3
    local = new_project(tmp_path)
    make_source(local.source)
    local.run()
    assert tiffs(project.results / "images") == local.images()
    assert (project.results / "manifest.csv").exists()


def test_memory_and_minutes_come_from_the_headers(first_run):
    _, run = first_run
    jobs = [line for line in run.output.splitlines() if "runtime=10" in line]
    assert len(jobs) == 3
    assert all("mem_mb=300" in line for line in jobs)


def test_rerun_submits_nothing(first_run):
    project, _ = first_run
    assert project.run().is_noop


def test_nothing_is_left_in_the_queue(first_run, cluster):
    assert cluster.queue() == []
