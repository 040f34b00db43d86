"""Messages about several different files of one SOP instance, from their headers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_preprocessing.dicom.transfer_syntaxes import name_uid
from dicom_preprocessing.text import make_printable, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_preprocessing.index.table import InventoryEntry

MAX_NAMED = 3
"""Files that a message names."""


def describe_others(entry: InventoryEntry, others: Sequence[InventoryEntry]) -> str:
    """Name the other files of an instance, the first few if they are many."""
    named = [describe_other(entry, other) for other in others[:MAX_NAMED]]
    left_out = len(others) - len(named)
    return ", ".join(named) + (f", and {plural(left_out, 'more file')}" if left_out else "")


def describe_other(entry: InventoryEntry, other: InventoryEntry) -> str:
    """Name another file of an instance, and say so if it may hold the same image.

    Only decoding would show whether the pixels are the same, and not even that after lossy
    compression.
    """
    name = make_printable(other.path)
    syntaxes = (entry.transfer_syntax_uid, other.transfer_syntax_uid)
    is_alike = _pixel_shape(entry) == _pixel_shape(other)
    if not is_alike or not all(syntaxes) or len(set(syntaxes)) == 1:
        return name
    own_syntax, other_syntax = map(name_uid, syntaxes)
    return (
        f"{name} (by its header perhaps the same image in another transfer syntax: {other_syntax} "
        f"there, {own_syntax} here)"
    )


def _pixel_shape(entry: InventoryEntry) -> tuple[int, ...]:
    """The attributes that compression does not change."""
    return (
        entry.rows,
        entry.columns,
        max(1, entry.number_of_frames),
        max(1, entry.samples_per_pixel),
        entry.bits_stored,
    )
