"""The environments in which the workflow runs name what the package needs, and what CI tests."""

import re
import tomllib
from pathlib import Path

import imagecodecs
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from pydicom.pixels.decoders.base import DecodeRunner

CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
CONDA = sorted((CHECKOUT / "envs").glob("*.yaml"))


def requirements(texts):
    parsed = [Requirement(text) for text in texts]
    return {item.name.lower(): item.specifier for item in parsed}


def conda_requirements(path):
    return requirements(yaml.safe_load(path.read_text())["dependencies"])


@pytest.fixture(params=CONDA, ids=lambda path: path.name)
def conda(request):
    return request.param


def test_there_are_conda_environments():
    assert [path.name for path in CONDA] == ["dicom-preprocessing.yaml"]


def test_conda_environment_has_nothing_but_channels_and_dependencies(conda):
    assert set(yaml.safe_load(conda.read_text())) == {"channels", "dependencies"}


def test_conda_environment_takes_all_from_one_channel(conda):
    assert yaml.safe_load(conda.read_text())["channels"] == ["conda-forge", "nodefaults"]


def test_conda_environment_needs_what_the_package_needs(conda):
    expected = requirements(PROJECT["dependencies"])
    expected["python"] = SpecifierSet(PROJECT["requires-python"])
    assert conda_requirements(conda) == expected


def test_rules_name_an_environment_that_is_there():
    text = (CHECKOUT / "workflow" / "rules" / "common.smk").read_text()
    (place,) = re.findall(r'^ENVIRONMENT = "(.*)"$', text, re.MULTILINE)
    assert (CHECKOUT / "workflow" / "rules" / place).resolve() in CONDA


def test_locked_versions_satisfy_what_is_required():
    lines = (CHECKOUT / "constraints.txt").read_text().splitlines()
    locked = [line for line in lines if re.match(r"[a-z]", line)]
    versions = {}
    for line in locked:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            versions[requirement.name.lower()] = str(requirement.specifier).removeprefix("==")
    extras = dict(PROJECT["optional-dependencies"])
    del extras["torch"]  # whose libraries for GPUs nobody else needs
    needed = requirements([*PROJECT["dependencies"], *(t for e in extras.values() for t in e)])
    assert {name for name, wanted in needed.items() if versions[name] not in wanted} == set()


def test_imagecodecs_is_no_older_than_its_decoder_of_htj2k():
    """Its list of changes: "Add HTJ2K codec based on OpenJPH library" in 2026.1.1."""
    wanted = requirements(PROJECT["dependencies"])["imagecodecs"]
    assert "2026.1.1" in wanted
    assert "2025.11.11" not in wanted
    assert imagecodecs.HTJ2K.available


def test_pydicom_is_older_than_headers_frame_by_frame():
    """A runner of 3.1 holds options of each frame, which plugins set by ``set_frame_option``.

    Codecs here make a runner for one frame and note in its ``set_option`` what they correct, as
    pydicom's plugin does that one of them calls. Pixels have to be compared before the bound moves.
    """
    wanted = requirements(PROJECT["dependencies"])["pydicom"]
    assert "3.0.2" in wanted
    assert "3.1.0" not in wanted
    assert not hasattr(DecodeRunner, "set_frame_option")


def copied(text):
    """What a Dockerfile copies out of the checkout."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]


def test_image_copies_files_that_are_there_and_not_ignored():
    words = copied((CHECKOUT / "Dockerfile").read_text())
    kept = [
        line.removeprefix("!")
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    assert all((CHECKOUT / word).exists() for word in words)
    assert {word.split("/")[0] for word in words} == set(kept)


def test_image_has_what_the_workflow_reads():
    words = copied((CHECKOUT / "Dockerfile").read_text())
    assert {"Snakefile", "config", "envs", "profiles", "scripts", "src", "workflow"} <= set(words)


PROFILES = sorted((CHECKOUT / "profiles").glob("*/config.yaml"))
LOCAL_ONLY = {"scheduler-subsample"}
"""Keys whose values belong to the default profile."""


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_profile_repeats_the_keys_of_the_default_one_which_it_replaces(path):
    default = yaml.safe_load((CHECKOUT / "profiles/default/config.yaml").read_text())
    profile = yaml.safe_load(path.read_text())
    assert set(default) <= set(profile)
    assert {key: profile[key] for key in set(default) - LOCAL_ONLY} == {
        key: default[key] for key in set(default) - LOCAL_ONLY
    }


def kubernetes_jobs():
    text = (CHECKOUT / "workflow" / "cluster" / "kubernetes.yaml").read_text()
    return {job["metadata"]["labels"]["step"]: job["spec"] for job in yaml.safe_load_all(text)}


def test_jobs_of_kubernetes_speak_of_one_number_of_shards():
    jobs = kubernetes_jobs()
    words = {step: spec["template"]["spec"]["containers"][0]["args"] for step, spec in jobs.items()}
    n = jobs["shards"]["completions"]
    assert f"shard=$(JOB_COMPLETION_INDEX),{n}" in words["shards"]
    assert f"gather={n}" in words["gather"]
    common = [[w for w in w_s if w.startswith(("source=", "output="))] for w_s in words.values()]
    assert common[0] == common[1] == common[2]
