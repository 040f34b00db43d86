"""The pixel data element: where it lies in a file, to be read when and as far as it is needed."""

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
    """Bytes that can be read from any place."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``, less at the end."""


class FileSource:
    """An open file; closed when nothing refers to it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = os.dup(descriptor)
        weakref.finalize(self, os.close, self.descriptor)
        self.size = os.fstat(descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``, less at the end."""
        try:
            return read_at(self.descriptor, offset, max(0, min(length, self.size - offset)))
        except OSError as error:
            raise UnreadableError.from_os_error(error) from error


class PathSource:
    """A file that is opened for each read: there may be more of them than can be open at once."""

    def __init__(self, path: str | bytes | os.PathLike[str], size: int) -> None:
        self.path, self.size = path, size

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``, less at the end."""
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
        """Up to ``length`` bytes from ``offset``, less at the end."""
        return bytes(self.content[offset : offset + length])


class ByteRange(NamedTuple):
    """A part of a source."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True, eq=False)
class PixelData:
    """A pixel data element.

    Parameters
    ----------
    keyword : str
        PixelData, FloatPixelData or DoubleFloatPixelData.
    vr : str or None
        As the file has it; None in implicit VR.
    source : ByteSource
    value : ByteRange
        What is there of the value.
    end : int
        Where the next element starts.
    items : tuple of ByteRange or None
        Values of the items of a value of undefined length.
    """

    keyword: str
    vr: str | None
    source: ByteSource
    value: ByteRange
    end: int
    items: tuple[ByteRange, ...] | None = None

    def stream(self, parts: Iterable[ByteRange]) -> bytes:
        """Parts of the source, joined."""
        return b"".join(self.source.read(*part) for part in parts)

    def as_file(self) -> ValueFile:
        """The value as pydicom reads it."""
        return ValueFile(self.source, self.value)

    def fragments(self) -> tuple[ByteRange, ...]:
        """Values of the items of encapsulated pixel data, the first a basic offset table.

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
    """A value as a file to read from, as far as pydicom's decoders ask."""

    def __init__(self, source: ByteSource, value: ByteRange) -> None:
        self.source, self.value = source, value
        self.position = 0

    def tell(self) -> int:
        """Where the next read starts."""
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set where the next read starts."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.value.length}
        self.position = base[whence] + offset
        return self.position

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes, less at the end."""
        length = max(0, min(length, self.value.length - self.position))
        content = self.source.read(self.value.offset + self.position, length)
        self.position += len(content)
        return content


def pixel_data_in(data_set: Dataset) -> PixelData | None:
    """The pixel data of a data set in memory."""
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
        Where the element starts.
    implicit, little_endian : bool
        How the data set is encoded.

    Raises
    ------
    DecodeError
        The file ends in it, or items of undefined length are none.
    """
    head = source.read(offset, MAX_HEADER_LENGTH)
    order = "<" if little_endian else ">"
    vr, at, form = None, 4, "L"
    if not implicit and head[4:6].isalpha():
        vr = head[4:6].decode("ascii", "replace")
        at, form = (8, "L") if vr in EXPLICIT_VR_LENGTH_32 else (6, "H")
    start = at + struct.calcsize(order + form)
    if len(head) < start:
        raise DecodeError("the file ends inside the pixel data")
    group, element = struct.unpack_from(f"{order}HH", head)
    (length,) = struct.unpack_from(f"{order}{form}", head, at)
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
    """Values of items up to a delimiter or the end, and where the next element starts.

    The last item may be cut.

    Raises
    ------
    DecodeError
        Something else follows an item.
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
