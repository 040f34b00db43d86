"""Open a DICOM file: decide by content whether it is one, read its header or all of it.

pydicom reads broken files silently as far as it can. Here a file that says DICM and does not hold a
whole data set is damaged, so that a cut copy is never taken for a report without an image.
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import pydicom
from pydicom.filereader import read_partial
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from dicom_preprocessing.errors import (
    DamagedError,
    FileError,
    NotDicomError,
    UnreadableError,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset
    from pydicom.tag import BaseTag

    PathLike = str | bytes | os.PathLike[str]

PREAMBLE: Final = 128
PIXEL_TAGS: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
"""Float Pixel Data, Double Float Pixel Data, Pixel Data."""

# Groups in which the data set of an image or document may start (PS3.6).
KNOWN_GROUPS: Final = frozenset(
    (*range(0x0002, 0x0062, 2), 0x0062, 0x0064, 0x0066, 0x0068, 0x0070, 0x0072, 0x0088, 0x0100)
)
META_GROUP: Final = 0x0002
SNIFFED_ELEMENTS: Final = 8
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
LONG_VRS: Final = frozenset(
    vr.encode()
    for vr in ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]
)
SHORT_VRS: Final = frozenset(
    vr.encode()
    for vr in [
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
        "UI",
        "UL",
        "US",
    ]
)
# What pydicom raises on values and structures that break the standard.
PARSE_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    pydicom.errors.InvalidDicomError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the index keeps of a header: nothing that names a patient.

    UIDs are stripped of blanks and NUL and otherwise as found; numbers are 0 where absent.
    """

    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    sop_class_uid: str = ""
    modality: str = ""
    transfer_syntax_uid: str = ""
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 0
    samples_per_pixel: int = 0
    bits_allocated: int = 0
    bits_stored: int = 0
    instance_number: int = 0
    has_pixel_data: bool = True


def read_header(path: PathLike) -> Header:
    """Read the header of a DICOM file without its pixels.

    Raises
    ------
    NotDicomError, UnreadableError, DamagedError
    FileError
        With error ``dicomdir`` for a media directory.
    """
    size = _file_size(path)
    with _open(path) as file:
        has_prefix = _require_dicom(file)
        at_pixels = False

        def stop_at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
            nonlocal at_pixels
            at_pixels = tag in PIXEL_TAGS
            return at_pixels

        data_set = _parse(file, stop_at_pixels, has_prefix=has_prefix)
    if _sop_class(data_set) == MediaStorageDirectoryStorage:
        raise FileError("a DICOMDIR lists files and is no image", error="dicomdir")
    if not at_pixels:
        _require_whole(data_set, size, has_prefix=has_prefix)
    if not has_prefix:
        _require_image_attributes(data_set)
    return _header(data_set, has_pixel_data=at_pixels)


def read_data_set(path: PathLike) -> FileDataset:
    """Read everything, pixel data included.

    Raises
    ------
    NotDicomError, UnreadableError, DamagedError
    """
    with _open(path) as file:
        has_prefix = _require_dicom(file)
        return _parse(file, None, has_prefix=has_prefix)


def transfer_syntax_of(data_set: Dataset) -> UID:
    """The transfer syntax that the file states, else the one in which it could be read."""
    stated = data_set.file_meta.get("TransferSyntaxUID") if hasattr(data_set, "file_meta") else None
    if stated:
        return UID(str(stated))
    implicit, little_endian = data_set.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian


def clean_uid(value: Any) -> str:  # noqa: ANN401  # whatever stands in the element
    """A UID as text, stripped of blanks and NUL."""
    return str(value or "").strip(" \t\r\n\0")


def uid_of(data_set: Dataset, keyword: str) -> str:
    """A UID attribute as found, but for blanks and NUL; several values stay joined."""
    value = value_of(data_set, keyword)
    if isinstance(value, pydicom.multival.MultiValue):
        value = "\\".join(map(str, value))
    return clean_uid(value)


def text_of(data_set: Dataset, keyword: str) -> str:
    """A text attribute, empty where it is absent or cannot be read; the first of several values."""
    value = value_of(data_set, keyword)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if len(value) else ""
    return clean_uid(value)


def integer_of(data_set: Dataset, keyword: str, default: int = 0) -> int:
    """An integer attribute, ``default`` where it is absent or cannot be read."""
    value = value_of(data_set, keyword)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if len(value) else None
    try:
        return default if value is None or value == "" else int(value)
    except PARSE_ERRORS:
        return default


def value_of(data_set: Dataset, keyword: str) -> Any:  # noqa: ANN401  # any DICOM value
    """An attribute's value, None where it is absent or its bytes cannot be converted."""
    try:
        return data_set.get(keyword)
    except PARSE_ERRORS:
        return None


def _file_size(path: PathLike) -> int:
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise UnreadableError.from_os_error(error) from error


def _open(path: PathLike) -> BinaryIO:
    try:
        return open(path, "rb")  # the callers close it
    except OSError as error:
        raise UnreadableError.from_os_error(error) from error


def _require_dicom(file: BinaryIO) -> bool:
    """Whether the DICM prefix is there; raises where the content is not DICOM either way."""
    try:
        head = file.read(4096)
        file.seek(0)
    except OSError as error:
        raise UnreadableError.from_os_error(error) from error
    if head[PREAMBLE : PREAMBLE + 4] == b"DICM":
        return True
    if looks_like_data_set(head):
        return False
    raise NotDicomError("neither the DICM prefix nor a data set at the start")


def looks_like_data_set(head: bytes) -> bool:
    """Whether bytes without preamble start like a data set, implicit or explicit little endian.

    The first eight elements (or those up to a sequence or the end of ``head``) must have ascending
    tags in known groups.
    """
    return any(_ascending_elements(head, explicit=explicit) for explicit in (False, True))


def _ascending_elements(head: bytes, *, explicit: bool) -> bool:
    offset, last_tag, count = 0, 0, 0
    while count < SNIFFED_ELEMENTS and offset + 8 <= len(head):
        group, element = struct.unpack_from("<HH", head, offset)
        tag = group << 16 | element
        if group not in KNOWN_GROUPS or tag <= last_tag:
            return False
        # File meta information is explicit in every transfer syntax (PS3.10 7.1).
        length = _element_length(head, offset, explicit=explicit or group == META_GROUP)
        if length is None:
            return False
        count, last_tag = count + 1, tag
        if length < 0:
            break
        offset += length
    return count >= min(SNIFFED_ELEMENTS, 3) or (count > 0 and offset >= len(head))


def _element_length(head: bytes, offset: int, *, explicit: bool) -> int | None:
    """Length of an element with its header, -1 if undefined, None if it is none."""
    if not explicit:
        (length,) = struct.unpack_from("<L", head, offset + 4)
        return -1 if length == UNDEFINED_LENGTH else 8 + length
    vr = head[offset + 4 : offset + 6]
    if vr in SHORT_VRS:
        (length,) = struct.unpack_from("<H", head, offset + 6)
        return 8 + int(length)
    if vr in LONG_VRS and offset + 12 <= len(head):
        (length,) = struct.unpack_from("<L", head, offset + 8)
        return -1 if length == UNDEFINED_LENGTH else 12 + length
    return None


def _parse(file: BinaryIO, stop_when: Any, *, has_prefix: bool) -> FileDataset:  # noqa: ANN401
    try:
        data_set = read_partial(file, stop_when=stop_when, force=True)
    except MemoryError:
        raise
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # a length that leads nowhere
            raise _broken(f"does not parse as DICOM: {error}", has_prefix=has_prefix) from error
        raise UnreadableError.from_os_error(error) from error
    except Exception as error:  # pydicom and zlib raise nearly anything on bad bytes
        message = f"does not parse as DICOM: {type(error).__name__}: {error}"
        raise _broken(message, has_prefix=has_prefix) from error
    if not len(data_set):
        raise _broken("the data set is empty", has_prefix=has_prefix)
    return data_set


def _broken(message: str, *, has_prefix: bool) -> FileError:
    """Damaged if the file says that it is DICOM, else it is none."""
    return (DamagedError if has_prefix else NotDicomError)(message)


def _require_whole(data_set: FileDataset, size: int, *, has_prefix: bool) -> None:
    """Refuse a data set without pixel data that ends inside an element."""
    *_, last = data_set.values()
    length, value_at = getattr(last, "length", None), getattr(last, "value_tell", None)
    if length is None or value_at is None or length == UNDEFINED_LENGTH:
        return
    found = len(last.value or b"") if isinstance(last.value, bytes | None) else length
    deflated = transfer_syntax_of(data_set) == DeflatedExplicitVRLittleEndian
    left = 0 if deflated else size - (value_at + length)
    if found < length or left != 0:
        what = (
            f"{length - found} bytes of {last.tag} are missing"
            if found < length
            else (f"{left} bytes behind {last.tag} are no element")
        )
        raise _broken(f"the file is cut or damaged: {what}", has_prefix=has_prefix)


def _require_image_attributes(data_set: FileDataset) -> None:
    """Without the DICM prefix only these make the bytes credible."""
    if "SOPClassUID" in data_set or ("Rows" in data_set and "Columns" in data_set):
        return
    raise NotDicomError("no DICM prefix, no SOP Class UID, no Rows and Columns")


def _sop_class(data_set: FileDataset) -> str:
    own = text_of(data_set, "SOPClassUID")
    return own or text_of(data_set.file_meta, "MediaStorageSOPClassUID")


def _header(data_set: FileDataset, *, has_pixel_data: bool) -> Header:
    return Header(
        study_instance_uid=uid_of(data_set, "StudyInstanceUID"),
        series_instance_uid=uid_of(data_set, "SeriesInstanceUID"),
        sop_instance_uid=uid_of(data_set, "SOPInstanceUID"),
        sop_class_uid=_sop_class(data_set),
        modality=text_of(data_set, "Modality"),
        transfer_syntax_uid=clean_uid(transfer_syntax_of(data_set)),
        rows=integer_of(data_set, "Rows"),
        columns=integer_of(data_set, "Columns"),
        number_of_frames=integer_of(data_set, "NumberOfFrames"),
        samples_per_pixel=integer_of(data_set, "SamplesPerPixel"),
        bits_allocated=integer_of(data_set, "BitsAllocated"),
        bits_stored=integer_of(data_set, "BitsStored"),
        instance_number=integer_of(data_set, "InstanceNumber"),
        has_pixel_data=has_pixel_data,
    )
