"""Files that appear whole, and items that are sorted on disk."""

import pytest

from dicom_preprocessing.files import SortedOnDisk, appearing, remove_partials, replacing


def test_file_appears_at_the_end(tmp_path):
    with replacing(tmp_path / "a.txt") as file:
        file.write("whole")
        assert not (tmp_path / "a.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_failure_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError, match="halfway"), replacing(tmp_path / "a.txt") as file:
        file.write("half")
        raise RuntimeError("halfway")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_two_writers_of_one_target_do_not_share_a_name(tmp_path):
    with appearing(tmp_path / "a") as first, appearing(tmp_path / "a") as second:
        assert first != second
        first.write_text("1")
        second.write_text("2")


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


def test_missing_folder_has_no_leavings(tmp_path):
    remove_partials(tmp_path / "nothing")


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
