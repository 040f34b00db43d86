"""Look-up tables, by palettes: from what stands in the file to entries. For VOI see test_values."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from dicom_preprocessing.decode.colour import read_palette
from dicom_preprocessing.decode.lookup_tables import (
    MODALITY_LUT,
    PALETTE_LUT,
    VOI_LUT,
    choose_first,
    grey_table,
    lookup_tables,
)
from dicom_preprocessing.dicom.data_set import describe
from dicom_preprocessing.dicom.description import LutAttributes
from dicom_preprocessing.errors import UnsupportedPixelsError
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.datasets import data_set_of
from tests.unit.decode.palettes import WORDS, colours, packed
from tests.unit.descriptions import attribute


def segmented(words, *, count):
    content = struct.pack(f"<{len(words)}H", *words)
    return LutAttributes(
        attribute("Descriptor", count, 0, 16), segmented=attribute("Data", content)
    )


def test_8_bit_entries():
    tables = map(packed, ([1, 2, 3, 4], [10, 20, 30, 40], [100, 110, 120, 130]))
    assert colours(0, 3, 1, tables=tables) == ("uint8", [[1, 10, 100], [4, 40, 130], [2, 20, 110]])


def test_odd_number_of_8_bit_entries():
    tables = map(packed, ([1, 2, 3], [10, 20, 30], [100, 110, 120]))
    assert colours(0, 2, tables=tables) == ("uint8", [[1, 10, 100], [3, 30, 120]])


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


@pytest.mark.parametrize("values", [(2, 0), (2, 0, "x"), (2, float("nan"), 8), (2, 0, 8, 9)])
def test_descriptor_of_other_values_is_an_error(values):
    broken = LutAttributes(attribute("Descriptor", *values), packed([1, 2]).data)
    with pytest.raises(UnsupportedPixelsError, match="the palette cannot be used"):
        colours(0, tables=[broken] * 3)


COLOURS = ("Red", "Green", "Blue")


def palette_of(descriptors, tables, *, vr="OW", segmented=False):
    """A data set with the three tables."""
    made = data_set_of(np.zeros((1, 1, 1), np.uint8))
    for colour, descriptor, table in zip(COLOURS, descriptors, tables, strict=True):
        keyword = f"{colour}PaletteColorLookupTable"
        kind = "SS" if descriptor[1] < 0 else "US"
        made.add_new(tag_for_keyword(f"{keyword}Descriptor"), kind, list(descriptor))
        data = f"Segmented{keyword}Data" if segmented else f"{keyword}Data"
        made.add_new(tag_for_keyword(data), vr, table)
    made.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    return made


def looked_up(indices, descriptor, table, *, bits=8, dtype=np.uint8, signed=False, **options):
    """The red samples of indices."""
    data_set = palette_of([descriptor] * 3, [table] * 3, **options)
    pixels = np.array(indices, dtype).reshape(1, 1, -1, 1)
    described = describe(data_set)
    return read_palette(described, bits, ImageWarnings(), signed=signed)(pixels)[
        0, 0, :, 0
    ].tolist()


def words(*values):
    return struct.pack(f"<{len(values)}H", *values)


class TestPalette:
    def test_entries_of_8_bits_in_bytes(self):
        assert looked_up([0, 1, 3], (4, 0, 8), bytes([10, 20, 30, 40])) == [10, 20, 40]

    def test_entries_of_8_bits_in_words(self):
        assert looked_up([0, 1, 3], (4, 0, 8), words(10, 20, 30, 40)) == [10, 20, 40]

    def test_entries_of_16_bits_lose_their_low_byte_for_8_bit_indices(self):
        assert looked_up([0, 1], (2, 0, 16), words(0x12FF, 0xFF00)) == [0x12, 0xFF]

    def test_entries_of_16_bits_stay_for_longer_indices(self):
        found = looked_up([0, 1], (2, 0, 16), words(0x12FF, 7), bits=9, dtype=np.uint16)
        assert found == [0x12FF, 7]

    def test_entries_of_8_bits_fill_16_for_longer_indices(self):
        found = looked_up([0, 1], (2, 0, 8), bytes([0, 255]), bits=9, dtype=np.uint16)
        assert found == [0, 65535]

    def test_more_than_256_entries_of_8_bits(self):
        table = bytes(i // 2 for i in range(512))
        found = looked_up([0, 255, 256, 511], (512, 0, 8), table, bits=9, dtype=np.uint16)
        assert found == [0, 127 * 257, 128 * 257, 65535]

    def test_indices_outside_take_the_first_and_last_entry(self):
        assert looked_up([0, 2, 9], (2, 2, 8), bytes([10, 20])) == [10, 10, 20]

    @pytest.mark.parametrize("first", [-2, 65534])
    def test_first_value_is_signed_as_the_indices(self, first):
        found = looked_up(
            [-2, -1, 1], (4, first, 8), bytes([1, 2, 3, 4]), dtype=np.int8, signed=True
        )
        assert found == [1, 2, 4]

    def test_each_colour_has_its_own_first_value(self):
        descriptors = [(2, 0, 8), (2, 1, 8), (2, 2, 8)]
        data_set = palette_of(descriptors, [bytes([5, 6])] * 3)
        pixels = np.array([1], np.uint8).reshape(1, 1, 1, 1)
        described = describe(data_set)
        assert read_palette(described, 8, ImageWarnings(), signed=False)(
            pixels
        ).ravel().tolist() == [
            6,
            5,
            5,
        ]

    def test_entries_as_numbers(self):
        found = looked_up([0, 1], (2, 0, 16), [256, 65535], vr="US")
        assert found == [1, 255]

    def test_discrete_and_linear_segments(self):
        segments = words(0, 2, 0, 0x2000, 1, 4, 0x6000)
        found = looked_up(range(6), (6, 0, 16), segments, segmented=True)
        assert found == [0, 0x20, 0x30, 0x40, 0x50, 0x60]

    def test_segments_of_8_bits(self):
        segments = bytes([0, 2, 0, 20, 1, 4, 100, 0])
        found = looked_up(range(6), (6, 0, 8), segments, segmented=True)
        assert found == [0, 20, 40, 60, 80, 100]

    def test_indirect_segment_repeats_segments_at_a_byte_offset(self):
        # The second segment starts at byte 8 of the data.
        segments = words(0, 2, 0x100, 0x200, 0, 1, 0x900, 2, 1, 8, 0)
        found = looked_up(range(4), (4, 0, 16), segments, segmented=True)
        assert found == [1, 2, 9, 9]

    @pytest.mark.parametrize(
        "segments",
        [words(1, 4, 9), words(2, 1, 0, 0), words(7, 1, 0, 0), words(0, 1, 5, 2, 1, 6, 0)],
        ids=["linear first", "indirect first", "unknown", "indirect to itself"],
    )
    def test_segments_that_lead_nowhere_are_refused(self, segments):
        with pytest.raises(UnsupportedPixelsError):
            looked_up([0], (4, 0, 16), segments, segmented=True)


UNSIGNED, SIGNED = (0, 4095), (-2048, 2047)
FLOATS = (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("stated", "values", "first"),
    [
        (64512, SIGNED, -1024),
        (-1024, SIGNED, -1024),
        (40000, (0, 65535), 40000),
        (-25536, (0, 65535), 40000),
        (-1024, FLOATS, -1024),
        (64512, FLOATS, -1024),
    ],
)
def test_first_value_has_the_sign_of_what_is_mapped(stated, values, first):
    assert choose_first(stated, 256, values) == (first, "")


@pytest.mark.parametrize(
    ("stated", "values", "first"),
    [
        (-100, UNSIGNED, -100),
        (65436, UNSIGNED, -100),
        (-100, (0, 65535), -100),
        (40000, (-1024, 64511), 40000),
    ],
)
def test_first_value_has_the_sign_that_maps_more(stated, values, first):
    found, fault = choose_first(stated, 4096, values)
    assert found == first
    assert f": {first} is taken" in fault


def test_first_value_that_leaves_one_entry_is_named():
    assert choose_first(5000, 256, UNSIGNED) == (
        5000,
        "has a first value of 5000, and one entry for all values that pixels may have",
    )


def test_table_of_one_entry_has_no_fault():
    assert choose_first(0, 1, UNSIGNED) == (0, "")


def test_grey_table_whose_used_entries_are_equal_is_refused():
    stored = LutAttributes(attribute("D", 3, 4095, 16), attribute("Data", words(1, 2, 3)))
    with pytest.raises(UnsupportedPixelsError, match="all values have entries that are equal"):
        grey_table(VOI_LUT, stored, ImageWarnings(), values=UNSIGNED, little_endian=True)


def stored_table(content, count, bits, *, is_segmented=False):
    data = {"segmented" if is_segmented else "data": attribute("Data", content)}
    return LutAttributes(attribute("Descriptor", count, 0, bits), **data)


def read(kind, *stored):
    """Entries and bits of tables, and the messages about them."""
    warnings = ImageWarnings()
    tables = lookup_tables(kind, stored, warnings, values=(0, 65535))
    assert {warning.code for warning in warnings} <= {"lut_contradicts_descriptor"}
    return (
        [(table.entries.tolist(), table.bits) for table in tables],
        [warning.message for warning in warnings],
    )


ENTRIES = st.lists(st.integers(0, 255), min_size=3, max_size=40)
KINDS = (MODALITY_LUT, VOI_LUT, PALETTE_LUT)


class TestDescriptorsThatContradict:
    @given(ENTRIES.filter(lambda e: max(e) > 0), st.sampled_from(KINDS), st.integers(9, 16))
    def test_bytes_under_a_descriptor_of_words(self, entries, kind, bits):
        content = bytes(entries) + b"\0" * (len(entries) % 2)
        found, messages = read(kind, stored_table(content, len(entries), bits))
        assert found == [(entries, 8)]
        (message,) = messages
        assert message == (
            f"{kind.name} has a byte for each entry, and its descriptor says {bits} bits: "
            "8 are taken"
        )

    @given(st.integers(8, 15), st.integers(1, 16), st.data())
    def test_voi_lut_spans_the_bits_of_its_entries(self, needed, stated, data):
        top = (1 << needed) - 1
        entries = [0, *data.draw(st.lists(st.integers(0, top), min_size=4, max_size=9)), top]
        found, messages = read(VOI_LUT, stored_table(words(*entries), len(entries), stated))
        assert found == [(entries, needed)]
        assert bool(messages) is (needed != stated)

    def test_voi_lut_of_other_highest_entries_keeps_its_bits_and_is_reported(self):
        found, messages = read(VOI_LUT, stored_table(words(0, 1, 4000), 3, 16))
        assert found == [([0, 1, 4000], 16)]
        assert messages == [
            "the VOI LUT has entries of up to 4000, and its descriptor says 16 bits: 16 are taken"
        ]

    def test_modality_lut_may_use_a_part_of_its_bits(self):
        assert read(MODALITY_LUT, stored_table(words(0, 1, 4095), 3, 16)) == (
            [([0, 1, 4095], 16)],
            [],
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_entries_beyond_the_stated_bits_are_reported(self, kind):
        found, (message,) = read(kind, stored_table(words(0, 1, 2, 0x7F00), 4, 8))
        bits = 16 if kind is PALETTE_LUT else 15
        assert found == [([0, 1, 2, 0x7F00], bits)]
        assert message.endswith(f"entries of up to 32512, more than 8 bits: {bits} are taken")

    def test_bytes_in_words_of_a_palette_are_bytes(self):
        dark = stored_table(words(0, 7, 99), 3, 16)
        bright = stored_table(words(0, 7, 255), 3, 16)
        found, _ = read(PALETTE_LUT, dark, bright, dark)
        assert [bits for _, bits in found] == [8, 8, 8]

    def test_dark_table_of_a_bright_palette_keeps_its_bits(self):
        dark = stored_table(words(0, 7, 255), 3, 16)
        bright = stored_table(words(0, 7, 0xFF00), 3, 16)
        found, messages = read(PALETTE_LUT, dark, bright, dark)
        assert ([bits for _, bits in found], messages) == ([16, 16, 16], [])

    def test_tables_of_a_palette_are_raised_together(self):
        dark = stored_table(words(0, 7, 99), 3, 8)
        bright = stored_table(words(0, 7, 0xFF00), 3, 8)
        found, _ = read(PALETTE_LUT, dark, bright, dark)
        assert [bits for _, bits in found] == [16, 16, 16]

    @given(st.integers(1, 40), st.integers(1, 40), st.sampled_from((12, 16)))
    def test_all_entries_count_whatever_their_stated_number(self, found_count, count, bits):
        entries = [4095 - i for i in range(found_count)]
        if 2 * found_count in (count, count + count % 2):
            return  # as many bytes as entries
        (read_entries,), messages = read(MODALITY_LUT, stored_table(words(*entries), count, bits))
        assert read_entries == (entries, bits)
        assert bool(messages) is (found_count != count)

    def test_zeros_behind_a_table_are_no_entries(self):
        (found,), (message,) = read(VOI_LUT, stored_table(words(1, 2, 255, 0, 0), 3, 8))
        assert found == ([1, 2, 255], 8)
        assert message == "the VOI LUT has 2 zeros behind its 3 entries: they are ignored"

    @pytest.mark.parametrize("bits", [0, 17, 32])
    def test_bits_that_no_table_has_are_16(self, bits):
        (found,), messages = read(VOI_LUT, stored_table(words(1, 65535), 2, bits))
        assert found == ([1, 65535], 16)
        assert messages == [f"the VOI LUT has a descriptor of {bits} bits: 16 are taken"]

    def test_no_entries_are_65536(self):
        (found,), messages = read(VOI_LUT, stored_table(words(*range(65536)), 0, 16))
        assert (len(found[0]), messages) == (65536, [])

    @pytest.mark.parametrize(
        ("content", "bits", "taken"),
        [(bytes([0, 2, 5, 7, 1, 2, 255, 0]), 16, 8), (words(0, 2, 5, 7, 1, 2, 255), 8, 8)],
    )
    def test_segments_are_bytes_or_words_by_the_number_of_entries(self, content, bits, taken):
        (found,), messages = read(PALETTE_LUT, stored_table(content, 4, bits, is_segmented=True))
        assert found == ([5, 7, 131, 255], taken)
        assert len(messages) == 1

    @given(st.sampled_from(KINDS), st.integers(1, 16), st.data())
    def test_sound_tables_are_not_reported(self, kind, bits, data):
        stated = (8 if bits <= 8 else 16) if kind is PALETTE_LUT else bits
        top = (1 << stated) - 1
        entries = [0, *data.draw(st.lists(st.integers(0, top), max_size=9)), top]
        tables = [stored_table(words(*entries), len(entries), stated)] * 3
        found, messages = read(kind, *tables)
        assert (found, messages) == ([(entries, stated)] * 3, [])
