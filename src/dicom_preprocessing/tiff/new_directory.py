"""Directory of a page of a TIFF that is written, classic or BigTIFF.

Section numbers are those of TIFF 6.0 (Adobe, 1992).
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_preprocessing.tiff.directories import (
    BIG,
    BIG_HEADER,
    CLASSIC,
    CLASSIC_HEADER,
)
from dicom_preprocessing.tiff.numbers import TagType

if TYPE_CHECKING:
    from collections.abc import Sequence

Entry = tuple[int, int, tuple[Any, ...] | bytes]
"""Tag, type and values; a RATIONAL is two of them, a text its bytes."""


NUMBER_CODES: Final = {
    TagType.SHORT: "H",
    TagType.LONG: "L",
    TagType.RATIONAL: "L",
    TagType.FLOAT: "f",
    TagType.LONG8: "Q",
}
"""Struct codes by type, of all but texts."""

FEW: Final = 4
CACHED_TAGS: Final = 256
"""Tags of few values that stay packed: most of an image are those of the one before it."""


class Layout(NamedTuple):
    """What classic TIFF and BigTIFF do differently.

    Parameters
    ----------
    header : str
        Struct format of the header, without the byte order.
    numbers : tuple of int
        What is in the header after the letters of the byte order.
    count_code, offset_code : str
        Struct codes of the number of entries, and of offsets and numbers of values.
    offset_type : int
        Type of values that are offsets or numbers of bytes.
    """

    header: str
    numbers: tuple[int, ...]
    count_code: str
    offset_code: str
    offset_type: int

    def make_header(self, order: str = "<") -> bytes:
        """Return all that precedes the first directory."""
        letters = b"II" if order == "<" else b"MM"
        return struct.pack(order + self.header, letters, *self.numbers)


CLASSIC_LAYOUT: Final = Layout("2sHL", (CLASSIC, CLASSIC_HEADER), "H", "L", TagType.LONG)
BIG_LAYOUT: Final = Layout("2sHHHQ", (BIG, 8, 0, BIG_HEADER), "Q", "Q", TagType.LONG8)


class NewDirectory:
    """Bytes of a directory: entries in ascending order, offset of the next one, long values.

    They are made once for pages that differ in a few numbers, which ``set_values`` changes.

    Parameters
    ----------
    entries : sequence of (tag, type, values)
    layout : Layout
    order : str
        Byte order, < or >.

    Attributes
    ----------
    content : bytearray
        An even number of bytes.
    """

    def __init__(self, entries: Sequence[Entry], layout: Layout, order: str = "<") -> None:
        self._offset = struct.Struct(order + layout.offset_code)
        self._places: dict[int, tuple[int, str]] = {}
        self._long: list[tuple[int, int]] = []
        inline = self._offset.size
        entry = struct.Struct(f"{order}HH{layout.offset_code}{inline}s")
        head = bytearray(struct.pack(order + layout.count_code, len(entries)))
        long_values = bytearray()
        self._next = len(head) + len(entries) * entry.size
        for tag, tag_type, values in sorted(entries):
            pack = _pack_or_recall if len(values) <= FEW else _pack_values
            form, count, packed = pack(order, tag_type, values)
            is_long = len(packed) > inline
            head += entry.pack(tag, tag_type, count, b"" if is_long else packed)
            start = len(head) - inline
            if is_long:
                place, start = start, self._next + inline + len(long_values)
                self._long.append((place, start))
                # Section 2: values begin on a word boundary.
                long_values += packed + bytes(len(packed) % 2)
            self._places[tag] = start, form
        self.content = head + bytes(inline) + long_values

    def start_of(self, tag: int) -> int:
        """Return the offset in ``content`` of the values of a tag."""
        return self._places[tag][0]

    def set_values(self, tag: int, *values: int) -> None:
        """Change the values of a tag, whose number stays."""
        start, form = self._places[tag]
        struct.pack_into(form, self.content, start, *values)

    def move_to(self, offset: int, next_offset: int = 0) -> None:
        """Make the content that of a directory at an offset of the file.

        Parameters
        ----------
        offset : int
            Even (section 2).
        next_offset : int
            Of the directory of the next page, 0 after the last.
        """
        for place, start in self._long:
            self._offset.pack_into(self.content, place, offset + start)
        self._offset.pack_into(self.content, self._next, next_offset)


def _pack_values(
    order: str, tag_type: int, values: tuple[Any, ...] | bytes
) -> tuple[str, int, bytes]:
    """Return the struct format of values, their number as an entry has it, and their bytes."""
    form = f"{order}{len(values)}{NUMBER_CODES.get(tag_type, 's')}"
    count = len(values) // 2 if tag_type == TagType.RATIONAL else len(values)
    return form, count, values if isinstance(values, bytes) else struct.pack(form, *values)


@functools.lru_cache(maxsize=CACHED_TAGS)
def _pack_or_recall(
    order: str, tag_type: int, values: tuple[Any, ...] | bytes
) -> tuple[str, int, bytes]:
    """Return what ``_pack_values`` returned for the same values."""
    return _pack_values(order, tag_type, values)
