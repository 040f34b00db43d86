"""DICOM files with a few bytes changed, the same for the same number.

What is changed is what readers trust: lengths of elements and items, attributes that count or
address something, the transfer syntax, the end of the file. The inside of a deflated file is
changed before it is deflated again, half of the time.
"""

import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.contradictory.parts import deflate
from tests.contradictory.sound import sound_files

LARGEST = 150_000
"""Bytes of a file that is used: of larger ones nearly every change would be in the pixels."""
HEADER = 3000
DEFLATED_SYNTAX = b"1.2.840.10008.1.2.1.99\0"
META_GROUP = re.compile(rb"DICM\x02\0\0\0UL\x04\0(....)", re.DOTALL)
EXPLICIT_LENGTH = re.compile(
    rb"(?:AE|AS|AT|CS|DA|DS|DT|FD|FL|IS|LO|LT|PN|SH|SL|SS|ST|TM|UI|UL|US)()..", re.DOTALL
)
LONG_LENGTH = re.compile(rb"(?:OB|OD|OF|OL|OV|OW|SQ|SV|UC|UN|UR|UT|UV)\0\0()....", re.DOTALL)
ITEM_LENGTH = re.compile(rb"\xfe\xff[\x00\x0d\xdd]\xe0()....", re.DOTALL)
SYNTAX = re.compile(rb"1\.2\.840\.10008\.1\.2(?:\.\d+)*")
UIDS = re.compile(rb"\x08\x00\x18\x00(?:UI..|....)([0-9.]{12,64})", re.DOTALL)

COUNT_TAGS = (
    *(0x00280002, 0x00280006, 0x00280008, 0x00280009, 0x00280010, 0x00280011, 0x00280034),
    *(0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120, 0x00280030, 0x00181164),
    *(0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281101, 0x00281201, 0x00281221),
    *(0x00283002, 0x00283006, 0x00283010, 0x7FE00001, 0x7FE00002, 0x7FE00003, 0x00020000),
    *(0x00280004, 0x00080005, 0x52009229, 0x52009230, 0x3004000C, 0x3004000E, 0x7FE00010),
)
"""Attributes that count, measure or address something, or name how values are read."""

EXTREMES = (0, 1, 2, 3, 7, 8, 12, 16, 17, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
LONG_EXTREMES = (*EXTREMES, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


@dataclass(frozen=True)
class Mutant:
    """A file and how it came about."""

    number: int
    origin: str
    changes: tuple[str, ...]
    content: bytes

    def __str__(self):
        return f"{self.number} ({self.origin}: {', '.join(self.changes)})"


def collect_originals(*folders):
    """Names and bytes of the files to change: of the folders, and a sound one of each kind."""
    paths = sorted(p for folder in folders for p in Path(folder).rglob("*.dcm") if p.is_file())
    small = [path for path in paths if 0 < path.stat().st_size <= LARGEST]
    sounds = [(name, sound.content) for name, sound in sound_files().items()]
    return [(path.name, path.read_bytes()) for path in small] + sounds


def make_mutant(originals, number):
    """The mutant of a number: up to three changes of one of the originals."""
    random = np.random.default_rng((22, number))
    name, content = originals[number % len(originals)]
    content = _with_own_uid(content, number)
    start = _find_deflated(content)
    is_inside = start is not None and random.random() < 0.5
    inside = bytearray(_inflate(content[start:]) if is_inside else content)
    changes = []
    for _ in range(random.integers(1, 4)):
        change = CHANGES[random.integers(len(CHANGES))]
        inside = change(inside, random)
        changes.append(change.__name__)
    made = content[:start] + deflate(bytes(inside)) if is_inside else bytes(inside)
    return Mutant(number, name, tuple(changes), made)


def _with_own_uid(content, number):
    """The file with a SOP Instance UID of its own, where that is readable as it is."""
    found = UIDS.search(content)
    if found is None:
        return content
    length = len(found[1].rstrip(b"."))
    own = b"1.2.1" + str(number).zfill(length - 5).encode()
    return content[: found.start(1)] + own + content[found.start(1) + length :]


def _find_deflated(content):
    """Where the deflated part of a file begins, None where it has none."""
    found = META_GROUP.search(content[:HEADER])
    if found is None or DEFLATED_SYNTAX not in content[:HEADER] + b"\0":
        return None
    return found.end() + struct.unpack("<I", found[1])[0]


def _inflate(stream):
    return zlib.decompressobj(-15).decompress(stream)


def flip_bits(content, random):
    for at in _some_places(content, random, random.integers(1, 9)):
        content[at] ^= 1 << int(random.integers(8))
    return content


def set_bytes(content, random):
    for at in _some_places(content, random, random.integers(1, 9)):
        content[at] = int(random.integers(256))
    return content


def cut_end(content, random):
    keep = int(random.integers(len(content) + 1))
    if random.random() < 0.5:  # near the end, where only a trailer or a few pixels are missing
        keep = max(0, len(content) - int(random.integers(1, 65)))
    return content[:keep]


def cut_middle(content, random):
    (at,) = _some_places(content, random, 1) or [0]
    return content[:at] + content[at + int(random.integers(1, 65)) :]


def repeat_middle(content, random):
    (at,) = _some_places(content, random, 1) or [0]
    return content[: at + int(random.integers(1, 257))] + content[at:]


def append_noise(content, random):
    return content + random.bytes(int(random.integers(1, 200)))


def set_length(content, random):
    """Rewrite the length of an element or item."""
    pattern, size = ((EXPLICIT_LENGTH, 2), (LONG_LENGTH, 4), (ITEM_LENGTH, 4))[random.integers(3)]
    places = [match.start(1) for match in pattern.finditer(content)]
    if places:
        _set_number(content, places[random.integers(len(places))], size, random)
    return content


def set_count(content, random):
    """Rewrite the value of an attribute that counts something, as number or as digits."""
    tag = COUNT_TAGS[random.integers(len(COUNT_TAGS))]
    order = "<" if random.random() < 0.8 else ">"
    key = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    at = content.find(key)
    if at < 0 or at + 12 > len(content):
        return content
    if content[at + 8 : at + 9].isdigit():
        content[at + 8] = ord("0123456789-.eE\\ \0"[random.integers(17)])
    else:
        _set_number(content, at + 8, int(random.choice([2, 4])), random, order)
    return content


def set_syntax(content, random):
    """State another transfer syntax, in as many bytes."""
    found = SYNTAX.search(content[:HEADER])
    if found is not None:
        suffixes = ("", ".1", ".2", ".5", ".1.99", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80")
        suffixes += (".4.81", ".4.90", ".4.91", ".4.201", ".4.100", ".4.112", ".8.1")
        stated = "1.2.840.10008.1.2" + suffixes[random.integers(len(suffixes))]
        length = found.end() - found.start()
        content[found.start() : found.end()] = stated.encode().ljust(length, b"\0")[:length]
    return content


CHANGES = (
    *(flip_bits, set_bytes, cut_end, cut_middle, repeat_middle, append_noise),
    *(set_length, set_length, set_count, set_count, set_count, set_syntax),
)


def _some_places(content, random, count):
    """Places of bytes, half of the time in the header, where most bytes decide something."""
    length = len(content)
    end = min(length, HEADER) if random.random() < 0.5 else length
    return random.integers(0, end, count).tolist() if end else []


def _set_number(content, at, size, random, order="<"):
    """Write an extreme number, or one near to what is there."""
    code = order + {2: "H", 4: "I"}[size]
    if at + size > len(content):
        return
    (before,) = struct.unpack_from(code, content, at)
    near = (before + int(random.integers(-4, 5))) % (1 << 8 * size)
    choices = (EXTREMES if size == 2 else LONG_EXTREMES) + (near,) * 4
    struct.pack_into(code, content, at, choices[random.integers(len(choices))])
