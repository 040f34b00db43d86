"""Pixel Padding Value and Range Limit are background, whatever a transform makes of them."""

import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_preprocessing.decode.padding import pixel_padding
from dicom_preprocessing.decode.stage import decode, decode_stored
from dicom_preprocessing.dicom.data_set import describe
from dicom_preprocessing.imaging.crop import crop
from dicom_preprocessing.imaging.geometry import CropBox
from dicom_preprocessing.imaging.resize import resize
from tests.unit.datasets import (
    compressed,
    data_set_of,
    display_values,
    format_of,
    functional_groups,
    item,
    lut,
    modality_values_of,
    save,
)
from tests.unit.decode.examples import j2k, jpeg

BOX = CropBox(4, 3, 24, 18)
"""Of the tissue in ``padded``."""


def padded(value, low=300, high=3000, dtype=np.uint16):
    """A frame of tissue from ``low`` to ``high`` within padding."""
    frame = np.full((24, 32), value, dtype)
    tissue = np.linspace(low, high, BOX.height * BOX.width).reshape(BOX.height, BOX.width)
    frame[BOX.top : BOX.bottom, BOX.left : BOX.right] = tissue.astype(dtype)
    return frame


def is_tissue(shape=(24, 32)):
    mask = np.zeros(shape, bool)
    mask[BOX.top : BOX.bottom, BOX.left : BOX.right] = True
    return mask


def padding_of(data_set):
    padding = pixel_padding(describe(data_set), format_of(data_set))
    assert padding is not None
    return padding


TRANSFORMS = {
    "padding is black": {"WindowCenter": 3000, "WindowWidth": 1000},
    "padding is grey": {"WindowCenter": 0, "WindowWidth": 9000},
    "padding is white": {"WindowCenter": -9000, "WindowWidth": 10},
    "SIGMOID": {"WindowCenter": 0, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
    "LINEAR_EXACT": {"WindowCenter": 0, "WindowWidth": 900, "VOILUTFunction": "LINEAR_EXACT"},
    "VOI LUT": {"VOILUTSequence": [lut([60000, 9, 40000, 7], first=-1)]},
    "descending rescale": {"RescaleSlope": -1, "RescaleIntercept": 40},
    "no window": {},
}


@st.composite
def images(draw):
    """A data set of grey pixels with padding, its pixels, and settings of the decode stage."""
    dtype = np.dtype(draw(st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])))
    values = st.integers(-9, 9) if dtype.kind != "u" else st.integers(0, 19)
    pixels = np.array(draw(st.lists(values, min_size=2, max_size=30)), dtype)
    prefix = {"f4": "Float", "f8": "DoubleFloat"}.get(dtype.str[1:], "")
    changes = dict(TRANSFORMS[draw(st.sampled_from(sorted(TRANSFORMS)))])
    data_set = data_set_of(pixels.reshape(1, 1, -1), **changes)
    data_set.PhotometricInterpretation = draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"]))
    kinds = {"Float": "FL", "DoubleFloat": "FD", "": "SS" if dtype.kind == "i" else "US"}
    value, limit = draw(values), draw(st.none() | values)
    data_set.add_new(f"{prefix}PixelPaddingValue", kinds[prefix], value)
    if limit is not None:
        data_set.add_new(f"{prefix}PixelPaddingRangeLimit", kinds[prefix], limit)
    window = draw(st.none() | st.just((0, 30)))
    intensity = "voi" if window else draw(st.sampled_from(["voi", "minmax"]))
    ends = sorted([value, value if limit is None else limit])
    is_padding = (pixels >= ends[0]) & (pixels <= ends[1])
    return data_set, pixels, is_padding, {"intensity": intensity, "window": window}


def without_padding(data_set, pixels):
    """The same object with other pixels and no padding value."""
    keywords = (f"{p}PixelPadding{e}" for p in ("", "Float", "DoubleFloat") for e in ENDS)
    kept = {k: data_set[k].value for k in KEPT if k in data_set}
    assert any(k in data_set for k in keywords)
    return data_set_of(pixels.reshape(1, 1, -1), **kept)


ENDS = ("Value", "RangeLimit")
KEPT = (
    "PhotometricInterpretation",
    *sorted({keyword for changes in TRANSFORMS.values() for keyword in changes}),
)


class TestDisplayValues:
    @given(images())
    def test_padding_is_zero_and_the_rest_is_as_without_it(self, image):
        data_set, pixels, is_padding, settings = image
        stored = pixels.reshape(1, 1, -1, 1)
        found = display_values(data_set, stored, format_of(data_set), **settings)[0].ravel()
        assert not found[is_padding].any()
        tissue = pixels[~is_padding]
        if tissue.size:
            alone = without_padding(data_set, tissue)
            values = tissue.reshape(1, 1, -1, 1)
            expected = display_values(alone, values, format_of(alone), **settings)[0]
            assert found[~is_padding].tolist() == expected.ravel().tolist()

    @pytest.mark.parametrize("name", TRANSFORMS)
    @pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
    @pytest.mark.parametrize("intensity", ["voi", "minmax"])
    def test_crop_finds_the_image(self, tmp_path, name, photometric, intensity):
        # Tissue above the window of "padding is white" stays white.
        changes = TRANSFORMS[name] | {"PhotometricInterpretation": photometric}
        frame = padded(0, low=3001, high=3400)
        path = save(
            tmp_path / "image", data_set_of(frame[np.newaxis], PixelPaddingValue=0, **changes)
        )
        image = decode_stored(path, intensity=intensity)
        shown = image.to_display_values().frames[0][..., 0]
        assert not shown[~is_tissue()].any()
        if shown.any():  # else the window makes tissue as black
            assert crop(image).geometry.crop == BOX

    def test_frames_with_their_own_rescale(self):
        rescales = [item(RescaleSlope=s, RescaleIntercept=b) for s, b in ((1, 500), (-2, 900))]
        frames = [item(PixelValueTransformationSequence=[rescale]) for rescale in rescales]
        pixels = np.array([[[7, 100]], [[7, 100]]], np.uint16)
        data_set = functional_groups(
            data_set_of(pixels, PixelPaddingValue=7, WindowCenter=500, WindowWidth=2000),
            frames=frames,
        )
        values, _ = display_values(data_set, pixels[..., np.newaxis], format_of(data_set))
        assert values[:, 0, 0, 0].tolist() == [0, 0]
        assert values[:, 0, 1, 0].all()

    def test_of_single_bits_black_and_white_stay(self):
        pixels = np.array([[[0, 1]]], np.uint8)
        data_set = data_set_of(pixels, bits_stored=1, PixelPaddingValue=1)
        values, _ = display_values(data_set, pixels[..., np.newaxis], format_of(data_set))
        assert values.ravel().tolist() == [0, 255]

    def test_projection_takes_padding_for_the_lowest_value(self, tmp_path):
        frames = np.stack([padded(0), padded(0, low=500)])
        frames[0, 0, 0] = 600  # tissue in one frame only
        data_set = data_set_of(
            frames, PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1", **WIDE
        )
        path = save(tmp_path / "image", data_set)
        (shown,) = decode(path, volume="max-intensity").frames[..., 0]
        expected = is_tissue()
        expected[0, 0] = True
        assert np.array_equal(shown != 0, expected)


WIDE = {"WindowCenter": 2048, "WindowWidth": 8192}


class TestStoredIntensity:
    @given(images())
    def test_padding_is_the_background_and_the_rest_is_as_without_it(self, image):
        data_set, pixels, is_padding, _ = image
        values, background, _ = modality_values_of(data_set, pixels.reshape(1, 1, -1))
        found = values.ravel()
        assert (found[is_padding] == background).all()
        slope = float(data_set.get("RescaleSlope", 1))
        intercept = float(data_set.get("RescaleIntercept", 0))
        assert background == slope * padding_of(data_set).value + intercept
        assert np.array_equal(found[~is_padding], (slope * pixels + intercept)[~is_padding])

    def test_range_limit_is_background_in_every_frame(self):
        rescales = [item(RescaleSlope=s, RescaleIntercept=b) for s, b in ((1, 50), (2, 90))]
        frames = [item(PixelValueTransformationSequence=[rescale]) for rescale in rescales]
        pixels = np.array([[[7, 8, 9, 10]], [[7, 8, 9, 10]]], np.uint16)
        data_set = functional_groups(
            data_set_of(pixels, bits_stored=12, PixelPaddingValue=9, PixelPaddingRangeLimit=8),
            frames=frames,
        )
        values, background, _ = modality_values_of(data_set, pixels)
        assert background == 59
        assert values[..., 0].tolist() == [[[57, 59, 59, 60]], [[104, 59, 59, 110]]]


def rle_of(frame):
    """An RLE frame (PS3.5 G) of 16 bits."""
    high, low = (
        imagecodecs.packbits_encode(part.astype(np.uint8).tobytes()) for part in (frame >> 8, frame)
    )
    high += b"\0" * (len(high) % 2)
    return struct.pack("<16L", 2, 64, 64 + len(high), *[0] * 13) + high + low


LOSSLESS = {
    RLELossless: rle_of,
    JPEGLosslessSV1: lambda f: jpeg(f, lossless=True, bitspersample=16),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: lambda f: j2k(f, reversible=True),
}


def write(path, syntax, *streams, header=None, **changes):
    """Write frames of 24 rows and 32 columns that have a window from 0 to 4095."""
    pixels = np.zeros((len(streams), 24, 32), np.uint16) if header is None else header
    data_set = compressed(data_set_of(pixels, **(WIDE | changes)), list(map(bytes, streams)))
    data_set.file_meta = FileMetaDataset()
    return save(path, data_set, UID(syntax))


def codes(image):
    np.asarray(image.frames)
    return [warning.code for warning in image.source_info.warnings]


class TestStreams:
    @pytest.mark.parametrize("intensity", ["voi", "minmax", "stored"])
    @pytest.mark.parametrize("syntax", LOSSLESS)
    def test_lossless_ones_have_exact_padding(self, tmp_path, syntax, intensity):
        stream = LOSSLESS[syntax](padded(700))
        path = write(
            *(tmp_path / "image", syntax, stream),
            PixelPaddingValue=700,
            PhotometricInterpretation="MONOCHROME1",
        )
        image = decode_stored(path, intensity=intensity)
        # One pixel of tissue may be the darkest one.
        assert crop(image).geometry.crop == BOX
        assert codes(image) == []

    @given(near=st.integers(1, 20), value=st.integers(0, 4000), seed=st.integers(0, 99))
    def test_values_within_near_of_jpeg_ls_are_padding(self, tmp_path_factory, near, value, seed):
        noise = np.random.default_rng(seed).integers(-2 * near, 2 * near, (24, 32))
        frame = np.clip(padded(value) + noise, 0, 65535).astype(np.uint16)
        stream = bytes(imagecodecs.jpegls_encode(frame, level=near))
        values = imagecodecs.jpegls_decode(stream).astype(int)
        path = tmp_path_factory.mktemp("near") / "image"
        image = decode_stored(
            write(path, JPEGLSNearLossless, stream, PixelPaddingValue=value), intensity="stored"
        )
        expected = np.where(np.abs(values - value) <= near, value, values)
        assert np.array_equal(np.asarray(image.frames)[0, ..., 0], expected)
        assert codes(image) == []

    def test_values_within_near_of_a_range_are_padding(self, tmp_path):
        frame = padded(1003, low=1020, high=1020)
        frame[0, :4] = 996, 997, 1000, 1004
        stream = imagecodecs.jpegls_encode(frame, level=1)
        limits = {"PixelPaddingValue": 1002, "PixelPaddingRangeLimit": 998}
        path = write(tmp_path / "image", JPEGLSNearLossless, stream, **limits)
        values = imagecodecs.jpegls_decode(bytes(stream)).astype(int)
        found = decode(path, intensity="stored").frames[0, ..., 0]
        assert np.array_equal(found == 1002, (values >= 997) & (values <= 1003))

    def test_near_is_that_of_each_frame(self, tmp_path):
        frame = padded(1000, low=1010, high=1010)
        noisy = np.where(is_tissue(), frame, frame + 3).astype(np.uint16)
        streams = [imagecodecs.jpegls_encode(noisy, level=level) for level in (0, 3)]
        path = write(tmp_path / "image", JPEGLSNearLossless, *streams, PixelPaddingValue=1000)
        frames = decode(path, intensity="stored").frames[..., 0]
        assert frames[0, 0, 0] == 1003
        assert frames[1, 0, 0] == 1000

    @pytest.mark.parametrize(
        ("syntax", "stream"),
        [
            (JPEGBaseline8Bit, jpeg((padded(37 << 4) >> 4).astype(np.uint8), level=40)),
            (JPEG2000, j2k(padded(700), level=60)),
        ],
    )
    def test_other_lossy_ones_warn_where_padding_is_changed(self, tmp_path, syntax, stream):
        is_byte = syntax == JPEGBaseline8Bit
        header = np.zeros((1, 24, 32), np.uint8 if is_byte else np.uint16)
        value = 37 if is_byte else 700
        path = write(tmp_path / "a", syntax, stream, header=header, PixelPaddingValue=value)
        assert codes(decode_stored(path)) == ["padding_not_exact"]

    def test_lossy_ones_do_not_warn_where_padding_is_exact_or_absent(self, tmp_path):
        stream = j2k(padded(0), reversible=True)
        path = write(tmp_path / "exact", JPEG2000, stream, PixelPaddingValue=0)
        assert codes(decode_stored(path)) == []
        lossy = j2k(padded(700), level=60)
        assert codes(decode_stored(write(tmp_path / "none", JPEG2000, lossy))) == []
        path = write(tmp_path / "unused", JPEG2000, lossy, PixelPaddingValue=5000)
        assert codes(decode_stored(path)) == []

    def test_lossy_values_near_padding_stay(self, tmp_path):
        path = write(tmp_path / "image", JPEG2000, j2k(padded(700), level=60))
        before = decode(path, intensity="stored").frames
        path = write(
            tmp_path / "image", JPEG2000, j2k(padded(700), level=60), PixelPaddingValue=700
        )
        assert np.array_equal(decode(path, intensity="stored").frames, before)


class TestSign:
    @pytest.mark.parametrize(
        ("vr", "value", "expected"), [("US", 65408, -128), ("SS", -128, -128), ("US", 128, -128)]
    )
    def test_of_eight_bits_is_read_from_any_word(self, vr, value, expected):
        data_set = data_set_of(np.zeros((1, 1, 2), np.int8))
        data_set.add_new("PixelPaddingValue", vr, value)
        assert padding_of(data_set).value == expected


class TestFastDecode:
    @pytest.fixture
    def level(self, tmp_path):
        """A function that gives the resolution level at which an image is decoded."""

        def level(**changes):
            frame = np.pad(padded(0), 100)
            stream = j2k(frame, reversible=True)
            syntax = (JPEG2000Lossless, stream)
            header = frame[np.newaxis]
            path = write(tmp_path / "image", *syntax, header=header, **changes)
            image = decode_stored(path, fast_decode={"size": (20, 20)})
            return image.source_info.resolution_level

        return level

    def test_padding_that_the_window_makes_black_allows_it(self, level):
        assert level(PixelPaddingValue=0, WindowCenter=2000, WindowWidth=2000) > 0

    def test_padding_that_the_window_makes_grey_does_not(self, level):
        assert level(PixelPaddingValue=0, WindowCenter=0, WindowWidth=2000) == 0

    def test_padding_that_is_inverted_does_not(self, level):
        assert level(PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1") == 0

    def test_padding_above_bits_stored_does_not(self, level):
        assert level(PixelPaddingValue=65535, BitsStored=12, HighBit=11) == 0


class TestResampledStoredValues:
    @pytest.mark.parametrize("settings", [{"size": [13, 13]}, {"size": [90, 90]}])
    @pytest.mark.parametrize("name", ["triangle", "gaussian"])
    def test_have_no_value_between_padding_and_tissue(self, tmp_path, settings, name):
        frame = padded(-2000, low=-1024, high=3000, dtype=np.int16)
        path = save(tmp_path / "ct", data_set_of(frame[np.newaxis], PixelPaddingValue=-2000))
        found = resize(decode(path, intensity="stored"), **settings, filter=name).frames
        assert set(found[found < -1024].tolist()) == {-2000}


class TestPaddingAboveBitsStored:
    """63536 of 12 bits, which is 2096 once it is masked; tissue has that value, too."""

    def saved(self, tmp_path, frame=None, **changes):
        frame = padded(63536) if frame is None else frame
        frame[10, 10] = 2096
        values = {"BitsStored": 12, "HighBit": 11, "PixelPaddingValue": 63536} | changes
        return save(tmp_path / "a.dcm", data_set_of(frame[None], **values))

    def test_it_is_background_and_the_masked_value_is_tissue(self, tmp_path):
        found = decode(self.saved(tmp_path)).frames[0, ..., 0]
        assert not found[~is_tissue()].any()
        assert found[10, 10] > 30000

    @pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
    def test_of_stored_values_it_is_the_darkest_where_it_does_not_fit(self, tmp_path, photometric):
        changes = {"RescaleIntercept": -1024, "RescaleSlope": 1}
        path = self.saved(tmp_path, PhotometricInterpretation=photometric, **changes)
        found = decode(path, intensity="stored")
        assert found.frames.dtype == np.int16
        darkest = 3000 - 1024 if photometric == "MONOCHROME1" else 300 - 1024
        assert found.source_info.background == darkest
        assert (found.frames[0, ..., 0][~is_tissue()] == darkest).all()
        assert found.frames[0, 10, 10, 0] == 2096 - 1024

    def test_without_it_in_pixels_nothing_changes(self, tmp_path):
        frame = padded(5)
        with_padding = decode(self.saved(tmp_path, frame))
        without = decode(self.saved(tmp_path, frame, PixelPaddingValue=None))
        assert (with_padding.frames == without.frames).all()
        assert list(with_padding.source_info.warnings) == []
