"""What a command costs before it does anything, beside Python and the libraries that it needs.

Each command is a new process, again and again and in turn with what it is compared to; the least
time of all passes counts, since others use the machine too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHECKOUT = Path(__file__).resolve().parents[1]
SMALL_FILE = CHECKOUT / "tests/data/corpus/pydicom-data/liver_rle.dcm"
SCRIPTS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["scripts"]
"""Modules and functions of the commands."""

ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""Modules are compiled once, as those of an installed package are."""

PYTHON = "python -c 'import argparse'"
LIBRARIES = "python -c 'import numpy, pydicom, tifffile, imagecodecs'"


@dataclass(frozen=True)
class StartUp:
    """Least time of a process, ms, and how often the process beside it would fit in."""

    name: str
    beside: str
    cpu_ms: float
    wall_ms: float
    cpu_ratio: float
    wall_ratio: float


def measure(folder: Path, *, passes: int) -> list[StartUp]:
    """Start-up of all commands, and of one small file through dicom-preprocess."""
    small = [str(SMALL_FILE), str(folder / "image.tiff")]
    preprocess = command("dicom-preprocess")
    groups = {
        PYTHON: {
            PYTHON: [sys.executable, "-c", "import argparse"],
            "dicom-preprocess --version": [*preprocess, "--version"],
            **{f"{name} --help": [*command(name), "--help"] for name in SCRIPTS},
        },
        LIBRARIES: {
            LIBRARIES: [sys.executable, "-c", "import numpy, pydicom, tifffile, imagecodecs"],
            "dicom-preprocess FILE IMAGE.tiff": [*preprocess, *small],
            "dicom-preprocess FILE IMAGE.tiff --crop -s 64,64": [
                *preprocess,
                *small,
                *("--crop", "-s", "64,64"),
            ],
        },
    }
    return [row for beside, words in groups.items() for row in _in_turn(words, beside, passes)]


def command(name: str) -> list[str]:
    """Words that run a command as its console script does."""
    module, function = SCRIPTS[name].split(":")
    return [sys.executable, "-c", f"import sys; from {module} import {function}; sys.exit(main())"]


def _in_turn(commands: Mapping[str, Sequence[str]], beside: str, passes: int) -> list[StartUp]:
    least = dict.fromkeys(commands, (float("inf"), float("inf")))
    for _ in range(passes):
        for name, words in commands.items():
            cpu, wall = time_of(words)
            least[name] = min(least[name][0], cpu), min(least[name][1], wall)
    cpu, wall = least[beside]
    return [StartUp(name, beside, c, w, c / cpu, w / wall) for name, (c, w) in least.items()]


def time_of(
    words: Sequence[str], environment: Mapping[str, str] = ENVIRONMENT
) -> tuple[float, float]:
    """CPU time, of a process and its children, and wall time, ms; a RuntimeError if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    with process.stderr:
        said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {said.decode()}")
    return 1000 * (usage.ru_utime + usage.ru_stime), 1000 * wall


def table(rows: Sequence[StartUp]) -> list[str]:
    """Markdown."""
    lines = ["| process | CPU ms | wall ms | CPU ratio | wall ratio |", "|---|---|---|---|---|"]
    for row in rows:
        ratios = f"{row.cpu_ratio:.2f} | {row.wall_ratio:.2f}"
        lines.append(f"| {row.name} | {row.cpu_ms:.0f} | {row.wall_ms:.0f} | {ratios} |")
    return lines
