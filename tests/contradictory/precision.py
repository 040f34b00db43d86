"""Bits, sizes and components of pixels against those of their streams."""

import struct

import imagecodecs
import numpy as np
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from tests.contradictory.colours import with_streams
from tests.contradictory.component_streams import SIZ, encode_subsampled
from tests.contradictory.kinds import Expected, contradiction
from tests.contradictory.sound import (
    BORDER,
    JPEG_XL_LOSSLESS,
    colour_frames,
    encode_jpeg_2000,
    encode_rle,
    grey_frames,
    to_ybr,
)

STORED = {"intensity": "stored"}
JPEG_XL = UID("1.2.840.10008.1.2.4.112")
NO_RESCALE = {"RescaleSlope": None, "RescaleIntercept": None}


def is_of(kind, syntax):
    """A condition: the sound file is of a kind, in a transfer syntax."""
    return lambda sound: sound.kind == kind and sound.syntax == syntax


@contradiction(
    row="bits_of_floats",
    clause="PS3.3 C.7.6.24, C.7.6.25: 32 bits of Float, 64 of Double Float Pixel Data",
    applies=lambda sound: sound.is_float,
    variants={"other": {32: 64, 64: 32}},
    warns=("bits_contradict_pixels",),
)
def bits_of_other_floats(sound, other):
    """Bits Allocated of the other floating point samples."""
    return sound.parts.having(BitsAllocated=other[sound.get("BitsAllocated")])


@contradiction(
    row="signed_bits",
    clause="PS3.3 C.7.6.3: a single bit is 0 or 1",
    applies=lambda sound: sound.kind == "bits",
)
def signed_bits(sound):
    """Single bits, and a Pixel Representation with a sign."""
    return sound.parts.having(PixelRepresentation=1)


@contradiction(
    row="longer_rle_segments",
    clause="PS3.5 G.3: a segment has a byte for each pixel",
    applies=lambda sound: sound.kind == "grey16u" and sound.syntax == RLELossless,
    variants={"one": 1, "three": 3},
    warns=("trailing_bytes",),
)
def longer_rle_segments(sound, count):
    """Frames of RLE with more rows than the header has."""
    frames = grey_frames(sound.frames, 16)[..., 0]
    longer = [np.concatenate([frame, frame[:count]]) for frame in frames]
    return with_streams(sound.parts, [encode_rle(frame, 16) for frame in longer])


@contradiction(
    row="precision_of_stream",
    clause="PS3.5 8.2: samples of the stream do not fit",
    applies=lambda sound: sound.kind == "grey12u" and sound.name.split("-")[1] in TWELVE_BITS,
    must_fail=True,
    errors=("decode_error",),
)
def precision_above_bits_allocated(sound):
    """Streams of 12 bits, and a header of 8."""
    return sound.parts.having(BitsAllocated=8, BitsStored=8, HighBit=7)


TWELVE_BITS = ("jpeg12", "lossless", "lossless14", "j2k")


@contradiction(
    row="higher_lossy_values",
    clause="PS3.3 C.8.11.7; a lossy codec exceeds the range, and masking would turn white to black",
    applies=is_of("grey12u", JPEG2000Lossless),
    warns=("values_above_bits_stored",),
)
def lossy_values_above_bits_stored(sound):
    """Lossy streams of 12 bits whose highest values need more than the 11 of the header."""
    frames = grey_frames(sound.frames, 12)
    streams = [encode_jpeg_2000(f, 12, reversible=False) for f in frames[..., 0]]
    lossy = with_streams(sound.parts.having(**NO_RESCALE), streams)
    made = lossy.having(BitsStored=11, HighBit=10)
    overrides = {"settings": STORED}
    return Expected(made, lossy, lambda found: np.minimum(found, 2047), overrides)


@contradiction(
    row="chroma_of_lower_precision",
    clause="PS3.5 8.2: the stream has what is used to decode it",
    applies=is_of("ybr8", JPEGLSLossless),
    warns=("precision_below_bits_stored",),
)
def stream_of_8_bits_called_16(sound):
    """YCbCr of 8 bits in streams, and a header of 16."""
    made = sound.parts.having(BitsAllocated=16, BitsStored=16, HighBit=15)
    return Expected(made, change=lambda frames: frames.astype(np.uint16))


@contradiction(
    row="subsampled_first_component",
    clause="PS3.3 C.7.6.3.1.2: only chroma is subsampled",
    applies=is_of("ybr8", JPEG2000Lossless),
    must_fail=True,
    errors=("unsupported_pixels",),
)
def subsampled_first_component(sound):
    """JPEG 2000 whose first component has half of the columns."""
    ybr = to_ybr(colour_frames(sound.frames))
    streams = [_with_factors(encode_subsampled(f, (2, 1)), ((2, 1), (1, 1), (1, 1))) for f in ybr]
    return with_streams(sound.parts, streams)


@contradiction(
    row="precision_of_components",
    clause="PS3.3 C.7.6.3: an image has one Bits Stored and one Pixel Representation",
    applies=lambda sound: sound.kind == "rgb8" and sound.syntax == JPEG2000Lossless,
    variants={"bits": 11, "sign": 0x87},
    must_fail=True,
    errors=("decode_error",),
)
def components_of_other_precision(sound, depth):
    """JPEG 2000 whose third component has more bits, or a sign."""
    return with_streams(sound.parts, [_with_depth(stream, depth) for stream in sound.streams])


def _with_factors(stream, factors):
    """A codestream with other subsampling factors (ITU-T T.800 A.5.1)."""
    changed = bytearray(stream)
    start = stream.index(struct.pack(">H", SIZ)) + 40
    for component, (x, y) in enumerate(factors):
        changed[start + 3 * component + 1 : start + 3 * component + 3] = x, y
    return bytes(changed)


def _with_depth(stream, depth):
    """A codestream with another depth of its third component."""
    changed = bytearray(stream)
    changed[stream.index(struct.pack(">H", SIZ)) + 40 + 6] = depth
    return bytes(changed)


@contradiction(
    row="jpeg_xl_colour",
    clause="PS3.5 8.2.15: a lossy stream says what it is",
    applies=is_of("rgb8", JPEG_XL_LOSSLESS),
    warns=("colour_contradicts_header",),
)
def lossy_jpeg_xl_called_partial(sound):
    """Lossy JPEG XL, whose decoder gives RGB, and a header of YBR_PARTIAL_422."""
    streams = [imagecodecs.jpegxl_encode(f, level=95) for f in colour_frames(sound.frames)]
    lossy = with_streams(sound.parts, streams).with_(stated=JPEG_XL)
    return Expected(lossy.having(PhotometricInterpretation="YBR_PARTIAL_422"), lossy)


@contradiction(
    row="infinite_values",
    clause="DESIGN 5: values that are no numbers are background",
    applies=lambda sound: sound.is_float,
    warns=("values_not_finite",),
)
def values_that_are_not_finite(sound):
    """Not-a-number, and both infinities, in the border."""
    kind = "<f4" if sound.get("BitsAllocated") == 32 else "<f8"
    values = np.frombuffer(sound.parts.value, kind).copy()
    values[:3] = np.nan, -np.inf, np.inf
    made = sound.parts.with_(value=values.tobytes())

    def change(frames):
        changed = frames.copy()
        changed.reshape(-1)[:3] = 0, 0, np.iinfo(frames.dtype).max
        return changed

    assert BORDER * sound.get("Columns") > len(values[:3])
    return Expected(made, change=change)
