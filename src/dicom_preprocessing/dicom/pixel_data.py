"""The pixel data element: its location in a file, and reading of the parts that are needed."""

from __future__ import annotations

import os
import struct
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from dicom_preprocessing.dicom.detection import UNDEFINED_LENGTH
from dicom_preprocessing.errors import DecodeError, UnreadableError
from dicom_preprocessing.files import read_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.dataset import Dataset

KEYWORDS: Final = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}

ITEM: Final = 0xFFFEE000
SEQUENCE_DELIMITATION: Final = 0xFFFEE0DD
ITEM_HEADER: Final = 8
TAG_LENGTH: Final = 4
MAX_HEADER_LENGTH: Final = 12


class ByteSource(Protocol):
    """Bytes that can be read at any offset, by several threads."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end."""


class FileSource:
    """An open file, which is closed when nothing refers to the object."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = os.dup(descriptor)
        weakref.finalize(self, os.close, self.descriptor)
        self.size = os.fstat(descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end."""
        try:
            return read_at(self.descriptor, offset, max(0, min(length, self.size - offset)))
        except OSError as error:
            raise UnreadableError.from_os_error(error) from error


class PathSource:
    """A file that is opened for each read, since a volume may have more files than can be open."""

    def __init__(self, path: str | bytes | os.PathLike[str], size: int) -> None:
        self.path, self.size = path, size

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end."""
        try:
            with open(self.path, "rb", buffering=0) as file:
                return FileSource(file.fileno()).read(offset, length)
        except OSError as error:
            raise UnreadableError.from_os_error(error) from error


class MemorySource:
    """Bytes in memory."""

    def __init__(self, content: bytes | memoryview) -> None:
        self.content = content
        self.size = len(content)

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``, fewer at the end."""
        return bytes(self.content[offset : offset + length])


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
        None in implicit VR.
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

    def as_file(self) -> ValueFile:
        """Return the value as a file for pydicom's decoders."""
        return ValueFile(self.source, self.value)

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


class ValueFile:
    """A value as a file, with the methods that pydicom's decoders use."""

    def __init__(self, source: ByteSource, value: ByteRange) -> None:
        self.source, self.value = source, value
        self.position = 0

    def tell(self) -> int:
        """Return the offset of the next read."""
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the offset of the next read, and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.value.length}
        self.position = base[whence] + offset
        return self.position

    def read(self, length: int) -> bytes:
        """Read ``length`` bytes, fewer at the end."""
        length = max(0, min(length, self.value.length - self.position))
        content = self.source.read(self.value.offset + self.position, length)
        self.position += len(content)
        return content


def pixel_data_in(data_set: Dataset) -> PixelData | None:
    """Return the pixel data of a data set in memory, None if it has none."""
    for tag, keyword in KEYWORDS.items():
        element = data_set.get_item(tag) if tag in data_set else None
        if element is not None:
            value = element.value if isinstance(element.value, bytes) else b""
            return PixelData(
                keyword, element.VR, MemorySource(value), ByteRange(0, len(value)), len(value)
            )
    return None


def locate_pixel_data(
    source: ByteSource, offset: int, *, implicit: bool, little_endian: bool
) -> PixelData:
    """Read the header of a pixel data element, and those of the items of its value.

    Parameters
    ----------
    source : ByteSource
    offset : int
        Of the element.
    implicit, little_endian : bool
        Encoding of the data set.

    Raises
    ------
    DecodeError
        The file ends inside a header, or a value of undefined length does not consist of items.
    """
    head = source.read(offset, MAX_HEADER_LENGTH)
    order = "<" if little_endian else ">"
    # Offset and format of the length (PS3.5 7.1). An element without VR in letters is taken for
    # implicit, whatever the data set is.
    vr, length_start, length_format = None, 4, "L"
    if not implicit and head[4:6].isalpha():
        vr = head[4:6].decode("ascii", "replace")
        length_start, length_format = (8, "L") if vr in EXPLICIT_VR_LENGTH_32 else (6, "H")
    start = length_start + struct.calcsize(order + length_format)
    if len(head) < start:
        raise DecodeError("the file ends inside the pixel data")
    group, element = struct.unpack_from(f"{order}HH", head)
    (length,) = struct.unpack_from(f"{order}{length_format}", head, length_start)
    items, value = None, ByteRange(offset + start, min(length, source.size - offset - start))
    end = value.offset + length
    if length == UNDEFINED_LENGTH:
        rest = ByteRange(value.offset, source.size - value.offset)
        items, end = walk_items(source, rest, little_endian=little_endian)
        value = ByteRange(rest.offset, end - rest.offset)
    return PixelData(KEYWORDS[group << 16 | element], vr, source, value, end, items)


def walk_items(
    source: ByteSource, within: ByteRange, *, little_endian: bool = True
) -> tuple[tuple[ByteRange, ...], int]:
    """Read the headers of items up to a delimiter or the end (PS3.5 A.4).

    Returns
    -------
    (tuple of ByteRange, int)
        Values of the items, of which the last may be cut, and the offset of the next element.

    Raises
    ------
    DecodeError
        Something else than an item follows an item.
    """
    order = struct.Struct("<HHL" if little_endian else ">HHL")
    items: list[ByteRange] = []
    offset = within.offset
    while offset + ITEM_HEADER <= within.end:
        group, element, length = order.unpack(source.read(offset, ITEM_HEADER))
        tag = group << 16 | element
        offset += ITEM_HEADER
        if tag == SEQUENCE_DELIMITATION:
            break
        if tag != ITEM or length == UNDEFINED_LENGTH:
            raise DecodeError(f"no fragment at byte {offset - ITEM_HEADER} of the pixel data")
        items.append(ByteRange(offset, max(0, min(length, within.end - offset))))
        offset += length
    else:
        if within.end - offset >= TAG_LENGTH:
            raise DecodeError("the pixel data ends inside the header of a fragment")
    return tuple(items), min(offset, within.end)
