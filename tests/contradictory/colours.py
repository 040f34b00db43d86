"""Photometric Interpretation against the stream, and against how the standard writes it."""

import numpy as np
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from tests.contradictory.component_streams import encode_subsampled
from tests.contradictory.encodings import is_any, is_encapsulated
from tests.contradictory.jpeg_segments import JFIF, adobe, with_markers
from tests.contradictory.kinds import Expected, contradiction
from tests.contradictory.parts import EXPLICIT, offset_table
from tests.contradictory.sound import DEFLATED_IMAGE_FRAME, colour_frames, to_ybr
from tests.contradictory.streams import LOSSLESS_JPEG

CONTRADICTED = "colour_contradicts_header"


def kinds(*names):
    """A condition: the sound file is of one of these kinds."""
    return lambda sound: sound.kind in names


def stating(sound, photometric):
    """The file with another Photometric Interpretation."""
    return sound.parts.having(PhotometricInterpretation=photometric)


def with_streams(parts, streams):
    """The file with other streams, one a frame."""
    padded = [s + b"\0" * (len(s) % 2) for s in streams]
    return parts.with_(items=(offset_table([[s] for s in padded]), *padded))


def native_twin(sound, pixels, photometric):
    """The sound native file of these samples."""
    value = pixels.tobytes()
    made = stating(sound, photometric).having(PlanarConfiguration=0)
    return made.with_(
        items=None,
        value=value + b"\0" * (len(value) % 2),
        vr="OW",
        encoding=EXPLICIT,
        stated=ExplicitVRLittleEndian,
    )


# JPEG 2000.

SUBSAMPLINGS = {"422": (2, 1), "420": (2, 2), "411": (4, 1), "440": (1, 2), "410": (4, 2)}
HEADERS = ("YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "RGB")


@contradiction(
    row="jpeg_2000_colour",
    clause="DESIGN 5: subsampled second and third components are YCbCr",
    applies=lambda sound: sound.kind == "ybr8" and sound.syntax == JPEG2000Lossless,
    variants={
        f"{name}-{header}": (factors, header)
        for name, factors in SUBSAMPLINGS.items()
        for header in HEADERS
    },
    errors=("unsupported_pixels",),
)
def subsampled_jpeg_2000(sound, variant):
    """JPEG 2000 with chroma of fewer samples, under any header."""
    factors, header = variant
    ybr = to_ybr(colour_frames(sound.frames))
    ybr[..., 1:] = 100, 170  # however chroma is interpolated, it is this everywhere
    streams = [encode_subsampled(frame, factors) for frame in ybr]
    says_ybr = header in ("YBR_FULL", "YBR_FULL_422")
    warns = {"may_warn": (CONTRADICTED,)} if says_ybr else {"warns": (CONTRADICTED,)}
    same_as = native_twin(sound, ybr, "YBR_FULL")
    return Expected(with_streams(stating(sound, header), streams), same_as, overrides=warns)


@contradiction(
    row="missing_transform",
    clause="PS3.5 8.2.4: YBR_RCT over a stream without transform means RGB components",
    applies=lambda sound: sound.kind in ("rgb8", "rgb16") and _is_jpeg_2000(sound),
    warns=(CONTRADICTED,),
)
def rct_over_rgb(sound):
    """A header of YBR_RCT, and a stream of RGB without component transform."""
    return stating(sound, "YBR_RCT")


@contradiction(
    row="missing_transform",
    clause="PS3.5 8.2.4: without transform the components are what the header says",
    applies=lambda sound: sound.kind == "ybr8" and _is_jpeg_2000(sound),
    warns=(CONTRADICTED,),
)
def ict_over_ybr(sound):
    """A header of YBR_ICT, and a stream of YCbCr without component transform."""
    return stating(sound, "YBR_ICT")


@contradiction(
    row="jpeg_2000_colour",
    clause="PS3.5 8.2.4: the transform of the stream is undone, and gives RGB",
    applies=lambda sound: sound.kind in ("rct8", "rct16", "ict8", "ict16"),
    variants={h: h for h in ("RGB", "YBR_RCT", "YBR_ICT", "YBR_FULL", "YBR_FULL_422")},
)
def header_over_transform(sound, header):
    """A header that does not name the transform of the stream."""
    if header == sound.get("PhotometricInterpretation"):
        return None
    says_ybr = header in ("YBR_FULL", "YBR_FULL_422")
    warns = {"warns": (CONTRADICTED,)} if says_ybr else {"may_warn": (CONTRADICTED,)}
    return Expected(stating(sound, header), overrides=warns)


def _is_jpeg_2000(sound):
    return sound.name.split("-")[1] in ("j2k", "htj2k")


# JPEG.


@contradiction(
    row="jpeg_colour",
    clause="ITU-T T.871, T.872; DESIGN 5: for lossy JPEG the markers of the stream",
    applies=kinds("jfif444", "jfif422", "jfif420"),
    variants={h: h for h in ("RGB", "YBR_ICT", "YBR_RCT", "YBR_FULL", "YBR_FULL_422")},
)
def header_over_jfif(sound, header):
    """YCbCr with a JFIF marker under any header of three samples."""
    if header == sound.get("PhotometricInterpretation"):
        return None
    says_ybr = header in ("YBR_FULL", "YBR_FULL_422")
    warns = {} if says_ybr else {"warns": (CONTRADICTED,)}
    return Expected(stating(sound, header), overrides=warns)


@contradiction(
    row="jpeg_colour",
    clause="ITU-T T.872: an Adobe marker with transform 0 is RGB",
    applies=kinds("adobe0"),
    variants={h: h for h in ("YBR_FULL", "YBR_FULL_422", "YBR_ICT")},
    warns=(CONTRADICTED,),
)
def header_over_adobe_rgb(sound, header):
    """RGB with an Adobe marker under a header of YCbCr."""
    return stating(sound, header)


@contradiction(
    row="jpeg_colour",
    clause="ITU-T T.872 before T.871: Adobe's marker says more",
    applies=kinds("adobe0"),
    may_warn=(CONTRADICTED,),
)
def jfif_beside_adobe(sound):
    """RGB by an Adobe marker, YCbCr by a JFIF marker, RGB by the header."""
    return with_streams(sound.parts, [with_markers(s, JFIF, adobe(0)) for s in sound.streams])


@contradiction(
    row="jpeg_colour",
    clause="ITU-T T.81 has no colour: without markers the header says it",
    applies=kinds("jfif444"),
    variants={"YBR_FULL": "YBR_FULL", "YBR_FULL_422": "YBR_FULL_422", "RGB": "RGB"},
)
def jpeg_without_markers(sound, header):
    """Three components of one size without any marker of colour."""
    made = with_streams(stating(sound, header), [with_markers(s) for s in sound.streams])
    if header != "RGB":
        return made
    marked = [with_markers(s, adobe(0)) for s in sound.streams]
    return Expected(made, with_streams(stating(sound, "RGB"), marked))


@contradiction(
    row="jpeg_colour",
    clause="ITU-T T.81 A.1.1: chroma alone is subsampled",
    applies=kinds("jfif422", "jfif420"),
    warns=(CONTRADICTED,),
)
def subsampled_jpeg_says_rgb(sound):
    """Subsampled components without markers under an RGB header."""
    return with_streams(stating(sound, "RGB"), [with_markers(s) for s in sound.streams])


@contradiction(
    row="jpeg_lossless_colour",
    clause="DESIGN 5: for lossless JPEG the header",
    applies=lambda sound: sound.syntax in LOSSLESS_JPEG and sound.is_colour,
    variants={"jfif": (JFIF,), "adobe0": (adobe(0),), "adobe1": (adobe(1),), "none": ()},
)
def marker_of_lossless_jpeg(sound, markers):
    """Lossless JPEG with any marker of colour, or none."""
    made = with_streams(sound.parts, [with_markers(s, *markers) for s in sound.streams])
    says_rgb = sound.get("PhotometricInterpretation") == "RGB"
    marked_rgb = markers == (adobe(0),)
    agrees = not markers or says_rgb == marked_rgb
    return Expected(made, overrides={} if agrees else {"warns": (CONTRADICTED,)})


@contradiction(
    clause="ITU-T T.871: one component is grey",
    applies=lambda sound: sound.is_grey and sound.name.split("-")[1] in ("jpeg", "lossless"),
    variants={"jfif": (JFIF,), "adobe0": (adobe(0),), "adobe1": (adobe(1),), "none": ()},
)
def marker_of_grey_jpeg(sound, markers):
    """Markers of colour in a stream of one component, which say nothing."""
    return with_streams(sound.parts, [with_markers(s, *markers) for s in sound.streams])


# Spelling.

SPELLINGS = {
    "lower": str.lower,
    "title": str.title,
    "blank": lambda text: f"{text[:2]} {text[2:]}",
    "blanks": " ".join,
}


@contradiction(
    row="photometric_spelling",
    clause="PS3.5 6.2: CS is in capitals; DESIGN 5: read in any case and without blanks",
    applies=is_any,
    variants=SPELLINGS,
    warns=("photometric_spelling",),
)
def spelling(sound, spell):
    """Photometric Interpretation in lower case or with blanks inside."""
    return stating(sound, spell(str(sound.get("PhotometricInterpretation"))))


@contradiction(
    row="photometric_spelling",
    clause="PS3.5 6.2: leading and trailing blanks of CS are padding",
    applies=is_any,
    variants={"leading": " {}", "trailing": "{}   ", "nul": "{}\0"},
    may_warn=("photometric_spelling",),
)
def padded_photometric(sound, form):
    """Photometric Interpretation with padding around it."""
    return stating(sound, form.format(sound.get("PhotometricInterpretation")))


def tells_colour(sound):
    """Whether a palette or the markers of its streams tell the colour."""
    return sound.is_palette or sound.kind.startswith(("rct", "ict", "jfif", "adobe"))


def may_tell_colour(sound):
    """Lossless JPEG of RGB has an Adobe marker, for which markers or nothing may count."""
    marked = sound.syntax in LOSSLESS_JPEG and sound.kind.startswith("rgb")
    return sound.is_colour and (marked or sound.name.split("-")[1] == "jxl")


@contradiction(
    row="missing_photometric",
    clause="DESIGN 5: what may be assumed",
    applies=lambda sound: tells_colour(sound) or may_tell_colour(sound),
    variants={"missing": None, "empty": ""},
    warns=("photometric_assumed",),
    may_warn=(CONTRADICTED,),
)
def photometric_missing(sound, value):
    """No Photometric Interpretation: a palette or the stream's markers tell."""
    overrides = {"errors": ("missing_attribute",)} if may_tell_colour(sound) else {}
    return Expected(stating(sound, value), overrides=overrides)


@contradiction(
    row="missing_photometric",
    clause="PS3.3 C.7.6.3: of type 1",
    applies=lambda sound: not (tells_colour(sound) or may_tell_colour(sound)),
    variants={"missing": None, "empty": ""},
    must_fail=True,
    errors=("missing_attribute",),
)
def photometric_missing_and_untold(sound, value):
    """No Photometric Interpretation, and nothing that tells it."""
    return stating(sound, value)


@contradiction(
    clause="PS3.3 C.7.6.3.1.2: one sample",
    applies=lambda sound: sound.is_colour,
    variants={"MONOCHROME2": "MONOCHROME2", "PALETTE": "PALETTE COLOR", "CMYK": "CMYK"},
    must_fail=True,
    errors=("unsupported_pixels", "decode_error", "missing_attribute"),
)
def colour_called_other(sound, header):
    """Three samples under a header of one or four."""
    return stating(sound, header)


# Planes and sampling.


@contradiction(
    row="planes_of_rle",
    clause="PS3.3 C.7.6.3.1.3, PS3.5 8.2: compressed streams have a layout of their own",
    applies=lambda sound: (
        is_encapsulated(sound) and sound.is_colour and sound.syntax != DEFLATED_IMAGE_FRAME
    ),  # which holds native pixels
    variants={"planes": 1, "missing": None},
)
def planar_configuration_of_stream(sound, value):
    """Planar Configuration that is not that of the stream."""
    return sound.parts.having(PlanarConfiguration=value)


@contradiction(
    clause="PS3.3 C.7.6.3.1.3: 0 or 1",
    applies=lambda sound: sound.is_colour and sound.is_native,
    variants={"two": 2, "many": 99},
    must_fail=True,
    errors=("missing_attribute",),
)
def impossible_planar_configuration(sound, value):
    """Planar Configuration that is no layout."""
    return sound.parts.having(PlanarConfiguration=value)


@contradiction(
    row="whole_samples_called_422",
    clause="PS3.3 C.7.6.3.1.2: two samples a pixel; the bytes of three are there",
    applies=lambda sound: sound.kind == "ybr8" and sound.is_native,
    warns=(CONTRADICTED,),
    errors=("unsupported_pixels",),
)
def whole_samples_called_422(sound):
    """Native YBR_FULL_422 with three samples for each pixel."""
    return stating(sound, "YBR_FULL_422")


@contradiction(
    clause="PS3.5 G.2: segments of RLE have a byte of each pixel",
    applies=lambda sound: sound.kind == "ybr8" and sound.name.split("-")[1] in ("rle", "jls"),
    may_warn=(CONTRADICTED,),
)
def unsampled_stream_called_422(sound):
    """Whole samples in RLE or JPEG-LS under YBR_FULL_422."""
    return stating(sound, "YBR_FULL_422")


@contradiction(
    clause="PS3.3 C.7.6.3.1.3: 1 is planes",
    applies=lambda sound: sound.kind in ("rgb8", "rgb16", "ybr8") and sound.is_native,
)
def planes(sound):
    """The same samples in planes, which the standard has."""
    get = sound.get
    dtype = "<u2" if get("BitsAllocated") == 16 else "u1"
    shape = (sound.frames, get("Rows"), get("Columns"), 3)
    samples = np.frombuffer(sound.parts.value, dtype)[: np.prod(shape)].reshape(shape)
    value = np.moveaxis(samples, -1, 1).tobytes()
    made = sound.parts.having(PlanarConfiguration=1)
    return made.with_(value=value + b"\0" * (len(value) % 2))
