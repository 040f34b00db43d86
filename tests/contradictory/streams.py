"""Pixel data against its transfer syntax, its offset table, its length and Number of Frames."""

import gzip
import struct
import zlib
from itertools import pairwise

import numpy as np
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tests.contradictory.encodings import NATIVE_SYNTAXES, gzip_members, is_encapsulated, is_plain
from tests.contradictory.kinds import Expected, contradiction
from tests.contradictory.parts import BIG, DELIMITER, EXPLICIT, IMPLICIT, offset_table
from tests.contradictory.sound import CODECS, DEFLATED_IMAGE_FRAME, JPEG_XL_LOSSLESS

SYNTAX_OF = {name: UID(codec.syntax) for name, codec in CODECS.items()}
BIT_FOR_BIT = (RLELossless, DEFLATED_IMAGE_FRAME)
"""Codecs of bytes, whose streams have no signature."""
UNKNOWN_SYNTAXES = {
    "private": UID("1.2.826.0.1.3680043.8.498.9"),
    "unknown": UID("1.2.840.10008.1.2.4.999"),
}
ENCAPSULATED_UNCOMPRESSED = UID("1.2.840.10008.1.2.1.98")
LOSSLESS_JPEG = tuple(SYNTAX_OF[name] for name in ("lossless14", "lossless"))


def is_rle(sound):
    return sound.syntax == RLELossless


def has_codec_header(sound):
    """Whether its streams say by which codec they are."""
    return not sound.is_native and sound.syntax not in BIT_FOR_BIT


def has_many_frames(sound):
    return sound.frames > 1


def is_cuttable(sound):
    """Whether frames can be left out: functional groups of frames are not cut here."""
    return sound.frames > 1 and not sound.is_enhanced and sound.kind not in DIMENSIONAL


DIMENSIONAL = ("dbtupright", "dbtturned", "dose16", "dose32")


def family(syntax):
    """Transfer syntaxes among which a decoder goes by the stream anyway."""
    names = (
        ("jpeg", "jpeg12"),
        ("lossless14", "lossless"),
        ("jls", "near"),
        ("j2k", "j2klossy"),
        ("htj2k", "htj2krpcl", "htj2klossy"),
    )
    families = (tuple(SYNTAX_OF[name] for name in group) for group in names)
    return next((group for group in families if syntax in group), (syntax,))


@contradiction(
    row="fragments_under_native_syntax",
    clause="PS3.5 A.4: only encapsulated pixel data has fragments; the stream decides",
    applies=has_codec_header,
    variants=NATIVE_SYNTAXES,
    warns=("stream_contradicts_syntax",),
)
def fragments_under_native(sound, syntax):
    """Fragments of a codec under a native transfer syntax."""
    if syntax == ExplicitVRBigEndian:  # the data set stays little endian
        return Expected(
            sound.parts.with_(stated=syntax),
            overrides={"may_warn": ("encoding_contradicts_syntax",)},
        )
    warns = ("encoding_contradicts_syntax",) if syntax == ImplicitVRLittleEndian else ()
    return Expected(sound.parts.with_(stated=syntax), overrides={"may_warn": warns})


@contradiction(
    row="fragments_under_native_syntax",
    clause="PS3.5 A.4, G: RLE and deflated frames have no signature",
    applies=lambda sound: sound.syntax in BIT_FOR_BIT,
    variants=NATIVE_SYNTAXES,
    warns=("stream_contradicts_syntax",),
    may_warn=("encoding_contradicts_syntax",),
    errors=("decode_error",),
)
def bare_fragments_under_native(sound, syntax):
    """Fragments without a signature of their codec under a native transfer syntax."""
    return sound.parts.with_(stated=syntax)


@contradiction(
    row="stream_in_native_element",
    clause="DESIGN 5: shorter than the pixels need, and a whole header of the same size",
    applies=lambda sound: has_codec_header(sound) and sound.frames == 1,
    variants={"explicit": EXPLICIT, "implicit": IMPLICIT},
    warns=("stream_contradicts_syntax",),
)
def codestream_in_native_element(sound, encoding):
    """The codestream itself is the value of a native element of defined length."""
    (stream,) = sound.streams
    if len(stream) >= native_bytes(sound):
        return None
    syntax = ImplicitVRLittleEndian if encoding is IMPLICIT else ExplicitVRLittleEndian
    return sound.parts.with_(value=stream, items=None, stated=syntax, encoding=encoding)


def native_bytes(sound):
    """Bytes of the pixels without compression."""
    get = sound.get
    samples = get("Rows") * get("Columns") * get("SamplesPerPixel") * sound.frames
    return samples * get("BitsAllocated") // 8


@contradiction(
    row="native_pixels_under_codec",
    clause="PS3.5 A.4: compressed pixel data is encapsulated",
    applies=lambda sound: sound.syntax == ExplicitVRLittleEndian and not sound.is_float,
    variants={name: SYNTAX_OF[name] for name in ("rle", "jpeg", "jls", "j2k", "htj2k", "jxl")},
    warns=("stream_contradicts_syntax",),
    errors=("decode_error", "unsupported_pixels", "unsupported_transfer_syntax"),
)
def native_pixels_under_codec(sound, syntax):
    """Native pixels of defined length under the transfer syntax of a codec."""
    return sound.parts.with_(stated=syntax)


@contradiction(
    row="stream_of_other_codec",
    clause="DESIGN 5: the codestream over the stated transfer syntax",
    applies=has_codec_header,
    variants=SYNTAX_OF,
    warns=("stream_contradicts_syntax",),
)
def stream_of_other_codec(sound, syntax):
    """Streams of one codec under the transfer syntax of another one."""
    if syntax == sound.syntax:
        return None
    if syntax in family(sound.syntax):  # a variety of the same stream: no other pixels
        relaxed = {"warns": (), "may_warn": ("stream_contradicts_syntax",)}
        return Expected(sound.parts.with_(stated=syntax), overrides=relaxed)
    return sound.parts.with_(stated=syntax)


@contradiction(
    clause="PS3.5 A.4: RLE and deflated frames have no signature, and cannot be known",
    applies=lambda sound: sound.syntax in BIT_FOR_BIT,
    variants=SYNTAX_OF,
    warns=("stream_contradicts_syntax",),
    errors=("decode_error",),
)
def bare_stream_of_other_codec(sound, syntax):
    """RLE or deflated frames under the transfer syntax of another codec."""
    return None if syntax == sound.syntax else sound.parts.with_(stated=syntax)


@contradiction(
    clause="PS3.5 A.4: the transfer syntax is registered",
    applies=has_codec_header,
    variants=UNKNOWN_SYNTAXES,
    warns=("unknown_syntax", "stream_contradicts_syntax"),
    errors=("unsupported_transfer_syntax",),
)
def unknown_syntax(sound, syntax):
    """Streams that say what they are under a UID that says nothing."""
    return sound.parts.with_(stated=syntax)


@contradiction(
    row="unknown_syntax",
    clause="PS3.5 10: the transfer syntax is registered; native pixels are as the data set is",
    applies=lambda sound: sound.is_native and sound.syntax == ExplicitVRLittleEndian,
    variants=UNKNOWN_SYNTAXES,
    warns=("unknown_syntax",),
)
def native_pixels_under_unknown_syntax(sound, syntax):
    """Native pixels under a UID that says nothing."""
    return sound.parts.with_(stated=syntax)


# Fragments.


def split(stream, count, *, empty_at=None):
    """A stream in ``count`` fragments of even length, with an empty one among them if asked."""
    step = max(2, len(stream) // count // 2 * 2)
    cuts = [i * step for i in range(count)] + [len(stream)]
    fragments = [stream[a:b] for a, b in pairwise(cuts)]
    if empty_at is not None:
        fragments.insert(empty_at, b"")
    return fragments


def fragmented(sound, count, *, has_table, empty_at=None):
    """The file with several fragments for each frame."""
    frames = [split(stream, count, empty_at=empty_at) for stream in sound.streams]
    table = offset_table(frames) if has_table else b""
    return sound.parts.with_(items=(table, *(f for frame in frames for f in frame)))


FRAGMENTS = {
    "two": {"count": 2, "has_table": True},
    "five": {"count": 5, "has_table": True},
    "emptyfirst": {"count": 2, "has_table": True, "empty_at": 0},
    "emptylast": {"count": 2, "has_table": True, "empty_at": 2},
}


@contradiction(
    row="rle_fragments",
    clause="PS3.5 A.4.2: an RLE frame is one fragment",
    applies=is_rle,
    variants=FRAGMENTS,
    warns=("rle_fragments",),
)
def rle_in_fragments(sound, options):
    """Frames of RLE in several fragments, with a table that says which."""
    return fragmented(sound, **options)


@contradiction(
    row="rle_fragments",
    clause="PS3.5 A.4.2, G.5: without a table the headers of RLE frames are what there is",
    applies=is_rle,
    variants={"two": 2, "five": 5},
    warns=("rle_fragments",),
)
def rle_in_fragments_without_table(sound, count):
    """Frames of RLE in several fragments, and an empty table."""
    made = fragmented(sound, count, has_table=False)
    if sound.frames == 1:
        return made
    # Whether all headers are there to be seen depends on where the cuts are.
    errors, row = ("decode_error", "short_pixel_data"), "fragments_without_table"
    return Expected(made, overrides={"row": row, "errors": errors})


@contradiction(
    row="rle_fragments",
    clause="PS3.5 A.4.2: an empty fragment is no frame",
    applies=is_rle,
    variants={"first": 0, "last": 1},
    may_warn=("rle_fragments",),
)
def empty_rle_fragment(sound, place):
    """An empty fragment in front of each frame of RLE, or behind it, and no table."""
    return fragmented(sound, 1, has_table=False, empty_at=place)


@contradiction(
    clause="PS3.5 A.4: frames may have several fragments, by the table or their end markers",
    applies=has_codec_header,
    variants=FRAGMENTS | {"notable": {"count": 2, "has_table": False}},
)
def several_fragments(sound, options):
    """Frames of several fragments, which the standard has; JPEG XL has no end marker."""
    if not options["has_table"] and sound.syntax == JPEG_XL_LOSSLESS and sound.frames > 1:
        return None
    return fragmented(sound, **options)


def _wrong_tables(n):
    starts = np.arange(n, dtype="<u4")
    return {
        "empty": b"",
        "zeros": b"\0" * (4 * n),
        "shifted": (starts * 100 + 8).tobytes(),
        "beyond": (starts * 0 + 1_000_000).tobytes(),
        "one": b"\0\0\0\0" * (2 if n == 1 else 1),
        "odd": b"\0" * (4 * n + 2),
    }


def _right_table(sound):
    return offset_table([[stream] for stream in sound.streams])


@contradiction(
    row="fragments_without_table",
    clause="PS3.5 A.4: a table says which fragments are of which frame",
    applies=lambda sound: sound.syntax == DEFLATED_IMAGE_FRAME and sound.frames > 1,
    must_fail=True,
    errors=("decode_error",),
)
def bare_fragments_without_table(sound):
    """Frames without a signature in several fragments, and no table."""
    return fragmented(sound, 2, has_table=False)


@contradiction(
    row="fragments_of_frames",
    clause="PS3.5 A.4, PS3.3 C.7.6.3.1.8: tables that do not point at fragments do not count",
    applies=is_encapsulated,
    variants={"shifted": "shifted", "beyond": "beyond"},
    warns=("offset_table_wrong",),
)
def wrong_table(sound, name):
    """A basic offset table that points nowhere, with one fragment a frame."""
    return sound.parts.with_(items=(_wrong_tables(sound.frames)[name], *sound.streams))


@contradiction(
    row="fragments_of_frames",
    clause="PS3.5 A.4: a table has a number of 32 bits a frame, or nothing",
    applies=is_encapsulated,
    variants={name: name for name in ("empty", "zeros", "one", "odd")},
)
def table_of_other_length(sound, name):
    """A basic offset table with zeros, which are right for one frame, or of another length."""
    made = sound.parts.with_(items=(_wrong_tables(sound.frames)[name], *sound.streams))
    is_right = name == "empty" or (name == "zeros" and sound.frames == 1)
    return Expected(made, overrides={} if is_right else {"warns": ("offset_table_wrong",)})


@contradiction(
    row="length_of_offset_table",
    clause="PS3.5 A.4: a table has an offset for each frame",
    applies=is_encapsulated,
    variants={
        "end": lambda table: table + struct.pack("<L", 1_000_000),
        "zero": lambda table: table + b"\0\0\0\0",
        "half": lambda table: table + b"\0\0",
        "twice": lambda table: table * 2,
    },
    warns=("offset_table_wrong",),
)
def table_with_more_offsets(sound, add):
    """A basic offset table that points at all frames, and elsewhere."""
    return sound.parts.with_(items=(add(_right_table(sound)), *sound.streams))


EXTENDED = {
    "zeros": lambda starts, lengths: (starts, lengths * 0),
    "longer": lambda starts, lengths: (starts, lengths + 2),
    "with_header": lambda starts, lengths: (starts, lengths + 8),
    "no_lengths": lambda starts, _: (starts, None),
    "no_offsets": lambda _, lengths: (None, lengths),
    "fewer_lengths": lambda starts, lengths: (starts, lengths[1:]),
    "more": lambda *both: tuple(np.append(one, 99) for one in both),
}


@contradiction(
    row="length_of_offset_table",
    clause="PS3.3 C.7.6.3.1.8: a length for each offset, and one of each for each frame",
    applies=is_encapsulated,
    variants=EXTENDED,
    warns=("offset_table_wrong",),
)
def wrong_part_of_extended_table(sound, change):
    """An extended offset table with other lengths, or one part of it of another size."""
    starts = np.frombuffer(_right_table(sound), "<u4").astype("<u8")
    changed = change(starts, np.array([len(s) for s in sound.streams], "<u8"))
    names = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
    values = {
        name: part.astype("<u8").tobytes()
        for name, part in zip(names, changed, strict=True)
        if part is not None
    }
    return sound.parts.having(**values).with_(items=(b"", *sound.streams))


@contradiction(
    clause="PS3.3 C.7.6.3.1.8: an extended table, and an empty basic one",
    applies=is_encapsulated,
    variants={"without": 0, "with": 1},
)
def extended_table(sound, padding):
    """An extended offset table that is right; lengths are without padding, and some count it."""
    lengths = [len(s) + len(s) % 2 * padding for s in sound.streams]
    starts = np.frombuffer(_right_table(sound), "<u4").astype("<u8")
    return sound.parts.having(
        ExtendedOffsetTable=starts.tobytes(),
        ExtendedOffsetTableLengths=np.array(lengths, "<u8").tobytes(),
    ).with_(items=(b"", *sound.streams))


@contradiction(
    row="fragments_of_frames",
    clause="PS3.3 C.7.6.3.1.8: both extended tables have 64 bits a frame",
    applies=lambda sound: is_encapsulated(sound) and sound.frames > 1,
    variants={"zeros": 0, "shifted": 3},
    warns=("offset_table_wrong",),
)
def wrong_extended_table(sound, shift):
    """An extended offset table that points nowhere, beside an empty basic one."""
    n = sound.frames
    table = (np.arange(n, dtype="<u8") * shift).tobytes()
    lengths = np.array([len(s) for s in sound.streams], "<u8").tobytes()
    made = sound.parts.having(ExtendedOffsetTable=table, ExtendedOffsetTableLengths=lengths)
    return made.with_(items=(b"", *sound.streams))


@contradiction(
    row="sequence_delimiter",
    clause="PS3.5 A.4: a Sequence Delimitation Item ends the fragments",
    applies=is_encapsulated,
    variants={
        "zeros8": b"\0" * 8,
        "zeros64": b"\0" * 64,
        "item": struct.pack("<HHL", 0xFFFE, 0xE00D, 0),
        "nothing": b"",
        "half": DELIMITER[:4],
        "length": DELIMITER[:4] + b"\1\0\0\0",
    },
)
def other_delimiter(sound, delimiter):
    """Zeros, an item delimiter or nothing in the place of the sequence delimiter."""
    # With a length of its own it is still the delimiter (PS3.5 7.5.2 has 0 for it).
    exact = {"warns": (), "may_warn": ("no_sequence_delimiter", "trailing_bytes")}
    missing = {"warns": ("no_sequence_delimiter",), "may_warn": ("trailing_bytes",)}
    made = sound.parts.with_(delimiter=delimiter)
    if len(delimiter) == len(DELIMITER) // 2:  # the file is cut, if by nothing that it needs
        return Expected(made, overrides=missing | {"errors": ("decode_error",)})
    is_there = delimiter.startswith(DELIMITER[:4])
    return Expected(made, overrides=exact if is_there else missing)


# Number of Frames.


@contradiction(
    clause="PS3.3 C.7.6.6, PS3.5 A.4: Number of Frames counts, the others are ignored",
    applies=is_cuttable,
    variants={"one": 1, "two": 2},
    warns=("excess_frames",),
)
def more_frames(sound, count):
    """More frames than Number of Frames says."""
    made = sound.parts.having(NumberOfFrames=count)
    return Expected(made, first_frames(sound, count), overrides={"row": row_of_more(sound)})


@contradiction(
    clause="PS3.3 C.7.6.6: absent or blank is one frame",
    applies=is_cuttable,
    variants={"missing": None, "blank": ""},
    warns=("excess_frames",),
)
def number_of_several_frames_missing(sound, value):
    """Several frames, and no Number of Frames."""
    made = sound.parts.having(NumberOfFrames=value)
    return Expected(made, first_frames(sound, 1), overrides={"row": row_of_more(sound)})


def row_of_more(sound):
    return "more_native_frames" if sound.is_native else "more_streams"


@contradiction(
    row="missing_number_of_frames",
    clause="PS3.3 C.7.6.6: absent or blank is one frame",
    applies=lambda sound: sound.frames == 1,
    variants={"missing": None, "blank": ""},
)
def number_of_frames_missing(sound, value):
    """One frame, and no Number of Frames."""
    return sound.parts.having(NumberOfFrames=value)


@contradiction(
    row="more_streams",
    clause="PS3.5 A.4: Number of Frames counts; a native, RLE or deflated frame is one fragment",
    applies=lambda sound: is_encapsulated(sound) and is_cuttable(sound),
    variants={"one": 1, "two": 2, "missing": None},
    warns=("excess_frames",),
)
def more_frames_without_table(sound, count):
    """More frames than Number of Frames says, and an empty offset table."""
    made = sound.parts.having(NumberOfFrames=count).with_(items=(b"", *sound.streams))
    return Expected(made, first_frames(sound, count or 1))


@contradiction(
    row="fragments_of_bare_frames",
    clause="PS3.5 A.4.11: a native frame is one fragment, whose length shows it",
    applies=lambda sound: sound.syntax == ExplicitVRLittleEndian and is_splittable(sound),
    variants={"one": (1, 0), "two": (2, 0), "joined": (1, 2), "rest": (2, 2)},
    warns=("excess_frames",),
)
def more_native_fragments(sound, variant):
    """Native frames in fragments, more of them than Number of Frames says, without a table."""
    count, joined = variant
    size = native_bytes(sound) // sound.frames
    frames = [sound.parts.value[i * size :][:size] for i in range(sound.frames)]
    # Fragments have an even length: a byte of padding is behind each frame, or behind those joined.
    last = b"".join(frames[count - 1 :])
    items = [*frames[: count - 1], last] if joined else frames
    made = sound.parts.having(NumberOfFrames=count)
    return Expected(
        made.with_(items=(b"", *map(_pad, items)), stated=ENCAPSULATED_UNCOMPRESSED, vr="OB"),
        first_frames(sound, count),
    )


def is_splittable(sound):
    """Whether it has frames of whole bytes that can be left out."""
    is_whole = sound.get("BitsAllocated") % 8 == 0 and not sound.is_float
    return is_cuttable(sound) and is_whole


@contradiction(
    row="second_stream",
    clause="PS3.5 A.4: a frame has fragments of its own",
    applies=lambda sound: is_encapsulated(sound) and is_cuttable(sound),
    variants={"one": 1, "missing": None, "two": 2},
    warns=("excess_frames",),
)
def streams_in_one_fragment(sound, count):
    """All streams from that of the last frame on in one fragment."""
    n = count or 1
    items = (b"", *sound.streams[: n - 1], b"".join(sound.streams[n - 1 :]))
    made = sound.parts.having(NumberOfFrames=count).with_(items=items)
    return Expected(made, first_frames(sound, n))


@contradiction(
    row="second_stream",
    clause="PS3.5 A.4: a frame has fragments of its own",
    applies=lambda sound: is_encapsulated(sound) and is_cuttable(sound),
    warns=("excess_frames",),
    may_warn=("rle_fragments",),
)
def streams_in_two_fragments(sound):
    """The streams of three frames, joined and cut inside the second one, and one frame stated."""
    joined = b"".join(sound.streams)
    half = len(joined) // 4 * 2
    made = sound.parts.having(NumberOfFrames=1).with_(items=(b"", joined[:half], joined[half:]))
    return Expected(made, first_frames(sound, 1))


def first_frames(sound, count):
    """The sound file of the first frames."""
    made = sound.parts.having(NumberOfFrames=count)
    if not sound.is_native:
        streams = sound.streams[:count]
        return made.with_(items=(offset_table([[s] for s in streams]), *streams))
    bits = sound.get("Rows") * sound.get("Columns") * sound.get("SamplesPerPixel")
    bits *= sound.get("BitsAllocated") * count
    value = sound.parts.value[: -(-bits // 8)]
    if bits % 8:  # the next frame starts in the last byte
        value = value[:-1] + bytes([value[-1] & (1 << bits % 8) - 1])
    return made.with_(value=value + b"\0" * (len(value) % 2))


@contradiction(
    row="fewer_frames",
    clause="PS3.5 8.1.1, A.4: fewer frames than Number of Frames says",
    applies=lambda sound: not sound.is_enhanced,
    variants={"one": 1, "many": 1000},
    must_fail=True,
    errors=("short_pixel_data",),
)
def fewer_frames(sound, more):
    """Fewer frames than Number of Frames says."""
    return sound.parts.having(NumberOfFrames=sound.frames + more)


@contradiction(
    clause="PS3.3 C.7.6.6.1.1: a whole number above 0",
    applies=lambda sound: sound.frames > 1 and not sound.is_enhanced,
    variants={"zero": 0, "negative": -3},
    must_fail=True,
    errors=("missing_attribute",),
)
def impossible_number_of_frames(sound, value):
    """Number of Frames that is no number of frames."""
    return sound.parts.having(NumberOfFrames=value)


@contradiction(
    row="missing_offset_table",
    clause="PS3.5 A.4: the first item is the offset table, which may be empty",
    applies=lambda sound: has_codec_header(sound) or is_rle(sound),
    warns=("no_offset_table",),
)
def without_table(sound):
    """Fragments that begin with the first stream."""
    return sound.parts.with_(items=sound.parts.items[1:])


# Lengths.


@contradiction(
    row="more_native_bytes",
    clause="PS3.5 8.1.1: padding at the end of the value",
    applies=lambda sound: sound.is_native and not sound.is_float,
    variants={"two": 2, "six": 6},
    may_warn=("trailing_bytes", "excess_frames"),
)
def padded_pixels(sound, count):
    """Native pixels with a few bytes more."""
    if sound.kind == "bits" and sound.frames > 1:
        # As long as frames that start at bytes: only pixels that are set where these have gaps, as
        # in an inverted image, show that they are packed.
        value = _pad(pack_bits(1 - sound.truth))
        parts = sound.parts.with_(value=value + b"\0" * count)
        return Expected(parts, sound.parts.with_(value=value))
    return sound.parts.with_(value=sound.parts.value + b"\0" * count)


@contradiction(
    row="fewer_frames",
    clause="PS3.5 8.1.1: fewer bytes than the pixels need",
    applies=lambda sound: sound.is_native,
    variants={"sample": None, "third": 3, "all": 1},
    must_fail=True,
    errors=("short_pixel_data",),
)
def short_pixels(sound, part):
    """Native pixels that end too early, in an element that says so."""
    value, padding = sound.parts.value, native_bytes(sound) % 2
    sample = max(2, sound.get("BitsAllocated") // 8) + 2 * padding
    missing = sample if part is None else len(value) // part // 4 * 4
    return sound.parts.with_(value=value[: len(value) - missing])


@contradiction(
    row="length_of_pixel_data",
    clause="PS3.5 7.1: the file ends before the length of the pixel data does",
    applies=is_plain,
    must_fail=True,
    errors=("short_pixel_data",),
)
def cut_pixels(sound):
    """A file that ends inside its native pixels."""
    return sound.parts.with_(cut=len(sound.parts.value) // 3)


@contradiction(
    clause="PS3.5 A.4: the file ends inside the last stream",
    applies=is_encapsulated,
    must_fail=True,
    errors=("decode_error", "short_pixel_data"),
)
def cut_stream(sound):
    """A file that ends inside its last fragment."""
    return sound.parts.with_(cut=len(DELIMITER) + len(sound.streams[-1]) // 2)


@contradiction(
    clause="PS3.5 A.4: bytes may follow the end of a stream in its fragment",
    applies=has_codec_header,
    variants={"zeros": b"\0" * 8, "ff": b"\xff" * 4},
)
def padded_streams(sound, padding):
    """Streams with padding behind their end."""
    # JPEG XL has no end marker: what follows is not padding, but other boxes.
    if padding[0] and sound.syntax == JPEG_XL_LOSSLESS:
        return None
    streams = [stream + padding for stream in sound.streams]
    return sound.parts.with_(items=(b"", *streams))


@contradiction(
    row="size_of_stream",
    clause="PS3.5 8.2: a stream is that of the image",
    applies=is_encapsulated,
    variants={"rows": "Rows", "columns": "Columns"},
    must_fail=True,
    errors=("decode_error", "unsupported_pixels"),
)
def other_size(sound, keyword):
    """Rows or Columns that are not those of the streams."""
    return sound.parts.having(**{keyword: sound.get(keyword) + 2})


# Deflated frames.

FRAME_WRAPPERS = {
    "zlib": zlib.compress,
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "members": gzip_members,
}


def is_deflated_frame(sound):
    return sound.syntax == DEFLATED_IMAGE_FRAME


@contradiction(
    row="wrapper_of_deflated_frame",
    clause="PS3.5 8.2.16: a raw stream of RFC 1951",
    applies=is_deflated_frame,
    variants=FRAME_WRAPPERS,
    warns=("stream_contradicts_syntax",),
)
def wrapped_frames(sound, wrapper):
    """Deflated frames in a zlib or gzip wrapper, also in members (RFC 1952)."""
    streams = [wrapper(zlib.decompress(stream, -15)) for stream in sound.streams]
    return sound.parts.with_(items=(b"", *streams))


@contradiction(
    row="bytes_behind_deflated_frame",
    clause="PS3.5 8.2.16: the stream ends where it says so",
    applies=is_deflated_frame,
    variants={"zeros": b"\0" * 6, "checksum": None},
    warns=("trailing_bytes",),
)
def bytes_behind_deflated_frames(sound, behind):
    """Zeros behind deflated frames, which are padding, or the checksum of a zlib wrapper."""
    if behind is not None:
        streams = [stream + behind for stream in sound.streams]
        return Expected(sound.parts.with_(items=(b"", *streams)), overrides={"warns": ()})
    streams = [zlib.compress(zlib.decompress(stream, -15))[2:] for stream in sound.streams]
    return sound.parts.with_(items=(b"", *streams))


# Layouts of native pixels.


@contradiction(
    clause="PS3.5 8.1.1 (until 2004): 12 bits allocated are packed, two samples in three bytes",
    applies=lambda sound: sound.kind == "grey12u" and is_plain(sound),
)
def packed_12_bits(sound):
    """Samples of 12 bits without a gap between them."""
    value = _pad(pack_twelve(np.frombuffer(sound.parts.value, "<u2")[: native_bytes(sound) // 2]))
    return sound.parts.having(BitsAllocated=12).with_(value=value, vr="OW")


def pack_twelve(samples):
    """Bytes of samples of 12 bits without a gap between them."""
    even = np.pad(samples.astype(np.uint32).ravel(), (0, samples.size % 2)).reshape(-1, 2)
    words = even[:, 0] | even[:, 1] << 12
    packed = words.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return packed[: -(-samples.size * 3 // 2)]


@contradiction(
    row="packed_samples",
    clause="PS3.5 8.1.1: samples are packed without gaps; the length says that they are not",
    applies=lambda sound: sound.kind in ("grey12u", "grey12s") and sound.is_native,
    warns=("bits_contradict_pixels",),
)
def words_called_packed(sound):
    """Samples of 12 bits in words, of which Bits Allocated says that they are packed."""
    return sound.parts.having(BitsAllocated=12)


@contradiction(
    row="packed_samples",
    clause="PS3.5 8.1.1: single bits are packed; the length says that they are not",
    applies=lambda sound: sound.kind == "bits" and sound.is_native,
    variants={"one": 1, "white": 255},
    warns=("bits_contradict_pixels",),
    may_warn=("values_above_bits_stored",),
)
def bytes_called_bits(sound, value):
    """Single bits that have a byte each."""
    return sound.parts.with_(value=_pad((sound.truth * np.uint8(value)).tobytes()))


@contradiction(
    row="packed_samples",
    clause="PS3.5 8.1.1: frames are packed without gaps; the length says that they are not",
    applies=lambda sound: sound.kind == "bits" and sound.is_native and sound.frames > 1,
    warns=("bits_contradict_pixels",),
)
def bits_of_frames_apart(sound):
    """Single bits of which each frame starts at a byte, four times as many frames."""
    frames = np.concatenate([sound.truth[..., 0]] * FRAMES_APART)
    aligned = b"".join(np.packbits(frame.ravel(), bitorder="little").tobytes() for frame in frames)
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    parts = sound.parts.having(NumberOfFrames=len(frames))
    return Expected(
        parts.with_(value=_pad(aligned)),
        parts.with_(value=_pad(packed)),
    )


@contradiction(
    row="packed_samples",
    clause="PS3.5 8.1.1: bits that are set behind the last frame are no padding",
    applies=lambda sound: is_packable(sound) and sound.frames > 1,
    variants={"two": 2, "three": 3},
    warns=("bits_contradict_pixels",),
)
def small_gaps_between_frames(sound, count):
    """Frames that each start at a byte, in as many bytes as packed ones with their padding."""
    is_single = sound.kind == "bits"
    # Inverted, so that the last pixels are set: with a dark border nothing tells the two apart.
    frames = (1 if is_single else 0xFFF) - sound.truth[:count]
    pack = pack_bits if is_single else pack_twelve
    packed, aligned = pack(frames), b"".join(map(pack, frames))
    if len(aligned) - len(packed) > 1:
        return None
    bits = 1 if is_single else 12
    parts = sound.parts.having(NumberOfFrames=count, BitsAllocated=bits).with_(vr="OW")
    return Expected(parts.with_(value=_pad(aligned)), parts.with_(value=_pad(packed)))


def pack_bits(frames):
    """Bytes of single bits without a gap between frames."""
    return np.packbits(frames.ravel(), bitorder="little").tobytes()


@contradiction(
    row="packed_samples_by_gaps",
    clause="PS3.5 8.1.1: frames are packed without gaps, and Number of Frames counts",
    applies=lambda sound: sound.kind == "bits" and sound.is_native and sound.frames > 1,
    warns=("excess_frames",),
)
def more_frames_of_bits(sound):
    """Packed single bits, as many as those of one frame less that each start at a byte."""
    size = sound.truth[0].size
    count = size // (-size % 8) + 1
    frames = np.concatenate([sound.truth] * (count // sound.frames + 1))[:count]
    parts = sound.parts.having(NumberOfFrames=count - 1)
    return Expected(
        parts.with_(value=_pad(pack_bits(frames))), parts.with_(value=_pad(pack_bits(frames[:-1])))
    )


def is_packable(sound):
    """Whether its samples are single bits, or of 12 bits that may be packed."""
    return sound.kind in ("bits", "grey12u") and is_plain(sound)


FRAMES_APART = 4
"""Times the frames of a sound file, so that the gaps are longer than padding."""


def _pad(content):
    return content + b"\0" * (len(content) % 2)


@contradiction(
    clause="PS3.5 8.1.2, 7.3: words of OW are swapped in big endian, whatever is in them",
    applies=lambda sound: sound.syntax == ExplicitVRBigEndian and sound.get("BitsAllocated") <= 8,
    variants={"OW": "OW", "OB": "OB"},
)
def bytes_in_words(sound, vr):
    """Samples of 8 bits or of one in OW and in OB, in big endian."""
    return sound.parts.with_(vr=vr, encoding=BIG)


@contradiction(
    clause="PS3.5 A.1, A.2: OW and OB are the same bytes in little endian",
    applies=lambda sound: sound.syntax == ExplicitVRLittleEndian and not sound.is_float,
    variants={"OW": "OW", "OB": "OB", "UN": "UN"},
)
def other_vr_of_pixels(sound, vr):
    """Pixel data of the other value representation."""
    return None if sound.parts.vr == vr else sound.parts.with_(vr=vr)


@contradiction(
    clause="PS3.5 A.4: fragments are OB",
    applies=is_encapsulated,
    variants={"OW": "OW", "UN": "UN"},
)
def other_vr_of_fragments(sound, vr):
    """Fragments in OW or UN."""
    return sound.parts.with_(vr=vr)


@contradiction(
    row="fragments_of_stated_length",
    clause="PS3.5 A.4: the length of encapsulated pixel data is undefined",
    applies=is_encapsulated,
    may_warn=("no_sequence_delimiter",),
)
def fragments_of_defined_length(sound):
    """Fragments in an element whose length is stated."""
    length = sum(8 + len(i) + len(i) % 2 for i in sound.parts.items)
    return sound.parts.with_(pixel_length=length, delimiter=b"")
