"""What the pages of a parquet file hold, by the header of each: metadata says anything.

pyarrow allocates what the header of a page says, and a page may be of 2 GB in a file of a few
bytes. Headers are structs of Thrift's compact protocol; numbers of fields are those of
parquet.thrift (https://github.com/apache/parquet-format).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HEADER_BYTES: Final = 2**10
"""Read at once of a header, of which most have less than 100 bytes."""
MAX_HEADER_BYTES: Final = 2**24
"""What pyarrow reads of a header, which may have the least and the greatest value of its page."""
MAX_DEPTH: Final = 8
"""Structs within each other; headers of pages have three."""

# Types of Thrift's compact protocol.
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
NUMBERS: Final = (I16, I32, I64)
SKIPPED: Final = {TRUE: 0, FALSE: 0, BYTE: 1, DOUBLE: 8}
"""Bytes of values of no use here."""
LONG_LIST: Final = 15
"""In place of a number of items that is larger, and follows."""

UNCOMPRESSED_SIZE, COMPRESSED_SIZE, DATA, DICTIONARY, DATA_V2 = 2, 3, 5, 7, 8
"""Fields of PageHeader."""
NUM_VALUES: Final = 1
"""Field of the headers of data pages."""
ENCODINGS: Final = {DATA: 2, DATA_V2: 4}
"""Field with the encoding, by the field of the header."""
DELTA_BYTE_ARRAY: Final = 7
"""Encoding in which values repeat the start of the one before: long ones may take no bytes."""


class ParquetPage(NamedTuple):
    """A page by its header; of a dictionary, values do not count."""

    nbytes: int
    values: int
    encoding: int | None


def read_pages(file: BinaryIO, start: int, length: int, values: int) -> Iterator[ParquetPage]:
    """Pages of a column chunk, of which pyarrow reads as many as have ``values`` values.

    Raises
    ------
    ValueError
        Their headers are damaged.
    """
    position, end = start, start + length
    while values > 0 and position < end:
        header, size = _read_header(file, position, end)
        compressed = header.get((COMPRESSED_SIZE, I32), -1)
        nbytes = header.get((UNCOMPRESSED_SIZE, I32), -1)
        if compressed < 0 or nbytes < 0:
            raise ValueError("the header of a page has no size")
        count, encoding = 0, None
        for kind, field in ENCODINGS.items():
            of_kind = header.get((kind, STRUCT), {})
            count = max(count, of_kind.get((NUM_VALUES, I32), 0))
            encoding = of_kind.get((field, I32), encoding)
        yield ParquetPage(nbytes, count, encoding)
        values -= count
        position += size + compressed


def _read_header(file: BinaryIO, position: int, end: int) -> tuple[dict[tuple[int, int], Any], int]:
    """Return the fields of a header, by number and type, and its bytes."""
    for size in (HEADER_BYTES, MAX_HEADER_BYTES):
        file.seek(position)
        try:
            return _read_struct(file.read(min(size, end - position)), 0, 0)
        except IndexError:
            continue
    raise ValueError("the header of a page is cut")


def _read_struct(
    content: bytes, position: int, depth: int
) -> tuple[dict[tuple[int, int], Any], int]:
    if depth > MAX_DEPTH:
        raise ValueError("the header of a page is nested too deeply")
    fields: dict[tuple[int, int], Any] = {}
    number = 0
    while head := content[position]:
        position += 1
        if head >> 4:
            number += head >> 4
        else:
            number, position = _read_number(content, position)
        kind = head & 15
        value, position = _read_value(content, position, kind, depth)
        fields[number, kind] = value
    return fields, position + 1


def _read_value(content: bytes, position: int, kind: int, depth: int) -> tuple[Any, int]:
    """Return a value and the position behind it; None for those of no use here."""
    if kind in SKIPPED:
        return None, position + SKIPPED[kind]
    if kind in NUMBERS:
        return _read_number(content, position)
    if kind == BINARY:
        length, position = _read_varint(content, position)
        return None, position + length
    if kind in (LIST, SET):
        return None, _skip_list(content, position, depth)
    if kind == STRUCT:
        return _read_struct(content, position, depth + 1)
    raise ValueError("the header of a page is damaged")  # maps are in none


def _skip_list(content: bytes, position: int, depth: int) -> int:
    head = content[position]
    position += 1
    count, kind = head >> 4, head & 15
    if count == LONG_LIST:
        count, position = _read_varint(content, position)
    for _ in range(count):
        # In lists, a truth value has a byte.
        kind = BYTE if kind in (TRUE, FALSE) else kind
        _, position = _read_value(content, position, kind, depth + 1)
        if position > len(content):
            raise IndexError
    return position


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:  # noqa: PLR2004  # the last one lacks the highest bit
            return value, position
        if shift > 63:  # noqa: PLR2004  # bits of the longest number
            raise ValueError("the header of a page is damaged")


def _read_number(content: bytes, position: int) -> tuple[int, int]:
    value, position = _read_varint(content, position)
    return (value >> 1) ^ -(value & 1), position
