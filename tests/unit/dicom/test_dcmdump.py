"""Elements that a description reads of the top level, against DCMTK's dcmdump.

Texts, numbers and bytes, and how many items sequences have, of every file of corpus, cases and
pydicom that both read.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import tag_for_keyword

from dicom_preprocessing.dicom.attribute import Attribute
from dicom_preprocessing.dicom.keywords import (
    MODALITY_LUTS,
    PER_FRAME,
    REGIONS,
    VIEW_CODE_SEQUENCE,
    VOI_LUTS,
)
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.errors import FileError
from tests.conftest import FULL_DATA, data_folder
from tests.unit.oracles import dcmdump

# Real files break the standard in many ways, of which the readers warn.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not dcmdump.is_installed, reason="DCMTK's dcmdump is not installed"),
]

FOLDERS = (
    Path(pydicom.__file__).parent / "data" / "test_files",
    data_folder("corpus"),
    FULL_DATA / "cases",
)
NOT_DICOM = (".csv", ".md", ".npy", ".kw", ".txt", ".json")
OF_FRAMES = ("frames", "shared", "common")
"""Fields of a description that are not of the top level."""

REJECTED = {
    "SC_rgb_jpeg.dcm": "takes the stated encoding for the real one, which is implicit VR",
    "deflated-zlib.dcm": "reads raw streams of RFC 1951, which alone are standard (PS3.5 A.5)",
    "explicit_under_implicit-grey16.dcm": "takes the stated encoding for the real one",
}
"""Files that dcmdump does not read, and why; of all others each element is the same."""


def attributes_in(part):
    """Every attribute of the top level of a description that is there, by keyword."""
    if isinstance(part, Attribute):
        return {part.keyword: part} if part.is_present else {}
    if isinstance(part, tuple):
        return {k: v for one in part for k, v in attributes_in(one).items()}
    if not dataclasses.is_dataclass(part):
        return {}
    fields = [f.name for f in dataclasses.fields(part) if f.name not in (*OF_FRAMES, *ITEMS)]
    return {k: v for name in fields for k, v in attributes_in(getattr(part, name)).items()}


ITEMS = ("voi_luts", "modality_lut", "ultrasound_regions", "view_codes")
"""Fields with what is read of the items of sequences."""


def counts_in(description):
    """Items of sequences of the top level by tag."""
    counts = {
        VOI_LUTS: len(description.top.voi_luts),
        MODALITY_LUTS: int(description.modality_lut is not None),
        REGIONS: len(description.ultrasound_regions),
        VIEW_CODE_SEQUENCE: len(description.view_codes),
        PER_FRAME: len(description.frames),
    }
    return {tag: count for tag, count in counts.items() if count}


def are_equal(attribute, element, order):
    """Whether the values of an attribute are those that dcmdump prints."""
    if not isinstance(element.value, tuple):
        texts = [text.strip(" \0") for text in str(element.value).split("\\")]
        return [text.strip(" \0") for text in attribute.texts()] == texts or (
            attribute.is_empty and element.value == ""
        )
    content = attribute.content()
    if content:
        size = {"OB": 1, "UN": 1, "OV": 8}.get(element.vr, 2)
        content += b"\0" * (-len(content) % size)
        numbers = np.frombuffer(content, f"{order}u{size}")
    else:
        numbers = np.array(attribute.numbers(), float)
    printed = np.array(element.value, float)
    # dcmdump prints single precision in eight digits.
    return numbers.shape == printed.shape and np.allclose(numbers, printed, rtol=1e-6, atol=0)


@pytest.fixture(scope="module")
def descriptions():
    """The description of every file that can be opened, by path."""
    found = {}
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in NOT_DICOM:
                try:
                    found[path] = open_image(path).description
                except FileError:
                    continue
    return found


@pytest.fixture(scope="module")
def dumps(descriptions):
    return dcmdump.dump(list(descriptions))


def differences(path, description, elements):
    """Yield the name of the file and the keyword of each element that differs."""
    order = "<" if description.is_little_endian else ">"
    for keyword, attribute in attributes_in(description).items():
        element = elements.get(tag_for_keyword(keyword))
        if element is None or not are_equal(attribute, element, order):
            yield path.name, keyword
    for tag, count in counts_in(description).items():
        element = elements.get(tag)
        if element is None or element.value != count:
            yield path.name, pydicom.datadict.keyword_for_tag(tag)


def test_elements_are_those_of_dcmdump(descriptions, dumps):
    different = {
        key: str(path)
        for path, elements in dumps.items()
        for key in differences(path, descriptions[path], elements)
    }
    assert different == {}


def test_all_but_a_few_files_are_compared(descriptions, dumps):
    names = {path.name for path in descriptions}
    # An exception that is no longer needed is an error, too.
    assert {path.name for path in set(descriptions) - set(dumps)} == names & set(REJECTED)
    assert len(dumps) > 50
    assert sum(len(attributes_in(descriptions[path])) for path in dumps) > 10 * len(dumps)


def test_elements_that_dcmdump_finds_are_not_left_out(descriptions, dumps):
    keywords = {k for d in descriptions.values() for k in attributes_in(d)}
    missing = {
        (path.name, keyword)
        for path, elements in dumps.items()
        for keyword in keywords - set(attributes_in(descriptions[path]))
        if tag_for_keyword(keyword) in elements
    }
    assert missing == set()
