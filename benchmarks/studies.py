"""What the workflow costs beside the pixels: studies of one tiny image, and jobs that do nothing.

Snakemake's own cost is the CPU time of its main process; `mkdir` jobs in a bare workflow of as many
jobs are what it cannot go below.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import images
from dicom_preprocessing.dicom.reading import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHECKOUT = Path(__file__).resolve().parents[1]
CONFIG = ("--config", "size=32,32")
GREEDY = ("--scheduler", "greedy", "--scheduler-subsample", "32")
BARE = """
rule all:
    input: expand("o/{{i}}", i=range({studies}))
rule bare:
    output: directory("o/{{i}}")
    shell: "mkdir {{output}}"
"""
RUN = """
import json, resource, sys
from snakemake.cli import main
place, sys.argv = sys.argv[1], ["snakemake", *sys.argv[2:]]
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    held = {"cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}
    open(place, "w").write(json.dumps(held))
"""
"""Snakemake, which writes down at its end what its main process took."""


@dataclass(frozen=True)
class Cost:
    """Of one run: ms a study of CPU time of Snakemake's main process, and of wall time."""

    workflow: str
    run: str
    studies: int
    main_ms: float
    wall_ms: float
    peak_mb: float


def make_studies(folder: Path, count: int) -> None:
    """Studies of one 64x64 image each: copies of one, with other UIDs of the same length."""
    (template,) = images.files_of("mammo:explicit", folder / "one", scale=0.02, studies=1, views=1)
    content = template.read_bytes()
    header = read_header(template)
    for number in range(count):
        copy = content
        for uid in (header.study_instance_uid, header.sop_instance_uid):
            other = f"{uid[:-6]}{number:06d}"
            copy = copy.replace(uid.encode(), other.encode())
        path = folder / "source" / f"{number // 1000:03d}" / f"{number:06d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(copy)


def costs_of(folder: Path, count: int) -> Iterator[Cost]:
    """A full run and one with nothing to do: bare, as it is, and with Snakemake unchanged."""
    make_studies(folder, count)
    (folder / "bare.smk").write_text(BARE.format(studies=count))
    source = f"source={folder / 'source'}"
    this = ["-s", str(CHECKOUT / "Snakefile"), *CONFIG, source]
    commands = {
        "bare": ["-s", str(folder / "bare.smk"), *GREEDY],
        "this": this,
        "unchanged": this,
    }
    for name, options in commands.items():
        (folder / name).mkdir()
        for run in ("full", "no-op"):
            arguments = ["--cores", "2", "--quiet", "all", "--directory", str(folder / name)]
            os.environ["DP_UNCHANGED_SNAKEMAKE"] = str(int(name == "unchanged"))
            yield _measure(folder / "used.json", [*options, *arguments], name, run, count)


def _measure(place: Path, arguments: Sequence[str], name: str, run: str, count: int) -> Cost:
    start = time.perf_counter()
    command = [sys.executable, "-c", RUN, str(place), *arguments]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    wall, used = time.perf_counter() - start, json.loads(place.read_text())
    return Cost(name, run, count, 1000 * used["cpu"] / count, 1000 * wall / count, used["peak_mb"])


def table(costs: Sequence[Cost]) -> Iterator[str]:
    """The costs as text."""
    head = ("workflow", "run", "studies", "Snakemake ms", "wall ms", "Snakemake MB", "ratio")
    yield "{:<10}{:<8}{:>9}{:>14}{:>10}{:>14}{:>8}".format(*head)
    bare = {(c.run, c.studies): c.main_ms for c in costs if c.workflow == "bare"}
    for c in costs:
        yield (
            f"{c.workflow:<10}{c.run:<8}{c.studies:>9}{c.main_ms:>14.1f}{c.wall_ms:>10.1f}"
            f"{c.peak_mb:>14.0f}{c.main_ms / bare[c.run, c.studies]:>8.2f}"
        )
