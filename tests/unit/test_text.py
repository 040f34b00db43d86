"""Text for people and tables."""

import errno
import os
import re
from types import SimpleNamespace

import pytest

from dicom_preprocessing.text import (
    ADVICE_BY_ERRNO,
    csv_cell,
    explain_error,
    format_bytes,
    make_printable,
    plural,
)


def test_plural():
    assert [plural(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b.dcm", "a b.dcm"),
        ("Grün", "Grün"),
        ("a\u3000b", "a\u3000b"),  # a blank of another script breaks nothing
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("a\nb\x1b", r"a\nb\x1b"),
        ("a\u2028b", r"a\u2028b"),
        ("a\ud800", r"a\ud800"),  # stands for no byte
    ],
)
def test_printable(text, shown):
    assert make_printable(text) == shown


@pytest.mark.parametrize(
    ("value", "cell"), [(True, "true"), (False, "false"), (None, None), (7, 7), ("a\n", r"a\n")]
)
def test_csv_cell(value, cell):
    assert csv_cell(value) == cell


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OSError(errno.EFBIG, "File too large", "/a/\x1b.tiff"),
            r"/a/\x1b.tiff: File too large. What to do: " + ADVICE_BY_ERRNO[errno.EFBIG],
        ),
        (
            OSError(errno.EACCES, "Permission denied", b"/a"),
            "/a: Permission denied. What to do: " + ADVICE_BY_ERRNO[errno.EACCES],
        ),
        (OSError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
        (OSError("no number"), "no number"),
        (ValueError("7: wrong"), "7: wrong"),
    ],
)
def test_error_is_explained(error, expected):
    assert explain_error(error) == expected


def full_disk(free_blocks=0, free_files=9):
    """What a file system of 1 MB tells."""
    return SimpleNamespace(
        f_frsize=1000, f_blocks=1000, f_bavail=free_blocks, f_files=10, f_favail=free_files
    )


@pytest.mark.parametrize(
    ("found", "room"),
    [
        (full_disk(), "now 0 bytes of 1.0 MB free"),
        (full_disk(12), "now 12 kB of 1.0 MB free"),
        (full_disk(500, 0), "now 500 kB of 1.0 MB free, no room for another file"),
    ],
)
def test_full_disk_tells_path_free_space_and_what_to_do(tmp_path, monkeypatch, found, room):
    monkeypatch.setattr(os, "statvfs", {str(tmp_path): found}.__getitem__)
    target = tmp_path / "removed" / "a.tiff"  # the folder of which is not there, or no more
    error = OSError(errno.ENOSPC, "No space left on device", str(target))
    assert explain_error(error) == (
        f"{target}: No space left on device ({room}). What to do: free space there or use another "
        "disk, then run again"
    )


def test_full_disk_that_does_not_answer_tells_all_the_rest(tmp_path, monkeypatch):
    def statvfs(path):
        raise OSError(errno.EIO, "Input/output error", path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path))
    assert "No space left on device (free space unknown). What to do: " in explain_error(error)


@pytest.mark.parametrize("number", ADVICE_BY_ERRNO)
def test_every_error_of_the_file_system_that_a_user_can_mend_says_how(number):
    told = explain_error(OSError(number, os.strerror(number), "/nowhere/a"))
    assert re.fullmatch(rf"/nowhere/a: {os.strerror(number)}( \(.+\))?\. What to do: \w.+\w", told)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345, "12 kB"),
        (1_500_000_000, "1.5 GB"),
        (25 * 10**12, "25 TB"),
    ],
)
def test_bytes_are_reported_in_powers_of_a_thousand(number, text):
    assert format_bytes(number) == text
