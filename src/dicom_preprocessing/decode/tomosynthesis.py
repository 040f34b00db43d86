"""Breast tomosynthesis objects that lie upside down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.multival import MultiValue

from dicom_preprocessing.dicom.attributes import items_of
from dicom_preprocessing.dicom.reading import text_of, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

BREAST_TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"

EXPECTED_ORIENTATION = {
    ("L", "CC"): ("A", "R"),
    ("R", "CC"): ("A", "L"),
    ("L", "MLO"): ("A", "FR"),
    ("R", "MLO"): ("A", "FL"),
}
"""Patient directions of rows and columns (Patient Orientation) by laterality and view."""

OPPOSITE = str.maketrans("APLRHF", "PARLFH")

# View Code Sequence, CID 4014: SNOMED CT and the older SRT codes.
VIEW_CODES = {"399162004": "CC", "R-10242": "CC", "399368009": "MLO", "R-10226": "MLO"}


def is_upside_down(data_set: Dataset) -> bool:
    """Whether a tomosynthesis object's Patient Orientation is the opposite of the expected one."""
    if text_of(data_set, "SOPClassUID") != BREAST_TOMOSYNTHESIS:
        return False
    expected = EXPECTED_ORIENTATION.get((_laterality(data_set), _view(data_set)))
    found = _orientation(data_set)
    if expected is None or found is None:
        return False
    return all(
        set(have) == set(want.translate(OPPOSITE))
        for have, want in zip(found, expected, strict=True)
    )


def _laterality(data_set: Dataset) -> str:
    candidates = [text_of(data_set, "ImageLaterality"), text_of(data_set, "Laterality")]
    candidates += [
        text_of(item, "FrameLaterality") for item in _macro(data_set, "FrameAnatomySequence")
    ]
    return next((c.upper() for c in candidates if c), "")


def _view(data_set: Dataset) -> str:
    codes = [text_of(item, "CodeValue") for item in items_of(data_set, "ViewCodeSequence")]
    views = [VIEW_CODES[code] for code in codes if code in VIEW_CODES]
    return views[0] if views else text_of(data_set, "ViewPosition").upper()


def _orientation(data_set: Dataset) -> tuple[str, str] | None:
    holders = [data_set, *_macro(data_set, "PatientOrientationInFrameSequence")]
    for holder in holders:
        value = value_of(holder, "PatientOrientation")
        if isinstance(value, (list, MultiValue)) and len(value) == len(("row", "column")):
            return str(value[0]).strip().upper(), str(value[1]).strip().upper()
    return None


def _macro(data_set: Dataset, macro: str) -> Iterator[Dataset]:
    """Items of a macro in the shared, then in the first frame's functional group."""
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in items_of(data_set, groups)[:1]:
            yield from items_of(group, macro)[:1]
