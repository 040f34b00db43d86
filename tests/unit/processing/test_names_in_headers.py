"""Names and addresses where they do not belong: no message, receipt, log or image has them."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicom_preprocessing.dicom.keywords import HEADER_TAGS, TOP_TAGS
from dicom_preprocessing.errors import InternalError, print_traceback
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processing.instance import group_by_instance, process_instance
from tests.unit.study_runs import target_of
from tests.workflow.tiny import instance, save

SECRET = "Qzxy^Jane"
PATIENT = [
    tag_for_keyword(keyword)
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientAddress")
]
LONG = ("OB", "OW", "SQ", "UN", "UT")
LUTS = [tag_for_keyword(name) for name in ("ModalityLUTSequence", "VOILUTSequence")]
LUT_ELEMENTS = [tag_for_keyword(name) for name in ("LUTDescriptor", "LUTData", "LUTExplanation")]


def element(tag, vr, content):
    content += b" " * (len(content) % 2)
    length = struct.pack("<HL", 0, len(content)) if vr in LONG else struct.pack("<H", len(content))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + length + content


def item(content):
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


def elements_of(content):
    """Elements of an explicit data set without sequences, by tag."""
    at, found = 132, {}
    while at < len(content):
        group, number, vr, length = struct.unpack_from("<HH2sH", content, at)
        head = 8
        if vr.decode() in LONG:
            (length,), head = struct.unpack_from("<L", content, at + 8), 12
        found[group << 16 | number] = content[at : at + head + length]
        at += head + length
    return found


@st.composite
def named(draw):
    """Elements with a name in one of them, in any value representation, once or twice."""
    content = draw(st.sampled_from(["", "1\\", "MONOCHROME2\\", "HU\\"])) + SECRET
    content = content.encode() * draw(st.integers(1, 9))
    vr = draw(st.sampled_from(["LO", "PN", "UN", "DS", "IS", "US", "CS", "OB", "??"]))
    if draw(st.integers(0, 4)) == 0:
        values = {
            0x00283002: element(0x00283002, "US", struct.pack("<3H", 4, 0, 8)),
            0x00283006: element(0x00283006, "OW", bytes(8)),
        }
        inner = draw(st.sampled_from(LUT_ELEMENTS))
        values[inner] = element(inner, vr, content)
        tag = draw(st.sampled_from(LUTS))
        return {tag: element(tag, "SQ", item(b"".join(values[t] for t in sorted(values))))}
    tag = draw(st.sampled_from([*PATIENT, *TOP_TAGS, *HEADER_TAGS]))
    vr = draw(st.sampled_from([vr, dictionary_VR(tag)[:2]]))
    return {tag: element(tag, vr, content) * draw(st.integers(1, 2))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("named")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(named(), st.integers(0, 3))
def test_names_are_nowhere_but_in_the_source(folder, elements, cut):
    path = save(instance("1.2.1", 1), folder / "a.dcm")
    content = path.read_bytes()
    parts = elements_of(content) | elements
    content = content[:132] + b"".join(parts[tag] for tag in sorted(parts))
    if cut == 1:
        content = content[: content.index(b"Qzxy") + 6]
    path.write_bytes(content)
    spec = target_of(folder, crop=True, size=[8, 8])
    index = build_index(find_files([str(path)]))
    said = [*map(repr, index.excluded_files), *index.warnings]
    for entries in index.studies.values():
        said += map(repr, entries)
        for group in group_by_instance(entries):
            said += map(repr, process_instance(group, spec))
    written = [p.read_bytes() for p in folder.rglob("*.tiff")]
    assert "Qzx" not in "\n".join(said)
    assert not [image for image in written if b"Qzx" in image]


def test_tracebacks_and_errors_do_not_quote_headers(capsys):
    with pytest.raises(ValueError, match="Qzxy") as raised:
        int(SECRET)
    print_traceback(raised.value)
    said = capsys.readouterr().err
    assert "ValueError: invalid literal" in said
    assert "Qzxy" not in said
    assert "Qzxy" not in str(InternalError.from_exception(raised.value))
