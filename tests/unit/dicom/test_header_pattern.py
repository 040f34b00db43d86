"""A header that is recognised by its bytes is described as it is by itself."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from dicom_preprocessing.dicom import reading
from dicom_preprocessing.dicom.header_pattern import MAX_PATTERNS, HeaderPatterns
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.errors import FileError
from tests.unit.datasets import data_set_of, item, lut, save

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless)
UID = "1.2.826.0.1.3680043.8.498.{}"


def series(folder, syntax, numbers, **others):
    """Bytes of slices with elements of every kind, in which slices differ or do not."""
    path = folder / "slice.dcm"
    return [save(path, slice_of(n, syntax, **others), syntax).read_bytes() for n in numbers]


def slice_of(number, syntax, **others):
    pixels = np.arange(12, dtype=np.uint16).reshape(1, 3, 4) + number
    slices = {
        "NumberOfFrames": None,
        "SOPInstanceUID": UID.format(10**number),
        "InstanceNumber": number,
        "ImagePositionPatient": [0, -100.25, number * 2.5],
        "AcquisitionTime": f"{number}.5",
        "SliceLocation": number,
        "WindowCenter": 1000,
        "WindowWidth": 2000,
        "VOILUTSequence": [lut([0, 65535])],
        "ReferencedImageSequence": [item(ReferencedSOPInstanceUID="1.2.3")],
    }
    image = data_set_of(pixels, bits_stored=12, **slices | others)
    block = image.private_block(0x0029, "SOMEBODY", create=True)
    block.add_new(1, "OB", bytes(2 * number))
    image["ReferencedImageSequence"].is_undefined_length = True
    if syntax == RLELossless:
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    return image


def outcome(content):
    """The description of a file and where its pixels are, or its error."""
    try:
        description, pixel_data = open_image(memoryview(content))
    except FileError as error:
        return error.error, str(error)
    located = pixel_data and (pixel_data.keyword, pixel_data.vr, pixel_data.value, pixel_data.items)
    return description, located, pixel_data and pixel_data.end


def outcome_alone(content):
    """The outcome without other files before."""
    patterns, reading.PATTERNS = reading.PATTERNS, HeaderPatterns()
    try:
        return outcome(content)
    finally:
        reading.PATTERNS = patterns


def is_known(content):
    """Whether the header is recognised."""
    return reading.PATTERNS.find(content) is not None


@pytest.fixture(autouse=True)
def _without_patterns(monkeypatch):
    monkeypatch.setattr(reading, "PATTERNS", HeaderPatterns())


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_slices_are_recognised_by_what_they_have_in_common(syntax, tmp_path):
    contents = series(tmp_path, syntax, range(1, 13))
    found = [outcome(content) for content in contents]
    assert [is_known(content) for content in contents] == [True] * 12
    assert found == [outcome_alone(content) for content in contents]
    headers = [description.header for description, *_ in found]
    assert [h.instance_number for h in headers] == list(range(1, 13))
    assert [h.sop_instance_uid for h in headers] == [UID.format(10**n) for n in range(1, 13)]
    positions = [d.top.image_position_patient.vector(3) for d, *_ in found]
    assert positions == [(0, -100.25, 2.5 * n) for n in range(1, 13)]


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_rare_encodings_are_read_element_by_element(syntax, tmp_path):
    contents = series(tmp_path, syntax, (1, 2, 3))
    found = [outcome(content) for content in contents]
    assert not any(map(is_known, contents))
    assert [d.header.instance_number for d, *_ in found] == [1, 2, 3]


@pytest.mark.parametrize(
    "change", [{"WindowCenter": 1001}, {"RescaleSlope": 2}, {"Rows": 2}, {"PatientOrientation": ""}]
)
def test_another_value_that_counts_is_another_header(change, tmp_path):
    for content in series(tmp_path, ExplicitVRLittleEndian, (1, 2)):
        outcome(content)
    (other,) = series(tmp_path, ExplicitVRLittleEndian, (3,), **change)
    assert not is_known(other)
    assert outcome(other) == outcome_alone(other)


def test_a_value_that_decides_nothing_may_differ(tmp_path):
    for content in series(tmp_path, ExplicitVRLittleEndian, (1, 2)):
        outcome(content)
    changes = {"AcquisitionTime": "235959.123456", "SliceLocation": -123.5}
    image = slice_of(3, ExplicitVRLittleEndian)
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    content = save(tmp_path / "other.dcm", image).read_bytes()
    assert is_known(content)
    assert outcome(content) == outcome_alone(content)


def test_position_without_values_and_long_header_are_read_as_alone(tmp_path):
    contents = series(tmp_path, ExplicitVRLittleEndian, (1, 2))
    contents += series(tmp_path, ExplicitVRLittleEndian, (3,), InstitutionName="x" * 5000)
    image = slice_of(4, ExplicitVRLittleEndian)
    image.ImagePositionPatient = ""
    contents.append(save(tmp_path / "empty.dcm", image).read_bytes())
    assert [outcome(c) for c in contents] == [outcome_alone(c) for c in contents]


def test_element_of_a_slice_that_is_there_twice_is_warned_of(tmp_path):
    content = series(tmp_path, ExplicitVRLittleEndian, (1,))[0]
    start = content.index(b"\x20\x00\x13\x00IS")
    number = content[start : start + 10]
    contents = [content[:start] + number + twice + content[start + 10 :] for twice in (number,) * 2]
    contents.append(content[:start] + number + number[:-2] + b"9 " + content[start + 10 :])
    for c in contents:
        found = outcome(c)
    assert [w.code for w in found[0].warnings] == ["element_twice"]


def test_few_patterns_are_kept(tmp_path):
    for rows in range(1, 2 * MAX_PATTERNS):
        for content in series(tmp_path, ExplicitVRLittleEndian, (1, 2), InstitutionName="x" * rows):
            outcome(content)
    for center in range(1, 2 * MAX_PATTERNS):
        for content in series(
            tmp_path, ExplicitVRLittleEndian, (1, 2), PixelAspectRatio=[1, center]
        ):
            outcome(content)
    assert len(reading.PATTERNS._known) == MAX_PATTERNS


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_change_of_any_byte_is_described_as_alone(syntax, tmp_path):
    *known, content = series(tmp_path, syntax, (1, 2, 3))
    for slice_before in known:
        outcome(slice_before)
    for offset in range(len(content)):
        changed = bytearray(content)
        changed[offset] ^= 1 << offset % 8
        assert outcome(bytes(changed)) == outcome_alone(bytes(changed)), offset


@st.composite
def edits(draw):
    """Where bytes are put in place of others: values, lengths, tags, and whole elements shift."""
    return draw(
        st.lists(
            st.tuples(
                st.floats(0, 1, exclude_max=True), st.integers(0, 12), st.binary(max_size=12)
            ),
            min_size=1,
            max_size=3,
        )
    )


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(changes=edits())
@example(changes=[(0.0, 0, b"")])
@example(changes=[(0.99, 300, b"")])
def test_damaged_header_is_described_as_alone(syntax, changes, tmp_path_factory):
    contents = CONTENTS.setdefault(
        syntax, series(tmp_path_factory.mktemp("slices"), syntax, (1, 2, 3))
    )
    reading.PATTERNS = HeaderPatterns()
    for content in contents[:2]:
        outcome(content)
    changed = contents[2]
    for place, removed, put in changes:
        at = int(place * len(changed))
        changed = changed[:at] + put + changed[at + removed :]
    assert outcome(changed) == outcome_alone(changed)


CONTENTS: dict[str, list[bytes]] = {}
