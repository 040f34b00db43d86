"""The pixel data element: its location in a file, and reading of the parts that are needed."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_preprocessing.dicom.element_header import (
    ITEM,
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    SHORT_HEADER,
    UNDEFINED_LENGTH,
    format_tag,
)
from dicom_preprocessing.dicom.keywords import PIXEL_KEYWORDS
from dicom_preprocessing.dicom.scanning import (
    AFTER_PIXELS,
    choose_pixel_header,
    is_padding,
    is_padding_to_end,
    make_vr_warning,
)
from dicom_preprocessing.errors import DecodeError
from dicom_preprocessing.image_warnings import ImageWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dicom_preprocessing.dicom.element_header import ElementHeader, Encoding
    from dicom_preprocessing.dicom.sources import ByteSource

TAG_LENGTH: Final = 4
"""Bytes of a tag; fewer are no header of a fragment that was cut."""
BIG_ENDIAN_ITEM: Final = b"\xff\xfe\xe0\x00"
MAX_ITEMS: Final = 1 << 21
"""Fragments of pixel data; more would be shorter than a compressed frame with a header."""


class ByteRange(NamedTuple):
    """A range of bytes of a source."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True, eq=False)
class PixelData:
    """A pixel data element.

    Parameters
    ----------
    keyword : str
        PixelData, FloatPixelData or DoubleFloatPixelData.
    vr : str or None
        None in implicit VR, and of one that is not known.
    source : ByteSource
    value : ByteRange
        The value, as far as the file has it.
    end : int
        Offset of the next element.
    items : tuple of ByteRange or None
        Values of the items, if the value has undefined length.
    """

    keyword: str
    vr: str | None
    source: ByteSource
    value: ByteRange
    end: int
    items: tuple[ByteRange, ...] | None = None

    def stream(self, ranges: Iterable[ByteRange]) -> bytes:
        """Read ranges of the source and join them."""
        return b"".join(self.source.read(*one) for one in ranges)

    def fragments(self) -> tuple[ByteRange, ...]:
        """Return the items of encapsulated pixel data, of which the first is the offset table.

        Raises
        ------
        DecodeError
            The value does not consist of items.
        """
        if self.items is not None:
            return self.items
        items, _ = walk_items(self.source, self.value)
        return items

    def consists_of_items(self) -> bool:
        """Whether the value consists of items, up to its end or a delimiter there."""
        try:
            items, end = walk_items(self.source, self.value)
        except DecodeError:
            return False
        return len(items) > 1 and end >= self.value.end - 1


def locate_pixel_data(
    source: ByteSource,
    offset: int,
    encoding: Encoding,
    warn: Callable[[ImageWarning], object] = lambda _warning: None,
) -> PixelData:
    """Read the header of a pixel data element, and those of the items of its value.

    Parameters
    ----------
    source : ByteSource
    offset : int
        Of the element.
    encoding : Encoding
        Of the data set.
    warn : callable
        Takes what is irregular about the element and its items.

    Raises
    ------
    DecodeError
        The file ends inside a header, or a value of undefined length does not consist of items.
    ParseError
        Nothing says where the value is.
    """
    header = _read_element_header(source, offset, encoding, warn)
    start = offset + header.size
    if header.is_undefined:
        rest = ByteRange(start, source.size - start)
        items, end = walk_items(source, rest, warn=warn)
        value = ByteRange(start, end - start)
    else:
        items, end = None, start + header.length
        # For its size a deflated source would be inflated to its end.
        is_whole = source.reaches(end)
        value = ByteRange(start, header.length if is_whole else max(0, source.size - start))
        if not is_whole:
            message = (
                f"the pixel data element has {value.length} bytes up to the end of the file, and "
                f"states {header.length}"
            )
            warn(ImageWarning("length_beyond_end", message))
    vr = header.vr.decode() if header.has_known_vr else None
    return PixelData(PIXEL_KEYWORDS[header.tag], vr, source, value, end, items)


def _read_element_header(
    source: ByteSource, offset: int, encoding: Encoding, warn: Callable[[ImageWarning], object]
) -> ElementHeader:
    """Read the header of a pixel data element, and say how it is not as the data set."""
    try:
        header = choose_pixel_header(source, offset, encoding)
    except struct.error:
        raise DecodeError("the file ends inside the pixel data") from None
    if encoding.is_implicit != (not header.vr):
        own = "explicit" if header.vr else "implicit"
        message = f"{format_tag(header.tag)} is {own} VR in a data set of {encoding}"
        warn(ImageWarning("encoding_contradicts_syntax", message))
    if header.vr and not header.has_known_vr:
        warn(make_vr_warning(header))
    return header


def walk_items(
    source: ByteSource,
    within: ByteRange,
    *,
    warn: Callable[[ImageWarning], object] = lambda _warning: None,
) -> tuple[tuple[ByteRange, ...], int]:
    """Read the headers of items up to a delimiter or the end (PS3.5 A.4).

    Parameters
    ----------
    source : ByteSource
    within : ByteRange
    warn : callable
        Takes a warning if something else is in the place of the delimiter.

    Returns
    -------
    (tuple of ByteRange, int)
        Values of the items, of which the last may be cut, and the offset of the next element.

    Raises
    ------
    DecodeError
        Something else than an item follows an item, or there are too many.
    """
    # PS3.5 A.4: items are little endian, but in a data set that is not, they may be as it is.
    is_big = source.read(within.offset, len(BIG_ENDIAN_ITEM)) == BIG_ENDIAN_ITEM
    order = struct.Struct(">HHL" if is_big else "<HHL")
    items: list[ByteRange] = []
    offset = within.offset
    while offset + SHORT_HEADER <= within.end:
        group, element, length = order.unpack(source.read(offset, SHORT_HEADER))
        tag = group << 16 | element
        if tag == SEQUENCE_DELIMITATION:
            return tuple(items), offset + SHORT_HEADER
        if tag != ITEM or length == UNDEFINED_LENGTH:
            # With an offset table alone it may as well be damage of that table's length.
            found, end = _find_end(source, offset, tag) if len(items) > 1 else ("", offset)
            if not found:
                raise DecodeError(f"no fragment at byte {offset} of the pixel data")
            warn(_make_delimiter_warning(found))
            return tuple(items), end
        if len(items) == MAX_ITEMS:
            raise DecodeError(f"there are more than {MAX_ITEMS} fragments")
        offset += SHORT_HEADER
        items.append(ByteRange(offset, max(0, min(length, within.end - offset))))
        offset += length
    rest = source.read(offset, max(0, within.end - offset))
    if rest and is_padding(rest):
        warn(_make_delimiter_warning("padding"))
        return tuple(items), within.end
    if len(rest) >= TAG_LENGTH:
        raise DecodeError("the pixel data ends inside the header of a fragment")
    if offset <= within.end:
        warn(_make_delimiter_warning("the end of the file"))
    return tuple(items), min(offset, within.end)


def _make_delimiter_warning(found: str) -> ImageWarning:
    message = f"{found} is in the place of the sequence delimiter behind the fragments"
    return ImageWarning("no_sequence_delimiter", message)


def _find_end(source: ByteSource, offset: int, tag: int) -> tuple[str, int]:
    """Return what is in the place of a delimiter, empty if that is damage, and its end."""
    if tag == ITEM_DELIMITATION:
        return "an item delimiter", offset + SHORT_HEADER
    if tag in AFTER_PIXELS:
        return f"the element {format_tag(tag)}", offset
    return ("padding", source.size) if is_padding_to_end(source, offset) else ("", offset)
