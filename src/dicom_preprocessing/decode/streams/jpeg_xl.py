"""Start of JPEG XL streams: signatures and the size of the image (ISO/IEC 18181-1 Annex D)."""

from __future__ import annotations

from typing import Final

from dicom_preprocessing.decode.streams.info import StreamError

CODESTREAM: Final = b"\xff\x0a"
CONTAINER: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
"""The first box of a file (ISO/IEC 18181-2)."""
CODESTREAM_BOXES: Final = {b"jxlc": 0, b"jxlp": 4}
"""Boxes with the stream, or a part of it, and the bytes before that (ISO/IEC 18181-2)."""
LONG_BOX: Final = 1
"""Size of a box whose size follows in 8 bytes."""

SIDE_BITS: Final = (9, 13, 18, 30)
"""Bits of a side less 1, by a selector of two bits."""
RATIOS: Final = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
"""Width to height, by a selector of three bits; 0 where the width is stated."""
SIZE_HEADER: Final = 10
"""Bytes of signature and size at most."""


class _Bits:
    """Bits of bytes, from the lowest of each on."""

    def __init__(self, content: bytes) -> None:
        self.number = int.from_bytes(content, "little")

    def take(self, count: int) -> int:
        value = self.number & ((1 << count) - 1)
        self.number >>= count
        return value


def read_size(stream: bytes) -> tuple[int, int]:
    """Return (rows, columns) of a JPEG XL stream, with or without boxes.

    Raises
    ------
    StreamError
        It is no such stream, or ends inside its header.
    """
    start = _find_codestream(stream) if stream.startswith(CONTAINER) else 0
    header = stream[start : start + len(CODESTREAM) + SIZE_HEADER]
    content = header.removeprefix(CODESTREAM)
    if len(content) != SIZE_HEADER:
        raise StreamError("no header of JPEG XL")
    bits = _Bits(content)
    is_small = bits.take(1) == 1
    rows = _read_side(bits, is_small=is_small)
    ratio = RATIOS.get(bits.take(3))
    if ratio is None:
        return rows, _read_side(bits, is_small=is_small)
    return rows, rows * ratio[0] // ratio[1]


def _find_codestream(stream: bytes) -> int:
    """Return where the stream starts in its boxes, the end if it is in none."""
    position = 0
    while 0 <= position < len(stream):
        head = stream[position : position + 16].ljust(16, b"\0")
        size, kind = int.from_bytes(head[:4]), head[4:8]
        start = position + 8
        if size == LONG_BOX:
            size, start = int.from_bytes(head[8:]), position + 16
        if kind in CODESTREAM_BOXES:
            start += CODESTREAM_BOXES[kind]
            # Else the size would go on in the next box.
            is_whole = not size or position + size >= start + len(CODESTREAM) + SIZE_HEADER
            return start if is_whole else len(stream)
        position += max(size, 8) if size else len(stream)  # 0: to the end
    return len(stream)


def _read_side(bits: _Bits, *, is_small: bool) -> int:
    if is_small:
        return (bits.take(5) + 1) * 8
    return bits.take(SIDE_BITS[bits.take(2)]) + 1
