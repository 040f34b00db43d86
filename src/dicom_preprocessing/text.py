"""Text for people and tables: counts of things, paths of any bytes, cells of csv files."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

CSV, PARQUET = ".csv", ".parquet"
TABLE_SUFFIXES = (CSV, PARQUET)
"""Of tables, in lower case."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""Characters with which spreadsheets take a text for a formula, or look for one behind them."""

CELL_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""Text that is a number for any reader of a table, and no formula."""

NUMBER = re.compile(r" *[+-]?[0-9]{0,7}(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})? *")
"""Numbers of a header as text. Longer whole numbers may be a date, an id or a telephone number."""

UID_TEXT = re.compile(r"[0-2](?:\.[0-9]+){3,}")
"""A UID (PS3.5 9.1), and no date. Zeros may lead a part: such UIDs exist."""

HIDDEN_FROM = 4
"""Characters of a text that messages do not show."""

LETTER_OR_DIGIT = re.compile("[A-Za-z0-9]")
NOT_ASCII = re.compile("[^ -~]")

QUOTED = re.compile(rf"""'[^']{{{HIDDEN_FROM},}}'|"[^"]{{{HIDDEN_FROM},}}\"""")

MAX_NAMES = 100
"""Characters of names of columns in a message."""

BREAKING = ("Cc", "Zl", "Zp")
"""Unicode categories that break a line or a terminal: controls, line and paragraph separators."""


def plural(number: int, noun: str, grouping: str = "") -> str:
    """``1 file``, ``2 files``; with commas as ``grouping`` also ``2,000 files``."""
    return f"{number:{grouping}} {noun}" if number == 1 else f"{number:{grouping}} {noun}s"


def make_printable(text: str) -> str:
    r"""A path for people and tables: what is not UTF-8 as ``\xNN``, no control characters."""
    if text.isascii() and text.isprintable():  # nearly every text
        return text
    try:
        content = os.fsencode(text)
    except UnicodeEncodeError:  # surrogates that stand for no byte
        content = text.encode("utf-8", "backslashreplace")
    escaped = content.decode("utf-8", "backslashreplace")
    if escaped.isprintable():
        return escaped
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in BREAKING else c
        for c in escaped
    )


VARIABLE = re.compile(r"(?:^|/)\$(?:[A-Za-z_]|\{)")
"""The begin of a part of a path that a shell would replace."""

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
"""The begin of an address of the internet, such as ``s3://``."""


def find_path_problem(path: str) -> str | None:
    """Why a path that no shell has read cannot be meant, None if it can; else a hint for people."""
    if "\0" in path:
        return "no path has a NUL"
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return "it has half of a character (a surrogate of UTF-16), which no path has"
    if path.startswith("~"):
        return "~ does not stand for a home folder here. Write the whole path, or ./~ for that name"
    if ADDRESS.match(path):
        return "it is an address, and only files and folders of this machine can be named"
    if VARIABLE.search(path):
        return "variables are not replaced here. Write the path itself"
    return None


ADVICE_BY_ERRNO = {
    errno.ENOSPC: "free space there or use another disk, then run again",
    errno.EDQUOT: "remove some of your files there, ask for a larger quota or use another disk, "
    "then run again",
    errno.EIO: "check the disk or use another one, then run again",
    errno.ESTALE: "mount the file system again, then run again",
    errno.ETIMEDOUT: "check the connection to the file server, then run again",
    errno.EHOSTDOWN: "check the connection to the file server, then run again",
    errno.ENOTCONN: "mount the file system again, then run again",
    errno.EREMOTEIO: "check the file server, then run again",
    errno.ENXIO: "check the disk or use another one, then run again",
    errno.EBUSY: "end the programs that use it, then run again",
    errno.EDEADLK: "run again",
    errno.ENOLCK: "check the lock service of the file server, then run again",
    errno.ENOMEM: "use fewer cores or more memory, then run again",
    errno.EFBIG: "raise the limit on the size of a file (ulimit -f) or use another disk, then run "
    "again",
    errno.EROFS: "use a folder on a file system that can be written, then run again",
    errno.EACCES: "change the permissions or use another folder, then run again",
    errno.EPERM: "change the permissions or use another folder, then run again",
    errno.EMFILE: "raise the limit on open files (ulimit -n) or use fewer processes, then run "
    "again",
    errno.ENFILE: "close other programs or use fewer processes, then run again",
    errno.ENOTDIR: "use another path, since a part of this one is a file and not a folder",
    errno.EISDIR: "name a file instead of this folder",
    errno.EEXIST: "remove or rename what is there, or use another path",
    errno.ENAMETOOLONG: "use a shorter path",
    errno.ENOENT: "check the path",
}
"""What to do about an error of the file system."""


def explain_error(error: Exception) -> str:
    """An error for people; of the file system: where, what happened, and what to do about it."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    path = None if error.filename is None else os.fsdecode(error.filename)
    where = "" if path is None else f"{make_printable(path)}: "
    room = (
        f" ({describe_free_space(path)})"
        if path is not None and error.errno == errno.ENOSPC
        else ""
    )
    return f"{where}{error.strerror}{room}{_advise(error)}"


def explain_without_path(error: Exception) -> str:
    """An error for a message that already names the path, with what to do about it."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return f"{error.strerror}{_advise(error)}"


def _advise(error: OSError) -> str:
    advice = ADVICE_BY_ERRNO.get(error.errno or 0)
    return f". What to do: {advice}" if advice else ""


def describe_free_space(path: str) -> str:
    """Free space for this user where ``path`` is or would be, and of how much, for messages."""
    disk = _find_disk(path)
    if disk is None:
        return "free space unknown"
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    files = ", no room for another file" if disk.f_files and not disk.f_favail else ""
    return f"now {format_bytes(free)} of {format_bytes(total)} free{files}"


def find_free_bytes(path: str) -> int | None:
    """Bytes that this user may still write where ``path`` is or would be, None if unknown."""
    disk = _find_disk(path)
    return None if disk is None else disk.f_bavail * disk.f_frsize


def _find_disk(path: str) -> os.statvfs_result | None:
    folder = os.path.abspath(path)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    try:
        return os.statvfs(folder)
    except OSError:
        return None


def format_bytes(number: int) -> str:
    """``0 bytes``, ``12 kB``, ``1.5 GB``: at least two digits, in powers of 1000."""
    for exponent, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if number >= 1000**exponent:
            amount = number / 1000**exponent
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"  # noqa: PLR2004
    return plural(number, "byte")


def hide_text(text: str, known: Container[str] = ()) -> str:
    """A value of a header for messages: a number, a UID or one of ``known`` as it is.

    Of other text only the length, unless it is very short: in an element where it does not belong
    it may be the name or address of a patient.
    """
    if text in known or len(text) < HIDDEN_FROM or NUMBER.fullmatch(text) or is_uid(text):
        return text
    return f"text of {plural(len(text), 'character')}"


def is_uid(text: str) -> bool:
    """Whether a text is a UID by its form, however long."""
    return UID_TEXT.fullmatch(text) is not None


def mask_text(text: str) -> str:
    """A text of which only the form is left: x for letters and digits, ? for what is not ASCII."""
    return NOT_ASCII.sub("?", LETTER_OR_DIGIT.sub("x", text))


def hide_quoted(message: str) -> str:
    """A message of a library, without what it quotes, which may be of a header."""
    return QUOTED.sub("'...'", message)


def csv_cell(value: object) -> object:
    """A value as this project's csv files have it: booleans in lower case, text harmless."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape_formula(make_printable(value)) if isinstance(value, str) else value


def escape_formula(text: str) -> str:
    """A text with an apostrophe before it if a spreadsheet would compute it, and it is no number.

    A text that looks escaped gets one too, so that ``unescape_formula`` gives back any text.
    """
    begin = text.lstrip("'")
    is_formula = begin.startswith(FORMULA_STARTS) and not CELL_NUMBER.fullmatch(begin)
    return f"'{text}" if is_formula else text


def unescape_formula(text: str) -> str:
    """The text that ``escape_formula`` was given."""
    return text[1:] if text.startswith("'") and escape_formula(text) != text else text


def list_names(names: Iterable[str]) -> str:
    """Names of columns for a message of one line."""
    return f"{make_printable(', '.join(map(str, names))):.{MAX_NAMES}}"


def require_column_names(names: Sequence[str]) -> None:
    """Refuse a table without names of columns, or with one twice.

    Raises
    ------
    ValueError
    """
    if not names:
        raise ValueError("the first line has no names of columns")
    if len(set(names)) < len(names):
        raise ValueError(f"the first line names a column twice: {list_names(names)}")
