"""workflow/cluster/submit.sh, with a stand-in for sbatch that runs each job at once."""

import os
import subprocess
import sys

import pytest
import yaml

from tests.workflow.conftest import CHECKOUT, Project, Run, new_project, rows
from tests.workflow.tiny import make_source

SUBMIT = CHECKOUT / "workflow" / "cluster" / "submit.sh"
SBATCH = """\
#!{python}
import os, re, subprocess, sys
script = next(word for word in sys.argv[1:] if not word.startswith("-"))
options, words = sys.argv[1 : sys.argv.index(script)], sys.argv[sys.argv.index(script) + 1 :]
kind = os.path.basename(script).removesuffix(".sbatch")
if kind == os.environ.get("DP_TEST_REFUSED"):
    sys.exit("sbatch: error: Batch job submission failed")
arrays = [option for option in options if option.startswith("--array=")]
first, last = map(int, re.findall(r"\\d+", arrays[-1])) if arrays else (0, 0)
for task in range(first, last + 1):
    given = {{"SLURM_ARRAY_TASK_ID": str(task), "SLURM_CPUS_PER_TASK": "2"}}
    name = f"logs/cluster/7-{{kind}}" + (f"-{{task}}" if arrays else "") + ".log"
    with open(name, "w") as log:
        env = os.environ | given | {{"SLURM_MEM_PER_NODE": "4000"}}
        subprocess.run(["bash", script, *words], env=env, stdout=log, stderr=log)
print(7)
"""


class Submitted(Project):
    """A project that is submitted instead of run."""

    def submit(self, *words: str, shards: int = 2) -> Run:
        sbatch = self.folder / "bin" / "sbatch"
        sbatch.parent.mkdir(exist_ok=True)
        sbatch.write_text(SBATCH.format(python=sys.executable))
        sbatch.chmod(0o755)
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))
        place = {"PATH": f"{sbatch.parent}:{os.environ['PATH']}"}
        process = subprocess.run(
            [SUBMIT, str(shards), "--configfile", "config.yaml", *words],
            cwd=self.folder,
            env=os.environ | self.servers_environment() | self.environment | place,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return Run(process.returncode, process.stdout)

    def log(self, name: str) -> Run:
        return Run(0, (self.folder / "logs" / "cluster" / f"7-{name}.log").read_text())


@pytest.fixture
def submitted(tmp_path):
    made = new_project(tmp_path)
    make_source(made.source, studies=4, instances=1)
    return Submitted(made.folder, config=made.config)


def test_keys_and_options_reach_index_shards_and_gather(submitted):
    """Cores are meant for this host, and keys of the file name a shard of their own."""
    submitted.config |= {"shard": [5, 9]}
    words = ["--config", "size=[10, 10]", "--cores", "1", "-Cpadding=center", "crop=false"]
    run = submitted.submit(*words)
    assert run.returncode == 0, run.output
    assert "Shards: job 7, logs/cluster/7-shard-*.log" in run.output
    assert "Provided cores: 1" in run.output
    shards = [submitted.log("shard-0"), submitted.log("shard-1")]
    assert all("Provided cores: 2" in shard.output for shard in shards)
    assert all("mem_mb=3600" in shard.output for shard in shards)
    found = rows(submitted.results / "manifest.csv")
    assert [row["width"] for row in found] == 4 * ["10"]
    assert ">center<" in (submitted.results / "report.html").read_text()


def test_what_is_forced_is_forced_in_shards_alone(submitted):
    submitted.is_served = True
    submitted.submit()
    run = submitted.submit("--forcerun", "write", "--config", "compressor=packbits")
    assert run.returncode == 0, run.output
    done = [submitted.log(f"shard-{shard}").studies for shard in (0, 1)]
    assert set.union(*done) == {"1.2.1", "1.2.2", "1.2.3", "1.2.4"}
    assert (submitted.results / "verdict.txt").exists(), submitted.log("gather").output


def test_gather_that_cannot_be_submitted_is_reported(submitted):
    submitted.is_served = True
    submitted.environment = {"DP_TEST_REFUSED": "gather"}
    run = submitted.submit()
    assert run.returncode == 1
    assert "Shards: job 7" in run.output
    assert "the shards are submitted, the gather job is not. When they have ended: " in run.output
    assert "'gather=2'" in run.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--directory", "elsewhere"], "a shard works in a folder of its own"),
        (["-n"], "to see what would be done"),
        (["-qn"], "to see what would be done"),
        (["-d/tmp"], "a shard works in a folder of its own"),
        (["--profile", "mine"], "mine has keys under config:"),
        (["--profile", str(CHECKOUT / "profiles" / "slurm")], "submits one job per study"),
        (["--executor", "slurm"], "a shard runs on its own"),
        (["--config", "shard=0,2"], "shard is set by this script for each job"),
        (["--", "results/manifest.csv"], "a shard makes all results of its studies"),
    ],
)
def test_what_would_be_other_settings_for_shards_is_refused(submitted, words, said):
    (submitted.folder / "mine").mkdir()
    (submitted.folder / "mine" / "config.yaml").write_text("config:\n  size: [9, 9]\n")
    run = submitted.submit(*words)
    assert run.returncode == 1
    assert said in run.output
    assert not submitted.results.exists()


def test_profile_of_the_environment_is_looked_at(submitted):
    named = submitted.folder / "profiles" / "snakemake" / "mine"
    named.mkdir(parents=True)
    (named / "config.yaml").write_text("config:\n  size: [9, 9]\n")
    place = {"XDG_CONFIG_HOME": str(submitted.folder / "profiles")}
    submitted.environment = place | {"SNAKEMAKE_PROFILE": "mine"}
    assert "mine has keys under config:" in submitted.submit().output


def test_number_of_shards_is_needed(submitted):
    run = subprocess.run([SUBMIT, "many"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "submit.sh SHARDS [options of snakemake]" in run.stderr
