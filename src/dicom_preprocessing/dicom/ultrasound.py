"""The region of an ultrasound frame that shows the patient, and its scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from dicom_preprocessing.dicom.attribute import Attribute
    from dicom_preprocessing.dicom.description import Description, UltrasoundRegion

SPATIAL_2D: Final = 1
"""Region Spatial Format (PS3.3 C.8.5.5.1.1): tissue or flow in two dimensions."""
CENTIMETRES: Final = 3
"""Physical Units X and Y Direction (PS3.3 C.8.5.5.1.15)."""
MM_IN_CM: Final = 10


class Region(NamedTuple):
    """Pixels of a frame, right and bottom exclusive, and their spacing (x, y) in mm, if known."""

    left: int
    top: int
    right: int
    bottom: int
    spacing: tuple[float, float] | None

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.right - self.left) * (self.bottom - self.top)


def find_2d_region(description: Description) -> Region | None:
    """Return the largest 2D region of Sequence of Ultrasound Regions, the first of equal ones.

    Regions are cut to the frame. None if there is none within it.
    """
    width = description.pixel.columns.integer()
    height = description.pixel.rows.integer()
    found = (_read_2d_region(region, width, height) for region in description.ultrasound_regions)
    return max(filter(None, found), key=lambda region: region.area, default=None)


def _read_2d_region(region: UltrasoundRegion, width: int, height: int) -> Region | None:
    """Return a region with pixels of the frame if it is one in two dimensions."""
    if region.spatial_format.integer() != SPATIAL_2D:
        return None
    corners = (region.min_x, region.min_y, region.max_x, region.max_y)
    if any(corner.is_empty for corner in corners):
        return None
    left, top, right, bottom = (corner.integer(-1) for corner in corners)
    # The maximum is the last pixel (PS3.3 C.8.5.5.1.5).
    left, top = max(0, left), max(0, top)
    right, bottom = min(width, right + 1), min(height, bottom + 1)
    if left >= right or top >= bottom:
        return None
    return Region(left, top, right, bottom, _read_scale(region))


def _read_scale(region: UltrasoundRegion) -> tuple[float, float] | None:
    """Return Physical Delta X and Y in mm, None unless both are lengths."""
    if {region.units_x.integer(), region.units_y.integer()} != {CENTIMETRES}:
        return None
    x, y = _read_delta(region.delta_x), _read_delta(region.delta_y)
    return None if x is None or y is None else (x, y)


def _read_delta(attribute: Attribute) -> float | None:
    """Return a distance in mm; its sign is the direction of the axis."""
    numbers = attribute.numbers()
    delta = abs(numbers[0]) * MM_IN_CM if numbers else 0.0
    return delta if delta and math.isfinite(delta) else None
