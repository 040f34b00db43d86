"""Text for people and tables."""

import os

import pytest

from dicom_preprocessing.text import csv_cell, plural, printable


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
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("value", "cell"), [(True, "true"), (False, "false"), (None, None), (7, 7), ("a\n", r"a\n")]
)
def test_csv_cell(value, cell):
    assert csv_cell(value) == cell
