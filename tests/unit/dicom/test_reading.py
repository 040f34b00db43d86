"""Opening files: what is DICOM, what is damaged, what the header says."""

import gzip
import io
import struct
import zlib

import pydicom
import pytest
from pydicom.data import get_testdata_file

from dicom_preprocessing.dicom.header import Header
from dicom_preprocessing.dicom.reading import open_image, read_header
from dicom_preprocessing.errors import DamagedError, FileError, NotDicomError, UnreadableError
from tests.unit.dicom.raw_elements import explicit, saved

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"


# Headers


@pytest.mark.parametrize(
    ("character_set", "text"),
    [
        ("ISO_IR 192", "Müller"),
        ("GB18030", "头部 A"),
        ("ISO_IR 100", "Schädel"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ"),
    ],
)
def test_header_has_text_by_the_character_set_of_the_file(write_dicom, path, character_set, text):
    write_dicom(path, SpecificCharacterSet=character_set, StudyDescription=text)
    header = read_header(path, frozenset({"StudyDescription"}))
    assert header.values("StudyDescription") == (text,)


def test_instance_number_0_is_a_value(write_dicom, path):
    write_dicom(path, InstanceNumber=0)
    assert read_header(path).values("InstanceNumber") == ("0",)
    write_dicom(path, InstanceNumber=None)
    assert read_header(path).values("InstanceNumber") == ()


def test_header_holds_what_the_index_keeps(write_dicom, path):
    write_dicom(path, Modality="MG", InstanceNumber=7)
    assert read_header(path) == Header(
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        sop_instance_uid="1.2.3.1.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
        modality="MG",
        transfer_syntax_uid=EXPLICIT,
        rows=3,
        columns=4,
        number_of_frames=1,
        samples_per_pixel=1,
        bits_allocated=8,
        bits_stored=8,
        instance_number=7,
        has_pixel_data=True,
        attributes={"InstanceNumber": "7", "PhotometricInterpretation": "MONOCHROME2"},
    )


def test_absent_attributes_are_empty_and_zero(write_dicom, path):
    write_dicom(
        path, StudyInstanceUID=None, Modality=None, NumberOfFrames=None, InstanceNumber=None
    )
    header = read_header(path)
    absent = (header.study_instance_uid, header.modality)
    assert (absent, header.number_of_frames, header.instance_number) == (("", ""), 0, 0)


def test_uid_with_a_path_is_kept_as_it_is(write_dicom, path):
    write_dicom(path, StudyInstanceUID="../../etc")
    assert read_header(path).study_instance_uid == "../../etc"


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED])
def test_header_is_read_in_each_encoding(write_dicom, path, syntax):
    header = read_header(write_dicom(path, syntax=syntax))
    assert (header.transfer_syntax_uid, header.rows, header.columns) == (syntax, 3, 4)


def test_header_is_read_without_the_pixels(write_dicom, path):
    content = write_dicom(path).read_bytes()
    saved(path, content[:-4])
    assert read_header(path).has_pixel_data


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_float_pixel_data_is_pixel_data(write_dicom, path, keyword):
    write_dicom(path, None, **{keyword: bytes(12 * 8)})
    assert read_header(path).has_pixel_data


def test_report_has_no_pixel_data(write_dicom, path):
    write_dicom(
        path,
        None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
        Modality="SR",
        Rows=None,
        Columns=None,
    )
    assert not read_header(path).has_pixel_data


def test_image_class_may_lack_pixel_data(write_dicom, path):
    assert not read_header(write_dicom(path, None)).has_pixel_data


def test_deflated_report_has_no_pixel_data(compact_corpus):
    assert not read_header(compact_corpus / "dicomParser" / "report_dfl").has_pixel_data


def test_number_that_is_no_number_counts_as_absent(write_dicom, path):
    content = write_dicom(path, InstanceNumber=1234).read_bytes()
    assert content.count(b"1234") == 1
    saved(path, content.replace(b"1234", b"12x4"))
    assert read_header(path).instance_number == 0


# Without preamble


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_data_set_without_preamble_and_meta_is_read(write_dicom, path, syntax):
    header = read_header(write_dicom(path, syntax=syntax, bare=True))
    assert (header.transfer_syntax_uid, header.rows, header.columns) == (syntax, 3, 4)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_transfer_syntax_that_is_not_stated_is_the_one_that_could_be_read(
    write_dicom, path, syntax
):
    description, _ = open_image(write_dicom(path, syntax=syntax, bare=True))
    assert description.transfer_syntax_uid == syntax


def test_data_set_with_meta_and_without_preamble_is_read(write_dicom, path):
    content = write_dicom(path).read_bytes()
    header = read_header(saved(path, content[132:]))
    assert (header.transfer_syntax_uid, header.rows) == (EXPLICIT, 3)


SYNTAXES = pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])


@SYNTAXES
@pytest.mark.parametrize("start", [b"DICM", bytes(128)], ids=["prefix alone", "preamble alone"])
def test_preamble_or_prefix_alone_is_passed_over(write_dicom, path, start, syntax):
    content = start + write_dicom(path, syntax=syntax, bare=True).read_bytes()
    assert read_header(saved(path, content)).rows == 3


def test_deflated_data_set_without_preamble_is_read(write_dicom, path):
    content = write_dicom(path, syntax=DEFLATED).read_bytes()
    assert read_header(saved(path, content[132:])).rows == 3


@SYNTAXES
def test_gzip_without_a_time_is_inflated_whatever_the_syntax(write_dicom, path, syntax):
    content = write_dicom(path, syntax=syntax).read_bytes()
    offset = content.index(b"\x08\0\x16\0" if syntax != BIG_ENDIAN else b"\0\x08\0\x16")
    deflated = gzip.compress(content[offset:], mtime=0)
    description, _ = open_image(saved(path, content[:offset] + deflated))
    assert description.header.rows == 3
    assert "encoding_contradicts_syntax" in [w.code for w in description.warnings]


def test_another_prefix_is_not_dicom(write_dicom, path):
    content = write_dicom(path).read_bytes()
    saved(path, content.replace(b"DICM", b"DICX", 1))
    with pytest.raises(NotDicomError, match="starts with neither the DICM prefix nor a data set"):
        read_header(path)


def test_rows_and_columns_are_enough_without_preamble(write_dicom, path):
    write_dicom(path, bare=True, SOPClassUID=None)
    assert read_header(path).rows == 3


def test_sop_class_is_enough_without_preamble(write_dicom, path):
    write_dicom(path, bare=True, Rows=None)
    assert read_header(path).columns == 4


def test_neither_sop_class_nor_rows_without_preamble_is_not_dicom(write_dicom, path):
    write_dicom(path, bare=True, SOPClassUID=None, Rows=None)
    with pytest.raises(NotDicomError, match="no DICM prefix, no SOP Class UID, no Rows"):
        read_header(path)


# Not DICOM


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        bytes(131),
        b"Just a text.\n" * 100,
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(2000),
        b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(2000),
        b"II*\0\x08\0\0\0" + bytes(2000),
        b"PK\x03\x04" + bytes(200),
        b'{"00080016": {"vr": "UI"}}',
    ],
    ids=["empty", "one byte", "short", "text", "png", "jpeg", "tiff", "zip", "json"],
)
def test_other_content_is_not_dicom(path, content):
    with pytest.raises(NotDicomError, match="neither the DICM prefix nor a data set"):
        read_header(saved(path, content))


@pytest.mark.parametrize(
    "name",
    ["empty_file.dcm", "text.dcm", "png_named_dcm.dcm", "jpeg_named_dcm.dcm", "random_bytes.dcm"],
)
def test_suffix_makes_nothing_dicom(compact_corpus, name):
    with pytest.raises(NotDicomError):
        read_header(compact_corpus / "crafted" / name)


def test_file_that_is_not_there_is_unreadable(path):
    with pytest.raises(UnreadableError, match="No such file or directory") as caught:
        read_header(path)
    assert caught.value.transient


def test_file_that_may_not_be_opened_is_unreadable(write_dicom, path, monkeypatch):
    write_dicom(path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(UnreadableError, match="Permission denied"):
        read_header(path)


def test_error_while_reading_is_unreadable(write_dicom, path, monkeypatch):
    write_dicom(path)

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.pread", fail)
    with pytest.raises(UnreadableError, match="Input/output error"):
        read_header(path)


# Directories


@pytest.mark.parametrize(
    "name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-empty.dcm"]
)
def test_media_directory_is_distinguished(name):
    with pytest.raises(FileError, match="a DICOMDIR lists files and is not an image") as caught:
        read_header(get_testdata_file(f"dicomdirtests/{name}") or get_testdata_file(name))
    assert caught.value.error == "dicomdir"


# Damaged


def element_starts(content):
    """Where each element of an explicit little endian data set with a prefix starts."""
    data_set = pydicom.dcmread(io.BytesIO(content))
    values = {tag: data_set.get_item(tag).value_tell for tag in list(data_set.keys())}
    return [value - (12 if tag == 0x7FE00010 else 8) for tag, value in values.items()]


def outcome(path, content):
    try:
        return "image" if read_header(saved(path, content)).has_pixel_data else "no pixel data"
    except FileError as error:
        return error.error


@pytest.mark.parametrize(
    "name",
    ["cut_in_file_meta.dcm", "cut_in_header.dcm", "preamble_only.dcm", "random_after_dicm.dcm"],
)
def test_damaged_file_of_the_corpus_is_damaged(compact_corpus, name):
    with pytest.raises(DamagedError):
        read_header(compact_corpus / "crafted" / name)


def test_preamble_and_prefix_alone_are_damaged(path):
    with pytest.raises(DamagedError, match="the data set is empty"):
        read_header(saved(path, bytes(128) + b"DICM"))


def test_file_meta_information_alone_is_damaged(write_dicom, path):
    content = write_dicom(path).read_bytes()
    assert outcome(path, content[: element_starts(content)[0]]) == "damaged"


def test_cut_in_the_file_meta_information_is_damaged(write_dicom, path):
    content = write_dicom(path).read_bytes()
    first = element_starts(content)[0]
    assert {outcome(path, content[:n]) for n in range(133, first)} == {"damaged"}


def test_cut_in_any_element_is_damaged(write_dicom, path):
    content = write_dicom(path).read_bytes()
    starts = element_starts(content)[2:]
    cuts = [n for n in range(starts[0], starts[-1]) if n not in starts]
    assert {n: outcome(path, content[:n]) for n in cuts} == dict.fromkeys(cuts, "damaged")


def test_cut_in_the_sop_class_or_right_behind_it_is_damaged(write_dicom, path):
    content = write_dicom(path).read_bytes()
    sop_class, behind, third, *_ = element_starts(content)
    cuts = [n for n in range(sop_class + 1, third) if n != behind]
    assert {n: outcome(path, content[:n]) for n in cuts} == dict.fromkeys(cuts, "damaged")


def test_cut_between_two_elements_cannot_be_distinguished_from_a_whole_data_set(write_dicom, path):
    content = write_dicom(path).read_bytes()
    _, *starts = element_starts(content)
    assert {outcome(path, content[:n]) for n in starts} == {"no pixel data"}


def test_cut_message_says_how_many_bytes_of_what_are_missing(write_dicom, path):
    content = write_dicom(path, None).read_bytes()
    with pytest.raises(
        DamagedError,
        match=r"^the file is cut or damaged: 1 bytes of \(0028,0103\) are missing$",
    ):
        read_header(saved(path, content[:-1]))


def test_cut_in_the_pixels_leaves_the_header(write_dicom, path):
    content = write_dicom(path).read_bytes()
    start = element_starts(content)[-1] + 12
    assert {outcome(path, content[:n]) for n in range(start, len(content))} == {"image"}


SEQUENCE = bytes.fromhex("4000 43a0 5351 0000")
"""Concept Name Code Sequence (0040,A043), explicit."""


def with_sequence(content, *, defined):
    """A data set without pixel data that ends in a sequence and a text element."""
    item = explicit(0x0008, 0x0100, b"SH", b"CODE") + explicit(0x0008, 0x0104, b"LO", b"MEANING")
    if defined:
        items = struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item
        sequence = SEQUENCE + struct.pack("<L", len(items)) + items
    else:
        items = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + item
        items += struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
        sequence = SEQUENCE + b"\xff" * 4 + items + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return len(content), content + sequence, explicit(0x0040, 0xA491, b"CS", b"COMPLETE")


@pytest.mark.parametrize("defined", [True, False], ids=["defined length", "undefined length"])
def test_cut_in_a_sequence_is_damaged(write_dicom, path, defined):
    content = write_dicom(path, None).read_bytes()
    start, content, _ = with_sequence(content, defined=defined)
    cuts = range(start + 1, len(content))
    assert {n: outcome(path, content[:n]) for n in cuts} == dict.fromkeys(cuts, "damaged")


@pytest.mark.parametrize("defined", [True, False], ids=["defined length", "undefined length"])
def test_cut_in_the_element_behind_a_sequence_is_damaged(write_dicom, path, defined):
    content = write_dicom(path, None).read_bytes()
    _, content, last = with_sequence(content, defined=defined)
    cuts = range(1, len(last))
    outcomes = {n: outcome(path, content + last[:n]) for n in cuts}
    assert outcomes == dict.fromkeys(cuts, "damaged")


@pytest.mark.parametrize("defined", [True, False], ids=["defined length", "undefined length"])
def test_data_set_that_ends_in_a_sequence_is_whole(write_dicom, path, defined):
    content = write_dicom(path, None).read_bytes()
    _, content, _ = with_sequence(content, defined=defined)
    assert outcome(path, content) == "no pixel data"


def test_cut_in_a_deflated_data_set_is_damaged(write_dicom, path):
    content = write_dicom(path, None, syntax=DEFLATED).read_bytes()
    assert outcome(path, content[:-20]) == "damaged"


def test_deflated_data_set_that_was_cut_before_it_was_deflated_is_damaged(write_dicom, path):
    plain = write_dicom(path, None).read_bytes()
    start = element_starts(plain)[0]
    meta = write_dicom(path, None, syntax=DEFLATED).read_bytes()
    head = meta[: 128 + 4 + 12 + struct.unpack_from("<L", meta, 140)[0]]
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = deflater.compress(plain[start:-1]) + deflater.flush()
    assert outcome(path, head + stream) == "damaged"


@pytest.mark.parametrize("padding", [b"\0", bytes(3), bytes(500), b" " * 4, b" " * 600])
def test_padding_behind_the_last_element_is_no_damage(write_dicom, path, padding):
    content = write_dicom(path, None).read_bytes()
    assert outcome(path, content + padding) == "no pixel data"


def test_other_bytes_behind_the_last_element_are_damage(write_dicom, path):
    content = write_dicom(path, None).read_bytes()
    assert outcome(path, content + b"\x93\x11\x20") == "damaged"


def test_random_bytes_behind_the_prefix_are_damaged(path):
    assert outcome(path, bytes(128) + b"DICM" + b"\x93\x11" * 1000) == "damaged"


def test_whole_files_without_pixel_data_are_not_damaged(write_dicom, path):
    syntaxes = (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)
    outcomes = {outcome(write_dicom(path, None, syntax=s), path.read_bytes()) for s in syntaxes}
    assert outcomes == {"no pixel data"}


def test_data_set_without_preamble_that_is_cut_is_not_dicom(write_dicom, path):
    content = write_dicom(path, None, bare=True).read_bytes()
    assert outcome(path, content[:-1]) == "not_dicom"


# All of a file


def value_of(pixel_data):
    return pixel_data.source.read(*pixel_data.value)


def test_data_set_is_read_with_its_pixels(write_dicom, path):
    _, pixel_data = open_image(write_dicom(path, [[1, 2], [3, 4]]))
    assert value_of(pixel_data) == b"\x01\x02\x03\x04"


def test_cut_in_an_element_behind_the_pixels_is_damaged(write_dicom, path):
    content = write_dicom(path, DataSetTrailingPadding=bytes(8)).read_bytes()
    assert open_image(path)[1].end + 20 == len(content)
    with pytest.raises(DamagedError, match=r"3 bytes of \(FFFC,FFFC\) are missing$"):
        open_image(saved(path, content[:-3]))


def test_cut_in_the_pixels_is_left_to_decoding(write_dicom, path):
    content = write_dicom(path, [[1, 2], [3, 4]]).read_bytes()
    _, pixel_data = open_image(saved(path, content[:-1]))
    assert value_of(pixel_data) == b"\x01\x02\x03"


# In memory


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED])
def test_memory_is_read_like_a_file(write_dicom, path, syntax):
    content = write_dicom(path, [[1, 2], [3, 4]], syntax=syntax).read_bytes()
    (there, pixels), (found, others) = open_image(path), open_image(memoryview(content))
    assert found == there
    assert found.transfer_syntax_uid == syntax
    assert value_of(others) == value_of(pixels)


def test_pixels_in_memory_are_not_copied(write_dicom, path):
    content = bytearray(write_dicom(path, [[1, 2], [3, 4]]).read_bytes())
    _, pixel_data = open_image(memoryview(content))
    content[-4:] = b"\x05\x06\x07\x08"
    assert value_of(pixel_data) == b"\x05\x06\x07\x08"


@pytest.mark.parametrize(
    ("cut", "error"),
    [(slice(0), NotDicomError), (slice(200), DamagedError), (slice(1, None), NotDicomError)],
)
def test_broken_memory_is_what_the_broken_file_is(write_dicom, path, cut, error):
    content = write_dicom(path).read_bytes()[cut]
    with pytest.raises(error):
        open_image(saved(path, content))
    with pytest.raises(error):
        open_image(memoryview(content))


def test_memory_with_something_behind_the_pixels_that_is_cut_is_damaged(write_dicom, path):
    content = write_dicom(path, DataSetTrailingPadding=bytes(8)).read_bytes()
    with pytest.raises(DamagedError, match=r"3 bytes of \(FFFC,FFFC\) are missing$"):
        open_image(memoryview(content)[:-3])
