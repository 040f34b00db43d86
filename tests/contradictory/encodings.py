"""The data set against what the file states about its encoding, and elements that do not parse."""

import gzip
import struct
import zlib
from dataclasses import replace

import numpy as np
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.contradictory.kinds import Expected, contradiction
from tests.contradictory.parts import (
    BIG,
    DELIMITER,
    EXPLICIT,
    IMPLICIT,
    UNDEFINED,
    deflate,
    element,
    encode_elements,
    item,
)

NATIVE_SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
}
ENCODINGS = {"implicit": IMPLICIT, "explicit": EXPLICIT, "big": BIG}


def is_plain(sound):
    """Whether it is native and not deflated."""
    return sound.is_native and sound.syntax != DeflatedExplicitVRLittleEndian


def is_deflated(sound):
    return sound.syntax == DeflatedExplicitVRLittleEndian


def is_any(sound):
    return True


def is_explicit(sound):
    return sound.syntax == ExplicitVRLittleEndian


def is_encapsulated(sound):
    return not sound.is_native


def is_little_or_encapsulated(sound):
    return sound.syntax not in (ImplicitVRLittleEndian, ExplicitVRBigEndian)


@contradiction(
    row="encoding",
    clause="PS3.10 7.1, PS3.5 A.1 to A.3: the encoding that the data set has",
    applies=is_plain,
    variants=NATIVE_SYNTAXES,
    warns=("encoding_contradicts_syntax",),
)
def other_native_syntax_stated(sound, syntax):
    """The data set has one encoding, and Transfer Syntax UID names another one."""
    return None if sound.syntax == syntax else sound.parts.with_(stated=syntax)


@contradiction(
    row="encoding",
    clause="PS3.5 A.4: encapsulated pixel data is in explicit VR little endian",
    applies=is_encapsulated,
    warns=("encoding_contradicts_syntax",),
)
def encapsulated_in_implicit(sound):
    """Fragments in a data set of implicit VR, under the UID of their codec."""
    return sound.parts.with_(encoding=IMPLICIT)


@contradiction(
    row="encoding_of_items",
    clause="PS3.5 7.5: items are encoded as the data set is",
    applies=lambda sound: sound.is_enhanced and is_plain(sound),
    variants=ENCODINGS,
    warns=("encoding_contradicts_syntax",),
)
def items_of_other_encoding(sound, encoding):
    """Functional groups of frames in another encoding than the data set."""
    own = sound.parts.encoding
    # Elements without a VR among those with one are read as they are (``scanning``).
    if encoding == own or (own, encoding) == (EXPLICIT, IMPLICIT):
        return None
    keyword = "PerFrameFunctionalGroupsSequence"
    frames = sound.parts.elements[keyword]
    items = b"".join(
        element(0xFFFEE000, "", encode_elements(frame, encoding), replace(encoding, implicit=True))
        for frame in frames.value
    )
    groups = element(frames.tag, "SQ", items, own)
    return sound.parts.having(**{keyword: None}).with_(before_pixels=groups)


@contradiction(
    row="transfer_syntax_uid",
    clause="PS3.10 7.1: a file without meta information has the encoding that its elements have",
    applies=is_plain,
    variants={"nothing": (b"", False), "meta": (b"", True), "prefix": (None, False)},
)
def preamble_or_meta_missing(sound, variant):
    """Neither preamble nor meta information, no preamble, or no meta information."""
    preamble, has_meta = variant
    kept = sound.parts.preamble if preamble is None else preamble
    return sound.parts.with_(preamble=kept, has_meta=has_meta)


@contradiction(
    clause="PS3.10 7.1: without meta information the stream says what it is",
    applies=is_encapsulated,
    variants={"nothing": b"", "prefix": None},
    errors=("decode_error", "unsupported_transfer_syntax"),
)
def encapsulated_without_meta(sound, preamble):
    """Compressed frames in a file that does not say by which codec."""
    kept = sound.parts.preamble if preamble is None else preamble
    return sound.parts.with_(preamble=kept, has_meta=False)


@contradiction(
    row="transfer_syntax_uid",
    clause="PS3.10 7.1: Transfer Syntax UID is of type 1",
    applies=is_plain,
    may_warn=("encoding_contradicts_syntax",),
)
def transfer_syntax_missing(sound):
    """Meta information without a Transfer Syntax UID."""
    return sound.parts.with_(stated=None)


@contradiction(
    clause="PS3.10 7.1: the group length counts bytes, elements have their own lengths",
    applies=is_any,
    variants={"zero": 0, "short": 20, "long": 4000, "longest": 0xFFFFFFF0},
    may_warn=("encoding_contradicts_syntax",),
)
def wrong_group_length(sound, length):
    """Group length of the meta information that is not that of its elements."""
    return sound.parts.with_(group_length=length)


@contradiction(
    clause="PS3.5 7.2: group lengths of other groups are retired and say nothing",
    applies=is_any,
    variants={"zero": 0, "long": 1 << 20},
)
def wrong_length_of_other_group(sound, length):
    """A wrong group length in group 0029, in front of the pixel data."""
    encoding = sound.parts.encoding
    value = struct.pack(f"{encoding.order}L", length)
    return _with_element(sound, element(0x00290000, "UL", value, encoding))


def gzip_members(content):
    """A gzip stream of several members (RFC 1952 2.2), an empty one among them."""
    parts = (content[:700], b"", content[700:])
    return b"".join(gzip.compress(part, mtime=0) for part in parts)


WRAPPERS = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "members": gzip_members,
    "not": None,
}


@contradiction(
    row="deflate_wrapper",
    clause="PS3.5 A.5: a raw stream of RFC 1951",
    applies=is_deflated,
    variants=WRAPPERS,
    warns=("encoding_contradicts_syntax",),
)
def other_wrapper(sound, wrapper):
    """A zlib or gzip stream, or no compression, under the deflated syntax."""
    return sound.parts.with_(deflate=wrapper)


@contradiction(
    clause="PS3.5 A.5: deflated only under its own UID",
    applies=is_deflated,
    variants=NATIVE_SYNTAXES,
    warns=("encoding_contradicts_syntax",),
    errors=("damaged",),
)
def deflated_under_other_syntax(sound, syntax):
    """A deflated data set under a syntax that is not."""
    return sound.parts.with_(stated=syntax)


@contradiction(
    row="trailing_bytes",
    clause="PS3.5 A.5: the stream ends where it says so",
    applies=is_deflated,
    variants={"zeros": b"\0" * 64, "blanks": b" " * 33, "text": b"END OF FILE\r\n"},
    warns=("trailing_bytes",),
)
def bytes_behind_deflated(sound, behind):
    """Bytes behind the deflated stream."""
    return sound.parts.with_(deflate=lambda content: deflate(content) + behind)


@contradiction(
    row="unknown_vr",
    clause="PS3.5 7.1.2: a value representation of no list has a length of 32 bits",
    applies=is_little_or_encapsulated,
    variants={"ZZ": b"ZZ", "QX": b"QX", "AB": b"AB"},
    warns=("unknown_vr",),
)
def unknown_vr_long(sound, vr):
    """A value representation of no list, with a length of 32 bits."""
    raw = struct.pack("<HH2sHL", 0x0029, 0x1001, vr, 0, 6) + b"ABCDEF"
    return _with_element(sound, _creator(sound) + raw)


@contradiction(
    row="unknown_vr",
    clause="PS3.5 7.1.2: such a length has 32 bits; a reader may see that it has 16 here",
    applies=is_little_or_encapsulated,
    variants={"ZZ": b"ZZ", "QX": b"QX"},
    warns=("unknown_vr", "unparsable_element"),
    errors=("damaged",),
)
def unknown_vr_short(sound, vr):
    """A value representation of no list, with a length of 16 bits."""
    raw = struct.pack("<HH2sH", 0x0029, 0x1001, vr, 6) + b"ABCDEF"
    return _with_element(sound, _creator(sound) + raw)


@contradiction(
    row="unknown_vr",
    clause="PS3.5 7.1.2: a value representation is two letters in capitals",
    applies=is_little_or_encapsulated,
    variants={
        "blanks": b"  ",
        "nul": b"\0\0",
        "marks": b"??",
        "lower": b"zz",
        "digit": b"Q1",
    },
    warns=("unknown_vr", "unparsable_element"),
    errors=("damaged",),
)
def vr_without_capitals(sound, vr):
    """An element whose value representation is not two capitals, with a length of 32 bits."""
    raw = struct.pack("<HH2sHL", 0x0029, 0x1001, vr, 0, 6) + b"ABCDEF"
    return _with_element(sound, _creator(sound) + raw)


def _with_pixel_header(sound, vr, behind=b""):
    """The file with another VR of its pixel data element, None for none; with bytes behind it."""
    parts, head = sound.parts, _head_length(sound)
    whole, order = parts.put_together(), parts.encoding.order
    size = 8 if parts.encoding.implicit else 12
    length = UNDEFINED if parts.items is not None else len(parts.value)
    stated = b"" if vr is None else vr + b"\0\0"
    header = whole[head : head + 4] + stated + struct.pack(f"{order}L", length)
    return whole[:head] + header + whole[head + size :] + behind


@contradiction(
    row="vr_of_pixel_data",
    clause="PS3.5 7.1: all elements of a data set have one encoding",
    applies=lambda sound: is_encapsulated(sound) or is_explicit(sound),
    warns=("encoding_contradicts_syntax",),
)
def pixel_data_in_implicit(sound):
    """A pixel data element without VR in a data set of explicit VR."""
    return _with_pixel_header(sound, None)


@contradiction(
    row="vr_of_pixel_data",
    clause="PS3.5 7.1: all elements of a data set have one encoding",
    applies=lambda sound: sound.syntax == ImplicitVRLittleEndian,
    variants={"OB": b"OB", "OW": b"OW", "UN": b"UN", "ZZ": b"ZZ"},
    warns=("encoding_contradicts_syntax",),
    may_warn=("unknown_vr",),
)
def pixel_data_in_explicit(sound, vr):
    """A pixel data element with a VR in a data set of implicit VR."""
    return _with_pixel_header(sound, vr)


ODD_VRS = {
    "ZZ": b"ZZ",
    "lower": b"ow",
    "nul": b"\0\0",
    "numbers": b"\1\2",
    "even": b"\2\2",
    "marks": b"--",
    "digit": b"O8",
}


@contradiction(
    row="unknown_vr_of_pixel_data",
    clause="PS3.5 7.1.2: a value representation of no list has a length of 32 bits",
    applies=lambda sound: is_encapsulated(sound) or is_explicit(sound),
    variants=ODD_VRS,
    warns=("unknown_vr",),
)
def unknown_vr_of_pixel_data(sound, vr):
    """A pixel data element of a value representation of no list."""
    return _with_pixel_header(sound, vr)


@contradiction(
    row="unknown_vr_of_pixel_data",
    clause="PS3.5 7.1.2: a length of 32 bits; no pixels are better than those of another place",
    applies=lambda sound: is_encapsulated(sound) or is_explicit(sound),
    variants={
        f"{name}_{end}": (vr, behind)
        for name, vr in ODD_VRS.items()
        for end, behind in (("zeros", b"\0" * 70), ("much", b"\1\2\3" * 11_000))
    },
    warns=("unknown_vr",),
    may_warn=("trailing_bytes",),
    errors=("damaged",),
)
def unknown_vr_of_pixel_data_and_bytes_behind(sound, variant):
    """A pixel data element of a value representation of no list, and bytes behind it."""
    return _with_pixel_header(sound, *variant)


@contradiction(
    row="unknown_vr_of_pixel_data",
    clause="DESIGN 5: no image is wrong in silence; nothing says which length is meant",
    applies=lambda sound: sound.kind == "rgb16" and is_explicit(sound),
    must_fail=True,
    errors=("damaged",),
)
def pixel_data_in_two_places(sound):
    """Bytes in the place of the VR that are a length, too, and bytes behind the pixels."""
    return _with_pixel_header(sound, ODD_VRS["even"], b"\1\2\3" * 11_000)


@contradiction(
    row="length_of_pixel_data",
    clause="DESIGN 5: a length beyond the end of the file is cut to fit",
    applies=is_plain,
    variants={"two": 2, "thousand": 1000, "much": 1 << 30},
    warns=("length_beyond_end",),
)
def pixel_length_beyond_end(sound, more):
    """A pixel data element that states more bytes than follow, all pixels among them."""
    return sound.parts.with_(pixel_length=len(sound.parts.value) + more)


@contradiction(
    clause="PS3.5 6.2.2: UN of undefined length is a sequence in implicit VR",
    applies=is_little_or_encapsulated,
)
def un_of_undefined_length(sound):
    """A private sequence as UN of undefined length, which the standard has."""
    inner = item(element(0x00080005, "CS", b"ISO_IR 6", IMPLICIT))
    delimiter = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    raw = element(0x00291001, "UN", inner + delimiter, length=UNDEFINED)
    return _with_element(sound, _creator(sound) + raw)


BROKEN = {
    "text": b"this is no item, but text of 40 letters.",
    "ff": b"\xff" * 64,
    "long": struct.pack("<HHL", 0xFFFE, 0xE000, 5000) + b"\0" * 24,
    "inside": item(element(0x00080060, "CS", b"CT", length=500)),
}


@contradiction(
    row="unread_value",
    clause="PS3.5 7.5.1: a sequence of known length; DESIGN 5: what has a length is passed over",
    applies=is_any,
    variants=BROKEN,
)
def broken_private_sequence(sound, value):
    """A private sequence of known length whose content is not items; nothing looks into it."""
    encoding = sound.parts.encoding
    raw = element(0x00291001, "SQ", value, encoding)
    return _with_element(sound, _creator(sound) + raw)


@contradiction(
    row="unread_value",
    clause="PS3.5 7.5.1: as above, for a sequence that no image depends on",
    applies=is_any,
    variants=BROKEN,
)
def broken_unread_sequence(sound, value):
    """Icon Image Sequence of known length whose content is not items; nothing looks into it."""
    return _with_element(sound, element(0x00880200, "SQ", value, sound.parts.encoding))


@contradiction(
    row="unread_value",
    clause="PS3.5 7.5.1: as above, for a sequence within another one",
    applies=is_any,
    variants={
        f"{name}_{end}": (value, end == "undefined")
        for name, value in BROKEN.items()
        for end in ("known", "undefined")
    },
)
def broken_nested_sequence(sound, variant):
    """A private sequence of known length whose content is not items, within another one."""
    value, is_undefined = variant
    encoding = sound.parts.encoding
    inside = element(0x00291002, "SQ", value, encoding)
    held = struct.pack(f"{encoding.order}HHL", 0xFFFE, 0xE000, len(inside)) + inside
    if not is_undefined:
        raw = element(0x00291001, "SQ", held, encoding)
    else:
        held += struct.pack(f"{encoding.order}HHL", 0xFFFE, 0xE0DD, 0)
        raw = element(0x00291001, "SQ", held, encoding, length=UNDEFINED)
    return _with_element(sound, _creator(sound) + raw)


READ_SEQUENCES = {
    "view": 0x00540220,
    "regions": 0x00186011,
    "shared": 0x52009229,
    "frames": 0x52009230,
}
"""Sequences that an image may depend on, in classic objects to no effect."""


@contradiction(
    row="unparsable_value",
    clause="DESIGN 5: what does not parse and has a length is passed over, with a warning",
    applies=lambda sound: not sound.is_enhanced and sound.kind[:3] not in ("dbt", "seg"),
    variants={
        f"{name}_{how}": (tag, value)
        for name, tag in READ_SEQUENCES.items()
        for how, value in BROKEN.items()
        if how != "inside"
    },
    warns=("unparsable_element",),
    may_warn=("functional_groups_contradict",),
)
def broken_read_sequence(sound, variant):
    """A sequence that is read, of known length, whose content is not items."""
    tag, value = variant
    return _with_element(sound, element(tag, "SQ", value, sound.parts.encoding))


@contradiction(
    row="unparsable_sequence",
    clause="PS3.5 7.5.2: a sequence of undefined length ends where its items do",
    applies=is_any,
    variants={name: BROKEN[name] for name in ("text", "ff")},
    warns=("unparsable_element",),
    errors=("damaged",),
)
def broken_sequence_without_length(sound, value):
    """A private sequence of undefined length whose content is not items."""
    raw = element(0x00291001, "SQ", value, sound.parts.encoding, length=UNDEFINED)
    return _with_element(sound, _creator(sound) + raw)


@contradiction(
    row="unparsable_value",
    clause="DESIGN 5: an element that does not parse and has a length is passed over",
    applies=lambda sound: sound.is_grey and not sound.is_enhanced,
    variants=BROKEN,
    warns=("unparsable_element", "lut_unusable"),
)
def broken_voi_lut_sequence(sound, value):
    """VOI LUT Sequence of known length whose content is not items, beside the window."""
    raw = element(0x00283010, "SQ", value, sound.parts.encoding)
    return _with_element(sound, raw)


GARBAGE = np.random.default_rng(3).integers(1, 255, 301, np.uint8).tobytes()
TRAILERS = {
    "zeros": b"\0" * 64,
    "page": b"\0" * 4096,
    "blanks": b" " * 100,
    "ff": b"\xff" * 50,
    "text": b"END OF FILE\r\n",
    "garbage": GARBAGE,
}


@contradiction(
    row="trailing_bytes",
    clause="PS3.10 7.2: nothing follows the data set but Data Set Trailing Padding",
    applies=lambda sound: not is_deflated(sound),
    variants=TRAILERS,
    warns=("trailing_bytes",),
)
def bytes_behind(sound, behind):
    """Bytes that are no elements behind the pixel data."""
    return sound.parts.with_(behind=behind)


@contradiction(
    row="trailing_bytes",
    clause="PS3.10 7.2: one byte is less than an element",
    applies=lambda sound: not is_deflated(sound),
    variants={"zero": b"\0", "newline": b"\n"},
    may_warn=("trailing_bytes",),
)
def byte_behind(sound, behind):
    """One byte behind the pixel data."""
    return sound.parts.with_(behind=behind)


@contradiction(
    clause="PS3.10 7.2: Data Set Trailing Padding",
    applies=is_any,
    variants={"zeros": b"\0" * 126, "garbage": GARBAGE[:100], "empty": b""},
)
def trailing_padding(sound, value):
    """Data Set Trailing Padding, which the standard has."""
    return sound.parts.with_(behind=element(0xFFFCFFFC, "OB", value, sound.parts.encoding))


def _other_padding(behind):
    return element(0xFFFCFFFC, "OB", b"\1\2" * 20) + behind


@contradiction(
    row="trailing_bytes",
    clause="PS3.10 7.2: Data Set Trailing Padding, in the encoding of the data set",
    applies=lambda sound: sound.syntax == ImplicitVRLittleEndian,
    variants={
        "padding": _other_padding(b""),
        "zeros": _other_padding(b"\0" * 40),
        "garbage": _other_padding(GARBAGE),
        "private": element(0x7FE10010, "LO", b"SOMEONE ")
        + element(0x7FE11001, "OB", b"\1\2" * 70)
        + _other_padding(b""),
        "sequence": element(0xFFFAFFFA, "SQ", item(b"") + DELIMITER, length=UNDEFINED),
    },
    warns=("trailing_bytes",),
)
def explicit_elements_behind(sound, behind):
    """Elements of explicit VR behind a data set of implicit VR, as other programs append them."""
    return sound.parts.with_(behind=behind)


@contradiction(
    clause="DESIGN 9: a file that ends inside an element other than pixel data is damaged",
    applies=is_plain,
    variants={"own": None, "explicit": EXPLICIT},
    must_fail=True,
    errors=("damaged",),
)
def cut_behind_pixels(sound, encoding):
    """The file ends inside the trailing padding behind the pixel data."""
    own = sound.parts.encoding
    if encoding is not None and not own.implicit:
        return None
    behind = element(0xFFFCFFFC, "OB", b"\1\2" * 500, encoding or own)
    return sound.parts.with_(behind=behind[:-10])


@contradiction(
    clause="PS3.5 7.1.1: values have an even length; readers take the length as it is",
    applies=is_any,
)
def odd_length(sound):
    """A text of odd length."""
    raw = element(0x00291001, "LO", b"ODD", sound.parts.encoding)
    return _with_element(sound, _creator(sound) + raw)


@contradiction(
    clause="PS3.5 7.1: data elements are in the order of their tags",
    applies=is_any,
    may_warn=("unparsable_element",),
)
def tags_out_of_order(sound):
    """An element of a lower tag than the one before it."""
    return _with_element(sound, element(0x00080070, "LO", b"MAKER ", sound.parts.encoding))


@contradiction(
    row="element_twice",
    clause="PS3.5 7.1: a data set has each element once",
    applies=is_any,
    warns=("element_twice",),
    may_warn=("unparsable_element",),
)
def element_twice(sound):
    """Rows twice: a wrong number in its place, and the right one before the pixels."""
    encoding, rows = sound.parts.encoding, sound.get("Rows")
    value = struct.pack(f"{encoding.order}H", rows)
    wrong = sound.parts.having(Rows=rows + 3)
    return wrong.with_(before_pixels=element(0x00280010, "US", value, encoding))


@contradiction(
    clause="DESIGN 9: a file that ends inside an element other than pixel data is damaged",
    applies=lambda sound: is_plain(sound) or is_encapsulated(sound),
    must_fail=True,
    errors=("damaged", "decode_error", "short_pixel_data", "no_pixel_data"),
)
def cut_before_pixels(sound):
    """The file ends inside a long private element before the pixel data."""
    raw = element(0x00291001, "OB", b"\1" * 1000, sound.parts.encoding)
    made = sound.parts.with_(before_pixels=_creator(sound) + raw)
    with_pixels, without = made.put_together(), sound.parts.put_together()
    return Expected(with_pixels[: len(with_pixels) - (len(without) - _head_length(sound)) - 100])


def _head_length(sound):
    """Bytes of a file before its pixel data element."""
    empty = sound.parts.with_(items=None, value=b"", keyword="PixelData", vr="OW")
    header = 8 if sound.parts.encoding.implicit else 12
    return len(empty.put_together()) - header


def _creator(sound):
    """The private creator of group 0029."""
    return element(0x00290010, "LO", b"SOMEONE ", sound.parts.encoding)


def _with_element(sound, raw):
    """The file with raw elements in front of its pixel data."""
    return sound.parts.with_(before_pixels=raw)
