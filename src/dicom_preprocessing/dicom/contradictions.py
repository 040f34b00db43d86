"""Who wins where parts of a file say different things: one table, and the function that applies it.

``TABLE`` has what several sources may tell, the one that wins first; ``decide`` goes by it, whether
the sources are attributes or markers of a stream, and what a source does not tell is asked of the
next. ``RULES`` has what cannot be told by one source alone: there a computation decides, and the
rule names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


class Place(StrEnum):
    """Where an attribute of a functional group macro may stand (PS3.3 C.7.6.16)."""

    TOP = "the top level"
    SHARED = "the shared functional group"
    FRAME = "the functional group of the frame"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Parameters
    ----------
    sources : tuple of str
        Who may tell it; the first that does wins.
    reason : str
        The clause of the standard, or what is done in the field.
    """

    sources: tuple[str, ...]
    reason: str


EVERYWHERE: Final = (Place.TOP, Place.FRAME, Place.SHARED)
"""Classic objects have these at the top level only, Enhanced ones in groups only."""

TABLE: Final[Mapping[str, Row]] = {
    # What the file is.
    "sop_class_uid": Row(
        ("SOPClassUID", "MediaStorageSOPClassUID"),
        "PS3.10 7.1: the file meta information repeats the data set",
    ),
    "transfer_syntax_uid": Row(
        ("TransferSyntaxUID", "encoding"),
        "PS3.10 7.1; without it, the encoding in which the data set could be read",
    ),
    # Functional group macros.
    "rescale": Row(EVERYWHERE, "PS3.3 C.7.6.16.2.9"),
    "windows": Row(EVERYWHERE, "PS3.3 C.7.6.16.2.10"),
    "voi_lut_function": Row(EVERYWHERE, "PS3.3 C.7.6.16.2.10"),
    "voi_lut": Row(EVERYWHERE, "PS3.3 C.7.6.16.2.10, C.11.2"),
    "pixel_spacing": Row(EVERYWHERE, "PS3.3 C.7.6.16.2.1"),
    "spacing_between_slices": Row(EVERYWHERE, "PS3.3 C.7.6.16.2.1"),
    "position": Row(EVERYWHERE, "PS3.3 C.7.6.16.2.3"),
    "orientation": Row(EVERYWHERE, "PS3.3 C.7.6.16.2.4"),
    "patient_orientation": Row(
        (Place.TOP, Place.SHARED, Place.FRAME), "PS3.3 C.7.6.16.2.15: of the first frame"
    ),
    # Attributes that tell the same.
    "in_plane_spacing": Row(
        ("PixelSpacing", "ImagerPixelSpacing"),
        "PS3.3 10.7.1.1: Pixel Spacing may be calibrated, the other is at the detector",
    ),
    "laterality": Row(
        (
            "ImageLaterality",
            "Laterality",
            "FrameLaterality of the shared group",
            "FrameLaterality of the first frame",
        ),
        "PS3.3 C.8.11.7: of the image before that of the series; C.7.6.16.2.8: that of frames",
    ),
    "view": Row(
        ("ViewCodeSequence", "ViewPosition"), "PS3.3 C.8.11.7: the code before the older text"
    ),
    # How pixels lie in their bytes.
    "high_bit": Row(
        ("HighBit", "BitsStored"), "PS3.5 8.1.1, where High Bit leaves room for Bits Stored"
    ),
    "planes": Row(
        ("subsampled chroma", "PlanarConfiguration"),
        "PS3.3 C.7.6.3.1.2: subsampled samples are never in planes",
    ),
    # Transforms of grey values, and palettes.
    "modality": Row(("ModalityLUTSequence", "rescale"), "PS3.3 C.11.1: a file has one of the two"),
    "voi": Row(
        ("VOILUTSequence", "windows"),
        "PS3.3 C.11.2: either may be chosen; a table tells more than a window",
    ),
    "palette_data": Row(
        ("palette data", "segmented palette data"),
        "PS3.3 C.7.9: a file has one of the two",
    ),
    # Frames.
    "frame_order": Row(
        ("DimensionIndexValues", "InStackPositionNumber", "position"),
        "PS3.3 C.7.6.17, C.7.6.16.2.2; then the order in which they are stored",
    ),
    "slice_step": Row(
        ("position", "SpacingBetweenSlices"), "PS3.3 C.7.6.2.1.1: positions are what was measured"
    ),
    "fragments_of_frames": Row(
        ("one fragment a frame", "ExtendedOffsetTable", "basic offset table"),
        "PS3.5 A.4, PS3.3 C.7.6.3.1.8; tables that do not point at fragments tell nothing",
    ),
    # Header and stream.
    "jpeg_colour": Row(
        ("Adobe marker", "JFIF marker", "component names", "sampling", "header"),
        "ITU-T T.871, T.872: what decoders of JPEG go by",
    ),
    "jpeg_2000_colour": Row(
        ("component transform", "header"), "ITU-T T.800 Annex G: the decoder undoes the transform"
    ),
}
"""What may be told twice, and who wins."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A contradiction that a computation decides.

    Parameters
    ----------
    parts : str
        What says two things.
    answer : str
        What is done.
    where : str
        The function that does it, ``module:function`` within the package.
    reason : str
        The clause of the standard, or what is done in the field.
    """

    parts: str
    answer: str
    where: str
    reason: str


RULES: Final = (
    Rule(
        "stated transfer syntax, and the encoding in which elements parse",
        "elements and the place of the pixels by the encoding; pixels by the stated syntax",
        "dicom.reading:open_image",
        "PS3.10 7.1",
    ),
    Rule(
        "Number of Frames that is absent or blank",
        "one frame",
        "dicom.description:Description.number_of_frames",
        "PS3.3 C.7.6.6",
    ),
    Rule(
        "Number of Frames, and more bytes of native pixels",
        "the header, with a warning",
        "decode.pixels:excess_frames",
        "PS3.5 8.1.1",
    ),
    Rule(
        "Number of Frames, and fewer bytes or fragments",
        "short_pixel_data",
        "decode.pixels:stored_frames",
        "PS3.5 8.1.1, A.4",
    ),
    Rule(
        "native transfer syntax, and fragments",
        "decode_error",
        "decode.pixels:stored_frames",
        "PS3.5 A.4",
    ),
    Rule(
        "more fragments than frames of RLE",
        "empty ones are none",
        "decode.fragments:frames_of",
        "PS3.5 A.4.2: a frame is one fragment",
    ),
    Rule(
        "Bits Stored of 1, and a signed Pixel Representation",
        "unsigned",
        "decode.pixel_format:pixel_format",
        "a single bit has no sign",
    ),
    Rule(
        "Bits Stored, and bits that are set above it in native, RLE or lossless samples",
        "masked",
        "decode.codecs.samples:stored_values",
        "PS3.5 8.1.1",
    ),
    Rule(
        "Bits Stored, and higher values of a lossy stream",
        "clipped",
        "decode.codecs.samples:stored_values",
        "what overshot must not wrap around",
    ),
    Rule(
        "Bits Allocated, and a higher precision of the stream",
        "decode_error",
        "decode.codecs.samples:stored_values",
        "PS3.5 8.2",
    ),
    Rule(
        "Pixel Representation, and the sign of the stream",
        "the header",
        "decode.codecs.samples:stored_values",
        "PS3.5 8.2.4",
    ),
    Rule(
        "Rows, Columns, Samples per Pixel, and those of the stream",
        "decode_error",
        "decode.codecs.runner:require_shape",
        "PS3.5 8.2",
    ),
    Rule(
        "Planar Configuration, and the planes of RLE",
        "planes",
        "decode.codecs.rle:decode",
        "PS3.5 G.2",
    ),
    Rule(
        "LUT Descriptor, and the number of entries",
        "the entries; a short table goes on with its last, with a warning",
        "decode.lookup_tables:lookup_table",
        "PS3.3 C.11.1.1",
    ),
    Rule(
        "bits of LUT Descriptor, and higher entries",
        "the entries",
        "decode.lookup_tables:lookup_table",
        "PS3.3 C.11.1.1.1",
    ),
    Rule(
        "value representation of LUT Descriptor's first value, and the sign of what it maps",
        "the sign of what it maps",
        "decode.lookup_tables:lookup_table",
        "PS3.3 C.11.1.1.1",
    ),
    Rule(
        "value representation of Pixel Padding Value, and Pixel Representation",
        "Pixel Representation",
        "decode.modality:pixel_padding",
        "PS3.3 C.7.5.1.1.2",
    ),
    Rule(
        "windows of which one is unusable",
        "the first usable one, with a warning",
        "decode.values:display_lookup",
        "PS3.3 C.11.2.1.2",
    ),
)
"""What is decided where it is computed."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[T]):
    """What counts, who told it, and who told otherwise.

    Parameters
    ----------
    value : T or None
        None where no source tells it.
    source : str
        Empty then.
    overruled : tuple of str
        Sources of other values.
    """

    value: T | None
    source: str = ""
    overruled: tuple[str, ...] = ()


def decide(row: str, told: Mapping[str, T | None]) -> Decision[T]:
    """Take the value of the first source of a row of the table that tells one.

    Parameters
    ----------
    row : str
        A key of ``TABLE``.
    told : mapping
        What the sources tell; None for one that tells nothing. Sources may be left out.

    Raises
    ------
    KeyError
        There is no such row, or a source that it does not name.
    """
    sources = TABLE[row].sources
    unknown = told.keys() - set(sources)
    if unknown:
        raise KeyError(f"{row}: {', '.join(sorted(unknown))}")
    there = [(source, told[source]) for source in sources if told.get(source) is not None]
    if not there:
        return Decision(None)
    source, value = there[0]
    return Decision(value, source, tuple(s for s, other in there[1:] if other != value))
