"""Bytes without the DICM prefix that are taken for a data set, and others."""

import pytest

from dicom_preprocessing.dicom.detection import looks_like_data_set
from dicom_preprocessing.dicom.reading import read_header
from dicom_preprocessing.errors import NotDicomError
from tests.unit.dicom.raw_elements import explicit, implicit, saved

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


CHARACTER_SET = (0x0008, 0x0005, b"CS", b"ISO_IR 100")
FIRST_EIGHT = [
    CHARACTER_SET,
    (0x0008, 0x0008, b"CS", b"ORIGINAL"),
    (0x0008, 0x0016, b"UI", b"1.2.840.10008.5.1.4.1.1.7"),
    (0x0008, 0x0018, b"UI", b"1.2.3.1.1"),
    (0x0008, 0x0020, b"DA", b"20200101"),
    (0x0008, 0x0030, b"TM", b"1200"),
    (0x0008, 0x0050, b"SH", b"7"),
    (0x0008, 0x0060, b"CS", b"OT"),
]
PRIVATE = (0x0009, 0x0010, b"LO", b"VENDOR")
ROWS_AND_COLUMNS = [(0x0028, 0x0010, b"US", b"\3\0"), (0x0028, 0x0011, b"US", b"\4\0")]


def bare(elements, *, is_explicit):
    if is_explicit:
        return b"".join(explicit(*element) for element in elements)
    return b"".join(implicit(group, number, value) for group, number, _, value in elements)


ENCODINGS = pytest.mark.parametrize("is_explicit", [True, False], ids=["explicit", "implicit"])


@ENCODINGS
@pytest.mark.parametrize(
    "first",
    [FIRST_EIGHT, FIRST_EIGHT[2:], [*FIRST_EIGHT, PRIVATE]],
    ids=["eight", "fewer in group 8", "private ninth"],
)
def test_eight_ascending_elements_are_taken_for_a_data_set(path, first, is_explicit):
    content = bare(first + ROWS_AND_COLUMNS, is_explicit=is_explicit)
    assert read_header(saved(path, content)).rows == 3


@ENCODINGS
@pytest.mark.parametrize(
    "first",
    [
        FIRST_EIGHT[::-1],
        [CHARACTER_SET, *FIRST_EIGHT],
        [*FIRST_EIGHT[:4], PRIVATE, *FIRST_EIGHT[4:]],
        [*FIRST_EIGHT[:4], (0x7A00, 0x0010, b"LO", b"TEXT"), *FIRST_EIGHT[4:]],
    ],
    ids=["descending", "one twice", "private", "unknown group"],
)
def test_other_eight_elements_are_not_taken_for_a_data_set(path, first, is_explicit):
    content = bare(first + ROWS_AND_COLUMNS, is_explicit=is_explicit)
    with pytest.raises(NotDicomError):
        read_header(saved(path, content))


@pytest.mark.parametrize(
    "head",
    [b"", bytes(2048), b"Study 1\nStudy 2\n" * 20],
    ids=["empty", "zeros", "text"],
)
def test_other_bytes_do_not_look_like_a_data_set(head):
    assert not looks_like_data_set(head)
