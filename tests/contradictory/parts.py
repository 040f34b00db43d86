"""A DICOM file taken apart, so that one part can be replaced and the others stay.

Nothing is checked: the parts of a file that is put together may contradict each other.
"""

import copy
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

PIXELS = {"FloatPixelData": 0x7FE00008, "DoubleFloatPixelData": 0x7FE00009, "PixelData": 0x7FE00010}
UNDEFINED = 0xFFFFFFFF
LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
DELIMITER = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
"""Sequence Delimitation Item (PS3.5 7.5)."""
SWAPPED = {"OW": 2, "OF": 4, "OD": 8}
"""Bytes that are swapped together in big endian (PS3.5 7.3)."""


def deflate(content):
    """The raw stream of RFC 1951 (PS3.5 A.5), of even length."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = compressor.compress(content) + compressor.flush()
    return stream + b"\0" * (len(stream) % 2)


@dataclass(frozen=True)
class Encoding:
    """How elements are written."""

    implicit: bool = False
    little_endian: bool = True

    @property
    def order(self):
        return "<" if self.little_endian else ">"


IMPLICIT, EXPLICIT, BIG = Encoding(implicit=True), Encoding(), Encoding(little_endian=False)
ENCODING_OF = {ImplicitVRLittleEndian: IMPLICIT, ExplicitVRBigEndian: BIG}
"""Of transfer syntaxes; all others are explicit little endian."""


@dataclass(frozen=True)
class Parts:
    """A file in parts.

    Parameters
    ----------
    elements : Dataset
        Without file meta information and pixel data.
    keyword : str
        Of the pixel data element.
    vr : str
        Of the pixel data element.
    value : bytes
        Native pixels, in little endian.
    items : tuple of bytes or None
        Of encapsulated pixel data; the first is the basic offset table.
    encoding : Encoding
        Of the data set.
    stated : UID or None
        Transfer Syntax UID; None leaves it out.
    deflate : callable or None
        What becomes of the bytes of the data set.
    """

    elements: Dataset
    keyword: str
    vr: str
    value: bytes
    items: tuple[bytes, ...] | None
    encoding: Encoding
    stated: UID | None
    deflate: Callable[[bytes], bytes] | None = None
    preamble: bytes = b"\0" * 128 + b"DICM"
    has_meta: bool = True
    group_length: int | None = None
    before_pixels: bytes = b""
    pixel_length: int | None = None
    delimiter: bytes = DELIMITER
    behind: bytes = b""
    cut: int = 0

    def put_together(self):
        """The bytes of the file."""
        body = encode_elements(self.elements, self.encoding) + self.before_pixels
        body += self._pixel_element()
        body = body[: len(body) - self.cut] + self.behind
        if self.deflate is not None:
            body = self.deflate(body)
        meta = encode_meta(self.elements, self.stated, self.group_length) if self.has_meta else b""
        return self.preamble + meta + body

    def _pixel_element(self):
        tag, encoding = PIXELS[self.keyword], self.encoding
        if self.items is None:
            value = self.value
            if not encoding.little_endian:
                value = swap(value, self._swapped_together())
            return element(tag, self.vr, value, encoding, length=self.pixel_length)
        value = b"".join(map(item, self.items)) + self.delimiter
        length = UNDEFINED if self.pixel_length is None else self.pixel_length
        return element(tag, self.vr, value, encoding, length=length)

    def _swapped_together(self):
        # Pixels of 32 bits are in words of 16, but every reader takes them as one number.
        wide = self.vr == "OW" and self.elements.get("BitsAllocated", 8) > 16
        return 4 if wide else SWAPPED.get(self.vr, 1)

    def with_(self, **changes):
        """These parts with others in their place."""
        return replace(self, **changes)

    def having(self, **attributes):
        """These parts with other attributes; None removes one."""
        elements = copy.deepcopy(self.elements)
        for keyword, value in attributes.items():
            if value is None:
                elements.pop(keyword, None)
            else:
                set_attribute(elements, keyword, value)
        return replace(self, elements=elements)

    def edited(self, edit):
        """These parts after ``edit`` of a copy of the elements."""
        elements = copy.deepcopy(self.elements)
        edit(elements)
        return replace(self, elements=elements)


def take_apart(content):
    """The parts of a sound file."""
    with pydicom.config.disable_value_validation():
        data_set = pydicom.dcmread(io.BytesIO(content), force=True)
    syntax = data_set.file_meta.TransferSyntaxUID
    keyword = next(k for k in PIXELS if k in data_set)
    pixels = data_set[keyword]
    items = items_of(pixels.value) if pixels.is_undefined_length else None
    encoding = ENCODING_OF.get(syntax, EXPLICIT)
    elements = Dataset()
    for one in data_set:
        if one.keyword != keyword:
            elements.add(one)
    vr = pixels.VR if pixels.VR != "OB or OW" else "OW"
    deflated = deflate if syntax == DeflatedExplicitVRLittleEndian else None
    parts = Parts(elements, keyword, vr, pixels.value, items, encoding, syntax, deflated)
    if encoding.little_endian:
        return parts
    swap_words(elements)
    return replace(parts, value=swap(pixels.value, parts._swapped_together()))


def items_of(value):
    """The items of encapsulated pixel data."""
    items, offset = [], 0
    while offset + 8 <= len(value):
        group, number, length = struct.unpack_from("<HHL", value, offset)
        if (group, number) != (0xFFFE, 0xE000):
            break
        items.append(value[offset + 8 : offset + 8 + length])
        offset += 8 + length
    return tuple(items)


def set_attribute(elements, keyword, value):
    """Set an attribute by keyword, also to a value that its VR does not allow."""
    with pydicom.config.disable_value_validation():
        if isinstance(value, list) and value and isinstance(value[0], Dataset):
            value = Sequence(value)
        setattr(elements, keyword, value)


def encode_elements(elements, encoding):
    """The bytes of a data set without pixel data."""
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = encoding.implicit, encoding.little_endian
    copied = copy.deepcopy(elements)
    if not encoding.little_endian:
        swap_words(copied)
    with pydicom.config.disable_value_validation():
        write_dataset(file, copied)
    return file.getvalue()


def swap_words(elements):
    """Swap the bytes of each word in values that pydicom leaves as bytes (PS3.5 7.3)."""
    for one in elements:
        if one.VR == "SQ":
            for of_sequence in one.value:
                swap_words(of_sequence)
        elif one.VR in SWAPPED and isinstance(one.value, bytes):
            one.value = swap(one.value, SWAPPED[one.VR])


def swap(value, size):
    """Reverse each ``size`` bytes."""
    if size == 1:
        return value
    padded = value + b"\0" * (-len(value) % size)
    return np.frombuffer(padded, f"<u{size}").astype(f">u{size}").tobytes()


def encode_meta(elements, stated, group_length=None):
    """The file meta information (PS3.10 7.1)."""
    uids = {
        0x00020002: elements.get("SOPClassUID", ""),
        0x00020003: elements.get("SOPInstanceUID", ""),
        0x00020010: stated,
        0x00020012: "1.2.826.0.1.3680043.8.498.1",
    }
    rest = element(0x00020001, "OB", b"\0\1")
    for tag, uid in uids.items():
        if uid is not None:
            rest += element(tag, "UI", uid.encode() + b"\0" * (len(uid) % 2))
    length = len(rest) if group_length is None else group_length
    return element(0x00020000, "UL", struct.pack("<L", length)) + rest


def element(tag, vr, value, encoding=EXPLICIT, *, length=None):
    """The bytes of one element (PS3.5 7.1); ``length`` is what its header says."""
    length = len(value) if length is None else length
    order = encoding.order
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if encoding.implicit:
        return head + struct.pack(f"{order}L", length) + value
    name = vr.encode()
    if vr in LONG:
        return head + name + struct.pack(f"{order}HL", 0, length) + value
    return head + name + struct.pack(f"{order}H", length) + value


def item(value, *, length=None):
    """The bytes of an item, of even length."""
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(value) if length is None else length) + value


def offset_table(frames):
    """The basic offset table of frames that are lists of fragments."""
    starts, offset = [], 0
    for fragments in frames:
        starts.append(offset)
        offset += sum(8 + len(f) + len(f) % 2 for f in fragments)
    return struct.pack(f"<{len(starts)}L", *starts)
