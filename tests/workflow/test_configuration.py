"""How the workflow is called and configured."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.workflow.conftest import CHECKOUT, Project, Run, rows
from tests.workflow.forked import call_snakemake
from tests.workflow.tiny import make_source


def snakemake(folder, *words, environment=None):
    """Call Snakemake in a folder, on what is there."""
    command = [sys.executable, "-m", "snakemake", *words]
    environment = os.environ | (environment or {})
    return Run(*call_snakemake(command, cwd=folder, env=environment, timeout=300))


def dry_run(project, *arguments):
    return project.run("--dry-run", "--quiet", "all", *arguments, check=False)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"sise": [64, 64]}, "config key 'sise' is unknown, did you mean 'size'?"),
        ({"crop": "maybe"}, "config key 'crop': found maybe, allowed: true or false."),
        ({"size": [64]}, "config key 'size': found [64], allowed: two integers"),
        ({"size": [8, 8], "spacing": [1, 1]}, "config keys 'size' and 'spacing': found both"),
        ({"source": 7}, "config key 'source': found 7, allowed: a path"),
        ({"series": "stacked"}, "config key 'series': found stacked, allowed: one of separate"),
        ({"padding": "centre"}, "Write for example:\n    padding: zero"),
    ],
)
def test_wrong_config_stops_before_any_work(project, config, message):
    project.config |= config
    run = project.run("--quiet", "all", check=False)
    assert run.returncode == 1
    assert message in run.output
    assert not (project.folder / "logs").exists()


def test_key_without_effect_warns(project):
    project.config = {"source": "source", "crop_max": True}
    run = dry_run(project)
    assert run.returncode == 0, run.output
    assert "config key 'crop_max' has no effect without crop: true" in run.output


def test_dry_run_shows_index_and_changes_nothing(project):
    run = project.run("--dry-run")
    assert "index" in run.jobs
    assert not project.results.exists()


def test_config_from_the_command_line(project):
    project.config = {}
    run = project.run("--config", "source=source", "output=elsewhere", "crop=true", "size=6,7")
    assert run.jobs["write"] == 3
    first = (project.folder / "elsewhere" / "manifest.csv").read_text().splitlines()[1].split(",")
    assert first[4:6] == ["6", "7"]


def test_directory_option_from_elsewhere(project, tmp_path):
    (project.folder / "config.yaml").write_text("{source: source, size: [8, 8]}")
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(CHECKOUT / "Snakefile")),
        *("--directory", str(project.folder), "--cores", "2"),
        *("--configfile", str(project.folder / "config.yaml")),
    ]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert len(project.images()) == 6


HOST = """
module preprocessing:
    snakefile: {snakefile}
    config: config["preprocessing"]
    {extra}

use rule * from preprocessing as preprocessing_*

rule training:
    default_target: True
    input: rules.preprocessing_manifest.output.manifest
    output: "trained.txt"
    shell: "wc -l < {{input:q}} > {{output:q}}"
"""


VALUES = "{source: source, output: images of mine, size: [8, 8]}"


def host(
    project, extra="", *, snakefile=f'"{CHECKOUT}/Snakefile"', values=VALUES, environment=None
):
    path = project.folder / "Snakefile"
    path.write_text(HOST.format(snakefile=snakefile, extra=extra))
    (project.folder / "host.yaml").write_text(f"{{preprocessing: {values}}}")
    words = ["--cores", "2", "--configfile", "host.yaml", "--scheduler", "greedy"]
    return snakemake(project.folder, *words, environment=environment)


def test_workflow_as_a_module(project):
    run = host(project)
    assert run.returncode == 0, run.output
    assert (project.folder / "trained.txt").read_text().strip() == "7"
    assert host(project).is_noop


TWO = """
module small:
    snakefile: "{snakefile}"
    config: {{"source": "source/1.2.1", "output": "small", "size": [4, 4]}}

use rule * from small as small_*

module large:
    snakefile: "{snakefile}"
    config: {{"source": "source/1.2.2", "output": "large", "size": [8, 8]}}

use rule * from large as large_*

rule both:
    default_target: True
    input: rules.small_manifest.output.manifest, rules.large_manifest.output.manifest
    output: receipt="both.txt"
    shell: "cat {{input:q}} > {{output:q}}"
"""


def test_two_modules_in_one_workflow(project):
    (project.folder / "Snakefile").write_text(TWO.format(snakefile=CHECKOUT / "Snakefile"))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--scheduler", "greedy"]
    for is_noop in (False, True):
        run = subprocess.run(
            command, cwd=project.folder, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        assert ("Nothing to be done" in run.stderr + run.stdout) == is_noop
    widths = {
        name: {row["width"] for row in rows(project.folder / name / "manifest.csv")}
        for name in ("small", "large")
    }
    assert widths == {"small": {"4"}, "large": {"8"}}


def test_module_from_a_tag_of_a_repository(project, tmp_path):
    """Snakemake reads single files of it from a bare clone; the address leads to a local one."""
    repository = copy_checkout(tmp_path / "repository")
    for words in (
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "-m", "x"],
        ["tag", "v1"],
    ):
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *author, *words], cwd=repository, check=True)
    environment = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/example/dicom-preprocessing",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    place = 'github("example/dicom-preprocessing", path="Snakefile", tag="v1")'
    for expected in ("(100%) done", "Nothing to be done"):
        run = host(project, snakefile=place, environment=environment)
        assert run.returncode == 0, run.output
        assert expected in run.output
    assert (project.folder / "trained.txt").read_text().strip() == "7"


def test_workflow_where_the_catalog_looks_for_it(project):
    """As snakedeploy declares it: a module with its own default target, in the folder workflow."""
    (project.folder / "workflow").mkdir()
    (project.folder / "workflow" / "Snakefile").write_text(
        f"""
configfile: "config.yaml"
module preprocessing:
    snakefile: "{CHECKOUT}/workflow/Snakefile"
    config: config
use rule * from preprocessing
"""
    )
    (project.folder / "config.yaml").write_text("{source: source, size: [8, 8]}")
    run = snakemake(project.folder, "--cores", "2")
    assert run.returncode == 0, run.output
    assert len(project.images()) == 6
    assert (project.results / "verdict.txt").exists()


def test_shard_of_a_module_is_refused(project):
    run = host(project, values="{shard: [0, 2]}")
    assert run.returncode == 1
    assert "config key 'shard': is not supported for a module" in run.output


def test_prefix_of_a_module_is_refused(project):
    run = host(project, extra='prefix: "sub"')
    assert run.returncode == 1
    assert "prefix: is not supported" in run.output
    assert "Set the config key output instead" in run.output


def copy_checkout(copy):
    copy.mkdir()
    for name in ("Snakefile", "config", "envs", "profiles", "scripts", "src", "workflow"):
        original = CHECKOUT / name
        (shutil.copytree if original.is_dir() else shutil.copy2)(original, copy / name)
    return copy


def test_bundled_examples_are_the_default_source(tmp_path):
    copy = copy_checkout(tmp_path / "clone")
    make_source(copy / "examples" / "studies", studies=1, instances=1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    project = Project(elsewhere, checkout=copy)
    project.run()
    assert list(project.images()) == ["1.2.1/1.2.1.1.1.tiff"]
    assert project.run().is_noop


def test_empty_source_on_the_command_line_is_refused(project):
    project.config = {}
    run = dry_run(project, "--config", "source=")
    assert run.returncode == 1
    assert "config key 'source': found nothing on the command line" in run.output


@pytest.mark.parametrize("option", ["--summary", "--dag", "--list-rules", "--unlock"])
def test_questions_need_no_cores(finished, option):
    words = [word for word in finished.command(option)[3:] if word not in ("--cores", "2")]
    answer = snakemake(finished.folder, *words)
    assert answer.returncode == 0, answer.output


def test_snakemakes_own_report_holds_the_tables(finished):
    finished.run("--report", "report.html")
    text = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "manifest.csv" in text
    assert "failures.csv" in text
