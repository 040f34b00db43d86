"""Slices of a series, by what the index keeps of headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_preprocessing.dicom.attribute import Attribute
from dicom_preprocessing.imaging.stacking import TELLING_FIELDS, Slice

if TYPE_CHECKING:
    from dicom_preprocessing.dicom.header import Header


def make_slice(header: Header, name: str) -> Slice:
    """The facts of a header about a slice; numbers that are none count as absent.

    Parameters
    ----------
    header : Header
    name : str
        The path of the file, for messages.
    """
    instance_number = _read_number(header, "InstanceNumber")
    return Slice(
        name=name,
        sop_instance_uid=header.sop_instance_uid,
        rows=header.rows,
        columns=header.columns,
        samples_per_pixel=header.samples_per_pixel,
        orientation=_read_vector(header, "ImageOrientationPatient", 6),
        position=_read_vector(header, "ImagePositionPatient", 3),
        instance_number=None if instance_number is None else int(instance_number),
        spacing_between_slices=_read_number(header, "SpacingBetweenSlices"),
        frame_of_reference_uid="\\".join(header.values("FrameOfReferenceUID")),
        **{field: "\\".join(header.values(key)) for key, field in TELLING_FIELDS.items()},
    )


def _read_vector(header: Header, keyword: str, length: int) -> tuple[float, ...] | None:
    return Attribute(keyword, header.values(keyword)).vector(length)


def _read_number(header: Header, keyword: str) -> float | None:
    vector = _read_vector(header, keyword, 1)
    return None if vector is None else vector[0]
