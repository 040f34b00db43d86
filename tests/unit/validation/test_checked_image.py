"""What a report says of the image: frames, colours, spacing and windows."""

import pytest
from pydicom.dataset import Dataset

from dicom_preprocessing import validate_dicom
from tests.unit.datasets import functional_groups, item
from tests.unit.validation.reports import TWO_PIXELS

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_facts_of_a_colour_image(report):
    made = report(TWO_PIXELS)
    assert made["image"]["planar_configuration"] == 0
    assert made["pixel_format"]["output_color_type"] == "RGB8"
    assert made["decode_smoke_test"]["expected_frame_bytes"] == 6


def test_facts_for_preprocessing(report):
    made = report(
        RescaleSlope=2,
        RescaleIntercept=-1024,
        WindowCenter=[40, 600],
        WindowWidth=[400, 1500],
        VOILUTFunction="SIGMOID",
        PixelSpacing=[0.5, 0.25],
        SpacingBetweenSlices=2,
    )
    assert made["preprocessing"] == {
        "rescale_slope": [2.0],
        "rescale_intercept": [-1024.0],
        "window_center": [40.0, 600.0],
        "window_width": [400.0, 1500.0],
        "voi_lut_function": ["SIGMOID"],
        "voi_lut_sequence_present": False,
        "voi_lut_sequence_items": 0,
        "resolution": {
            "available": True,
            "pixels_per_mm_x": 4.0,
            "pixels_per_mm_y": 2.0,
            "frames_per_mm": 0.5,
        },
        "output_naming": {
            "directory_output_ready": True,
            "study_instance_uid": "1.2.3",
            "series_instance_uid": "1.2.3.1",
            "sop_instance_uid": "1.2.3.1.1",
        },
    }


def test_windows_of_frames_are_each_told_once(write_dicom, tmp_path):
    frames = [
        item(FrameVOILUTSequence=[item(WindowCenter=center, WindowWidth=9)]) for center in (1, 2, 1)
    ]
    groups = functional_groups(Dataset(), frames=frames)
    path = write_dicom(
        tmp_path / "a.dcm",
        NumberOfFrames=3,
        PixelData=bytes(36),
        PerFrameFunctionalGroupsSequence=groups.PerFrameFunctionalGroupsSequence,
    )
    made = validate_dicom(path)
    assert made["status"] == "pass"
    assert made["preprocessing"]["window_center"] == [1.0, 2.0]
    assert made["preprocessing"]["window_width"] == [9.0]


def test_number_of_frames_by_default(report):
    image = report(NumberOfFrames=None)["image"]
    assert (image["number_of_frames"], image["number_of_frames_source"]) == (1, "default")


def test_invalid_number_of_frames_is_left_out(report):
    image = report(NumberOfFrames=-1)["image"]
    assert image["number_of_frames_source"] == "invalid"
    assert "number_of_frames" not in image


# What can be processed is no error


@pytest.mark.parametrize(
    "attributes",
    [
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
        {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelData": bytes(24)},
        {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31, "PixelData": bytes(48)},
        {"PixelRepresentation": 1},
        {"PhotometricInterpretation": "MONOCHROME1"},
    ],
)
def test_grey_formats(report, attributes):
    assert report(**attributes)["status"] == "pass"


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colour_formats(report, photometric):
    made = report(TWO_PIXELS, PhotometricInterpretation=photometric)
    assert made["status"] == "pass"
    assert made["decode_smoke_test"]["image_color_type"] == "RGB8"
