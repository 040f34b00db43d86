"""Where a server of jobs is to be, as the main process of Snakemake decides it."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from dicom_preprocessing.warm import keep_libraries_loaded

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
