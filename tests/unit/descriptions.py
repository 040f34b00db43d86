"""Descriptions of images written by hand, without data sets of pydicom."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_preprocessing.dicom.attribute import Attribute
from dicom_preprocessing.dicom.description import (
    Description,
    FunctionalGroups,
    ImagePixel,
    LutAttributes,
)
from dicom_preprocessing.dicom.header import Header

ODD_KEYWORDS = {
    "voi_lut_function": "VOILUTFunction",
    "stack_id": "StackID",
    "sop_class_uid": "SOPClassUID",
}

GREY = {
    "rows": 1,
    "columns": 2,
    "samples_per_pixel": 1,
    "photometric_interpretation": "MONOCHROME2",
    "bits_allocated": 8,
    "bits_stored": 8,
    "high_bit": 7,
    "pixel_representation": 0,
}
"""The Image Pixel Module of an image of two grey pixels."""


def keyword_of(field: str) -> str:
    """``rescale_slope`` as ``RescaleSlope``."""
    return ODD_KEYWORDS.get(field) or "".join(map(str.capitalize, field.split("_")))


def attribute(keyword: str, *values: Any) -> Attribute:
    return Attribute(keyword, values)


def groups(**values: Any) -> FunctionalGroups:
    """Functional groups: values by field, several as a tuple; ``macros`` are keywords."""
    return FunctionalGroups(**_made(values))


def table(*entries: int, first: int = 0, bits: int = 8) -> LutAttributes:
    """A look-up table of VR US."""
    return LutAttributes(
        attribute("LUTDescriptor", len(entries), first, bits), attribute("LUTData", *entries)
    )


def description_of(**values: Any) -> Description:
    """The description of two grey pixels, but for ``values``.

    Values by field of Image Pixel, of the functional groups at the top level, of the header (but
    for those that Image Pixel has too) or of the description; several as a tuple. None leaves one
    out.
    """
    given = {"transfer_syntax_uid": ExplicitVRLittleEndian} | GREY | values
    parts = {
        kind: {f.name: given.pop(f.name) for f in fields(kind) if f.name in given}
        for kind in (ImagePixel, FunctionalGroups)
    }
    syntax = UID(given.pop("transfer_syntax_uid"))
    header = {f.name: given.pop(f.name) for f in fields(Header) if f.name in given}
    shared = {f.name for f in fields(Header)} & parts[ImagePixel].keys()
    header |= {n: v for n in shared if isinstance(v := parts[ImagePixel][n], int)}
    if header.get("sop_class_uid"):
        given["sop_class_uid"] = header["sop_class_uid"]
    return Description(
        header=Header(transfer_syntax_uid=str(syntax), **header),
        transfer_syntax_uid=syntax,
        pixel=ImagePixel(**_made(parts[ImagePixel])),
        top=groups(**parts[FunctionalGroups]),
        **_made(given),
    )


def _made(values: dict[str, Any]) -> dict[str, Any]:
    """Attributes of plain values; what is one already, or something else, stays."""
    made = {}
    for field, value in values.items():
        if field == "macros":
            made[field] = frozenset(value)
        elif field in AS_THEY_ARE or isinstance(value, Attribute):
            made[field] = value
        elif value is not None:
            several = value if isinstance(value, tuple | list) else (value,)
            made[field] = attribute(keyword_of(field), *several)
    return made


AS_THEY_ARE = (
    "voi_luts",
    "rescale_items",
    "is_little_endian",
    "stated_syntax",
    "shared",
    "frames",
    "modality_lut",
    "palette",
    "pixel_padding",
    "float_pixel_padding",
    "double_float_pixel_padding",
    "view_codes",
    "projection",
    "ultrasound_regions",
)
"""Fields that hold no attribute."""
