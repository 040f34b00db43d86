"""Where a server of jobs is to be, as the main process of Snakemake decides it."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from dicom_preprocessing.processes import SharedLimits
from dicom_preprocessing.workflow import fork_server
from dicom_preprocessing.workflow.fork_server import (
    NOT_SERVED,
    _ForkedJob,
    _Request,
    _Server,
    keep_libraries_loaded,
)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone, or gone while it was read
        return False


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are new processes elsewhere")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder for temporary files, and no server."""
    monkeypatch.setenv("DP_FORK_SERVER", "")  # so that it is put back at the end
    monkeypatch.delenv("DP_FORK_SERVER")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_private_folder_and_process_are_named(folder):
    keep_libraries_loaded()
    place, _, process = os.environ["DP_FORK_SERVER"].rpartition(":")
    assert Path(place).parent == folder
    assert Path(place).stat().st_mode & 0o777 == 0o700
    assert int(process) == os.getpid()


@pytest.mark.usefixtures("folder")
def test_what_is_set_stays(monkeypatch):
    monkeypatch.setenv("DP_FORK_SERVER", "off")
    keep_libraries_loaded()
    assert os.environ["DP_FORK_SERVER"] == "off"


def test_folder_is_elsewhere_where_its_path_would_be_too_long_for_a_socket(folder, monkeypatch):
    deep = folder / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    keep_libraries_loaded()
    place = Path(os.environ["DP_FORK_SERVER"].rpartition(":")[0])
    assert place.parent == Path("/tmp")
    place.rmdir()


def test_without_a_folder_for_temporary_files_jobs_are_not_served(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    keep_libraries_loaded()
    assert "DP_FORK_SERVER" not in os.environ


@pytest.mark.usefixtures("folder")
def test_on_an_old_kernel_jobs_are_not_served(monkeypatch):
    def missing(_pid):
        raise OSError

    monkeypatch.setattr(os, "pidfd_open", missing)
    keep_libraries_loaded()
    assert "DP_FORK_SERVER" not in os.environ


@pytest.mark.parametrize("left", ["", "lock", "socket"])
def test_folder_is_removed_at_the_end_of_snakemake_if_no_server_lives_there(folder, left):
    code = """
import os, socket, sys
from dicom_preprocessing.workflow.fork_server import keep_libraries_loaded
keep_libraries_loaded()
left = os.path.join(os.environ["DP_FORK_SERVER"].rpartition(":")[0], sys.argv[1])
if sys.argv[1] == "lock":
    open(left, "w").close()
elif sys.argv[1]:
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).bind(left)
"""
    environment = os.environ | {"TMPDIR": str(folder)}
    subprocess.run([sys.executable, "-c", code, left], env=environment, check=True)
    assert not list(folder.iterdir())


def test_job_that_cannot_be_forked_is_not_served(monkeypatch):
    def refused():
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refused)
    ours, client = socket.socketpair()
    with ours, socket.socket() as listener:
        server = _Server(listener)
        server.start(client, _Request([], "", [], [os.open(os.devnull, os.O_RDWR)]), None)
        assert ours.recv(1) == bytes([NOT_SERVED])
    assert not server.jobs


def test_job_that_cannot_be_killed_is_left_behind_and_forked_again(monkeypatch):
    """As one that waits for a dead file system, and so would end when that answers, if ever."""
    tries = []
    monkeypatch.setattr(fork_server, "END_SECONDS", 0.2)
    monkeypatch.setattr(fork_server, "kill_group", lambda _pid: None)
    monkeypatch.setattr(_Server, "start", lambda _server, _client, *again: tries.append(again))
    sleeper = subprocess.Popen(["sleep", "60"])
    snakemake = subprocess.Popen(["sleep", "2"])
    ours, client = socket.socketpair()
    limits = SharedLimits()
    limits.bound(0, 1 << 40)
    request = _Request([], "", [], [])
    with ours, client, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = _Server(listener)
        job = _ForkedJob(sleeper.pid, os.pidfd_open(sleeper.pid), client, request, limits)
        server.jobs.append(job)
        server.run(os.pidfd_open(snakemake.pid))
    assert (tries, server.jobs) == ([(request, None)], [])
    sleeper.kill()
    sleeper.wait()
    snakemake.wait()


@pytest.mark.parametrize(
    "fields", [[], ["python"], ["python", "/", "x"], ["python", "/", "-"], ["python", "/"]]
)
def test_request_that_is_none_is_let_go(fields, tmp_path):
    """The server goes on, and holds nothing of it."""
    body = "\0".join(fields).encode()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        server, before = _Server(listener), len(os.listdir("/proc/self/fd"))
        client.connect(str(tmp_path / "socket"))
        socket.send_fds(client, [len(body).to_bytes(8, "little")], [0, 1, 2])
        client.sendall(body)
        server.accept()
        assert client.recv(1) == b""
        assert (len(os.listdir("/proc/self/fd")), server.jobs) == (before, [])


END_WITH_WORKFLOW = """
from dicom_preprocessing.workflow.fork_server import end_with_workflow
end_with_workflow()
"""
COLD_JOB = """
import os, sys, time
from dicom_preprocessing.index import scan
from dicom_preprocessing.index.walk import SourceFile
from dicom_preprocessing.workflow.fork_server import end_with_workflow

def slow(item, keywords):
    os.write(1, b"%d\\n" % os.getpid())  # at once, beside that of the other worker
    time.sleep(60)

end_with_workflow()
scan.scan_file = slow
list(scan.scan_files([SourceFile(path=str(n)) for n in range(3 * scan.FILES_PER_TASK)], workers=2))
"""


def test_index_in_a_new_process_ends_with_snakemake_and_takes_its_workers_along():
    snakemake = subprocess.Popen(["sleep", "60"])
    job = subprocess.Popen(
        [sys.executable, "-c", COLD_JOB],
        env=os.environ | {"DP_FORK_SERVER": f"/nowhere:{snakemake.pid}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with job.stdout:
        workers = [int(job.stdout.readline()) for _ in range(2)]
    snakemake.kill()
    snakemake.wait()
    assert job.wait(timeout=20) == 1
    deadline = time.monotonic() + 20
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_job_in_a_new_process_does_not_begin_after_the_end_of_snakemake():
    snakemake = subprocess.Popen(["true"])
    snakemake.wait()
    job = subprocess.run(
        [sys.executable, "-c", END_WITH_WORKFLOW],
        env=os.environ | {"DP_FORK_SERVER": f"/nowhere:{snakemake.pid}"},
        check=False,
    )
    assert job.returncode == 1


@pytest.mark.parametrize("value", ["", "off"])
def test_job_without_a_workflow_to_end_with_goes_on(value):
    job = subprocess.run(
        [sys.executable, "-c", END_WITH_WORKFLOW],
        env=os.environ | {"DP_FORK_SERVER": value},
        check=False,
    )
    assert job.returncode == 0
