"""Snakemake in processes forked from one that has loaded its libraries, which takes a second.

None of this project's modules is loaded there, nor anything of Snakemake called: the forked process
does all that ``python -m snakemake`` does but for loading. There are two such processes that take
turns, so that a run never has the seed of hashes of the one before: nothing may depend on it.
"""

from __future__ import annotations

import atexit
import functools
import gc
import itertools
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

LIBRARIES = ("jsonschema", "pandas", "requests", "smart_open")
LIBRARIES += ("snakemake.cli", "snakemake.report.html_reporter")

# A fork copies the calling thread only.
ONE_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
ONE_THREAD |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TURNS = itertools.cycle(range(2))


def take_sigint() -> None:
    """Do so also where pytest was started in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def call_snakemake(
    command: list[str], *, cwd: Path, env: dict[str, str], timeout: int
) -> tuple[int, str]:
    """Exit status of a command ``python -m snakemake``, and all that it printed."""
    # macOS's own libraries are not safe to fork, and what is preloaded is so at a start only.
    if sys.platform == "darwin" or "LD_PRELOAD" in env:
        process = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            timeout=timeout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            preexec_fn=take_sigint,
        )
        return process.returncode, process.stdout
    assert command[:3] == [sys.executable, "-m", "snakemake"]
    server = start_server(next(TURNS))
    with tempfile.NamedTemporaryFile() as output:
        request = {"arguments": command[3:], "cwd": str(cwd), "env": env, "output": output.name}
        server.stdin.write(json.dumps(request).encode() + b"\n")
        pid = int(server.stdout.readline())
        is_ended = select.select([server.stdout], [], [], timeout)[0]
        if not is_ended:
            os.kill(pid, signal.SIGKILL)
        status, printed = int(server.stdout.readline()), Path(output.name).read_text()
    if not is_ended:
        raise subprocess.TimeoutExpired(command, timeout, printed)
    return status, printed


@functools.cache
def start_server(number: int) -> subprocess.Popen[bytes]:
    """One of the processes that fork, which ends with this one."""
    server = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # select() does not see what is in a buffer
        env=os.environ | ONE_THREAD | {"PYTHONHASHSEED": "random"},
    )
    atexit.register(server.communicate)
    return server


@functools.cache
def start_job_server() -> str:
    """A fork server of jobs, as value of $DP_FORK_SERVER, that ends with this process.

    A run that is given it starts none, and its index is forked, too: that saves two seconds. Each
    job is forked from the state after loading, so that none sees what another did.
    """
    folder, parent = tempfile.mkdtemp(prefix="dp-"), str(start_server(0).pid)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import run_job; "
    code += "run_job.start_server(*sys.argv[2:])"
    subprocess.run([sys.executable, "-c", code, SCRIPTS, folder, parent], check=True)
    return f"{folder}:{parent}"


def serve() -> dict | None:
    """Fork for every request; gives the request in the process that is to do it."""
    for name in LIBRARIES:
        with suppress(ModuleNotFoundError):  # another version may do without
            __import__(name)
    take_sigint()
    gc.collect()
    gc.freeze()  # else a collection in a fork copies every page
    for line in sys.stdin:
        if not (pid := os.fork()):
            return json.loads(line)
        tell(pid)
        tell(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return None


def tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def become_snakemake(arguments: list[str], cwd: str, env: dict[str, str], output: str) -> None:
    """Do what a new process would."""
    for path, descriptors in ((os.devnull, (0,)), (output, (1, 2))):
        opened = os.open(path, os.O_RDWR | os.O_APPEND)
        for descriptor in descriptors:
            os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    from snakemake.workflow import Workflow

    Workflow._rundir = cwd  # it was that of loading
    sys.path[0] = cwd
    sys.argv = ["snakemake", *arguments]
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    requested = serve()
    if requested is not None:
        become_snakemake(**requested)
