"""Palettes and YCbCr, by hand."""

import struct

import numpy as np
import pytest
from pydicom.datadict import tag_for_keyword

from dicom_preprocessing.decode.colour import read_palette, ybr_to_rgb
from dicom_preprocessing.dicom.data_set import describe
from dicom_preprocessing.errors import MissingAttributeError, UnsupportedPixelsError
from tests.unit.datasets import data_set_of, stored_pixels

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
    return read_palette(describe(data_set), bits, signed=signed)(pixels)[0, 0, :, 0].tolist()


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
        assert read_palette(describe(data_set), 8, signed=False)(pixels).ravel().tolist() == [
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


class TestYcbcr:
    # 81 + 1.402 * 112, 81 - 0.344136 * -38 - 0.714136 * 112, 81 + 1.772 * -38
    @pytest.mark.parametrize(
        ("ybr", "rgb"),
        [
            ((81, 90, 240), (238, 14, 14)),
            ((145, 128, 128), (145, 145, 145)),
            ((0, 0, 0), (0, 135, 0)),
            ((255, 255, 255), (255, 121, 255)),
        ],
    )
    def test_full_range(self, ybr, rgb):
        assert tuple(ybr_to_rgb(np.array([ybr], np.uint8), 8)[0].tolist()) == rgb

    @pytest.mark.parametrize(
        ("ybr", "rgb"),
        [
            ((16, 128, 128), (0, 0, 0)),
            ((235, 128, 128), (255, 255, 255)),
            ((81, 90, 240), (254, 0, 0)),
        ],
    )
    def test_partial_range(self, ybr, rgb):
        found = ybr_to_rgb(np.array([ybr], np.uint8), 8, partial=True)[0]
        assert np.abs(found.astype(int) - rgb).max() <= 1

    def test_16_bits(self):
        found = ybr_to_rgb(np.array([[0x8000, 0x8000, 0x8000]], np.uint16), 16)
        assert found.tolist() == [[0x8000] * 3]


def subsampled(photometric, data, columns=4, **changes):
    header = np.zeros((1, 1, columns, 3), np.uint8)
    made = data_set_of(header, PhotometricInterpretation=photometric, **changes)
    made.PixelData = bytes(data)
    made.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    return stored_pixels(made)[0, 0].tolist()


Y422 = (81, 145, 90, 240, 16, 235, 128, 128)


class TestSubsampled:
    def test_two_pixels_share_their_chroma(self):
        found = subsampled("YBR_FULL_422", Y422)
        assert found[0] == [238, 14, 14]
        assert found[2:] == [[16] * 3, [235] * 3]

    def test_partial_range(self):
        assert subsampled("YBR_PARTIAL_422", Y422)[2:] == [[0] * 3, [255] * 3]

    def test_planar_configuration_does_not_matter(self):
        found = subsampled("YBR_FULL_422", Y422, PlanarConfiguration=1)
        assert found == subsampled("YBR_FULL_422", Y422)

    def test_odd_columns_are_refused(self):
        with pytest.raises(UnsupportedPixelsError, match="an even number of columns"):
            subsampled("YBR_FULL_422", Y422, columns=3)

    def test_bytes_of_whole_samples_are_refused(self):
        with pytest.raises(UnsupportedPixelsError, match="three whole samples"):
            subsampled("YBR_FULL_422", bytes(12))

    def test_420_is_for_compressed_data_only(self):
        with pytest.raises(UnsupportedPixelsError, match="compressed pixel data only"):
            subsampled("YBR_PARTIAL_420", bytes(12))

    def test_planar_configuration_of_two_is_refused(self):
        with pytest.raises(MissingAttributeError, match="Planar Configuration"):
            subsampled("RGB", bytes(12), PlanarConfiguration=2)
