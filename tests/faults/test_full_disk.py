"""Runs of the workflow on disks that are too small, by a file system in memory; needs root.

Whatever does not fit, there is a message that says what to do, no image is partial, and the next
run on a larger disk makes what an undisturbed run makes. DP_FAULT_DISKS tells how many sizes.
"""

import logging
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.workflow.conftest import Project
from tests.workflow.tiny import instance, save

LOG = logging.getLogger(__name__)

DISKS = int(os.environ.get("DP_FAULT_DISKS", "1"))
KEPT = {"kept": ["decode", "crop"], "plain": []} if DISKS > 1 else {"kept": ["decode", "crop"]}
TOLD = re.compile(
    r"^error: (index|decode|crop|write|manifest|report|verdict)[,:].*"
    r"(?:No space left|disk of its log is full).* What to do: free space",
    re.MULTILINE,
)
FRAMES, ROWS, COLUMNS = 5, 90, 100
LARGE_KB = 20_000


def mount(*arguments):
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if mount("-t", "tmpfs", "-o", f"size={LARGE_KB}k", "tmpfs", str(folder)):
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def resize(disk, kb):
    assert mount("-o", f"remount,size={kb}k", str(disk)) == 0


def used_kb(disk):
    status = os.statvfs(disk)
    return (status.f_blocks - status.f_bfree) * status.f_frsize // 1024


def make_source(folder):
    for number in range(1, 4):
        random = np.random.default_rng(number)
        pixels = random.integers(1, 4096, (FRAMES, ROWS, COLUMNS)).astype("<u2")
        pixels[:, :9] = 0
        attributes = {"Rows": ROWS, "Columns": COLUMNS, "NumberOfFrames": FRAMES}
        made = instance(f"1.2.{number}", 1, PixelData=pixels.tobytes(), **attributes)
        save(made, folder / f"{number}.dcm")
        save(instance(f"1.2.{number}", 2), folder / f"{number}b.dcm")


class ProjectOnDisk(Project):
    """A project whose results, logs and temporary files are on a disk of their own."""

    @property
    def results(self):
        return Path(self.config["output"])


def start(disk, name, keep):
    folder, temporary = disk.parent / name, disk / name / "tmp"
    folder.mkdir()
    temporary.mkdir(parents=True)
    config = {
        "source": str(disk.parent / "source"),
        "output": str(disk / name / "results"),
        "crop": True,
        "keep": keep,
    }
    return ProjectOnDisk(folder, config=config, environment={"TMPDIR": str(temporary)})


def partial_files(folder):
    return [str(p) for p in folder.rglob("*") if re.fullmatch(r"\..+\.[0-9a-f]{32}", p.name)]


@pytest.mark.parametrize("keep", KEPT.values(), ids=KEPT)
def test_any_disk_gives_a_message_and_the_next_run_completes(disk, keep):
    make_source(disk.parent / "source")
    undisturbed = start(disk, "undisturbed", keep)
    undisturbed.run()
    expected, whole = undisturbed.images(), used_kb(disk)
    outcomes: Counter[str] = Counter()
    for number in range(DISKS):
        room = int(whole * (number + 0.6) / (DISKS + 0.3))
        project = start(disk, f"run-{number}", keep)
        resize(disk, used_kb(disk) + room)
        run = project.run(check=False)
        found = project.images()
        assert found.items() <= expected.items(), room
        assert partial_files(project.results) == [], room
        if run.returncode:
            told = TOLD.search(run.output)
            assert told, (room, run.output)
            assert "Traceback" not in run.output, (room, run.output)
            outcomes[told[1]] += 1
        else:
            outcomes["completed"] += 1
        resize(disk, LARGE_KB)
        project.run()
        assert project.images() == expected, room
        assert partial_files(disk) == [], room
        shutil.rmtree(project.results.parent)
    LOG.info("%s disks of %s kB and less: %s", DISKS, whole, dict(outcomes))
    assert outcomes.total() > outcomes["completed"]
