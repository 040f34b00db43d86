"""What is told of several different files of one SOP instance."""

from dataclasses import replace

import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from dicom_preprocessing.index.conflicts import describe_other, describe_others
from dicom_preprocessing.index.table import InventoryEntry

NATIVE = InventoryEntry(
    path="/a/b\n.dcm",
    size=1,
    mtime_ns=1,
    attempt=1,
    study_instance_uid="1.2",
    series_instance_uid="1.2.3",
    sop_instance_uid="1.2.3.4",
    sop_class_uid="1.2",
    modality="MG",
    transfer_syntax_uid=ExplicitVRLittleEndian,
    rows=3,
    columns=4,
    number_of_frames=1,
    samples_per_pixel=1,
    bits_allocated=16,
    bits_stored=12,
    instance_number=1,
)
COMPRESSED = replace(NATIVE, path="/a/c.dcm", transfer_syntax_uid=JPEG2000Lossless)
PERHAPS = (
    r"/a/b\n.dcm (by its header perhaps the same image in another transfer syntax: "
    "Explicit VR Little Endian there, JPEG 2000 Image Compression (Lossless Only) here)"
)


@pytest.mark.parametrize("alike", [{}, {"number_of_frames": 0}, {"samples_per_pixel": 0}])
def test_image_of_the_same_shape_in_another_transfer_syntax_may_be_the_same(alike):
    assert describe_other(replace(COMPRESSED, **alike), NATIVE) == PERHAPS


@pytest.mark.parametrize(
    "unlike",
    [
        {"transfer_syntax_uid": ExplicitVRLittleEndian},
        {"transfer_syntax_uid": ""},
        {"rows": 2},
        {"columns": 2},
        {"number_of_frames": 2},
        {"samples_per_pixel": 3},
        {"bits_stored": 16},
    ],
)
def test_nothing_is_guessed_of_others(unlike):
    assert describe_other(replace(COMPRESSED, **unlike), NATIVE) == r"/a/b\n.dcm"


def test_each_of_several_files_is_compared():
    smaller = replace(NATIVE, path="/a/d.dcm", rows=2)
    assert describe_others(COMPRESSED, [NATIVE, smaller]) == f"{PERHAPS}, /a/d.dcm"
