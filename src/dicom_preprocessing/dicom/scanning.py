"""Elements of a data set as the file has them, without a look at values that nobody needs.

pydicom's reader takes the stated encoding for the real one, ends at the first element that does not
parse, and reads a cut file as far as it goes. Here the value of an element is only what its length
says, so that a broken one costs no other, and where a data set ends early is known.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicom_preprocessing.dicom.element_header import (
    DELIMITER_GROUP,
    ENCODINGS,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITATION,
    LONG_HEADER,
    LONG_VRS,
    SEQUENCE_DELIMITATION,
    SHORT_HEADER,
    SHORT_VRS,
    STRUCTS,
    ElementHeader,
    Encoding,
    format_tag,
    is_capitals,
    parse_element_header,
    parse_odd_vr,
)
from dicom_preprocessing.dicom.keywords import (
    HOLOGIC_CREATORS,
    PIXEL_KEYWORDS,
    PRIVATE_BLOCKS,
    SEQUENCES,
)
from dicom_preprocessing.dicom.sources import MemorySource, ReadAhead
from dicom_preprocessing.errors import DamagedError
from dicom_preprocessing.image_warnings import ImageWarning
from dicom_preprocessing.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pydicom.dataelem import DataElement

    from dicom_preprocessing.dicom.sources import ByteSource

PADDING: Final = frozenset((0x00, 0x20))
"""Bytes with which writers fill up files."""

PADDING_TAGS: Final = frozenset((0x00000000, 0x20202020))
"""What they look like where a tag is due."""


BYTES: Final = ("OB", "OW")
VR_TEXTS: Final = {b"": None} | {vr: vr.decode() for vr in (*SHORT_VRS, *LONG_VRS)}

ITEM_TAGS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""Tag of an item, little and big endian."""

MAX_VALUE: Final = 1 << 24
"""Bytes of a value that is read: a frame offset of each of two million frames."""

MAX_SEQUENCE: Final = 1 << 27
"""Bytes of a sequence that is read; functional groups take about 1 KB a frame."""

MAX_ITEMS: Final = 1 << 18
"""Items of a sequence that is read; each takes a thousand bytes of memory."""

MAX_DEPTH: Final = 1 << 16
"""Sequences and items of undefined length within each other."""


class ParseError(ValueError):
    """Bytes do not parse as elements; the message says which."""


@dataclass(slots=True)
class Scan:
    """Elements of a data set or item.

    Parameters
    ----------
    elements : dict
        Raw elements of pydicom by tag.
    odd : dict
        Where elements end that are not of known VR and length within a chunk, by where they start.
    end : int
        Offset at which the scan ended: of the element that stopped it, or behind the last one.
    is_stopped : bool
        Whether an element of the tags to stop at was found.
    cut : str
        What is missing where the data set is cut, else empty.
    warnings : list of ImageWarning
    """

    elements: dict[BaseTag, DataElement | RawDataElement] = field(default_factory=dict)
    odd: dict[int, int] = field(default_factory=dict, compare=False)
    end: int = 0
    is_stopped: bool = False
    cut: str = ""
    warnings: list[ImageWarning] = field(default_factory=list)

    def add(self, raw: RawDataElement) -> None:
        """Add an element; in place of an earlier one of its tag, with a warning if they differ."""
        earlier = self.elements.setdefault(raw.tag, raw)
        if earlier is raw:  # nearly always
            return
        if earlier.value != raw.value:
            message = (
                f"{format_tag(raw.tag)} is there twice, with different values: the last one counts"
            )
            warning = ImageWarning("element_twice", message)
            if warning not in self.warnings:
                self.warnings.append(warning)
        self.elements[raw.tag] = raw

    def as_data_set(self) -> Dataset:
        """Return the elements as pydicom's data set, which converts them when asked to."""
        return Dataset(self.elements)


def scan_elements(
    source: ReadAhead,
    offset: int,
    encoding: Encoding,
    *,
    wanted: Collection[int] | None = None,
    noted: Collection[int] = (),
    stop_at: Collection[int] = (),
    group: int | None = None,
) -> Scan:
    """Scan the elements from ``offset`` to the end, or to a tag of ``stop_at``.

    Parameters
    ----------
    source : ReadAhead
    offset : int
    encoding : Encoding
    wanted : collection of int, optional
        Tags whose values are read; by default all.
    noted : collection of int
        Tags of elements that are in the result without their values.
    stop_at : collection of int
    group : int, optional
        The scan ends before the first element of another group.

    Raises
    ------
    ParseError
        An element has no length by which it could be skipped, or is wanted and too long.
    DamagedError
        There are too many elements.
    """
    scan = Scan(end=offset)
    choice = _Choice(wanted, noted, stop_at, group)
    while True:
        _scan_plain(source, scan, encoding, choice)
        header = _read_header(source, scan, encoding, group)
        if header is None:
            break
        if header.tag in stop_at:
            scan.is_stopped = True
            break
        start = scan.end + header.size
        if not header.has_known_vr:
            _warn_of_header(header, encoding, scan)
        if header.is_undefined:
            is_item = header.tag == ITEM
            stop, end = _skip_undefined(source, start, header, encoding, is_item=is_item)
        else:
            stop = end = start + header.length
        if not source.reaches(end):
            scan.cut = f"{end - source.source.size} bytes of {format_tag(header.tag)} are missing"
            break
        if wanted is None or header.tag in wanted or header.tag in noted:
            value, is_long = b"", stop - start > MAX_VALUE
            # What is so long is no creator, and costs no image.
            if header.tag not in noted and not (is_long and header.tag in HOLOGIC_CREATORS):
                if is_long:
                    _require_credible_length(header, stop - start)
                value = source.read(start, stop - start)
            vr = header.vr if header.has_known_vr else b""
            scan.add(_make_raw(header.tag, vr, value, start, encoding))
        scan.odd[scan.end], scan.end = end, end
    return scan


class _Choice(NamedTuple):
    """Which elements a scan reads, and where it ends; as the parameters of ``scan_elements``."""

    wanted: Collection[int] | None
    noted: Collection[int]
    stop_at: Collection[int]
    group: int | None


def _scan_plain(source: ReadAhead, scan: Scan, encoding: Encoding, choice: _Choice) -> None:
    """Scan elements of known VR and length within the chunk that was read, until another comes.

    Nearly all are such, and take a quarter of the time in which ``_read_header`` reads any element.
    """
    chunk, offset = source.chunk_from(scan.end, LONG_HEADER)
    shift, last = scan.end - offset, len(chunk) - LONG_HEADER
    wanted, noted, stop_at, only = choice
    structs = STRUCTS[encoding.is_little_endian]
    unpack, unpack_implicit = structs.tag_and_short.unpack_from, structs.tag_and_long.unpack_from
    while offset <= last:
        vr, size = chunk[offset + 4 : offset + 6], SHORT_HEADER
        if encoding.is_implicit:
            vr = b""
            group, element, length = unpack_implicit(chunk, offset)
        else:
            group, element, length = unpack(chunk, offset)
            if vr in LONG_VRS:
                (length,) = structs.long.unpack_from(chunk, offset + SHORT_HEADER)
                size = LONG_HEADER
            elif vr not in SHORT_VRS:
                return
        tag, start = group << 16 | element, offset + size
        if group == DELIMITER_GROUP or tag in PADDING_TAGS or tag in stop_at:
            return
        # An undefined length leads out of any chunk.
        if start + length > len(chunk) or (only is not None and group != only):
            return
        offset = start + length
        if wanted is None or tag in wanted or tag in noted:
            value = b"" if tag in noted else chunk[start:offset]
            scan.add(_make_raw(tag, vr, value, start + shift, encoding))
        scan.end = offset + shift


def _require_credible_length(header: ElementHeader, length: int) -> None:
    """Raise ParseError for a long value, unless it is a sequence and may have that length."""
    is_sequence = header.tag in SEQUENCES or header.is_undefined
    most = MAX_SEQUENCE if is_sequence else MAX_VALUE
    if length > most:
        raise ParseError(f"{format_tag(header.tag)} has {length} bytes, more than {most}")


def _is_no_bytes(tag: int) -> bool:
    """Whether the dictionary knows an element, as one that is never bytes."""
    if not dictionary_has_tag(tag):
        return False
    return not set(BYTES) & set(dictionary_VR(tag).split(" or "))


def _read_header(
    source: ReadAhead, scan: Scan, encoding: Encoding, group: int | None
) -> ElementHeader | None:
    """Read the header of the next element, None at the end, or at one of another group."""
    content = source.read(scan.end, LONG_HEADER)
    if not content:
        return None
    try:
        header = parse_element_header(content, 0, encoding)
    except struct.error:
        # One blank may be the start of group 0020.
        if is_padding(content) and content != b" ":
            return None
        missing = SHORT_HEADER if len(content) < SHORT_HEADER else LONG_HEADER
        scan.cut = f"{missing - len(content)} bytes are missing at its end"
        return None
    is_other = group is not None and header.tag >> 16 != group
    if is_other or (header.tag in PADDING_TAGS and is_padding_to_end(source.source, scan.end)):
        return None
    if header.has_known_vr:  # nearly all
        return header
    if _lacks_vr(header, encoding):
        header = _choose_header(header, scan.end, source.source, encoding)
    if not _fits(header, scan.end, source, encoding):
        raise ParseError(f"what is at byte {scan.end} is no element of {encoding}")
    return header


def _lacks_vr(header: ElementHeader, encoding: Encoding) -> bool:
    """Whether an element has no two capitals where its VR is due."""
    return not (encoding.is_implicit or header.vr or header.tag >> 16 == DELIMITER_GROUP)


def choose_pixel_header(source: ByteSource, offset: int, encoding: Encoding) -> ElementHeader:
    """Read the header of a pixel data element, which may be of another encoding, or have an odd VR.

    Where the bytes of a VR may be a length as well, the header counts whose value ends where the
    source does or a later element starts, else the only one whose value may be there.

    Parameters
    ----------
    source : ByteSource
    offset : int
        Of the element.
    encoding : Encoding
        Of the data set.

    Raises
    ------
    struct.error
        The source ends inside the header.
    ParseError
        A data set of explicit VR has no capitals in the place of the VR, and the value may be
        nowhere, or in two places.
    """
    content = source.read(offset, LONG_HEADER)
    header = parse_element_header(content, 0, encoding)
    vr = content[4:6]
    if header.vr in LONG_VRS or (encoding.is_implicit and not is_capitals(vr)):
        return header  # nearly all
    candidates = [header]
    with suppress(struct.error):
        if is_capitals(vr):
            other = encoding._replace(is_implicit=not encoding.is_implicit)
            candidates.append(parse_element_header(content, 0, other))
        else:
            candidates.append(parse_odd_vr(content, encoding))
    for candidate in candidates:
        if _is_followed(candidate, offset, source, encoding):
            return candidate
    credible = [c for c in candidates if _may_be_pixels(c, offset, source)]
    if len(credible) == 1:
        return credible[0]
    if _lacks_vr(header, encoding):
        tag = format_tag(header.tag)
        raise ParseError(f"{tag} at byte {offset} has neither a VR nor a credible length")
    return header


def _may_be_pixels(header: ElementHeader, offset: int, source: ByteSource) -> bool:
    """Whether pixel data of known length may have the length that its header says."""
    # PS3.5 7.1.1: no length is odd.
    is_even = header.length > 0 and header.length % 2 == 0
    return is_even and source.reaches(offset + header.size + header.length)


def _choose_header(
    header: ElementHeader, offset: int, source: ByteSource, encoding: Encoding
) -> ElementHeader:
    """Choose the header of an element without two capitals in the place of its VR.

    It has none, as in implicit VR, unless only with an odd one an element of a known VR follows.
    """
    if header.tag in PIXEL_KEYWORDS:
        return choose_pixel_header(source, offset, encoding)
    if _is_followed(header, offset, source, encoding):
        return header
    try:
        odd = parse_odd_vr(source.read(offset, LONG_HEADER), encoding)
    except struct.error:
        return header
    return odd if _is_followed(odd, offset, source, encoding) else header


def _is_followed(
    header: ElementHeader, offset: int, source: ByteSource, encoding: Encoding
) -> bool:
    """Whether a later element of a known VR follows an element at ``offset``, or the end does.

    Of pixel data of undefined length: whether it begins with an item.
    """
    end = offset + header.size
    if header.is_undefined:
        return header.tag in PIXEL_KEYWORDS and source.read(end, 4) in ITEM_TAGS
    end += header.length
    if not source.reaches(end + SHORT_HEADER):
        return source.reaches(end) and not source.reaches(end + 1)
    try:
        following = parse_element_header(source.read(end, LONG_HEADER), 0, encoding)
    except struct.error:
        return False
    is_delimiter = following.tag in (ITEM_DELIMITATION, SEQUENCE_DELIMITATION)
    return is_delimiter or (following.has_known_vr and following.tag > header.tag)


def _fits(header: ElementHeader, offset: int, source: ReadAhead, encoding: Encoding) -> bool:
    """Whether an element without a known VR is credible by its tag, or else its length."""
    if header.tag in PADDING_TAGS:
        return False
    if not _lacks_vr(header, encoding):
        return True
    return header.is_undefined or source.reaches(offset + header.size + header.length)


def is_padding(content: bytes) -> bool:
    """Whether all bytes are zeros, or all are blanks."""
    return content[0] in PADDING and content == content[:1] * len(content)


def is_padding_to_end(source: ByteSource, offset: int) -> bool:
    """Whether nothing but zeros, or nothing but blanks, follows."""
    first = source.read(offset, 1)
    if not first or first[0] not in PADDING:
        return False
    while chunk := source.read(offset, 1 << 16):
        if chunk != first * len(chunk):
            return False
        offset += len(chunk)
    return True


def _warn_of_header(header: ElementHeader, encoding: Encoding, scan: Scan) -> None:
    """Note an element whose header is not as the encoding has it; the first one of each code."""
    is_delimiter = header.tag >> 16 == DELIMITER_GROUP
    if encoding.is_implicit and not is_delimiter:
        return
    tag = format_tag(header.tag)
    if is_delimiter:
        message = f"an item or delimiter {tag} outside of a sequence"
        warning = ImageWarning("unparsable_element", message)
    elif header.vr:
        warning = make_vr_warning(header)
    else:
        message = f"{tag} has no value representation in a data set of {encoding}"
        warning = ImageWarning("unknown_vr", message)
    if warning.code not in {earlier.code for earlier in scan.warnings}:
        scan.warnings.append(warning)


def make_vr_warning(header: ElementHeader) -> ImageWarning:
    """Make the warning of an element of a VR that is not known."""
    found = header.vr.decode("ascii", "replace")
    message = f"{format_tag(header.tag)} has the value representation {found!r}, which is not known"
    return ImageWarning("unknown_vr", message)


def _make_raw(tag: int, vr: bytes, value: bytes, start: int, encoding: Encoding) -> RawDataElement:
    """Make the raw element of pydicom; where ``vr`` is empty, the dictionary has one."""
    text = VR_TEXTS[vr]
    # Numbers that are called bytes would have no value.
    if text in BYTES and _is_no_bytes(tag):
        text = None
    return RawDataElement(
        BaseTag(tag),
        text,
        len(value),
        value,
        start,
        encoding.is_implicit,
        encoding.is_little_endian,
    )


def _skip_undefined(
    source: ReadAhead, offset: int, header: ElementHeader, encoding: Encoding, *, is_item: bool
) -> tuple[int, int]:
    """Find the end of a sequence or item of undefined length (PS3.5 7.5).

    Returns
    -------
    (int, int)
        Offset of its delimiter, and of what follows.

    Raises
    ------
    ParseError
        Something else than items and elements is in it, its delimiter is missing, or its parts
        are too deep in each other.
    """
    # For each open sequence or item: whether it is an item, and the encoding of its elements. A UN
    # of undefined length is a sequence in implicit VR (PS3.5 6.2.2).
    inner = IMPLICIT_LITTLE if header.vr == b"UN" else encoding
    open_parts = [(is_item, inner)]
    while True:
        in_item, inner = open_parts[-1]
        content = source.read(offset, LONG_HEADER)
        try:
            found = parse_element_header(content, 0, inner)
        except struct.error:
            raise ParseError(f"{format_tag(header.tag)} has no delimiter") from None
        if in_item and _lacks_vr(found, inner):
            found = _choose_header(found, offset, source.source, inner)
        delimiter = ITEM_DELIMITATION if in_item else SEQUENCE_DELIMITATION
        start = offset + found.size
        if found.tag in (delimiter, SEQUENCE_DELIMITATION):
            # A sequence that ends before its item does: some writers forget the delimiter.
            del open_parts[-1 if found.tag == delimiter else -2 :]
            if not open_parts:
                return offset, start
        elif in_item != (found.tag == ITEM) and found.tag >> 16 != 0:
            if found.is_undefined:
                if len(open_parts) == MAX_DEPTH:
                    raise ParseError(f"{format_tag(header.tag)} has more than {MAX_DEPTH} levels")
                nested = IMPLICIT_LITTLE if found.vr == b"UN" else inner
                open_parts.append((found.tag == ITEM, nested))
            else:
                start += found.length
        else:
            raise ParseError(f"what is at byte {offset} is no part of {format_tag(header.tag)}")
        offset = start


def encoding_of_items(raw: RawDataElement) -> Encoding:
    """Return the encoding that the items of a sequence should have."""
    # PS3.5 6.2.2: a sequence as UN is implicit little endian in every data set.
    is_unknown = raw.VR == "UN"
    return Encoding(raw.is_implicit_VR or is_unknown, raw.is_little_endian or is_unknown)


def scan_items(raw: RawDataElement) -> tuple[list[Dataset], Encoding | None]:
    """Parse the items of a sequence, as far as they parse.

    Items that do not parse in the encoding that they should have may have another one: the first in
    which all of the value parses is taken.

    Returns
    -------
    (list of Dataset, Encoding or None)
        Items, and the encoding in which all of the value parsed, if any.

    Raises
    ------
    DamagedError
        There are too many items.
    """
    value, due = raw.value or b"", encoding_of_items(raw)
    items, is_whole = _scan_items_in(value, due)
    if is_whole:
        return items, due
    for other in ENCODINGS:
        found, is_whole = _scan_items_in(value, other)
        if is_whole:
            return found, other
    return items, None


def _scan_items_in(value: bytes, encoding: Encoding) -> tuple[list[Dataset], bool]:
    """Parse items in an encoding; the result is as of ``scan_items``."""
    source = ReadAhead(MemorySource(value))
    items: list[Dataset] = []
    offset, size = 0, len(value)
    while offset < size:
        if len(items) == MAX_ITEMS:
            raise DamagedError(f"a sequence has more than {MAX_ITEMS} items")
        try:
            header = parse_element_header(source.read(offset, LONG_HEADER), 0, encoding)
            if header.tag == SEQUENCE_DELIMITATION:
                break
            if header.tag != ITEM:
                return items, False
            start = offset + header.size
            stop = offset = start + header.length
            if header.is_undefined:
                stop, offset = _skip_undefined(source, start, header, encoding, is_item=True)
            item = scan_elements(ReadAhead(MemorySource(value[start:stop])), 0, encoding)
        except (ParseError, DamagedError, struct.error):
            return items, False
        items.append(item.as_data_set())
        if item.cut or offset > size:
            return items, False
    return items, True


AFTER_PIXELS: Final = frozenset((0xFFFAFFFA, 0xFFFCFFFC))
"""Digital Signatures Sequence and Data Set Trailing Padding (PS3.6)."""
PIXEL_GROUP: Final = 0x7FE0


def scan_rest(
    source: ReadAhead, offset: int, encoding: Encoding, warn: Callable[[ImageWarning], object]
) -> str:
    """Look at what follows the pixel data, which decides nothing but whether the file is complete.

    Elements of explicit VR may follow a data set of implicit VR: other programs append them.

    Returns
    -------
    str
        What is missing of an element that is cut, else empty.

    Raises
    ------
    ParseError
        An element of undefined length has no end.
    """
    creators: set[int] = set()
    while content := source.read(offset, LONG_HEADER):
        header = _parse_rest(content, encoding, creators)
        if header is None:
            warn(_describe_trailing(source, offset))
            return ""
        if encoding.is_implicit and not _is_there(source, offset, header):
            # The letters of a VR, taken for a length, lead behind the end.
            explicit = encoding._replace(is_implicit=False)
            found = _parse_rest(content, explicit, creators)
            if found is not None and _is_there(source, offset, found):
                message = f"{format_tag(found.tag)} behind the data set is {explicit}: ignored"
                warn(ImageWarning("trailing_bytes", message))
                header, encoding = found, explicit
        start = offset + header.size
        offset = start + header.length
        if header.is_undefined:
            _, offset = _skip_undefined(source, start, header, encoding, is_item=False)
        if not source.reaches(offset):
            return f"{offset - source.source.size} bytes of {format_tag(header.tag)} are missing"
    return ""


def _is_there(source: ReadAhead, offset: int, header: ElementHeader) -> bool:
    """Whether the value of an element at ``offset`` ends within the source, or at a delimiter."""
    return header.is_undefined or source.reaches(offset + header.size + header.length)


def _parse_rest(content: bytes, encoding: Encoding, creators: set[int]) -> ElementHeader | None:
    """Parse the header of an element that may follow the pixel data, None if it is none."""
    try:
        header = parse_element_header(content, 0, encoding)
    except struct.error:
        return None
    group, element = header.tag >> 16, header.tag & 0xFFFF
    if not (encoding.is_implicit or header.has_known_vr):
        return None
    if header.tag in AFTER_PIXELS or (group == PIXEL_GROUP and header.tag not in PIXEL_KEYWORDS):
        return header
    # Any bytes are elements of implicit VR: only a reservation makes private ones credible.
    if group > PIXEL_GROUP and group % 2 and element in PRIVATE_BLOCKS:
        creators.add(group)
        return header
    return header if group in creators else None


def _describe_trailing(source: ReadAhead, offset: int) -> ImageWarning:
    what = "byte"
    if is_padding_to_end(source.source, offset):
        what = "zero" if source.read(offset, 1) == b"\0" else "blank"
    found = plural(source.source.size - offset, what)
    return ImageWarning("trailing_bytes", f"{found} behind the data set: not part of it, ignored")
