"""Slices made of headers."""

import pytest

from dicom_preprocessing.dicom.header import Header
from dicom_preprocessing.index.stacking import make_slice

ATTRIBUTES = {
    "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
    "ImagePositionPatient": "-10.5\\20\\3e1",
    "InstanceNumber": "7",
    "SpacingBetweenSlices": "2.5",
    "FrameOfReferenceUID": "1.2.9",
    "AcquisitionNumber": "3",
    "TemporalPositionIdentifier": "2",
    "EchoTime": "10.5",
    "DiffusionBValue": "1000.0",
    "TriggerTime": "40",
    "ImageType": "ORIGINAL\\PRIMARY\\M",
}


def slice_of(**attributes):
    header = Header(
        sop_instance_uid="1.2.3",
        rows=4,
        columns=5,
        samples_per_pixel=1,
        attributes=ATTRIBUTES | attributes,
    )
    return make_slice(header, "a.dcm")


def test_slice_has_the_facts_of_the_header():
    s = slice_of()
    assert (s.name, s.sop_instance_uid, s.rows, s.columns) == ("a.dcm", "1.2.3", 4, 5)
    assert s.orientation == (1, 0, 0, 0, 1, 0)
    assert s.position == (-10.5, 20, 30)
    assert (s.instance_number, s.spacing_between_slices) == (7, 2.5)
    assert s.frame_of_reference_uid == "1.2.9"


def test_slice_has_the_values_that_tell_volumes_apart():
    s = slice_of()
    assert (s.acquisition_number, s.temporal_position_identifier) == ("3", "2")
    assert (s.echo_time, s.diffusion_b_value, s.trigger_time) == ("10.5", "1000.0", "40")
    assert s.image_type == "ORIGINAL\\PRIMARY\\M"


def test_header_without_attributes_makes_a_slice_without_facts():
    s = make_slice(Header(), "a.dcm")
    assert (s.orientation, s.position, s.instance_number, s.image_type) == (None, None, None, "")


@pytest.mark.parametrize(
    "text", ["1\\2", "1\\2\\3\\4", "1\\2\\nan", "1\\inf\\3", "a\\b\\c", "1\\\\3"]
)
def test_position_that_is_not_three_numbers_is_none(text):
    assert slice_of(ImagePositionPatient=text).position is None


@pytest.mark.parametrize("text", ["1\\0\\0", "1\\0\\0\\0\\1\\x", "1\\0\\0\\0\\1\\0\\0"])
def test_orientation_that_is_not_six_numbers_is_none(text):
    assert slice_of(ImageOrientationPatient=text).orientation is None


@pytest.mark.parametrize("text", ["", "x", "nan", "1e999", "1\\2"])
def test_instance_number_that_is_not_one_number_is_none(text):
    assert slice_of(InstanceNumber=text).instance_number is None
