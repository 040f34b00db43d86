"""Attributes of functional group macros that differ between the levels of a file.

The frame's group counts, then the shared one, then the top level (PRECEDENCES). What differs is
reported, except where the top level repeats one of the frames, as writers of multi-frame objects
do. Of a rescale that is reported, too: readers of the top level take it for the one of all frames.
"""

from __future__ import annotations

import math
from dataclasses import astuple
from operator import is_not
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_preprocessing.dicom.contradictions import GroupLevel, rank
from dicom_preprocessing.dicom.description import (
    HALVES,
    FunctionalGroups,
    LutAttributes,
    Rescale,
    Window,
    complete,
)
from dicom_preprocessing.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_preprocessing.dicom.description import Description

POSITION_TOLERANCE: Final = 1e-4
"""In mm, or of direction cosines: less is rounding of decimal text."""

ROUNDING: Final = 1e-5
"""Relative difference that is rounding of decimal text or of single precision."""

GROUPS: Final = FunctionalGroups


class LeveledValue(NamedTuple):
    """A value that may be at several levels.

    ``row`` is that of PRECEDENCES, ``macro`` the keyword of its functional group macro, ``read``
    gives the value of a level, and values that differ by ``tolerance`` at most are equal.
    ``may_repeat`` says whether the top level may have the value of one frame.
    """

    name: str
    row: str
    macro: str
    read: Callable[[FunctionalGroups], Any]
    tolerance: float = 0.0
    may_repeat: bool = True


class VoiForms(NamedTuple):
    """The VOI LUTs of a level and its first usable window, each None if there is none.

    They are alternatives (PS3.3 C.11.2): levels agree in the forms that both have, if there are
    any.
    """

    voi_luts: tuple[LutAttributes, ...] | None
    window: Window | None


def _read_voi_forms(groups: FunctionalGroups) -> VoiForms | None:
    luts = tuple(lut for lut in groups.voi_luts if not lut.is_empty)
    window = next((window for window in groups.windows() or () if window.is_usable), None)
    return VoiForms(luts or None, window) if luts or window else None


VALUES: Final = (
    LeveledValue(
        "Rescale",
        "rescale",
        "PixelValueTransformationSequence",
        GROUPS.rescale,
        may_repeat=False,
    ),
    LeveledValue("Rescale Type", "rescale_type", "PixelValueTransformationSequence", GROUPS.units),
    LeveledValue("VOI transform", "voi_level", "FrameVOILUTSequence", _read_voi_forms),
    LeveledValue("VOI LUT Function", "voi_lut_function", "FrameVOILUTSequence", GROUPS.function),
    LeveledValue(
        "Pixel Spacing",
        "pixel_spacing",
        "PixelMeasuresSequence",
        GROUPS.patient_spacing,
        POSITION_TOLERANCE,
    ),
    LeveledValue(
        "Imager Pixel Spacing",
        "pixel_spacing",
        "PixelMeasuresSequence",
        GROUPS.detector_spacing,
        POSITION_TOLERANCE,
    ),
    LeveledValue(
        "Spacing Between Slices",
        "spacing_between_slices",
        "PixelMeasuresSequence",
        GROUPS.slice_spacing,
        POSITION_TOLERANCE,
    ),
    LeveledValue(
        "Image Position (Patient)",
        "position",
        "PlanePositionSequence",
        GROUPS.position,
        POSITION_TOLERANCE,
    ),
    LeveledValue(
        "Image Orientation (Patient)",
        "orientation",
        "PlaneOrientationSequence",
        GROUPS.orientation,
        POSITION_TOLERANCE,
    ),
    LeveledValue(
        "Patient Orientation",
        "patient_orientation",
        "PatientOrientationInFrameSequence",
        GROUPS.patient_directions,
    ),
)


def find_level_contradictions(description: Description, count: int) -> Iterator[str]:
    """Yield what differs between the levels of an image of ``count`` frames."""
    yield from _compare_lateralities(description)
    if not description.has_groups:
        return
    yield from _compare_counts(description, count)
    for value in VALUES:
        yield from _compare_levels(description, value, min(count, len(description.frames)) or 1)
    yield from _find_mixed_halves(description)


def _compare_levels(description: Description, value: LeveledValue, count: int) -> Iterator[str]:
    """Yield how the levels of a value contradict each other, once for each pair of levels."""
    # Sound files have it at one level, which must cost nothing: frames may be thousands.
    has_own = any(value.macro in groups.macros for groups in description.frames[:count])
    has_shared = value.macro in description.shared.macros
    if has_own + has_shared + (value.read(description.top) is not None) < 2:  # noqa: PLR2004
        return
    by_frame = description.read_levels(value.row, value.read, count)
    ranked = [rank(value.row, by_level) for by_level in by_frame]
    for source in (GroupLevel.SHARED, GroupLevel.TOP):
        pairs = [
            (levels[0], other)
            for levels in ranked
            for level, other in levels[1:]
            if level == source and levels[0][0] != source
        ]
        agree = [_are_equal(first[1], other, value.tolerance) for first, other in pairs]
        repeats = value.may_repeat and source is GroupLevel.TOP and any(agree)
        if all(agree) or repeats:
            continue
        (winner, found), other = pairs[agree.index(False)]
        yield (
            f"{value.name}{_show(found)} of {winner} is not that of {source}{_show(other)}: "
            f"{winner} counts"
        )


def _compare_counts(description: Description, count: int) -> Iterator[str]:
    """Yield that there are more or fewer functional groups of frames than frames, if any."""
    found = len(description.frames)
    if found in (0, count):
        return
    stated = f"Per-Frame Functional Groups Sequence has {plural(found, 'item')}, and Number of "
    others = "others are ignored" if found > count else "the last frames have none of their own"
    yield f"{stated}Frames is {count}: {others}"


def _find_mixed_halves(description: Description) -> Iterator[str]:
    """Yield the pairs of attributes of which a functional group has one only."""
    for row, fields in HALVES.items():
        shared, top = description.shared, description.top
        before = [shared, *description.frames]
        after = [
            *complete(row, before[:1], top),
            *complete(row, before[1:], shared, top),
        ]
        if any(map(is_not, before, after)):
            name = " and ".join(field.replace("_", " ").title() for field in fields)
            yield f"{name} are at different levels: each counts where it is"


def _compare_lateralities(description: Description) -> Iterator[str]:
    """Yield how the lateralities of frames, image and series contradict each other."""
    ranked = rank("laterality", description.lateralities())
    for source, side in ranked[1:]:
        if side != ranked[0][1]:
            yield f"{ranked[0][0]} is {ranked[0][1]}, {source} is {side}: the first counts"


def _are_equal(one: object, other: object, tolerance: float) -> bool:
    """Whether two values are the same but for rounding."""
    if isinstance(one, VoiForms) and isinstance(other, VoiForms):
        of_both = [pair for pair in zip(one, other, strict=True) if None not in pair]
        return bool(of_both) and all(_are_equal(*pair, tolerance) for pair in of_both)
    numbers, others = _flatten(one), _flatten(other)
    if len(numbers) != len(others):
        return False
    return all(
        math.isclose(a, b, rel_tol=ROUNDING, abs_tol=tolerance)
        if isinstance(a, float) and isinstance(b, float)
        else a == b
        for a, b in zip(numbers, others, strict=True)
    )


def _flatten(value: object) -> tuple[Any, ...]:
    if isinstance(value, Rescale | Window):
        return astuple(value)
    return value if isinstance(value, tuple) else (value,)


def _show(value: object) -> str:
    """Return a value as text in parentheses."""
    if isinstance(value, VoiForms):
        if value.voi_luts is not None:
            return " (VOI LUT)" if value.window is None else " (VOI LUT and window)"
        return _show(value.window).replace("(", "(window ")
    parts = _flatten(value)
    texts = (f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
    return f" ({', '.join(texts)})"
