"""The encoding in which bytes are a data set, by their first elements.

What a file says of its encoding is not always true, and files without the DICM prefix say nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_preprocessing.dicom.element_header import (
    DELIMITER_GROUP,
    ENCODINGS,
    EXPLICIT_LITTLE,
    META_GROUP,
    Encoding,
    parse_element_header,
)
from dicom_preprocessing.dicom.keywords import PIXEL_KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Callable

# Groups in which the elements of an image or document may start (PS3.6).
KNOWN_GROUPS: Final = frozenset(
    (*range(0x0002, 0x0062, 2), 0x0062, 0x0064, 0x0066, 0x0068, 0x0070, 0x0072, 0x0088, 0x0100)
)
PREAMBLE: Final = 128
"""Bytes before the DICM prefix (PS3.10 7.1)."""
PREFIX: Final = b"DICM"
DETECTION_BYTES: Final = 4096
DETECTION_ELEMENTS: Final = 8
MIN_ELEMENTS: Final = 3
"""Enough where a sequence or a long value puts the eighth element out of ``head``."""


class _Fit(NamedTuple):
    """How well bytes parse in an encoding; the better one is the greater."""

    is_complete: bool
    elements: int


BEST_FIT: Final = _Fit(is_complete=True, elements=DETECTION_ELEMENTS)


def looks_like_data_set(head: bytes, size: int | None = None) -> bool:
    """Whether a file without the DICM prefix starts like a data set.

    The first eight elements, or as many as there are, must have ascending tags (PS3.5 7.1) in known
    groups. Behind file meta information, which no other file has, the data set may be deflated.

    Parameters
    ----------
    head : bytes
        The first ``DETECTION_BYTES`` of the file.
    size : int or None
        Bytes of the file; None if ``head`` is all of it.
    """
    size = len(head) if size is None else size
    meta = _measure_fit(head, size, EXPLICIT_LITTLE, lambda group: group == META_GROUP)
    return meta.elements >= MIN_ELEMENTS or any(
        _measure_fit(head, size, encoding, lambda group: group in KNOWN_GROUPS).is_complete
        for encoding in ENCODINGS
    )


def find_data_set(head: bytes, size: int) -> int | None:
    """Find the offset at which a file without the DICM prefix starts as a data set, None if none.

    Some writers leave out the prefix behind the preamble, or the preamble before the prefix.

    Parameters
    ----------
    head : bytes
        The first ``DETECTION_BYTES`` of the file.
    size : int
        Bytes of the file.
    """
    # PS3.10 7.1: a preamble that is not used is zeros.
    starts = (b"", PREFIX, bytes(PREAMBLE))
    offsets = (len(start) for start in starts if head.startswith(start))
    return next((o for o in offsets if looks_like_data_set(head[o:], size - o)), None)


class Detection(NamedTuple):
    """The encoding of a data set, if any, and whether its first elements parse in it."""

    encoding: Encoding | None
    is_complete: bool


def find_encoding(head: bytes, size: int, stated: Encoding | None) -> Detection:
    """Find the encoding in which the first elements of a data set parse.

    Parameters
    ----------
    head : bytes
        The first bytes of the data set, behind the file meta information.
    size : int
        Bytes from the start of ``head`` to the end of the file.
    stated : Encoding or None
        Counts unless the elements parse in another one only.

    Returns
    -------
    Detection
        Without an encoding if no element parses.
    """
    candidates = ENCODINGS if stated is None else (stated, *ENCODINGS)
    fits = []
    for candidate in candidates:
        fits.append(_measure_fit(head, size, candidate, lambda group: group != 0))
        if fits[-1] == BEST_FIT:  # no other counts, as the first of the best does
            break
    best = max(fits)
    if best.is_complete:
        return Detection(candidates[fits.index(best)], is_complete=True)
    # Where nothing parses to the end, the statement is the better guess: the file is damaged.
    return Detection(stated if best.elements else None, is_complete=False)


def fits_best(head: bytes, size: int, encoding: Encoding) -> bool:
    """Whether ``find_encoding`` gives a stated encoding whatever the values of elements are.

    ``head`` and ``size`` are those of ``find_encoding``. Values may have other lengths, too, as
    long as the elements end within ``DETECTION_BYTES``.
    """
    return _measure_fit(head, size, encoding, lambda group: group != 0) == BEST_FIT


def _measure_fit(
    head: bytes, size: int, encoding: Encoding, is_group: Callable[[int], bool]
) -> _Fit:
    """Count the first elements that have ascending tags, known or no VRs, and fit the file."""
    offset, last_tag, count = 0, 0, 0
    while count < DETECTION_ELEMENTS:
        try:
            # File meta information is explicit in every transfer syntax (PS3.10 7.1).
            is_meta = head[offset : offset + 2] == META_BYTES
            of_element = EXPLICIT_LITTLE if is_meta else encoding
            header = parse_element_header(head, offset, of_element)
        except struct.error:
            return _Fit(_is_enough(head, offset, size, count), count)
        is_pixels = header.tag in PIXEL_KEYWORDS
        is_due = last_tag < header.tag and header.tag >> 16 != DELIMITER_GROUP
        is_valid = of_element.is_implicit or header.has_known_vr
        if not (is_due and is_valid and (is_pixels or is_group(header.tag >> 16))):
            break
        if is_pixels or header.is_undefined:
            return _Fit(is_pixels or count + 1 >= MIN_ELEMENTS, count + 1)
        end = offset + header.size + header.length
        if end > size:
            break
        offset, last_tag, count = end, header.tag, count + 1
    return _Fit(count == DETECTION_ELEMENTS, count)


META_BYTES: Final = struct.pack("<H", META_GROUP)


def _is_enough(head: bytes, offset: int, size: int, count: int) -> bool:
    """Whether the elements before ``offset``, behind which ``head`` ends, are enough."""
    if offset == size:
        return count > 0
    return offset < size and len(head) < size and count >= MIN_ELEMENTS
