"""Headers of elements and items in the four encodings of a data set (PS3.5 7.1, 7.5)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

ITEM: Final = 0xFFFEE000
ITEM_DELIMITATION: Final = 0xFFFEE00D
SEQUENCE_DELIMITATION: Final = 0xFFFEE0DD
DELIMITER_GROUP: Final = 0xFFFE
META_GROUP: Final = 0x0002

SHORT_HEADER: Final = 8
"""Bytes of the header of an item, of an element of implicit VR, and of one with a short length."""
LONG_HEADER: Final = 12
UNDEFINED_LENGTH: Final = 0xFFFFFFFF

LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Value representations with a length of 32 bits (PS3.5 Table 7.1-1)."""
SHORT_VRS: Final = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
"""Value representations with a length of 16 bits (PS3.5 Table 7.1-2)."""


class Encoding(NamedTuple):
    """The encoding of a data set: whether elements state their VR, and the order of bytes."""

    is_implicit: bool
    is_little_endian: bool

    def __str__(self) -> str:
        order = "little" if self.is_little_endian else "big"
        return f"{'implicit' if self.is_implicit else 'explicit'} VR {order} endian"

    @property
    def native_syntax(self) -> UID:
        """The transfer syntax of uncompressed pixels; the standard has none of implicit big."""
        if not self.is_little_endian:
            return ExplicitVRBigEndian
        return ImplicitVRLittleEndian if self.is_implicit else ExplicitVRLittleEndian


EXPLICIT_LITTLE: Final = Encoding(is_implicit=False, is_little_endian=True)
IMPLICIT_LITTLE: Final = Encoding(is_implicit=True, is_little_endian=True)
EXPLICIT_BIG: Final = Encoding(is_implicit=False, is_little_endian=False)
IMPLICIT_BIG: Final = Encoding(is_implicit=True, is_little_endian=False)
ENCODINGS: Final = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_BIG)
"""In the order in which they are tried; implicit big endian is not in the standard."""


class ElementHeader(NamedTuple):
    """The header of an element or item.

    Parameters
    ----------
    tag : int
    vr : bytes
        Empty if the element does not state it.
    length : int
        Bytes of the value, or ``UNDEFINED_LENGTH``.
    size : int
        Bytes of the header itself.
    has_known_vr : bool
        Whether the VR is one of PS3.5 6.2.
    """

    tag: int
    vr: bytes
    length: int
    size: int
    has_known_vr: bool

    @property
    def is_undefined(self) -> bool:
        """Whether the value ends with a delimiter."""
        return self.length == UNDEFINED_LENGTH


class Structs(NamedTuple):
    """Formats of one byte order: tag and length of 32 or of 16 bits, and a length of 32 bits."""

    tag_and_long: struct.Struct
    tag_and_short: struct.Struct
    long: struct.Struct


STRUCTS: Final = {
    True: Structs(struct.Struct("<HHL"), struct.Struct("<HHxxH"), struct.Struct("<L")),
    False: Structs(struct.Struct(">HHL"), struct.Struct(">HHxxH"), struct.Struct(">L")),
}
"""By whether bytes are little endian."""


def parse_element_header(content: bytes, offset: int, encoding: Encoding) -> ElementHeader:
    """Parse the header of an element or item.

    An element without letters in the place of its VR is taken for one of implicit VR: some writers
    mix both.

    Parameters
    ----------
    content : bytes
    offset : int
        Of the element in ``content``.
    encoding : Encoding

    Raises
    ------
    struct.error
        ``content`` ends inside the header.
    """
    structs = STRUCTS[encoding.is_little_endian]
    if not encoding.is_implicit:
        vr = content[offset + 4 : offset + 6]
        if vr in SHORT_VRS:
            group, element, length = structs.tag_and_short.unpack_from(content, offset)
            return ElementHeader(group << 16 | element, vr, length, SHORT_HEADER, True)
        if vr in LONG_VRS or is_capitals(vr):
            return _parse_long(content, offset, vr, structs)
    group, element, length = structs.tag_and_long.unpack_from(content, offset)
    return ElementHeader(group << 16 | element, b"", length, SHORT_HEADER, False)


def is_capitals(vr: bytes) -> bool:
    """Whether bytes may be a value representation, known or not (PS3.5 6.2)."""
    return vr.isalpha() and vr.isupper()


def parse_odd_vr(content: bytes, encoding: Encoding) -> ElementHeader:
    """Parse the header of an element whose VR is not two capitals, as one of an unknown VR.

    Raises
    ------
    struct.error
        ``content`` ends inside the header.
    """
    return _parse_long(content, 0, content[4:6], STRUCTS[encoding.is_little_endian])


def _parse_long(content: bytes, offset: int, vr: bytes, structs: Structs) -> ElementHeader:
    """Parse the header of an element with a length of 32 bits, or of an unknown VR."""
    group, element, short = structs.tag_and_short.unpack_from(content, offset)
    tag = group << 16 | element
    # PS3.5 7.1.2: any VR that is not listed has two reserved bytes of 0 and a length of 32 bits.
    # Where they are not 0, the writer has put a length of 16 bits there.
    if short and vr not in LONG_VRS:
        return ElementHeader(tag, vr, short, SHORT_HEADER, False)
    (length,) = structs.long.unpack_from(content, offset + SHORT_HEADER)
    return ElementHeader(tag, vr, length, LONG_HEADER, vr in LONG_VRS)


def format_tag(tag: int) -> str:
    """Return a tag as ``(GGGG,EEEE)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
