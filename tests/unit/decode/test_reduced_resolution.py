"""Codestreams of JPEG 2000 at a reduced resolution."""

import struct

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless

from dicom_preprocessing.decode.reduced_resolution import reduce_codestream, reducible_levels
from tests.unit.decode.components import join_j2k, subsample
from tests.unit.decode.examples import ENCODE


class TestStreams:
    @pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless])
    @pytest.mark.parametrize("shape", [(64, 64), (61, 47), (35, 90)])
    def test_levels_halve_the_size_rounded_up(self, syntax, shape):
        pixels = np.full(shape, 700, np.uint16)
        stream = bytes(ENCODE[syntax](pixels))
        assert reducible_levels(stream) > 1
        for level in (1, 2):
            found = imagecodecs.jpeg2k_decode(reduce_codestream(stream, level))
            assert found.shape == tuple(-(-n // 2**level) for n in shape)
            assert np.all(found == 700)

    def test_tiles_are_left_whole(self):
        stream = bytearray(ENCODE[JPEG2000Lossless](np.zeros((64, 64), np.uint16)))
        struct.pack_into(">2L", stream, 24, 32, 32)  # width and height of a tile
        assert reducible_levels(bytes(stream)) == 0

    @pytest.mark.parametrize("chroma", [(2, 1), (1, 2)])
    def test_subsampled_components_are_left_whole(self, chroma):
        sampling, shape = [(1, 1), chroma, chroma], (64, 64)
        components = subsample(np.zeros((*shape, 3), np.uint8), sampling)
        assert reducible_levels(join_j2k(components, sampling, shape, order=1)) == 0
        whole = join_j2k([components[0]] * 3, [(1, 1)] * 3, shape, order=1)
        assert reducible_levels(whole) == 1

    def test_several_layers_before_resolutions_are_left_whole(self):
        stream = bytearray(ENCODE[JPEG2000Lossless](np.zeros((64, 64), np.uint16)))
        at = stream.index(b"\xff\x52")
        stream[at + 5 : at + 8] = b"\0\0\2"
        assert reducible_levels(bytes(stream)) == 0

    @pytest.mark.parametrize(("side", "is_reducible"), [(1 << 15, True), ((1 << 15) + 1, False)])
    def test_order_of_position_needs_one_precinct_a_level(self, side, is_reducible):
        """Without stated sizes a precinct has 2**15 samples a side (T.800 A.6.1)."""
        stream = bytearray(ENCODE[JPEG2000Lossless](np.zeros((64, 64), np.uint16)))
        for offset in (8, 12, 24, 28):  # width and height of image and tile
            struct.pack_into(">L", stream, offset, side)
        stream[stream.index(b"\xff\x52") + 5] = 3
        assert (reducible_levels(bytes(stream)) > 0) == is_reducible

    def test_coding_styles_of_tile_parts_are_left_whole(self):
        stream = bytes(ENCODE[JPEG2000Lossless](np.zeros((64, 64), np.uint16)))
        at = stream.index(b"\xff\x52")
        style = stream[at : at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")]
        end = stream.index(b"\xff\x93")
        assert reducible_levels(stream[:end] + style + stream[end:]) == 0

    def test_garbage_is_left_whole(self):
        stream = bytes(ENCODE[JPEG2000Lossless](np.zeros((64, 64), np.uint16)))
        assert [reducible_levels(stream[:n]) for n in (0, 10, 45, 60, 90)] == [0] * 5
