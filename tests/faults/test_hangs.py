"""Sources on file systems that do not answer: what is lost, what goes on, and what ends."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dicom_preprocessing.index.walk import find_files
from tests.faults.hanging import build_hanging_calls, dead_mount, take_request
from tests.workflow.conftest import Project, rows
from tests.workflow.tiny import instance, make_source, save

SECONDS = 1

# A thread is the server of the mount; who forks beside it only asks the file system.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build_hanging_calls(tmp_path_factory.mktemp("library"))


@pytest.fixture
def mount(tmp_path):
    """A mount that takes questions and never answers them."""
    folder = tmp_path / "source" / "dead"
    folder.mkdir(parents=True)
    with dead_mount(folder) as server:

        def take_all():
            while True:
                try:
                    take_request(server)
                except OSError:
                    return

        threading.Thread(target=take_all, daemon=True).start()
        yield folder


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0content")


def test_walk_leaves_out_a_mount_that_lets_nobody_go(mount):
    touch(mount.parent / "a" / "1.dcm")
    touch(mount.parent / "z" / "2.dcm")
    begin = time.monotonic()
    found = find_files([str(mount.parent)], seconds=SECONDS)
    assert time.monotonic() - begin < SECONDS + 8
    names = [os.path.relpath(item.path, mount.parent) for item in found]
    assert names == ["a/1.dcm", "dead", "z/2.dcm"]
    assert [item.is_folder for item in found] == [False, True, False]
    assert found[1].problem.startswith("no answer of the file system for 1 second")


def test_process_ends_though_a_worker_cannot_be_killed(mount, tmp_path):
    script = f"""
import os
from dicom_preprocessing.config import Limits
from dicom_preprocessing.supervision import IsolatedCalls
with IsolatedCalls(os.path.isdir, limits=Limits(seconds=1), workers=2, chunk=1, work="read") as c:
    print([type(answer).__name__ for answer in c.map([{str(mount)!r}, "/"])])
"""
    # Not into a pipe, which that worker would keep open.
    with (tmp_path / "output").open("w") as output:
        command = [sys.executable, "-c", script]
        subprocess.run(command, stdout=output, stderr=output, timeout=60, check=True)
    assert (tmp_path / "output").read_text() == "['LimitTimeError', 'bool']\n"


def test_run_goes_on_without_a_folder_that_does_not_answer(tmp_path, library):
    project = Project(tmp_path)
    make_source(project.source, studies=2)
    save(instance("1.2.9", 1), project.source / "dead" / "1.dcm")
    project.config = {
        "source": "source",
        "limits": {"seconds": SECONDS},
        "prune": True,
        "compressor": "packbits",
    }
    project.run()
    before = project.images()
    # Relative, as the run sees it.
    project.environment = {"LD_PRELOAD": str(library), "DP_HANG_BELOW": "source/dead"}
    run = project.run()
    assert project.images() == before
    failures = {row["source_path"]: row for row in rows(project.results / "failures.csv")}
    assert failures["source/dead"]["error"] == "unreadable", run.output
    assert "no answer of the file system" in failures["source/dead"]["message"]
    assert "limits.seconds" in failures["source/dead"]["message"]
    log = (project.folder / "logs" / "manifest.log").read_text()
    assert "source/dead" in log  # nothing is pruned, and why


@pytest.mark.parametrize("output", ["out", "out.tiff"])
def test_command_says_that_its_source_does_not_answer(tmp_path, library, output):
    source = tmp_path / "source"
    make_source(source)
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("dicom-preprocess")),
            *(str(source), str(tmp_path / output), "--limit-seconds", "1"),
        ],
        env=os.environ | {"LD_PRELOAD": str(library), "DP_HANG_BELOW": str(source)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert "no answer of the file system" in run.stderr, run.stderr
