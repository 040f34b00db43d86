"""Items that are sorted on disk, and errors of temporary files."""

import os
import pickle
import tempfile

import pytest

from dicom_preprocessing.temporary_files import SortedOnDisk, find_tmpdir_problem
from tests.limits import limit_file_size


def test_items_beyond_what_is_held_come_back_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ordered = SortedOnDisk(key=lambda item: item[0], held=3)
    items = [(n * 7 % 11, n) for n in range(20)]
    ordered.extend(items)
    assert list(ordered) == sorted(items, key=lambda item: item[0])


def test_items_come_back_as_often_as_wanted_and_others_may_follow():
    ordered = SortedOnDisk(key=int, held=2)
    ordered.extend([5, 1, 4])
    assert [list(ordered), list(ordered)] == 2 * [[1, 4, 5]]
    ordered.append(2)
    assert list(ordered) == [1, 2, 4, 5]


def test_items_on_disk_have_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ordered = SortedOnDisk(key=int, held=1)
    ordered.extend([2, 1])
    assert list(tmp_path.iterdir()) == []


def test_no_more_items_are_held_than_said():
    ordered = SortedOnDisk(key=id, held=4)

    class Item:
        alive = 0

        def __init__(self):
            Item.alive += 1

        def __reduce__(self):
            return (int, ())

        def __del__(self):
            Item.alive -= 1

    ordered.extend(Item() for _ in range(50))
    assert Item.alive <= 5


def test_items_that_do_not_fit_on_disk_are_an_error(tmp_path):
    ordered = SortedOnDisk(key=int, held=100)
    with limit_file_size(50), pytest.raises(OSError, match=r"too large, in .*TMPDIR") as raised:
        ordered.extend(range(100))
    assert raised.value.filename == tempfile.gettempdir()


def test_items_of_a_file_that_was_cut_are_an_error():
    ordered = SortedOnDisk(key=int, held=600)
    ordered.extend(range(600))
    (run, _) = ordered._runs[0]
    first = len(pickle.dumps(list(range(500)), pickle.HIGHEST_PROTOCOL))
    for size in (0, first, first + 1, first + 20):
        os.truncate(run.fileno(), size)
        with pytest.raises(OSError, match=r"cut or damaged, in .*TMPDIR") as raised:
            list(ordered)
        assert raised.value.filename == tempfile.gettempdir()
        run.seek(0)


def test_tmpdir_that_is_not_used_is_named(tmp_path, monkeypatch):
    for named, used in ((tmp_path, True), (tmp_path / "gone", False), ("~/t", False), ("", True)):
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.setenv("TMPDIR", str(named))
        problem = find_tmpdir_problem()
        assert (problem is None) == used
        assert used or problem.startswith(f"TMPDIR {named} is not a folder that can be written to")
