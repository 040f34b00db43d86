"""Runs of which a random process is killed at a random moment, and the plain run after each.

Whatever is killed, that run ends, no visible TIFF is ever partial, and the next plain run gives the
results of an undisturbed one and leaves nothing behind.

DP_KILLS tells how many processes are killed in each kind of run, DP_KILL_SEED makes other choices;
`make faults` kills 26 in each of the eight kinds.
"""

import logging
import os
import random
import shutil
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from dicom_preprocessing.workflow.shards import shard_of
from tests.faults.killing import Killer, Tally, WatchedRun
from tests.workflow.conftest import Project, new_project, rows
from tests.workflow.tiny import instance, make_source, save

LOG = logging.getLogger(__name__)

KILLS = int(os.environ.get("DP_KILLS", "0"))
SEED = int(os.environ.get("DP_KILL_SEED", "1"))
KEEPS = {"plain": [], "kept": ["crop"]}
SERVERS = {"forked": {}, "cold": {"DP_FORK_SERVER": "off"}}
KINDS = list(product(KEEPS, SERVERS, ("local", "shards")))
QUICK = [("kept", "forked", "local"), ("plain", "cold", "local")]
STUDIES = [f"1.2.{number}" for number in range(1, 6)]
SHARDS, SHARD = 2, 0
SECONDS_BEFORE_IMAGES = 2
TABLES = ("failures.csv", "slices.csv", "warnings.csv", "orphans.txt", "verdict.txt")

PART_TABLES = ("failures.jsonl", "slices.csv", "warnings.jsonl")


def make_project(folder, keep):
    """Studies of two tiny images and a larger one of noise, and a file that fails."""
    folder.mkdir()
    project = new_project(folder)
    make_source(project.source, studies=len(STUDIES))
    chance = np.random.default_rng(1)
    for study in STUDIES:
        noise = chance.integers(1, 4096, (6, 160, 160)).astype(np.uint16)
        shape = {"NumberOfFrames": 6, "Rows": 160, "Columns": 160}
        larger = instance(study, 8, **shape, PixelData=noise.tobytes())
        save(larger, project.source / study / "8.dcm")
    save(instance(STUDIES[0], 9, Rows=500), project.source / STUDIES[0] / "short.dcm")
    project.config |= {"keep": KEEPS[keep], "size": [120, 120]}
    return project


def in_shard(number):
    return ("--config", f"shard={number},{SHARDS}")


@dataclass
class Template:
    """A project before the run that is killed, that run's arguments, and what it has to make."""

    project: Project
    arguments: tuple
    expected: dict
    tables: dict

    def copy_to(self, folder):
        folder.mkdir()
        copy = new_project(folder)
        shutil.copytree(self.project.folder, copy.folder, dirs_exist_ok=True, symlinks=True)
        copy.config = self.project.config
        return copy


def all_tiffs(results):
    return {
        str(path.relative_to(results)): path.read_bytes()
        for part in ("images", "stages")
        for path in sorted((results / part).rglob("*.tiff"))
    }


def all_tables(results, folder="."):
    """Content of the tables of a run, or of a part, without inodes."""
    folder = results / folder
    found = {"manifest": [row | {"inode": ""} for row in rows(folder / "manifest.csv")]}
    names = TABLES if folder == results else PART_TABLES
    return found | {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """Make the templates of a kind of run, each once."""
    made = {}

    def get(keep, place):
        if (keep, place) not in made:
            project = make_project(tmp_path_factory.mktemp("template") / keep, keep)
            make = make_local if place == "local" else make_shards
            made[keep, place] = make(project)
        return made[keep, place]

    return get


def make_local(project):
    """The template of a whole run, from nothing."""
    project.run("--quiet", "rules")
    template = Template(project, (), all_tiffs(project.results), all_tables(project.results))
    shutil.rmtree(project.results)
    shutil.rmtree(project.folder / ".snakemake")
    return [template]


def make_shards(project):
    """The templates of a shard, after the index and the other shard, and of gathering."""
    project.run("--", "index")
    for shard in range(SHARDS):
        project.run(*in_shard(shard))
    finished = project.folder.parent / "finished"
    shutil.copytree(project.folder, finished)
    mine = {study for study in STUDIES if shard_of(study, SHARDS) == SHARD}
    made = all_tiffs(project.results)
    expected = {name: made[name] for name in made if Path(name).parts[-2] in mine}
    part = f"shards/{SHARD}-of-{SHARDS}"
    of_shard = Template(
        project, in_shard(SHARD), expected, {part: all_tables(project.results, part)}
    )
    gathering = Project(finished, config=project.config)
    gather = ("--config", f"gather={SHARDS}")
    gathering.run(*gather)
    of_all = Template(gathering, gather, made, all_tables(gathering.results))
    for name in (
        "manifest.csv",
        "manifest.parquet",
        "report.html",
        "retry.txt",
        "receipts/summary.json",
    ):
        (gathering.results / name).unlink()
    for name in TABLES:
        (gathering.results / name).unlink()
    for name in expected:
        shutil.rmtree((project.results / name).parent, ignore_errors=True)
    for receipts in (project.results / "receipts").iterdir():
        for study in mine:
            (receipts / f"{study}.jsonl").unlink()
    shutil.rmtree(project.results / part)
    return [of_shard, of_shard, of_shard, of_all]


def leftovers(project):
    """What only a killed run has: locks, partial and temporary files.

    Snakemake's marks of unfinished jobs are not of them: it does not look for those behind a
    checkpoint. Nor is the empty folder that it makes at each start.
    """
    folders = (project.folder, *project.results.glob("shards/*"))
    left = [path for folder in folders for path in (folder / ".snakemake/locks").glob("*")]
    hidden = project.results.rglob(".*")
    left += [
        path
        for path in hidden
        if path.name not in (".snakemake", ".snakemake_timestamp")
        and ".snakemake" not in path.parent.parts
    ]
    temporary = (project.folder.parent / "tmp").iterdir()
    left += [path for path in temporary if not path.name.startswith("snakemake")]
    return [str(path.relative_to(project.folder.parent)) for path in left]


def compare(project, template, tally):
    """Compare the results of a project with those of an undisturbed one."""
    found = all_tiffs(project.results)
    tally.lost += [name for name in template.expected if name not in found]
    tally.different += [
        name
        for name in template.expected
        if found.get(name, b"") not in (b"", template.expected[name])
    ]
    for name, content in template.tables.items():
        part = content if isinstance(content, dict) else None
        now = all_tables(project.results, name) if part else all_tables(project.results)[name]
        if now != content:
            tally.different.append(name)


def kill_and_rerun(template, folder, environment, chance, tally):
    """Kill a process of a run, run again, compare and clean up."""
    project = template.copy_to(folder)
    (folder / "tmp").mkdir()
    environment = environment | {"TMPDIR": str(folder / "tmp")}
    watched = (
        project.command(*template.arguments),
        *(project.folder, environment, project.results, template.expected, tally),
    )
    killer = Killer(chance, len(template.expected), SECONDS_BEFORE_IMAGES)
    killed, _ = WatchedRun(*watched).run(killer)
    LOG.debug("%s", killer.what)
    status, said = WatchedRun(*watched).run()
    assert status == 0, (killer.what, killed, said)
    bad = len(tally.bad)
    compare(project, template, tally)
    tally.left += leftovers(project)
    if len(tally.bad) > bad:
        LOG.warning("%s; %s; %s", killer.what, tally.bad[bad:], said)
    shutil.rmtree(folder)


@pytest.mark.parametrize("kind", KINDS if KILLS else QUICK, ids="-".join)
def test_plain_run_finishes_what_was_killed(templates, tmp_path, kind):
    keep, server, place = kind
    made, tally = templates(keep, place), Tally()
    chance = random.Random(f"{SEED} {kind}")
    try:
        for number in range(KILLS or 2):
            template = made[number % len(made)]
            kill_and_rerun(template, tmp_path / str(number), SERVERS[server], chance, tally)
    finally:  # also of a sweep that is stopped
        LOG.info("%s: %s", "-".join(kind), tally)
    assert tally.bad == []
