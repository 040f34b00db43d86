"""The distance between pixels in the patient, and which attributes of a file say so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.dicom.description import read_spacing
from dicom_preprocessing.dicom.ultrasound import find_2d_region

if TYPE_CHECKING:
    from dicom_preprocessing.dicom.attribute import Attribute
    from dicom_preprocessing.dicom.description import Description, Projection

    Pair = tuple[float, float]

SAME_SPACING: Final = 1e-3
"""Relative difference up to which two spacings are the same: rounding of decimal text."""


class PixelSpacing(NamedTuple):
    """Distance (x, y) between pixels in mm, and its source, one of PRECEDENCES["true_spacing"]."""

    x: float
    y: float
    source: str


def find_spacing(description: Description) -> PixelSpacing | None:
    """Return the spacing of pixels in the patient, as near to it as the file tells.

    Projections are larger at the detector than in the patient. Pixel Spacing is that of the patient
    if it is calibrated, which a calibration type says, or another value than at the detector and on
    the film; else writers repeat one of these in it. None also where frames have different ones: in
    mm, pages of the others would be wrong.

    References
    ----------
    DICOM PS3.3 10.7.1.3, C.8.7.10 (magnification), C.8.5.5.1.17 (ultrasound).
    """
    if find_different_spacings(description) is not None:
        return None
    pixel, imager = description.pixel_spacing(), description.imager_pixel_spacing()
    projection = description.projection
    scanned = read_spacing(projection.nominal_scanned_pixel_spacing)
    is_calibrated = not projection.pixel_spacing_calibration_type.is_empty or _differs(
        pixel, imager, scanned
    )
    factor = find_magnification(projection)
    corrected = None
    if imager is not None and factor is not None:
        corrected = imager[0] / factor, imager[1] / factor
        corrected = corrected if min(corrected) > 0 else None  # of the smallest floats
    region = None
    if description.ultrasound_regions and pixel is None:
        region = find_2d_region(description)
    decision = decide(
        "true_spacing",
        {
            "calibrated": pixel if is_calibrated else None,
            "imager_corrected": corrected,
            "imager": imager,
            "nominal_scanned": scanned,
            "pixel": pixel,
            "region": region.spacing if region is not None else None,
        },
    )
    return None if decision.value is None else PixelSpacing(*decision.value, decision.source)


def find_different_spacings(description: Description) -> tuple[str, Pair, Pair] | None:
    """Return the name and two values of a spacing that differs between frames, None if none does.

    PS3.3 C.7.6.16.2.1 allows it; an image has one spacing.
    """
    count = description.number_of_frames() or 1
    readers = {
        "Pixel Spacing": ("pixel_spacing", description.pixel_spacings),
        "Imager Pixel Spacing": ("imager_pixel_spacing", description.imager_pixel_spacings),
    }
    for name, (field, read) in readers.items():
        different = description.find_different(field, read, count, is_same_spacing)
        if different is not None:
            return name, *different
    return None


def find_magnification(projection: Projection) -> float | None:
    """Return how much larger the patient is at the detector, None if it is not known.

    A factor below 1 is none: the patient is between the source and the detector.
    """
    detector = _read_positive(projection.distance_source_to_detector)
    patient = _read_positive(projection.distance_source_to_patient)
    stated = _read_positive(projection.estimated_radiographic_magnification_factor)
    by_distances = detector / patient if detector and patient else None
    return decide(
        "magnification",
        {
            "EstimatedRadiographicMagnificationFactor": _keep_enlargement(stated),
            "distances": _keep_enlargement(by_distances),
        },
    ).value


def _differs(pixel: Pair | None, *others: Pair | None) -> bool:
    """Whether there are others, and Pixel Spacing is none of them."""
    present = [other for other in others if other is not None]
    if pixel is None or not present:
        return False
    return not any(is_same_spacing(pixel, other) for other in present)


def is_same_spacing(one: Pair | PixelSpacing | None, other: Pair | PixelSpacing | None) -> bool:
    """Whether two spacings (x, y) are the same but for rounding; an unknown one is another one."""
    if one is None or other is None:
        return one is other
    pairs = zip(one[:2], other[:2], strict=True)
    return all(math.isclose(a, b, rel_tol=SAME_SPACING) for a, b in pairs)


def show_spacing(spacing: Pair | PixelSpacing | None) -> str:
    """Return a spacing for a message."""
    return "none" if spacing is None else f"{spacing[0]:g} x {spacing[1]:g} mm"


def _read_positive(attribute: Attribute) -> float | None:
    numbers = attribute.numbers()
    return numbers[0] if numbers and math.isfinite(numbers[0]) and numbers[0] > 0 else None


def _keep_enlargement(factor: float | None) -> float | None:
    return factor if factor is not None and 1 <= factor < math.inf else None
