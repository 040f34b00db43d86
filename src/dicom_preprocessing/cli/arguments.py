"""Parse values of options, with messages that say what was found and what is allowed."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from dicom_preprocessing.processes import usable_cores


def add_jobs_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the number of processes."""
    parser.add_argument(
        "-j",
        "--jobs",
        type=read_positive,
        default=usable_cores(),
        metavar="N",
        help="processes (all cores)",
    )


def read_positive(text: str) -> int:
    """Parse an integer of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise _refuse(text, "whole numbers of at least 1")
    return number


def read_size(text: str) -> tuple[int, int]:
    """Parse width and height, such as ``512,512``."""
    try:
        width, height = map(int, text.split(","))
    except ValueError:
        width = height = 0
    if min(width, height) < 1:
        raise _refuse(text, "width and height of at least 1, such as 512,512")
    return width, height


def read_factor(text: str) -> float:
    """Parse a finite number above 0."""
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise _refuse(text, "numbers above 0")
    return factor


def read_path(text: str) -> Path:
    """Parse a path that is read; it may be any that a file can have, as shells list them."""
    if not text:
        raise _refuse(text, "a path (is a variable not set?)")
    return Path(text)


def read_output_path(text: str) -> Path:
    """Parse a path that is written, which is not made where the shell left a ~."""
    if text.startswith("~"):
        raise _refuse(text, "a path without ~, which the shell did not replace; or ./~ if meant so")
    return read_path(text)


def _refuse(text: str, allowed: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"found {text!r}, allowed: {allowed}")
