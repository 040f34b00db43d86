"""Headers scanned again: of which files, and what is kept of the others."""

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from dicom_preprocessing.config import Limits
from dicom_preprocessing.index import scan
from dicom_preprocessing.index.table import IndexFolder
from tests.unit.indexes import unreadable, update

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def test_second_run_parses_nothing(indexed, output, parsed):
    update(indexed, output)
    assert parsed == []


def test_second_run_parses_a_touched_file_only(indexed, output, parsed):
    os.utime(indexed / "a.dcm", ns=(1, 1))
    update(indexed, output)
    assert parsed == ["a.dcm"]


def test_second_run_parses_a_file_of_another_size_only(indexed, output, parsed, write_dicom):
    status = (indexed / "b.dcm").stat()
    write_dicom(indexed / "b.dcm", [[1, 2]], StudyInstanceUID="1.2.4")
    os.utime(indexed / "b.dcm", ns=(status.st_atime_ns, status.st_mtime_ns))
    update(indexed, output)
    assert parsed == ["b.dcm"]


def test_second_run_parses_a_new_file_only(indexed, output, parsed, write_dicom):
    write_dicom(indexed / "d.dcm", SOPInstanceUID="1.2.3.1.9")
    update(indexed, output)
    assert parsed == ["d.dcm"]


def test_second_run_parses_a_renamed_file_only(indexed, output, parsed):
    (indexed / "a.dcm").rename(indexed / "z.dcm")
    update(indexed, output)
    assert parsed == ["z.dcm"]


def test_cache_of_another_version_is_not_used(indexed, output, parsed, monkeypatch):
    monkeypatch.setattr(scan, "SCAN_VERSION", "another")
    update(indexed, output)
    assert parsed == ["a.dcm", "b.dcm", "c.png"]


@pytest.mark.parametrize("content", ["", "{", '{"version": "x"}\n', "[1]\n[2]\n", "\xff"])
def test_broken_cache_is_not_used(indexed, output, parsed, content):
    (output / "index" / "headers.jsonl").write_bytes(content.encode("latin-1"))
    update(indexed, output)
    assert parsed == ["a.dcm", "b.dcm", "c.png"]


def test_cut_cache_is_not_used(indexed, output, parsed):
    cache = output / "index" / "headers.jsonl"
    cache.write_bytes(cache.read_bytes()[:-20])
    update(indexed, output)
    assert parsed == ["a.dcm", "b.dcm", "c.png"]


def test_unreadable_file_is_opened_at_each_run(indexed, output, parsed, monkeypatch):
    os.utime(indexed / "a.dcm", ns=(1, 1))
    unreadable(monkeypatch, indexed / "a.dcm")
    for _ in range(3):
        update(indexed, output)
    assert parsed == ["a.dcm"] * 3


def test_digests_of_files_that_share_uid_and_size_are_kept(source, output, write_dicom):
    paths = [write_dicom(source / name) for name in ("b.dcm", "d.dcm")]
    write_dicom(source / "a.dcm", SOPInstanceUID="1.2.3.1.8")
    write_dicom(source / "c.dcm", SOPInstanceUID="1.2.3.1.9")
    for _ in range(2):
        update(source, output)
        lines = IndexFolder(output).headers.read_text().splitlines()[1:]
        digest = hashlib.sha256(paths[0].read_bytes()).hexdigest()
        digests = {Path(r["path"]).name: r.get("sha256") for r in map(json.loads, lines)}
        assert digests == {"a.dcm": None, "b.dcm": digest, "c.dcm": None, "d.dcm": digest}


def test_bug_costs_one_file_and_is_tried_again(indexed, output, monkeypatch):
    os.utime(indexed / "a.dcm", ns=(1, 1))
    whole = scan.read_header

    def fail(path, keywords):
        if path.endswith("a.dcm"):
            raise ZeroDivisionError("a bug")
        return whole(path, keywords)

    with monkeypatch.context() as patch:
        patch.setattr(scan, "read_header", fail)
        update(indexed, output)
    assert excluded(output) == {"a.dcm": "internal_error", "c.png": "not_dicom"}
    update(indexed, output)
    assert excluded(output) == {"c.png": "not_dicom"}


def excluded(output):
    files = IndexFolder(output).read_excluded_files()
    return {os.path.basename(file.source_path): file.error for file in files}


LOSSES = {
    "codec_crash": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "limit_time": lambda: time.sleep(60),
}


@pytest.mark.parametrize("error", LOSSES)
def test_loss_of_a_worker_costs_one_file_and_is_tried_again(
    source, output, write_dicom, monkeypatch, error
):
    for number in range(70):
        write_dicom(source / f"{number:02}.dcm", SOPInstanceUID=f"1.2.3.1.{number}")
    whole = scan.read_header

    def fail(path, keywords):
        if path.endswith("33.dcm"):
            LOSSES[error]()
        return whole(path, keywords)

    with monkeypatch.context() as patch:
        patch.setattr(scan, "read_header", fail)
        update(source, output, workers=2, limits=Limits(seconds=1))
    assert excluded(output) == {"33.dcm": error}
    assert all(file.transient for file in IndexFolder(output).read_excluded_files())
    update(source, output)
    assert excluded(output) == {}
