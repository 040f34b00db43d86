"""From facts about the slices of a series to its volumes: which slices, in which order, how even.

Pure functions on small frozen values: no pixels, and no file is read.
"""

from dicom_preprocessing.imaging.stacking.checks import check_order
from dicom_preprocessing.imaging.stacking.duplicates import resolve_duplicates
from dicom_preprocessing.imaging.stacking.findings import Finding
from dicom_preprocessing.imaging.stacking.planning import plan_volumes
from dicom_preprocessing.imaging.stacking.slices import TELLING_FIELDS, Slice
from dicom_preprocessing.imaging.stacking.volumes import DroppedSlice, PlannedVolume, StackPlan

__all__ = [
    "TELLING_FIELDS",
    "DroppedSlice",
    "Finding",
    "PlannedVolume",
    "Slice",
    "StackPlan",
    "check_order",
    "plan_volumes",
    "resolve_duplicates",
]
