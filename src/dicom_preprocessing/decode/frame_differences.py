"""What differs between frames of one object, and is one value of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dicom_preprocessing.decode.frame_order import (
    find_different_orientations,
    find_different_steps,
)
from dicom_preprocessing.dicom.spacing import find_different_spacings, show_spacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_preprocessing.decode.frame_order import FrameOrder
    from dicom_preprocessing.dicom.description import Description


class FrameDifference(NamedTuple):
    """What differs, what follows, and whether it prevents pages made of several frames."""

    found: str
    done: str
    prevents_mixing: bool = False


def find_frame_differences(
    description: Description, count: int, order: FrameOrder
) -> Iterator[FrameDifference]:
    """Yield what differs between the ``count`` frames of an object, as PS3.3 C.7.6.16 allows.

    Parameters
    ----------
    description : Description
    count : int
    order : FrameOrder
        Frames of several volumes may differ in orientation and distance.
    """
    if not description.may_differ(count):  # nearly all files
        return
    spacings = find_different_spacings(description)
    if spacings is not None:
        name, *pair = spacings
        done = "the image has none, and spacing cannot be used"
        yield FrameDifference(_say(name, *map(show_spacing, pair)), done, prevents_mixing=True)
    if order.is_one_volume:
        yield from _compare_places(description, count, order)
    first_counts = "that of the first frame counts"
    read_sides = description.frame_lateralities
    sides = description.find_different("frame_laterality", read_sides, count)
    if sides is not None:
        yield FrameDifference(_say("Frame Laterality", *sides), first_counts)
    read_directions = description.patient_directions_of_frames
    directions = description.find_different("patient_orientation", read_directions, count)
    if directions is not None:
        shown = map("\\".join, directions)
        yield FrameDifference(_say("Patient Orientation", *shown), first_counts)


def _compare_places(
    description: Description, count: int, order: FrameOrder
) -> Iterator[FrameDifference]:
    """Yield what differs between frames of one volume, and is one of its z axis."""
    orientations = find_different_orientations(description, count)
    if orientations is not None:
        found = _say("Image Orientation (Patient)", *map(_show_orientation, orientations))
        done = "positions do not order the frames, and the image has no place in the patient"
        yield FrameDifference(found, done, prevents_mixing=True)
    steps = find_different_steps(description, count)
    if steps is not None and order.distances is None:
        shown = (f"{step:g} mm" for step in steps)
        yield FrameDifference(
            _say("Spacing Between Slices", *shown), "the distance of frames is unknown"
        )


def _say(name: str, first: str, other: str) -> str:
    return f"{name} differs between frames ({first} and {other})"


def _show_orientation(orientation: Sequence[float]) -> str:
    return ", ".join(f"{cosine:g}" for cosine in orientation)
