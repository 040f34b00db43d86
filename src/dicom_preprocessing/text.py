"""Text for people and tables: counts of things, paths of any bytes, cells of csv files."""

from __future__ import annotations

import errno
import os
import unicodedata

BREAKING = ("Cc", "Zl", "Zp")
"""Unicode categories that break a line or a terminal: controls, line and paragraph separators."""


def plural(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def make_printable(text: str) -> str:
    r"""A path for people and tables: what is not UTF-8 as ``\xNN``, no control characters."""
    if text.isascii() and text.isprintable():  # nearly every text
        return text
    escaped = os.fsencode(text).decode("utf-8", "backslashreplace")
    if escaped.isprintable():
        return escaped
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in BREAKING else c
        for c in escaped
    )


ADVICE_BY_ERRNO = dict.fromkeys(
    (errno.ENOSPC, errno.EDQUOT, errno.EIO), "free space or use another disk, then run again"
) | {errno.EFBIG: "raise the limit of a file's size or use another disk, then run again"}
"""What helps against an error of the file system."""


def explain_error(error: Exception) -> str:
    """An error for people; of the file system: where, what happened, and what to do about it."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    where = "" if error.filename is None else f"{make_printable(os.fsdecode(error.filename))}: "
    to_do = (
        f". What to do: {ADVICE_BY_ERRNO[error.errno]}" if error.errno in ADVICE_BY_ERRNO else ""
    )
    return f"{where}{error.strerror}{to_do}"


def csv_cell(value: object) -> object:
    """A value as it stands in this project's csv files: booleans in lower case, text printable."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return make_printable(value) if isinstance(value, str) else value
