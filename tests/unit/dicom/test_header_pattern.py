"""A header that is recognised by its bytes is described as it is by itself."""

from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
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
from dicom_preprocessing.dicom.detection import PREAMBLE
from dicom_preprocessing.dicom.header_pattern import MAX_OF_SERIES, MAX_PATTERNS, HeaderPatterns
from dicom_preprocessing.dicom.reading import open_image, read_header
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
        "AcquisitionTime": f"10000{number % 10}.5",
        "SliceLocation": number,
        "WindowCenter": 1000,
        "WindowWidth": 2000,
        "VOILUTSequence": [lut([0, 65535])],
        "RequestAttributesSequence": [item(ScheduledProcedureStepID="12")],
    }
    image = data_set_of(pixels, bits_stored=12, **slices | others)
    block = image.private_block(0x0029, "SOMEBODY", create=True)
    block.add_new(1, "OB", bytes(2 * number))
    image["RequestAttributesSequence"].is_undefined_length = True
    if syntax == RLELossless:
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    return image


def outcome(content, folder):
    """The description of a file and where its pixels are, and its header; or its errors."""
    path = folder / "file.dcm"
    path.write_bytes(content)
    return outcome_of(_describe, path), outcome_of(read_header, path)


def outcome_of(read, path):
    try:
        return read(path)
    except FileError as error:
        return error.error, str(error)


def _describe(path):
    description, pixel_data = open_image(path)
    located = pixel_data and (pixel_data.keyword, pixel_data.vr, pixel_data.value, pixel_data.items)
    return description, located, pixel_data and pixel_data.end


def outcome_alone(content, folder):
    """The outcome without other files before."""
    with without_patterns():
        return outcome(content, folder)


@contextmanager
def without_patterns():
    """Headers are not known until two of a series were read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PATTERNS", HeaderPatterns())
        patch.setattr(reading, "_patterns_of_headers", cache(lambda _keywords: HeaderPatterns()))
        yield


def image_is_known(content):
    return reading.PATTERNS.find(content) is not None


def header_is_known(content):
    return reading._patterns_of_headers(frozenset()).find(content) is not None


@pytest.fixture(autouse=True)
def _without_patterns():
    with without_patterns():
        yield


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_slices_are_recognised_by_what_they_have_in_common(syntax, tmp_path):
    contents = series(tmp_path, syntax, range(1, 13))
    found = [outcome(content, tmp_path) for content in contents]
    assert all(image_is_known(content) and header_is_known(content) for content in contents)
    assert found == [outcome_alone(content, tmp_path) for content in contents]
    for n, ((description, *_), header) in enumerate(found, 1):
        assert description.header.instance_number == header.instance_number == n
        assert description.header.sop_instance_uid == header.sop_instance_uid == UID.format(10**n)
        assert description.top.image_position_patient.vector(3) == (0, -100.25, 2.5 * n)
        assert header.values("ImagePositionPatient") == ("0.0", "-100.25", str(2.5 * n))


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_rare_encodings_are_read_element_by_element(syntax, tmp_path):
    contents = series(tmp_path, syntax, (1, 2, 3))
    found = [outcome(content, tmp_path) for content in contents]
    assert not any(image_is_known(content) or header_is_known(content) for content in contents)
    assert [header.instance_number for _, header in found] == [1, 2, 3]


def learn(folder, syntax=ExplicitVRLittleEndian):
    """Read two slices, so that others of their series are recognised."""
    for content in series(folder, syntax, (1, 2)):
        outcome(content, folder)


CHANGES = {
    "WindowCenter": 1001,
    "RescaleSlope": 2,
    "Rows": 2,
    "PatientOrientation": "",
    "VOILUTSequence": [lut([0, 65534])],
    "RequestAttributesSequence": [item(ScheduledProcedureStepID="13")],
    "ImagePositionPatient": "",
    "InstitutionName": "x" * 5000,
}


@pytest.mark.parametrize("keyword", CHANGES)
def test_another_value_that_counts_is_another_header(keyword, tmp_path):
    learn(tmp_path)
    (other,) = series(tmp_path, ExplicitVRLittleEndian, (3,), **{keyword: CHANGES[keyword]})
    is_own = keyword == "ImagePositionPatient"  # found, though it is then read the long way
    assert image_is_known(other) == is_own
    assert outcome(other, tmp_path) == outcome_alone(other, tmp_path)


def test_values_that_decide_nothing_may_differ(tmp_path):
    learn(tmp_path)
    others = {"AcquisitionTime": "235959.123456", "SliceLocation": -123.5}
    (other,) = series(tmp_path, ExplicitVRLittleEndian, (3,), **others)
    assert image_is_known(other) and header_is_known(other)  # noqa: PT018
    assert outcome(other, tmp_path) == outcome_alone(other, tmp_path)


def test_element_of_a_slice_that_is_there_twice_is_warned_of(tmp_path):
    (content,) = series(tmp_path, ExplicitVRLittleEndian, (1,))
    start = content.index(b"\x20\x00\x13\x00IS")
    number, end = content[start : start + 10], start + 10
    same = content[:end] + number + content[end:]
    other = content[:end] + number[:-2] + b"9 " + content[end:]
    outcomes = [outcome(c, tmp_path) for c in (same, same, other)]
    assert [w.code for w in outcomes[-1][0][0].warnings] == ["element_twice"]
    assert outcomes[-1][1].instance_number == 9


def test_few_patterns_are_kept(tmp_path):
    for center in range(1, 2 * MAX_PATTERNS):
        contents = series(tmp_path, ExplicitVRLittleEndian, (1, 2), WindowCenter=center)
        for content in contents:
            outcome(content, tmp_path)
        assert all(map(image_is_known, contents))
    assert len(reading.PATTERNS._known) == MAX_PATTERNS


def test_few_patterns_are_made_of_a_series_without_like_headers(tmp_path):
    for number in range(1, 9):
        requests = [item(ScheduledProcedureStepID="1" * number)]
        (content,) = series(
            tmp_path, ExplicitVRLittleEndian, (number,), RequestAttributesSequence=requests
        )
        outcome(content, tmp_path)
    assert len(reading.PATTERNS._known) == MAX_OF_SERIES


def test_change_of_any_byte_is_read_as_alone(tmp_path):
    learn(tmp_path)
    (content,) = series(tmp_path, ExplicitVRLittleEndian, (3,))
    for offset in range(PREAMBLE - 2, len(content)):
        changed = bytearray(content)
        changed[offset] ^= 1 << offset % 8
        assert outcome(changed, tmp_path) == outcome_alone(changed, tmp_path), offset


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ImagePositionPatient": ""}, {}),
        ({"InstanceNumber": ""}, {}),
        ({"ImagePositionPatient": None, "InstanceNumber": None}, {}),
        ({}, {"InstanceNumber": ""}),
    ],
)
def test_values_of_a_slice_come_and_go(before, after, tmp_path):
    for content in series(tmp_path, ExplicitVRLittleEndian, (1, 2), **before):
        outcome(content, tmp_path)
    for content in series(tmp_path, ExplicitVRLittleEndian, (3, 4), **after):
        assert outcome(content, tmp_path) == outcome_alone(content, tmp_path)


def test_file_meta_information_in_big_endian_makes_no_pattern(tmp_path):
    contents = series(tmp_path, ExplicitVRLittleEndian, (1, 2))
    start = contents[0].index(b"UI", PREAMBLE + 12) - 4
    for content in contents:
        outcome(swap_meta(content, start), tmp_path)
    assert not reading.PATTERNS._known


def swap_meta(content, start):
    """File meta information in big endian, without its length."""
    end = content.index(b"\x08\x00", start)
    meta, elements = content[start:end], b""
    while meta:
        is_long = meta[4:6] == b"OB"
        size = 12 if is_long else 8
        length = int.from_bytes(meta[8:12] if is_long else meta[6:8], "little")
        head = meta[1::-1] + meta[3:1:-1] + meta[4:6]
        head += b"\0\0" + length.to_bytes(4, "big") if is_long else length.to_bytes(2, "big")
        elements += head + meta[size : size + length]
        meta = meta[size + length :]
    return content[: PREAMBLE + 4] + elements + content[end:]


def test_element_of_file_meta_information_that_is_there_twice(tmp_path):
    contents = series(tmp_path, ExplicitVRLittleEndian, (1, 2, 3))
    start = contents[0].index(b"\x02\x00\x12\x00UI")
    end = start + 8 + contents[0][start + 6]
    twice = [content[:end] + content[start:end] + content[end:] for content in contents]
    twice[2] = twice[2][: end + 9] + b"9" + twice[2][end + 10 :]
    assert [outcome(c, tmp_path) for c in twice] == [outcome_alone(c, tmp_path) for c in twice]


def test_data_set_of_few_elements_before_a_sequence_makes_no_pattern(tmp_path):
    """There another encoding might fit the values better."""
    image = slice_of(1, ExplicitVRLittleEndian)
    image.LanguageCodeSequence = [item(CodeValue="en")]
    image["LanguageCodeSequence"].is_undefined_length = True
    content = save(tmp_path / "slice.dcm", image).read_bytes()
    for _ in range(3):
        outcome(content, tmp_path)
    assert not reading.PATTERNS._known


def test_file_that_changes_while_it_is_read_makes_no_pattern(tmp_path, monkeypatch):
    one, other = (
        series(tmp_path, ExplicitVRLittleEndian, (1,), PhotometricInterpretation=name)[0]
        for name in ("MONOCHROME1", "MONOCHROME2")
    )
    changing = bytearray(one)
    scan = reading._scan_header

    def change(opened, *args):
        changing[:] = other
        return scan(opened, *args)

    monkeypatch.setattr(reading, "_scan_header", change)
    for _ in range(2):
        changing[:] = one
        open_image(memoryview(changing))
    monkeypatch.undo()
    assert outcome(one, tmp_path) == outcome_alone(one, tmp_path)
    assert outcome(other, tmp_path) == outcome_alone(other, tmp_path)


EDITS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 12), st.binary(max_size=12)),
    min_size=1,
    max_size=3,
)
"""Where how many bytes are taken out, and which are put there."""


@pytest.mark.parametrize("syntax", SYNTAXES)
@settings(max_examples=40)
@given(edits=EDITS)
@example(edits=[(0.0, 0, b"")])
@example(edits=[(0.9, 300, b"")])
def test_damaged_header_is_read_as_alone(syntax, edits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slices")
    with without_patterns():
        learn(folder, syntax)
        (content,) = series(folder, syntax, (3,))
        for place, removed, put in edits:
            at = int(place * len(content))
            content = content[:at] + put + content[at + removed :]
        assert outcome(content, folder) == outcome_alone(content, folder)
