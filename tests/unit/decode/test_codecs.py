"""Compressed streams: what their markers tell, what is cut, and where header and stream differ."""

import struct
import zlib

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicom_preprocessing.decode.codecs import (
    DEFLATED_IMAGE_FRAME,
    JPEG_XL,
    RETIRED_JPEG,
    decode_frame_with_pylibjpeg,
    plugins_of,
    runner_of,
    stored_values,
)
from dicom_preprocessing.decode.streams import (
    END,
    StreamError,
    StreamInfo,
    codestream_of,
    read_jpeg,
    read_jpeg_2000,
)
from dicom_preprocessing.errors import DecodeError, ShortPixelDataError
from tests.conftest import data_folder
from tests.unit.datasets import compressed, data_set_of, rle, stored_pixels

# pydicom warns where header and stream differ.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

ROWS, COLUMNS = 24, 40
Y, X = np.mgrid[:ROWS, :COLUMNS]
NOISE = np.random.default_rng(5).integers(0, 64, (ROWS, COLUMNS))
GREY_12 = ((np.sin(X / 5) + np.cos(Y / 4) + 2) * 1000 + NOISE).astype(np.uint16)
GREY_8 = (GREY_12 >> 4).astype(np.uint8)
COLOUR = np.stack([GREY_8, 255 - GREY_8, GREY_8[::-1]], axis=-1)


def jpeg(pixels, **options):
    return bytes(imagecodecs.jpeg8_encode(pixels, **options))


def j2k(pixels, **options):
    return bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", **options))


STREAMS = {
    "JPEG baseline": (JPEGBaseline8Bit, GREY_8, jpeg(GREY_8, level=95)),
    "JPEG extended": (JPEGExtended12Bit, GREY_12, jpeg(GREY_12, level=95, bitspersample=12)),
    "JPEG lossless": (JPEGLosslessSV1, GREY_12, jpeg(GREY_12, lossless=True, bitspersample=16)),
    "JPEG-LS": (JPEGLSLossless, GREY_12, bytes(imagecodecs.jpegls_encode(GREY_12))),
    "JPEG 2000": (JPEG2000Lossless, GREY_12, j2k(GREY_12, reversible=True)),
    "JPEG 2000 lossy": (JPEG2000, GREY_12, j2k(GREY_12, level=60)),
    "HTJ2K": (HTJ2KLossless, GREY_12, bytes(imagecodecs.htj2k_encode(GREY_12))),
    "JPEG XL": (JPEG_XL[0], GREY_12, bytes(imagecodecs.jpegxl_encode(GREY_12, lossless=True))),
}
LOSSLESS = [n for n in STREAMS if n not in ("JPEG baseline", "JPEG extended", "JPEG 2000 lossy")]
ENDED = [name for name, (_, _, stream) in STREAMS.items() if stream.endswith(END)]


@pytest.fixture
def decoded():
    """A function that decodes frames under the header of ``pixels``."""

    def decode(syntax, pixels, *frames, bits_stored=None, fragments=1, **changes):
        header = pixels[np.newaxis].repeat(len(frames), axis=0)
        data_set = data_set_of(header, bits_stored=bits_stored, **changes)
        compressed(data_set, list(frames), fragments=fragments)
        return stored_of(data_set, syntax)

    return decode


def stored_of(data_set, syntax):
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(syntax)
    return stored_pixels(data_set)


class TestWhole:
    @pytest.mark.parametrize("name", LOSSLESS)
    def test_lossless_stream_gives_its_pixels(self, decoded, name):
        syntax, pixels, stream = STREAMS[name]
        assert np.array_equal(decoded(syntax, pixels, stream)[0, ..., 0], pixels)

    @pytest.mark.parametrize("name", ENDED)
    def test_missing_end_marker_is_made_good(self, decoded, name):
        syntax, pixels, stream = STREAMS[name]
        whole = decoded(syntax, pixels, stream)
        assert np.array_equal(decoded(syntax, pixels, stream[:-2]), whole)

    @pytest.mark.parametrize("name", STREAMS)
    @pytest.mark.parametrize("missing", [5, 8, 60])
    def test_cut_stream_is_refused(self, decoded, name, missing):
        syntax, pixels, stream = STREAMS[name]
        with pytest.raises(DecodeError):
            decoded(syntax, pixels, stream[:-missing])

    @pytest.mark.parametrize(
        "name", ["JPEG-LS", "JPEG 2000", "JPEG 2000 lossy", "HTJ2K", "JPEG XL"]
    )
    def test_cut_stream_with_an_end_marker_is_refused(self, decoded, name):
        """Not so for JPEG, whose markers do not tell how long the data should be."""
        syntax, pixels, stream = STREAMS[name]
        with pytest.raises(DecodeError):
            decoded(syntax, pixels, stream[: len(stream) // 2] + END)

    @pytest.mark.parametrize("name", STREAMS)
    def test_bytes_behind_the_end_do_not_matter(self, decoded, name):
        syntax, pixels, stream = STREAMS[name]
        whole = decoded(syntax, pixels, stream)
        assert np.array_equal(decoded(syntax, pixels, stream + b"\0\0\0\0"), whole)

    @pytest.mark.parametrize("name", STREAMS)
    def test_other_size_than_in_the_header_is_refused(self, decoded, name):
        syntax, pixels, stream = STREAMS[name]
        with pytest.raises(DecodeError):
            decoded(syntax, pixels[:, 1:], stream)

    @pytest.mark.parametrize("name", STREAMS)
    def test_other_stream_is_refused(self, decoded, name):
        syntax, pixels, _ = STREAMS[name]
        with pytest.raises(DecodeError):
            decoded(syntax, pixels, b"\x89PNG\r\n\x1a\n" + bytes(500))


class TestFragments:
    @pytest.mark.parametrize("name", ["JPEG lossless", "JPEG-LS", "JPEG 2000", "HTJ2K"])
    def test_frames_of_several_fragments(self, decoded, name):
        syntax, pixels, stream = STREAMS[name]
        found = decoded(syntax, pixels, stream, stream, fragments=3)
        assert np.array_equal(found[..., 0], [pixels, pixels])

    @pytest.mark.parametrize("second", [0, 7, 2**31])
    def test_offset_table_that_is_wrong_is_ignored(self, second):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = data_set_of(np.stack([pixels, pixels]))
        compressed(data_set, [stream, stream])
        data = bytearray(data_set.PixelData)
        struct.pack_into("<L", data, 12, second)
        data_set.PixelData = bytes(data)
        data_set["PixelData"].is_undefined_length = True
        assert np.array_equal(stored_of(data_set, syntax)[..., 0], [pixels, pixels])

    @pytest.mark.parametrize("table", [(580, 1178), (0, 0), (1178, 0)])
    def test_offset_table_that_does_not_ascend_from_the_start_is_ignored(self, table):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = data_set_of(np.stack([pixels, pixels]))
        compressed(data_set, [stream, stream], fragments=2)
        data = bytearray(data_set.PixelData)
        struct.pack_into("<2L", data, 8, *table)
        data_set.PixelData = bytes(data)
        data_set["PixelData"].is_undefined_length = True
        assert np.array_equal(stored_of(data_set, syntax)[..., 0], [pixels, pixels])

    def test_offset_table_of_several_fragments_that_is_wrong_is_ignored(self):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = data_set_of(np.stack([pixels, pixels]))
        compressed(data_set, [stream, stream], fragments=3)
        data = bytearray(data_set.PixelData)
        struct.pack_into("<L", data, 12, 7)
        data_set.PixelData = bytes(data)
        data_set["PixelData"].is_undefined_length = True
        assert np.array_equal(stored_of(data_set, syntax)[..., 0], [pixels, pixels])

    @pytest.mark.parametrize(
        ("offsets", "lengths"), [((0, 7), (10, 10)), ((0, 10**6), (500, 500)), ((0,), (500,))]
    )
    def test_extended_offset_table_that_is_wrong_is_ignored(self, offsets, lengths):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = data_set_of(np.stack([pixels, pixels]))
        compressed(data_set, [stream, stream])
        data_set.ExtendedOffsetTable = struct.pack(f"<{len(offsets)}Q", *offsets)
        data_set.ExtendedOffsetTableLengths = struct.pack(f"<{len(lengths)}Q", *lengths)
        assert np.array_equal(stored_of(data_set, syntax)[..., 0], [pixels, pixels])

    def test_number_of_frames_decides_over_more_fragments(self):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = compressed(data_set_of(pixels[np.newaxis]), [stream, stream])
        assert stored_of(data_set, syntax).shape == (1, ROWS, COLUMNS, 1)

    def test_cut_in_the_header_of_a_fragment(self):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = compressed(data_set_of(pixels[np.newaxis]), [stream])
        data_set.PixelData += b"\xfe\xff\x00\xe0\x05"
        with pytest.raises(DecodeError, match="ends inside the header of a fragment"):
            stored_of(data_set, syntax)

    def test_fewer_fragments_than_frames_are_short(self):
        syntax, pixels, stream = STREAMS["JPEG 2000"]
        data_set = compressed(data_set_of(np.stack([pixels, pixels])), [stream])
        with pytest.raises(ShortPixelDataError, match="1 fragments cannot hold 2 frames"):
            stored_of(data_set, syntax)


class TestHostileStreams:
    """Streams on which a decoder crashes, hangs, fills the memory, or gives a blank image."""

    def test_rle_segments_that_lead_out_of_the_frame(self, decoded):
        frame = struct.pack("<16L", 2, 64, 10**8, *[0] * 13) + b"\3\1\2\3\4\0"
        with pytest.raises(DecodeError, match="do not follow each other"):
            decoded(RLELossless, np.zeros((2, 2), np.uint16), frame)

    @pytest.mark.parametrize("starts", [(64, 64), (66, 64), (60, 66)])
    def test_rle_segments_that_do_not_ascend(self, decoded, starts):
        frame = struct.pack("<16L", 2, *starts, *[0] * 13) + b"\3\1\2\3\4\0"
        with pytest.raises(DecodeError):
            decoded(RLELossless, np.zeros((2, 2), np.uint16), frame)

    @pytest.mark.parametrize("at", range(200, 600, 37))
    def test_damaged_htj2k_is_an_error_or_an_image(self, decoded, at):
        syntax, pixels, stream = STREAMS["HTJ2K"]
        damaged = bytearray(stream)
        damaged[at] ^= 0x84
        try:
            found = decoded(syntax, pixels, bytes(damaged))
        except DecodeError:
            return
        assert found.any()

    @pytest.mark.parametrize("name", ["JPEG 2000", "HTJ2K"])
    @pytest.mark.parametrize("at", [8, 12, 16, 20, 32, 36])
    def test_sizes_beyond_the_header_are_not_decoded(self, decoded, name, at):
        syntax, pixels, stream = STREAMS[name]
        damaged = bytearray(stream)
        damaged[at] = 0x7F
        with pytest.raises(DecodeError):
            decoded(syntax, pixels, bytes(damaged))

    def test_jpeg_size_beyond_the_header_is_not_decoded(self, decoded):
        syntax, pixels, stream = STREAMS["JPEG baseline"]
        at = stream.find(b"\xff\xc0") + 5
        damaged = stream[:at] + struct.pack(">HH", 60000, 60000) + stream[at + 4 :]
        with pytest.raises(DecodeError, match="60000 x 60000 x 1, the header says 24 x 40 x 1"):
            decoded(syntax, pixels, damaged)

    def test_progressive_jpeg_without_its_last_scan_is_refused(self):
        name = "CTImage_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm"
        path = data_folder("corpus") / "cornerstone3D" / name
        if not path.exists():
            pytest.skip("needs the full corpus: set DP_SHARED to the folder that holds it")
        data_set = pydicom.dcmread(path)
        stream = next(generate_frames(data_set.PixelData, number_of_frames=1))
        assert stream.count(b"\xff\xda") > 1
        compressed(data_set, [stream[: stream.rfind(b"\xff\xda")]])
        with pytest.raises(DecodeError, match="no end marker"):
            stored_of(data_set, data_set.file_meta.TransferSyntaxUID)

    def test_more_rle_fragments_than_frames_are_left_out(self):
        pixels = np.array([[[1, 2]], [[3, 4]]], np.uint8)
        frames = [rle(bytes(row)) for row in ([1, 2], [3, 4], [5, 6])]
        data_set = compressed(data_set_of(pixels), frames)
        assert np.array_equal(stored_of(data_set, RLELossless)[..., 0], pixels)


class TestJpegMarkers:
    def test_precision(self):
        assert read_jpeg(STREAMS["JPEG baseline"][2]).precision == 8
        assert read_jpeg(STREAMS["JPEG extended"][2]).precision == 12
        assert read_jpeg(STREAMS["JPEG lossless"][2]).precision == 16

    def test_lossless(self):
        found = {name: read_jpeg(STREAMS[name][2]).is_lossless for name in list(STREAMS)[:4]}
        assert found == {
            "JPEG baseline": False,
            "JPEG extended": False,
            "JPEG lossless": True,
            "JPEG-LS": True,
        }
        assert not read_jpeg(bytes(imagecodecs.jpegls_encode(GREY_8, level=3))).is_lossless

    def test_jfif_means_ycbcr(self):
        stream = jpeg(COLOUR, colorspace="RGB", outcolorspace="YCBCR")
        assert b"JFIF" in stream[:32]
        assert read_jpeg(stream).colour == "YBR_FULL"

    def test_adobe_says_rgb(self):
        stream = jpeg(COLOUR, colorspace="RGB", outcolorspace="RGB")
        assert b"Adobe" in stream[:64]
        assert read_jpeg(stream).colour == "RGB"

    def test_names_say_rgb(self):
        assert read_jpeg(header_of(ids=b"RGB")).colour == "RGB"
        assert read_jpeg(header_of(ids=b"rgb")).colour == "RGB"

    def test_sampling_says_ycbcr(self):
        assert read_jpeg(header_of(sampling=0x22)).colour == "YBR_FULL"

    def test_nothing_says_nothing(self):
        assert read_jpeg(header_of()).colour is None

    def test_adobe_before_jfif_before_names(self):
        jfif, adobe = b"\xff\xe0\0\x10JFIF\0" + bytes(9), b"\xff\xee\0\x0eAdobe" + bytes(7)
        assert read_jpeg(header_of(apps=jfif + adobe)).colour == "RGB"
        assert read_jpeg(header_of(apps=jfif, ids=b"RGB")).colour == "YBR_FULL"

    def test_grey_has_no_colour(self):
        assert read_jpeg(STREAMS["JPEG baseline"][2]).colour is None

    @pytest.mark.parametrize("stream", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"no stream"])
    def test_other_bytes_are_refused(self, stream):
        with pytest.raises(StreamError):
            read_jpeg(stream)


def header_of(ids=b"\1\2\3", sampling=0x11, apps=b""):
    """A JPEG stream up to its scan."""
    components = b"".join(bytes([i, sampling if n == 0 else 0x11, 0]) for n, i in enumerate(ids))
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 8 + 9, 8, ROWS, COLUMNS, 3) + components
    return b"\xff\xd8" + apps + frame + b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0" + b"\0\0" + END


class TestJpegColour:
    @pytest.fixture
    def rgb(self):
        """A stream of RGB, and one of YCbCr, both without any marker that tells."""
        return (
            without_apps(jpeg(COLOUR, level=100, colorspace="RGB", outcolorspace="RGB"), b"\1\2\3"),
            without_apps(jpeg(COLOUR, level=100, subsampling="444"), b"\1\2\3"),
        )

    @pytest.mark.parametrize("stated", ["RGB", "YBR_FULL", "YBR_FULL_422"])
    def test_markers_win_over_the_header(self, decoded, stated):
        for options in ({"subsampling": "444"}, {"outcolorspace": "RGB"}):
            stream = jpeg(COLOUR, level=100, **options)
            found = decoded(JPEGBaseline8Bit, COLOUR, stream, PhotometricInterpretation=stated)
            assert np.abs(found[0].astype(int) - COLOUR).max() <= 3

    @pytest.mark.parametrize(
        ("stated", "which"), [("RGB", 0), ("YBR_FULL", 1), ("YBR_FULL_422", 1)]
    )
    def test_header_decides_where_markers_do_not(self, decoded, rgb, stated, which):
        found = decoded(JPEGBaseline8Bit, COLOUR, rgb[which], PhotometricInterpretation=stated)
        assert np.abs(found[0].astype(int) - COLOUR).max() <= 3

    def test_header_decides_for_every_frame(self, decoded, rgb):
        frames = [rgb[1]] * 3
        found = decoded(JPEGBaseline8Bit, COLOUR, *frames, PhotometricInterpretation="YBR_FULL")
        assert np.array_equal(found[0], found[2])

    def test_lossless_ycbcr_is_converted(self, decoded):
        ybr = np.full((ROWS, COLUMNS, 3), (81, 90, 240), np.uint8)
        coded = jpeg(ybr, lossless=True, colorspace="RGB", outcolorspace="RGB")
        stream = without_apps(coded, b"\1\2\3")
        found = decoded(JPEGLosslessSV1, ybr, stream, PhotometricInterpretation="YBR_FULL")
        # 81 + 1.402 * 112, 81 - 0.344136 * -38 - 0.714136 * 112, 81 + 1.772 * -38
        assert found[0, 0, 0].tolist() == [238, 14, 14]


def without_apps(stream, ids):
    """A JPEG stream without APP segments, its components named ``ids``."""
    kept, offset = bytearray(stream[:2]), 2
    renamed = {}
    while True:
        marker = stream[offset + 1]
        (length,) = struct.unpack_from(">H", stream, offset + 2)
        segment = bytearray(stream[offset : offset + 2 + length])
        if 0xC0 <= marker <= 0xC3:
            for n, name in enumerate(ids):
                renamed[segment[10 + 3 * n]] = name
                segment[10 + 3 * n] = name
        if marker == 0xDA:
            for n in range(segment[4]):
                segment[5 + 2 * n] = renamed[segment[5 + 2 * n]]
            return bytes(kept + segment + stream[offset + 2 + length :])
        if not 0xE0 <= marker <= 0xEF:
            kept += segment
        offset += 2 + length


class TestJpeg2000Header:
    def test_precision_sign_and_reversibility(self):
        found = read_jpeg_2000(STREAMS["JPEG 2000"][2])
        assert (found.precision, found.is_signed, found.is_lossless) == (16, False, True)
        found = read_jpeg_2000(j2k(GREY_12.astype(np.int16), level=60, bitspersample=13))
        assert (found.precision, found.is_signed, found.is_lossless) == (13, True, False)

    def test_codestream_is_taken_out_of_its_boxes(self):
        boxed = bytes(imagecodecs.jpeg2k_encode(GREY_12, codecformat="JP2", reversible=True))
        assert codestream_of(boxed) == STREAMS["JPEG 2000"][2]

    def test_boxed_stream_decodes(self, decoded):
        boxed = bytes(imagecodecs.jpeg2k_encode(GREY_12, codecformat="JP2", reversible=True))
        assert np.array_equal(decoded(JPEG2000Lossless, GREY_12, boxed)[0, ..., 0], GREY_12)

    @pytest.mark.parametrize("end", range(2, 110, 9))
    def test_cut_header_is_refused(self, end):
        with pytest.raises(StreamError):
            read_jpeg_2000(STREAMS["JPEG 2000"][2][:end])

    def test_missing_tile_is_refused(self):
        stream = bytearray(STREAMS["JPEG 2000"][2])
        assert struct.unpack_from(">L", stream, 24) == (COLUMNS,)  # XTsiz
        struct.pack_into(">L", stream, 24, COLUMNS // 2)
        with pytest.raises(StreamError, match="lacks tile-parts"):
            read_jpeg_2000(bytes(stream))

    def test_component_transform_means_rgb_whatever_the_header_says(self, decoded):
        stream = j2k(COLOUR, reversible=True, mct=True)
        assert read_jpeg_2000(stream).colour == "RGB"
        for stated in ("RGB", "YBR_RCT", "YBR_FULL"):
            found = decoded(JPEG2000Lossless, COLOUR, stream, PhotometricInterpretation=stated)
            assert np.array_equal(found[0], COLOUR)

    def test_without_component_transform_the_header_decides(self, decoded):
        ybr = np.full((ROWS, COLUMNS, 3), (81, 90, 240), np.uint8)
        stream = j2k(ybr, reversible=True, mct=False)
        found = decoded(JPEG2000Lossless, ybr, stream, PhotometricInterpretation="YBR_FULL")
        assert found[0, 0, 0].tolist() == [238, 14, 14]

    def test_overshoot_of_lossy_htj2k_is_clipped(self, decoded):
        step = np.where(X < COLUMNS // 2, 0, 255).astype(np.uint8)
        stream = bytes(imagecodecs.htj2k_encode(step, reversible=False, level=0.02))
        found = decoded(HTJ2K, step, stream)[0, ..., 0]
        assert np.abs(found.astype(int) - step).max() < 128


def info_of(precision, **stream):
    shape = {"rows": 1, "columns": 1, "components": 1}
    told = {"is_signed": None, "is_lossless": True, "colour": None, "is_ended": True}
    return StreamInfo(precision=precision, **shape, **told | stream)


def samples(values, precision, *, signed=False, stored=16, allocated=16, **stream):
    """What ``stored_values`` makes of samples."""
    options = {
        "bits_allocated": allocated,
        "bits_stored": stored,
        "pixel_representation": int(signed),
    }
    runner = runner_of(UID(JPEG2000Lossless), options)
    return stored_values(np.array(values), info_of(precision, **stream), runner).tolist()


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

    def test_bits_above_bits_stored_are_masked_if_lossless(self):
        assert samples([0x1FFF, 0xF001], 16, stored=12) == [0xFFF, 1]

    def test_sign_is_that_of_bits_stored_if_lossless(self):
        assert samples([0x0FFF, 0xF7FF], 16, stored=12, signed=True) == [-1, 2047]

    def test_lossy_values_beyond_bits_stored_are_clipped(self):
        assert samples([4100, 7], 16, stored=12, is_lossless=False) == [4095, 7]
        values = np.array([-2050, 2050], np.int16)
        found = samples(values, 16, stored=12, signed=True, is_signed=True, is_lossless=False)
        assert found == [-2048, 2047]

    def test_fewer_bits_than_stored_are_as_they_are(self):
        assert samples([1023], 10, stored=12) == [1023]

    def test_fewer_signed_bits_are_extended(self):
        assert samples([512, 511], 10, stored=12, signed=True) == [-512, 511]

    def test_more_bits_than_allocated_are_refused(self):
        with pytest.raises(StreamError, match="12 bits a sample, the header allocates 8"):
            samples([1], 12, stored=8, allocated=8)

    def test_dtype_is_that_of_the_header(self):
        options = {"bits_allocated": 32, "bits_stored": 32, "pixel_representation": 1}
        runner = runner_of(UID(JPEG2000Lossless), options)
        assert stored_values(np.array([200], np.uint8), info_of(8), runner).dtype == np.int32


SINGLE_BITS = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
BITS = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]], np.uint8)


class TestRle:
    def test_missing_segment_is_refused(self, decoded):
        pixels = np.array([[1, 2], [3, 4]], np.uint16)
        with pytest.raises(DecodeError):
            decoded(RLELossless, pixels, rle(b"\1\2\3\4"))

    def test_single_bits(self, decoded):
        packed = np.packbits(BITS.ravel(), bitorder="little").tobytes()
        found = decoded(RLELossless, BITS, rle(packed), rle(packed), **SINGLE_BITS)
        assert found[..., 0].tolist() == [BITS.tolist()] * 2

    def test_32_bits(self, decoded):
        pixels = np.array([[1, 2**31 + 5]], np.uint32)
        planes = [bytes((int(v) >> s) & 255 for v in pixels[0]) for s in (24, 16, 8, 0)]
        assert decoded(RLELossless, pixels, rle(*planes))[0, 0, :, 0].tolist() == [1, 2**31 + 5]


class TestDeflatedFrames:
    @staticmethod
    def deflated(data):
        deflater = zlib.compressobj(wbits=-15)
        return deflater.compress(data) + deflater.flush()

    def test_give_their_pixels(self, decoded):
        packed = np.packbits(BITS.ravel(), bitorder="little").tobytes()
        found = decoded(DEFLATED_IMAGE_FRAME, BITS, self.deflated(packed), **SINGLE_BITS)
        assert np.array_equal(found[0, ..., 0], BITS)

    def test_of_16_bits(self, decoded):
        stream = self.deflated(GREY_12.tobytes())
        found = decoded(DEFLATED_IMAGE_FRAME, GREY_12, stream)
        assert np.array_equal(found[0, ..., 0], GREY_12)

    @pytest.mark.parametrize("data", [b"\1", b"\1\2\3\4"])
    def test_of_another_length_are_refused(self, decoded, data):
        with pytest.raises(DecodeError, match="the header says 2"):
            decoded(DEFLATED_IMAGE_FRAME, BITS, self.deflated(data), **SINGLE_BITS)

    def test_that_are_cut_are_refused(self, decoded):
        stream = self.deflated(GREY_12.tobytes())
        with pytest.raises(DecodeError):
            decoded(DEFLATED_IMAGE_FRAME, GREY_12, stream[: len(stream) // 2])


class TestDecoders:
    def test_imagecodecs_comes_first_and_pylibjpeg_second(self):
        assert list(plugins_of(UID(JPEG2000Lossless))) == ["imagecodecs", "pylibjpeg"]

    @pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLSLossless, *RETIRED_JPEG])
    def test_jpeg_and_jpeg_ls_have_one_decoder(self, syntax):
        assert list(plugins_of(UID(syntax))) == ["imagecodecs"]

    @pytest.mark.parametrize(
        "syntax", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.94", "1.2.3.4"]
    )
    def test_there_is_none_for_other_syntaxes(self, syntax):
        assert not plugins_of(UID(syntax))

    @pytest.mark.parametrize("name", ["JPEG 2000", "HTJ2K"])
    def test_second_decoder_gives_the_same(self, name):
        syntax, pixels, stream = STREAMS[name]
        options = {
            "rows": ROWS,
            "columns": COLUMNS,
            "samples_per_pixel": 1,
            "bits_allocated": 16,
            "bits_stored": 16,
            "pixel_representation": 0,
            "number_of_frames": 1,
            "photometric_interpretation": "MONOCHROME2",
            "pixel_keyword": "PixelData",
        }
        found = decode_frame_with_pylibjpeg(stream, runner_of(UID(syntax), options))
        assert np.array_equal(found[..., 0], pixels)
