"""A file after others is what it is alone, however much of its header they have in common."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom.datadict import keyword_for_tag

from dicom_preprocessing.decode import padding, space, stage, values
from dicom_preprocessing.decode.padding import pixel_padding
from dicom_preprocessing.decode.stage import decode_opened
from dicom_preprocessing.dicom import common_header, reading
from dicom_preprocessing.dicom.attribute import ABSENT
from dicom_preprocessing.dicom.header_pattern import HeaderPatterns
from dicom_preprocessing.dicom.keywords import SLICE_TAGS, TOP_TAGS
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.errors import FileError
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.imaging.space import PatientSpace
from tests.contradictory.sound import sound_files
from tests.make_contradictory import choose, plans
from tests.unit.datasets import data_set_of, item, lut, save

# Files that contradict themselves break the standard, of which pydicom warns.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

CACHES = (
    common_header._describe_common,
    stage._read_common_facts,
    padding._read_common_padding,
    space._find_common_plane,
    values._find_common_lookup,
)
CHANGES = {
    "SOPInstanceUID": "1.2.3.4",
    "InstanceNumber": 7,
    "ImagePositionPatient": [1.5, 2, 3],
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
    "Modality": "MG",
    "ImageType": ["ORIGINAL", "PRIMARY", "MOSAIC"],
    "Rows": 2,
    "Columns": 2,
    "BitsStored": 10,
    "HighBit": 12,
    "NumberOfFrames": 2,
    "PixelRepresentation": 1,
    "PhotometricInterpretation": "MONOCHROME1",
    "SamplesPerPixel": 3,
    "RescaleSlope": 2,
    "RescaleIntercept": -3,
    "RescaleType": "HU",
    "WindowCenter": 20,
    "WindowWidth": 0,
    "VOILUTFunction": "SIGMOID",
    "PixelSpacing": [0.5, 0.25],
    "ImagerPixelSpacing": [0.5, 0.5],
    "SpacingBetweenSlices": 3,
    "PixelAspectRatio": [2, 1],
    "PixelPaddingValue": 9,
    "ImageLaterality": "R",
    "PatientOrientation": ["A", "F"],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "GridFrameOffsetVector": [0, 3],
    "DoseGridScaling": 0.5,
    "VOILUTSequence": [lut([0, 65535])],
    "ModalityLUTSequence": [lut([5, 6, 7])],
    "SharedFunctionalGroupsSequence": [item(PixelMeasuresSequence=[item(PixelSpacing=[1, 1])])],
}


@pytest.fixture
def file_with(tmp_path):
    """Make the bytes of a file with changed attributes; None leaves one out."""
    path = tmp_path / "made.dcm"

    def make(**changes):
        return save(path, slice_with(**changes)).read_bytes()

    return make


def slice_with(**changes):
    pixels = np.arange(12, dtype=np.uint16).reshape(1, 3, 4) * 300
    slices = {"InstanceNumber": 1, "ImagePositionPatient": [0, 0, 0], "Modality": "CT"}
    window = {"WindowCenter": 1000, "WindowWidth": 2000}
    others = {"NumberOfFrames": None} | slices | window
    return data_set_of(pixels, bits_stored=12, **others | changes)


def outcome(content):
    """All that is known of a file and its images; the message of an error."""
    try:
        description, pixel_data = open_image(memoryview(content))
        images = []
        for settings in ({}, {"orient": "left", "window": (900, 100)}, {"intensity": "stored"}):
            image = decode_opened(description, pixel_data, **settings).to_display_values()
            frames = np.asarray(image.frames)
            images.append((frames.tobytes(), frames.dtype, image.geometry, image.source_info))
            images[-1] += (list(image.source_info.warnings),)
    except FileError as error:
        return error.error, str(error)
    return description, images


def read_format(description, pixel_data):
    return stage.prepare_input(
        description, pixel_data, stage.DecodeSettings(), ImageWarnings()
    ).pixel_format


def comparable(found):
    """The outcome without objects that are compared by identity."""
    if isinstance(found[1], str):
        return found
    description, images = found
    return description, [(*image[:3], str(image[3]), image[4]) for image in images]


def clear():
    for cache in CACHES:
        cache.cache_clear()


def check(contents, monkeypatch):
    """Compare the outcomes of files one after the other with what each is by itself."""
    clear()
    # Twice the first one, so that others are compared with the pattern of its bytes.
    warm = [comparable(outcome(content)) for content in contents[:1] + contents][1:]
    hits = sum(cache.cache_info().hits for cache in CACHES)
    monkeypatch.setattr(reading, "describe_slice", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(reading, "PATTERNS", HeaderPatterns())
    cold = [comparable(outcome(content)) for content in contents]
    monkeypatch.undo()
    assert warm == cold
    return hits


@pytest.mark.parametrize("keyword", CHANGES)
def test_change_of_an_attribute_is_seen(keyword, file_with, monkeypatch):
    variants = [CHANGES[keyword]]
    if not keyword.startswith("SOP"):  # a file needs them
        variants += [[] if keyword.endswith("Sequence") else "", None]
    plain = file_with()
    contents = [plain, *(file_with(**{keyword: value}) for value in variants), plain]
    assert check(contents, monkeypatch) > 0
    check(contents[::-1], monkeypatch)


def test_every_attribute_of_a_slice_is_changed_here():
    assert set(SLICE_TAGS.values()) < set(CHANGES)
    assert set(CHANGES) - set(map(keyword_for_tag, TOP_TAGS)) == {
        "VOILUTSequence",
        "ModalityLUTSequence",
        "SharedFunctionalGroupsSequence",
    }


def test_files_after_sound_ones_are_what_they_are_alone(monkeypatch):
    products = [plan.make() for plan in choose(plans(), 1)]
    contents = [product.content for product in products if product is not None]
    contents += [sound.content for sound in sound_files().values()]
    assert check(contents, monkeypatch) > 100


def test_slices_share_what_they_have_in_common(file_with):
    clear()
    first, second = (
        open_image(memoryview(file_with(InstanceNumber=number))).description for number in (1, 2)
    )
    assert first.common is second.common is not None
    assert [d.header.instance_number for d in (first, second)] == [1, 2]


def test_copy_with_other_attributes_has_nothing_in_common(file_with):
    description = open_image(memoryview(file_with())).description
    assert description.common is not None
    assert replace(description, top=replace(description.top, rescale_slope=ABSENT)).common is None


def test_slices_of_two_series_in_turn_keep_their_own_padding(file_with):
    clear()
    paddings = [0, 9, 0, 9, None, 9]
    for number, value in enumerate(paddings):
        content = file_with(InstanceNumber=number, PixelPaddingValue=value)
        opened = open_image(memoryview(content))
        found = pixel_padding(opened.description, read_format(*opened))
        assert found == (None if value is None else (value, value))


def test_slices_of_two_series_in_turn_keep_their_own_places(file_with):
    clear()
    orientations = [[1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0]]
    for z in range(9):
        content = file_with(
            SOPInstanceUID=f"1.2.{z}",
            ImagePositionPatient=None if z == 4 else [0, 1, z],
            ImageOrientationPatient=orientations[z % 3],
            PixelSpacing=[0.5, 0.25],
        )
        image = decode_opened(*open_image(memoryview(content)))
        assert image.source_info.sop_instance_uid == f"1.2.{z}"
        found = image.geometry.space
        if z == 4 or z % 3 == 2:  # the third orientation is none
            assert found is None
        else:
            place = PatientSpace(tuple(orientations[z % 3]), (0.25, 0.5), ((0, 1, z),))
            assert found == place


def test_pixels_of_a_slice_are_not_those_of_another(file_with, monkeypatch):
    plain = file_with()
    assert check([plain, plain[:-4], plain[:-24] + bytes(24), plain + bytes(24)], monkeypatch) > 0
