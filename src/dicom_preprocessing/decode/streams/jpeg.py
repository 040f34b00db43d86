"""Markers of JPEG (ITU-T T.81 Annex B) and JPEG-LS streams (T.87 Annex C), which has most alike."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dicom_preprocessing.decode.streams.info import END, StreamError, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

START_OF_IMAGE: Final = b"\xff\xd8"

SOF_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
LOSSLESS_SOF: Final = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
SOF_JPEG_LS: Final = 0xF7
SOS: Final = 0xDA
APP0, APP14 = 0xE0, 0xEE
FRAME_HEADER: Final = 9
"""Bytes of a frame header with one component."""

NO_MARKER: Final = (0x00, 0xFF)
WITHOUT_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD8)))

JFIF: Final = b"JFIF\0"
ADOBE: Final = b"Adobe"
ADOBE_TRANSFORM: Final = 11
"""Where the Adobe segment tells the colour transform."""

ADOBE_COLOUR: Final = {0: "RGB", 1: "YBR_FULL"}
"""By the transform, of three components (T.872 6.5.3). YCCK (2) and others tell nothing of them."""

RGB_NAMES: Final = (b"RGB", b"rgb")
"""Component identifiers by which writers without an Adobe marker say RGB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegInfo(StreamInfo):
    """What the markers of a JPEG or JPEG-LS stream tell.

    Parameters
    ----------
    adobe_colour : str or None
        RGB or YBR_FULL, by the transform of the last Adobe marker with a known one.
    has_jfif : bool
        There is a JFIF marker.
    names : bytes
        Identifiers of the components.
    sampling : bytes
        Sampling factors of the components, horizontal and vertical in a byte.
    """

    adobe_colour: str | None
    has_jfif: bool
    names: bytes
    sampling: bytes


def read_jpeg(stream: bytes) -> JpegInfo:
    """Read the markers of a JPEG or JPEG-LS stream up to its first scan.

    Raises
    ------
    StreamError
        It is no such stream, or ends before its first scan.
    """
    if not stream.startswith(START_OF_IMAGE):
        raise StreamError("no JPEG or JPEG-LS stream: it does not start with the marker FFD8")
    frame, kind, adobe_colour, has_jfif = b"", 0, None, False
    for marker, offset, segment in _segments(stream):
        if marker in SOF_MARKERS or marker == SOF_JPEG_LS:
            frame, kind = segment, marker
        elif marker == APP14 and segment.startswith(ADOBE) and len(segment) > ADOBE_TRANSFORM:
            adobe_colour = ADOBE_COLOUR.get(segment[ADOBE_TRANSFORM], adobe_colour)
        elif marker == APP0 and segment.startswith(JFIF):
            has_jfif = True
        elif marker == SOS and len(frame) >= FRAME_HEADER:
            return _info_of(
                frame,
                is_lossless=_is_lossless(kind, segment),
                has_end_marker=stream.rfind(END) > offset,
                adobe_colour=adobe_colour,
                has_jfif=has_jfif,
            )
    raise StreamError("the stream ends before its first scan")


def _is_lossless(kind: int, scan: bytes) -> bool:
    """By the frame's marker; a JPEG-LS scan tells NEAR, by how much samples may be off (T.87)."""
    return scan[-3:-2] == b"\0" if kind == SOF_JPEG_LS else kind in LOSSLESS_SOF


def _info_of(
    frame: bytes,
    *,
    is_lossless: bool,
    has_end_marker: bool,
    adobe_colour: str | None,
    has_jfif: bool,
) -> JpegInfo:
    """What a frame header (T.81 B.2.2) tells, and what is known besides."""
    rows, columns = struct.unpack_from(">HH", frame, 1)
    count = frame[5]
    components = frame[6 : 6 + 3 * count]  # name, sampling and table of each
    return JpegInfo(
        rows=rows,
        columns=columns,
        components=count,
        precision=frame[0],
        is_lossless=is_lossless,
        has_end_marker=has_end_marker,
        adobe_colour=adobe_colour,
        has_jfif=has_jfif,
        names=components[0::3],
        sampling=components[1::3],
    )


def colour_by_marker(info: JpegInfo) -> dict[str, str | None]:
    """What the parts of a JPEG stream say that its three components are, None for nothing.

    Who wins is decided where the header is known too. Of other numbers of components no part says
    anything.
    """
    if info.components != len("RGB"):
        return {}
    return {
        "Adobe marker": info.adobe_colour,
        "JFIF marker": "YBR_FULL" if info.has_jfif else None,  # all that T.871 allows
        "component names": "RGB" if info.names in RGB_NAMES else None,
        # Only chroma is stored at a lower resolution.
        "sampling": "YBR_FULL" if len(set(info.sampling)) > 1 else None,
    }


def _segments(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Markers with the place and content of their segments, as far as they go."""
    offset = len(START_OF_IMAGE)
    while offset + 4 <= len(stream):
        marker = stream[offset + 1]
        if stream[offset] != 0xFF or marker in NO_MARKER:  # noqa: PLR2004  # fill bytes
            offset += 1
            continue
        if marker in WITHOUT_LENGTH:
            offset += 2
            continue
        (length,) = struct.unpack_from(">H", stream, offset + 2)
        yield marker, offset, stream[offset + 4 : offset + 2 + length]
        offset += 2 + max(length, 2)
