"""Facts of the header against the samples, and facts that are not pixels."""

import numpy as np
from pydicom.uid import ExplicitVRLittleEndian

from tests.contradictory.encodings import is_any, is_plain
from tests.contradictory.kinds import Expected, contradiction
from tests.contradictory.parts import element
from tests.contradictory.sound import CODECS
from tests.contradictory.streams import native_bytes

ABOVE = "values_above_bits_stored"
PRECISION = "precision_below_bits_stored"
HOLOGIC = b"HOLOGIC, Inc."


def samples_of(sound):
    """Native samples as unsigned words, (frames, rows, columns)."""
    shape = (sound.frames, sound.get("Rows"), sound.get("Columns"))
    return np.frombuffer(sound.parts.value[: native_bytes(sound)], "<u2").reshape(shape)


def with_samples(parts, samples):
    value = samples.astype("<u2").tobytes()
    return parts.with_(value=value + b"\0" * (len(value) % 2))


@contradiction(
    row="bits_above_stored",
    clause="PS3.5 8.1.1: bits above Bits Stored are not of the sample",
    applies=lambda sound: sound.kind in ("grey12u", "grey12s") and sound.is_native,
    variants={"one": 0x1000, "all": 0xF000},
    warns=(ABOVE,),
)
def bits_above_stored(sound, bits):
    """Bits above Bits Stored, such as those of an overlay, in some pixels."""
    samples = samples_of(sound).copy()
    samples[:, 5:9, 5:9] ^= np.uint16(bits)
    return with_samples(sound.parts, samples)


@contradiction(
    row="bits_above_stored",
    clause="PS3.5 8.1.1, G: RLE has every allocated bit",
    applies=lambda sound: sound.kind == "grey12u" and sound.name.split("-")[1] == "explicit",
    warns=(ABOVE,),
)
def bits_above_stored_in_rle(sound):
    """Bits above Bits Stored in frames of RLE."""
    samples = samples_of(sound).copy()
    samples[:, 5:9, 5:9] |= np.uint16(0xF000)
    return encoded(sound.parts, samples, "rle")


@contradiction(
    row="bits_above_stored",
    clause="PS3.5 8.1.1: bits above Bits Stored are not of the sample, and copy its sign or are 0",
    applies=lambda sound: sound.kind == "grey12s" and sound.name.split("-")[1] == "explicit",
    variants={
        f"{codec or 'native'}{'_in_other_frame' if apart else ''}": (codec, apart)
        for codec in ("", "rle", "lossless", "jls", "j2k", "htj2k")
        for apart in (False, True)
    },
    warns=(ABOVE,),
)
def signed_values_above_bits_stored(sound, options):
    """Values that signed Bits Stored do not hold, and negative ones with copies of their sign."""
    codec, apart = options
    samples = samples_of(sound).view("<i2").copy()
    if apart and sound.frames == 1:
        return None
    if apart:
        samples[-1] = np.maximum(samples[-1], 7)
    wrapped = samples.copy()
    samples[-1, 5:9, 5:9], wrapped[-1, 5:9, 5:9] = 3071, 3071 - 4096
    made, same_as = (with_samples(sound.parts, values) for values in (samples, wrapped))
    if codec:
        made = encoded(sound.parts, samples, codec)
    return Expected(made, same_as)


def encoded(parts, samples, codec, bits=16):
    """The parts with (frames, rows, columns) as streams."""
    used = CODECS[codec]
    streams = [bytes(used.encode(np.ascontiguousarray(frame), bits)) for frame in samples]
    padded = tuple(s + b"\0" * (len(s) % 2) for s in streams)
    return parts.with_(items=(b"", *padded), vr="OB", stated=used.syntax)


@contradiction(
    clause="PS3.5 8.1.1: nothing is said of the bits above Bits Stored; none of them is set",
    applies=lambda sound: sound.kind == "grey12s" and sound.is_native,
)
def sign_not_extended(sound):
    """Negative samples of 12 bits with zeros above their sign."""
    return with_samples(sound.parts, samples_of(sound) & np.uint16(0x0FFF))


@contradiction(
    row="values_seem_signed",
    clause="DESIGN 5: written as it stands, with a warning",
    applies=lambda sound: sound.kind in ("grey16s", "grey12s") and sound.is_native,
    variants={"near": "", "far": "far", "in_last_frame": "last"},
    warns=("values_seem_signed", ABOVE),
    may_warn=("values_seem_signed",),  # also what it is compared with
)
def signed_values_under_unsigned_header(sound, where):
    """Negative values in two's complement, and a Pixel Representation without a sign."""
    samples = samples_of(sound).view("<i2").copy()
    samples[:, :3] = np.arange(-300, -300 + samples.shape[2])
    samples[:, 3:] //= 8  # around 0, as of a CT
    if where == "far":  # more than a quarter of the range below 0
        samples[:, :3] = -(1 << sound.get("BitsStored") - 2) - 76
    if where == "last":
        if sound.frames == 1:
            return None
        samples[:-1] = np.abs(samples[:-1])
    made = with_samples(sound.parts.having(PixelRepresentation=0), samples)
    # The same bits of a header that is right as far as it can be known.
    stored = np.uint16((1 << sound.get("BitsStored")) - 1)
    same_as = with_samples(made, samples.view("<u2") & stored)
    return Expected(made, same_as)


@contradiction(
    row="values_seem_signed",
    clause="PS3.3 C.7.6.3: an unsigned image may have any values; nothing is wrong",
    applies=lambda sound: sound.kind in ("grey12u", "grey16u") and sound.is_native,
    variants={"text": 0.95, "film": 0.8, "saturated": 1},
)
def black_and_white(sound, white):
    """A picture of black and white, with noise and nothing between them."""
    shape, limit = samples_of(sound).shape, 1 << sound.get("BitsStored")
    generator = np.random.default_rng(0)
    centres = np.where(generator.random(shape) < 0.4, 0.02, white)
    noisy = limit * (centres + generator.normal(0, 0.003, shape))
    made = with_samples(sound.parts, np.clip(noisy, 0, limit - 1))
    return Expected(made, made)


@contradiction(
    row="lower_precision",
    clause="PS3.5 8.2: the highest bit of the stream is the sign; others take that of Bits Stored",
    applies=lambda sound: sound.kind in ("grey8s", "grey12s") and sound.name.split("-")[1] == "rle",
    variants={codec: codec for codec in ("lossless", "jls", "j2k", "htj2k")},
    warns=(PRECISION,),
    may_warn=("sign_contradicts_stream",),
)
def precision_below_signed_bits_stored(sound, codec):
    """Signed values in a stream of fewer bits than Bits Stored, which does not say their sign."""
    bits = sound.get("BitsStored")
    if codec in ("jls", "htj2k") and bits != 8:
        return None  # their encoders take the precision from the dtype
    low = sound.truth[..., 0]
    unsigned = (low.astype("<i2") & ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    made = sound.parts.having(BitsAllocated=16, BitsStored=16, HighBit=15)
    native = made.with_(items=None, vr="OW", stated=ExplicitVRLittleEndian)
    return Expected(encoded(made, unsigned, codec, bits), with_samples(native, low.astype("<i2")))


@contradiction(
    row="lower_precision",
    clause="DESIGN 5: no file is wrong in silence because two of its parts disagree",
    applies=lambda sound: sound.kind == "rgb8" and sound.name.split("-")[1] in ("jls", "j2k"),
    warns=(PRECISION,),
)
def precision_below_bits_stored_of_colour(sound):
    """Colour of 8 bits under a header of 16, in which it is nearly black."""
    made = sound.parts.having(BitsAllocated=16, BitsStored=16, HighBit=15)
    value = sound.truth.astype("<u2").tobytes()
    same_as = made.with_(items=None, vr="OW", value=value, stated=ExplicitVRLittleEndian)
    return Expected(made, same_as)


@contradiction(
    row="sign_of_stream",
    clause="PS3.5 8.2.4: Pixel Representation is that of the stream",
    applies=lambda sound: (
        sound.kind in ("grey12s", "grey12u") and sound.name.split("-")[1] in ("j2k", "htj2k")
    ),
    warns=("sign_contradicts_stream",),
    may_warn=(ABOVE,),
)
def other_sign_than_the_stream(sound):
    """Pixel Representation that the samples of the stream do not have."""
    signed = sound.kind == "grey12u"
    made = sound.parts.having(PixelRepresentation=int(signed))
    values = sound.truth[..., 0].astype("<u2") & np.uint16(0x0FFF)
    native = made.with_(items=None, vr="OW", stated=ExplicitVRLittleEndian)
    return Expected(made, with_samples(native, values))


@contradiction(
    row="high_bit",
    clause="PS3.5 8.1.1: High Bit leaves room for Bits Stored",
    applies=lambda sound: not sound.is_float and sound.get("BitsAllocated") > 1,
    variants={"zero": 0, "low": 5, "beyond": 99, "missing": None},
    warns=("high_bit_unusable",),
)
def impossible_high_bit(sound, value):
    """High Bit that leaves no room for the stored bits, or is outside of the allocated ones."""
    return sound.parts.having(HighBit=value)


@contradiction(
    clause="PS3.5 8.1.1: the stored bits end at High Bit",
    applies=lambda sound: sound.kind in ("grey12u", "grey12s") and sound.is_native,
)
def samples_in_high_bits(sound):
    """Samples in the upper 12 of 16 bits, which the standard had."""
    return with_samples(sound.parts.having(HighBit=15), samples_of(sound) << 4)


@contradiction(
    row="bits_below_stored",
    clause="PS3.5 8.1.1: the stored bits end at High Bit; what is below is not of the sample",
    applies=lambda sound: sound.kind in ("grey12u", "grey12s") and sound.is_native,
    warns=("bits_below_stored",),
)
def low_samples_under_high_bit(sound):
    """Samples in the lower 12 of 16 bits, and a High Bit of samples in the upper ones."""
    parts, samples = sound.parts.having(HighBit=15), samples_of(sound)
    return Expected(with_samples(parts, samples), with_samples(parts, samples & np.uint16(0xFFF0)))


@contradiction(
    clause="PS3.3 C.7.6.3: the stored bits fit the allocated ones",
    applies=lambda sound: not sound.is_float,
    must_fail=True,
    errors=("missing_attribute",),
)
def more_bits_stored_than_allocated(sound):
    """Bits Stored above Bits Allocated."""
    return sound.parts.having(BitsStored=sound.get("BitsAllocated") + 1)


@contradiction(
    clause="PS3.3 C.7.6.3: type 1 of the Image Pixel Module",
    applies=is_any,
    variants={k: k for k in ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel")},
    must_fail=True,
    errors=("missing_attribute",),
)
def required_attribute_missing(sound, keyword):
    """An image without an attribute that says how to read it."""
    return sound.parts.having(**{keyword: None})


@contradiction(
    clause="PS3.3 C.7.6.3: 0 or 1",
    applies=lambda sound: not sound.is_float,
    variants={"two": 2, "missing": None},
    must_fail=True,
    errors=("missing_attribute", "unsupported_pixels"),
)
def impossible_pixel_representation(sound, value):
    """Pixel Representation that is neither 0 nor 1."""
    return sound.parts.having(PixelRepresentation=value)


@contradiction(
    row="pixel_aspect_ratio",
    clause="PS3.3 C.7.6.3.1.7: rows are higher than columns are wide",
    applies=lambda sound: not sound.is_enhanced and sound.kind[:3] not in ("dbt", "dos"),
    variants={"tall": [2, 1], "wide": [10, 11]},
    warns=("pixel_aspect_ratio",),
)
def pixels_are_not_square(sound, ratio):
    """Pixel Aspect Ratio of pixels that are not square, and no spacing."""
    same_as = sound.parts.having(PixelSpacing=None)
    return Expected(same_as.having(PixelAspectRatio=ratio), same_as)


@contradiction(
    clause="PS3.3 C.7.6.3.1.7: 1 to 1",
    applies=lambda sound: not sound.is_enhanced and sound.kind[:3] not in ("dbt", "dos"),
)
def pixels_are_square(sound):
    """Pixel Aspect Ratio of square pixels, which says nothing new."""
    same_as = sound.parts.having(PixelSpacing=None)
    return Expected(same_as.having(PixelAspectRatio=[1, 1]), same_as)


@contradiction(
    row="mosaic",
    clause="DESIGN 5: written as it stands, with a warning",
    applies=lambda sound: sound.kind in ("grey12u", "grey16u") and sound.frames == 1,
    warns=("mosaic",),
)
def mosaic(sound):
    """A mosaic of slices in one frame, as Siemens writes them."""
    return sound.parts.having(
        ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"],
        Modality="MR",
        Manufacturer="SIEMENS",
    )


@contradiction(
    row="private_volume",
    clause="DESIGN 5: written as it stands, with a warning",
    applies=lambda sound: sound.kind == "grey8u" and is_plain(sound) and sound.frames == 1,
    variants={
        "first": (0x7E01, (HOLOGIC,), "LO"),
        "second": (0x7E01, (b"SOMEBODY", HOLOGIC), "LO"),
        "other_group": (0x7F01, (HOLOGIC,), "LO"),
        "unknown": (0x7E01, (HOLOGIC,), "UN"),
    },
    warns=("private_volume",),
)
def volume_in_private_elements(sound, options):
    """Tomosynthesis in private elements of a secondary capture, as Hologic writes it."""
    return with_private_slices(sound, *options)


@contradiction(
    row="private_volume",
    clause="PS3.5 7.8.1: private elements are of the creator of their block",
    applies=lambda sound: sound.kind == "grey8u" and is_plain(sound) and sound.frames == 1,
    variants={
        "other": (0x7E01, (b"SOMEBODY",), "LO"),
        "other_block": (0x7E01, (HOLOGIC, b"SOMEBODY"), "LO"),
        "none": (0x7E01, (b"",), "LO"),
    },
)
def private_elements_of_others(sound, options):
    """Private elements of somebody else with the tags of Hologic's, which are nothing wrong."""
    return with_private_slices(sound, *options)


def with_private_slices(sound, group, creators, vr):
    """A private element of 1,000 bytes in the block of the last of the creators."""
    encoding, first = sound.parts.encoding, 0x10
    raw = b""
    for block, creator in enumerate(creators, first):
        name = creator + b" " * (len(creator) % 2)
        raw += element(group << 16 | block, vr, name, encoding)
    raw += element(group << 16 | block << 8 | 0x10, "OB", b"\1\2" * 500, encoding)
    made = sound.parts.having(Modality="MG", Manufacturer="HOLOGIC, Inc.")
    return made.with_(before_pixels=raw)


@contradiction(
    row="sop_class_uid",
    clause="PS3.10 7.1: the file meta information repeats the class of the data set",
    applies=lambda sound: bool(sound.get("SOPClassUID")),
    warns=("sop_class_contradicts",),
)
def sop_class_of_meta(sound):
    """File meta information with another SOP class than the data set."""
    uid = sound.get("SOPClassUID").encode()
    other = uid[:-1] + (b"9" if uid[-1:] != b"9" else b"8")
    return sound.content.replace(uid, other, 1)
