"""Breast tomosynthesis objects whose frames are upside down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_preprocessing.dicom.contradictions import decide

if TYPE_CHECKING:
    from dicom_preprocessing.dicom.description import Description

BREAST_TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"

EXPECTED_ORIENTATION = {
    ("L", "CC"): ("A", "R"),
    ("R", "CC"): ("A", "L"),
    ("L", "MLO"): ("A", "FR"),
    ("R", "MLO"): ("A", "FL"),
}
"""Patient directions of rows and columns (Patient Orientation) by laterality and view."""

# Anterior and posterior, left and right, head and feet.
OPPOSITE = str.maketrans("APLRHF", "PARLFH")

# View Code Sequence, CID 4014: SNOMED CT and the older SRT codes.
VIEW_CODES = {"399162004": "CC", "R-10242": "CC", "399368009": "MLO", "R-10226": "MLO"}


def is_upside_down(description: Description) -> bool:
    """Whether a tomosynthesis object's Patient Orientation is the opposite of the expected one."""
    if description.sop_class_uid.text() != BREAST_TOMOSYNTHESIS:
        return False
    expected = EXPECTED_ORIENTATION.get((description.breast_laterality(), view_of(description)))
    stated = description.patient_directions()
    if expected is None or stated is None:
        return False
    # As sets: the order of two letters, the larger component first, does not matter. Both axes must
    # be opposite: with one alone the image is mirrored, and no turn makes it right.
    return all(
        set(direction) == set(wanted.translate(OPPOSITE))
        for direction, wanted in zip(stated, expected, strict=True)
    )


def view_of(description: Description) -> str:
    """Return CC, MLO or another View Position; an empty text if there is none."""
    codes = (VIEW_CODES.get(code.text()) for code in description.view_codes)
    by_source = {
        "ViewCodeSequence": next((view for view in codes if view is not None), None),
        "ViewPosition": description.view_position.text().upper() or None,
    }
    return decide("view", by_source).value or ""
