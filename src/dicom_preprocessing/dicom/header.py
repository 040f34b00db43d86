"""What the index keeps of a header, and a quick way to it for files that are plain.

Nearly every file is: little endian, ascending tags, whole elements of their own VR. pydicom builds
objects of every element, which takes ten times as long as looking for a dozen. Here whatever is out
of the ordinary, right or wrong, is left to it, so that nothing need be known about odd files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.uid import (
    AllTransferSyntaxes,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from dicom_preprocessing.dicom.detection import LONG_VRS, SHORT_VRS, UNDEFINED_LENGTH
from dicom_preprocessing.dicom.keywords import HEADER_KEYWORDS, HEADER_TAGS
from dicom_preprocessing.dicom.pixel_data import ITEM, KEYWORDS, SEQUENCE_DELIMITATION

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

PREAMBLE: Final = 128
META_LENGTH: Final = 0x00020000
TRANSFER_SYNTAX: Final = 0x00020010
META_END: Final = 0x0002FFFF
CHARACTER_SET: Final = 0x00080005
SOP_CLASS: Final = 0x00080016
ITEM_END: Final = 0xFFFEE00D

FIELDS: Final = {keyword: field for field, keyword in HEADER_KEYWORDS.items()}
FIELD_OF_TAG: Final = {
    tag: FIELDS.get(keyword, "sop_class_uid") for tag, keyword in HEADER_TAGS.items()
}
"""Fields of the header by tag, the same as of files that pydicom reads."""

VR_OF_TAG: Final = {
    tag: dictionary_VR(tag).encode()
    for tag in (META_LENGTH, TRANSFER_SYNTAX, CHARACTER_SET, *FIELD_OF_TAG)
}
"""Tags of which the value is looked at, with their VR."""

PLAIN_SYNTAXES: Final = {
    str(syntax): syntax != ImplicitVRLittleEndian
    for syntax in AllTransferSyntaxes
    if syntax != ExplicitVRBigEndian and not syntax.is_deflated
}
"""Whether the VR is explicit."""

MAX_DEPTH: Final = 8
"""Sequences within sequences."""

MAX_DIGITS: Final = 9
TEXT_PADDING: Final = " \0"

_explicit = struct.Struct("<HH2sH").unpack_from
_implicit = struct.Struct("<HHL").unpack_from
_long = struct.Struct("<L").unpack_from


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


class _OddError(ValueError):
    """Something is not as in most files."""


def read_plain_header(head: bytes) -> Header | None:
    """The header of a plain file with pixel data, None if pydicom should have a look.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.
    """
    try:
        return _plain_header(head)
    except (_OddError, LookupError, struct.error):  # also what is absent, or behind ``head``
        return None


def _plain_header(head: bytes) -> Header:
    start = PREAMBLE + 4
    if head[PREAMBLE:start] != b"DICM":
        raise _OddError
    first, at = _elements(head, start, start + 12, explicit=True)
    end = at + _long(first[META_LENGTH])[0]
    meta, at = _elements(head, at, end, explicit=True, above=META_LENGTH, below=META_END)
    syntax = _text(meta[TRANSFER_SYNTAX])
    is_explicit = PLAIN_SYNTAXES[syntax]
    if not is_explicit and head[at + 4 : at + 6].isalpha():  # it may be explicit all the same
        raise _OddError
    values, at = _elements(
        head, at, len(head), explicit=is_explicit, above=META_END, stops=KEYWORDS
    )
    if at == len(head) or _text(values[SOP_CLASS]) in ("", MediaStorageDirectoryStorage):
        raise _OddError
    found = {
        FIELD_OF_TAG[tag]: READERS[VR_OF_TAG[tag]](values[tag])
        for tag in FIELD_OF_TAG.keys() & values.keys()
    }
    return Header(transfer_syntax_uid=syntax, **found)


def _elements(
    head: bytes,
    at: int,
    end: int,
    *,
    explicit: bool,
    above: int = 0,
    below: int = ITEM,
    stops: Collection[int] = (),
    depth: int = 0,
) -> tuple[dict[int, bytes], int]:
    """Wanted values from ``at`` to ``end`` or to a tag of ``stops``, and where that is.

    Tags must ascend between ``above`` and ``below``.
    """
    values: dict[int, bytes] = {}
    while at < end:
        vr = b""
        if explicit:
            group, element, vr, length = _explicit(head, at)
        else:
            group, element, length = _implicit(head, at)
        tag = group << 16 | element
        if tag in stops and at + 12 <= end:
            return values, at
        at += 8
        if vr in LONG_VRS:
            (length,) = _long(head, at)
            at += 4
        elif explicit and vr not in SHORT_VRS:
            raise _OddError
        if not above < tag < below:
            raise _OddError
        above = tag
        if length == UNDEFINED_LENGTH:
            if (vr.decode() or dictionary_VR(tag)) != "SQ" or depth == MAX_DEPTH:
                raise _OddError
            at = _skip_sequence(head, at, explicit=explicit, depth=depth + 1)
            continue
        if tag in VR_OF_TAG:
            values[tag] = head[at : at + length]
            _check(tag, vr, values[tag])
        at += length
    if at != end:
        raise _OddError
    return values, at


def _skip_sequence(head: bytes, at: int, *, explicit: bool, depth: int) -> int:
    """Where a sequence of undefined length ends that starts at ``at``."""
    while True:
        group, element, length = _implicit(head, at)
        tag = group << 16 | element
        at += 8
        if tag == SEQUENCE_DELIMITATION:
            return at
        if tag != ITEM:
            raise _OddError
        if length == UNDEFINED_LENGTH:
            _, at = _elements(
                head, at, len(head), explicit=explicit, stops=(ITEM_END,), depth=depth
            )
            at += 8
        else:
            _, at = _elements(head, at, at + length, explicit=explicit, depth=depth)


def _check(tag: int, vr: bytes, value: bytes) -> None:
    """A wanted element must have its own VR, and a character set must be known to pydicom."""
    if vr and vr != VR_OF_TAG[tag]:
        raise _OddError
    if tag == CHARACTER_SET:
        names = value.decode("latin-1").rstrip(TEXT_PADDING).split("\\")
        if any(name not in python_encoding for name in names):
            raise _OddError


def _text(value: bytes) -> str:
    """A single printable text."""
    text = value.decode("latin-1").rstrip(TEXT_PADDING)
    if not (text.isascii() and text.isprintable()) or text.startswith(" ") or "\\" in text:
        raise _OddError
    return text


def _short(value: bytes) -> int:
    if len(value) != 2:  # noqa: PLR2004  # bytes of a US
        raise _OddError
    return int.from_bytes(value, "little")


def _decimal(value: bytes) -> int:
    digits = value.rstrip(b" \0")
    if digits and not (digits.isdigit() and len(digits) <= MAX_DIGITS):
        raise _OddError
    return int(digits or b"0")


READERS: Final[dict[bytes, Callable[[bytes], Any]]] = {
    b"UI": _text,
    b"CS": _text,
    b"US": _short,
    b"IS": _decimal,
}
