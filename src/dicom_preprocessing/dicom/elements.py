"""Elements of pydicom's data set: each is read once, into an attribute of Python's own types."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import IS, DSdecimal, DSfloat

from dicom_preprocessing.dicom.attribute import Attribute
from dicom_preprocessing.dicom.element_header import format_tag
from dicom_preprocessing.dicom.keywords import VRS
from dicom_preprocessing.dicom.scanning import encoding_of_items, scan_items
from dicom_preprocessing.image_warnings import ImageWarning
from dicom_preprocessing.text import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydicom.dataelem import DataElement
    from pydicom.tag import BaseTag

    from dicom_preprocessing.dicom.attribute import Value

# Errors of pydicom on values and structures that violate the standard.
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
    pydicom.errors.BytesLengthException,
    pydicom.errors.InvalidDicomError,
)

NUMBERS: Final = {
    "US": ("H", 2),
    "SS": ("h", 2),
    "UL": ("L", 4),
    "SL": ("l", 4),
    "FL": ("f", 4),
    "FD": ("d", 8),
}
"""Value representations of binary numbers, with the code of ``struct`` and the bytes of one."""

DEFAULT_REPERTOIRE: Final = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI")
"""Texts that no character set concerns (PS3.5 6.1.2.2), of which pydicom quotes wrong ones."""
TEXTS: Final = (*DEFAULT_REPERTOIRE, "LO", "SH")
NUMERIC_TEXTS: Final = ("DS", "IS")
ESCAPE: Final = b"\x1b"
"""Switches to another character set within a text (ISO 2022)."""

CACHED_ELEMENTS: Final = 512
"""Elements whose values stay parsed for the next file: slices of a series share most of theirs."""
MAX_CACHED_BYTES: Final = 128
"""Of such an element."""

SEQUENCE: Final = b"(sequence)"
"""In place of the bytes of a sequence where a value is expected; messages show it."""

SEVERAL: Final = (MultiValue, list)
"""Types of several values in pydicom; a list of binary numbers."""


def attributes_of(item: Dataset, keywords: Mapping[int, str]) -> dict[str, Attribute]:
    """Read the attributes of a data set or item whose tags are in ``keywords``, by keyword."""
    attributes: dict[str, Attribute] = {}
    for tag, raw in item.items():  # as they are: iterating a data set converts every element
        keyword = keywords.get(int(tag))  # pydicom compares its tags ten times as slowly
        if keyword is not None:
            attributes[keyword] = _attribute_of(item, tag, keyword, raw)
    return attributes


def _attribute_of(
    item: Dataset, tag: BaseTag, keyword: str, raw: DataElement | RawDataElement
) -> Attribute:
    """Read an attribute that is present, from its element as the data set has it."""
    values = plain_values(raw) if isinstance(raw, RawDataElement) else None
    if values is not None:
        return Attribute(keyword, values)
    try:
        value = item[tag].value
    except PARSE_ERRORS:
        content = getattr(raw, "value", None)
        return Attribute(keyword, raw=content if isinstance(content, bytes) else b"")
    # A sequence where a value is expected. To show its items would convert, and so may raise.
    if isinstance(value, Sequence):
        return Attribute(keyword, raw=SEQUENCE)
    if value is None:
        return Attribute(keyword)
    if isinstance(value, SEVERAL):
        return Attribute(keyword, tuple(map(_plain, value)))
    return Attribute(keyword, (_plain(value),))


def plain_values(raw: RawDataElement) -> tuple[Value, ...] | None:
    """Read an element without pydicom if its values are plain, else return None.

    Plain are complete binary numbers, text of the default repertoire, and other text that is ASCII
    without escapes. pydicom validates each value, and makes an object of it, which takes ten times
    as long; both give the same values, of valid ones. What is no value of its representation would
    be quoted in a warning and in a log, though it may be the name of a patient.
    """
    content, vr = raw.value, raw.VR
    if not content:
        return None
    if not vr or vr == "UN":
        known = VRS.get(int(raw.tag))
        # pydicom reads UN as what the dictionary says, too (PS3.5 6.2.2).
        vr = known if not vr or known in DEFAULT_REPERTOIRE else vr
    parse = _parse_or_recall if len(content) <= MAX_CACHED_BYTES else _parse
    return parse(vr, content, raw.is_little_endian)


@lru_cache(maxsize=CACHED_ELEMENTS)
def _parse_or_recall(
    vr: str | None, content: bytes, is_little_endian: bool
) -> tuple[Value, ...] | None:
    """Return what ``_parse`` returned for the same element."""
    return _parse(vr, content, is_little_endian)


def _parse(vr: str | None, content: bytes, is_little_endian: bool) -> tuple[Value, ...] | None:
    """Parse the plain values of a VR; result as of ``plain_values``."""
    if vr in NUMBERS:
        code, size = NUMBERS[vr]
        if len(content) % size:
            return None
        order = "<" if is_little_endian else ">"
        return struct.unpack(f"{order}{len(content) // size}{code}", content)
    if vr not in TEXTS:
        return None
    if vr not in DEFAULT_REPERTOIRE and (not content.isascii() or ESCAPE in content):
        return None
    values = (value.rstrip(" \0") for value in content.decode("latin-1").split("\\"))
    return tuple(value.lstrip() for value in values) if vr in NUMERIC_TEXTS else tuple(values)


def _plain(value: object) -> Value:
    """Return a value of pydicom as one of Python's own types.

    Numbers that are text in the file stay text.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, (IS, DSfloat, DSdecimal)):
        return str(value)
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value)  # of another value representation than expected, such as a PersonName


def items_of(item: Dataset, tag: int, warnings: list[ImageWarning]) -> list[Dataset]:
    """Return the items of a sequence, as far as they parse; none if it is absent.

    ``warnings`` takes one if they do not parse to the end, or in another encoding.
    """
    if tag not in item.keys():  # noqa: SIM118  # pydicom would make a tag of it first
        return []
    raw = item.get_item(tag, keep_deferred=True)
    if isinstance(raw, RawDataElement):
        items, encoding = scan_items(raw)
        name, due = f"the sequence {format_tag(int(tag))}", encoding_of_items(raw)
        if encoding is None:
            message = f"{name} does not parse to its end: {plural(len(items), 'item')} read"
            warnings.append(ImageWarning("unparsable_element", message))
        elif encoding != due:
            message = f"{name} is {encoding}, where {due} is due"
            warnings.append(ImageWarning("encoding_contradicts_syntax", message))
        return items
    return [i for i in raw.value or () if isinstance(i, Dataset)] if raw.VR == "SQ" else []
