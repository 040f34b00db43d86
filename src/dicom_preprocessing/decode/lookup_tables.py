"""Look-up tables of DICOM: Modality LUT, VOI LUT and palettes, which have one format.

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

SHORT_TABLE: Final = "a look-up table has fewer entries than it says: the last one is repeated"

BYTE_BITS: Final = 8
WORD_BITS: Final = 16
MAX_ENTRIES: Final = 1 << WORD_BITS
DISCRETE, LINEAR, INDIRECT = 0, 1, 2
"""Types of segments (PS3.3 C.7.9.2)."""


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """Entries of ``bits`` bits, for values from ``first`` on.

    ``is_short`` is True if there are fewer entries than the descriptor says; the last one is then
    that of all higher values.
    """

    entries: NDArray[np.int64]
    first: int
    bits: int
    is_short: bool = False

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Look up the entries of values, which are rounded half up."""
        # PS3.3 C.11.1.1: values below the first one mapped have the first entry, those above the
        # last one have the last. NaN has the first, since no index is nearer to it.
        index = np.nan_to_num(np.floor(values + 0.5) - self.first)
        inside = np.clip(index, 0, len(self.entries) - 1).astype(np.int64)
        entries: NDArray[np.float64] = self.entries[inside].astype(np.float64)
        return entries


def lookup_table(stored: LutAttributes, *, signed: bool, little_endian: bool = True) -> LookupTable:
    """Make a table from its attributes in the file.

    Parameters
    ----------
    stored : LutAttributes
        The descriptor has three integers: number of entries (0 is 65536), first value mapped, bits
        of an entry. The data is bytes (VR OW) or integers (VR US), or a segmented palette.
    signed : bool
        Whether the values that it maps, and so the first value mapped, may be negative.
    little_endian : bool
        Byte order of data that is bytes.

    Raises
    ------
    UnsupportedPixelsError
        The descriptor or the data is missing or invalid.
    """
    if not stored.descriptor.values or not (stored.data.values or stored.segmented.values):
        raise UnsupportedPixelsError("a look-up table without descriptor or without data")
    try:
        count, first, bits = _parse_descriptor(stored.descriptor.values)
        # 2**16 entries do not fit into 16 bits: PS3.3 C.11.1.1 writes 0. A descriptor of VR SS has
        # negative counts from 2**15 on.
        count = count % MAX_ENTRIES or MAX_ENTRIES
        if stored.data.values:
            words = _read_words(stored.data.values, little_endian=little_endian)
        else:
            words = expand_segments(stored.segmented.values, bits, little_endian=little_endian)
        entries = _take_entries(words, count, bits)
        needed = int(entries.max()).bit_length()
    except (ArithmeticError, TypeError, ValueError) as error:
        raise UnsupportedPixelsError(f"a look-up table cannot be used: {error}") from error
    # The VR of the descriptor, US or SS, is often wrong; the sign of the values that are mapped is
    # not. Read with the wrong sign, a first value of -1024 maps nothing.
    half = MAX_ENTRIES // 2
    first = (first + half) % MAX_ENTRIES - half if signed else first % MAX_ENTRIES
    # Entries may need more bits than the descriptor says. Scaled by too few of them, they would
    # exceed full range.
    return LookupTable(
        entries,
        first,
        bits=max(bits if 0 < bits <= WORD_BITS else WORD_BITS, needed),
        is_short=len(entries) < count,
    )


def _parse_descriptor(values: Sequence[Value]) -> tuple[int, int, int]:
    """Return the number of entries, the first value mapped, and the bits of an entry."""
    if len(values) != len(("count", "first", "bits")):
        raise ValueError(f"its descriptor has {len(values)} values instead of 3")
    count, first, bits = map(int, values)
    return count, first, bits


def _take_entries(words: NDArray[np.int64], count: int, bits: int) -> NDArray[np.int64]:
    """Return at most ``count`` entries, at least one."""
    # Entries of 8 bits have a word each, or share one, the first in the low byte (C.7.6.3.1.6).
    # Only the length says which.
    if bits <= BYTE_BITS and words.size < count:
        words = np.stack([words & 0xFF, words >> BYTE_BITS], axis=1).ravel()
    if not words.size:
        raise ValueError("it has no entries")
    return words[:count]


def _read_words(values: Sequence[Value], *, little_endian: bool) -> NDArray[np.int64]:
    """Return words of 16 bits, of bytes or of numbers."""
    if isinstance(values[0], bytes):
        padded = values[0] + b"\0" * (len(values[0]) % 2)
        return np.frombuffer(padded, "<u2" if little_endian else ">u2").astype(np.int64)
    # Entries have no sign (C.11.1.1.1), whatever the VR is.
    return np.asarray(values, dtype=np.int64) & (MAX_ENTRIES - 1)


def expand_segments(
    values: Sequence[Value], bits: int, *, little_endian: bool
) -> NDArray[np.int64]:
    """Return the entries of segmented palette data (C.7.9.2).

    Parameters
    ----------
    values : sequence
        Bytes, or a number per word.
    bits : int
        Of an entry.
    little_endian : bool
        Byte order of bytes.

    Raises
    ------
    UnsupportedPixelsError
        The segments are invalid.
    """
    try:
        words = _read_words(values, little_endian=little_endian)
        # Segments of 8-bit entries are bytes throughout: types, lengths and offsets, too.
        if bits <= BYTE_BITS:
            words = np.stack([words & 0xFF, words >> BYTE_BITS], axis=1).ravel()
        entries: list[int] = []
        _expand(words.tolist(), bits, 0, None, entries, depth=0)
    except (ArithmeticError, IndexError, TypeError, ValueError) as error:
        raise UnsupportedPixelsError(f"a segmented palette cannot be used: {error}") from error
    return np.array(entries, np.int64)


def _expand(
    values: list[int],
    bits: int,
    index: int,
    segments: int | None,
    entries: list[int],
    *,
    depth: int,
) -> None:
    """Append the entries of ``segments`` segments, or of all, from ``index`` of ``values`` on."""
    while index + 1 < len(values) and segments != 0:
        segment_type, length = values[index : index + 2]
        index += 2
        if segment_type == DISCRETE:
            entries += values[index : index + length]
            index += length
        elif segment_type == LINEAR:
            # From the last entry, which is not repeated, to the stated one (C.7.9.2.2).
            start, end = entries[-1], values[index]
            index += 1
            steps = np.arange(1, length + 1) / max(length, 1)
            entries += np.rint(start + (end - start) * steps).astype(int).tolist()
        # Copies segments, of which none may be indirect itself: else they could go in circles
        # (C.7.9.2.3).
        elif segment_type == INDIRECT and depth == 0:
            # The offset has 32 bits, the least significant part first, and counts bytes.
            parts = 4 if bits <= BYTE_BITS else 2
            width = BYTE_BITS if bits <= BYTE_BITS else WORD_BITS
            part_values = values[index : index + parts]
            offset = sum(value << i * width for i, value in enumerate(part_values))
            index += parts
            start_index = offset if bits <= BYTE_BITS else offset // 2
            _expand(values, bits, start_index, length, entries, depth=1)
        else:
            raise ValueError(f"segment type {segment_type}")
        # Indirect segments may repeat each other: a few bytes must not become gigabytes.
        if len(entries) > MAX_ENTRIES:
            raise ValueError("too many entries")
        segments = None if segments is None else segments - 1
