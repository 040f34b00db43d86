"""Sound files: every kind of image in every transfer syntax that holds it, small.

Each has a border of one value, its lowest, which no other pixel has.
"""

import zlib
from dataclasses import dataclass
from functools import cache

import imagecodecs
import numpy as np
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.contradictory.jpeg_segments import with_markers
from tests.contradictory.kinds import Sound
from tests.contradictory.parts import ENCODING_OF, EXPLICIT, Parts, deflate, offset_table
from tests.unit.datasets import BREAST_TOMOSYNTHESIS, SECONDARY_CAPTURE, functional_groups, item

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
SHAPES = {1: (16, 24), 3: (13, 15)}
"""Rows and columns by the number of frames: even, and odd so that frames have an odd length."""
BORDER = 2

# pydicom's dictionary does not have these yet (PS3.6 Table A-1).
JPEG_XL_LOSSLESS = UID("1.2.840.10008.1.2.4.110")
DEFLATED_IMAGE_FRAME = UID("1.2.840.10008.1.2.8.1")

NATIVE = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


@dataclass(frozen=True)
class Codec:
    """A transfer syntax, its encoder from (rows, columns[, 3]) and Bits Stored, and what it holds.

    ``depths`` are Bits Stored; ``tolerance`` by 255 levels.
    """

    syntax: str
    encode: object
    depths: tuple[int, ...] = (8, 12, 16)
    tolerance: int = 0
    holds_signed: bool = True


def _unsigned(frame, bits):
    """Two's complement of the precision of a stream (PS3.5 8.1.1), for codecs without a sign."""
    return frame.view(f"u{frame.itemsize}") & np.array((1 << bits) - 1, f"u{frame.itemsize}")


def encode_rle(frame, bits):
    """An RLE frame (PS3.5 Annex G): a segment for each byte of each sample."""
    samples = np.atleast_3d(frame)
    planes = []
    for sample in range(samples.shape[2]):
        plane = samples[..., sample].astype(samples.dtype.newbyteorder(">"))
        whole = np.frombuffer(plane.tobytes(), np.uint8).reshape(*plane.shape, -1)
        planes += [np.ascontiguousarray(whole[..., i]) for i in range(whole.shape[2])]
    segments = [bytes(imagecodecs.packbits_encode(p, axis=-1)) for p in planes]
    segments = [s + b"\0" * (len(s) % 2) for s in segments]
    starts = np.cumsum([64, *map(len, segments)])[:-1]
    header = np.zeros(16, "<u4")
    header[0], header[1 : 1 + len(starts)] = len(segments), starts
    return header.tobytes() + b"".join(segments)


def _lossy_jpeg(frame, bits, **options):
    return imagecodecs.jpeg8_encode(frame, level=98, bitspersample=max(8, bits), **options)


def _lossless_jpeg(predictor):
    def encode(frame, bits, *, markers=None):
        stream = imagecodecs.jpeg8_encode(
            _unsigned(frame, bits), lossless=True, predictor=predictor, bitspersample=bits
        )
        return stream if markers is None else with_markers(stream, *markers)

    return encode


def _jpeg_ls(level):
    # Its encoder takes the precision from the dtype.
    return lambda frame, _: imagecodecs.jpegls_encode(
        _unsigned(frame, 8 * frame.itemsize), level=level
    )


def encode_jpeg_2000(frame, bits, *, reversible=True, mct=False, resolutions=3):
    quality = {"level": 0} if reversible else {"level": 55}
    return imagecodecs.jpeg2k_encode(
        frame,
        codecformat="J2K",
        reversible=reversible,
        bitspersample=bits,
        mct=mct,
        resolutions=resolutions,
        **quality,
    )


def encode_htj2k(frame, bits, *, mct=False):
    return imagecodecs.htj2k_encode(frame, reversible=True, rgb=mct)


def _htj2k_lossy(frame, bits):
    return imagecodecs.htj2k_encode(frame, level=0.0005, reversible=False)


def _jpeg_xl(frame, bits):
    return imagecodecs.jpegxl_encode(_unsigned(frame, bits), lossless=True, bitspersample=bits)


def _deflate(frame, bits):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(frame.tobytes()) + compressor.flush()


CODECS = {
    "rle": Codec(RLELossless, encode_rle),
    "jpeg": Codec(JPEGBaseline8Bit, _lossy_jpeg, (8,), 12, holds_signed=False),
    "jpeg12": Codec(JPEGExtended12Bit, _lossy_jpeg, (12,), 12, holds_signed=False),
    "lossless14": Codec(JPEGLossless, _lossless_jpeg(4)),
    "lossless": Codec(JPEGLosslessSV1, _lossless_jpeg(1)),
    "jls": Codec(JPEGLSLossless, _jpeg_ls(0)),
    "near": Codec(JPEGLSNearLossless, _jpeg_ls(2), (8, 12, 16), 2, holds_signed=False),
    "j2k": Codec(JPEG2000Lossless, encode_jpeg_2000),
    "j2klossy": Codec(
        JPEG2000, lambda frame, bits: encode_jpeg_2000(frame, bits, reversible=False), tolerance=8
    ),
    "htj2k": Codec(HTJ2KLossless, encode_htj2k),
    "htj2krpcl": Codec(HTJ2KLosslessRPCL, encode_htj2k, (12,)),
    "htj2klossy": Codec(HTJ2K, _htj2k_lossy, (8, 16), 8, holds_signed=False),
    "jxl": Codec(JPEG_XL_LOSSLESS, _jpeg_xl, (8, 12, 16), holds_signed=False),
    "deflatedframe": Codec(DEFLATED_IMAGE_FRAME, _deflate),
}
LOSSLESS_COLOUR = ("rle", "lossless14", "lossless", "jls", "j2k", "htj2k", "jxl")


def grey_frames(frames, bits, *, signed=False):
    """Smooth tissue between 30 and 80 % of the range, within a border of 5 above the lowest."""
    rows, columns = SHAPES[frames]
    low = -(1 << bits - 1) if signed else 0
    y, x = np.mgrid[:rows, :columns]
    made = np.empty((frames, rows, columns, 1), np.int64)
    for i in range(frames):
        wave = 0.55 + 0.24 * np.sin(x / (4 + i)) * np.cos(y / (3 + i))
        made[i, ..., 0] = low + wave * (1 << bits)
        edge = (y < BORDER) | (y >= rows - BORDER) | (x < BORDER) | (x >= columns - BORDER)
        made[i, edge] = low + 5
    kind = "i" if signed else "u"
    return made.astype(f"{kind}{1 if bits <= 8 else 2 if bits <= 16 else 4}")


def colour_frames(frames, bits=8):
    """Red, green and blue that differ everywhere."""
    grey = grey_frames(frames, bits)[..., 0].astype(np.int64)
    top = (1 << bits) - 1
    rgb = np.stack([grey, top - grey, grey[:, ::-1] // 2], axis=-1)
    return rgb.astype(np.uint8 if bits <= 8 else np.uint16)


def to_ybr(rgb, bits=8):
    """YCbCr of full range (PS3.3 C.7.6.3.1.2)."""
    r, g, b = (rgb[..., i].astype(float) for i in range(3))
    y = 0.299 * r + 0.587 * g + 0.114 * b
    half = 1 << bits - 1
    planes = [y, (b - y) / 1.772 + half, (r - y) / 1.402 + half]
    return np.clip(np.rint(np.stack(planes, axis=-1)), 0, 2 * half - 1).astype(rgb.dtype)


def elements_of(pixels, bits, **changes):
    """The attributes of an image of (frames, rows, columns, samples)."""
    samples = pixels.shape[3]
    values = {
        "SOPClassUID": SECONDARY_CAPTURE,
        "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.33",
        "StudyDate": "20200102",
        "Modality": "OT",
        "PatientID": "P1",
        "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.11",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.22",
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "MONOCHROME2" if samples == 1 else "RGB",
        "PlanarConfiguration": 0 if samples == 3 else None,
        "NumberOfFrames": len(pixels),
        "Rows": pixels.shape[1],
        "Columns": pixels.shape[2],
        "PixelSpacing": [0.5, 0.5],
        "BitsAllocated": pixels.itemsize * 8,
    }
    if pixels.dtype.kind != "f":
        values |= {"BitsStored": bits, "HighBit": bits - 1}
        values["PixelRepresentation"] = int(pixels.dtype.kind == "i")
    return item(**{k: v for k, v in (values | changes).items() if v is not None})


def write_native(name, elements, pixels, syntax, *, truth=None, keyword="PixelData", value=None):
    """A sound file of native pixels."""
    little = pixels.astype(pixels.dtype.newbyteorder("<"))
    value = little.tobytes() if value is None else value
    vr = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}.get(keyword, "OW")
    if keyword == "PixelData" and elements.BitsAllocated <= 8 and not syntax.is_implicit_VR:
        vr = "OB"
    deflated = deflate if syntax == DeflatedExplicitVRLittleEndian else None
    value += b"\0" * (len(value) % 2)
    encoding = ENCODING_OF.get(syntax, EXPLICIT)
    parts = Parts(elements, keyword, vr, value, None, encoding, syntax, deflated)
    return Sound(name, parts.put_together(), pixels if truth is None else truth)


def write_encapsulated(name, elements, streams, syntax, *, truth=None, tolerance=0):
    """A sound file of compressed frames, with a basic offset table."""
    padded = [bytes(s) + b"\0" * (len(s) % 2) for s in streams]
    items = (offset_table([[s] for s in padded]), *padded)
    parts = Parts(elements, "PixelData", "OB", b"", items, EXPLICIT, syntax)
    return Sound(name, parts.put_together(), truth, tolerance)


def write(name, elements, pixels, bits, codec, *, truth=None, **options):
    """A sound file of ``pixels`` by the name of a codec, with options, or of a native syntax."""
    if codec in NATIVE:
        return write_native(name, elements, pixels, NATIVE[codec], truth=truth)
    used = CODECS[codec]
    squeezed = pixels[..., 0] if pixels.shape[3] == 1 else pixels
    streams = [used.encode(np.ascontiguousarray(frame), bits, **options) for frame in squeezed]
    truth = pixels if truth is None else truth
    scale = max(1, (1 << bits) // 256) if codec != "near" else 1
    return write_encapsulated(
        name, elements, streams, used.syntax, truth=truth, tolerance=used.tolerance * scale
    )


def grey_sounds():
    """Grey images with a rescale and a window over their tissue."""
    depths = [(bits, signed) for bits in (8, 12, 16) for signed in (False, True)]
    for codec in (*NATIVE, *CODECS):
        for bits, signed in depths:
            used = CODECS.get(codec)
            if used and (bits not in used.depths or (signed and not used.holds_signed)):
                continue
            for frames in SHAPES:
                pixels = grey_frames(frames, bits, signed=signed)
                yield write(
                    f"grey{bits}{'s' if signed else 'u'}-{codec}-{frames}",
                    elements_of(pixels, bits, **grey_transforms(bits, signed=signed)),
                    pixels,
                    bits,
                    codec,
                )


def grey_transforms(bits, *, signed):
    """A rescale, and a window over half of the modality values."""
    low = -(1 << bits - 1) if signed else 0
    middle = 2 * (low + 0.55 * (1 << bits)) - 10
    return {
        "RescaleSlope": 2,
        "RescaleIntercept": -10,
        "WindowCenter": round(middle),
        "WindowWidth": 1 << bits,
    }


def wide_sounds():
    """Grey images of 32 bits, of floats, and of single bits."""
    for frames in SHAPES:
        for codec in ("implicit", "explicit", "rle"):
            for signed in (False, True):
                pixels = grey_frames(frames, 20, signed=signed)
                name = f"grey32{'s' if signed else 'u'}-{codec}-{frames}"
                transforms = grey_transforms(20, signed=signed)
                yield write(name, elements_of(pixels, 32, **transforms), pixels, 32, codec)
        for keyword, dtype in (("FloatPixelData", "f4"), ("DoubleFloatPixelData", "f8")):
            pixels = (grey_frames(frames, 12) / 8).astype(dtype)
            for codec in ("implicit", "explicit"):
                name = f"float{pixels.itemsize * 8}-{codec}-{frames}"
                changes = {"WindowCenter": 280, "WindowWidth": 300}
                elements = elements_of(pixels, 0, **changes)
                syntax = NATIVE[codec]
                yield write_native(name, elements, pixels, syntax, keyword=keyword)
        yield from _single_bits(frames)


def _single_bits(frames):
    """Single bits without gaps between frames (PS3.5 8.1.1): the second starts inside a byte."""
    grey = grey_frames(frames, 8)
    bits = (grey > 140).astype(np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    changes = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    for codec, syntax in NATIVE.items():
        elements = elements_of(bits, 1, **changes)
        yield write_native(f"bits-{codec}-{frames}", elements, bits, syntax, value=packed)


def palette_sounds():
    """Indices of 8 bits, with tables of 16 bits and of 8."""
    for frames in SHAPES:
        indices = grey_frames(frames, 8)
        for entry_bits in (8, 16):
            tables = palette_tables(entry_bits)
            elements = elements_of(indices, 8, PhotometricInterpretation="PALETTE COLOR", **tables)
            for codec in (*NATIVE, "rle", "jls", "j2k", "lossless"):
                truth = palette_truth(indices, entry_bits)
                name = f"palette{entry_bits}-{codec}-{frames}"
                yield write(name, elements, indices, 8, codec, truth=truth)


def palette_entries(entry_bits, count=256):
    """Red, green and blue by index, (3, count)."""
    index = np.arange(count)
    rgb = np.stack([index, 255 - index, index // 2 + 60])
    return rgb * 257 if entry_bits == 16 else rgb


def palette_tables(entry_bits, entries=None, *, count=None, bits=None, packed=None):
    """The attributes of a palette: entries of a word, or of a byte if ``packed``."""
    entries = palette_entries(entry_bits) if entries is None else entries
    packed = entry_bits == 8 if packed is None else packed
    made = {}
    for colour, values in zip(("Red", "Green", "Blue"), entries, strict=True):
        descriptor = [len(values) if count is None else count, 0, bits or entry_bits]
        data = values.astype(np.uint8 if packed else "<u2").tobytes()
        made[f"{colour}PaletteColorLookupTableDescriptor"] = descriptor
        made[f"{colour}PaletteColorLookupTableData"] = data + b"\0" * (len(data) % 2)
    return made


def palette_truth(indices, entry_bits):
    """RGB of indices; the high byte of entries of 16 bits, since indices have 8."""
    entries = palette_entries(entry_bits) >> (8 if entry_bits == 16 else 0)
    return np.moveaxis(entries[:, indices[..., 0]], 0, -1).astype(np.uint8)


def colour_sounds():
    """RGB of 8 and 16 bits, and YCbCr."""
    for frames in SHAPES:
        for bits in (8, 16):
            rgb = colour_frames(frames, bits)
            for codec in (*NATIVE, *LOSSLESS_COLOUR, "deflatedframe"):
                elements = elements_of(rgb, bits)
                yield write(f"rgb{bits}-{codec}-{frames}", elements, rgb, bits, codec)
            yield from _transformed(frames, bits, rgb)
        yield from _ybr(frames)
        yield from _lossy_colour(frames)


def _transformed(frames, bits, rgb):
    """JPEG 2000 with the component transforms of T.800 Annex G."""
    for name, reversible in (("RCT", True), ("ICT", False)):
        elements = elements_of(rgb, bits, PhotometricInterpretation=f"YBR_{name}")
        streams = [encode_jpeg_2000(f, bits, reversible=reversible, mct=True) for f in rgb]
        syntax = JPEG2000Lossless if reversible else JPEG2000
        tolerance = 0 if reversible else 12 << (bits - 8)
        yield write_encapsulated(
            f"{name.lower()}{bits}-j2k-{frames}",
            elements,
            streams,
            syntax,
            truth=rgb,
            tolerance=tolerance,
        )
    elements = elements_of(rgb, bits, PhotometricInterpretation="YBR_RCT")
    yield write(f"rct{bits}-htj2k-{frames}", elements, rgb, bits, "htj2k", mct=True)


def _ybr(frames):
    rgb = colour_frames(frames)
    ybr = to_ybr(rgb)
    for codec in (*NATIVE, *LOSSLESS_COLOUR):
        if codec == "jxl":  # its encoder has no components without a colour space
            continue
        elements = elements_of(ybr, 8, PhotometricInterpretation="YBR_FULL")
        # The encoder writes an Adobe marker that says RGB.
        same = {"markers": ()} if "lossless" in codec else {}
        made = write(f"ybr8-{codec}-{frames}", elements, ybr, 8, codec, truth=rgb, **same)
        yield Sound(made.name, made.content, rgb, 3)


def _lossy_colour(frames):
    """JPEG baseline: YCbCr with a JFIF marker, subsampled or not; RGB with an Adobe marker."""
    rgb = smooth_colour(frames)
    for subsampling in ("444", "422", "420"):
        stated = "YBR_FULL" if subsampling == "444" else "YBR_FULL_422"
        elements = elements_of(rgb, 8, PhotometricInterpretation=stated)
        streams = [_lossy_jpeg(f, 8, subsampling=subsampling) for f in rgb]
        name = f"jfif{subsampling}-jpeg-{frames}"
        yield write_encapsulated(name, elements, streams, JPEGBaseline8Bit, truth=rgb, tolerance=24)
    streams = [_lossy_jpeg(f, 8, colorspace="RGB", outcolorspace="RGB") for f in rgb]
    yield write_encapsulated(
        f"adobe0-jpeg-{frames}",
        elements_of(rgb, 8),
        streams,
        JPEGBaseline8Bit,
        truth=rgb,
        tolerance=24,
    )


def smooth_colour(frames):
    """RGB in which chroma changes slowly, as subsampling needs it."""
    rows, columns = SHAPES[frames]
    y, x = np.mgrid[:rows, :columns]
    red = 60 + 5 * x
    green, blue = 200 - 4 * y, np.full_like(x, 90)
    one = np.stack([red, green, blue], axis=-1)
    return np.stack([one + 3 * i for i in range(frames)]).astype(np.uint8)


def enhanced_sounds():
    """Multi-frame objects with rescale, window and position of each frame in functional groups."""
    for codec in (*NATIVE, "rle", "lossless", "jls", "j2k", "htj2k"):
        for bits, signed in ((12, False), (16, True)):
            pixels = grey_frames(3, bits, signed=signed)
            elements = elements_of(pixels, bits, SOPClassUID=ENHANCED_CT, PixelSpacing=None)
            functional_groups(
                elements,
                shared=item(
                    PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.5], SpacingBetweenSlices=2)],
                    PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
                ),
                frames=[_frame_groups(i, bits, signed=signed) for i in range(3)],
            )
            name = f"enhanced{bits}{'s' if signed else 'u'}-{codec}-3"
            yield write(name, elements, pixels, bits, codec)


def _frame_groups(index, bits, *, signed):
    """Each frame has a slope of its own."""
    low = -(1 << bits - 1) if signed else 0
    slope = 2 + index
    return item(
        PixelValueTransformationSequence=[
            item(RescaleSlope=slope, RescaleIntercept=-10, RescaleType="US")
        ],
        FrameVOILUTSequence=[
            item(
                WindowCenter=round(slope * (low + 0.55 * (1 << bits)) - 10),
                WindowWidth=slope << (bits - 1),
            )
        ],
        PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 2.0 * index])],
    )


def tomosynthesis_sounds():
    """A left CC view that is upside down, and one that is not."""
    for codec in ("explicit", "implicit", "j2k"):
        for direction in ("A\\R", "P\\L"):
            pixels = grey_frames(3, 12)
            elements = elements_of(
                pixels,
                12,
                SOPClassUID=BREAST_TOMOSYNTHESIS,
                PatientOrientation=direction.split("\\"),
                ViewPosition="CC",
                PixelSpacing=None,
                WindowCenter=2200,
                WindowWidth=2000,
            )
            anatomy = [item(FrameLaterality="L")]
            measures = [item(PixelSpacing=[0.1, 0.1], SpacingBetweenSlices=1)]
            shared = item(FrameAnatomySequence=anatomy, PixelMeasuresSequence=measures)
            frames = [
                item(PlanePositionSequence=[item(ImagePositionPatient=[0, 0, float(i)])])
                for i in range(3)
            ]
            functional_groups(elements, shared=shared, frames=frames)
            turned = "upright" if direction == "A\\R" else "turned"
            yield write(f"dbt{turned}-{codec}-3", elements, pixels, 12, codec)


def dose_sounds():
    """RT Dose: Dose Grid Scaling is the modality transform, frames have offsets."""
    for codec in NATIVE:
        for bits in (16, 32):
            pixels = grey_frames(3, min(bits, 20))
            elements = elements_of(
                pixels,
                bits,
                SOPClassUID=RT_DOSE,
                Modality="RTDOSE",
                DoseUnits="GY",
                DoseGridScaling="0.0005",
                GridFrameOffsetVector=[0, 3, 6],
                ImagePositionPatient=[0, 0, 0],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                FrameIncrementPointer=0x3004000C,
            )
            pixels = pixels.astype(f"u{bits // 8}")
            yield write(f"dose{bits}-{codec}-3", elements, pixels, bits, codec)


@cache
def sound_files():
    """All sound files by name."""
    sources = (
        grey_sounds,
        wide_sounds,
        palette_sounds,
        colour_sounds,
        enhanced_sounds,
        tomosynthesis_sounds,
        dose_sounds,
    )
    return {sound.name: sound for source in sources for sound in source()}
