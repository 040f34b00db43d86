"""Sizes of samples and table entries, and the integers that they hold."""

from __future__ import annotations

from typing import Final

BYTE_BITS: Final = 8
WORD_BITS: Final = 16
"""Of value representations US, SS and OW (PS3.5 6.2)."""


def find_range(bits: int, *, signed: bool) -> tuple[int, int]:
    """Return the lowest and highest integer of so many bits."""
    lowest = -(1 << bits - 1) if signed else 0
    return lowest, lowest + (1 << bits) - 1
