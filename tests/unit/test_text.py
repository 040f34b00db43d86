"""Text for people and tables."""

import errno
import os

import pytest

from dicom_preprocessing.text import (
    ADVICE_BY_ERRNO,
    csv_cell,
    explain_error,
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
            OSError(errno.ENOSPC, "No space left on device", "/a/\x1b.tiff"),
            rf"/a/\x1b.tiff: No space left on device. What to do: {ADVICE_BY_ERRNO[errno.ENOSPC]}",
        ),
        (
            OSError(errno.EFBIG, "File too large", "/a"),
            f"/a: File too large. What to do: {ADVICE_BY_ERRNO[errno.EFBIG]}",
        ),
        (OSError(errno.EACCES, "Permission denied", b"/a"), "/a: Permission denied"),
        (OSError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
        (OSError("no number"), "no number"),
        (ValueError("7: wrong"), "7: wrong"),
    ],
)
def test_error_is_explained(error, expected):
    assert explain_error(error) == expected
