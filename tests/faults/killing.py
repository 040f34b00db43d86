"""Runs in which one process is killed, looked at all the time."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

MARK = "DP_TEST_RUN"
"""Environment variable by which every process of a run is found, also those that were detached."""

LOOK_SECONDS = 0.01
SECONDS_TO_END = 20
SECONDS_OF_A_RUN = 240


@dataclass(frozen=True)
class Process:
    """A process of a run, and what it is in it."""

    pid: int
    kind: str


def processes_of(mark):
    """Processes that have the mark in their environment, children after their parents."""
    found = {}
    for entry in sorted(filter(str.isdecimal, os.listdir("/proc")), key=int):
        try:
            folder = Path("/proc", entry)
            if mark.encode() not in (folder / "environ").read_bytes():
                continue
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has ended, or is somebody else's
            continue
        if state != "Z":
            found[int(entry)] = (words, int(parent))
    return [Process(pid, _kind_of(pid, found)) for pid in found]


def _kind_of(pid, found):
    words, parent = found[pid]
    script = next((Path(word).name for word in words if word.endswith(".py")), "")
    if "-m" in words and "snakemake" in words:
        return "snakemake"
    if script == "run_job.py" and words[1:3] == ["-I", "-S"]:
        return "client"
    if script in ("fork_server.py", "job.py"):
        above = found.get(parent)
        is_fork = above is not None and above[0] == words
        if script == "job.py":
            return "worker" if is_fork else "job"
        if not is_fork:
            return "fork server"
        return "worker" if found.get(above[1], [None])[0] == words else "job"
    return "shell"


@dataclass
class Tally:
    """What was seen in all runs."""

    kills: Counter = field(default_factory=Counter)
    images_at_kill: Counter = field(default_factory=Counter)
    looks: int = 0
    partial: list = field(default_factory=list)
    lost: list = field(default_factory=list)
    different: list = field(default_factory=list)
    left: list = field(default_factory=list)

    @property
    def bad(self):
        return [*self.partial, *self.lost, *self.different, *self.left]

    def __str__(self):
        kinds = ", ".join(f"{kind} {number}" for kind, number in self.kills.most_common())
        writing = sum(n for moment, n in self.images_at_kill.items() if moment == "writing")
        return (
            f"{self.kills.total()} kills ({kinds}), {writing} of them while images were written; "
            f"{self.looks} looks at visible TIFFs: {len(self.partial)} partial, "
            f"{len(self.lost)} lost, {len(self.different)} differences, "
            f"{len(self.left)} processes, sockets, locks or temporary files left"
        )


@dataclass
class WatchedRun:
    """A run of a project that is looked at until all of its processes have ended."""

    command: list
    folder: Path
    environment: dict
    results: Path
    expected: dict
    tally: Tally
    mark: str = field(default_factory=lambda: uuid4().hex)

    def visible(self):
        """Names of the TIFFs under final names; each is the one of an undisturbed run."""
        names = []
        for name, content in self.expected.items():
            try:
                found = (self.results / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
            self.tally.looks += 1
            names.append(name)
            if found != content:
                self.tally.partial.append(f"{name}: {len(found)} bytes of {len(content)}")
        return names

    def run(self, kill=None):
        """Run until the end; ``kill`` is asked at each look and kills a process at most once.

        Returns the exit status and what was said.
        """
        log = self.folder.with_name(f"{self.mark}.log")
        with log.open("w") as output:
            process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=os.environ | self.environment | {MARK: self.mark},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            start = time.monotonic()
            while process.poll() is None:
                seen = self.visible()
                if kill is not None and kill(seen, time.monotonic() - start, self):
                    kill = None
                if time.monotonic() - start > SECONDS_OF_A_RUN:
                    self.tally.left.append(f"{self.mark} hangs")
                    process.kill()
                time.sleep(LOOK_SECONDS)
        self.wait_for_all()
        self.visible()
        said = log.read_text()
        log.unlink()
        return process.returncode, said

    def wait_for_all(self):
        """Wait until no process of the run is there."""
        deadline = time.monotonic() + SECONDS_TO_END
        while left := processes_of(self.mark):
            if time.monotonic() > deadline:
                self.tally.left += [f"process {process.kind}" for process in left]
                for process in left:
                    os.kill(process.pid, signal.SIGKILL)
                return
            time.sleep(LOOK_SECONDS)


class Killer:
    """Kills one process of a run when so many images are there, and a moment later."""

    def __init__(self, chance: random.Random, images, seconds_before):
        self.chance = chance
        # Most kills are to be while images are written; some before the first and after the last.
        self.images = chance.randint(0, images)
        self.total = images
        longest = {0: seconds_before, images: 0.5}.get(self.images, 0.03)
        self.delay = chance.uniform(0, longest)
        self.reached = None
        self.what = "nothing was killed"

    def __call__(self, seen, elapsed, run):
        if len(seen) < self.images:
            return False
        if self.reached is None:
            self.reached = elapsed
        if elapsed - self.reached < self.delay:
            return False
        by_kind = {}
        for process in processes_of(run.mark):
            by_kind.setdefault(process.kind, []).append(process)
        if not by_kind:
            return False
        victim = self.chance.choice(by_kind[self.chance.choice(sorted(by_kind))])
        try:
            os.kill(victim.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        run.tally.kills[victim.kind] += 1
        moment = "writing" if 0 < len(seen) < self.total else "before" if not seen else "after"
        run.tally.images_at_kill[moment] += 1
        self.what = f"{victim.kind} killed {moment} images, at {len(seen)}, after {elapsed:.2f} s"
        return True
