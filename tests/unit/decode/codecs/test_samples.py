"""Samples of a stream under a header that says otherwise."""

import numpy as np
import pytest
from pydicom.uid import UID, JPEG2000Lossless, RLELossless

from dicom_preprocessing.decode.codecs.runner import HIGH_BIT, IMAGE_WARNINGS, runner_of
from dicom_preprocessing.decode.codecs.samples import stored_values, unpack_allocated_bits
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.decode.examples import BITS, runner_for


def samples(
    values,
    precision,
    *,
    signed=False,
    stored=16,
    allocated=16,
    high_bit=None,
    level=0,
    warnings=None,
    samples_per_pixel=1,
    **stream,
):
    """What ``stored_values`` makes of samples."""
    options = {
        HIGH_BIT: stored - 1 if high_bit is None else high_bit,
        "bits_allocated": allocated,
        "bits_stored": stored,
        "pixel_representation": int(signed),
    }
    options |= {
        "resolution_level": level,
        "samples_per_pixel": samples_per_pixel,
        IMAGE_WARNINGS: ImageWarnings() if warnings is None else warnings,
    }
    runner = runner_of(UID(JPEG2000Lossless), options)
    told = {"precision": precision, "is_lossless": True} | stream
    return stored_values(np.array(values), runner, **told).tolist()


class TestHeaderAgainstStream:
    def test_equal_precision_changes_nothing(self):
        assert samples([0, 4095], 12, stored=12) == [0, 4095]

    def test_signed_header_makes_a_sign_of_the_highest_bit(self):
        assert samples([0, 2047, 2048, 4095], 12, stored=12, signed=True) == [0, 2047, -2048, -1]

    def test_signed_stream_and_unsigned_header_keep_the_bits(self):
        values = np.array([-1, 5], np.int16)
        assert samples(values, 12, stored=12, is_signed=True) == [4095, 5]
        assert samples(values, 16, stored=16, is_signed=True) == [65535, 5]

    def test_signed_stream_and_signed_header(self):
        values = np.array([-7, 5], np.int16)
        assert samples(values, 12, stored=12, signed=True, is_signed=True) == [-7, 5]

    @pytest.mark.parametrize("signed", [False, True])
    def test_bits_that_end_at_high_bit_are_moved_down(self, signed):
        values = [0x0010, 0x7FF0, 0xFFF0]
        expected = [1, 0x7FF, -1 if signed else 0xFFF]
        assert samples(values, 16, stored=12, signed=signed, high_bit=15) == expected
        assert samples([1, 0x7FF], 12, stored=12, high_bit=15) == [1, 0x7FF]

    def test_bits_above_bits_stored_are_masked_if_lossless(self):
        assert samples([0x1FFF, 0xF001], 16, stored=12) == [0xFFF, 1]

    def test_sign_is_that_of_bits_stored_if_lossless(self):
        assert samples([0x0FFF, 0xF7FF], 16, stored=12, signed=True) == [-1, 2047]

    def test_lossy_values_beyond_bits_stored_are_clipped(self):
        assert samples([4100, 7], 16, stored=12, is_lossless=False) == [4095, 7]
        values = np.array([-2050, 2050], np.int16)
        found = samples(values, 16, stored=12, signed=True, is_signed=True, is_lossless=False)
        assert found == [-2048, 2047]

    @pytest.mark.parametrize(("value", "codes"), [(4600, []), (5000, ["values_above_bits_stored"])])
    def test_lossy_values_far_beyond_bits_stored_are_a_warning(self, value, codes):
        warnings = ImageWarnings()
        samples([value], 16, stored=12, is_lossless=False, warnings=warnings)
        assert [warning.code for warning in warnings] == codes

    def test_fewer_bits_than_stored_are_as_they_are(self):
        assert samples([1023], 10, stored=12) == [1023]

    def test_fewer_signed_bits_are_extended(self):
        assert samples([512, 511], 10, stored=12, signed=True) == [-512, 511]

    @pytest.mark.parametrize(
        ("values", "options", "codes"),
        [
            ([512], {"signed": True}, ["precision_below_bits_stored"]),
            ([511], {"signed": True}, []),
            ([-512], {"signed": True, "is_signed": True}, []),
            ([1023], {}, []),
            ([1023], {"samples_per_pixel": 3}, ["precision_below_bits_stored"]),
        ],
        ids=["sign", "none negative", "sign of the stream", "unsigned", "colour"],
    )
    def test_fewer_bits_than_stored_are_a_warning_where_it_matters(self, values, options, codes):
        warnings = ImageWarnings()
        samples(np.array(values, np.int16), 10, stored=12, warnings=warnings, **options)
        assert [warning.code for warning in warnings] == codes

    def test_more_bits_than_allocated_are_refused(self):
        with pytest.raises(StreamError, match="12 bits a sample, the header allocates 8"):
            samples([1], 12, stored=8, allocated=8)

    def test_dtype_is_that_of_the_header(self):
        options = {"bits_allocated": 32, "bits_stored": 32, "pixel_representation": 1}
        options["samples_per_pixel"] = 1
        runner = runner_of(UID(JPEG2000Lossless), options | {IMAGE_WARNINGS: ImageWarnings()})
        values = stored_values(np.array([200], np.uint8), runner, precision=8, is_lossless=True)
        assert values.dtype == np.int32

    def test_overshoot_of_a_reduced_resolution_is_clipped_if_lossless_too(self):
        assert samples([4100, 7], 16, stored=12, level=1) == [4095, 7]

    @pytest.mark.parametrize(("value", "signed"), [(0x1FFF, False), (-5400, True)])
    def test_more_than_overshoot_of_a_reduced_resolution_is_refused(self, value, signed):
        values = np.array([value], np.int16)
        with pytest.raises(StreamError, match="which fast_decode does not read"):
            samples(values, 16, stored=12, level=1, signed=signed, is_signed=signed)


class TestBitForBit:
    def test_planes_are_brought_together(self):
        pixels = np.zeros((1, 2, 3), np.uint8)
        runner = runner_for(RLELossless, pixels, planar_configuration=1)
        assert unpack_allocated_bits(b"\1\2\3\4\5\6", runner).tolist() == [[[1, 3, 5], [2, 4, 6]]]

    def test_pixels_stay_together(self):
        runner = runner_for(RLELossless, np.zeros((1, 2, 3), np.uint8))
        assert unpack_allocated_bits(b"\1\2\3\4\5\6", runner).tolist() == [[[1, 2, 3], [4, 5, 6]]]

    def test_bits_come_from_the_lowest_of_a_byte_on(self):
        runner = runner_for(RLELossless, BITS, bits_allocated=1, bits_stored=1)
        assert unpack_allocated_bits(b"\x65\0", runner)[..., 0].tolist() == [
            [1, 0, 1],
            [0, 0, 1],
            [1, 0, 0],
        ]

    def test_one_byte_of_padding_is_left_out(self):
        runner = runner_for(RLELossless, np.zeros((1, 3), np.uint8))
        assert unpack_allocated_bits(b"\1\2\3\0", runner)[..., 0].tolist() == [[1, 2, 3]]

    @pytest.mark.parametrize("data", [b"\1\2", b"\1\2\3\0\0"])
    def test_other_lengths_are_refused(self, data):
        runner = runner_for(RLELossless, np.zeros((1, 3), np.uint8))
        with pytest.raises(StreamError, match="bytes, the header says 3"):
            unpack_allocated_bits(data, runner)
