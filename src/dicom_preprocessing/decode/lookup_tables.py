"""Look-up tables of DICOM: Modality LUT, VOI LUT and palettes, which have one format.

PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5, C.7.6.3.1.6 and, for segmented palettes, C.7.9.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import gt
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from dicom_preprocessing.decode.bits import BYTE_BITS, WORD_BITS
from dicom_preprocessing.errors import UnsupportedPixelsError
from dicom_preprocessing.text import hide_quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dicom_preprocessing.dicom.attribute import Value
    from dicom_preprocessing.dicom.description import LutAttributes
    from dicom_preprocessing.image_warnings import ImageWarnings

MAX_ENTRIES: Final = 1 << WORD_BITS
DISCRETE, LINEAR, INDIRECT = 0, 1, 2
"""Types of segments (PS3.3 C.7.9.2)."""


@dataclass(frozen=True, slots=True)
class LutKind:
    """A kind of table, and the bits that its entries may have.

    Parameters
    ----------
    name : str
        As it is in messages.
    bits : sequence of int
        Ascending. Entries that exceed the bits of the descriptor have the next of them.
    fills_range : bool
        Whether entries are scaled by their bits, so that the highest one is meant to be white.
    """

    name: str
    bits: Sequence[int]
    fills_range: bool


MODALITY_LUT: Final = LutKind("the Modality LUT", range(1, WORD_BITS + 1), fills_range=False)
VOI_LUT: Final = LutKind("the VOI LUT", range(1, WORD_BITS + 1), fills_range=True)
PALETTE_LUT: Final = LutKind("the palette", (BYTE_BITS, WORD_BITS), fills_range=True)


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """Entries of ``bits`` bits, for values from ``first`` on."""

    entries: NDArray[np.int64]
    first: int
    bits: int

    def find_used(self, values: tuple[float, float]) -> NDArray[np.int64]:
        """Return the entries of the lowest to the highest of ``values``."""
        start, end = find_ends(self.first, len(self.entries), values)
        return self.entries[start : end + 1]

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Look up the entries of values, which are rounded half up."""
        # PS3.3 C.11.1.1: values below the first one mapped have the first entry, those above the
        # last one have the last. NaN has the first, since no index is nearer to it.
        index = np.nan_to_num(np.floor(values + 0.5) - self.first)
        inside = np.clip(index, 0, len(self.entries) - 1).astype(np.int64)
        entries: NDArray[np.float64] = self.entries[inside].astype(np.float64)
        return entries


class Entries(NamedTuple):
    """Entries of a table, their bits by descriptor and length of the data, and what is wrong."""

    entries: NDArray[np.int64]
    bits: int
    faults: tuple[str, ...] = ()


def grey_table(
    kind: LutKind,
    stored: LutAttributes,
    warnings: ImageWarnings,
    *,
    values: tuple[float, float],
    little_endian: bool,
) -> LookupTable:
    """Make a table of grey values that maps at least two of ``values`` to different ones.

    Parameters and errors are those of ``lookup_tables``.
    """
    (table,) = lookup_tables(kind, [stored], warnings, values=values, little_endian=little_endian)
    # Like a slope of 0 or a window without a width, it would leave nothing of the image.
    used = table.find_used(values)
    if used.min() == used.max():
        which = "of its entries" if len(used) == len(table.entries) else "values have entries that"
        raise UnsupportedPixelsError(f"{kind.name} cannot be used: all {which} are equal")
    return table


def lookup_tables(
    kind: LutKind,
    stored: Sequence[LutAttributes],
    warnings: ImageWarnings,
    *,
    values: tuple[float, float],
    little_endian: bool = True,
) -> tuple[LookupTable, ...]:
    """Make the tables that belong together, one or the three of a palette, from the file.

    Parameters
    ----------
    kind : LutKind
    stored : sequence of LutAttributes
        The descriptor has three integers: number of entries (0 is 65536), first value mapped, bits
        of an entry. The data is bytes (VR OW) or integers (VR US), or a segmented palette.
    warnings : ImageWarnings
        Takes contradictions between descriptors and data.
    values : (lowest, highest)
        Of the values that it maps, as far as the header tells.
    little_endian : bool
        Byte order of data that is bytes.

    Raises
    ------
    UnsupportedPixelsError
        A descriptor or its data is missing or invalid.
    """
    firsts, found, faults = [], [], dict[str, None]()
    for one in stored:
        if not one.descriptor.values or not (one.data.values or one.segmented.values):
            raise UnsupportedPixelsError(f"{kind.name} has no descriptor or no data")
        try:
            count, first, bits = _parse_descriptor(one.descriptor.values)
            found.append(read_entries(one, count, bits, little_endian=little_endian))
        except (ArithmeticError, IndexError, TypeError, ValueError) as error:
            raise UnsupportedPixelsError(
                f"{kind.name} cannot be used: {hide_quoted(str(error))}"
            ) from error
        first, fault = choose_first(first, len(found[-1].entries), values)
        firsts.append(first)
        faults |= dict.fromkeys((*found[-1].faults, fault))
    bits_of_tables, fault = choose_bits(kind, found)
    for text in filter(None, (*faults, fault)):
        warnings.add("lut_contradicts_descriptor", f"{kind.name} {text}")
    return tuple(
        LookupTable(one.entries, first, bits)
        for one, first, bits in zip(found, firsts, bits_of_tables, strict=True)
    )


def choose_first(stated: int, count: int, values: tuple[float, float]) -> tuple[int, str]:
    """Return the first value mapped, and how it contradicts what is mapped, empty if not.

    Parameters
    ----------
    stated : int
        As of a descriptor of VR US or SS.
    count : int
        Entries of the table.
    values : (lowest, highest)
        As of ``lookup_tables``.
    """
    lowest, _ = values
    # The VR of the descriptor, US or SS, is often wrong; the sign of the values that are mapped is
    # not. Read with the wrong sign, a first value of -1024 maps nothing.
    half = MAX_ENTRIES // 2
    unsigned, signed = stated % MAX_ENTRIES, (stated + half) % MAX_ENTRIES - half
    expected, other = (signed, unsigned) if lowest < 0 else (unsigned, signed)
    reach, other_reach = (
        end - start for start, end in (find_ends(f, count, values) for f in (expected, other))
    )
    # A table may begin below all values that it maps.
    if other_reach > reach:
        return other, (
            f"has a first value of {expected} or {other}, which maps more of the values that "
            f"pixels may have: {other} is taken"
        )
    if not reach and count > 1:
        return expected, (
            f"has a first value of {expected}, and one entry for all values that pixels may have"
        )
    return expected, ""


def find_ends(first: int, count: int, values: tuple[float, float]) -> tuple[int, int]:
    """Return the indices of the entries of the lowest and highest value."""
    start, end = (min(max(v + 0.5 - first, 0.0), count - 1.0) for v in values)
    return int(start), int(end)


def choose_bits(kind: LutKind, tables: Sequence[Entries]) -> tuple[list[int], str]:
    """Return the bits of each table, and how that contradicts the descriptors, empty if not."""
    stated = [table.bits for table in tables]
    needed_by_table = [int(table.entries.max()).bit_length() for table in tables]
    highest, needed = max(int(table.entries.max()) for table in tables), max(needed_by_table)
    # Scaled by too few bits, entries would exceed full range. Tables of one palette have one range:
    # one that does not reach the limit of its descriptor is not brighter for that.
    if any(map(gt, needed_by_table, stated)):
        bits = next(b for b in kind.bits if b >= max(needed, *stated))
        return [bits] * len(tables), (
            f"has entries of up to {highest}, more than {min(stated)} bits: {bits} are taken"
        )
    if not kind.fills_range or min(stated) <= max(needed, BYTE_BITS):
        return stated, ""
    # Writers state the bits of the word that holds an entry. Scaled by them, white would be black.
    found = f"has entries of up to {highest}, and its descriptor says {min(stated)} bits"
    if kind is PALETTE_LUT and 0 < needed <= BYTE_BITS:
        return [BYTE_BITS] * len(tables), f"{found}: {BYTE_BITS} are taken"
    if needed >= BYTE_BITS and highest == (1 << needed) - 1:
        return [needed] * len(tables), f"{found}: {needed} are taken"
    # Only a highest entry of all ones tells the bits; others may be meant to be dark.
    return stated, f"{found}: {min(stated)} are taken"


def read_entries(
    stored: LutAttributes, count: int, bits: int, *, little_endian: bool = True
) -> Entries:
    """Read the entries of a table with a stated number of entries and of bits.

    Raises
    ------
    ArithmeticError, IndexError, TypeError, ValueError
        The data is invalid.
    """
    # 2**16 entries do not fit into 16 bits: PS3.3 C.11.1.1 writes 0. A descriptor of VR SS has
    # negative counts from 2**15 on.
    count = count % MAX_ENTRIES or MAX_ENTRIES
    faults: tuple[str, ...] = ()
    if not 0 < bits <= WORD_BITS:
        faults = (f"has a descriptor of {bits} bits: {WORD_BITS} are taken",)
        bits = WORD_BITS
    read = _read_data if stored.data.values else _read_segments
    found = read(stored, count, bits, little_endian=little_endian)
    if not found.entries.size:
        raise ValueError("it has no entries")
    entries, fault = _fit_to_count(found.entries, count)
    return Entries(entries, found.bits, (*faults, *found.faults, *([fault] if fault else ())))


def _fit_to_count(entries: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], str]:
    """Return the entries that count, and how their number contradicts the descriptor."""
    found = len(entries)
    if found < count:
        return entries, f"has {found} of {count} entries: the last one is repeated"
    if found == count:
        return entries, ""
    # Zeros behind a table are padding: as the last entry, they would make all higher values black.
    if not entries[count:].any():
        return entries[
            :count
        ], f"has {found - count} zeros behind its {count} entries: they are ignored"
    fault = f"has {found} entries, more than the {count} of its descriptor: all are taken"
    return entries[:MAX_ENTRIES], fault


def _read_data(stored: LutAttributes, count: int, bits: int, *, little_endian: bool) -> Entries:
    """Read entries that are there one by one, in bytes or in words."""
    words, length = _read_words(stored.data.values, little_endian=little_endian)
    if not _has_byte_entries(words, length, count, bits):
        return Entries(words[: length // 2], bits)
    # The second byte of the last word is padding where their number is odd (PS3.5 7.1.1).
    entries = _split_words(words)[: count if length == count + count % 2 else length]
    if bits <= BYTE_BITS:
        return Entries(entries, bits)
    fault = f"has a byte for each entry, and its descriptor says {bits} bits: {BYTE_BITS} are taken"
    return Entries(entries, BYTE_BITS, (fault,))


def _has_byte_entries(words: NDArray[np.int64], length: int, count: int, bits: int) -> bool:
    """Whether data of ``length`` bytes has a byte for each entry."""
    # Entries of 8 bits have a word each, or share one, the first in the low byte (C.7.6.3.1.6).
    # The length says which, and more surely so than the bits of the descriptor.
    if length == 2 * count:
        return False
    if length == count + count % 2:
        return True
    # Writers state the last index in place of the number.
    if abs(length // 2 - count) == 1:
        return False
    return bits <= BYTE_BITS and bool((words >> BYTE_BITS).any())


def _split_words(words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bytes of words, the low one first."""
    return np.stack([words & 0xFF, words >> BYTE_BITS], axis=1).ravel()


def _parse_descriptor(values: Sequence[Value]) -> tuple[int, int, int]:
    """Return the number of entries, the first value mapped, and the bits of an entry."""
    if len(values) != len(("count", "first", "bits")):
        raise ValueError(f"its descriptor has {len(values)} values instead of 3")
    count, first, bits = map(int, values)
    return count, first, bits


def _read_words(values: Sequence[Value], *, little_endian: bool) -> tuple[NDArray[np.int64], int]:
    """Return words of 16 bits, of bytes or of numbers, and their number of bytes."""
    if isinstance(values[0], bytes):
        length = len(values[0])
        padded = values[0] + b"\0" * (length % 2)
        return np.frombuffer(padded, "<u2" if little_endian else ">u2").astype(np.int64), length
    # Entries have no sign (C.11.1.1.1), whatever the VR is.
    return np.asarray(values, dtype=np.int64) & (MAX_ENTRIES - 1), 2 * len(values)


def _read_segments(stored: LutAttributes, count: int, bits: int, *, little_endian: bool) -> Entries:
    """Read a segmented palette (C.7.9.2)."""
    words, length = _read_words(stored.segmented.values, little_endian=little_endian)
    # Segments of 8-bit entries are bytes throughout: types, lengths and offsets, too.
    is_bytes = bits <= BYTE_BITS
    values = {True: _split_words(words)[:length].tolist(), False: words.tolist()}
    entries, error = _try_to_expand(values[is_bytes], is_bytes=is_bytes)
    if len(entries) != count:
        # Only the number of entries says whether bits of the descriptor are wrong.
        others, _ = _try_to_expand(values[not is_bytes], is_bytes=not is_bytes)
        if len(others) == count:
            kind, found_bits = ("words", bits) if is_bytes else ("bytes", BYTE_BITS)
            fault = f"has segments of {kind}, and its descriptor says {bits} bits: {kind} are taken"
            return Entries(np.array(others, np.int64), found_bits, (fault,))
    if error is not None:
        raise error
    return Entries(np.array(entries, np.int64), bits)


def _try_to_expand(
    values: list[int], *, is_bytes: bool
) -> tuple[list[int], IndexError | ValueError | None]:
    """Return the entries of segments, or the error that there is in them."""
    entries: list[int] = []
    try:
        _expand(values, 0, None, entries, is_bytes=is_bytes, depth=0)
    except (IndexError, ValueError) as error:
        return [], error
    return entries, None


def _expand(
    values: list[int],
    index: int,
    segments: int | None,
    entries: list[int],
    *,
    is_bytes: bool,
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
            parts, width = (4, BYTE_BITS) if is_bytes else (2, WORD_BITS)
            part_values = values[index : index + parts]
            offset = sum(value << i * width for i, value in enumerate(part_values))
            index += parts
            start = offset if is_bytes else offset // 2
            _expand(values, start, length, entries, is_bytes=is_bytes, depth=1)
        else:
            raise ValueError(f"segment type {segment_type}")
        # Indirect segments may repeat each other: a few bytes must not become gigabytes.
        if len(entries) > MAX_ENTRIES:
            raise ValueError("too many entries")
        segments = None if segments is None else segments - 1
