"""Warnings about facts that change no pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.decode.facts import warn_of_signed_values
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.datasets import codes_of, data_set_of, format_of, ramp


def values(*ranges):
    """A square image of many different values from ranges."""
    parts = [np.linspace(low, high, -(-64 * 64 // len(ranges))) for low, high in ranges]
    flat = np.resize(np.concatenate(parts).astype(np.int64), 64 * 64)
    return flat.reshape(1, 64, 64)


class TestSignedValues:
    def codes(self, decoded, stored, **changes):
        data_set = data_set_of((stored & 0xFFFF).astype(np.uint16), **changes)
        return codes_of(decoded(data_set))

    def test_negative_values_under_an_unsigned_header_are_a_warning(self, decoded):
        assert self.codes(decoded, values((-1000, -1), (0, 3000))) == ["values_seem_signed"]

    @pytest.mark.parametrize(
        "ranges",
        [
            [(0, 3000)],
            [(0, 65535)],
            [(0, 3000), (65535, 65535)],
            [(-2000, -2000), (0, 3000)],
            [(-1000, -1)],
            [(-1000, -1), (0, 3000), (30000, 36000)],
            [(-3000, -2000), (0, 3000)],
            [(-1000, -1), (0, 0)],
            [(-1000, -1), (1500, 3000)],
            [(-1000, -1), (0, 3000), *([(-1, -1)] * 2)],
        ],
        ids=[
            "low",
            "all",
            "white",
            "one padding value",
            "all high",
            "middle",
            "not at the upper end",
            "shutter",
            "not at the lower end",
            "saturated",
        ],
    )
    def test_other_values_are_none(self, decoded, ranges):
        assert self.codes(decoded, values(*ranges)) == []

    @pytest.mark.parametrize("low", [-1025, -1044, -1500, -2048])
    def test_negative_values_may_be_half_of_the_range_or_more_from_0(self, decoded, low):
        stored = values((-60, 120), (low, low)) & 0xFFF
        assert self.codes(decoded, stored, bits_stored=12) == ["values_seem_signed"]

    def test_every_frame_is_looked_at(self, decoded):
        stored = np.concatenate([values((0, 60)), values((0, 60)), values((-300, 300))])
        assert self.codes(decoded, stored) == ["values_seem_signed"]

    def test_samples_of_8_bits_are_none(self, decoded):
        # Pictures of black and white have the same histogram.
        stored = (values((-60, 60)) & 0xFF).astype(np.uint8)
        assert codes_of(decoded(data_set_of(stored))) == []

    @given(st.integers(10, 16), st.floats(0.03, 0.3), st.floats(0.7, 0.96), st.integers(0, 9))
    def test_noise_around_black_and_white_is_none(self, bits, black, white, seed):
        generator, limit = np.random.default_rng(seed), 1 << bits
        centres = np.where(generator.random((64, 64)) < 0.3, black, white)
        noisy = limit * (centres + generator.normal(0, 0.003, centres.shape))
        stored = np.clip(noisy, 0, limit - 1).astype(np.uint16)[np.newaxis]
        warnings = ImageWarnings()
        format_ = format_of(data_set_of(stored, bits_stored=bits))
        warn_of_signed_values(stored[0, ..., np.newaxis], format_, warnings)
        assert list(warnings) == []

    def test_signed_headers_have_none(self, decoded):
        stored = values((-1000, -1), (0, 3000)).astype(np.int16)
        assert codes_of(decoded(data_set_of(stored))) == []

    @given(st.integers(9, 16), st.integers(20, 120), st.integers(20, 120))
    def test_sign_is_that_of_bits_stored(self, bits, low, high):
        stored = values((-low, -1), (0, high)) & ((1 << bits) - 1)
        data_set = data_set_of(stored.astype(np.uint16), bits_stored=bits)
        warnings = ImageWarnings()
        warn_of_signed_values(stored[0, ..., np.newaxis], format_of(data_set), warnings)
        assert [w.code for w in warnings] == ["values_seem_signed"]


class TestAspectRatio:
    @pytest.mark.parametrize(
        ("changes", "codes"),
        [
            ({"PixelAspectRatio": [5, 4]}, ["pixel_aspect_ratio"]),
            ({"PixelAspectRatio": [1, 1]}, []),
            ({"PixelAspectRatio": [3, 3]}, []),
            ({"PixelAspectRatio": [0, 4]}, []),
            ({"PixelAspectRatio": [5, 4], "PixelSpacing": [0.5, 0.4]}, []),
            ({"PixelAspectRatio": [4, 5], "PixelSpacing": [0.5, 0.4]}, ["pixel_aspect_ratio"]),
            ({"PixelAspectRatio": [1, 1], "PixelSpacing": [0.5, 0.4]}, ["pixel_aspect_ratio"]),
        ],
    )
    def test_is_a_warning_where_no_spacing_says_the_same(self, decoded, changes, codes):
        assert codes_of(decoded(data_set_of(ramp(0, 9), **changes))) == codes


def test_mosaic_is_a_warning(decoded):
    data_set = data_set_of(ramp(0, 9), ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    assert codes_of(decoded(data_set)) == ["mosaic"]


class TestPrivateVolume:
    def data_set(self, *creators, group=0x7E01, element=0x10):
        """An image with one private element, in the block of the last creator."""
        data_set = data_set_of(ramp(0, 9))
        for creator in creators:
            block = data_set.private_block(group, creator, create=True)
        block.add_new(element, "OB", bytes(1000))
        return data_set

    @pytest.mark.parametrize("group", [0x7E01, 0x7F01])
    def test_slices_in_private_elements_are_a_warning(self, decoded, group):
        data_set = self.data_set("HOLOGIC, Inc.", group=group)
        assert codes_of(decoded(data_set)) == ["private_volume"]

    def test_block_is_any_that_the_creator_reserves(self, decoded):
        data_set = self.data_set("ANYBODY", "HOLOGIC, Inc.")
        assert data_set[0x7E010011].value == "HOLOGIC, Inc."
        assert codes_of(decoded(data_set)) == ["private_volume"]

    @pytest.mark.parametrize("creators", [["ANYBODY"], ["HOLOGIC, Inc.", "ANYBODY"]])
    def test_elements_of_others_are_none(self, decoded, creators):
        assert codes_of(decoded(self.data_set(*creators))) == []

    def test_other_elements_are_none(self, decoded):
        assert codes_of(decoded(self.data_set("HOLOGIC, Inc.", element=0x50))) == []

    def test_elements_without_a_creator_are_none(self, decoded):
        data_set = self.data_set("HOLOGIC, Inc.")
        del data_set[0x7E010010]
        assert codes_of(decoded(data_set)) == []


def test_bits_above_bits_stored_are_a_warning(decoded):
    data_set = data_set_of(np.array([[[0x1001, 2]]], np.uint16), bits_stored=12)
    image = decoded(data_set)
    assert codes_of(image) == ["values_above_bits_stored"]


class TestBitsAboveASign:
    @pytest.mark.parametrize(
        ("frames", "codes"),
        [
            ([[-2048, 2047]], []),
            ([[4095, 2047]], []),
            ([[4095, 3071], [0, 2047]], []),
            ([[-1, 2048]], ["values_above_bits_stored"]),
            ([[0, 3071], [-1, 0]], ["values_above_bits_stored"]),
            ([[-1, 0], [0, 3071]], ["values_above_bits_stored"]),
            ([[4096, 0]], ["values_above_bits_stored"]),
            ([[-2049, 0]], ["values_above_bits_stored"]),
        ],
        ids=[
            "copies",
            "zeros",
            "zeros in all frames",
            "both",
            "copies in the other frame",
            "zeros in the other frame",
            "high",
            "low",
        ],
    )
    def test_copies_of_it_or_zeros_are_no_warning(self, decoded, frames, codes):
        stored = np.array(frames, np.int16)[:, np.newaxis]
        assert codes_of(decoded(data_set_of(stored, bits_stored=12))) == codes

    def test_only_copies_and_zeros_of_one_image_contradict(self, decoded):
        for value in (3071, -1):
            assert (
                codes_of(decoded(data_set_of(ramp(value, 0, dtype=np.int16), bits_stored=12))) == []
            )


@pytest.mark.parametrize("intensity", ["voi", "minmax", "stored"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_a_warning(decoded, intensity, value):
    data_set = data_set_of(ramp(value, 1, 2, dtype=np.float32), WindowCenter=1, WindowWidth=2)
    assert codes_of(decoded(data_set, intensity=intensity)) == ["values_not_finite"]
