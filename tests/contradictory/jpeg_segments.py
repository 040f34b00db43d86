"""Marker segments of JPEG streams (ITU-T T.81 B.1.1.3), taken out and put in."""

import struct

JFIF = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0"
"""JFIF (ITU-T T.871): three components are YCbCr."""
START_OF_SCAN = 0xDA
APPLICATION = range(0xE0, 0xF0)
FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xF7)


def adobe(transform):
    """An Adobe segment (ITU-T T.872): transform 0 is RGB, 1 is YCbCr."""
    return b"\xff\xee" + struct.pack(">H", 14) + b"Adobe\0\x64\0\0\0\0" + bytes([transform])


def segments_of(stream):
    """The marker segments up to the scan, and the rest."""
    segments, offset = [], 2
    while True:
        (length,) = struct.unpack_from(">H", stream, offset + 2)
        segment = stream[offset : offset + 2 + length]
        segments.append(segment)
        offset += len(segment)
        if segment[1] == START_OF_SCAN:
            return segments, stream[offset:]


def with_markers(stream, *markers):
    """A stream with these application segments and no others; component names are 1, 2, 3."""
    segments, rest = segments_of(bytes(stream))
    kept = [_name_by_number(s) for s in segments if s[1] not in APPLICATION]
    return b"\xff\xd8" + b"".join([*markers, *kept]) + rest


def _name_by_number(segment):
    """A segment whose components R, G and B are called 1, 2 and 3."""
    start, step = {START_OF_SCAN: (5, 2), **dict.fromkeys(FRAMES, (10, 3))}.get(segment[1], (0, 0))
    changed = bytearray(segment)
    for i, name in enumerate(b"RGB"):
        at = start + i * step
        if start and at < len(changed) and changed[at] == name:
            changed[at] = i + 1
    return bytes(changed)
