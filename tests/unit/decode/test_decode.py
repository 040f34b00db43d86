"""DICOM files written to disk and decoded: what needs a whole file, with its pixels."""

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
    MissingAttributeError,
    NoSpacingError,
    NotDicomError,
    ShortPixelDataError,
    UnreadableError,
    UnsupportedPixelsError,
    UnsupportedTransferSyntaxError,
    VolumeError,
)
from dicom_preprocessing.imaging.geometry import Flip, Geometry, Size
from tests.unit.datasets import (
    BREAST_TOMOSYNTHESIS,
    SERIES_UID,
    SOP_UID,
    STUDY_UID,
    compressed,
    data_set_of,
    functional_groups,
    item,
    lut,
    planes,
    ramp,
    rle,
    save,
    show_stored_values,
)

MPEG2 = "1.2.840.10008.1.2.4.100"
PRIVATE_SYNTAX = "1.2.826.0.1.3680043.8.498.1"
SEVERAL_VOLUMES = "several volumes in one object: frames stay in stored order"


@pytest.fixture
def decoded(tmp_path):
    """Write a data set and decode the file."""

    def decoded(data_set, syntax=ExplicitVRLittleEndian, **settings):
        return decode(save(tmp_path / "image", data_set, syntax), **settings)

    return decoded


def row(image):
    """The one row of the one frame of an image: values, or [red, green, blue] of each pixel."""
    (((pixels),),) = image.frames.tolist()
    return [p[0] if len(p) == 1 else p for p in pixels]


def grey_file(*values, dtype=np.uint8, **changes):
    """Grey pixels in one row that are shown as they are stored."""
    return show_stored_values(data_set_of(ramp(*values, dtype=dtype), **changes))


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


class TestIntensity:
    def test_12_bit_window(self, decoded):
        data_set = data_set_of(ramp(0, 1, 2048, 4095), bits_stored=12)
        data_set.WindowCenter, data_set.WindowWidth = 2048, 4096
        assert row(decoded(data_set)) == [0, 16, 32775, 65535]

    def test_window_setting_takes_its_place(self, decoded):
        data_set = data_set_of(ramp(0, 1, 2048, 4095), bits_stored=12)
        data_set.WindowCenter, data_set.WindowWidth = 7, 3
        assert row(decoded(data_set, window=(2048, 4096))) == [0, 16, 32775, 65535]

    def test_minmax(self, decoded):
        assert row(decoded(grey_file(0, 1, 2, 3, 4), intensity="minmax")) == [0, 95, 159, 223, 255]

    def test_warnings_are_facts(self, decoded):
        data_set = data_set_of(ramp(0, 1), WindowCenter=1, WindowWidth=0)
        assert decoded(data_set).facts.warnings == ("an unusable window was passed over",)


RGB = [[10, 20, 30], [40, 50, 60], [70, 80, 90]]


def colour_file(pixels=RGB, dtype=np.uint8, **changes):
    return data_set_of(np.array([[pixels]], dtype), **changes)


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


def palette_file(*indices, tables, bits=8, first=0, dtype=np.uint8, order="<"):
    """An image whose entries are given as three lists."""
    data_set = data_set_of(ramp(*indices, dtype=dtype), PhotometricInterpretation="PALETTE COLOR")
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        word = "B" if bits == 8 else "H"
        packed = struct.pack(f"{order}{len(table)}{word}", *table)
        padded = packed + b"\0" * (len(packed) % 2)
        keyword = f"{name}PaletteColorLookupTable"
        setattr(data_set, f"{keyword}Descriptor", [len(table), first, bits])
        setattr(data_set, f"{keyword}Data", padded)
    return data_set


class TestPalette:
    def test_8_bit_entries(self, decoded):
        tables = [[1, 2, 3, 4], [10, 20, 30, 40], [100, 110, 120, 130]]
        image = decoded(palette_file(0, 3, 1, tables=tables))
        assert image.frames.dtype == np.uint8
        assert row(image) == [[1, 10, 100], [4, 40, 130], [2, 20, 110]]

    def test_big_endian_entries(self, decoded):
        tables = [[0x01FF, 0x0200], [0xFF00, 0x00FF], [0x1234, 0xFFFF]]
        data_set = palette_file(0, 1, tables=tables, bits=16, order=">")
        image = decoded(data_set, ExplicitVRBigEndian)
        assert row(image) == [[1, 255, 0x12], [2, 0, 255]]

    def test_segmented_entries(self, decoded):
        data_set = palette_file(0, 1, 2, 3, 4, 5, tables=[[0], [0], [0]], bits=16)
        for name, end in (("Red", 0x0900), ("Green", 0x5100), ("Blue", 0x0100)):
            keyword = f"{name}PaletteColorLookupTable"
            delattr(data_set, f"{keyword}Data")
            setattr(data_set, f"{keyword}Descriptor", [6, 0, 16])
            # discrete segment of two entries, linear segment of four up to the end
            words = struct.pack("<7H", 0, 2, 0x0000, 0x0100, 1, 4, end)
            setattr(data_set, f"Segmented{keyword}Data", words)
        reds, greens, blues = [0, 1, 3, 5, 7, 9], [0, 1, 21, 41, 61, 81], [0, 1, 1, 1, 1, 1]
        assert row(decoded(data_set)) == [list(p) for p in zip(reds, greens, blues, strict=True)]

    def test_missing_table_is_an_error(self, decoded):
        data_set = palette_file(0, 1, tables=[[1, 2], [1, 2], [1, 2]])
        del data_set.GreenPaletteColorLookupTableData
        with pytest.raises(UnsupportedPixelsError, match="the palette for green is missing"):
            decoded(data_set)


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


def volume_file(*values, **changes):
    """Frames of one pixel each, shown as they are stored."""
    pixels = np.array(values, np.uint8).reshape(-1, 1, 1)
    return show_stored_values(data_set_of(pixels, **changes))


def content(**attributes):
    return item(FrameContentSequence=[item(**attributes)])


def placed(*position):
    return item(PlanePositionSequence=[item(ImagePositionPatient=list(position))])


def oriented(*cosines):
    return item(PlaneOrientationSequence=[item(ImageOrientationPatient=list(cosines))])


def shown(image):
    return image.frames[:, 0, 0, 0].tolist()


AXIAL = (1, 0, 0, 0, 1, 0)


class TestFrameOrder:
    def test_dimension_indices(self, decoded):
        groups = [content(DimensionIndexValues=[1, n]) for n in (3, 1, 2)]
        data_set = functional_groups(volume_file(30, 10, 20), frames=groups)
        assert shown(decoded(data_set)) == [10, 20, 30]

    def test_geometry_goes_along_the_slice_normal(self, decoded):
        groups = [placed(0, 0, z) for z in (7.5, -2.5, 2.5)]
        data_set = volume_file(30, 10, 20)
        functional_groups(data_set, shared=oriented(*AXIAL), frames=groups)
        assert shown(decoded(data_set)) == [10, 20, 30]

    def test_rescale_stays_with_its_frame(self, decoded):
        groups = [
            item(
                FrameContentSequence=[item(InStackPositionNumber=n)],
                PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=0)],
            )
            for n, slope in ((2, 1), (1, 2))
        ]
        data_set = functional_groups(volume_file(10, 11), frames=groups)
        assert shown(decoded(data_set)) == [22, 10]

    def test_order_is_recorded_nowhere_but_in_the_frames(self, decoded):
        groups = [content(InStackPositionNumber=n) for n in (2, 1)]
        image = decoded(functional_groups(volume_file(20, 10), frames=groups))
        assert (image.facts.source_frames, image.facts.warnings) == (2, ())


class TestFrameSpacing:
    def test_median_step_of_the_positions(self, decoded):
        groups = [placed(0, 0, z) for z in (0, 2, 5, 7)]
        data_set = volume_file(1, 2, 3, 4, SpacingBetweenSlices=9)
        functional_groups(data_set, shared=oriented(*AXIAL), frames=groups)
        assert decoded(data_set).facts.frame_spacing == pytest.approx(2.0)

    def test_z_spacing_resamples(self, decoded):
        # round(3 * 2 / 1) = 6 frames at 0, 0.4, 0.8, ... of the ordered frames
        data_set = volume_file(0, 50, 100, SpacingBetweenSlices=2)
        assert shown(decoded(data_set, spacing_z=1.0)) == [0, 20, 40, 60, 80, 100]

    def test_z_spacing_of_unknown_is_an_error(self, decoded):
        with pytest.raises(NoSpacingError, match="spacing between frames is unknown"):
            decoded(volume_file(1, 2), spacing_z=1.0)


class TestVolumeHandlers:
    def test_central_slice_is_of_the_ordered_frames(self, decoded):
        groups = [content(InStackPositionNumber=n) for n in (3, 1, 2)]
        data_set = functional_groups(volume_file(30, 10, 20), frames=groups)
        image = decoded(data_set, volume="central-slice")
        assert shown(image) == [20]
        assert image.facts.source_frames == 3

    def test_max_intensity_skips_ordered_frames(self, decoded):
        groups = [content(InStackPositionNumber=n) for n in (3, 1, 2)]
        data_set = functional_groups(volume_file(30, 40, 20), frames=groups)
        assert shown(decoded(data_set, volume="max-intensity", skip_frames=1)) == [20]

    def test_interpolate(self, decoded):
        data_set = volume_file(0, 100)
        found = decoded(data_set, volume="interpolate", target_frames=5)
        assert shown(found) == [0, 25, 50, 75, 100]


def several_volumes():
    """Data sets whose frames belong to two volumes, by what tells so."""
    position = [placed(0, 0, z) for z in (1, 2, 1)]
    functional = {
        "stack": [content(StackID=s) for s in ("1", "1", "2")],
        "time": [content(TemporalPositionIndex=t) for t in (1, 1, 2)],
        "echo": [item(MREchoSequence=[item(EffectiveEchoTime=e)]) for e in (10.0, 10.0, 80.0)],
        "diffusion": [item(MRDiffusionSequence=[item(DiffusionBValue=b)]) for b in (0.0, 0.0, 9.0)],
        "position": position,
    }
    return [pytest.param(groups, id=name) for name, groups in functional.items()]


class TestSeveralVolumes:
    @pytest.fixture
    def data_set(self, groups):
        data_set = volume_file(30, 10, 20)
        return functional_groups(data_set, shared=oriented(*AXIAL), frames=groups)

    @pytest.mark.parametrize("groups", several_volumes())
    def test_keep_writes_them_as_stored_with_a_warning(self, decoded, data_set):
        image = decoded(data_set)
        assert shown(image) == [30, 10, 20]
        assert image.facts.warnings == (SEVERAL_VOLUMES,)

    @pytest.mark.parametrize("groups", several_volumes())
    def test_central_slice_is_an_error(self, decoded, data_set):
        with pytest.raises(VolumeError, match="several volumes in one object"):
            decoded(data_set, volume="central-slice")

    @pytest.mark.parametrize("groups", several_volumes()[:1])
    @pytest.mark.parametrize("volume", ["max-intensity", "interpolate"])
    def test_other_handlers_are_errors_too(self, decoded, data_set, volume):
        with pytest.raises(VolumeError, match=volume):
            decoded(data_set, volume=volume)

    @pytest.mark.parametrize("groups", several_volumes()[:1])
    def test_z_spacing_is_an_error(self, decoded, data_set):
        with pytest.raises(VolumeError, match="several volumes"):
            decoded(data_set, spacing_z=1.0)


HALF_TURN = Flip(3, 2, horizontal=True, vertical=True)


def tomosynthesis(orientation=("P", "L"), **changes):
    """Two frames of three columns and two rows."""
    pixels = np.array([[[1, 2, 3], [4, 5, 6]], [[11, 12, 13], [14, 15, 16]]], np.uint8)
    values = {"SOPClassUID": BREAST_TOMOSYNTHESIS, "ViewPosition": "CC"}
    values |= {"ImageLaterality": "L", "PatientOrientation": list(orientation)}
    return show_stored_values(data_set_of(pixels, **(values | changes)))


class TestTomosynthesis:
    def test_opposite_orientation_is_turned(self, decoded):
        image = decoded(tomosynthesis())
        assert planes(image) == [[[6, 5, 4], [3, 2, 1]], [[16, 15, 14], [13, 12, 11]]]

    def test_turn_is_recorded(self, decoded):
        assert decoded(tomosynthesis()).geometry == Geometry(Size(3, 2), flip=HALF_TURN)

    def test_expected_orientation_stays(self, decoded):
        image = decoded(tomosynthesis(orientation=("A", "R")))
        assert planes(image)[0] == [[1, 2, 3], [4, 5, 6]]
        assert image.geometry.flip is None

    def test_turn_comes_after_volume_handling(self, decoded):
        image = decoded(tomosynthesis(), volume="central-slice")
        assert planes(image) == [[[16, 15, 14], [13, 12, 11]]]

    def test_frames_keep_their_order(self, decoded):
        groups = [content(InStackPositionNumber=n) for n in (2, 1)]
        image = decoded(functional_groups(tomosynthesis(), frames=groups))
        assert planes(image)[0] == [[16, 15, 14], [13, 12, 11]]

    def test_orientation_and_laterality_of_functional_groups(self, decoded):
        shared = item(
            FrameAnatomySequence=[item(FrameLaterality="L")],
            PatientOrientationInFrameSequence=[item(PatientOrientation=["P", "L"])],
        )
        data_set = tomosynthesis(ImageLaterality=None, PatientOrientation=None)
        assert decoded(functional_groups(data_set, shared=shared)).geometry.flip == HALF_TURN


class TestFacts:
    def test_source_and_uids(self, decoded):
        facts = decoded(data_set_of(np.ones((2, 3, 4), np.uint8), Modality="MG")).facts
        assert (facts.source_frames, facts.source_rows, facts.source_columns) == (2, 3, 4)
        assert facts.study_instance_uid == STUDY_UID
        assert facts.series_instance_uid == SERIES_UID
        assert facts.sop_instance_uid == SOP_UID
        assert facts.modality == "MG"

    def test_geometry_is_the_whole_image(self, decoded):
        image = decoded(data_set_of(np.ones((2, 3, 4), np.uint8)))
        assert image.geometry == Geometry(Size(width=4, height=3))

    def test_pixel_spacing_has_the_row_spacing_first(self, decoded):
        # Rows are 0.5 mm apart: that is y.
        assert decoded(grey_file(1, PixelSpacing=[0.5, 0.25])).facts.pixel_spacing == (0.25, 0.5)

    def test_pixel_measures(self, decoded):
        shared = item(PixelMeasuresSequence=[item(PixelSpacing=[2, 1])])
        data_set = functional_groups(grey_file(1), shared=shared)
        assert decoded(data_set).facts.pixel_spacing == (1, 2)

    def test_missing_modality_is_empty(self, decoded):
        assert decoded(grey_file(1, Modality=None)).facts.modality == ""


class TestMissingAttributes:
    @pytest.mark.parametrize(
        "keyword", ["Rows", "Columns", "BitsAllocated", "BitsStored", "SamplesPerPixel"]
    )
    def test_missing_number_is_named(self, decoded, keyword):
        data_set = data_set_of(ramp(1, 2), **{keyword: None})
        data_set["PixelData"].VR = "OW"  # pydicom does not write an ambiguous one
        with pytest.raises(MissingAttributeError, match=f"^{keyword} is missing"):
            decoded(data_set)


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
        assert shown(decoded(data_set)) == [1, 2]

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
        with pytest.raises(UnsupportedTransferSyntaxError, match="no decoder for transfer syntax"):
            decoded(grey_file(1, 2), PRIVATE_SYNTAX)


class TestFiles:
    def test_no_dicom(self, tmp_path):
        path = tmp_path / "image.dcm"
        path.write_bytes(b"not at all DICOM " * 20)
        with pytest.raises(NotDicomError, match="neither the DICM prefix nor a data set"):
            decode(path)

    def test_missing_file(self, tmp_path):
        with pytest.raises(UnreadableError, match="No such file") as caught:
            decode(tmp_path / "image.dcm")
        assert caught.value.transient

    def test_path_may_be_text(self, tmp_path):
        assert row(decode(str(save(tmp_path / "image", grey_file(1, 2))))) == [1, 2]


class TestHeadersThatWouldMislead:
    @pytest.mark.parametrize("value", ["0", "-1", "x"])
    def test_number_of_frames_that_is_no_positive_number(self, decoded, value):
        data_set = data_set_of(ramp(1, 2), NumberOfFrames=None)
        data_set.add_new("NumberOfFrames", "LO", value)
        with pytest.raises(MissingAttributeError, match="Number of Frames"):
            decoded(data_set)

    @pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
    def test_room_for_more_frames_than_stated_is_told(self, decoded):
        data_set = data_set_of(np.zeros((3, 2, 2), np.uint16), NumberOfFrames=2)
        (warning,) = decoded(data_set).facts.warnings
        assert warning == "pixel data for 3 frames, of which the header says 2"

    @pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
    def test_rescale_that_is_no_number(self, decoded, keyword):
        data_set = data_set_of(ramp(1, 2))
        data_set.add_new(keyword, "LO", "1,0")
        with pytest.raises(MissingAttributeError, match="is no number"):
            decoded(data_set)

    def test_frames_without_a_rescale_among_others_are_told(self, decoded):
        groups = [
            item(PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=0)]),
            item(),
        ]
        data_set = functional_groups(data_set_of(np.ones((2, 1, 2), np.uint16)), frames=groups)
        assert any("without a rescale" in w for w in decoded(data_set).facts.warnings)

    def test_table_with_fewer_entries_than_stated_is_told(self, decoded):
        data_set = data_set_of(ramp(1, 2), VOILUTSequence=[lut([1, 2, 3], count=4096)])
        assert any("fewer entries" in w for w in decoded(data_set).facts.warnings)

    def test_padding_that_is_no_number_hides_nothing(self, decoded):
        pixels = ramp(1, 2, 3, dtype=np.float32)
        image = decoded(data_set_of(pixels, FloatPixelPaddingValue=float("nan")))
        assert planes(image) == [[[0, 32767, 65535]]]
