"""Files that appear whole, and what a disk says of them."""

import errno
import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dicom_preprocessing import files
from dicom_preprocessing.files import (
    atomic_path,
    atomic_write,
    fsync_folder,
    make_durable,
    open_new_file,
    remove_partials,
    remove_partials_of,
    replace_if_changed,
    write_at,
)
from dicom_preprocessing.results.manifest import write_manifest
from dicom_preprocessing.temporary_files import SortedOnDisk
from dicom_preprocessing.text import explain_error
from tests.limits import limit_file_size


def test_file_appears_at_the_end(tmp_path):
    with atomic_write(tmp_path / "a.txt") as file:
        file.write("whole")
        assert not (tmp_path / "a.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_failure_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError, match="halfway"), atomic_write(tmp_path / "a.txt") as file:
        file.write("half")
        raise RuntimeError("halfway")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_slash_at_the_end_of_a_target_is_ignored(tmp_path):
    with atomic_path(f"{tmp_path / 'a'}/") as path, open(path, "wb"):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_two_writers_of_one_target_do_not_share_a_name(tmp_path):
    with atomic_path(tmp_path / "a") as first, atomic_path(tmp_path / "a") as second:
        assert first != second
        Path(first).write_text("1")
        Path(second).write_text("2")


class TestDurable:
    @pytest.fixture
    def synced(self, monkeypatch):
        """Paths that were synced so far, with what was in folders."""
        synced = []

        def fsync(descriptor):
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            content = sorted(p.name for p in path.iterdir()) if path.is_dir() else ()
            synced.append((path.name.split(".")[0], *content))

        monkeypatch.setattr(os, "fsync", fsync)
        return synced

    def test_new_file_is_synced_and_then_its_folder_that_has_it(self, tmp_path, synced):
        (tmp_path / "folder").mkdir()
        with atomic_write(tmp_path / "folder" / "a") as file:
            file.write("text")
        assert synced == [("",), ("folder", "a")]  # a hidden name, before it is renamed

    def test_one_of_many_does_not_sync_its_folder(self, tmp_path, synced):
        with atomic_write(tmp_path / "a", is_name_durable=False) as file:
            file.write("text")
        assert len(synced) == 1

    def test_each_folder_is_synced_once_after_the_files(self, tmp_path, synced):
        paths = [tmp_path / folder / name for folder in "xy" for name in "ab"]
        for path in paths:
            path.parent.mkdir(exist_ok=True)
            path.touch()
        make_durable(paths)
        files_of = [(path.name,) for path in paths]
        assert sorted(synced[:4]) == sorted(files_of)  # by threads
        assert synced[4:] == [("x", "a", "b"), ("y", "a", "b")]

    def test_files_are_synced_without_threads_where_there_can_be_none(
        self, tmp_path, synced, monkeypatch
    ):
        def refuse(*_):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr("threading.Thread.start", refuse)
        paths = [tmp_path / name for name in "abc"]
        for path in paths:
            path.touch()
        make_durable(paths)
        assert [name for name, *_ in synced[:3]] == ["a", "b", "c"]

    def test_error_names_the_file(self, tmp_path, monkeypatch):
        def full(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        (tmp_path / "a").touch()
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device: '.*/a'"):
            make_durable([tmp_path / "a"])

    def test_file_system_that_cannot_sync_folders_will_do(self, tmp_path, monkeypatch):
        def unknown(_):
            raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(os, "fsync", unknown)
        fsync_folder(tmp_path)


class Disk:
    """Opens raw files, of whose operations those of ``fails`` raise, once for each mention."""

    def __init__(self):
        self.fails = []

    def open(self, path, mode, *, buffering):
        assert buffering == 0
        disk = self

        class File(io.FileIO):
            def write(self, content):
                return super().write(disk.asked("write", content))

            def close(self):
                super().close()
                disk.asked("close")

        return File(path, mode)

    def asked(self, operation, content=b""):
        if operation in self.fails:
            self.fails.remove(operation)
            raise OSError(errno.ENOSPC, "No space left on device")
        return content[: len(content) // 2 + 1] if "short" in self.fails else content


@pytest.fixture
def disk(monkeypatch):
    disk = Disk()
    monkeypatch.setattr(files, "open", disk.open, raising=False)
    return disk


class TestFailedWrite:
    @pytest.mark.parametrize("mode", ["w", "wb"])
    @pytest.mark.parametrize("operation", ["write", "close"])
    def test_raises_and_leaves_nothing(self, disk, tmp_path, operation, mode):
        disk.fails = [operation]
        expected = pytest.raises(OSError, match=r"No space left on device: '.*/a\.txt'")
        with expected, atomic_write(tmp_path / "a.txt", mode) as file:
            file.write("text" if mode == "w" else b"bytes")
        assert list(tmp_path.iterdir()) == []

    def test_of_what_was_gathered_raises_at_fsync(self, monkeypatch, tmp_path):
        def full(_):
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="quota"), atomic_write(tmp_path / "a") as file:
            file.write("text")
        assert list(tmp_path.iterdir()) == []

    def test_that_the_writer_missed_raises_at_the_end_although_room_came_back(self, disk, tmp_path):
        disk.fails = ["write"]
        with (
            pytest.raises(OSError, match="No space left"),
            atomic_write(tmp_path / "a", "wb") as file,
        ):
            with suppress(OSError):
                file.write(bytes(10 * files.BUFFERED))
            with suppress(OSError):
                file.write(b"more")
        assert disk.fails == []
        assert list(tmp_path.iterdir()) == []

    def test_short_writes_are_carried_on(self, disk, tmp_path):
        content = np.random.default_rng(1).bytes(files.BUFFERED + 5)
        disk.fails = ["short"]
        with atomic_write(tmp_path / "a", "wb") as file:
            for start in range(0, len(content), 7000):
                file.write(content[start : start + 7000])
            file.flush()
            disk.fails = []
        assert (tmp_path / "a").read_bytes() == content

    @pytest.mark.parametrize("size", [0, 1, 99, 100, 70_000, 99_999])
    def test_at_any_place_leaves_nothing(self, tmp_path, size):
        expected = pytest.raises(OSError, match="too large")
        with limit_file_size(size), expected, atomic_write(tmp_path / "a", "wb") as file:
            for _ in range(1000):
                file.write(bytes(100))
        assert list(tmp_path.iterdir()) == []

    def test_file_that_was_cut_by_another_is_found(self, tmp_path):
        expected = pytest.raises(OSError, match="200 bytes were written, 5 are there")
        with expected, open_new_file(tmp_path / "a", "wb") as file:
            file.write(bytes(200))
            file.flush()
            os.truncate(tmp_path / "a", 5)

    def test_arrays_cannot_be_written_past_it(self, tmp_path):
        # ndarray.tofile copies the descriptor, and loses the error of its last 4 KB
        with pytest.raises(io.UnsupportedOperation), atomic_write(tmp_path / "a", "wb") as file:
            np.zeros(3).tofile(file)

    def test_error_of_the_block_comes_first(self, disk, tmp_path):
        disk.fails = ["write"]
        with pytest.raises(RuntimeError, match="halfway"), atomic_write(tmp_path / "a") as file:
            file.write("half")
            raise RuntimeError("halfway")
        assert list(tmp_path.iterdir()) == []

    def test_at_a_place_is_not_tried_for_ever(self, monkeypatch):
        monkeypatch.setattr(os, "pwrite", lambda *_: 0)
        with pytest.raises(OSError, match="takes no more bytes"):
            write_at(0, 0, memoryview(b"content"))


def test_no_descriptor_stays_open(tmp_path, disk):
    before = len(os.listdir("/proc/self/fd"))
    for fails in ([], ["write"], ["close"]):
        disk.fails = fails
        with suppress(OSError), atomic_write(tmp_path / "a") as file:
            file.write("text")
    assert len(os.listdir("/proc/self/fd")) == before


def test_leavings_of_killed_jobs_are_removed_and_nothing_else(tmp_path):
    (tmp_path / ".1.2.3.jsonl.0123456789abcdef0123456789abcdef").write_text("half")
    for name in ("1.2.3.jsonl", ".snakemake_timestamp", ".hidden.0123456789abcdef"):
        (tmp_path / name).write_text("")
    remove_partials(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".hidden.0123456789abcdef",
        ".snakemake_timestamp",
        "1.2.3.jsonl",
    ]


@pytest.mark.parametrize("is_held", [False, True])
def test_leavings_are_removed_and_what_is_being_written_stays(tmp_path, is_held):
    dead = tmp_path / ".a.csv.0123456789abcdef0123456789abcdef"
    other = tmp_path / ".b.csv.0123456789abcdef0123456789abcdef"
    for path in (dead, other):
        path.touch()
    with atomic_write(tmp_path / "a.csv") as file:
        remove_partials_of([tmp_path / "a.csv"], is_held=is_held)
        assert not dead.exists()
        file.write("whole")
    assert (tmp_path / "a.csv").read_text() == "whole"
    assert sorted(tmp_path.iterdir()) == [other, tmp_path / "a.csv"]


def test_leavings_that_cannot_be_locked_are_removed_by_the_holder_of_the_folder(
    tmp_path, monkeypatch
):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    dead = tmp_path / ".a.csv.0123456789abcdef0123456789abcdef"
    dead.touch()
    remove_partials_of([tmp_path / "a.csv"], is_held=False)
    assert dead.exists()
    remove_partials_of([tmp_path / "a.csv"])
    assert not dead.exists()
    with atomic_write(tmp_path / "a.csv") as file:
        file.write("whole")
    assert (tmp_path / "a.csv").read_text() == "whole"


def test_missing_folder_has_no_leavings(tmp_path):
    remove_partials(tmp_path / "nothing")


@pytest.mark.parametrize(
    "make",
    [
        lambda _: SortedOnDisk(key=int, held=1).append(1),
        lambda folder: replace_if_changed(folder / "a", ["line"]),
        lambda folder: write_manifest([], folder / "a.parquet"),
    ],
)
def test_no_folder_for_temporary_files_is_an_error_that_says_what_to_set(
    tmp_path, monkeypatch, make
):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere", "/either"])
    with pytest.raises(OSError, match=r"'/nowhere', '/either'\]. What to do: .*TMPDIR") as raised:
        make(tmp_path)
    assert explain_error(raised.value).endswith("or set TMPDIR to another folder, then run again")


def test_text_that_does_not_fit_on_disk_is_an_error_of_the_temporary_folder(tmp_path):
    expected = pytest.raises(OSError, match=r"too large, in .*TMPDIR")
    with limit_file_size(50), expected as raised:
        replace_if_changed(tmp_path / "a", ["line\n"] * 100)
    assert raised.value.filename == tempfile.gettempdir()
    assert list(tmp_path.iterdir()) == []
