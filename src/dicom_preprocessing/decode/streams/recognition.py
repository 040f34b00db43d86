"""The kind of a stream by its first bytes, whatever transfer syntax the file states."""

from __future__ import annotations

import struct
from typing import Final

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_preprocessing.decode.streams import jpeg_xl
from dicom_preprocessing.decode.streams.info import StreamError, StreamInfo
from dicom_preprocessing.decode.streams.jpeg import (
    LOSSLESS_SOF,
    SOF_JPEG_LS,
    START_OF_IMAGE,
    find_frame_marker,
    read_jpeg,
)
from dicom_preprocessing.decode.streams.jpeg_2000 import (
    CODESTREAM,
    JP2_SIGNATURE,
    codestream_of,
    is_htj2k,
    read_jpeg_2000,
)
from dicom_preprocessing.dicom.transfer_syntaxes import JPEG_XL

RECOGNITION_BYTES: Final = 4096
"""Bytes of a stream that are enough to recognise it."""

JPEG_MARKER: Final = START_OF_IMAGE + b"\xff"

RLE_HEADER: Final = 64
"""Bytes of the header of an RLE frame: the number of segments and 15 offsets (PS3.5 G.5)."""
MAX_RLE_SEGMENTS: Final = 15


def recognise_stream(head: bytes) -> UID | None:
    """Return a transfer syntax of the kind that a stream is of, None if it is not recognised.

    Parameters
    ----------
    head : bytes
        The stream, or its first bytes: a frame header of JPEG may follow long other segments.
    """
    if head.startswith(JPEG_MARKER):
        marker = find_frame_marker(head)
        if marker == SOF_JPEG_LS:
            return JPEGLSNearLossless
        return JPEGLosslessSV1 if marker in LOSSLESS_SOF else JPEGBaseline8Bit
    if head.startswith((CODESTREAM, JP2_SIGNATURE)):
        return HTJ2K if is_htj2k(head) else JPEG2000
    if head.startswith((jpeg_xl.CODESTREAM, jpeg_xl.CONTAINER)):
        return JPEG_XL[-1]
    return RLELossless if count_rle_segments(head) else None


def count_rle_segments(head: bytes) -> int:
    """Return the number of segments of an RLE frame, 0 if bytes do not start one (PS3.5 G.5)."""
    if len(head) < RLE_HEADER:
        return 0
    count, *offsets = struct.unpack_from("<16L", head)
    if not 1 <= count <= MAX_RLE_SEGMENTS or offsets[0] != RLE_HEADER:
        return 0
    used, unused = offsets[:count], offsets[count:]
    return count if used == sorted(set(used)) and not any(unused) else 0


def read_stream_shape(stream: bytes, samples: int) -> tuple[int, int, int] | None:
    """Return (rows, columns, components) of a stream whose header says them, else None.

    The number of components of JPEG XL follows far behind its size: ``samples`` is taken, and
    decoding compares.
    """
    kind = recognise_stream(stream[:RECOGNITION_BYTES])
    try:
        info: StreamInfo
        if kind in (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSNearLossless):
            info = read_jpeg(stream)
        elif kind in (JPEG2000, HTJ2K):
            info = read_jpeg_2000(codestream_of(stream))
        elif kind == JPEG_XL[-1]:
            return (*jpeg_xl.read_size(stream), samples)
        else:
            return None
    except StreamError:
        return None
    return info.rows, info.columns, info.components
