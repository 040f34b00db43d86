"""What three components are, over every code, subsampling, transform, marker and header."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicom_preprocessing.decode.codecs.registry import decode_stream
from dicom_preprocessing.decode.colour import STREAM_TRANSFORMS, YCBCR, ybr_to_rgb
from dicom_preprocessing.decode.pixel_format import read_pixel_format
from dicom_preprocessing.decode.pixels import stored_frames
from dicom_preprocessing.dicom.data_set import describe
from dicom_preprocessing.errors import MissingAttributeError, UnsupportedPixelsError
from dicom_preprocessing.image_warnings import ImageWarnings
from tests.unit.datasets import compressed, data_set_of, pixel_data_of
from tests.unit.decode.components import (
    encode_htj2k,
    join_j2k,
    join_lossless_jpeg,
    repeat,
    subsample,
)
from tests.unit.decode.examples import COLOUR, COLUMNS, ROWS, j2k, jpeg, runner_for

SHAPE = (ROWS, COLUMNS)
HEADERS = ("RGB", *YCBCR, *STREAM_TRANSFORMS)
FULL = ("YBR_FULL", "YBR_FULL_422")
PARTIAL = ("YBR_PARTIAL_422", "YBR_PARTIAL_420")
WARNING = "colour_contradicts_header"

JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
ADOBE_RGB, ADOBE_YCBCR, ADOBE_OTHER = (
    b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform]) for transform in (0, 1, 2)
)


def decoded(syntax, stream, stated, pixels=COLOUR):
    """The frame under a header, and the codes of the warnings."""
    data_set = data_set_of(pixels[np.newaxis], PhotometricInterpretation=stated)
    if syntax != ExplicitVRLittleEndian:
        compressed(data_set, [stream])
    data_set.ensure_file_meta()
    data_set.file_meta.TransferSyntaxUID = UID(syntax)
    description, pixel_data, warnings = describe(data_set), pixel_data_of(data_set), ImageWarnings()
    pixel_format = read_pixel_format(description, "PixelData", warnings, pixel_data)
    frames = np.asarray(stored_frames(description, pixel_format, pixel_data, warnings))
    return frames[0], [warning.code for warning in warnings]


def rgb_of(pixels, components):
    """The RGB of pixels that are ``components``."""
    return pixels if components == "RGB" else ybr_to_rgb(pixels, 8, partial=components in PARTIAL)


def whole(pixels):
    """Components that are not subsampled."""
    sampling = [(1, 1)] * 3
    return subsample(pixels, sampling), sampling, SHAPE


def rle_of(pixels):
    """A frame of three planes, each packed as a whole."""
    coded = [bytes(imagecodecs.packbits_encode(pixels[..., i].tobytes())) for i in range(3)]
    coded = [segment + b"\x80" * (len(segment) % 2) for segment in coded]
    starts = [64 + sum(map(len, coded[:i])) for i in range(3)]
    return np.array([3, *starts, *[0] * 12], "<u4").tobytes() + b"".join(coded)


# Codes that leave components as they are


@pytest.mark.parametrize("stated", HEADERS)
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (ExplicitVRLittleEndian, lambda _: b""),
        (RLELossless, rle_of),
        (JPEGLSLossless, lambda pixels: bytes(imagecodecs.jpegls_encode(pixels))),
        (JPEGLosslessSV1, lambda pixels: join_lossless_jpeg(*whole(pixels))),
        (JPEG2000Lossless, lambda pixels: j2k(pixels, reversible=True, mct=False)),
        (HTJ2KLossless, lambda pixels: bytes(imagecodecs.htj2k_encode(pixels, rgb=False))),
    ],
    ids=["native", "rle", "jpeg_ls", "jpeg_lossless", "j2k", "htj2k"],
)
def test_components_without_transform_are_what_the_header_says(syntax, encode, stated):
    if syntax == ExplicitVRLittleEndian and stated not in ("RGB", "YBR_FULL", *STREAM_TRANSFORMS):
        pytest.skip("native pixels of these have another layout")
    components = "RGB" if stated in STREAM_TRANSFORMS else stated
    if stated == "YBR_ICT" and syntax in (JPEG2000Lossless, HTJ2KLossless):
        components = "YBR_FULL"
    found, warnings = decoded(syntax, encode(COLOUR), stated)
    assert np.array_equal(found, rgb_of(COLOUR, components))
    assert warnings == ([WARNING] if stated in STREAM_TRANSFORMS else [])


# JPEG 2000 and HTJ2K


@pytest.mark.parametrize("stated", HEADERS)
@pytest.mark.parametrize("reversible", [True, False])
def test_component_transform_is_of_rgb(stated, reversible):
    found, warnings = decoded(JPEG2000Lossless, j2k(COLOUR, reversible=reversible), stated)
    assert np.abs(found.astype(int) - COLOUR).max() <= (0 if reversible else 3)
    assert warnings == ([] if stated in ("RGB", "YBR_RCT", "YBR_ICT") else [WARNING])


SAMPLINGS = st.tuples(st.integers(1, 5), st.integers(1, 5))


@settings(max_examples=150, deadline=None)
@given(
    chroma=SAMPLINGS.filter(lambda sampling: sampling != (1, 1)),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    code=st.sampled_from([(JPEG2000Lossless, None), (HTJ2KLossless, encode_htj2k)]),
    stated=st.sampled_from(HEADERS),
    mct=st.booleans(),
)
def test_subsampled_chroma_is_ycbcr_whatever_the_header_says(chroma, shape, code, stated, mct):
    (syntax, encode), sampling = code, [(1, 1), chroma, chroma]
    pixels = np.random.default_rng(5).integers(0, 256, (*shape, 3), dtype=np.uint8)
    components = subsample(pixels, sampling)
    stream = join_j2k(components, sampling, shape, encode=encode, mct=mct)
    found, warnings = decoded(syntax, stream, stated, pixels)
    full = repeat(components, sampling, shape)
    assert np.array_equal(found, rgb_of(full, stated if stated in PARTIAL else "YBR_FULL"))
    assert warnings == ([] if stated in YCBCR and not mct else [WARNING])


@pytest.mark.parametrize("chroma", [[(2, 1), (1, 1)], [(1, 1), (2, 2)], [(2, 1), (4, 2)]])
def test_chroma_of_two_sizes(chroma):
    sampling = [(1, 1), *chroma]
    components = subsample(COLOUR, sampling)
    found, _ = decoded(JPEG2000Lossless, join_j2k(components, sampling, SHAPE), "YBR_FULL")
    assert np.array_equal(found, ybr_to_rgb(repeat(components, sampling, SHAPE), 8))


def test_subsampled_chroma_of_more_bits():
    sampling = [(1, 1), (2, 2), (2, 2)]
    pixels = COLOUR.astype(np.uint16) << 4
    components = subsample(pixels, sampling)
    stream = join_j2k(components, sampling, SHAPE, bitspersample=12)
    runner = runner_for(
        JPEG2000Lossless, pixels, bits_stored=12, photometric_interpretation="YBR_FULL"
    )
    found, _ = decode_stream(stream, JPEG2000Lossless, runner.options)
    assert np.array_equal(found, ybr_to_rgb(repeat(components, sampling, SHAPE), 12))


def test_subsampled_luma_is_unsupported():
    sampling = [(2, 1), (1, 1), (1, 1)]
    stream = join_j2k(subsample(COLOUR, sampling), sampling, SHAPE)
    with pytest.raises(UnsupportedPixelsError, match="a sample for 2x1, 1x1, 1x1 pixels"):
        decoded(JPEG2000Lossless, stream, "YBR_FULL")


def test_image_that_begins_between_samples_of_chroma_is_unsupported():
    sampling = [(1, 1), (2, 2), (2, 2)]
    stream = bytearray(join_j2k(subsample(COLOUR, sampling), sampling, SHAPE))
    for at in (8, 16, 24):  # Xsiz, XOsiz and XTsiz
        stream[at + 3] += 1
    with pytest.raises(UnsupportedPixelsError, match=r"from \(1, 0\) on"):
        decoded(JPEG2000Lossless, bytes(stream), "YBR_FULL")


def test_components_of_two_precisions_are_refused():
    stream = bytearray(j2k(COLOUR, reversible=True, mct=False))
    stream[45] = 5 - 1  # Ssiz of the second
    with pytest.raises(Exception, match="differ in precision or sign"):
        decoded(JPEG2000Lossless, bytes(stream), "RGB")


# Lossless JPEG


@pytest.mark.parametrize("stated", ["RGB", *YCBCR])
@pytest.mark.parametrize("marker", [b"", JFIF, ADOBE_RGB, ADOBE_YCBCR, ADOBE_OTHER])
def test_markers_of_a_lossless_stream_do_not_count(stated, marker):
    stream = join_lossless_jpeg(*whole(COLOUR), app=marker)
    found, warnings = decoded(JPEGLosslessSV1, stream, stated)
    assert np.array_equal(found, rgb_of(COLOUR, stated))
    told = {JFIF: "YBR_FULL", ADOBE_YCBCR: "YBR_FULL", ADOBE_RGB: "RGB"}.get(marker)
    agrees = told is None or told == ("YBR_FULL" if stated in FULL else stated)
    assert warnings == ([] if agrees else [WARNING])


@pytest.mark.parametrize("stated", ["RGB", "YBR_RCT", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("chroma", [(2, 1), (2, 2), (1, 2), (4, 1)])
def test_subsampled_chroma_of_a_lossless_stream_is_ycbcr(stated, chroma):
    pixels, sampling = np.full_like(COLOUR, (100, 90, 170)), [(1, 1), chroma, chroma]
    stream = join_lossless_jpeg(subsample(pixels, sampling), sampling, SHAPE)
    found, warnings = decoded(JPEGLosslessSV1, stream, stated)
    assert np.array_equal(found, ybr_to_rgb(pixels, 8))
    assert warnings == ([] if stated in FULL else [WARNING])


# Lossy JPEG

FLAT = np.full_like(COLOUR, (159, 83, 33))
RGB_STREAM = {"colorspace": "RGB", "outcolorspace": "RGB"}


def marked(stream, marker):
    """A JPEG stream with this one APP segment, if any."""
    kept, at = stream[:2] + marker, 2
    while stream[at + 1] in range(0xE0, 0xF0):
        at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    return kept + stream[at:]


@pytest.mark.parametrize("stated", HEADERS)
@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("marker", [JFIF, ADOBE_YCBCR])
def test_markers_of_a_lossy_stream_count(stated, subsampling, marker):
    stream = marked(jpeg(FLAT, level=100, subsampling=subsampling), marker)
    found, warnings = decoded(JPEGBaseline8Bit, stream, stated)
    assert np.abs(found.astype(int) - FLAT).max() <= 2
    assert warnings == ([] if stated in FULL else [WARNING])


@pytest.mark.parametrize("stated", HEADERS)
def test_adobe_marker_without_transform_means_rgb(stated):
    stream = marked(jpeg(FLAT, level=100, subsampling="444", **RGB_STREAM), ADOBE_RGB)
    found, warnings = decoded(JPEGBaseline8Bit, stream, stated)
    assert np.abs(found.astype(int) - FLAT).max() <= 2
    assert warnings == ([] if stated == "RGB" else [WARNING])


@pytest.mark.parametrize("stated", HEADERS)
@pytest.mark.parametrize("marker", [b"", ADOBE_OTHER])
def test_header_counts_where_a_lossy_stream_tells_nothing(stated, marker):
    components = "YBR_FULL" if stated in (*FULL, *STREAM_TRANSFORMS) else stated
    raw = np.full_like(COLOUR, (100, 90, 170))
    stream = jpeg(raw, level=100, subsampling="444", **RGB_STREAM)
    stream = marked(stream, marker).replace(b"R\x11\0G\x11\0B\x11\0", b"\1\x11\0\2\x11\0\3\x11\0")
    stream = stream.replace(b"\3R\0G\0B\0", b"\3\1\0\2\0\3\0")
    found, warnings = decoded(JPEGBaseline8Bit, stream, stated)
    assert np.abs(found.astype(int) - rgb_of(raw, components)).max() <= 2
    assert warnings == ([WARNING] if stated in STREAM_TRANSFORMS else [])


@pytest.mark.parametrize("stated", ["RGB", "YBR_FULL_422"])
@pytest.mark.parametrize("subsampling", ["422", "420", "440", "411"])
def test_subsampled_chroma_of_a_lossy_stream_is_ycbcr(stated, subsampling):
    stream = marked(jpeg(FLAT, level=100, subsampling=subsampling), b"")
    found, warnings = decoded(JPEGBaseline8Bit, stream, stated)
    assert np.abs(found.astype(int) - FLAT).max() <= 2
    assert warnings == ([WARNING] if stated == "RGB" else [])


def test_markers_that_contradict_each_other_are_told():
    stream = marked(jpeg(FLAT, level=100, subsampling="444"), JFIF + ADOBE_YCBCR)
    assert decoded(JPEGBaseline8Bit, stream, "YBR_FULL")[1] == []
    stream = marked(jpeg(FLAT, level=100, subsampling="444", **RGB_STREAM), JFIF + ADOBE_RGB)
    found, warnings = decoded(JPEGBaseline8Bit, stream, "RGB")
    assert np.abs(found.astype(int) - FLAT).max() <= 2
    assert warnings == [WARNING]


@pytest.mark.parametrize("marker", [JFIF, ADOBE_RGB, ADOBE_YCBCR, ADOBE_OTHER])
@pytest.mark.parametrize(
    ("syntax", "options"),
    [(JPEGBaseline8Bit, {"level": 100}), (JPEGLosslessSV1, {"lossless": True})],
)
def test_markers_of_colour_do_not_change_grey(marker, syntax, options):
    grey = COLOUR[..., 0].copy()
    stream = marked(jpeg(grey, **options), marker)
    found, warnings = decoded(syntax, stream, "MONOCHROME2", grey)
    assert np.abs(found[..., 0].astype(int) - grey).max() <= 2
    assert warnings == []


# Photometric Interpretation that is missing


@pytest.mark.parametrize(
    ("syntax", "stream"),
    [
        (JPEGBaseline8Bit, jpeg(FLAT, level=100, subsampling="422")),
        (JPEGBaseline8Bit, jpeg(FLAT, level=100, subsampling="444", **RGB_STREAM)),
        (JPEG2000Lossless, j2k(FLAT, reversible=True)),
        (JPEG2000Lossless, bytes(imagecodecs.jpeg2k_encode(FLAT, codecformat="JP2", level=0))),
        (HTJ2KLossless, bytes(imagecodecs.htj2k_encode(FLAT))),
    ],
)
def test_missing_photometric_interpretation_is_what_the_stream_says(syntax, stream):
    found, warnings = decoded(syntax, stream, None)
    assert np.abs(found.astype(int) - FLAT).max() <= 2
    assert warnings == ["photometric_assumed"]


def test_missing_photometric_interpretation_of_subsampled_chroma():
    sampling = [(1, 1), (2, 1), (2, 1)]
    pixels = np.full_like(COLOUR, (100, 90, 170))
    stream = join_j2k(subsample(pixels, sampling), sampling, SHAPE)
    found, warnings = decoded(JPEG2000Lossless, stream, None)
    assert np.array_equal(found, FLAT)
    assert warnings == ["photometric_assumed"]


@pytest.mark.parametrize(
    ("syntax", "stream"),
    [
        (ExplicitVRLittleEndian, b""),
        (RLELossless, rle_of(FLAT)),
        (JPEGLSLossless, bytes(imagecodecs.jpegls_encode(FLAT))),
        (JPEG2000Lossless, j2k(FLAT, reversible=True, mct=False)),
        (JPEGBaseline8Bit, b"\xff\xd8"),
    ],
)
def test_missing_photometric_interpretation_is_not_guessed(syntax, stream):
    with pytest.raises(MissingAttributeError, match="Photometric Interpretation is missing"):
        decoded(syntax, stream, None)
