"""Install torch for CPUs into a virtual environment, or say in one line why it is left out.

    .venv/bin/python envs/install_torch.py .venv/.torch

Writes the file that is named if torch is installed, and ends with status 0 in either case, since
only tests of the DataLoader need it. Wheels come from torch's own index of CPU wheels: the one
of PyPI needs 900 MB of CUDA libraries. Standard library only.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

INDEX = "https://download.pytorch.org/whl/cpu"
REQUIREMENT = "torch>=2.2"
ANSWER_SECONDS = 5
INSTALL_SECONDS = 40


def main() -> int:
    """Install; the exit status is 0."""
    problem = _find_problem()
    if problem:
        print(f"skipped: tests with torch, as {problem}", flush=True)
    else:
        Path(sys.argv[1]).touch()
    return 0


def _find_problem() -> str:
    """Why torch was not installed; empty if it was."""
    try:
        urllib.request.urlopen(f"{INDEX}/torch/", timeout=ANSWER_SECONDS).close()  # noqa: S310
    except (OSError, ValueError) as error:  # also of urllib
        reason = getattr(error, "reason", error)
        return f"{INDEX} cannot be reached ({reason})"
    options = ("--disable-pip-version-check", "--quiet", "--timeout", str(ANSWER_SECONDS))
    source = ("--retries", "0", "--only-binary", ":all:", "--index-url", INDEX)
    command = [sys.executable, "-m", "pip", "install", *options, *source, REQUIREMENT]
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"its wheel was not there after {INSTALL_SECONDS} seconds"
    lines = process.stderr.strip().splitlines() or ["no reason"]
    return f"pip could not install it: {lines[-1]}" if process.returncode else ""


if __name__ == "__main__":
    raise SystemExit(main())
