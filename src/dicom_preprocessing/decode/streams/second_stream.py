"""A second stream behind the first one, in the fragments of one frame."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np

from dicom_preprocessing.decode.streams import jpeg_xl
from dicom_preprocessing.decode.streams.info import StreamError
from dicom_preprocessing.decode.streams.jpeg import START_OF_IMAGE, find_first_scan
from dicom_preprocessing.decode.streams.jpeg_2000 import (
    CODESTREAM,
    JP2_SIGNATURE,
    SOT_LENGTH,
    codestream_of,
    read_jpeg_2000,
)
from dicom_preprocessing.decode.streams.recognition import (
    JPEG_MARKER,
    RLE_HEADER,
    count_rle_segments,
    read_stream_shape,
)

JPEG_XL_HEAD: Final = 8
"""First bytes of a JPEG XL stream, which those of one size and depth have in common."""

RLE_HEAD: Final = 8
"""Bytes of the number of segments and the first offset, which RLE frames have in common."""


MAX_CANDIDATES: Final = 8
"""Signatures behind the first stream that are looked at."""
MAX_HEAD: Final = 1 << 16
"""Bytes of a JPEG stream that have its size, if it is one of many in a fragment."""

SHORT: Final = 4096
"""Bytes of a stream that bytes.find searches in less time than numpy needs for its first byte."""


def find_second_stream(stream: bytes, samples: int) -> int | None:
    """Find another stream of the same size behind the first one, None if there is none.

    What else follows a stream is padding, or a picture of another size, which decoders ignore.

    Parameters
    ----------
    stream : bytes
        Fragments of a frame, joined.
    samples : int
        Samples per Pixel.

    Returns
    -------
    int or None
        Offset of the second stream.
    """
    try:
        if stream.startswith(JPEG_MARKER):
            # A thumbnail may be in a segment before the first scan; in a scan there is no such
            # marker (T.81 B.1.1.5, T.87 A.1).
            scan = find_first_scan(stream) if len(stream) >= SHORT else len(START_OF_IMAGE)
            if not _may_have(stream, "<u2", START_OF_IMAGE, scan):
                return None
            signature, start = JPEG_MARKER, find_first_scan(stream)
        elif stream.startswith((CODESTREAM, JP2_SIGNATURE)):
            signature, start = CODESTREAM, _find_end_of_jpeg_2000(stream)
        elif stream.startswith((jpeg_xl.CODESTREAM, jpeg_xl.CONTAINER)):
            signature, start = stream[:JPEG_XL_HEAD], JPEG_XL_HEAD
        else:
            return _find_second_rle_frame(stream)
    except StreamError:  # decoding raises it again
        return None
    at = stream.find(signature, start)
    shape = read_stream_shape(stream, samples) if at >= 0 else None
    # Hostile bytes may have a signature in every few.
    for _ in range(MAX_CANDIDATES):
        if at < 0:
            break
        head = stream[at : at + MAX_HEAD] if signature == JPEG_MARKER else stream[at:]
        if read_stream_shape(head, samples) == shape:
            return at
        at = stream.find(signature, at + 1)
    return None


def _find_end_of_jpeg_2000(stream: bytes) -> int:
    """Return the offset behind a codestream, or one inside it where it does not tell its end.

    Raises
    ------
    StreamError
        It is damaged.
    """
    codestream = codestream_of(stream)
    start = len(stream) - len(codestream)
    info = read_jpeg_2000(codestream)
    # A last tile-part without a length goes to the last end marker, which is that of both streams.
    return start + (info.end if info.is_measured else SOT_LENGTH)


def _find_second_rle_frame(stream: bytes) -> int | None:
    """Find another RLE frame with as many segments, None too if the first bytes are not of RLE."""
    count = count_rle_segments(stream[:RLE_HEADER])
    if not count:
        return None
    (last,) = struct.unpack_from("<L", stream, 4 * count)  # the offset of the last segment
    if len(stream) - last >= SHORT and not _may_have_zeros(
        stream, last, RLE_HEADER - 4 - 4 * count
    ):
        return None
    # The first offset of every header is the same. Segments have even lengths (PS3.5 G.3.1).
    if not _may_have(stream, "<u4", stream[4:RLE_HEAD], last):
        return None
    at = stream.find(stream[:RLE_HEAD], last)
    while at >= 0 and count_rle_segments(stream[at : at + RLE_HEADER]) != count:
        at = stream.find(stream[:RLE_HEAD], at + 1)
    return at if at >= 0 else None


def _may_have_zeros(stream: bytes, start: int, length: int) -> bool:
    """Whether ``length`` zeros may follow each other from ``start`` on.

    A header of RLE ends with the offsets of segments that it does not have (PS3.5 G.5): 0, which
    encoders turn into runs elsewhere. One number in so many is enough to see a header: a twentieth
    of the time of looking at all of them.
    """
    size = 8
    step = (length - size) // size
    if step < 1:
        return True
    numbers = np.frombuffer(stream, "<u8", (len(stream) - start) // size, start)
    return not numbers[::step].all()


def _may_have(stream: bytes, dtype: str, part: bytes, start: int) -> bool:
    """Whether a stream has ``part``, the bytes of a number, from ``start`` on.

    At any offset for two bytes, at even ones for four. A fifth of the time of bytes.find, which
    would be a tenth of that of a lossless JPEG decoder.
    """
    if len(stream) < SHORT:
        return stream.find(part, start) >= 0
    number, size = int.from_bytes(part, "little"), len(part)
    for offset in (start, start + size // 2):
        count = (len(stream) - offset) // size
        if count > 0:
            numbers: np.ndarray[Any, Any] = np.frombuffer(stream, dtype, count, offset)
            if (numbers == number).any():
                return True
    return False
