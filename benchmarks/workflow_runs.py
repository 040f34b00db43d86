"""What the workflow takes beside the command: studies of CT slices, through both in turn.

Runs over many and over few studies, so that what is once in a run can be told from what each image
takes. Times of jobs are those that Snakemake records with their outputs.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import commands
import floors
import images
import startup
import studies
from commands import CORES, REFERENCE, Used, cell
from dicom_preprocessing.dicom.reading import read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from commands import Program

MANY, FEW = 20, 2
SLICES, SLICES_IF_QUICK = 100, 12
WORKFLOW, COMMAND = "workflow", "command"
CONFIG = ("--config", "crop=True", "crop_max=True", "size=384,512")
"""As ``images.LIKE_SETTINGS``."""

AFTER_STUDIES = ("manifest", "report", "verdict")
PHASES = ("start", "index", "studies", "tables", "end")

WAIT_FOR_ALL = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
code = subprocess.call(sys.argv[1:])
try:
    while True:
        os.wait()
except ChildProcessError:
    sys.exit(code)
"""
"""A command whose daemons are waited for too: jobs are forked from one, and their time would be
lost. It ends with Snakemake."""


@dataclass(frozen=True)
class Through:
    """A way for the studies: wall time of whole runs in s, and ms of one more image."""

    name: str
    many_s: float
    few_s: float
    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True)
class WorkflowCost:
    """The ways by name, shares of an image of the workflow, and s of its phases.

    ``main_cpu_s`` is CPU time of Snakemake's main process, of many and of few studies.
    """

    slices: int
    ways: dict[str, Through]
    shares: floors.Shares
    many_phases: dict[str, float] = field(default_factory=dict)
    few_phases: dict[str, float] = field(default_factory=dict)
    main_cpu_s: tuple[float, float] = (0.0, 0.0)

    def ratios(self, above: str, below: str) -> dict[str, float]:
        """Time of one way over that of another: of whole runs, and of one more image."""
        a, b = self.ways[above], self.ways[below]
        return {"total": a.many_s / b.many_s, "marginal": a.wall_ms / b.wall_ms}

    def all_ratios(self) -> dict[str, dict[str, float]]:
        """Those of the workflow over the command, and of the reference program over both."""
        pairs = [(WORKFLOW, COMMAND), (REFERENCE, COMMAND), (REFERENCE, WORKFLOW)]
        return {f"{a} over {b}": self.ratios(a, b) for a, b in pairs if a in self.ways}

    def record(self) -> dict[str, object]:
        """All figures, for JSON."""
        return asdict(self) | {"shares": self.shares.record(), "ratios": self.all_ratios()}


class WorkflowRuns:
    """Runs of the workflow, each in a new folder, and what they recorded, by source.

    ``counts`` has the number of images of each source.
    """

    def __init__(self, folder: Path, counts: Mapping[Path, int]) -> None:
        self.folder, self.counts = folder, counts
        self.phases: dict[Path, list[dict[str, float]]] = {}
        self.main_cpu: dict[Path, list[float]] = {}

    def run(self, source: Path) -> Used:
        """Run the workflow, as ``studies`` does."""
        if self.folder.exists():
            floors.put_aside(self.folder)
        self.folder.mkdir()
        place = self.folder / "used.json"
        options = ("-s", str(studies.CHECKOUT / "Snakefile"), *CONFIG, f"source={source}")
        arguments = ("--cores", str(CORES), "--quiet", "all", "--directory", str(self.folder))
        snakemake = [sys.executable, "-c", studies.RUN, str(place), *options, *arguments]
        words = [sys.executable, "-c", WAIT_FOR_ALL, *snakemake]
        start = time.time()
        used = Used(*startup.time_of(words, commands.ENVIRONMENT))
        end = start + used.wall / 1000
        commands.require_images(self.folder / "results" / "images", self.counts[source])
        records = read_records(self.folder / ".snakemake" / "metadata")
        self.phases.setdefault(source, []).append(phases_of(records, start, end))
        self.main_cpu.setdefault(source, []).append(json.loads(place.read_text())["cpu"])
        return used

    def median_phases(self, source: Path) -> dict[str, float]:
        """Medians of all runs over a source."""
        found = self.phases[source]
        return {name: statistics.median(one[name] for one in found) for name in PHASES}


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """What Snakemake recorded of each output."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield json.loads(path.read_text())


def phases_of(records: Iterable[Mapping[str, Any]], start: float, end: float) -> dict[str, float]:
    """Seconds of each phase of a run, whose sum is all of it.

    Parameters
    ----------
    records : iterable of mappings
        With ``rule``, ``starttime`` and ``endtime`` in seconds since 1970.
    start, end : float
        Of the process, likewise.
    """
    known = list(records)
    started = min(record["starttime"] for record in known)
    indexed = max(record["endtime"] for record in known if record["rule"] == "index")
    processed = max(record["endtime"] for record in known if record["rule"] not in AFTER_STUDIES)
    finished = max(record["endtime"] for record in known)
    edges = (start, started, indexed, processed, finished, end)
    return {
        name: after - before
        for name, before, after in zip(PHASES, edges[:-1], edges[1:], strict=True)
    }


def make_studies(folder: Path, *, scale: float, slices: int) -> dict[Path, int]:
    """Make folders of many and of few studies, copies of one; return their numbers of images."""
    files = images.files_of(
        "ct:explicit", folder / "one", scale=scale, studies=1, frame_scale=slices / 100
    )
    contents = [file.read_bytes() for file in files[:slices]]
    headers = [read_header(file) for file in files[:slices]]
    many, few = folder / "many", folder / "few"
    for number in range(MANY):
        for place in (many, few)[: 2 if number < FEW else 1]:
            (place / f"{number:02d}").mkdir(parents=True)
        for index, (content, header) in enumerate(zip(contents, headers, strict=True)):
            copy = content
            for uid in (
                header.study_instance_uid,
                header.series_instance_uid,
                header.sop_instance_uid,
            ):
                copy = copy.replace(uid.encode(), f"{uid[:-6]}{number:06d}".encode())
            path = many / f"{number:02d}" / f"{index:03d}.dcm"
            path.write_bytes(copy)
            if number < FEW:
                os.link(path, few / path.relative_to(many))
    shutil.rmtree(folder / "one")
    return {many: MANY * len(contents), few: FEW * len(contents)}


def measure(folder: Path, *, reference: Path | None, passes: int, quick: bool) -> WorkflowCost:
    """Measure the workflow, the command and the reference program on the same studies."""
    slices, scale = (SLICES_IF_QUICK, 0.3) if quick else (SLICES, 1.0)
    counts = make_studies(folder, scale=scale, slices=slices)
    many, few = counts
    output, runs = folder / "images", WorkflowRuns(folder / "run", counts)
    programs: dict[str, Program] = {
        WORKFLOW: runs.run,
        COMMAND: lambda source: commands.run(
            commands.own_command(source, output, jobs=CORES), output, images=counts[source]
        ),
    }
    if reference is not None:
        programs[REFERENCE] = lambda source: commands.run(
            commands.reference_command(reference, source, output), output, images=counts[source]
        )
    found = commands.in_turn(programs, list(counts), passes)
    more = counts[many] - counts[few]
    ways = {name: through(name, *used, images=more) for name, used in found.items()}
    shares = images.shares_of(few, output, passes=passes)
    return WorkflowCost(
        slices=slices,
        ways=ways,
        shares=replace(
            shares,
            total_ms=ways[WORKFLOW].cpu_ms,
            snakemake_ms=ways[WORKFLOW].cpu_ms - ways[COMMAND].cpu_ms,
        ),
        many_phases=runs.median_phases(many),
        few_phases=runs.median_phases(few),
        main_cpu_s=(statistics.median(runs.main_cpu[many]), statistics.median(runs.main_cpu[few])),
    )


def through(name: str, many: Sequence[Used], few: Sequence[Used], *, images: int) -> Through:
    """Medians of the passes of one way."""
    one = commands.marginal(many, few, images=images)
    whole = [statistics.median(used.wall for used in runs) / 1000 for runs in (many, few)]
    return Through(name, *whole, one.wall, one.cpu)


def table(cost: WorkflowCost) -> Iterator[str]:
    """The figures as text."""
    head = (f"CT, {cost.slices} slices", f"{MANY} studies s", f"{FEW} studies s")
    yield "{:<20}{:>13}{:>13}{:>9}{:>9}".format(*head, "wall ms", "CPU ms")
    for way in cost.ways.values():
        yield (
            f"{way.name:<20}{way.many_s:>13.2f}{way.few_s:>13.2f}{way.wall_ms:>9.2f}"
            f"{way.cpu_ms:>9.2f}"
        )
    for name, ratio in cost.all_ratios().items():
        yield f"{name}: {ratio['total']:.2f} in all, {ratio['marginal']:.2f} of one more image"
    yield f"{'one more image':<28}{floors.HEAD}{'Snakemake':>11}"
    yield f"{WORKFLOW:<28}{cost.shares.cells()}{cell(cost.shares.snakemake_ms, 11)}"
    yield f"{'phases, s':<20}{''.join(f'{name:>9}' for name in PHASES)}{'Snakemake CPU':>15}"
    rows = (MANY, cost.many_phases, cost.main_cpu_s[0]), (FEW, cost.few_phases, cost.main_cpu_s[1])
    for count, phases, main_cpu in rows:
        cells = "".join(f"{phases[name]:>9.2f}" for name in PHASES)
        yield f"{f'{count} studies':<20}{cells}{main_cpu:>15.2f}"
