"""`--sdm conda`: jobs run in an environment of the rules, with a stand-in for conda itself.

Channels of packages are not within reach everywhere. The stand-in makes a virtual environment of
the packages that are installed, without Snakemake and without this project, as conda would.
"""

import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import CHECKOUT, new_project, tiffs
from tests.workflow.tiny import make_source

STAND_IN = """\
#!{python}
import json, os, subprocess, sys
words = sys.argv[1:]
with open({calls!r}, "a") as log:
    log.write(json.dumps(words) + "\\n")
if words == ["--version"]:
    print("conda 24.9.2")
elif words == ["info", "--json"]:
    print(json.dumps({{"conda_prefix": {prefix!r}, "platform": "linux-64"}}))
elif words[0] == "clean":
    pass
elif words[0] == "config":
    print(json.dumps({{"get": {{"channel_priority": "strict"}}}}))
elif words[:2] == ["env", "create"]:
    place = words[words.index("--prefix") + 1]
    subprocess.run([{python!r}, "-m", "venv", "--without-pip", place], check=True)
    library = f"{{place}}/lib/python{{sys.version_info[0]}}.{{sys.version_info[1]}}/site-packages"
    with open(f"{{library}}/packages.pth", "w") as paths:
        paths.write({packages!r} + "\\n")
    with open(f"{{library}}/sitecustomize.py", "w") as custom:
        custom.write("import sys\\nopen({starts!r}, 'a').write(sys.argv[0] + '\\\\n')\\n")
else:
    sys.exit(f"conda is called in another way: {{words}}")
"""
ACTIVATE = 'export PATH="$1/bin:$PATH"\n'
NOT_OF_RULES = ("snakemake", "dicom_preprocessing", "__editable__")


class Conda:
    """A command `conda` in a folder, what it was asked, and what its Python was started for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        packages = folder / "packages"
        for part in (folder / "bin", packages):
            part.mkdir(parents=True)
        import numpy as np

        for entry in Path(np.__file__).parents[1].iterdir():
            if not entry.name.startswith(NOT_OF_RULES) and entry.suffix != ".pth":
                (packages / entry.name).symlink_to(entry)
        text = STAND_IN.format(
            python=sys.executable,
            calls=str(folder / "calls"),
            prefix=str(folder),
            packages=str(packages),
            starts=str(folder / "starts"),
        )
        (folder / "bin" / "conda").write_text(text)
        (folder / "bin" / "conda").chmod(0o755)
        (folder / "bin" / "activate").write_text(ACTIVATE)

    @property
    def created_from(self) -> list[dict]:
        calls = map(json.loads, (self.folder / "calls").read_text().splitlines())
        files = [words[words.index("--file") + 1] for words in calls if "create" in words]
        return [yaml.safe_load(Path(file).read_text()) for file in files]

    @property
    def starts(self) -> set[str]:
        return {Path(line).name for line in (self.folder / "starts").read_text().splitlines()}


def new_with_conda(folder):
    conda = Conda(folder / "conda")
    project = new_project(folder)
    make_source(project.source)
    project.environment = {"PATH": f"{conda.folder / 'bin'}:{os.environ['PATH']}"}
    return conda, project


@pytest.fixture(scope="module")
def with_conda(tmp_path_factory):
    conda, project = new_with_conda(tmp_path_factory.mktemp("conda"))
    return conda, project, project.run("--sdm", "conda")


def test_one_environment_is_made_of_the_file_of_envs(with_conda):
    conda, _, _ = with_conda
    (file,) = (CHECKOUT / "envs").glob("*.yaml")
    assert conda.created_from == [yaml.safe_load(file.read_text())]


def test_jobs_run_in_it_forked_and_in_new_processes(with_conda):
    conda, _, run = with_conda
    assert run.jobs["write"] == 3
    assert {"job.py", "fork_server.py"} <= conda.starts


def test_images_are_those_of_a_run_without(with_conda, first_run):
    _, project, _ = with_conda
    assert project.images() == tiffs(first_run[0].results / "images") != {}


def test_second_time_nothing_is_done(with_conda):
    _, project, _ = with_conda
    assert project.run("--sdm", "conda").is_noop


def test_shards_share_an_environment_whose_place_is_given(tmp_path):
    conda, project = new_with_conda(tmp_path)
    options = ["--sdm", "conda", "--conda-prefix", str(tmp_path / "environments")]
    project.run(*options, "--", "index")
    run = project.run(*options, "--config", "shard=0,1")
    assert run.jobs["write"] == 3
    assert len(conda.created_from) == 1
