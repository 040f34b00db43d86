"""The attributes of a description: keywords, tags and value representations."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicom_preprocessing.config.selection import CACHED_KEYWORDS, CODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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

PIXEL_KEYWORDS: Final = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
"""Keywords of pixel data elements by tag."""

RESCALE: Final = "PixelValueTransformationSequence"
VOI: Final = "FrameVOILUTSequence"

MACROS: Final[Mapping[str, Mapping[str, str]]] = {
    RESCALE: {
        "rescale_slope": "RescaleSlope",
        "rescale_intercept": "RescaleIntercept",
        "rescale_type": "RescaleType",
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

SLICE_GROUPS: Final = {
    "image_position_patient": "ImagePositionPatient",
    "image_orientation_patient": "ImageOrientationPatient",
    "pixel_spacing": "PixelSpacing",
    "spacing_between_slices": "SpacingBetweenSlices",
    "effective_echo_time": "EchoTime",
    "diffusion_b_value": "DiffusionBValue",
    "temporal_position_index": "TemporalPositionIdentifier",
}
"""Attributes of a slice by the field of ``FunctionalGroups`` that has the same meaning."""

GROUPS_ONLY: Final = (
    "FrameAnatomySequence",
    "FrameContentSequence",
    "MREchoSequence",
    "MRDiffusionSequence",
)
"""Macros whose attributes have no meaning at the top level."""

TOP_GROUPS: Final = {
    field: keyword
    for macro, fields in MACROS.items()
    if macro not in GROUPS_ONLY
    for field, keyword in fields.items()
}
MACRO_KEYWORDS: Final = {
    field: keyword for fields in MACROS.values() for field, keyword in fields.items()
}

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
"""Keywords by field of ``Header``, without those that a precedence decides."""

HEADER_FIELDS: Final = {
    keyword: field for field, keyword in HEADER_KEYWORDS.items() if field != "instance_number"
} | {
    "SOPClassUID": "sop_class_uid",
    "TransferSyntaxUID": "transfer_syntax_uid",
}
"""Fields of ``Header`` by the keyword on which there may be rules; 0 is no value."""

UIDS: Final = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")

PADDING_PREFIXES: Final = ("PixelPadding", "FloatPixelPadding", "DoubleFloatPixelPadding")
PALETTE_COLOURS: Final = ("Red", "Green", "Blue")
PALETTE_KEYWORDS: Final = {
    "descriptor": "{}PaletteColorLookupTableDescriptor",
    "data": "{}PaletteColorLookupTableData",
    "segmented": "Segmented{}PaletteColorLookupTableData",
}
PROJECTION: Final = {
    "nominal_scanned_pixel_spacing": "NominalScannedPixelSpacing",
    "pixel_spacing_calibration_type": "PixelSpacingCalibrationType",
    "estimated_radiographic_magnification_factor": "EstimatedRadiographicMagnificationFactor",
    "distance_source_to_detector": "DistanceSourceToDetector",
    "distance_source_to_patient": "DistanceSourceToPatient",
}
"""Keywords by field of ``Projection``."""

REGION_KEYWORDS: Final = {
    "spatial_format": "RegionSpatialFormat",
    "min_x": "RegionLocationMinX0",
    "min_y": "RegionLocationMinY0",
    "max_x": "RegionLocationMaxX1",
    "max_y": "RegionLocationMaxY1",
    "units_x": "PhysicalUnitsXDirection",
    "units_y": "PhysicalUnitsYDirection",
    "delta_x": "PhysicalDeltaX",
    "delta_y": "PhysicalDeltaY",
}
"""Keywords by field of ``UltrasoundRegion``."""

OTHER_KEYWORDS: Final = (
    "BodyPartExamined",
    "ImageLaterality",
    "Laterality",
    "ViewPosition",
    "ImageType",
    "PixelAspectRatio",
    "DoseGridScaling",
    "GridFrameOffsetVector",
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
        *PROJECTION.values(),
        *(f"{prefix}{end}" for prefix in PADDING_PREFIXES for end in ("Value", "RangeLimit")),
        *(name.format(colour) for colour in PALETTE_COLOURS for name in PALETTE_KEYWORDS.values()),
        *OTHER_KEYWORDS,
    ]
)
"""Attributes of the top level that a description needs, without sequences."""

GROUP_TAGS: Final = {macro: _by_tag(fields.values()) for macro, fields in MACROS.items()}
VIEW_CODE_SEQUENCE: Final = _tag("ViewCodeSequence")
VIEW_MODIFIERS: Final = _tag("ViewModifierCodeSequence")
CODE_SEQUENCES: Final = _by_tag(CODES)
CODE_VALUE_TAGS: Final = _by_tag(["CodeValue", "CodeMeaning", "LongCodeValue", "URNCodeValue"])
CACHED_TAGS: Final = _by_tag(sorted(set(CACHED_KEYWORDS).difference(HEADER_FIELDS)))
"""Attributes that a header has besides its fields, without those that are asked for."""

REGION_TAGS: Final = _by_tag(REGION_KEYWORDS.values())
LUT_TAGS: Final = _by_tag(["LUTDescriptor", "LUTData"])
CODE_TAGS: Final = _by_tag(["CodeValue"])
VRS: Final = {
    tag: dictionary_VR(tag)
    for tags in (
        TOP_TAGS,
        CACHED_TAGS,
        LUT_TAGS,
        REGION_TAGS,
        CODE_VALUE_TAGS,
        *GROUP_TAGS.values(),
    )
    for tag in tags
}
"""Value representations by tag, for elements of implicit VR."""

MACRO_TAGS: Final = _by_tag(MACROS)
META_KEYWORDS: Final = ("TransferSyntaxUID", "MediaStorageSOPClassUID")
META_TAGS: Final = _by_tag(META_KEYWORDS)
VOI_LUTS: Final = _tag("VOILUTSequence")
MODALITY_LUTS: Final = _tag("ModalityLUTSequence")
SHARED: Final = _tag("SharedFunctionalGroupsSequence")
REGIONS: Final = _tag("SequenceOfUltrasoundRegions")
PER_FRAME: Final = _tag("PerFrameFunctionalGroupsSequence")
PRIVATE_BLOCKS: Final = range(0x10, 0x100)
"""Elements of an odd group of which each reserves a block by its creator (PS3.5 7.8.1)."""
HOLOGIC: Final = "HOLOGIC"
"""How the creator of Hologic's private elements begins."""
HOLOGIC_SLICES: Final = {
    group << 16 | block << 8 | element: group << 16 | block
    for group in (0x7E01, 0x7F01)
    for block in PRIVATE_BLOCKS
    for element in (0x10, 0x11, 0x12)
}
"""Tags of private elements that have slices of tomosynthesis in secondary captures, by Hologic's
conformance statements, with the tags of their creators."""
HOLOGIC_CREATORS: Final = {tag: f"{tag:08X}" for tag in HOLOGIC_SLICES.values()}
"""Tags of the creators, with names in place of keywords."""
SEQUENCES: Final = frozenset(
    (VOI_LUTS, MODALITY_LUTS, VIEW_CODE_SEQUENCE, REGIONS, SHARED, PER_FRAME, *MACRO_TAGS)
)
"""Sequences that a description needs."""

SLICE_TAGS: Final = _by_tag(("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient"))
"""Attributes of the top level in which slices of a series differ."""
FRAME_TAGS: Final = (SHARED, PER_FRAME, _tag("GridFrameOffsetVector"))
"""Elements that say where frames lie, or contradict what the top level says of it."""


@cache
def tags_of(keywords: frozenset[str]) -> dict[int, str]:
    """The keywords by tag, with those that every header has, and what they are in."""
    others = set(keywords).difference(HEADER_FIELDS)
    if CODE_SEQUENCES[VIEW_MODIFIERS] in others:
        others.add(CODE_SEQUENCES[VIEW_CODE_SEQUENCE])
    return CACHED_TAGS | _by_tag(sorted(others))


READ_TAGS: Final = frozenset((*TOP_TAGS, *SEQUENCES.difference(MACRO_TAGS), *HOLOGIC_CREATORS))
"""Elements of the top level whose values are read."""
