"""Palettes, by descriptions written by hand: from indices to colours."""

import struct

import numpy as np
import pytest

from dicom_preprocessing.decode.colour import read_palette
from dicom_preprocessing.dicom.description import NO_TABLE, StoredTable
from dicom_preprocessing.errors import UnsupportedPixelsError
from tests.unit.descriptions import attribute, description_of


def packed(entries, *, bits=8, first=0, order="<"):
    """A table whose entries are bytes or words."""
    content = struct.pack(f"{order}{len(entries)}{'B' if bits == 8 else 'H'}", *entries)
    return StoredTable(
        attribute("Descriptor", len(entries), first, bits),
        attribute("Data", content + b"\0" * (len(content) % 2)),
    )


def segmented(words, *, count):
    content = struct.pack(f"<{len(words)}H", *words)
    return StoredTable(attribute("Descriptor", count, 0, 16), segmented=attribute("Data", content))


def colours(*indices, tables, bits_stored=8, signed=False, dtype=np.uint8, little_endian=True):
    description = description_of(palette=tuple(tables), is_little_endian=little_endian)
    palette = read_palette(description, bits_stored, signed=signed)
    found = palette(np.array([[i] for i in indices], dtype))
    return str(found.dtype), found.tolist()


WORDS = ([0x01FF, 0x0200], [0xFF00, 0x00FF], [0x1234, 0xFFFF])


def test_8_bit_entries():
    tables = map(packed, ([1, 2, 3, 4], [10, 20, 30, 40], [100, 110, 120, 130]))
    assert colours(0, 3, 1, tables=tables) == ("uint8", [[1, 10, 100], [4, 40, 130], [2, 20, 110]])


def test_odd_number_of_8_bit_entries():
    tables = map(packed, ([1, 2, 3], [10, 20, 30], [100, 110, 120]))
    assert colours(0, 2, tables=tables) == ("uint8", [[1, 10, 100], [3, 30, 120]])


def test_16_bit_entries_are_shifted_for_an_8_bit_index():
    tables = [packed(words, bits=16) for words in WORDS]
    assert colours(0, 1, tables=tables) == ("uint8", [[1, 255, 0x12], [2, 0, 255]])


def test_16_bit_entries_of_a_16_bit_index_stay():
    tables = [packed(words, bits=16) for words in WORDS]
    found = colours(0, 1, tables=tables, bits_stored=16, dtype=np.uint16)
    assert found == ("uint16", [[0x01FF, 0xFF00, 0x1234], [0x0200, 0x00FF, 0xFFFF]])


def test_8_bit_entries_of_a_16_bit_index_are_spread():
    tables = map(packed, ([1, 255], [2, 0], [3, 128]))
    found = colours(0, 1, tables=tables, bits_stored=16, dtype=np.uint16)
    assert found == ("uint16", [[257, 514, 771], [65535, 0, 32896]])


def test_indices_start_at_the_first_value_mapped():
    tables = [packed(entries, first=100) for entries in ([1, 2], [10, 20], [100, 110])]
    _, found = colours(99, 100, 101, 200, tables=tables)
    assert found == [[1, 10, 100], [1, 10, 100], [2, 20, 110], [2, 20, 110]]


def test_first_value_mapped_of_signed_indices_is_signed():
    tables = [packed(entries, first=65535) for entries in ([1, 2], [10, 20], [100, 110])]
    _, found = colours(-1, 0, tables=tables, signed=True, dtype=np.int8)
    assert found == [[1, 10, 100], [2, 20, 110]]


def test_big_endian_entries():
    tables = [packed(words, bits=16, order=">") for words in WORDS]
    _, found = colours(0, 1, tables=tables, little_endian=False)
    assert found == [[1, 255, 0x12], [2, 0, 255]]


def test_segmented_entries():
    # a discrete segment of two entries, a linear one of four up to the end
    ends = (0x0900, 0x5100, 0x0100)
    tables = [segmented((0, 2, 0x0000, 0x0100, 1, 4, end), count=6) for end in ends]
    _, found = colours(0, 1, 2, 3, 4, 5, tables=tables)
    reds, greens, blues = [0, 1, 3, 5, 7, 9], [0, 1, 21, 41, 61, 81], [0, 1, 1, 1, 1, 1]
    assert found == [list(colour) for colour in zip(reds, greens, blues, strict=True)]


@pytest.mark.parametrize(("number", "colour"), [(0, "red"), (1, "green"), (2, "blue")])
def test_missing_table_is_named(number, colour):
    tables = [packed([1, 2])] * 3
    tables[number] = NO_TABLE
    with pytest.raises(UnsupportedPixelsError, match=f"the palette for {colour} is missing"):
        colours(0, tables=tables)


@pytest.mark.parametrize("values", [(2, 0), (2, 0, "x"), (2, float("nan"), 8), (2, 0, 8, 9)])
def test_descriptor_of_other_values_is_an_error(values):
    broken = StoredTable(attribute("Descriptor", *values), packed([1, 2]).data)
    with pytest.raises(UnsupportedPixelsError, match="a look-up table cannot be used"):
        colours(0, tables=[broken] * 3)
