"""Markers of JPEG (ITU-T T.81 Annex B) and JPEG-LS streams (T.87 Annex C), mostly the same."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dicom_preprocessing.decode.streams.info import END, StreamError, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

START_OF_IMAGE: Final = b"\xff\xd8"

# T.81 Table B.1: C4, C8 and CC are DHT, JPG and DAC. Of the others, 3, 7, B and F are lossless.
SOF_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
LOSSLESS_SOF: Final = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
SOF_JPEG_LS: Final = 0xF7
FRAME_MARKERS: Final = SOF_MARKERS | {SOF_JPEG_LS}
SOS: Final = 0xDA
APP0, APP14 = 0xE0, 0xEE
FRAME_HEADER: Final = 9
"""Bytes of a frame header with one component."""

# T.81 B.1.1.2: any number of FF bytes may precede a marker; FF 00 is a coded byte FF.
NO_MARKER: Final = (0x00, 0xFF)
# TEM and RST0 to RST7 have no segment (T.81 B.1.1.3).
WITHOUT_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD8)))

JFIF: Final = b"JFIF\0"
ADOBE: Final = b"Adobe"
ADOBE_TRANSFORM: Final = 11
"""Offset of the colour transform in the Adobe segment."""

ADOBE_COLOUR: Final = {0: "RGB", 1: "YBR_FULL"}
"""Of three components, by transform (T.872 6.5.3); YCCK (2) is of four."""

RGB_NAMES: Final = (b"RGB", b"rgb")
"""Component identifiers of RGB from writers that leave out the Adobe marker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegInfo(StreamInfo):
    """Contents of the markers of a JPEG or JPEG-LS stream.

    Parameters
    ----------
    near : int or None
        By how much samples may differ from what was encoded (NEAR of JPEG-LS); None in other
        streams.
    adobe_colour : str or None
        RGB or YBR_FULL, by the last Adobe marker with a known transform.
    has_jfif : bool
        Whether there is a JFIF marker.
    names : bytes
        Identifiers of the components.
    sampling : bytes
        A byte per component: horizontal and vertical sampling factor in four bits each.
    """

    near: int | None
    adobe_colour: str | None
    has_jfif: bool
    names: bytes
    sampling: bytes


def read_jpeg(stream: bytes) -> JpegInfo:
    """Read the markers of a JPEG or JPEG-LS stream up to its first scan.

    Raises
    ------
    StreamError
        It is not such a stream, or ends before its first scan.
    """
    if not stream.startswith(START_OF_IMAGE):
        raise StreamError("no JPEG or JPEG-LS stream: it does not start with the marker FFD8")
    frame, kind, adobe_colour, has_jfif = b"", 0, None, False
    for marker, offset, segment in _iterate_segments(stream):
        if marker in SOF_MARKERS or marker == SOF_JPEG_LS:
            frame, kind = segment, marker
        # A later Adobe marker without a known transform does not undo an earlier one.
        elif marker == APP14 and segment.startswith(ADOBE) and len(segment) > ADOBE_TRANSFORM:
            adobe_colour = ADOBE_COLOUR.get(segment[ADOBE_TRANSFORM], adobe_colour)
        elif marker == APP0 and segment.startswith(JFIF):
            has_jfif = True
        elif marker == SOS and len(frame) >= FRAME_HEADER:
            near = _read_near(segment) if kind == SOF_JPEG_LS else None
            return _parse_frame_header(
                frame,
                is_lossless=kind in LOSSLESS_SOF or near == 0,
                near=near,
                # After the scan: a thumbnail in an APP segment has an end marker of its own.
                has_end_marker=stream.rfind(END) > offset,
                adobe_colour=adobe_colour,
                has_jfif=has_jfif,
            )
    raise StreamError("the stream ends before its first scan")


def _read_near(scan: bytes) -> int:
    """Return NEAR, by the header of a scan of JPEG-LS."""
    # Its last three bytes are NEAR, the interleave mode, and the point transform (T.87 Annex C).
    return int.from_bytes(scan[-3:-2], "big")


def _parse_frame_header(
    frame: bytes,
    *,
    is_lossless: bool,
    near: int | None,
    has_end_marker: bool,
    adobe_colour: str | None,
    has_jfif: bool,
) -> JpegInfo:
    """Parse a frame header (T.81 B.2.2): precision, rows, columns, number of components."""
    rows, columns = struct.unpack_from(">HH", frame, 1)
    count = frame[5]
    components = frame[6 : 6 + 3 * count]  # identifier, sampling and table of each
    return JpegInfo(
        rows=rows,
        columns=columns,
        components=count,
        precision=frame[0],
        is_lossless=is_lossless,
        near=near,
        has_end_marker=has_end_marker,
        adobe_colour=adobe_colour,
        has_jfif=has_jfif,
        names=components[0::3],
        sampling=components[1::3],
    )


def find_frame_marker(head: bytes) -> int | None:
    """Return the marker of the frame header in the first bytes of a stream, None without any."""
    markers = (marker for marker, _, _ in _iterate_segments(head))
    return next((marker for marker in markers if marker in FRAME_MARKERS), None)


def find_first_scan(stream: bytes) -> int:
    """Return the offset of the first scan of a JPEG or JPEG-LS stream, the end without any."""
    scans = (offset for marker, offset, _ in _iterate_segments(stream) if marker == SOS)
    return next(scans, len(stream))


def colour_by_marker(info: JpegInfo) -> dict[str, str | None]:
    """Return the colour of three components by each kind of marker, None if it gives none.

    ``decide`` takes one of them, or the header. Other numbers of components have no entry.
    """
    if info.components != len("RGB"):
        return {}
    return {
        "Adobe marker": info.adobe_colour,
        "JFIF marker": "YBR_FULL" if info.has_jfif else None,  # T.871 allows no RGB
        "component names": "RGB" if info.names in RGB_NAMES else None,
        # Only chroma is stored at a lower resolution.
        "sampling": "YBR_FULL" if len(set(info.sampling)) > 1 else None,
    }


def _iterate_segments(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield each marker with its offset and the content of its segment, up to the end."""
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
        offset += 2 + max(length, 2)  # the length counts its own two bytes; less is damage
