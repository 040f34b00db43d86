"""Elements of pydicom's data set: each read once, to an attribute as Python has it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import IS, DSdecimal, DSfloat

from dicom_preprocessing.dicom.attribute import Attribute
from dicom_preprocessing.dicom.keywords import VRS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydicom.tag import BaseTag

    from dicom_preprocessing.dicom.attribute import Value

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

TEXTS: Final = ("CS", "DS", "IS", "SH", "UI")
NUMERIC_TEXTS: Final = ("DS", "IS")
ESCAPE: Final = b"\x1b"
"""Begins another character set within a text (ISO 2022)."""

SEQUENCE: Final = b"(sequence)"
"""Stands for the bytes of a sequence where a value should be: they are no value, and are shown."""

SEVERAL: Final = (MultiValue, list)
"""What pydicom gives for several values: a list of numbers that are binary in the file."""


def attributes_of(item: Dataset, wanted: Mapping[int, str]) -> dict[str, Attribute]:
    """Those attributes of a data set or item that are ``wanted``, by keyword."""
    found: dict[str, Attribute] = {}
    for tag in item.keys():  # noqa: SIM118  # iterating a data set converts every element
        keyword = wanted.get(int(tag))  # pydicom compares its tags ten times as slowly
        if keyword is not None:
            found[keyword] = attribute_of(item, tag, keyword)
    return found


def attribute_of(item: Dataset, tag: BaseTag, keyword: str) -> Attribute:
    """An attribute that is there."""
    raw = item.get_item(tag, keep_deferred=True)  # else one without a value is converted here
    values = plain_values(raw) if isinstance(raw, RawDataElement) else None
    if values is not None:
        return Attribute(keyword, values)
    try:
        value = item[tag].value
    except PARSE_ERRORS:
        content = getattr(raw, "value", None)
        return Attribute(keyword, raw=content if isinstance(content, bytes) else b"")
    if isinstance(value, Sequence):  # where a value should be; what it holds is not looked at
        return Attribute(keyword, raw=SEQUENCE)
    if value is None:
        return Attribute(keyword)
    if isinstance(value, SEVERAL):
        return Attribute(keyword, tuple(map(_plain, value)))
    return Attribute(keyword, (_plain(value),))


def plain_values(raw: RawDataElement) -> tuple[Value, ...] | None:
    """Values of an element as nearly every one is, None if pydicom should have a look.

    pydicom validates each value and makes objects of it, which takes ten times as long.
    """
    content, vr = raw.value, raw.VR or VRS.get(int(raw.tag))
    if not content:
        return None
    if vr in NUMBERS:
        code, size = NUMBERS[vr]
        if len(content) % size:
            return None
        order = "<" if raw.is_little_endian else ">"
        return struct.unpack(f"{order}{len(content) // size}{code}", content)
    if vr not in TEXTS or not content.isascii() or ESCAPE in content:
        return None
    values = (value.rstrip(" \0") for value in content.decode("ascii").split("\\"))
    return tuple(value.lstrip() for value in values) if vr in NUMERIC_TEXTS else tuple(values)


def _plain(value: object) -> Value:
    """A value as Python has it, without pydicom's class.

    Numbers that are text in the file stay as they are written.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, (IS, DSfloat, DSdecimal)):
        return str(value)
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value)  # a wrong value representation, such as the name of a person


def items_of(item: Dataset, tag: int) -> list[Dataset]:
    """The items of a sequence, none where it is absent or broken."""
    if tag not in item:
        return []
    try:
        return [i for i in item[tag].value or () if isinstance(i, Dataset)]
    except PARSE_ERRORS:
        return []
