"""Errors of the file system at every call that reads or writes, in every command and job.

A library between Python and the system (failing_calls.c) has one call fail, or all from one on:
no space, no quota, read-only, no permission, a stale handle, an error of the disk. Whatever fails,
and in whichever folder:

- a command fails with a message that says what happened to which path and what to do; or the
  source file is recorded as unreadable and the others are written; or nothing is different;
- no image is partial, no hidden file remains after the next command, and what was there before is
  still there, or is replaced by the whole new one;
- the same command without an error makes what an undisturbed one makes.

Not tried are files that are not ours: those of Snakemake (.snakemake) and of Python's modules.
Calls of Snakemake's own process fail only in a test of their own, in which Snakemake may end as it
does, with its own messages, as long as none of them comes out of this package.

DP_IO_ERRORS tells how many errors; `make faults` tries more.
"""

import csv
import errno
import logging
import os
import random
import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.faults.failing_calls import (
    ALWAYS,
    CLASSES,
    NOT_SNAKEMAKE,
    SNAKEMAKE_ALONE,
    Commands,
    Fault,
    FaultPage,
)
from tests.workflow.conftest import Project
from tests.workflow.tiny import BLANK, instance, save

LOG = logging.getLogger(__name__)

ERRORS = int(os.environ.get("DP_IO_ERRORS", "15"))
SEED = os.environ.get("DP_IO_SEED", "1")

READING = (errno.EIO, errno.ESTALE)
LOOKING = (*READING, errno.EACCES)
FULL = (errno.ENOSPC, errno.EDQUOT)
ERRORS_OF = {
    "open": LOOKING,
    "read": READING,
    "write": (*FULL, *READING, errno.EROFS),
    "sync": (*FULL, *READING),
    "rename": (*FULL, *LOOKING, errno.EROFS),
    "make": (*FULL, *LOOKING, errno.EROFS),
    "remove": (*LOOKING, errno.EROFS),
    "list": LOOKING,
    "status": LOOKING,
    "close": (*FULL, *READING),
    "cut": (*FULL, *READING),
}
"""What the system may say to a call of each class."""

PARTIAL = re.compile(r"\.(.+)\.[0-9a-f]{32}")
TABLES = ("*.csv", "verdict.txt", "retry.txt", "orphans.txt", "*.json")
NOT_COMPARED = ("inode",)
TABLES_OF_A_RUN = ("manifest.csv", "failures.csv", "slices.csv", "warnings.csv", "retry.txt")


@dataclass(frozen=True)
class Scenario:
    """A command in a folder of its own, and the folders in which calls of it fail."""

    name: str
    command: str
    words: tuple[str, ...]
    folders: tuple[str, ...]
    has_earlier_results: bool = False

    def __str__(self):
        return self.name


JOBS = '{"source": "{case}/source", "output": "{case}/out", "crop": true, "keep": {keep}}'
PREPROCESS = ("{case}/source", "{case}/out", "-q", "-j", "2", "--crop")
WRITING = ("source", "out", "tmp")
READ_TREE = ("tree", "out")
SCENARIOS = (
    Scenario("preprocess", "dicom-preprocess", PREPROCESS, WRITING),
    Scenario("preprocess again", "dicom-preprocess", PREPROCESS, WRITING, True),
    Scenario(
        "preprocess a file",
        "dicom-preprocess",
        ("{case}/source/a/2.dcm", "{case}/out/2.tiff"),
        WRITING,
    ),
    Scenario("validate", "dicom-validate", ("{case}/source/a/1.dcm",), ("source",)),
    Scenario(
        "validate two",
        "dicom-validate",
        ("{case}/source/a/1.dcm", "{case}/source/b/1.dcm"),
        ("source",),
    ),
    Scenario("manifest", "dicom-manifest", ("{case}/tree/images", "{case}/out/new.csv"), READ_TREE),
    Scenario(
        "parquet",
        "dicom-manifest",
        ("{case}/tree/images", "{case}/out/new.parquet"),
        (*READ_TREE, "tmp"),
    ),
    Scenario("stats", "tiff-stats", ("{case}/tree", "--json", "{case}/out/s.json"), READ_TREE),
    Scenario("resize", "tiff-resize", ("{case}/tree", "{case}/out", "-s", "8,8"), READ_TREE),
    Scenario(
        "combine",
        "tiff-combine",
        ("{case}/slices", "{case}/out", "--force", "--source", "{case}/source/a"),
        ("source", "slices", "out"),
    ),
    Scenario("API", "API", ("{case}/tree", "{case}/source/a/1.dcm"), ("tree", "source")),
    Scenario("jobs", "jobs", (JOBS.replace("{keep}", "[]"),), WRITING),
    Scenario("jobs again", "jobs", (JOBS.replace("{keep}", "[]"),), WRITING, True),
    Scenario("kept stages", "jobs", (JOBS.replace("{keep}", '["decode", "crop"]'),), WRITING),
    Scenario(
        "kept stages again", "jobs", (JOBS.replace("{keep}", '["decode", "crop"]'),), WRITING, True
    ),
)


def make_source(folder):
    """Two studies, one file of several frames, one with a warning, and one that is no DICOM."""
    for number in (1, 2):
        save(instance("1.2.1", number), folder / "a" / f"{number}.dcm")
    frames = b"".join(instance("1.2.2", number).PixelData for number in range(3))
    save(instance("1.2.2", 1, NumberOfFrames=3, PixelData=frames), folder / "b" / "1.dcm")
    save(instance("1.2.2", 2, PixelData=BLANK), folder / "b" / "2.dcm")
    (folder / "b" / "notes.txt").write_text("not DICOM\n")


@dataclass
class Case:
    """The folder in which a command runs: source, a finished tree, output, temporary files."""

    folder: Path
    templates: Path
    commands: Commands
    page: FaultPage

    def prepare(self, scenario):
        """Make the folder anew."""
        self.page.set()
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("work", "tmp"):
            (self.folder / name).mkdir(parents=True)
        for name in ("source", "tree", "slices"):
            shutil.copytree(self.templates / name, self.folder / name)
        earlier = self.templates / scenario.name
        if scenario.has_earlier_results:
            if earlier.is_dir():
                shutil.copytree(earlier, self.folder / "out")
            # The last of the files comes later, and another one is no longer there.
        else:
            (self.folder / "out").mkdir()

    def make_earlier_results(self, scenario):
        """Run without some files, so that the command has something to do and to replace."""
        self.prepare(replace(scenario, has_earlier_results=False))
        for path in ("a/2.dcm", "b/notes.txt"):
            (self.folder / "source" / path).unlink()
        ended = self.run(scenario)
        assert ended.status == 0, ended
        shutil.copytree(self.folder / "out", self.templates / scenario.name)

    def run(self, scenario):
        words = [word.replace("{case}", str(self.folder)) for word in scenario.words]
        return self.commands.run(
            scenario.command, *words, folder=self.folder / "work", temporary=self.folder / "tmp"
        )

    def images(self):
        out = self.folder / "out"
        return {
            str(path.relative_to(out)): path.read_bytes()
            for path in sorted(out.rglob("*.tiff"))
            if not any(PARTIAL.fullmatch(part) for part in path.relative_to(out).parts)
        }

    def tables(self):
        """Tables by name, without columns that differ between runs."""
        return tables_of(self.folder / "out")

    def hidden(self):
        """Hidden files and folders of partial results, temporary files, and locks that are left."""
        found = (*(self.folder / "out").rglob(".*"), *(self.folder / "tmp").iterdir())
        return sorted(str(path.relative_to(self.folder)) for path in found)


def tables_of(folder):
    """Tables of a folder by name, without columns that differ between runs."""
    paths = (path for pattern in TABLES for path in sorted(folder.glob(pattern)))
    return {path.name: comparable(path) for path in paths}


def comparable(path):
    if path.suffix in {".json", ".txt"}:
        return path.read_text()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in NOT_COMPARED} for row in rows]


@dataclass
class Expected:
    """What an undisturbed command gives, and how many calls it makes, by folder and class."""

    status: int
    output: str
    images: dict
    tables: dict
    earlier: dict
    calls: dict


@dataclass
class Tally:
    """How everything ended."""

    endings: Counter = field(default_factory=Counter)
    by_call: Counter = field(default_factory=Counter)
    by_errno: Counter = field(default_factory=Counter)
    complaints: list = field(default_factory=list)

    def add(self, fault, ending, failed):
        self.endings[ending] += 1
        if failed:
            self.by_call[fault.call] += 1
            self.by_errno[errno.errorcode[fault.error]] += 1

    def __str__(self):
        def listed(counter):
            return ", ".join(f"{name} {number}" for name, number in counter.most_common())

        return (
            f"{self.endings.total()} errors: {listed(self.endings)}; "
            f"by call: {listed(self.by_call)}; by error: {listed(self.by_errno)}; "
            f"{len(self.complaints)} complaints"
        )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return FaultPage(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def memory_folder():
    """A folder in memory where there is one: syncing to a disk takes nearly all of the time."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    # A blank in the path on purpose.
    with tempfile.TemporaryDirectory(prefix="io errors ", dir=parent) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def case(page, memory_folder):
    """The folder of all cases."""
    folder = memory_folder
    commands = Commands(page)
    made = Case(folder / "case", folder / "templates", commands, page)
    make_source(made.templates / "source")
    for name in ("tree", "slices"):
        (made.templates / name).mkdir()
    (jobs,) = (s for s in SCENARIOS if s.name == "jobs")
    made.prepare(jobs)
    ended = made.run(jobs)
    assert ended.status == 0, ended
    shutil.rmtree(made.templates / "tree")
    shutil.copytree(made.folder / "out", made.templates / "tree")
    options = ("{case}/source/a", "{case}/out", "-q")
    slices = Scenario("slices", "dicom-preprocess", options, ())
    made.prepare(slices)
    assert made.run(slices).status == 0
    shutil.rmtree(made.templates / "slices")
    shutil.copytree(made.folder / "out", made.templates / "slices")
    yield made
    page.set()
    commands.close()


def expect(case, scenario, folders):
    """Run undisturbed, and count calls in some folders."""
    if scenario.has_earlier_results and not (case.templates / scenario.name).exists():
        case.make_earlier_results(scenario)
    calls = {}
    for folder in folders:
        case.prepare(scenario)
        earlier = case.tables()
        case.page.set(case.folder / folder)
        ended = case.run(scenario)
        calls |= {(folder, call): n for call, n in case.page.counts.items() if n}
    assert "Traceback" not in ended.output, ended
    case.page.set()
    assert case.hidden() == [], scenario
    return Expected(ended.status, ended.output, case.images(), case.tables(), earlier, calls)


def choose(chance, expected):
    """A fault: folders and classes of calls with the same chance, however many calls there are."""
    folder, call = chance.choice(sorted(expected.calls))
    number = chance.randint(1, expected.calls[folder, call])
    times = chance.choice((1, 1, ALWAYS))
    return Fault(call, number, chance.choice(ERRORS_OF[call]), times, folder=folder)


def is_named(path, case, said):
    """Whether a message has the path, as the user knows it, or that of its folder."""
    path = path.removesuffix(" (deleted)")
    if path.startswith(str(case.folder / "tmp")):
        return "TMPDIR" in said or str(case.folder / "tmp") in said
    parts = [
        PARTIAL.sub(r"\1", part) for part in Path(path).parts if not part.startswith(".tables.")
    ]
    # What is hidden is ours: its folder is what the user knows.
    own = range(len(case.folder.parts) + 1, len(parts))
    parts = parts[: next((i for i in own if parts[i].startswith((".", "#"))), len(parts))]
    known = Path(*parts)
    return str(known) in said or (known.parent != case.folder and str(known.parent) in said)


@dataclass
class Disturbed:
    """A command of which a call failed: what it said and what is there after it."""

    scenario: Scenario
    expected: Expected
    fault: Fault
    status: int
    output: str
    left: bool
    failed: int
    path: str
    images: dict
    tables: dict

    @property
    def said(self):
        """What is on the screen and in failures.csv."""
        return f"{self.output}\n{self.rows}"

    @property
    def rows(self):
        return "\n".join(map(str, self.tables.get("failures.csv") or ()))

    @property
    def is_recorded(self):
        """Whether a source file has a row that has it tried again."""
        return "'transient': 'true'" in self.rows

    @property
    def is_same(self):
        """Whether results, and what the API gives, are those of an undisturbed command."""
        same = (self.images, self.tables) == (self.expected.images, self.expected.tables)
        return same and (self.scenario.command != "API" or self.output == self.expected.output)

    @property
    def ending(self):
        if not self.failed:
            return "not reached"
        if self.status not in (0, self.expected.status):
            return "message"
        return "harmless" if self.is_same else "file recorded"

    def names_path(self, case):
        """Whether it named the path of the call that failed, or of a later one that failed too."""
        is_named_later = self.fault.times == ALWAYS and (
            str(case.folder / self.fault.folder) in self.said
        )
        return is_named_later or is_named(self.path, case, self.said)

    def find_problems(self, case):
        """Whatever is not as promised."""
        statuses = (0, 1, 2) if self.scenario.command == "dicom-validate" else (0, 1)
        if self.status not in statuses:
            yield f"status {self.status}"
        for word in ("Traceback", "internal_error", "codec_crash"):
            if word in self.said:
                yield word
        if self.left:
            yield "process left"
        for name, content in self.images.items():
            if content != self.expected.images.get(name):
                yield f"partial or unexpected image {name}"
        if self.ending == "not reached" and not self.is_same:
            yield "another result without an error"
        if self.ending == "file recorded" and not self.is_recorded:
            yield "results are different, and nothing is recorded"
        if self.ending in ("file recorded", "message") and not self.names_path(case):
            yield f"path {self.path} is not named"
        if self.ending == "message" and "What to do: " not in self.said:
            yield "no remedy"
        for name, before in self.expected.earlier.items():
            # The verdict is withdrawn before anything is changed.
            is_one = self.tables.get(name) in (before, self.expected.tables.get(name))
            if name != "verdict.txt" and not is_one and not self.is_recorded:
                yield f"{name} of before is lost or changed"


def disturb(case, scenario, expected, fault):
    """Run a command under a fault."""
    case.prepare(scenario)
    case.page.set(case.folder / fault.folder, fault)
    ended = case.run(scenario)
    failed, path = case.page.failed, case.page.failed_path
    case.page.set()
    results = case.images(), case.tables()
    how = ended.status, ended.output, ended.left, failed, path
    return Disturbed(scenario, expected, fault, *how, *results)


def find_problems_of_next(case, scenario, expected, fault):
    """Run the command again, without a fault, and yield whatever is not as if undisturbed."""
    ended = case.run(scenario)
    if ended.status != expected.status:
        yield f"next run: status {ended.status}: {ended.output}"
    if case.images() != expected.images:
        yield "next run: other images"
    tables = case.tables()
    names = {*tables, *expected.tables}
    if different := [name for name in names if tables.get(name) != expected.tables.get(name)]:
        yield f"next run: other {different}"
    # What tempfile could not remove from TMPDIR has random names, so nobody knows it any more.
    hidden = case.hidden()
    if left := [p for p in hidden if fault.folder != "tmp" or not p.startswith("tmp/")]:
        yield f"next run: left {left}"
    if ended.left:
        yield "next run: process left"


def examine(case, scenario, expected, fault, tally):
    """Run under a fault, and once more without; problems are added to the tally."""
    disturbed = disturb(case, scenario, expected, fault)
    problems = list(disturbed.find_problems(case))
    problems += find_problems_of_next(case, scenario, expected, fault)
    tally.add(fault, disturbed.ending, disturbed.failed)
    if problems:
        tally.complaints.append(
            f"{scenario}: {fault} at {disturbed.path}: {'; '.join(problems)}\n"
            f"    {disturbed.output.strip()}"
        )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_any_error_gives_a_message_and_the_next_command_completes(case, scenario):
    chance = random.Random(f"{SEED} {scenario.name}")
    times = max(1, ERRORS // len(SCENARIOS))
    # To count in all folders takes longer than a single error.
    folders = scenario.folders if times > 1 else (chance.choice(scenario.folders),)
    expected = expect(case, scenario, folders)
    tally = Tally()
    for _ in range(times):
        examine(case, scenario, expected, choose(chance, expected), tally)
    LOG.info("%s: %s\n%s", scenario, tally, "\n".join(tally.complaints))
    assert not tally.complaints, "\n".join(tally.complaints)
    assert set(CLASSES) >= {call for _, call in expected.calls}


RUNS = ERRORS // 10 if len(SCENARIOS) < ERRORS else 0


@pytest.fixture(scope="module")
def started(page, memory_folder):
    """A project whose run is disturbed, results of before and after, and the calls of a run."""
    page.set()
    folder = memory_folder / "runs" / "project"
    make_source(folder / "source")
    config = {"source": "source", "crop": True, "keep": ["decode"]}
    project = Project(folder, config=config, environment=page.environment)
    later = folder / "source" / "a" / "2.dcm"
    content, status = later.read_bytes(), later.stat()
    later.unlink()
    project.run()
    later.write_bytes(content)
    os.utime(later, ns=(status.st_mtime_ns, status.st_mtime_ns))
    before = folder.with_name("before")
    shutil.copytree(folder, before)
    calls = {}
    for process in (NOT_SNAKEMAKE, SNAKEMAKE_ALONE):
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
        page.set(folder, process=process)
        project.run()
        calls |= {(process, call): number for call, number in page.counts.items() if number}
    page.set()
    return project, before, calls


def innermost_files(output):
    """Of each traceback, the file of the code that raised."""
    tracebacks = output.split("Traceback (most recent call last)")[1:]
    return [re.findall(r'File "?([^",\n]+)"?, line', text)[-1:] for text in tracebacks]


@pytest.mark.skipif(not RUNS, reason="takes half a minute; DP_IO_ERRORS=30 or more runs it")
def test_any_error_of_a_whole_run_is_explained_and_the_next_run_completes(started, page):
    project, before, calls = started
    expected, tables = project.images(), tables_of(project.results)
    earlier = tables_of(before / "results")
    chance = random.Random(f"{SEED} runs")
    tally = Tally()
    for _ in range(RUNS):
        shutil.rmtree(project.folder)
        shutil.copytree(before, project.folder)
        process, call = chance.choice(sorted(calls))
        number, code = chance.randint(1, calls[process, call]), chance.choice(ERRORS_OF[call])
        fault = Fault(call, number, code, chance.choice((1, 1, ALWAYS)), process)
        page.set(project.folder, fault)
        run = project.run(check=False)
        failed, path = page.failed, page.failed_path
        page.set()
        found, now = project.images(), tables_of(project.results)
        rows = "\n".join(map(str, now.get("failures.csv") or ()))
        problems = [f"image {n}" for n, c in found.items() if c != expected.get(n)]
        problems += [
            f"{name} is lost or changed"
            for name in TABLES_OF_A_RUN
            if now.get(name) not in (earlier[name], tables[name]) and "'true'" not in rows
        ]
        ours = [f for f in innermost_files(run.output) if "dicom_preprocessing" in "".join(f)]
        if ours or (process == NOT_SNAKEMAKE and "Traceback" in run.output):
            problems.append(f"traceback {ours}")
        is_told = re.search(r"^error: .*What to do: ", run.output, re.MULTILINE)
        if run.returncode and process == NOT_SNAKEMAKE and not is_told and "/logs/" not in path:
            problems.append("no remedy")
        if not run.returncode and (found != expected or now != tables) and "'true'" not in rows:
            problems.append("other results, and nothing is recorded")
        again = project.run(check=False)
        if again.returncode or project.images() != expected:
            problems.append(f"next run: {again.returncode} {again.output}")
        if any(now != tables[n] for n, now in tables_of(project.results).items()):
            problems.append("next run: other tables")
        if left := [p for p in project.results.rglob(".*") if p.name != ".snakemake_timestamp"]:
            problems.append(f"next run: left {left}")
        who = "snakemake" if process == SNAKEMAKE_ALONE else "jobs"
        ending = ("harmless", "run failed")[min(1, run.returncode)] if failed else "not reached"
        tally.endings[f"{who}: {ending}"] += 1
        if failed:
            tally.by_call[call] += 1
            tally.by_errno[errno.errorcode[code]] += 1
        if problems:
            tally.complaints.append(f"{who}, {fault} at {path}: {problems}\n{run.output}")
    LOG.info("whole runs: %s\n%s", tally, "\n".join(tally.complaints))
    assert not tally.complaints, "\n".join(tally.complaints)
