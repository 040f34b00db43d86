"""Palettes and YCbCr, by hand."""

import numpy as np
import pytest

from dicom_preprocessing.decode.colour import ybr_to_rgb
from dicom_preprocessing.dicom.description import NO_LUT
from dicom_preprocessing.errors import MissingAttributeError, UnsupportedPixelsError
from tests.unit.datasets import data_set_of, stored_pixels
from tests.unit.decode.palettes import WORDS, colours, packed


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


@pytest.mark.parametrize(("number", "colour"), [(0, "red"), (1, "green"), (2, "blue")])
def test_missing_table_is_named(number, colour):
    tables = [packed([1, 2])] * 3
    tables[number] = NO_LUT
    with pytest.raises(UnsupportedPixelsError, match=f"the palette for {colour} is missing"):
        colours(0, tables=tables)
