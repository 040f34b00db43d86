"""Files that appear whole."""

import pytest

from dicom_preprocessing.files import appearing, remove_partials, replacing


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
