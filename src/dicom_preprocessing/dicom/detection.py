"""Whether bytes without the DICM prefix start like a DICOM data set."""

from __future__ import annotations

import struct
from typing import Final

# Groups in which the elements of an image or document may start (PS3.6).
KNOWN_GROUPS: Final = frozenset(
    (*range(0x0002, 0x0062, 2), 0x0062, 0x0064, 0x0066, 0x0068, 0x0070, 0x0072, 0x0088, 0x0100)
)
META_GROUP: Final = 0x0002
DETECTION_BYTES: Final = 4096
DETECTION_ELEMENTS: Final = 8
MIN_ELEMENTS: Final = 3
"""Enough where a sequence or a long value puts the eighth element out of ``head``."""

HEADER_LENGTH: Final = 8
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS: Final = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)


def looks_like_data_set(head: bytes, size: int | None = None) -> bool:
    """Whether a file starts like a data set, implicit or explicit little endian.

    The first eight elements, or as many as there are, must have ascending tags (PS3.5 7.1) in known
    groups.

    Parameters
    ----------
    head : bytes
        The first ``DETECTION_BYTES`` of the file.
    size : int or None
        Bytes of the file; None if ``head`` is all of it.
    """
    size = len(head) if size is None else size
    return any(_is_ascending(head, size, explicit=explicit) for explicit in (False, True))


def _is_ascending(head: bytes, size: int, *, explicit: bool) -> bool:
    """Whether the first elements have ascending tags in known groups."""
    offset, last_tag, count = 0, 0, 0
    while count < DETECTION_ELEMENTS and offset + HEADER_LENGTH <= len(head):
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
            return count >= MIN_ELEMENTS
        offset += length
    if count == DETECTION_ELEMENTS:
        return True
    if offset == size:
        return count > 0
    return len(head) <= offset + HEADER_LENGTH <= size and count >= MIN_ELEMENTS


def _element_length(head: bytes, offset: int, *, explicit: bool) -> int | None:
    """Return the length of an element and its header, -1 if undefined, None if it is no element."""
    if not explicit:
        (length,) = struct.unpack_from("<L", head, offset + 4)
        return -1 if length == UNDEFINED_LENGTH else HEADER_LENGTH + length
    vr = head[offset + 4 : offset + 6]
    if vr in SHORT_VRS:
        (length,) = struct.unpack_from("<H", head, offset + 6)
        return HEADER_LENGTH + int(length)
    if vr in LONG_VRS and offset + 12 <= len(head):
        (length,) = struct.unpack_from("<L", head, offset + 8)
        return -1 if length == UNDEFINED_LENGTH else 12 + length
    return None
