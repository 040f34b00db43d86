"""Text files that list paths. Standard library only, because the Snakefile imports it."""

from __future__ import annotations

import codecs
import os

from dicom_preprocessing.files import naming

DICOM_PREFIX_AT = 128
PATH_LIST_HEAD_BYTES = 65536
SUFFIXES_OF_NO_LIST = (".dcm", ".dic", ".dicom", ".ima")
"""A file with such a suffix is not a list of paths, whatever it contains."""


def is_path_list(path: str) -> bool:
    """Whether a path is a text list of paths: text, and not named as a DICOM file."""
    return not is_named_as_dicom(path) and is_text(path)


def is_named_as_dicom(path: str) -> bool:
    """Whether a file has a suffix of DICOM files."""
    return os.path.splitext(path)[1].lower() in SUFFIXES_OF_NO_LIST


def is_text(path: str) -> bool:
    """Whether a file is text: no DICM prefix and no NUL byte at its start."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(PATH_LIST_HEAD_BYTES)
    except OSError:
        return False
    is_dicom = head[DICOM_PREFIX_AT : DICOM_PREFIX_AT + 4] == b"DICM"
    return bool(head) and not is_dicom and b"\0" not in head


def read_path_list(path: str) -> list[str]:
    """Paths of a text list, relative ones from the list's folder.

    Blank lines, lines that start with #, and a byte order mark of UTF-8 are skipped.
    """
    with naming(path), open(path, "rb") as file:
        lines = [line.rstrip(b"\r") for line in file.read().split(b"\n")]
    lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)
    folder = os.path.dirname(path)
    return [
        os.path.join(folder, os.fsdecode(line))
        for line in lines
        if line.strip() and not line.lstrip().startswith(b"#")
    ]
