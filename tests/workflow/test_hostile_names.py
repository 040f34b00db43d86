"""Runs whose source, output and working folder have names that others might interpret."""

import os

import pytest

from dicom_preprocessing import read_manifest
from tests.workflow.conftest import Project, tiffs
from tests.workflow.tiny import make_source

HOSTILE = "~ a{study}*$HOME'\"\n-x.gz"
OUTPUT = "./~/$ *?[a]'\"\n-x .gz"


@pytest.fixture
def hostile(tmp_path):
    """A project in a folder of a hostile name, with a source of such names."""
    folder = tmp_path / HOSTILE
    folder.mkdir()
    made = Project(folder, config={"source": "-x{study}", "output": OUTPUT, "size": [8, 8]})
    made.environment = {"HOME": str(tmp_path / "home")}
    source = make_source(folder / "-x{study}", studies=1)
    (source / "1.2.1").rename(source / f"{HOSTILE}.dcm")
    (source / os.fsdecode(b"\xff~.gz")).mkdir()
    return made


def test_run_in_folders_of_any_name_is_complete_and_not_repeated(hostile):
    hostile.run()
    output = hostile.folder / OUTPUT
    for name in ("manifest.csv", "manifest.parquet"):
        found = read_manifest(output / name)["path"].tolist()
        assert found == sorted(tiffs(output / "images"))
        assert len(found) == 2
    assert not (hostile.folder.parent / "home" / "$ *").exists()
    assert hostile.run().is_noop


@pytest.mark.parametrize(
    ("values", "text", "said"),
    [
        ({"output": "~/x"}, "", "error: config key 'output': found ~/x: ~ does not stand for"),
        ({}, "crop: true\ncrop: false\n", "line 2: config key 'crop' is given twice, first in"),
    ],
)
def test_what_cannot_be_meant_ends_the_run_before_any_work(project, values, text, said):
    (project.folder / "mine.yaml").write_text(text or "crop: true\n")
    project.config |= values
    names = set(os.listdir(project.folder))
    run = project.run("--configfile", "config.yaml", "mine.yaml", check=False)
    assert run.returncode == 1
    assert said in run.output
    assert "Traceback" not in run.output
    assert set(os.listdir(project.folder)) - names <= {".snakemake", "config.yaml"}
