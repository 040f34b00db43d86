"""Look-up tables of DICOM: Modality LUT, VOI LUT and palettes, which share one form.

PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5, C.7.6.3.1.6 and, for segmented palettes, C.7.9.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dicom_preprocessing.errors import UnsupportedPixelsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.dicom.attribute import Value
    from dicom_preprocessing.dicom.description import LutAttributes

BYTE_BITS: Final = 8
WORD_BITS: Final = 16
MAX_ENTRIES: Final = 1 << WORD_BITS
DISCRETE, LINEAR, INDIRECT = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """Entries for values from ``first`` on, of ``bits`` bits.

    ``is_short`` marks a table with fewer entries than its descriptor says; the last one goes on.
    """

    entries: NDArray[np.int64]
    first: int
    bits: int
    is_short: bool = False

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Entries of the rounded values; the first and last for values outside, 0 is no number."""
        index = np.nan_to_num(np.floor(values + 0.5) - self.first)
        inside = np.clip(index, 0, len(self.entries) - 1).astype(np.int64)
        found: NDArray[np.float64] = self.entries[inside].astype(np.float64)
        return found


def lookup_table(stored: LutAttributes, *, signed: bool, little_endian: bool = True) -> LookupTable:
    """Make a table of what stands in the file: a descriptor and its data.

    Parameters
    ----------
    stored : LutAttributes
        The descriptor has three integers: number of entries (0 is 65536), first value mapped, bits
        of an entry. The data is bytes (VR OW) or integers (VR US), or a segmented palette.
    signed : bool
        Whether the values that it maps may be negative: then so is the first value mapped.
    little_endian : bool
        Byte order of bytes.

    Raises
    ------
    UnsupportedPixelsError
        They are none.
    """
    if not stored.descriptor.values or not (stored.data.values or stored.segmented.values):
        raise UnsupportedPixelsError("a look-up table without descriptor or without data")
    try:
        count, first, bits = _descriptor(stored.descriptor.values)
        count = count % MAX_ENTRIES or MAX_ENTRIES
        if stored.data.values:
            words = _words(stored.data.values, little_endian=little_endian)
        else:
            words = expand_segments(stored.segmented.values, bits, little_endian=little_endian)
        entries = _entries(words, count, bits)
        needed = int(entries.max()).bit_length()
    except (ArithmeticError, TypeError, ValueError) as error:
        raise UnsupportedPixelsError(f"a look-up table cannot be used: {error}") from error
    half = MAX_ENTRIES // 2
    first = (first + half) % MAX_ENTRIES - half if signed else first % MAX_ENTRIES
    return LookupTable(
        entries,
        first,
        bits=max(bits if 0 < bits <= WORD_BITS else WORD_BITS, needed),
        is_short=len(entries) < count,
    )


def _descriptor(values: Sequence[Value]) -> tuple[int, int, int]:
    """Number of entries, first value mapped, bits of an entry."""
    if len(values) != len(("count", "first", "bits")):
        raise ValueError(f"its descriptor has {len(values)} values instead of 3")
    count, first, bits = map(int, values)
    return count, first, bits


def _entries(words: NDArray[np.int64], count: int, bits: int) -> NDArray[np.int64]:
    """At most ``count`` entries.

    Entries of 8 bits fill a word each, or two share one, the first in the low byte: the length
    tells (C.7.6.3.1.6).
    """
    if bits <= BYTE_BITS and words.size < count:
        words = np.stack([words & 0xFF, words >> BYTE_BITS], axis=1).ravel()
    if not words.size:
        raise ValueError("it has no entries")
    return words[:count]


def _words(values: Sequence[Value], *, little_endian: bool) -> NDArray[np.int64]:
    """Words of a value: bytes, or a number each."""
    if isinstance(values[0], bytes):
        padded = values[0] + b"\0" * (len(values[0]) % 2)
        return np.frombuffer(padded, "<u2" if little_endian else ">u2").astype(np.int64)
    return np.asarray(values, dtype=np.int64) & (MAX_ENTRIES - 1)


def expand_segments(
    values: Sequence[Value], bits: int, *, little_endian: bool
) -> NDArray[np.int64]:
    """Entries of segmented palette data (C.7.9.2).

    Raises
    ------
    UnsupportedPixelsError
        The segments lead nowhere.
    """
    try:
        words = _words(values, little_endian=little_endian)
        if bits <= BYTE_BITS:
            words = np.stack([words & 0xFF, words >> BYTE_BITS], axis=1).ravel()
        entries: list[int] = []
        _expand(words.tolist(), bits, 0, None, entries, depth=0)
    except (ArithmeticError, IndexError, TypeError, ValueError) as error:
        raise UnsupportedPixelsError(f"a segmented palette cannot be used: {error}") from error
    return np.array(entries, np.int64)


def _expand(
    values: list[int], bits: int, at: int, segments: int | None, entries: list[int], *, depth: int
) -> None:
    """Append the entries of ``segments`` segments, or of all, from place ``at`` on."""
    while at + 1 < len(values) and segments != 0:
        kind, length = values[at : at + 2]
        at += 2
        if kind == DISCRETE:
            entries += values[at : at + length]
            at += length
        elif kind == LINEAR:
            start, end = entries[-1], values[at]
            at += 1
            steps = np.arange(1, length + 1) / max(length, 1)
            entries += np.rint(start + (end - start) * steps).astype(int).tolist()
        elif kind == INDIRECT and depth == 0:
            parts = 4 if bits <= BYTE_BITS else 2
            width = BYTE_BITS if bits <= BYTE_BITS else WORD_BITS
            offset = sum(value << i * width for i, value in enumerate(values[at : at + parts]))
            at += parts
            start_at = offset if bits <= BYTE_BITS else offset // 2  # it counts bytes
            _expand(values, bits, start_at, length, entries, depth=1)
        else:
            raise ValueError(f"segment type {kind}")
        if len(entries) > MAX_ENTRIES:
            raise ValueError("too many entries")
        segments = None if segments is None else segments - 1
