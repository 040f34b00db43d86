"""Stored pixels of files: every bit, colour and transfer syntax, and what is cut or missing."""

import struct

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate_extended
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicom_preprocessing.decode.stage import decode
from dicom_preprocessing.errors import (
    DecodeError,
    ShortPixelDataError,
    UnsupportedTransferSyntaxError,
)
from tests.unit.datasets import (
    compressed,
    data_set_of,
    lut,
    planes,
    ramp,
    rle,
    save,
    show_stored_values,
)
from tests.unit.decode.files import RGB, colour_file, grey_file, row, values_of_image, volume_file

MPEG2 = "1.2.840.10008.1.2.4.100"
PRIVATE_SYNTAX = "1.2.826.0.1.3680043.8.498.1"


class TestNativeSyntaxes:
    @pytest.mark.parametrize(
        "syntax",
        [
            ImplicitVRLittleEndian,
            ExplicitVRLittleEndian,
            DeflatedExplicitVRLittleEndian,
        ],
    )
    def test_little_endian_16_bits(self, decoded, syntax):
        data_set = grey_file(0, 1, 258, 4095, dtype=np.uint16, bits_stored=12)
        assert row(decoded(data_set, syntax)) == [0, 1, 258, 4095]

    def test_big_endian_16_bits(self, decoded):
        pixels = ramp(0, 1, 258, 4095)
        data_set = data_set_of(pixels, bits_stored=12, PixelData=pixels.astype(">u2").tobytes())
        data_set.VOILUTSequence = [lut([0, 10, 20, 4095], bits=12)]
        # 10 and 20 of 4095, and values above 3 take the last entry
        assert row(decoded(data_set, ExplicitVRBigEndian)) == [0, 160, 65535, 65535]

    def test_big_endian_lut_of_words(self, decoded):
        pixels = ramp(0, 1, 2)
        data_set = data_set_of(pixels, PixelData=pixels.astype(">u2").tobytes())
        data_set.VOILUTSequence = [lut(struct.pack(">3H", 10, 500, 65535), count=3)]
        assert row(decoded(data_set, ExplicitVRBigEndian)) == [10, 500, 65535]

    def test_file_without_preamble(self, tmp_path, decoded):
        decoded(grey_file(1, 2, 3), ImplicitVRLittleEndian)
        content = (tmp_path / "image").read_bytes()
        start = content.index(b"\x08\x00\x16\x00")  # SOP Class UID, first element of the data set
        path = tmp_path / "bare"
        path.write_bytes(content[start:])
        assert row(decode(path)) == [1, 2, 3]


class TestBits:
    def test_bits_above_bits_stored_are_masked(self, decoded):
        data_set = grey_file(0xF001, 0x1FFF, 0x8000, dtype=np.uint16, bits_stored=12)
        assert row(decoded(data_set)) == [1, 4095, 0]

    def test_bits_above_a_signed_value_are_replaced_by_its_sign(self, decoded):
        data_set = grey_file(0x0800, 0x0FFF, 0x7001, dtype=np.uint16, bits_stored=12)
        data_set.PixelRepresentation = 1
        # -2048, -1, 1 of the full range: the LUT starts at -2048
        data_set.VOILUTSequence = [lut([7] * 2047 + [8, 9, 10], first=-2048)]
        assert row(decoded(data_set)) == [7, 8, 10]

    def test_high_bit_moves_the_value_down(self, decoded):
        data_set = grey_file(0x0010, 0xFFF0, 0x123F, dtype=np.uint16, bits_stored=12, HighBit=15)
        assert row(decoded(data_set)) == [1, 4095, 0x123]

    def test_high_bit_in_the_middle(self, decoded):
        data_set = grey_file(0xC008, 0x3FFC, 0x0003, dtype=np.uint16, bits_stored=12, HighBit=13)
        assert row(decoded(data_set)) == [2, 4095, 0]

    def test_missing_high_bit_is_the_usual_one(self, decoded):
        data_set = grey_file(1, 4095, dtype=np.uint16, bits_stored=12, HighBit=None)
        assert row(decoded(data_set)) == [1, 4095]

    def test_8_bits_stored_in_16_are_uint8(self, decoded):
        image = decoded(grey_file(0, 200, 255, dtype=np.uint16, bits_stored=8))
        assert image.frames.dtype == np.uint8
        assert row(image) == [0, 200, 255]

    def test_odd_number_of_bytes_is_padded(self, decoded):
        assert row(decoded(grey_file(1, 2, 3))) == [1, 2, 3]

    def test_signed_16_bits(self, decoded):
        data_set = grey_file(-32768, -1, 0, 32767, dtype=np.int16)
        assert row(decoded(data_set)) == [0, 32767, 32768, 65535]

    def test_one_bit_pixels_are_unpacked_from_the_lowest_bit(self, decoded):
        data_set = data_set_of(np.zeros((1, 1, 10), np.uint8), bits_stored=1)
        data_set.BitsAllocated = 1
        data_set.PixelData = bytes([0b0000_0101, 0b0000_0010])
        image = decoded(data_set)
        assert image.frames.dtype == np.uint8
        assert row(image) == [255, 0, 255, 0, 0, 0, 0, 0, 0, 255]

    def test_one_bit_frames_follow_without_a_gap(self, decoded):
        data_set = data_set_of(np.zeros((2, 1, 3), np.uint8), bits_stored=1)
        data_set.BitsAllocated = 1
        data_set.PixelData = bytes([0b0001_0001, 0])
        assert planes(decoded(data_set)) == [[[255, 0, 0]], [[0, 255, 0]]]

    def test_32_bits(self, decoded):
        data_set = data_set_of(ramp(0, 2**31, 2**32 - 1, dtype=np.uint32))
        data_set.WindowCenter, data_set.WindowWidth = 2**31, 2**32
        data_set.VOILUTFunction = "LINEAR_EXACT"
        assert row(decoded(data_set)) == [0, 32767, 65534]

    def test_float(self, decoded):
        image = decoded(data_set_of(ramp(-1, 0, 3, dtype=np.float32)))
        assert image.frames.dtype == np.uint16
        assert row(image) == [0, 16383, 65535]

    def test_double(self, decoded):
        assert row(decoded(data_set_of(ramp(-1, 0, 3, dtype=np.float64)))) == [0, 16383, 65535]


class TestColour:
    def test_rgb_by_pixel(self, decoded):
        assert row(decoded(colour_file())) == RGB

    def test_planes_of_planar_configuration_1_are_undone(self, decoded):
        by_plane = bytes([10, 40, 70, 20, 50, 80, 30, 60, 90, 0])
        data_set = colour_file(PlanarConfiguration=1, PixelData=by_plane)
        assert row(decoded(data_set)) == RGB

    def test_planes_are_of_each_frame(self, decoded):
        data_set = data_set_of(np.zeros((2, 1, 2, 3), np.uint8), PlanarConfiguration=1)
        data_set.PixelData = bytes(range(12))
        assert decoded(data_set).frames.tolist() == [
            [[[0, 2, 4], [1, 3, 5]]],
            [[[6, 8, 10], [7, 9, 11]]],
        ]

    def test_16_bit_rgb(self, decoded):
        pixels = [[0, 256, 65535], [1, 2, 3]]
        image = decoded(colour_file(pixels, np.uint16))
        assert image.frames.dtype == np.uint16
        assert row(image) == pixels

    def test_window_does_not_touch_colour(self, decoded):
        assert row(decoded(colour_file(WindowCenter=10, WindowWidth=2))) == RGB

    def test_ybr_full_becomes_rgb(self, decoded):
        # R = Y + 1.402 (Cr - 128), G = Y - 0.344 (Cb - 128) - 0.714 (Cr - 128),
        # B = Y + 1.772 (Cb - 128): grey, nearly pure red, nearly pure blue
        ybr = [[100, 128, 128], [76, 85, 255], [29, 255, 107]]
        data_set = colour_file(ybr, PhotometricInterpretation="YBR_FULL")
        expected = [[100, 100, 100], [254, 0, 0], [0, 0, 254]]
        assert np.abs(np.array(row(decoded(data_set))) - expected).max() <= 1

    def test_ybr_full_422_shares_chroma_between_two_pixels(self, decoded):
        # Y1 Y2 Cb Cr
        data_set = colour_file(np.zeros((2, 3)), PhotometricInterpretation="YBR_FULL_422")
        data_set.PixelData = bytes([100, 76, 128, 128])
        assert row(decoded(data_set)) == [[100, 100, 100], [76, 76, 76]]


LOSSLESS = [
    pytest.param(JPEGLSLossless, imagecodecs.jpegls_encode, id="JPEG-LS"),
    pytest.param(
        JPEG2000Lossless,
        lambda f: imagecodecs.jpeg2k_encode(f, codecformat="j2k", level=0),
        id="JPEG 2000",
    ),
    pytest.param(HTJ2KLossless, lambda f: imagecodecs.htj2k_encode(f, reversible=True), id="HTJ2K"),
    pytest.param(
        JPEGLosslessSV1,
        lambda f: imagecodecs.jpeg8_encode(f, lossless=True, predictor=1, bitspersample=16),
        id="JPEG lossless",
    ),
]
"""Transfer syntaxes with an encoder of one frame of 16 bits."""


class TestCompressed:
    def test_rle_8_bits(self, decoded):
        data_set = compressed(grey_file(1, 2, 200), [rle(bytes([1, 2, 200]))])
        assert row(decoded(data_set, RLELossless)) == [1, 2, 200]

    def test_rle_16_bits(self, decoded):
        data_set = grey_file(0x0102, 0x0F04, dtype=np.uint16, bits_stored=12)
        compressed(data_set, [rle(b"\x01\x0f", b"\x02\x04")])
        assert row(decoded(data_set, RLELossless)) == [0x0102, 0x0F04]

    def test_rle_bits_above_bits_stored_are_masked(self, decoded):
        data_set = grey_file(0, 0, dtype=np.uint16, bits_stored=12)
        compressed(data_set, [rle(b"\xf1\x8f", b"\x02\x04")])
        assert row(decoded(data_set, RLELossless)) == [0x0102, 0x0F04]

    def test_rle_high_bit_moves_the_value_down(self, decoded):
        data_set = grey_file(0, 0, dtype=np.uint16, bits_stored=12, HighBit=15)
        compressed(data_set, [rle(b"\x10\xf0", b"\x2f\x40")])
        assert row(decoded(data_set, RLELossless)) == [0x0102, 0x0F04]

    def test_rle_colour(self, decoded):
        data_set = colour_file(PlanarConfiguration=1)
        compressed(data_set, [rle(b"\x0a\x28\x46", b"\x14\x32\x50", b"\x1e\x3c\x5a")])
        assert row(decoded(data_set, RLELossless)) == RGB

    @pytest.mark.parametrize(("syntax", "encode"), LOSSLESS)
    def test_lossless_16_bits(self, decoded, syntax, encode):
        pixels = (np.arange(16 * 24).reshape(1, 16, 24) * 170).astype(np.uint16)
        data_set = compressed(show_stored_values(data_set_of(pixels)), [bytes(encode(pixels[0]))])
        assert planes(decoded(data_set, syntax)) == pixels.tolist()

    def test_jpeg_baseline_is_close(self, decoded):
        pixels = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (1, 16, 1))
        stream = imagecodecs.jpeg8_encode(pixels[0], level=98)
        data_set = compressed(show_stored_values(data_set_of(pixels)), [bytes(stream)])
        found = decoded(data_set, JPEGBaseline8Bit).frames[..., 0].astype(int)
        assert np.abs(found - pixels).max() <= 3

    def test_jpeg_extended_12_bits_is_close(self, decoded):
        pixels = np.tile(np.arange(0, 4096, 128, dtype=np.uint16), (1, 16, 1))
        stream = imagecodecs.jpeg8_encode(pixels[0], level=98, bitspersample=12)
        data_set = show_stored_values(data_set_of(pixels, bits_stored=12))
        found = decoded(compressed(data_set, [bytes(stream)]), JPEGExtended12Bit)
        assert np.abs(found.frames[..., 0].astype(int) - pixels).max() <= 48

    def test_jpeg_baseline_ycbcr_becomes_rgb(self, decoded):
        pixels = np.full((1, 16, 16, 3), (200, 40, 30), np.uint8)
        stream = imagecodecs.jpeg8_encode(
            pixels[0], level=98, colorspace="RGB", outcolorspace="YCBCR", subsampling="422"
        )
        data_set = data_set_of(pixels, PhotometricInterpretation="YBR_FULL_422")
        found = decoded(compressed(data_set, [bytes(stream)]), JPEGBaseline8Bit)
        assert np.abs(found.frames.astype(int) - pixels).max() <= 4

    def test_jpeg_2000_colour_transform_is_undone(self, decoded):
        pixels = np.full((1, 16, 16, 3), (200, 40, 30), np.uint8)
        pixels[0, 3, 5] = (1, 2, 3)
        stream = imagecodecs.jpeg2k_encode(
            pixels[0], codecformat="j2k", level=0, reversible=True, mct=True
        )
        data_set = data_set_of(pixels, PhotometricInterpretation="YBR_RCT")
        found = decoded(compressed(data_set, [bytes(stream)]), JPEG2000Lossless)
        assert found.frames.tolist() == pixels.tolist()

    def test_frames_of_several_fragments(self, decoded):
        pixels = (np.arange(2 * 16 * 16).reshape(2, 16, 16) * 9).astype(np.uint16)
        streams = [bytes(imagecodecs.jpegls_encode(frame)) for frame in pixels]
        data_set = compressed(show_stored_values(data_set_of(pixels)), streams, fragments=3)
        assert planes(decoded(data_set, JPEGLSLossless)) == pixels.tolist()

    def test_extended_offset_table(self, decoded):
        pixels = (np.arange(2 * 16 * 16).reshape(2, 16, 16) * 9).astype(np.uint16)
        streams = [bytes(imagecodecs.jpegls_encode(frame)) for frame in pixels]
        data_set = compressed(show_stored_values(data_set_of(pixels)), streams)
        padded = [stream + b"\0" * (len(stream) % 2) for stream in streams]
        data_set.PixelData, offsets, lengths = encapsulate_extended(padded)
        data_set.ExtendedOffsetTable, data_set.ExtendedOffsetTableLengths = offsets, lengths
        assert planes(decoded(data_set, JPEGLSLossless)) == pixels.tolist()


class TestPixelData:
    def test_too_few_bytes_are_counted(self, decoded):
        data_set = data_set_of(ramp(1, 2, 3), PixelData=bytes(4))
        with pytest.raises(ShortPixelDataError, match="4 of 6 bytes of pixel data are there"):
            decoded(data_set)

    def test_too_few_frames(self, decoded):
        data_set = data_set_of(np.ones((2, 1, 2), np.uint8), NumberOfFrames=3)
        with pytest.raises(ShortPixelDataError, match="4 of 6 bytes"):
            decoded(data_set)

    def test_file_cut_in_the_pixel_data(self, tmp_path):
        path = save(tmp_path / "image", data_set_of(np.ones((1, 10, 10), np.uint16)))
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(ShortPixelDataError, match="150 of 200 bytes"):
            decode(path)

    def test_empty_pixel_data(self, decoded):
        with pytest.raises(ShortPixelDataError, match="the pixel data element is empty"):
            decoded(data_set_of(ramp(1, 2), PixelData=b""))

    def test_too_few_fragments(self, decoded):
        data_set = compressed(volume_file(1, 2, 3), [rle(b"\1"), rle(b"\2")])
        with pytest.raises(ShortPixelDataError, match="2 fragments cannot hold 3 frames"):
            decoded(data_set, RLELossless)

    @pytest.mark.filterwarnings("ignore:The pixel data")
    def test_more_frames_than_announced_are_left_out(self, decoded):
        data_set = volume_file(1, 2, 3, NumberOfFrames=2)
        assert values_of_image(decoded(data_set)) == [1, 2]

    def test_broken_stream(self, decoded):
        data_set = compressed(data_set_of(ramp(1, 2)), [b"\xff\xd8 no JPEG at all"])
        with pytest.raises(DecodeError):
            decoded(data_set, JPEGLSLossless)

    @pytest.mark.parametrize(("syntax", "encode"), LOSSLESS)
    def test_stream_cut_short(self, decoded, syntax, encode):
        pixels = np.random.default_rng(1).integers(0, 65535, (1, 64, 64)).astype(np.uint16)
        stream = bytes(encode(pixels[0]))
        data_set = compressed(data_set_of(pixels), [stream[: len(stream) // 2]])
        with pytest.raises(DecodeError):
            decoded(data_set, syntax)

    def test_rle_segment_cut_short(self, decoded):
        data_set = compressed(data_set_of(np.ones((1, 1, 64), np.uint8)), [rle(bytes(60))])
        with pytest.raises(DecodeError):
            decoded(data_set, RLELossless)

    @pytest.mark.filterwarnings("ignore:End of file reached before delimiter")
    @pytest.mark.parametrize(("syntax", "encode"), LOSSLESS)
    def test_file_cut_in_a_stream(self, tmp_path, syntax, encode):
        pixels = np.random.default_rng(1).integers(0, 65535, (1, 64, 64)).astype(np.uint16)
        data_set = compressed(data_set_of(pixels), [bytes(encode(pixels[0]))])
        path = save(tmp_path / "image", data_set, syntax)
        path.write_bytes(path.read_bytes()[:-3000])
        with pytest.raises((DecodeError, ShortPixelDataError)):
            decode(path)


class TestUnsupported:
    def test_video_is_named(self, decoded):
        data_set = compressed(grey_file(1, 2), [b"\0\0\1\xb3"])
        with pytest.raises(UnsupportedTransferSyntaxError, match="MPEG2"):
            decoded(data_set, MPEG2)

    def test_private_syntax(self, decoded):
        data_set = compressed(grey_file(1, 2), [b"video"])
        with pytest.raises(UnsupportedTransferSyntaxError, match="no decoder for transfer syntax"):
            decoded(data_set, PRIVATE_SYNTAX)
