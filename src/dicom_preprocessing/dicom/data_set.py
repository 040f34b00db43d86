"""From pydicom's data set to the description of an image; no other module reads a data set.

Each attribute is read once. Code that uses the description never sees pydicom's objects.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_description
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_preprocessing.config.selection import CODES
from dicom_preprocessing.dicom.attribute import ABSENT, Attribute, clean_text
from dicom_preprocessing.dicom.contradictions import LEVELS_CONTRADICT, decide
from dicom_preprocessing.dicom.description import (
    NO_GROUPS,
    NO_LUT,
    Description,
    FunctionalGroups,
    ImagePixel,
    LutAttributes,
    PixelPadding,
    Projection,
    UltrasoundRegion,
)
from dicom_preprocessing.dicom.elements import attributes_of, items_of
from dicom_preprocessing.dicom.header import (
    Header,
    join_values,
    keep_modality,
    keep_uid,
    may_be_grouped_slice,
)
from dicom_preprocessing.dicom.keywords import (
    CODE_TAGS,
    CODE_VALUE_TAGS,
    GROUP_TAGS,
    HEADER_KEYWORDS,
    HEADER_TAGS,
    HOLOGIC,
    HOLOGIC_CREATORS,
    HOLOGIC_SLICES,
    IMAGE_PIXEL,
    LUT_TAGS,
    MACRO_KEYWORDS,
    MACRO_TAGS,
    META_KEYWORDS,
    META_TAGS,
    MODALITY_LUTS,
    PADDING_PREFIXES,
    PALETTE_COLOURS,
    PALETTE_KEYWORDS,
    PER_FRAME,
    PROJECTION,
    REGION_KEYWORDS,
    REGION_TAGS,
    REGIONS,
    RESCALE,
    SHARED,
    SLICE_GROUPS,
    TOP_GROUPS,
    TOP_TAGS,
    UIDS,
    VIEW_CODE_SEQUENCE,
    VIEW_MODIFIERS,
    VOI,
    VOI_LUTS,
    tags_of,
)
from dicom_preprocessing.dicom.transfer_syntaxes import name_uid
from dicom_preprocessing.image_warnings import ImageWarning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydicom.dataset import Dataset


def describe(
    data_set: Dataset,
    *,
    meta: FileMeta | None = None,
    syntax: UID | None = None,
    has_pixel_data: bool = True,
    is_little_endian: bool | None = None,
    warnings: Iterable[ImageWarning] = (),
) -> Description:
    """Read every attribute on which an image depends.

    Parameters
    ----------
    data_set : Dataset
        With or without pixel data, which is not read.
    meta : FileMeta or None
        Of the file; by default that which the data set has as pydicom's attribute.
    syntax : UID or None
        By which pixels are read; by default ``transfer_syntax_of`` the data set.
    has_pixel_data : bool
        Becomes that of the header.
    is_little_endian : bool or None
        Byte order of the data set; by default that of ``syntax``.
    warnings : iterable of ImageWarning
        Found while the file was read.
    """
    attributes = attributes_of(data_set, TOP_TAGS)
    meta = _file_meta_of(data_set) if meta is None else meta
    stated = _choose_syntax(meta, data_set)
    syntax = stated if syntax is None else syntax
    if is_little_endian is None:
        is_little_endian = syntax != ExplicitVRBigEndian
    found = [*warnings, *_compare_sop_classes(meta, attributes.get("SOPClassUID", ABSENT))]
    shared = items_of(data_set, SHARED, found)
    luts = items_of(data_set, MODALITY_LUTS, found)
    codes = items_of(data_set, VIEW_CODE_SEQUENCE, found)
    regions = items_of(data_set, REGIONS, found)
    frames = items_of(data_set, PER_FRAME, found)
    return Description(
        header=_make_header(meta, attributes, stated, has_pixel_data=has_pixel_data),
        transfer_syntax_uid=syntax,
        stated_syntax=meta.transfer_syntax_uid,
        is_little_endian=is_little_endian,
        pixel=ImagePixel(**_select_fields(attributes, IMAGE_PIXEL)),
        top=FunctionalGroups(
            voi_luts=_read_voi_luts(data_set, found), **_select_fields(attributes, TOP_GROUPS)
        ),
        shared=_read_shared_groups(shared, found),
        frames=tuple(groups_of(frame, found) for frame in frames),
        modality_lut=_read_modality_lut(luts, found),
        dose_grid_scaling=attributes.get("DoseGridScaling", ABSENT),
        grid_frame_offset_vector=attributes.get("GridFrameOffsetVector", ABSENT),
        palette=_read_palette(attributes),
        **_read_paddings(attributes),
        projection=Projection(**_select_fields(attributes, PROJECTION)),
        ultrasound_regions=tuple(map(_read_region, regions)),
        sop_class_uid=attributes.get("SOPClassUID", ABSENT),
        body_part_examined=attributes.get("BodyPartExamined", ABSENT),
        image_laterality=attributes.get("ImageLaterality", ABSENT),
        laterality=attributes.get("Laterality", ABSENT),
        view_position=attributes.get("ViewPosition", ABSENT),
        view_codes=tuple(attributes_of(c, CODE_TAGS).get("CodeValue", ABSENT) for c in codes),
        image_type=attributes.get("ImageType", ABSENT),
        pixel_aspect_ratio=attributes.get("PixelAspectRatio", ABSENT),
        has_private_volume=_has_private_volume(data_set),
        extended_offset_table=attributes.get("ExtendedOffsetTable", ABSENT),
        extended_offset_table_lengths=attributes.get("ExtendedOffsetTableLengths", ABSENT),
        warnings=tuple(dict.fromkeys(found)),
    )


def header_of(
    data_set: Dataset,
    *,
    meta: FileMeta | None = None,
    keywords: frozenset[str] = frozenset(),
    has_pixel_data: bool,
) -> Header:
    """Return the header alone, without the rest of a description.

    Parameters
    ----------
    data_set : Dataset
    meta : FileMeta, optional
    keywords : frozenset of str
        Of attributes that are read besides.
    has_pixel_data : bool
    """
    meta = _file_meta_of(data_set) if meta is None else meta
    attributes = attributes_of(data_set, HEADER_TAGS)
    syntax = _choose_syntax(meta, data_set)
    tags = tags_of(keywords)
    others = {k: join_values(k, a.texts()) for k, a in attributes_of(data_set, tags).items()}
    others |= {k: join_values(k, _read_codes(data_set, t)) for t, k in tags.items() if k in CODES}
    others = {keyword: text for keyword, text in others.items() if text}
    header = _make_header(meta, attributes, syntax, others, has_pixel_data=has_pixel_data)
    if not may_be_grouped_slice(header):
        return header
    return replace(header, attributes=others | _read_groups_of_slice(data_set))


def _read_groups_of_slice(data_set: Dataset) -> dict[str, str]:
    """Read from functional groups where the one frame of an object lies, and what it shows."""
    found: dict[str, str] = {}
    for sequence in (SHARED, PER_FRAME):  # that of the frame counts
        for item in items_of(data_set, sequence, [])[:1]:
            groups = groups_of(item, [])
            for field, keyword in SLICE_GROUPS.items():
                attribute: Attribute = getattr(groups, field)
                if not attribute.is_empty:
                    found[keyword] = join_values(keyword, attribute.texts())
    return found


def _read_codes(data_set: Dataset, tag: int) -> Iterator[str]:
    """Yield code values and meanings of a sequence of codes; modifiers are in those of views."""
    views = items_of(data_set, VIEW_CODE_SEQUENCE, []) if tag == VIEW_MODIFIERS else []
    for parent in (*views, data_set):
        for item in items_of(parent, tag, []):
            for attribute in attributes_of(item, CODE_VALUE_TAGS).values():
                yield from attribute.texts()


def _make_header(
    meta: FileMeta,
    attributes: Mapping[str, Attribute],
    syntax: UID,
    others: Mapping[str, str] | None = None,
    *,
    has_pixel_data: bool,
) -> Header:
    fields = {
        field: read_header_field(field, attributes.get(keyword, ABSENT))
        for field, keyword in HEADER_KEYWORDS.items()
    }
    return Header(
        sop_class_uid=keep_uid(_choose_sop_class(meta, attributes.get("SOPClassUID", ABSENT))),
        transfer_syntax_uid=keep_uid(clean_text(syntax)),
        has_pixel_data=has_pixel_data,
        attributes=others or {},
        **fields,
    )


def read_header_field(field: str, attribute: Attribute) -> Any:  # noqa: ANN401  # as of Header
    """Read a field of a header from its attribute: a text, or an integer."""
    if field in UIDS:
        return attribute.joined_text()
    if field == "modality":
        return keep_modality(attribute.text())
    return attribute.integer()


class FileMeta(NamedTuple):
    """What is read of the file meta information; empty where it is absent."""

    transfer_syntax_uid: UID
    media_storage_sop_class_uid: str


NO_FILE_META: Final = FileMeta(UID(""), "")


def read_file_meta(elements: Dataset) -> FileMeta:
    """Read the elements of file meta information."""
    attributes = attributes_of(elements, META_TAGS)
    syntax, sop_class = (attributes.get(keyword, ABSENT).text() for keyword in META_KEYWORDS)
    return FileMeta(UID(syntax, IGNORE), sop_class)


def transfer_syntax_of(data_set: Dataset) -> UID:
    """Return the transfer syntax that the file states, else the one in which it could be parsed."""
    return _choose_syntax(_file_meta_of(data_set), data_set)


def _file_meta_of(data_set: Dataset) -> FileMeta:
    elements = getattr(data_set, "file_meta", None)
    return NO_FILE_META if elements is None else read_file_meta(elements)


def _choose_syntax(meta: FileMeta, data_set: Dataset) -> UID:
    by_source = {
        "TransferSyntaxUID": meta.transfer_syntax_uid or None,
        "encoding": _encoding_of(data_set),
    }
    return decide("transfer_syntax_uid", by_source).value or UID("")


def _encoding_of(data_set: Dataset) -> UID:
    """Return the native transfer syntax with the encoding in which the elements parsed."""
    implicit, little_endian = data_set.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRBigEndian if little_endian is False else ExplicitVRLittleEndian


def _choose_sop_class(meta: FileMeta, attribute: Attribute) -> str:
    """Return SOP Class UID, else that of the file meta information, else an empty text."""
    by_source = {
        "SOPClassUID": attribute.text() or None,
        "MediaStorageSOPClassUID": meta.media_storage_sop_class_uid or None,
    }
    return decide("sop_class_uid", by_source).value or ""


def _compare_sop_classes(meta: FileMeta, attribute: Attribute) -> Iterator[ImageWarning]:
    """Yield a warning if the file meta information has another SOP class than the data set."""
    stated, own = meta.media_storage_sop_class_uid, attribute.text()
    if stated and own and stated != own:
        message = f"SOP Class UID is {name_uid(own)}, the file meta information has another one"
        yield ImageWarning("sop_class_contradicts", message)


def groups_of(group: Dataset, warnings: list[ImageWarning]) -> FunctionalGroups:
    """Read an item of a functional groups sequence; ``warnings`` takes broken sequences."""
    attributes: dict[str, Attribute] = {}
    macros: dict[str, int] = {}
    luts: tuple[LutAttributes, ...] = ()
    for tag in group.keys():  # noqa: SIM118  # iterating a data set converts every element
        macro = MACRO_TAGS.get(int(tag))
        items = items_of(group, tag, warnings) if macro is not None else []
        if macro is None or not items:
            continue
        macros[macro] = len(items)
        # Of rescales the code of the table is another one, given where they are applied.
        if len(items) > 1 and macro != RESCALE:
            _warn_of_other_items(macro, items, LEVELS_CONTRADICT, warnings)
        attributes |= attributes_of(items[0], GROUP_TAGS[macro])
        if macro == VOI:
            luts = _read_voi_luts(items[0], warnings)
    return FunctionalGroups(
        macros=frozenset(macros),
        rescale_items=macros.get(RESCALE, 0),
        voi_luts=luts,
        **_select_fields(attributes, MACRO_KEYWORDS),
    )


def _read_shared_groups(shared: list[Dataset], warnings: list[ImageWarning]) -> FunctionalGroups:
    """Read the item of Shared Functional Groups Sequence."""
    _warn_of_other_items("SharedFunctionalGroupsSequence", shared, LEVELS_CONTRADICT, warnings)
    return groups_of(shared[0], warnings) if shared else NO_GROUPS


def _read_modality_lut(luts: list[Dataset], warnings: list[ImageWarning]) -> LutAttributes | None:
    """Read the item of Modality LUT Sequence."""
    _warn_of_other_items("ModalityLUTSequence", luts, "transforms_contradict", warnings)
    return _lut_of(luts[0]) if luts else None


def _warn_of_other_items(
    keyword: str, items: list[Dataset], code: str, warnings: list[ImageWarning]
) -> None:
    """Note a sequence of one item that has several."""
    if len(items) > 1:
        name = dictionary_description(keyword)
        message = f"{name} has {len(items)} items: the first counts"
        warnings.append(ImageWarning(code, message))


def _read_voi_luts(item: Dataset, warnings: list[ImageWarning]) -> tuple[LutAttributes, ...]:
    """Read the items of VOI LUT Sequence."""
    return tuple(map(_lut_of, items_of(item, VOI_LUTS, warnings)))


def _select_fields(
    attributes: Mapping[str, Attribute], keywords: Mapping[str, str]
) -> dict[str, Any]:
    """Return the attributes that are present, by the fields that they fill."""
    return {field: attributes[key] for field, key in keywords.items() if key in attributes}


def _has_private_volume(data_set: Dataset) -> bool:
    """Whether private elements have slices of tomosynthesis, in a block that Hologic reserved."""
    slices = HOLOGIC_SLICES.keys() & data_set.keys()
    if not slices:  # nearly always
        return False
    creators = attributes_of(data_set, HOLOGIC_CREATORS)
    names = (HOLOGIC_CREATORS[HOLOGIC_SLICES[tag]] for tag in slices)
    return any(creators.get(n, ABSENT).text().upper().startswith(HOLOGIC) for n in names)


def _read_region(item: Dataset) -> UltrasoundRegion:
    return UltrasoundRegion(**_select_fields(attributes_of(item, REGION_TAGS), REGION_KEYWORDS))


def _lut_of(item: Dataset) -> LutAttributes:
    """Read an item of a LUT sequence."""
    attributes = attributes_of(item, LUT_TAGS)
    return LutAttributes(attributes.get("LUTDescriptor", ABSENT), attributes.get("LUTData", ABSENT))


def _read_palette(
    attributes: Mapping[str, Attribute],
) -> tuple[LutAttributes, LutAttributes, LutAttributes]:
    """Return the look-up tables of red, green and blue."""
    if "RedPaletteColorLookupTableDescriptor" not in attributes:  # nearly every image
        return NO_LUT, NO_LUT, NO_LUT
    red, green, blue = (
        LutAttributes(
            **{
                field: attributes.get(name.format(colour), ABSENT)
                for field, name in PALETTE_KEYWORDS.items()
            }
        )
        for colour in PALETTE_COLOURS
    )
    return red, green, blue


def _read_paddings(attributes: Mapping[str, Attribute]) -> dict[str, Any]:
    """Return the padding of each kind of pixel data, by field of ``Description``."""
    integer, single, double = (
        PixelPadding(attributes.get(f"{p}Value", ABSENT), attributes.get(f"{p}RangeLimit", ABSENT))
        for p in PADDING_PREFIXES
    )
    return {
        "pixel_padding": integer,
        "float_pixel_padding": single,
        "double_float_pixel_padding": double,
    }
