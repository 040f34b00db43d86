"""Keywords of what is read: all of the standard, one for each field."""

import dataclasses

import pytest
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from dicom_preprocessing.dicom import keywords
from dicom_preprocessing.dicom.description import FunctionalGroups, ImagePixel
from dicom_preprocessing.dicom.header import FIELD_OF_TAG
from tests.unit.descriptions import keyword_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


class TestKeywords:
    @pytest.mark.parametrize(
        "keyword",
        [
            *keywords.IMAGE_PIXEL.values(),
            *keywords.MACRO_KEYWORDS.values(),
            *keywords.MACROS,
            *keywords.OTHER_KEYWORDS,
        ]
        + [*keywords.HEADER_KEYWORDS.values()]
        + [
            name.format(c)
            for c in keywords.PALETTE_COLOURS
            for name in keywords.PALETTE_KEYWORDS.values()
        ]
        + [
            f"{prefix}{end}"
            for prefix in keywords.PADDING_PREFIXES
            for end in ("Value", "RangeLimit")
        ],
    )
    def test_is_one_of_the_standard(self, keyword):
        assert tag_for_keyword(keyword) is not None

    def test_every_field_of_image_pixel_has_one(self):
        names = [field.name for field in dataclasses.fields(ImagePixel)]
        assert {name: keyword_of(name) for name in names} == keywords.IMAGE_PIXEL

    def test_every_attribute_of_groups_has_one(self):
        names = {field.name for field in dataclasses.fields(FunctionalGroups)}
        names -= {"macros", "rescale_items", "voi_luts"}
        assert {name: keyword_of(name) for name in names} == keywords.MACRO_KEYWORDS

    def test_of_headers_are_those_of_the_quick_way(self):
        names = {field: keyword_for_tag(tag) for tag, field in FIELD_OF_TAG.items()}
        assert names == keywords.HEADER_KEYWORDS | {"sop_class_uid": "SOPClassUID"}
