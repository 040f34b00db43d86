"""Parse values of options, with messages that say what was found and what is allowed."""

from __future__ import annotations

import argparse
import math


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


def _refuse(text: str, allowed: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"found {text!r}, allowed: {allowed}")
