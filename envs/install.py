"""Install this checkout into a virtual environment, and say how it goes.

    .venv/bin/python envs/install.py .venv workflow,dev

The output of pip goes to pip.log in that folder. The screen shows progress, and after an error what
happened and what to do. Standard library only, as nothing else is installed yet.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PACKAGES_PER_LINE = 20
LARGE = re.compile(r"\s+Downloading ([^-\s]+)-([^-\s]+)-\S+ \((\d{2,}\.\d MB)\)")
FULL_DISK = re.compile(r"No space left on device|Disk quota exceeded")
NO_INDEX = re.compile(r"from versions: none|Retrying \(Retry|Max retries exceeded|ProxyError")
REASON = re.compile(
    r"(Temporary failure in name resolution|Name or service not known|Connection refused"
    r"|Network is unreachable|Cannot connect to proxy|timed out|CERTIFICATE_VERIFY_FAILED)"
)
INDEX = re.compile(r"Looking in (?:indexes|links): (.+)")
DEFAULT_INDEX = "https://pypi.org/simple"


def main() -> int:
    """Install; the exit status is 0, or 1 after a message."""
    venv, extras = Path(sys.argv[1]), sys.argv[2]
    # What a killed pip left behind would look installed to the next one.
    unfinished = venv / ".installing"
    again = ["--ignore-installed"] if unfinished.exists() else []
    unfinished.touch()
    start = time.monotonic()
    print(f"Installing [{extras}] into {venv}, which takes about a minute ...", flush=True)
    if find_spec("pip") is None:  # whoever made the environment was killed
        subprocess.run([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL, check=True)
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    what = ["--constraint", "constraints.txt", "--editable", f".[{extras}]"]
    process = subprocess.Popen(
        [*pip, "--progress-bar", "off", *again, *what],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    lines = list(_show_progress(process.stdout or ()))
    log = venv / "pip.log"
    with suppress(OSError):  # a full disk is what the message is about
        log.write_text("".join(lines), encoding="utf-8")
    if process.wait():
        print(f"error: {_explain(lines, venv, log)}", file=sys.stderr)
        return 1
    unfinished.unlink()
    print(f"Installed in {time.monotonic() - start:.0f} seconds", flush=True)
    return 0


def _show_progress(lines: Iterable[str]) -> Iterator[str]:
    """Pass on the output of pip, and print the little of it that matters."""
    packages, is_waiting = 0, False
    for line in lines:
        yield line
        large = LARGE.match(line)
        if line.startswith("Collecting "):
            packages += 1
            if packages % PACKAGES_PER_LINE == 0:
                print(f"  {packages} packages found", flush=True)
        elif large:
            print(f"  downloading {large[1]} {large[2]}, {large[3]}", flush=True)
        elif line.startswith("Installing collected packages: "):
            print(f"  writing {line.count(',') + 1} packages", flush=True)
        elif "Retrying (Retry" in line and not is_waiting:
            is_waiting = True
            print("  the package index does not answer, trying again", flush=True)


def _explain(lines: Sequence[str], venv: Path, log: Path) -> str:
    """Why pip failed, and what to do."""
    text = "".join(lines)
    if FULL_DISK.search(text):
        folders = {str(venv): venv, tempfile.gettempdir(): Path(tempfile.gettempdir())}
        free = (f"{name} has {_free_megabytes(path)} MB" for name, path in folders.items())
        return (
            f"the disk is full: {', '.join(free)} left. What to do: free space (1 GB is enough) "
            "or set TMPDIR to another folder for temporary files, then run again"
        )
    if NO_INDEX.search(text):
        index = INDEX.search(text)
        reason = REASON.search(text)
        return (
            f"the packages cannot be fetched from {index[1] if index else DEFAULT_INDEX}"
            f"{f' ({reason[1]})' if reason else ''}. What to do: check the network; or set "
            "HTTPS_PROXY to a proxy, PIP_INDEX_URL to another package index, or PIP_NO_INDEX=1 and "
            f"PIP_FIND_LINKS to a folder of wheels; then run again (details: {log})"
        )
    errors = [line.strip() for line in lines if line.lstrip().lower().startswith("error: ")]
    why = errors[-1].partition(": ")[2] if errors else "pip gives no reason"
    return f"pip could not install the packages: {why} (details: {log})"


def _free_megabytes(path: Path) -> int:
    return shutil.disk_usage(path).free // 1_000_000


if __name__ == "__main__":
    raise SystemExit(main())
