"""Who wins where parts of a file say different things: one table, and the function that applies it.

A row names what is to be known and the sources that may tell it, the one that wins first. What a
source does not tell is asked of the next. Rows whose sources are in the compressed stream are
applied where it is read, by the same function.
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
        ("ImageLaterality", "Laterality", "FrameLaterality"),
        "PS3.3 C.8.11.7: of the image before that of the series; C.7.6.16.2.8: that of frames",
    ),
    "view": Row(
        ("ViewCodeSequence", "ViewPosition"), "PS3.3 C.8.11.7: the code before the older text"
    ),
    # Transforms of grey values.
    "modality": Row(("ModalityLUTSequence", "rescale"), "PS3.3 C.11.1: a file has one of the two"),
    "voi": Row(
        ("VOILUTSequence", "windows", "minimum and maximum"),
        "PS3.3 C.11.2: either may be chosen; a table tells more than a window",
    ),
    # Frames.
    "frame_order": Row(
        ("DimensionIndexValues", "InStackPositionNumber", "position"),
        "PS3.3 C.7.6.17, C.7.6.16.2.2; then the order in which they are stored",
    ),
    "fragments_of_frames": Row(
        ("one fragment a frame", "ExtendedOffsetTable", "basic offset table", "end markers"),
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
