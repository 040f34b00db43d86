"""A slice of a series: the facts by which it finds its volume and its place there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_COORDINATE: Final = 1e6
"""Millimetres from the origin; a position that is further away is none."""

COSINE_ERROR: Final = 0.1
"""Error of the length of direction cosines, and of the cosine between them, that may be rounding.

Cosines with one digit are off by 0.05 each."""

LOCALIZER: Final = "LOCALIZER"

TELLING_FIELDS: Final = {
    "AcquisitionNumber": "acquisition_number",
    "TemporalPositionIdentifier": "temporal_position_identifier",
    "EchoTime": "echo_time",
    "DiffusionBValue": "diffusion_b_value",
    "TriggerTime": "trigger_time",
    "ImageType": "image_type",
}
"""Fields of ``Slice`` that tell volumes of one geometry apart, by keyword, in order of preference.

The values of an attribute are one text, with backslashes between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Facts about a single-frame image.

    Parameters
    ----------
    name : str
        Its path, different for each slice of a series.
    orientation : (6,) or None
        Image Orientation (Patient): direction cosines of the row, then of the column (PS3.3
        C.7.6.2.1.1).
    position : (3,) or None
        Image Position (Patient): x, y, z of the centre of the first pixel, mm, LPS.
    instance_number : int or None
    spacing_between_slices : float or None
        Mm; nothing is decided by it.
    acquisition_number, ..., image_type : str
        As ``TELLING_FIELDS`` says.

    Numbers may be any: those that cannot be meant count as None.
    """

    name: str
    sop_instance_uid: str
    rows: int
    columns: int
    samples_per_pixel: int = 1
    orientation: tuple[float, ...] | None = None
    position: tuple[float, ...] | None = None
    instance_number: int | None = None
    spacing_between_slices: float | None = None
    frame_of_reference_uid: str = ""
    acquisition_number: str = ""
    temporal_position_identifier: str = ""
    echo_time: str = ""
    diffusion_b_value: str = ""
    trigger_time: str = ""
    image_type: str = ""

    @property
    def usable_position(self) -> tuple[float, ...] | None:
        """Its position if it can be meant."""
        position = self.position
        if position is None or len(position) != len("xyz"):
            return None
        # Comparisons with NaN are false.
        return position if all(abs(value) < MAX_COORDINATE for value in position) else None

    @property
    def is_placed(self) -> bool:
        """Whether it has a position and an orientation that can be meant."""
        return self.usable_position is not None and make_orthonormal(self.orientation) is not None

    @property
    def is_localizer(self) -> bool:
        """Whether a value of Image Type is LOCALIZER (PS3.3 C.8.2.1.1.1), in any case."""
        return LOCALIZER in self.image_type.upper().split("\\")

    @property
    def identity(self) -> tuple[str, str]:
        """The key of the order in which slices are taken whatever the order of the input is."""
        return self.sop_instance_uid, self.name


def make_orthonormal(orientation: Sequence[float] | None) -> tuple[float, ...] | None:
    """Make two direction cosines exact: of unit length, and at right angles.

    Parameters
    ----------
    orientation : (6,) or None
        Of the row, then of the column, with errors of rounding.

    Returns
    -------
    (6,) or None
        None if they are no direction cosines.
    """
    if orientation is None or len(orientation) != 2 * len("xyz"):
        return None
    row, column = orientation[:3], orientation[3:]
    lengths = math.hypot(*row), math.hypot(*column)
    # Comparisons with NaN are false.
    if not all(abs(length - 1) <= COSINE_ERROR for length in lengths):
        return None
    if not abs(_dot(row, column)) <= COSINE_ERROR:
        return None
    row = tuple(value / lengths[0] for value in row)
    overlap = _dot(row, column)
    column = tuple(c - overlap * r for r, c in zip(row, column, strict=True))
    length = math.hypot(*column)
    return (*row, *(value / length for value in column))


def _dot(first: Sequence[float], second: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))
