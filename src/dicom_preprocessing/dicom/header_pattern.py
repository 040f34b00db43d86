"""Headers of slices are recognised by their bytes, without reading them element by element.

Slices of a series have the same elements in the same order, and most with the same values. A header
whose bytes are those of an earlier one, but for values that decide nothing and those that every
slice has of its own, is read by finding these.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from dicom_preprocessing.dicom.detection import (
    DETECTION_BYTES,
    DETECTION_ELEMENTS,
    PREAMBLE,
    PREFIX,
    fits_best,
)
from dicom_preprocessing.dicom.element_header import (
    EXPLICIT_LITTLE,
    LONG_HEADER,
    META_GROUP,
    SHORT_HEADER,
    Encoding,
    parse_element_header,
)
from dicom_preprocessing.dicom.keywords import META_TAGS, SLICE_TAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from dicom_preprocessing.dicom.scanning import Scan

Common = TypeVar("Common")
"""What headers of a series have in common."""


MAX_PATTERNS: Final = 8
"""Of series whose slices may come in turn."""
MAX_OF_SERIES: Final = 2
"""Patterns of one series: more would be made in vain where no header is like another one."""

_unpack_short = struct.Struct("<H").unpack_from
_unpack_long = struct.Struct("<L").unpack_from


class _Part(NamedTuple):
    """Bytes that are the same in all headers, up to the length of a value that may differ.

    ``element`` is that of the first header if it is one of ``SLICE_TAGS``, else None: then the
    value decides nothing.
    """

    same: bytes
    unpack_length: Callable[[bytes, int], tuple[int, ...]]
    length_bytes: int
    element: RawDataElement | None


@dataclass(frozen=True, slots=True)
class HeaderPattern:
    """The bytes of a header, without those of values that may differ.

    Parameters
    ----------
    detected, others : tuple of _Part
        Of the elements by which the encoding of a data set is detected and those before, and of the
        ones behind.
    detected_bytes : int
        From the last part of ``detected`` to the end of these elements.
    last : bytes
        From the last part to where the header of the pixel data element states its length.
    last_bytes : int
        Of ``last``, those before the pixel data element.
    encoding : Encoding
        Of the data set.
    """

    detected: tuple[_Part, ...]
    others: tuple[_Part, ...]
    detected_bytes: int
    last: bytes
    last_bytes: int
    encoding: Encoding

    def match(self, head: bytes) -> tuple[list[RawDataElement], int] | None:
        """Compare the first bytes of a file.

        Returns
        -------
        (list of RawDataElement, int) or None
            Elements of ``SLICE_TAGS``, and the offset of the pixel data element. None if the bytes
            are those of another header.
        """
        own: list[RawDataElement] = []
        try:
            offset = _find_values(self.detected, head, PREAMBLE, own)
            # What is detected depends on the length of values that put elements out of sight.
            if offset + self.detected_bytes > DETECTION_BYTES:
                return None
            offset = _find_values(self.others, head, offset, own)
        except (_OtherHeaderError, struct.error):
            return None
        end = offset + self.last_bytes
        is_same = head.startswith(self.last, offset) and end + LONG_HEADER <= len(head)
        return (own, end) if is_same else None


class _OtherHeaderError(ValueError):
    """The header has other bytes than the pattern."""


def _find_values(
    parts: Iterable[_Part], head: bytes, offset: int, own: list[RawDataElement]
) -> int:
    """Add elements of the slice to ``own``, and return the offset behind the last part's value."""
    for same, unpack_length, length_bytes, element in parts:
        if not head.startswith(same, offset):
            raise _OtherHeaderError
        offset += len(same)
        (length,) = unpack_length(head, offset)
        offset += length_bytes
        if element is not None:
            own.append(element._replace(length=length, value=head[offset : offset + length]))
        offset += length
    return offset


def make_pattern(
    head: bytes, scan: Scan, *, meta_end: int, encoding: Encoding, read: Collection[int]
) -> HeaderPattern | None:
    """Make the pattern of a header.

    Parameters
    ----------
    head : bytes
        The first bytes of a file with the DICM prefix, of which all the rest was made.
    scan : Scan
        Of the data set, up to its pixel data element.
    meta_end : int
        Offset of the data set.
    encoding : Encoding
        Of the data set.
    read : collection of int
        Tags of the data set whose values are read.

    Returns
    -------
    HeaderPattern or None
        None if ``head`` ends before the pixel data element, an element is there twice, or bytes
        that may differ decide on the encoding: of the file meta information, or of a data set with
        few elements.
    """
    end = scan.end
    if end + LONG_HEADER > len(head) or not encoding.is_little_endian:
        return None
    first = head[meta_end : meta_end + DETECTION_BYTES]
    if not fits_best(first, len(head) - meta_end, encoding):
        return None
    parts: list[_Part] = []
    tags: set[int] = set()
    offset, same_from = PREAMBLE + len(PREFIX), PREAMBLE
    elements = detected = detected_bytes = 0
    while offset < end:
        is_meta = offset < meta_end
        elements += not is_meta
        header = parse_element_header(head, offset, EXPLICIT_LITTLE if is_meta else encoding)
        if header.tag in tags or is_meta != (header.tag >> 16 == META_GROUP):
            return None
        tags.add(header.tag)
        if offset in scan.odd:
            offset = scan.odd[offset]
        else:
            value = offset + header.size
            offset = value + header.length
            element = scan.elements.get(BaseTag(header.tag)) if header.tag in SLICE_TAGS else None
            if not (element is None or isinstance(element, RawDataElement)):
                return None
            if element is not None or header.tag not in (META_TAGS if is_meta else read):
                is_short = bool(header.vr) and header.size == SHORT_HEADER
                length = (_unpack_short, 2) if is_short else (_unpack_long, 4)
                parts.append(_Part(head[same_from : value - length[1]], *length, element))
                same_from = offset
        if elements <= DETECTION_ELEMENTS:
            detected, detected_bytes = len(parts), offset - same_from
    pattern = HeaderPattern(
        tuple(parts[:detected]),
        tuple(parts[detected:]),
        detected_bytes,
        head[same_from : end + (4 if encoding.is_implicit else 6)],
        end - same_from,
        encoding,
    )
    own = [scan.elements[tag] for tag in scan.elements if int(tag) in SLICE_TAGS]
    return pattern if pattern.match(head) == (own, end) else None


@dataclass(frozen=True, slots=True)
class KnownHeader(Generic[Common]):
    """A header like others of its series.

    Parameters
    ----------
    common : Common
        What they have in common.
    encoding : Encoding
        Of the data set.
    own : list of RawDataElement
        Elements of ``SLICE_TAGS``.
    end : int
        Offset of the pixel data element.
    """

    common: Common
    encoding: Encoding
    own: list[RawDataElement]
    end: int


class HeaderPatterns(Generic[Common]):
    """Patterns of the last series that were read, and what headers of each have in common.

    Threads may use it at once.
    """

    def __init__(self) -> None:
        self._known: tuple[tuple[HeaderPattern, Common], ...] = ()
        self._last: Common | None = None
        self._refused: Common | None = None

    def find(self, head: bytes) -> KnownHeader[Common] | None:
        """Find the series of a header by the first bytes of the file; None if it is not known."""
        for pattern, common in self._known:
            found = pattern.match(head)
            if found is not None:
                return KnownHeader(common, pattern.encoding, *found)
        return None

    def learn(self, common: Common, make: Callable[[], HeaderPattern | None]) -> None:
        """Keep the pattern of a header that was not known, if the one before was of its series."""
        before, self._last = self._last, common
        of_series = sum(known == common for _, known in self._known)
        if before != common or of_series == MAX_OF_SERIES or common == self._refused:
            return
        pattern = make()
        if pattern is None:
            self._refused = common
        else:
            self._known = ((pattern, common), *self._known[: MAX_PATTERNS - 1])
