"""From pydicom's data set to the description of an image: the only place that asks a data set.

Each attribute is read once. What stands behind the description never sees pydicom's objects.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import IS, DSdecimal, DSfloat

from dicom_preprocessing.dicom.attribute import ABSENT, Attribute, clean_text
from dicom_preprocessing.dicom.contradictions import decide
from dicom_preprocessing.dicom.description import (
    NO_GROUPS,
    NO_TABLE,
    Description,
    FunctionalGroups,
    ImagePixel,
    PixelPadding,
    StoredTable,
)
from dicom_preprocessing.dicom.header import Header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydicom.tag import BaseTag

    from dicom_preprocessing.dicom.attribute import Value

# What pydicom raises on values and structures that break the standard.
PARSE_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    pydicom.errors.BytesLengthException,
    pydicom.errors.InvalidDicomError,
)

NUMBERS: Final = {
    "US": ("H", 2),
    "SS": ("h", 2),
    "UL": ("L", 4),
    "SL": ("l", 4),
    "FL": ("f", 4),
    "FD": ("d", 8),
}
"""Value representations of binary numbers, with the code of ``struct`` and the bytes of one."""

TEXTS: Final = ("CS", "DS", "IS", "SH", "UI")
NUMERIC_TEXTS: Final = ("DS", "IS")
ESCAPE: Final = b"\x1b"
"""Begins another character set within a text (ISO 2022)."""

SEVERAL: Final = (MultiValue, list)
"""What pydicom gives for several values: a list of numbers that are binary in the file."""

SEQUENCE: Final = "a sequence"
"""Stands for a sequence where a value is expected."""

IMAGE_PIXEL: Final = {
    "rows": "Rows",
    "columns": "Columns",
    "samples_per_pixel": "SamplesPerPixel",
    "photometric_interpretation": "PhotometricInterpretation",
    "planar_configuration": "PlanarConfiguration",
    "number_of_frames": "NumberOfFrames",
    "bits_allocated": "BitsAllocated",
    "bits_stored": "BitsStored",
    "high_bit": "HighBit",
    "pixel_representation": "PixelRepresentation",
}
"""Keywords by field of ``ImagePixel``."""

VOI: Final = "FrameVOILUTSequence"

MACROS: Final[Mapping[str, Mapping[str, str]]] = {
    "PixelValueTransformationSequence": {
        "rescale_slope": "RescaleSlope",
        "rescale_intercept": "RescaleIntercept",
    },
    VOI: {
        "window_center": "WindowCenter",
        "window_width": "WindowWidth",
        "voi_lut_function": "VOILUTFunction",
    },
    "PixelMeasuresSequence": {
        "pixel_spacing": "PixelSpacing",
        "imager_pixel_spacing": "ImagerPixelSpacing",
        "spacing_between_slices": "SpacingBetweenSlices",
    },
    "PlanePositionSequence": {"image_position_patient": "ImagePositionPatient"},
    "PlaneOrientationSequence": {"image_orientation_patient": "ImageOrientationPatient"},
    "PatientOrientationInFrameSequence": {"patient_orientation": "PatientOrientation"},
    "FrameAnatomySequence": {"frame_laterality": "FrameLaterality"},
    "FrameContentSequence": {
        "dimension_index_values": "DimensionIndexValues",
        "in_stack_position_number": "InStackPositionNumber",
        "stack_id": "StackID",
        "temporal_position_index": "TemporalPositionIndex",
    },
    "MREchoSequence": {"effective_echo_time": "EffectiveEchoTime"},
    "MRDiffusionSequence": {"diffusion_b_value": "DiffusionBValue"},
}
"""Functional group macros (PS3.3 C.7.6.16.2), and keywords by field of ``FunctionalGroups``."""

GROUPS_ONLY: Final = (
    "FrameAnatomySequence",
    "FrameContentSequence",
    "MREchoSequence",
    "MRDiffusionSequence",
)
"""Macros whose attributes mean nothing at the top level."""

TOP_GROUPS: Final = {
    field: keyword
    for macro, fields in MACROS.items()
    if macro not in GROUPS_ONLY
    for field, keyword in fields.items()
}
GROUPS: Final = {field: keyword for fields in MACROS.values() for field, keyword in fields.items()}

HEADER_KEYWORDS: Final = {
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "sop_instance_uid": "SOPInstanceUID",
    "modality": "Modality",
    "rows": "Rows",
    "columns": "Columns",
    "number_of_frames": "NumberOfFrames",
    "samples_per_pixel": "SamplesPerPixel",
    "bits_allocated": "BitsAllocated",
    "bits_stored": "BitsStored",
    "instance_number": "InstanceNumber",
}
"""Keywords by field of ``Header``, but for those that other rules find."""

UIDS: Final = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")

PADDING: Final = ("PixelPadding", "FloatPixelPadding", "DoubleFloatPixelPadding")
COLOURS: Final = ("Red", "Green", "Blue")
TABLES: Final = {
    "descriptor": "{}PaletteColorLookupTableDescriptor",
    "data": "{}PaletteColorLookupTableData",
    "segmented": "Segmented{}PaletteColorLookupTableData",
}
OTHERS: Final = (
    "ImageLaterality",
    "Laterality",
    "ViewPosition",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)


def _by_tag(keywords: Iterable[str]) -> dict[int, str]:
    tags = ((tag_for_keyword(keyword), keyword) for keyword in keywords)
    return {tag: keyword for tag, keyword in tags if tag is not None}


def _tag(keyword: str) -> int:
    (tag,) = _by_tag([keyword])
    return tag


HEADER_TAGS: Final = _by_tag([*HEADER_KEYWORDS.values(), "SOPClassUID"])
TOP_TAGS: Final = HEADER_TAGS | _by_tag(
    [
        *IMAGE_PIXEL.values(),
        *TOP_GROUPS.values(),
        *(f"{prefix}{end}" for prefix in PADDING for end in ("Value", "RangeLimit")),
        *(name.format(colour) for colour in COLOURS for name in TABLES.values()),
        *OTHERS,
    ]
)
"""Attributes of the top level that a description needs, but for sequences."""

GROUP_TAGS: Final = {macro: _by_tag(fields.values()) for macro, fields in MACROS.items()}
LUT_TAGS: Final = _by_tag(["LUTDescriptor", "LUTData"])
CODE_TAGS: Final = _by_tag(["CodeValue"])
VRS: Final = {
    tag: dictionary_VR(tag)
    for tags in (TOP_TAGS, LUT_TAGS, CODE_TAGS, *GROUP_TAGS.values())
    for tag in tags
}
"""Value representations, which implicit VR does not tell."""

MACRO_TAGS: Final = _by_tag(MACROS)
META_TAGS: Final = {k: _by_tag([k]) for k in ("TransferSyntaxUID", "MediaStorageSOPClassUID")}
VOI_LUTS: Final = _tag("VOILUTSequence")
MODALITY_LUTS: Final = _tag("ModalityLUTSequence")
VIEW_CODES: Final = _tag("ViewCodeSequence")
SHARED: Final = _tag("SharedFunctionalGroupsSequence")
PER_FRAME: Final = _tag("PerFrameFunctionalGroupsSequence")


def describe(
    data_set: Dataset, *, syntax: UID | None = None, has_pixel_data: bool = True
) -> Description:
    """Read every attribute on which an image depends.

    Parameters
    ----------
    data_set : Dataset
        With or without pixel data, which is not looked at.
    syntax : UID or None
        ``transfer_syntax_of`` the data set, where it is known already.
    has_pixel_data : bool
        What the header tells of that.
    """
    found = attributes_of(data_set, TOP_TAGS)
    syntax = transfer_syntax_of(data_set) if syntax is None else syntax
    shared = items_of(data_set, SHARED)
    luts = items_of(data_set, MODALITY_LUTS)
    codes = items_of(data_set, VIEW_CODES)
    return Description(
        header=_header(data_set, found, syntax, has_pixel_data=has_pixel_data),
        transfer_syntax_uid=syntax,
        is_little_endian=syntax != ExplicitVRBigEndian,
        pixel=ImagePixel(**_fields(found, IMAGE_PIXEL)),
        top=FunctionalGroups(**_voi_luts(data_set), **_fields(found, TOP_GROUPS)),
        shared=groups_of(shared[0]) if shared else NO_GROUPS,
        frames=tuple(map(groups_of, items_of(data_set, PER_FRAME))),
        modality_lut=_lut_of(luts[0]) if luts else None,
        palette=_palette(found),
        **_paddings(found),
        image_laterality=found.get("ImageLaterality", ABSENT),
        laterality=found.get("Laterality", ABSENT),
        view_position=found.get("ViewPosition", ABSENT),
        view_codes=tuple(attributes_of(c, CODE_TAGS).get("CodeValue", ABSENT) for c in codes),
        extended_offset_table=found.get("ExtendedOffsetTable", ABSENT),
        extended_offset_table_lengths=found.get("ExtendedOffsetTableLengths", ABSENT),
    )


def header_of(data_set: Dataset, *, has_pixel_data: bool) -> Header:
    """What the index keeps, without the rest of a description."""
    found, syntax = attributes_of(data_set, HEADER_TAGS), transfer_syntax_of(data_set)
    return _header(data_set, found, syntax, has_pixel_data=has_pixel_data)


def _header(
    data_set: Dataset, found: Mapping[str, Attribute], syntax: UID, *, has_pixel_data: bool
) -> Header:
    fields: dict[str, str | int] = {}
    for field, keyword in HEADER_KEYWORDS.items():
        attribute = found.get(keyword, ABSENT)
        if field in UIDS:
            fields[field] = attribute.joined()
        elif field == "modality":
            fields[field] = attribute.text()
        else:
            fields[field] = attribute.integer()
    return Header(
        sop_class_uid=_sop_class_of(data_set, found.get("SOPClassUID", ABSENT)),
        transfer_syntax_uid=clean_text(syntax),
        has_pixel_data=has_pixel_data,
        **fields,  # type: ignore[arg-type]  # texts and numbers each where they belong
    )


def transfer_syntax_of(data_set: Dataset) -> UID:
    """The transfer syntax that the file states, else the one in which it could be read."""
    stated = _stated(data_set, "TransferSyntaxUID")
    told = {
        "TransferSyntaxUID": UID(stated) if stated else None,
        "encoding": _encoding_of(data_set),
    }
    return decide("transfer_syntax_uid", told).value or UID("")


def _stated(data_set: Dataset, keyword: str) -> str:
    """A UID of the file meta information, empty without."""
    meta = getattr(data_set, "file_meta", None)
    found = {} if meta is None else attributes_of(meta, META_TAGS[keyword])
    return found.get(keyword, ABSENT).text()


def _encoding_of(data_set: Dataset) -> UID:
    implicit, little_endian = data_set.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRBigEndian if little_endian is False else ExplicitVRLittleEndian


def _sop_class_of(data_set: Dataset, attribute: Attribute) -> str:
    """SOP Class UID, ``attribute``, else that of the file meta information; empty without."""
    own = attribute.text()
    stated = "" if own else _stated(data_set, "MediaStorageSOPClassUID")
    told = {"SOPClassUID": own or None, "MediaStorageSOPClassUID": stated or None}
    return decide("sop_class_uid", told).value or ""


def attributes_of(item: Dataset, wanted: Mapping[int, str]) -> dict[str, Attribute]:
    """Those attributes of a data set or item that are ``wanted``, by keyword."""
    found: dict[str, Attribute] = {}
    for tag in item.keys():  # noqa: SIM118  # iterating a data set converts every element
        keyword = wanted.get(int(tag))  # pydicom compares its tags ten times as slowly
        if keyword is not None:
            found[keyword] = attribute_of(item, tag, keyword)
    return found


def attribute_of(item: Dataset, tag: BaseTag, keyword: str) -> Attribute:
    """An attribute that is there."""
    raw = item.get_item(tag, keep_deferred=True)  # else one without a value is converted here
    values = plain_values(raw) if isinstance(raw, RawDataElement) else None
    if values is not None:
        return Attribute(keyword, values)
    try:
        value = item[tag].value
    except PARSE_ERRORS:
        content = getattr(raw, "value", None)
        return Attribute(keyword, raw=content if isinstance(content, bytes) else b"")
    if value is None:
        return Attribute(keyword)
    if isinstance(value, SEVERAL):
        return Attribute(keyword, tuple(map(_plain, value)))
    return Attribute(keyword, (_plain(value),))


def plain_values(raw: RawDataElement) -> tuple[Value, ...] | None:
    """Values of an element as nearly every one is, None if pydicom should have a look.

    pydicom validates each value and makes objects of it, which takes ten times as long.
    """
    content, vr = raw.value, raw.VR or VRS.get(int(raw.tag))
    if not content:
        return None
    if vr in NUMBERS:
        code, size = NUMBERS[vr]
        if len(content) % size:
            return None
        order = "<" if raw.is_little_endian else ">"
        return struct.unpack(f"{order}{len(content) // size}{code}", content)
    if vr not in TEXTS or not content.isascii() or ESCAPE in content:
        return None
    values = content.decode("ascii").rstrip(" \0").split("\\")
    return tuple(value.strip() for value in values) if vr in NUMERIC_TEXTS else tuple(values)


def _plain(value: object) -> Value:
    """A value as Python has it, without pydicom's class.

    Numbers that are text in the file stay as they are written.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, (IS, DSfloat, DSdecimal)):
        return str(value)
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    # Only a wrong value representation is here; what a sequence holds may not be converted.
    return SEQUENCE if isinstance(value, Sequence) else str(value)


def items_of(item: Dataset, tag: int) -> list[Dataset]:
    """The items of a sequence, none where it is absent or broken."""
    if tag not in item:
        return []
    try:
        return [i for i in item[tag].value or () if isinstance(i, Dataset)]
    except PARSE_ERRORS:
        return []


def groups_of(group: Dataset) -> FunctionalGroups:
    """What an item of a functional groups sequence holds."""
    found: dict[str, Attribute] = {}
    macros: set[str] = set()
    luts: dict[str, Any] = {}
    for tag in group.keys():  # noqa: SIM118  # iterating a data set converts every element
        macro = MACRO_TAGS.get(int(tag))
        first = next(iter(items_of(group, tag)), None) if macro is not None else None
        if macro is None or first is None:
            continue
        macros.add(macro)
        found |= attributes_of(first, GROUP_TAGS[macro])
        if macro == VOI:
            luts = _voi_luts(first)
    return FunctionalGroups(macros=frozenset(macros), **luts, **_fields(found, GROUPS))


def _voi_luts(item: Dataset) -> dict[str, Any]:
    """The fields of ``FunctionalGroups`` about VOI LUT Sequence."""
    if VOI_LUTS not in item:
        return {}
    luts = items_of(item, VOI_LUTS)
    return {"voi_lut": _lut_of(luts[0]) if luts else None, "voi_lut_items": len(luts)}


def _fields(found: Mapping[str, Attribute], keywords: Mapping[str, str]) -> dict[str, Any]:
    """Attributes that were found, by the fields that they fill."""
    return {field: found[keyword] for field, keyword in keywords.items() if keyword in found}


def _lut_of(item: Dataset) -> StoredTable:
    found = attributes_of(item, LUT_TAGS)
    return StoredTable(found.get("LUTDescriptor", ABSENT), found.get("LUTData", ABSENT))


def _palette(found: Mapping[str, Attribute]) -> tuple[StoredTable, StoredTable, StoredTable]:
    if "RedPaletteColorLookupTableDescriptor" not in found:  # nearly every image
        return NO_TABLE, NO_TABLE, NO_TABLE
    red, green, blue = (
        StoredTable(
            **{part: found.get(name.format(colour), ABSENT) for part, name in TABLES.items()}
        )
        for colour in COLOURS
    )
    return red, green, blue


def _paddings(found: Mapping[str, Attribute]) -> dict[str, PixelPadding]:
    integer, single, double = (
        PixelPadding(found.get(f"{p}Value", ABSENT), found.get(f"{p}RangeLimit", ABSENT))
        for p in PADDING
    )
    return {
        "pixel_padding": integer,
        "float_pixel_padding": single,
        "double_float_pixel_padding": double,
    }
