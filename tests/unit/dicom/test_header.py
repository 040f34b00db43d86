"""The quick way to a header: taken for plain files, and never other than what pydicom tells."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_preprocessing.config.selection import digest_value
from dicom_preprocessing.dicom import reading as dicom_file
from dicom_preprocessing.dicom.header import read_plain_header
from dicom_preprocessing.dicom.reading import read_header
from dicom_preprocessing.dicom.sources import CHUNK
from dicom_preprocessing.errors import FileError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
UNDEFINED = 0xFFFFFFFF


def nested(*, undefined):
    """A sequence with a sequence in it, with lengths or with delimiters."""
    leaf, item = Dataset(), Dataset()
    leaf.ReferencedSOPInstanceUID = "1.2.3"
    item.SpecificCharacterSet = "ISO_IR 192"
    item.ReferencedImageSequence = Sequence([leaf, Dataset()])
    for data_set in (leaf, item, item.ReferencedImageSequence[1]):
        data_set.is_undefined_length_sequence_item = undefined
    item["ReferencedImageSequence"].is_undefined_length = undefined
    return Sequence([item])


KEYWORDS = frozenset(
    ("SeriesDescription", "PatientID", "ViewCodeSequence", "ViewModifierCodeSequence", "KVP")
)
"""Of attributes that are read besides: text, of a person, codes in sequences, a number."""


def views(*, undefined):
    """A view with modifiers, as sequences of codes."""
    modifiers = [Dataset(), Dataset()]
    modifiers[0].CodeValue, modifiers[0].CodeMeaning = "R-102D6", "Magnification"
    modifiers[1].CodeMeaning = "Spot Compression"
    view = Dataset()
    view.CodeValue, view.CodeMeaning = "R-10226", "medio-lateral oblique"
    view.ViewModifierCodeSequence = Sequence(modifiers)
    for data_set in (view, *modifiers):
        data_set.is_undefined_length_sequence_item = undefined
    view["ViewModifierCodeSequence"].is_undefined_length = undefined
    return Sequence([view])


def by_pydicom(path):
    """The header, or the error, without the quick way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dicom_file, "read_plain_header", lambda *_: None)
        try:
            return read_header(path, KEYWORDS)
        except FileError as error:
            return error.error


@pytest.fixture(scope="module")
def plain_files(tmp_path_factory, write_dicom):
    folder = tmp_path_factory.mktemp("plain")
    contents = []
    for syntax in (IMPLICIT, EXPLICIT):
        for undefined in (False, True):
            path = folder / "file"
            write_dicom(
                path,
                syntax=syntax,
                SpecificCharacterSet=["", "ISO 2022 IR 87"],
                ReferencedStudySequence=nested(undefined=undefined),
                Modality="MG",
                InstanceNumber=12,
                ImageType=["ORIGINAL", "PRIMARY", "", "LEFT"],
                SeriesDescription="L MLO",
                PatientID="a person",
                ImagePositionPatient=[1.5, -2, "1e2"],
                ViewCodeSequence=views(undefined=undefined),
            )
            contents.append(path.read_bytes())
    return contents


@pytest.mark.parametrize("number", range(4))
def test_plain_file_is_read_as_pydicom_does(plain_files, number, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(plain_files[number])
    header = read_plain_header(plain_files[number], KEYWORDS)
    assert header is not None
    assert header == by_pydicom(path)
    assert header.values("ImageType") == ("ORIGINAL", "PRIMARY", "", "LEFT")
    assert header.values("ImagePositionPatient") == ("1.5", "-2.0", "1e2")
    assert header.values("ViewCodeSequence") == ("R-10226", "medio-lateral oblique")
    assert "Spot Compression" in header.values("ViewModifierCodeSequence")
    assert header.values("PatientID") == (digest_value("a person"),)
    assert header.values("KVP") == ()


def test_header_without_its_pixel_data_is_not_plain(plain_files):
    content = plain_files[0]
    end = content.index(b"\xe0\x7f\x10\0")
    assert not any(read_plain_header(content[:cut]) for cut in range(end + 8))


@pytest.mark.parametrize("vr", [b"\0B", b"XX", b"UN"])
def test_header_before_pixel_data_of_another_vr_is_not_plain(plain_files, vr):
    content = plain_files[2]
    assert content.count(b"\xe0\x7f\x10\0OB") == 1
    assert read_plain_header(content.replace(b"\xe0\x7f\x10\0OB", b"\xe0\x7f\x10\0" + vr)) is None


def test_corpus_is_read_as_pydicom_does(corpus):
    plain = 0
    for path in sorted(path for path in corpus.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            header = read_plain_header(file.read(CHUNK), KEYWORDS)
        if header is not None:
            plain += 1
            assert header == by_pydicom(path), path
    assert plain > 0


BYTES = st.one_of(st.sampled_from((0, 0x20, 0x5C, 0xFE, 0xFF)), st.integers(0, 255))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 3), data=st.data())
def test_odd_file_is_read_as_pydicom_does_or_left_to_it(plain_files, tmp_path, number, data):
    content = bytearray(plain_files[number])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(132, len(content) - 13))
        if data.draw(st.booleans()):
            content[at] = data.draw(BYTES)
        else:
            content[at : at + data.draw(st.integers(0, 12))] = data.draw(st.binary(max_size=12))
    header = read_plain_header(bytes(content), KEYWORDS)
    if header is not None:
        path = tmp_path / "file"
        path.write_bytes(content)
        assert header == by_pydicom(path)
