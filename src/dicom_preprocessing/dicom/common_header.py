"""Headers of slices that differ in UID, number and position alone are described once.

Most files are slices of a series, and nearly all that an image depends on is the same in all of
them. It is found by what the elements are, byte for byte, so no file is taken for another one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicom_preprocessing.dicom.attribute import ABSENT, Attribute
from dicom_preprocessing.dicom.data_set import FileMeta, describe, read_header_field
from dicom_preprocessing.dicom.description import CommonHeader, Description
from dicom_preprocessing.dicom.elements import plain_values
from dicom_preprocessing.dicom.keywords import FRAME_TAGS, SLICE_TAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydicom.dataelem import DataElement
    from pydicom.uid import UID

    from dicom_preprocessing.dicom.element_header import Encoding

    Content = tuple[int, str | None, bytes]
    """Tag, value representation and value of an element."""

CACHED_HEADERS: Final = 16
"""Of series whose slices may come in turn."""
MAX_BYTES: Final = 1 << 14
"""Of the values of a header that stays in memory; most have less than a tenth of it."""


def describe_slice(
    elements: Mapping[BaseTag, DataElement | RawDataElement],
    *,
    meta: FileMeta,
    syntax: UID,
    encoding: Encoding,
    has_pixel_data: bool,
) -> Description | None:
    """Describe a file as ``describe`` does, faster if an earlier one has its header.

    Parameters
    ----------
    elements : mapping
        Elements before the pixel data, by tag.
    meta : FileMeta
    syntax : UID
        By which pixels are read.
    encoding : Encoding
        Of the elements.
    has_pixel_data : bool

    Returns
    -------
    Description or None
        None where ``describe`` has to: there are functional groups or offsets of frames, long
        values, or attributes of the slice that are no plain text.
    """
    own: list[RawDataElement] = []
    others: list[Content] = []
    size = 0
    for tag, raw in elements.items():
        number = int(tag)  # pydicom compares its tags ten times as slowly
        if number in FRAME_TAGS or not isinstance(raw, RawDataElement):
            return None
        content = raw.value or b""
        if number not in SLICE_TAGS:
            others.append((number, raw.VR, content))
            size += len(content)
            continue
        own.append(raw)
    if size > MAX_BYTES:
        return None
    common = _describe_common(tuple(others), meta, syntax, encoding, has_pixel_data=has_pixel_data)
    return complete_description(common, own)


@lru_cache(maxsize=CACHED_HEADERS)
def _describe_common(
    contents: tuple[Content, ...],
    meta: FileMeta,
    syntax: UID,
    encoding: Encoding,
    *,
    has_pixel_data: bool,
) -> CommonHeader:
    """Describe the elements that slices have in common; parameters as of ``describe_slice``."""
    data_set = Dataset(
        {
            (tag := BaseTag(number)): RawDataElement(tag, vr, len(value), value, 0, *encoding)
            for number, vr, value in contents
        }
    )
    data_set.set_original_encoding(*encoding)
    return CommonHeader(
        describe(
            data_set,
            meta=meta,
            syntax=syntax,
            has_pixel_data=has_pixel_data,
            is_little_endian=encoding.is_little_endian,
        )
    )


def complete_description(common: CommonHeader, own: Iterable[RawDataElement]) -> Description | None:
    """Return the description of a slice, by its elements of ``SLICE_TAGS``.

    Returns
    -------
    Description or None
        None if an element is no plain text.
    """
    attributes: dict[str, Attribute] = {}
    for raw in own:
        values = plain_values(raw)
        if values is None:
            return None
        keyword = SLICE_TAGS[int(raw.tag)]
        attributes[keyword] = Attribute(keyword, values)
    description = common.description
    uid, number, position = (attributes.get(keyword, ABSENT) for keyword in SLICE_TAGS.values())
    completed = replace(
        description,
        header=replace(
            description.header,
            sop_instance_uid=read_header_field("sop_instance_uid", uid),
            instance_number=read_header_field("instance_number", number),
        ),
        top=replace(description.top, image_position_patient=position),
    )
    object.__setattr__(completed, "common", common)
    return completed
