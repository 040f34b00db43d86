"""Windows, geometry of multi-frame objects, and segmentations, against highdicom."""

from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dicom_preprocessing.decode.frame_order import frame_order
from dicom_preprocessing.dicom.reading import open_image
from tests.conftest import CHECKOUT
from tests.unit.datasets import data_set_of, display_values, format_of, pixels_in
from tests.unit.oracles import high_dicom
from tests.unit.oracles.geometry import assert_same_volume, describe_volume
from tests.unit.second_decoders import CORPUS, PYDICOM

highdicom = pytest.importorskip("highdicom")

# Real files break the standard in many ways, of which the readers warn.
pytestmark = pytest.mark.filterwarnings("ignore")


# Windows


@st.composite
def images_with_window(draw):
    """Pixels of any depth and sign, with rescale and a window somewhere about their values."""
    bits, is_signed = draw(st.sampled_from([8, 10, 12, 16])), draw(st.booleans())
    low = -(1 << bits - 1) if is_signed else 0
    dtype = f"{'ui'[is_signed]}{1 if bits == 8 else 2}"
    seed = draw(st.integers(0, 99))
    pixels = np.random.default_rng(seed).integers(low, low + (1 << bits), (1, 6, 7)).astype(dtype)
    slope = draw(st.sampled_from([1, 2, 0.5, -1, 0.037, 1.7]))
    intercept = draw(st.sampled_from([0, -1024, 10.5]))
    span = abs(slope) * (1 << bits)
    middle = slope * (low + (1 << bits - 1)) + intercept
    decimals = draw(st.sampled_from([0, 2]))
    data_set = data_set_of(
        pixels,
        bits_stored=bits,
        PixelRepresentation=int(is_signed),
        PhotometricInterpretation=draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"])),
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=round(middle + draw(st.floats(-0.6, 0.6)) * span, decimals),
        # highdicom divides 0 by 0 at a width of 1.
        WindowWidth=round(2 + draw(st.floats(0, 1.5)) * span, decimals),
        VOILUTFunction=draw(st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"])),
    )
    return data_set, pixels


@settings(max_examples=200, deadline=None)
@given(image=images_with_window())
def test_any_window_shows_what_highdicom_shows(image):
    data_set, pixels = image
    found, _ = display_values(data_set, pixels[..., np.newaxis], format_of(data_set))
    values = pixels * float(data_set.RescaleSlope) + float(data_set.RescaleIntercept)
    is_inverted = data_set.PhotometricInterpretation == "MONOCHROME1"
    window = SimpleNamespace(
        center=float(data_set.WindowCenter),
        width=float(data_set.WindowWidth),
        function=data_set.VOILUTFunction,
    )
    expected = high_dicom.apply_window(values, window, np.iinfo(found.dtype).max, is_inverted)
    # Truncated before the inversion.
    assert np.abs(found[..., 0] - expected).max() < WITHIN_A_LEVEL


WITHIN_A_LEVEL = 1.0001


# Geometry


def multi_frame_files():
    for folder in (PYDICOM, CORPUS, CHECKOUT / "examples"):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path


def test_frames_lie_where_highdicom_has_them():
    compared = 0
    for path in multi_frame_files():
        if describe_volume(path) is not None and high_dicom.find_slices(path) is not None:
            assert_same_volume(path)
            compared += 1
    assert compared > 5


def test_volume_of_highdicom_is_a_volume_here():
    missed = [
        path.name
        for path in multi_frame_files()
        if (found := high_dicom.find_slices(path)) is not None
        and len(found[0]) > 1
        and describe_volume(path) is None
    ]
    assert missed == []


# Segmentations


SHAPES = [(3, 16, 16), (3, 7, 9), (5, 11, 13), (1, 5, 5), (2, 33, 35)]
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def make_source(n, rows, columns):
    """CT slices to refer to."""
    template = pydicom.dcmread(PYDICOM / "CT_small.dcm")
    slices = []
    for i in range(n):
        one = pydicom.Dataset()
        one.update(template)
        one.file_meta = template.file_meta
        one.SOPInstanceUID = f"1.2.3.{i + 1}"
        one.Rows, one.Columns, one.ImagePositionPatient = rows, columns, [0, 0, 2.5 * i]
        one.SpacingBetweenSlices = 2.5
        one.PixelData = bytes(2 * rows * columns)
        slices.append(one)
    return slices


def make_segmentation(path, shape, kind, syntax, masks):
    coded = highdicom.sr.CodedConcept
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="one",
        segmented_property_category=coded("91723000", "SCT", "Anatomical Structure"),
        segmented_property_type=coded("10200004", "SCT", "Liver"),
        algorithm_type="MANUAL",
    )
    made = highdicom.seg.Segmentation(
        source_images=make_source(*shape),
        pixel_array=masks,
        segmentation_type=kind,
        segment_descriptions=[segment],
        series_instance_uid="1.2.3.100",
        series_number=1,
        sop_instance_uid="1.2.3.101",
        instance_number=1,
        manufacturer="nobody",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=syntax,
        omit_empty_frames=False,
    )
    made.save_as(path)
    return path


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.keyword)
def test_binary_segmentation_has_its_masks(tmp_path, shape, syntax):
    masks = np.random.default_rng(1).integers(0, 2, shape, np.uint8)
    path = make_segmentation(tmp_path / "seg.dcm", shape, "BINARY", syntax, masks)
    # Not by highdicom's frames: pydicom, which reads them, is wrong where they begin in a byte.
    assert_same_masks(path, masks)


FRACTIONAL_SYNTAXES = [*SYNTAXES, RLELossless, JPEGLSLossless, JPEG2000Lossless]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("syntax", FRACTIONAL_SYNTAXES, ids=lambda s: s.keyword)
def test_fractional_segmentation_has_its_masks(tmp_path, shape, syntax):
    if syntax in (JPEG2000Lossless, JPEGLSLossless) and min(shape[1:]) < 32:
        pytest.skip("highdicom does not encode small ones")
    masks = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    path = make_segmentation(tmp_path / "seg.dcm", shape, "FRACTIONAL", syntax, masks / 255)
    pixel_format, stored = pixels_in(path)
    assert np.array_equal(stored, high_dicom.store(path, pixel_format))
    assert_same_masks(path, masks)


def assert_same_masks(path, masks):
    _, stored = pixels_in(path)
    description, _ = open_image(path)
    ordered = stored[list(frame_order(description, len(stored)).order), ..., 0]
    # highdicom numbers slices along the normal, which is against their order here.
    assert np.array_equal(ordered, masks[::-1])


@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
def test_segmentation_lies_where_highdicom_has_it(tmp_path, shape):
    masks = np.ones(shape, np.uint8)
    path = make_segmentation(tmp_path / "seg.dcm", shape, "BINARY", SYNTAXES[0], masks)
    assert_same_volume(path)
