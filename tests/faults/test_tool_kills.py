"""Commands on finished trees of which a random process gets a signal at a random moment.

Whatever gets it, all processes end, no file under its final name is partial, and the next plain
call gives what an undisturbed one gives and leaves nothing hidden.

DP_TOOL_KILLS tells how many signals are sent, DP_KILL_SEED makes other choices; `make faults` sends
60.
"""

import csv
import importlib
import logging
import os
import random
import shutil
import signal
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from dicom_preprocessing.cli.command import INTERRUPTED, STOPPED
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import image_of

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="it looks into /proc")
LOG = logging.getLogger(__name__)

KILLS = int(os.environ.get("DP_TOOL_KILLS", "6"))
SEED = os.environ.get("DP_KILL_SEED", "1")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SECONDS_TO_END = 20
LOOK_SECONDS = 0.005

IMPORTED = ("results.manifest", "results.outcomes", "tools.combine", "tools.resize")
IMPORTED += ("tools.series", "tools.statistics", "workflow.run_lock")
"""Modules that calls import, before these are forked: they take longer than the calls."""

TOOLS = {
    "tiff_resize": ["tree", "out", "-s", "600,600", "-z", "deflate", "-j", "2"],
    "tiff_stats": ["tree", "--json", "out/stats.json", "-j", "2"],
    "tiff_combine": ["tree", "out", "--table", "order.csv", "-z", "deflate"],
    "manifest": ["tree", "out/manifest.csv"],
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three series of four slices of noise, and a table of their order."""
    folder = tmp_path_factory.mktemp("tools")
    recipe = make_recipe(parse_config({})[0], "write")
    chance = np.random.default_rng(1)
    rows = []
    for study, number in product("123", range(4)):
        path = folder / "tree" / study / f"{study}.{number}.tiff"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = chance.integers(0, 4096, (1, 400, 400, 1)).astype(np.uint16)
        write_tiff(path, image_of(noise), compressor="lzw", recipe=recipe)
        rows.append((f"{study}/{path.name}", number, f"{study}.9"))
    with (folder / "order.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "position", "series_instance_uid"), *rows])
    return folder


@pytest.fixture(scope="module")
def expected(source):
    """Of each tool: what an undisturbed call writes, and the seconds that it takes."""
    for name in (*(f"dicom_preprocessing.{name}" for name in IMPORTED), "pandas", "scipy.sparse"):
        importlib.import_module(name)
    made = {}
    for tool in TOOLS:
        start = time.monotonic()
        assert call(source, tool)[0] == 0
        made[tool] = list_files(source / "out"), time.monotonic() - start
        shutil.rmtree(source / "out")
    return made


def list_files(folder):
    """Content of the files by name, of tables without inodes."""
    return {
        str(path.relative_to(folder)): read_rows(path)
        if path.suffix == ".csv"
        else path.read_text("latin")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.parent.name != ".runs"
    }


def read_rows(path):
    with path.open(newline="") as file:
        return [row | {"inode": ""} for row in csv.DictReader(file)]


def call(folder, tool, disturb=None):
    """Call a tool in a session of its own; return its status and what it says.

    ``disturb`` gets its process as soon as it reads its arguments.
    """
    main = importlib.import_module(f"dicom_preprocessing.cli.{tool}").main
    (folder / "out").mkdir(exist_ok=True)
    is_ready, ready = os.pipe()
    said = folder / "said.txt"
    child = os.fork()
    if child == 0:
        run_in_child(main, TOOLS[tool], folder, said, ready)
    os.close(ready)
    os.read(is_ready, 1)
    os.close(is_ready)
    if disturb is not None:
        disturb(child)
    deadline = time.monotonic() + SECONDS_TO_END
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
        time.sleep(LOOK_SECONDS)
    while processes_of(child):
        assert time.monotonic() < deadline, "a process did not end"
        time.sleep(LOOK_SECONDS)
    return os.waitstatus_to_exitcode(ended[1]), said.read_text()


def run_in_child(main, arguments, folder, said, ready):
    parse = ArgumentParser.parse_args

    def parse_args(*arguments):
        os.write(ready, b"1")
        return parse(*arguments)

    status = 99
    try:
        os.setsid()
        os.chdir(folder)
        output = os.open(said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = os.fdopen(1, "w")
        sys.stderr = os.fdopen(2, "w")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ArgumentParser.parse_args = parse_args
        status = main(arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def processes_of(session):
    """The processes of a session that have not ended."""
    found = []
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        try:
            fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry))
    return sorted(found)


def test_next_call_finishes_what_was_killed(source, expected):
    chance, counts = random.Random(SEED), Counter()
    tools = [tool for _, tool in zip(range(KILLS), list(TOOLS) * KILLS, strict=False)]
    for number, tool in enumerate(tools):
        files, seconds = expected[tool]
        kind = SIGNALS[number % len(SIGNALS)] if KILLS < 20 else chance.choice(SIGNALS)
        delay = chance.uniform(0, 0.9 * seconds)
        victims = []

        def disturb(main, kind=kind, delay=delay, victims=victims):
            time.sleep(delay)
            processes = processes_of(main)
            if processes:
                others = processes[1:] or processes
                pick = main if chance.random() < 0.5 else chance.choice(others)
                victims.append("main" if pick == main else "worker")
                try:
                    os.kill(pick, kind)
                except ProcessLookupError:
                    victims.clear()

        status, said = call(source, tool, disturb)
        victim = victims[0] if victims else "nobody"
        what = (tool, kind.name, victim, f"after {delay:.3f} of {seconds:.3f} s", status, said)
        counts[kind.name, victim] += 1
        if victim == "main":
            ended = -kind if kind == signal.SIGKILL else INTERRUPTED
            assert status in (0, ended), what
            counts["stopped"] += status != 0
            assert status != INTERRUPTED or said.splitlines()[-1].endswith(STOPPED), what
        else:
            assert status == 0, what
        assert "Traceback" not in said, what
        found = list_files(source / "out")
        assert {name: files[name] for name in found} == found, what
        hidden = [path.name for path in (source / "out").rglob(".*")]
        counts["half an image left"] += any(".tiff." in name for name in hidden)
        assert not hidden or status == -signal.SIGKILL, (what, hidden)
        assert call(source, tool)[0] == 0, what
        assert list_files(source / "out") == files, what
        assert list((source / "out").rglob(".*")) == [], what
        shutil.rmtree(source / "out")
    LOG.info("%s signals: %s", KILLS, dict(counts))
