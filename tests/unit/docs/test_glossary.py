"""The glossary has the words that are used, and no others."""

import re
from functools import cache

import pytest

from tests.conftest import CHECKOUT
from tests.pages import PAGES, read_page

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in read_page("docs/glossary.md").splitlines()
    if line.startswith("| ") and not line.startswith("| word |")
]


def patterns_of(word):
    """A word as it is written in text, and with underscores or in capitals in code."""
    plural = f"{word}s?" if not word.endswith("s") else word
    written = plural.replace(" ", r"[ _\-]?")
    return re.compile(rf"(?<![a-z]){written}(?![a-z])", re.IGNORECASE)


@cache
def manual():
    return "\n".join(read_page(page) for page in PAGES if page != "docs/glossary.md")


@cache
def code():
    folders = ("src", "workflow", "tests/unit")
    files = [p for f in folders for e in ("py", "smk") for p in (CHECKOUT / f).rglob(f"*.{e}")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


WORDS = [word for row in ROWS for word in row[0].split(", ")]


@pytest.mark.parametrize("word", WORDS)
def test_word_is_used_in_the_manual_and_in_the_code(word):
    assert patterns_of(word).search(manual())
    assert patterns_of(word).search(code())


def test_each_row_says_what_and_why():
    assert len(ROWS) > 40
    for row in ROWS:
        assert len(row) == 3
        assert all(row), row


def test_no_word_twice():
    assert sorted(set(WORDS)) == sorted(WORDS)
