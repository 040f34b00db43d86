"""Runs of the real workflow in folders of their own."""

import csv
import os
import re
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from dicom_preprocessing.processes import CORES_VARIABLE
from tests.workflow.forked import call_snakemake, start_job_server
from tests.workflow.tiny import make_source

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass
class Run:
    """What a call of Snakemake did."""

    returncode: int
    output: str

    @property
    def jobs(self) -> Counter:
        """Rules that were started, with how often."""
        return Counter(
            re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", self.output, re.MULTILINE)
        )

    @property
    def studies(self) -> set[str]:
        """Studies of which a stage was run."""
        return set(re.findall(r"wildcards: study=(\S+)", self.output))

    @property
    def is_noop(self) -> bool:
        return "Nothing to be done" in self.output


@dataclass
class Project:
    """A working directory with a source and a configuration."""

    folder: Path
    checkout: Path = CHECKOUT
    config: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)
    is_served: bool = False
    """Whether ``run`` has its jobs forked by the server of all tests, and starts none."""

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))
        return [
            *(sys.executable, "-m", "snakemake"),
            *("--snakefile", str(self.checkout / "Snakefile")),
            *("--configfile", "config.yaml", "--cores", str(cores)),
            *arguments,
        ]

    def run(self, *arguments: str, cores: int = 2, check: bool = True) -> Run:
        """Call Snakemake, as ``command`` would."""
        command = self.command(*arguments, cores=cores)
        environment = os.environ | self.servers_environment(cores) | self.environment
        run = Run(*call_snakemake(command, cwd=self.folder, env=environment, timeout=300))
        if check:
            assert run.returncode == 0, run.output
        return run

    def servers_environment(self, cores: int = 2) -> dict[str, str]:
        if not self.is_served or sys.platform != "linux":
            return {}
        return {"DP_FORK_SERVER": start_job_server(), CORES_VARIABLE: str(cores)}

    def images(self) -> dict[str, bytes]:
        """Every TIFF below images/, by relative path."""
        return tiffs(self.results / "images")

    def times(self, below: str = "") -> dict[str, int]:
        """mtime of every file of the results, by relative path; the timestamps of folders too."""
        root = self.results / below
        return {
            str(path.relative_to(root)): path.stat().st_mtime_ns
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tiffs(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.tiff"))}


def fault(name, rule, log=""):
    """Environment in which something fails in the jobs of a rule."""
    return {
        # The fault comes in where an interpreter starts, which a forked job does not.
        "DP_FORK_SERVER": "off",
        "PYTHONPATH": str(Path(__file__).parent / "faults"),
        "DP_TEST_FAULT": name,
        "DP_TEST_FAULT_IN": rule,
        "DP_TEST_COUNT": str(log),
    }


def new_project(parent: Path) -> Project:
    # A blank in the path on purpose.
    folder = parent / "a project"
    folder.mkdir()
    return Project(folder, config={"source": "source", "size": [8, 8], "crop": True})


@pytest.fixture
def project(tmp_path):
    """Three tiny studies of two images each."""
    made = new_project(tmp_path)
    make_source(made.source)
    made.is_served = True
    return made


@pytest.fixture(scope="session")
def first_run(tmp_path_factory):
    """A project that was run once; tests work on copies of it."""
    made = new_project(tmp_path_factory.mktemp("finished"))
    make_source(made.source)
    return made, made.run()


@pytest.fixture
def finished(first_run, tmp_path):
    """A project after its first run."""
    original, _ = first_run
    copy = new_project(tmp_path)
    shutil.copytree(original.folder, copy.folder, dirs_exist_ok=True, symlinks=True)
    copy.is_served = True
    return copy
