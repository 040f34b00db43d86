"""Pixel Padding Value under windows, inversion and as stored values.

The border of a sound grey file has a value of its own, which is the padding here.
"""

import numpy as np

from tests.contradictory.judge import convert_file
from tests.contradictory.kinds import Expected, contradiction
from tests.contradictory.parts import offset_table
from tests.contradictory.sound import BORDER, encode_jpeg_2000, encode_rle, grey_frames
from tests.contradictory.transforms import NO_RESCALE, NO_WINDOW, has_table, lut_item, with_voi

EXACT = (
    "implicit",
    "explicit",
    "big",
    "deflated",
    "rle",
    "lossless",
    "lossless14",
    "jls",
    "j2k",
    "htj2k",
)
LOSSY = ("jpeg", "jpeg12", "j2klossy", "htj2klossy")
STORED = {"intensity": "stored"}


def has_border(sound):
    """Whether it is grey, and its border has exactly one value."""
    return _is_grey_made_here(sound) and sound.name.split("-")[1] in EXACT


def _is_grey_made_here(sound):
    return sound.truth is not None and sound.kind.startswith("grey")


def border_of(sound):
    """The stored value of the border."""
    bits = 20 if sound.kind.startswith("grey32") else sound.get("BitsStored")
    return (-(1 << bits - 1) if sound.get("PixelRepresentation") else 0) + 5


def clear_border(frames):
    """The frames with 0 at the border."""
    changed = frames.copy()
    for axis in (1, 2):
        edges = np.moveaxis(changed, axis, 0)
        edges[:BORDER] = edges[-BORDER:] = 0
    return changed


def padding_vr(sound):
    return "SS" if sound.get("PixelRepresentation") else "US"


def padded(sound, *, limit=None, vr=None, value=None, **changes):
    """The file with its border as Pixel Padding Value."""
    value = border_of(sound) if value is None else value
    bits = 16 if sound.get("BitsAllocated") <= 16 else None

    def add(elements):
        for keyword, one in (("PixelPaddingValue", value), ("PixelPaddingRangeLimit", limit)):
            if one is not None:
                elements.add_new(keyword, vr or padding_vr(sound), one)

    return None if bits is None else sound.parts.having(**changes).edited(add)


def windows(sound):
    """Windows that show the border as black, grey and white, by name."""
    modality = 2 * border_of(sound) - 10
    wide = sound.get("WindowWidth")
    return {
        "black": {},
        "grey": {"WindowCenter": modality, "WindowWidth": wide},
        "white": {"WindowCenter": modality - wide, "WindowWidth": wide},
        "negative": {"RescaleSlope": -2, "WindowCenter": -modality, "WindowWidth": wide},
    }


PHOTOMETRICS = ("MONOCHROME1", "MONOCHROME2")
WINDOWS = {f"{p}-{w}": (p, w) for p in PHOTOMETRICS for w in ("black", "grey", "white", "negative")}


@contradiction(
    row="padding_under_window",
    clause="PS3.3 C.7.5.1.1.2; DESIGN 5: background under every window and inversion",
    applies=has_border,
    variants=WINDOWS,
)
def padding_under_window(sound, variant):
    """Padding that the window or the inversion would show as tissue."""
    photometric, window = variant
    changes = {"PhotometricInterpretation": photometric} | windows(sound)[window]
    made = padded(sound, **changes)
    return made and Expected(made, sound.parts.having(**changes), clear_border)


@contradiction(
    row="padding_under_window",
    clause="PS3.3 C.7.5.1.1.2: padding has no display value",
    applies=lambda sound: has_table(sound) and has_border(sound),
    variants={p: p for p in PHOTOMETRICS},
)
def padding_under_voi_lut(sound, photometric):
    """Padding that a VOI LUT would show as white."""
    table = lut_item(np.linspace(65535, 0, 256).astype(int), first=border_of(sound))
    same_as = with_voi(sound, table).having(PhotometricInterpretation=photometric)
    changes = {"PhotometricInterpretation": photometric, "VOILUTSequence": [table]}
    made = padded(sound, **NO_RESCALE, **NO_WINDOW, **changes)
    return made and Expected(made, same_as, clear_border)


@contradiction(
    row="padding_under_window",
    clause="PS3.3 C.7.5.1.1.2: padding is no value of the image",
    applies=lambda sound: has_border(sound) and sound.is_native,
    variants={p: p for p in PHOTOMETRICS},
)
def padding_under_min_max(sound, photometric):
    """Padding without a window: minimum to maximum of the others."""
    changes = {"PhotometricInterpretation": photometric} | NO_WINDOW
    made = padded(sound, **changes)
    return made and Expected(made, _with_darkest_border(sound, changes), clear_border)


def _with_darkest_border(sound, changes):
    """The sound file whose border has the lowest value of its tissue."""
    bits = sound.get("BitsStored")
    pixels = grey_frames(sound.frames, bits, signed=bool(sound.get("PixelRepresentation")))
    pixels = _darken_border(sound, pixels)
    value = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    return sound.parts.having(**changes).with_(value=value + b"\0" * (len(value) % 2))


def _darken_border(sound, pixels):
    """Pixels whose border has the lowest value of their tissue."""
    darkest = np.sort(np.unique(pixels))[1]
    return np.where(pixels == border_of(sound), darkest, pixels).astype(pixels.dtype)


@contradiction(
    row="padding_under_window",
    clause="PS3.3 C.7.5.1.1.2: all values from the padding to the limit",
    applies=has_border,
    variants={"up": (0, 40), "down": (40, 0), "both": (-4, 4)},
)
def padding_range(sound, ends):
    """A range of padding in either order, under a window that shows it as white."""
    low, high = (border_of(sound) + end for end in ends)
    changes = windows(sound)["white"]
    made = padded(sound, value=low, limit=high, **changes)
    return made and Expected(made, sound.parts.having(**changes), _clear_range(sound, ends))


def _clear_range(sound, ends):
    """The border alone is within the range, except in 8 bits, where tissue may be."""
    low, high = sorted(border_of(sound) + end for end in ends)
    bits = sound.get("BitsStored")
    pixels = grey_frames(sound.frames, bits, signed=bool(sound.get("PixelRepresentation")))
    inside = (pixels >= low) & (pixels <= high)
    return lambda frames: np.where(inside, 0, frames).astype(frames.dtype)


@contradiction(
    row="padding_vr",
    clause="PS3.3 C.7.5.1.1.2: its VR follows Pixel Representation",
    applies=lambda sound: (
        has_border(sound)
        and sound.get("PixelRepresentation") == 1
        and sound.get("BitsAllocated") == 16
    ),
)
def signed_padding_in_us(sound):
    """Padding of signed pixels in VR US, with the same bits."""
    changes = windows(sound)["white"]
    made = padded(sound, vr="US", value=border_of(sound) % 65536, **changes)
    return Expected(made, sound.parts.having(**changes), clear_border)


@contradiction(
    clause="PS3.3 C.7.5.1.1.2, PS3.5 8.1.1: a negative value may have zeros above its sign",
    applies=lambda sound: has_border(sound) and sound.kind == "grey12s",
)
def signed_padding_without_its_sign(sound):
    """Padding of signed pixels of 12 bits, as its low 12 bits."""
    changes = windows(sound)["white"]
    made = padded(sound, vr="US", value=border_of(sound) % 4096, **changes)
    return Expected(made, sound.parts.having(**changes), clear_border)


ABOVE = {"value": (63536, None), "range": (63000, 65535), "reach": (65535, 4096)}
"""Padding of bits above 12, of which 63536 is 2096 if it is masked, by value and limit."""


ENCODERS_OF_16 = {
    "implicit": None,
    "explicit": None,
    "big": None,
    "deflated": None,
    "rle": lambda frame: encode_rle(frame, 16),
    "j2k": lambda frame: encode_jpeg_2000(frame, 16),
}
"""Of frames with all bits of a word, by codec; native pixels have them as they are."""


def is_of_12_bits(sound):
    return has_border(sound) and sound.kind in ("grey12u", "grey12s")


@contradiction(
    row="padding_above_stored",
    clause="PS3.3 C.7.5.1.1.2: within Bits Stored; where pixels have its bits it is meant",
    applies=lambda sound: is_of_12_bits(sound) and sound.name.split("-")[1] in ENCODERS_OF_16,
    variants={f"{n}-{w}": (e, w) for n, e in ABOVE.items() for w in ("white", "minmax")},
    warns=("values_above_bits_stored",),
)
def padding_above_bits_stored(sound, variant):
    """Padding that has bits above Bits Stored, in the attribute and in the border."""
    (value, limit), window = variant
    signed = bool(sound.get("PixelRepresentation"))
    border = 63536
    if signed:  # as negative words, which are no copies of the sign of 12 bits
        value, limit, border = -30000, limit and -10000, -20000 if limit else -30000
    changes = NO_WINDOW if window == "minmax" else windows(sound)[window]
    pixels = grey_frames(sound.frames, 12, signed=signed)
    same_as = sound.parts.having(**changes)
    if window == "minmax":
        same_as = _with_pixels(same_as, sound, _darken_border(sound, pixels))
    pixels = np.where(pixels == border_of(sound), border, pixels).astype(pixels.dtype)
    made = padded(sound, value=value, limit=limit, **changes)
    return Expected(_with_pixels(made, sound, pixels), same_as, clear_border)


@contradiction(
    row="padding_above_stored",
    clause="PS3.3 C.7.5.1.1.2: a value that no pixel has",
    applies=is_of_12_bits,
    variants={p: p for p in PHOTOMETRICS},
)
def padding_above_bits_stored_that_no_pixel_has(sound, photometric):
    """Padding that has bits above Bits Stored, and tissue of its masked value."""
    same_as = sound.parts.having(PhotometricInterpretation=photometric)
    value = -30000 if sound.get("PixelRepresentation") else 63536
    return Expected(padded(sound, value=value, PhotometricInterpretation=photometric), same_as)


def _with_pixels(parts, sound, pixels):
    """The file with other pixels, of all 16 bits."""
    encode = ENCODERS_OF_16[sound.name.split("-")[1]]
    if encode is None:
        value = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
        return parts.with_(value=value + b"\0" * (len(value) % 2))
    streams = [encode(np.ascontiguousarray(frame[..., 0])) for frame in pixels]
    padded_streams = [s + b"\0" * (len(s) % 2) for s in streams]
    return parts.with_(items=(offset_table([[s] for s in padded_streams]), *padded_streams))


@contradiction(
    clause="DESIGN 5: under stored the padding is the background",
    applies=has_border,
    variants={p: p for p in PHOTOMETRICS},
)
def padding_of_stored_values(sound, photometric):
    """Padding under ``intensity: stored``, where the border is the lowest value or not."""
    made = padded(sound, PhotometricInterpretation=photometric)
    # Of MONOCHROME1 the background without padding is the highest value: another fact, so that
    # the sound file here is MONOCHROME2, whose lowest value is the border.
    same_as = sound.parts.having(PhotometricInterpretation="MONOCHROME2")
    return made and Expected(made, same_as, overrides={"settings": STORED})


@contradiction(
    clause="PS3.3 C.7.5.1.1.2: a value that no pixel has",
    applies=lambda sound: has_border(sound) and sound.get("BitsAllocated") == 16,
)
def padding_that_no_pixel_has(sound):
    """Pixel Padding Value that is not there."""
    return padded(sound, value=border_of(sound) + 1)


@contradiction(
    clause="PS3.3 C.7.5.1.1.2; DESIGN 5: in lossy streams those within the codec's NEAR",
    applies=lambda sound: _is_grey_made_here(sound) and sound.name.split("-")[1] == "near",
    variants=WINDOWS,
)
def padding_within_near(sound, variant):
    """Padding in near-lossless JPEG-LS, of which pixels differ by up to NEAR."""
    return padding_under_window(sound, variant)


@contradiction(
    row="lossy_padding",
    clause="DESIGN 5: exactly equal values in lossy streams; others stay",
    applies=lambda sound: _is_grey_made_here(sound) and sound.name.split("-")[1] in LOSSY,
    variants=WINDOWS,
    may_warn=("padding_not_exact",),
)
def padding_of_lossy_stream(sound, variant):
    """Padding in a lossy stream, most of whose pixels are near it."""
    photometric, window = variant
    changes = {"PhotometricInterpretation": photometric} | windows(sound)[window]
    stored = convert_file(sound.parts.having(**NO_RESCALE).put_together(), STORED).frames
    is_padding = stored == border_of(sound)

    def clear(frames):
        return np.where(is_padding, 0, frames).astype(frames.dtype)

    return Expected(padded(sound, **changes), sound.parts.having(**changes), clear)


@contradiction(
    clause="PS3.3 C.7.6.24: Float Pixel Padding Value",
    applies=lambda sound: sound.is_float and sound.truth is not None,
    variants={p: p for p in PHOTOMETRICS},
)
def padding_of_floats(sound, photometric):
    """Padding of float pixel data under a window that shows it as grey."""
    keyword = sound.parts.keyword.replace("PixelData", "PixelPaddingValue")
    border = float(sound.truth[0, 0, 0, 0])
    changes = {"PhotometricInterpretation": photometric, "WindowCenter": border}
    same_as = sound.parts.having(**changes)
    return Expected(same_as.having(**{keyword: border}), same_as, clear_border)


@contradiction(
    clause="PS3.3 C.7.5.1.1.2: stored values, whatever the transform of their frame",
    applies=lambda sound: sound.kind.startswith("enhanced") and sound.truth is not None,
    variants={p: p for p in PHOTOMETRICS},
)
def padding_of_frames(sound, photometric):
    """Padding of frames with different rescales and windows."""
    same_as = sound.parts.having(PhotometricInterpretation=photometric)
    made = padded(sound, PhotometricInterpretation=photometric)
    return Expected(made, same_as, clear_border)
