"""Where a server of jobs is to be, as the main process of Snakemake decides it."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dicom_preprocessing.warm import COLD, _Request, _Server, keep_libraries_loaded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are cold elsewhere")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder for temporary files, and no server."""
    monkeypatch.setenv("DP_WARM", "")  # so that it is put back at the end
    monkeypatch.delenv("DP_WARM")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_private_folder_and_process_are_named(folder):
    keep_libraries_loaded()
    place, _, process = os.environ["DP_WARM"].rpartition(":")
    assert Path(place).parent == folder
    assert Path(place).stat().st_mode & 0o777 == 0o700
    assert int(process) == os.getpid()


@pytest.mark.usefixtures("folder")
def test_what_is_set_stays(monkeypatch):
    monkeypatch.setenv("DP_WARM", "off")
    keep_libraries_loaded()
    assert os.environ["DP_WARM"] == "off"


def test_folder_with_a_path_too_long_for_a_socket_is_not_named(folder, monkeypatch):
    deep = folder / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    keep_libraries_loaded()
    assert "DP_WARM" not in os.environ


def test_without_a_folder_for_temporary_files_jobs_are_cold(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    keep_libraries_loaded()
    assert "DP_WARM" not in os.environ


@pytest.mark.usefixtures("folder")
def test_on_an_old_kernel_jobs_are_cold(monkeypatch):
    def missing(_pid):
        raise OSError

    monkeypatch.setattr(os, "pidfd_open", missing)
    keep_libraries_loaded()
    assert "DP_WARM" not in os.environ


@pytest.mark.parametrize("left", ["", "lock", "socket"])
def test_folder_is_removed_at_the_end_of_snakemake_if_no_server_lives_there(folder, left):
    code = """
import os, socket, sys
from dicom_preprocessing.warm import keep_libraries_loaded
keep_libraries_loaded()
left = os.path.join(os.environ["DP_WARM"].rpartition(":")[0], sys.argv[1])
if sys.argv[1] == "lock":
    open(left, "w").close()
elif sys.argv[1]:
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).bind(left)
"""
    environment = os.environ | {"TMPDIR": str(folder)}
    subprocess.run([sys.executable, "-c", code, left], env=environment, check=True)
    assert not list(folder.iterdir())


def test_job_that_cannot_be_forked_is_cold(monkeypatch):
    def refused():
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refused)
    ours, client = socket.socketpair()
    with ours, socket.socket() as listener:
        server = _Server(listener)
        server.start(client, _Request([], "", [], [os.open(os.devnull, os.O_RDWR)]), None)
        assert ours.recv(1) == bytes([COLD])
    assert not server.jobs
