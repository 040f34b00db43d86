"""DCMTK's dcmdump: the elements of the top level of a data set, as it prints them."""

import re
import shutil
import subprocess
from typing import NamedTuple

is_installed = shutil.which("dcmdump") is not None

SECONDS = 60
OPTIONS = ("-q", "+F", "+L", "-Un", "+uc", "+sb", "7fe0,0008")
"""Titles of files, values in full, UIDs as they are, what UN is, and nothing from the pixels on."""

TITLE = re.compile(rb"^# dcmdump \(\d+/\d+\): (.*)$")
DATA_SET = b"# Dicom-Data-Set"
ELEMENT = re.compile(
    r"^\((?P<tag>[0-9a-f]{4},[0-9a-f]{4})\) (?P<vr>\S\S) (?P<value>.*?) +# +(\d+|u/l), *\d+ "
)
NO_VALUE = "(no value available)"
SEQUENCE = re.compile(r"^\((?:Sequence|PixelSequence) .*#=(\d+)\)$")
BYTES = ("OB", "OW")
"""Printed as hexadecimal numbers."""
NUMBERS = ("US", "SS", "UL", "SL", "FL", "FD", "OV", "xs", "lt", "up")
"""With those of which dcmdump knows the VR from the dictionary only, in implicit VR."""


class Element(NamedTuple):
    """An element: its VR, and its text, its numbers, or the number of its items."""

    vr: str
    value: str | tuple[float, ...] | int


def dump(paths):
    """The elements of each file by tag, as dcmdump reads them; without files that it rejects."""
    if not paths:
        return {}
    command = ["dcmdump", *OPTIONS, *map(str, paths)]
    # Its exit status tells that some file was rejected.
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    found, elements, is_data_set = {}, {}, False
    for line in done.stdout.split(b"\n"):
        if title := TITLE.match(line):
            elements, is_data_set = {}, False
            found[title[1].decode()] = elements
        elif line.startswith(DATA_SET):
            is_data_set = True
        elif is_data_set and (match := ELEMENT.match(line.decode("latin-1"))):
            tag = int(match["tag"].replace(",", ""), 16)
            elements[tag] = Element(match["vr"], _parse(match["vr"], match["value"]))
    return {path: found[str(path)] for path in paths if found.get(str(path))}


def _parse(vr, value):
    if count := SEQUENCE.match(value):
        return int(count[1])
    if value == NO_VALUE:
        return () if vr in NUMBERS or vr in BYTES else ""
    if vr in BYTES or (vr == "UN" and not value.startswith("[")):
        return tuple(int(part, 16) for part in value.split("\\"))
    if vr in NUMBERS:
        return tuple(map(float, value.split("\\")))
    return value.removeprefix("[").removesuffix("]").strip(" \0")
