"""From pydicom's data set to the description, whatever the elements of the data set are."""

import dataclasses
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from dicom_preprocessing.decode.frame_order import find_offset_faults
from dicom_preprocessing.dicom import keywords
from dicom_preprocessing.dicom.attribute import ABSENT
from dicom_preprocessing.dicom.data_set import describe, header_of, transfer_syntax_of
from dicom_preprocessing.dicom.description import (
    NO_GROUPS,
    NO_LUT,
    NO_SYNTAX,
    FunctionalGroups,
    LutAttributes,
    PixelPadding,
)
from dicom_preprocessing.dicom.header import Header
from dicom_preprocessing.dicom.levels import find_level_contradictions
from dicom_preprocessing.dicom.reading import open_image
from tests.unit.datasets import SECONDARY_CAPTURE, functional_groups, item, lut, save
from tests.unit.descriptions import GREY, attribute, description_of, groups, keyword_of
from tests.unit.dicom.raw_elements import raw, with_vr

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


class TestSequences:
    def test_first_item_of_the_shared_group_counts(self):
        macro = [item(PixelValueTransformationSequence=[item(RescaleSlope=s)]) for s in (2, 3)]
        shared = describe(item(SharedFunctionalGroupsSequence=macro)).shared
        assert shared == groups(
            macros=["PixelValueTransformationSequence"], rescale_items=1, rescale_slope="2.0"
        )

    def test_items_of_the_rescale_macro_are_counted(self):
        macro = item(PixelValueTransformationSequence=[item(RescaleSlope=s) for s in (2, 3)])
        shared = describe(functional_groups(Dataset(), shared=macro)).shared
        assert (shared.rescale_items, shared.rescale_slope.text()) == (2, "2.0")

    def test_first_item_of_a_macro_counts(self):
        macro = item(FrameVOILUTSequence=[item(WindowCenter=1), item(WindowCenter=2)])
        shared = describe(functional_groups(Dataset(), shared=macro)).shared
        assert shared.window_center == attribute("WindowCenter", "1.0")

    def test_attributes_count_in_their_own_macro_only(self):
        macro = item(PixelMeasuresSequence=[item(RescaleSlope=2)], RescaleIntercept=1)
        shared = describe(functional_groups(Dataset(), shared=macro)).shared
        assert shared == groups(macros=["PixelMeasuresSequence"])

    def test_each_frame_has_its_groups(self):
        frames = [item(FrameContentSequence=[item(StackID=n)]) for n in "AB"]
        found = describe(functional_groups(Dataset(), frames=frames)).frames
        assert [f.stack_id.values for f in found] == [("A",), ("B",)]

    def test_frame_content_at_the_top_level_means_nothing(self):
        assert describe(item(StackID="1", InStackPositionNumber=2)).top == NO_GROUPS

    def test_empty_item_of_a_macro_makes_it_be_there(self):
        found = describe(functional_groups(Dataset(), shared=item(MREchoSequence=[Dataset()])))
        assert found.shared == FunctionalGroups(macros=frozenset({"MREchoSequence"}))

    def test_macro_without_an_item_is_not_there(self):
        macro = with_vr("MREchoSequence", "SQ", [])
        assert describe(functional_groups(Dataset(), shared=macro)).shared.macros == frozenset()

    def test_groups_without_an_item_are_none(self):
        data_set = with_vr("SharedFunctionalGroupsSequence", "SQ", [])
        data_set.add_new("PerFrameFunctionalGroupsSequence", "SQ", [])
        found = describe(data_set)
        assert (found.shared, found.frames) == (NO_GROUPS, ())

    @pytest.mark.parametrize("vr", ["SQ", "US", "LO", "FD", "UN"])
    @pytest.mark.parametrize("content", [b"", b"\1\2\3", b"\xfe\xff\x00\xe0\xff\xff\0\0", b"12"])
    def test_broken_groups_are_none(self, vr, content):
        found = describe(raw("PerFrameFunctionalGroupsSequence", vr, content))
        assert all(f == NO_GROUPS for f in found.frames)

    @pytest.mark.parametrize("vr", ["DS", "LO", "US"])
    def test_value_for_a_sequence_is_no_item(self, vr):
        found = describe(
            with_vr("SharedFunctionalGroupsSequence", vr, [1, 2] if vr != "LO" else "x")
        )
        assert found.shared is NO_GROUPS

    def test_broken_macro_leaves_the_others(self):
        macro = raw("PixelMeasuresSequence", "SQ", b"\1\2\3")
        macro.MREchoSequence = [item(EffectiveEchoTime=3.0)]
        found = describe(functional_groups(Dataset(), shared=macro)).shared
        assert found == groups(macros=["MREchoSequence"], effective_echo_time=3.0)

    def test_groups_within_groups_mean_nothing(self):
        within = item(SharedFunctionalGroupsSequence=[item(MREchoSequence=[Dataset()])])
        assert describe(functional_groups(Dataset(), shared=within)).shared == NO_GROUPS


class TestTables:
    def test_voi_luts(self):
        top = describe(item(VOILUTSequence=[lut([1, 2]), lut([3])])).top
        first = LutAttributes(attribute("LUTDescriptor", 2, 0, 16), attribute("LUTData", 1, 2))
        assert (top.voi_luts[0], len(top.voi_luts)) == (first, 2)

    def test_voi_lut_sequence_without_items(self):
        top = describe(with_vr("VOILUTSequence", "SQ", [])).top
        assert top.voi_luts == ()

    def test_no_voi_lut_sequence(self):
        assert describe(Dataset()).top.voi_luts == ()

    def test_voi_lut_of_a_group(self):
        macro = item(FrameVOILUTSequence=[item(VOILUTSequence=[lut([7])])])
        shared = describe(functional_groups(Dataset(), shared=macro)).shared
        assert shared.voi_luts[0].data.values == (7,)

    def test_item_without_a_table(self):
        assert describe(item(VOILUTSequence=[Dataset()])).top.voi_luts == (NO_LUT,)

    def test_first_modality_lut(self):
        found = describe(item(ModalityLUTSequence=[lut([1, 2]), lut([3])])).modality_lut
        assert found.data.values == (1, 2)

    def test_modality_lut_sequence_without_items(self):
        assert describe(with_vr("ModalityLUTSequence", "SQ", [])).modality_lut is None

    def test_palette(self):
        data_set = Dataset()
        for n, colour in enumerate(("Red", "Green", "Blue")):
            data_set.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [2, 0, 8])
            setattr(data_set, f"{colour}PaletteColorLookupTableData", bytes([n, n]))
        data_set.SegmentedBluePaletteColorLookupTableData = b"\7\7"
        red, green, blue = describe(data_set).palette
        assert red == LutAttributes(
            attribute("RedPaletteColorLookupTableDescriptor", 2, 0, 8),
            attribute("RedPaletteColorLookupTableData", b"\0\0"),
        )
        assert green.data.content() == b"\1\1"
        assert (blue.data.content(), blue.segmented.content()) == (b"\2\2", b"\7\7")


class TestOthers:
    def test_padding_of_each_kind_of_pixel_data(self):
        data_set = with_vr("PixelPaddingValue", "US", 1)
        data_set.add_new("PixelPaddingRangeLimit", "US", 2)
        data_set.FloatPixelPaddingValue, data_set.DoubleFloatPixelPaddingRangeLimit = 3.0, 4.0
        found = describe(data_set)
        assert found.pixel_padding == PixelPadding(
            attribute("PixelPaddingValue", 1), attribute("PixelPaddingRangeLimit", 2)
        )
        assert found.float_pixel_padding == PixelPadding(attribute("FloatPixelPaddingValue", 3.0))
        assert found.double_float_pixel_padding.range_limit.values == (4.0,)

    def test_view_codes_of_all_items(self):
        codes = [item(CodeValue="R-10242"), Dataset()]
        found = describe(item(ViewCodeSequence=codes)).view_codes
        assert found == (attribute("CodeValue", "R-10242"), ABSENT)

    def test_offset_tables_are_bytes(self):
        found = describe(item(ExtendedOffsetTable=bytes(8), ExtendedOffsetTableLengths=b"\1" * 8))
        assert found.extended_offset_table.content() == bytes(8)
        assert found.extended_offset_table_lengths.content() == b"\1" * 8


class TestFileMeta:
    def meta(self, **values):
        data_set = Dataset()
        data_set.file_meta = FileMetaDataset()
        for keyword, value in values.items():
            setattr(data_set.file_meta, keyword, value)
        return data_set

    def test_alone_it_tells_syntax_and_class(self):
        found = describe(
            self.meta(TransferSyntaxUID=JPEGBaseline8Bit, MediaStorageSOPClassUID=CTImageStorage),
            has_pixel_data=False,
        )
        expected = description_of(
            **dict.fromkeys(GREY),
            transfer_syntax_uid=JPEGBaseline8Bit,
            stated_syntax=JPEGBaseline8Bit,
            sop_class_uid=CTImageStorage,
            has_pixel_data=False,
        )
        assert found == dataclasses.replace(expected, sop_class_uid=ABSENT)

    def test_class_of_the_data_set_goes_before(self):
        data_set = self.meta(MediaStorageSOPClassUID=CTImageStorage)
        data_set.SOPClassUID = SECONDARY_CAPTURE
        assert describe(data_set).header.sop_class_uid == SECONDARY_CAPTURE

    def test_empty_syntax_leaves_it_to_the_encoding(self):
        assert transfer_syntax_of(self.meta(TransferSyntaxUID="")) == ExplicitVRLittleEndian

    def test_syntax_that_does_not_convert_leaves_it_to_the_encoding(self):
        data_set = Dataset()
        data_set.file_meta = raw("TransferSyntaxUID", "US", b"\1\2\3")
        assert transfer_syntax_of(data_set) == ExplicitVRLittleEndian

    @pytest.mark.parametrize(
        ("implicit", "little", "syntax"),
        [
            (True, True, ImplicitVRLittleEndian),
            (False, True, ExplicitVRLittleEndian),
            (False, False, ExplicitVRBigEndian),
            (None, None, ExplicitVRLittleEndian),
        ],
    )
    def test_without_it_the_encoding_is_the_syntax(self, implicit, little, syntax):
        data_set = Dataset()
        data_set.set_original_encoding(is_implicit_vr=implicit, is_little_endian=little)
        found = describe(data_set)
        assert (found.transfer_syntax_uid, found.is_little_endian) == (
            syntax,
            syntax != ExplicitVRBigEndian,
        )

    def test_syntax_that_is_known_already_is_taken(self):
        assert describe(Dataset(), syntax=JPEGBaseline8Bit).transfer_syntax_uid == JPEGBaseline8Bit


class TestHeader:
    def test_is_that_of_the_description(self):
        data_set = item(Rows=3, Modality=" MG", InstanceNumber="7", StudyInstanceUID="1.2")
        header = header_of(data_set, has_pixel_data=True)
        assert replace(header, attributes={}) == describe(data_set).header
        assert header == Header(
            rows=3,
            modality="MG",
            instance_number=7,
            study_instance_uid="1.2",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            attributes={"InstanceNumber": "7"},
        )

    def test_several_uids_are_joined(self):
        assert describe(item(StudyInstanceUID=["1.2", "3"])).header.study_instance_uid == "1.2\\3"

    def test_fractions_are_no_numbers(self):
        assert describe(raw("NumberOfFrames", "IS", b"x")).header.number_of_frames == 0

    def test_bytes_that_do_not_convert_are_no_numbers(self):
        assert describe(raw("Rows", "US", b"\1\2\3")).header.rows == 0


DECIMALS = st.integers(-8000, 8000).map(lambda n: n / 8)
COUNTS = st.integers(0, 9)
LUTS = st.lists(st.integers(0, 255), min_size=2, max_size=4)


def exactly(number, values=DECIMALS):
    return st.lists(values, min_size=number, max_size=number)


def up_to(number, values):
    return st.lists(values, min_size=1, max_size=number)


TOP_FIELDS = {
    "rescale_slope": exactly(1),
    "rescale_intercept": exactly(1),
    "window_center": up_to(3, DECIMALS),
    "window_width": up_to(3, DECIMALS),
    "voi_lut_function": exactly(1, st.sampled_from(["LINEAR", "SIGMOID"])),
    "pixel_spacing": exactly(2),
    "imager_pixel_spacing": exactly(2),
    "spacing_between_slices": exactly(1),
    "image_position_patient": exactly(3),
    "image_orientation_patient": exactly(6),
    "patient_orientation": exactly(2, st.sampled_from(["A", "P", "FR"])),
}
GROUP_FIELDS = TOP_FIELDS | {
    "frame_laterality": exactly(1, st.sampled_from("LR")),
    "dimension_index_values": up_to(3, COUNTS),
    "in_stack_position_number": exactly(1, COUNTS),
    "stack_id": exactly(1, st.sampled_from(["1", "A"])),
    "temporal_position_index": exactly(1, COUNTS),
    "effective_echo_time": exactly(1),
    "diffusion_b_value": exactly(1),
}
PIXEL_FIELDS = {field: exactly(1, COUNTS) for field in GREY} | {
    "photometric_interpretation": exactly(1, st.sampled_from(["RGB", "MONOCHROME2"])),
    "number_of_frames": exactly(1, COUNTS),
}
OTHER_FIELDS = {
    "image_laterality": exactly(1, st.sampled_from("LR")),
    "laterality": exactly(1, st.sampled_from("LR")),
    "view_position": exactly(1, st.sampled_from(["CC", "MLO"])),
}
MACRO_OF = {f: macro for macro, fields in keywords.MACROS.items() for f in fields}


def some(fields):
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def images(draw):
    """Values by field of the top level, of the shared group and of frames."""
    top = draw(some(PIXEL_FIELDS | OTHER_FIELDS | TOP_FIELDS | {"voi_lut": LUTS}))
    place = some(GROUP_FIELDS | {"voi_lut": LUTS})
    return top, draw(st.none() | place), draw(st.lists(place, max_size=2))


def lut_item(entries):
    made = Dataset()
    made.add_new("LUTDescriptor", "US", [len(entries), 0, 8])
    made.add_new("LUTData", "OW", struct.pack(f"<{len(entries)}H", *entries))
    return made


def item_of(values):
    """A data set of values by field."""
    made = Dataset()
    for field, value in values.items():
        if field == "voi_lut":
            made.VOILUTSequence = [lut_item(value)]
        else:
            setattr(made, keyword_of(field), value if len(value) > 1 else value[0])
    return made


def group_of(values):
    """An item of a functional groups sequence, each value in its macro."""
    made = Dataset()
    for macro in {MACRO_OF.get(field, keywords.VOI) for field in values}:
        own = {f: v for f, v in values.items() if MACRO_OF.get(f, keywords.VOI) == macro}
        setattr(made, macro, [item_of(own)])
    return made


def as_in_file(field, values):
    """Decimals and integers that are text stay so."""
    is_text = dictionary_VR(keyword_of(field)) in {"DS", "IS"}
    return list(map(str, values)) if is_text else values


def fields_of(values):
    """The same values as fields of a description."""
    made = {field: as_in_file(field, v) for field, v in values.items() if field != "voi_lut"}
    if "voi_lut" in values:
        entries = values["voi_lut"]
        packed = struct.pack(f"<{len(entries)}H", *entries)
        made["voi_luts"] = (
            LutAttributes(
                attribute("LUTDescriptor", len(entries), 0, 8), attribute("LUTData", packed)
            ),
        )
    return made


def groups_by_hand(values):
    macros = {MACRO_OF.get(f, keywords.VOI) for f in values}
    items = int(keywords.RESCALE in macros)
    return groups(macros=macros, rescale_items=items, **fields_of(values))


def by_hand(image, syntax=ExplicitVRLittleEndian, stated=NO_SYNTAX):
    """The description of an image whose values are those that were drawn."""
    top, shared, frames = image
    header = {f.name: top[f.name][0] for f in dataclasses.fields(Header) if f.name in top}
    header |= {"sop_class_uid": SECONDARY_CAPTURE, "sop_instance_uid": "1.3"}
    made = description_of(
        **dict.fromkeys(GREY) | fields_of(top),
        sop_class_uid=SECONDARY_CAPTURE,
        transfer_syntax_uid=syntax,
        stated_syntax=stated,
        is_little_endian=syntax != ExplicitVRBigEndian,
        shared=NO_GROUPS if shared is None else groups_by_hand(shared),
        frames=tuple(map(groups_by_hand, frames)),
    )
    found = Header(transfer_syntax_uid=syntax, has_pixel_data=False, **header)
    return dataclasses.replace(made, header=found)


def data_set_of_image(image):
    top, shared, frames = image
    data_set = item_of(top)
    data_set.SOPClassUID, data_set.SOPInstanceUID = SECONDARY_CAPTURE, "1.3"
    if shared is not None:
        data_set.SharedFunctionalGroupsSequence = [group_of(shared)]
    if frames:
        data_set.PerFrameFunctionalGroupsSequence = list(map(group_of, frames))
    return data_set


@given(images())
def test_description_of_a_data_set_is_the_one_by_hand(image):
    assert describe(data_set_of_image(image), has_pixel_data=False) == by_hand(image)


SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=images(), syntax=st.sampled_from(SYNTAXES))
def test_description_of_a_file_is_the_one_by_hand(tmp_path, image, syntax):
    path = save(tmp_path / "image", data_set_of_image(image), syntax)
    assert open_image(path).description == by_hand(image, syntax, syntax)


VRS = ["US", "SS", "UL", "IS", "DS", "FD", "LO", "CS", "UI", "PN", "DA", "AT", "OB", "UN", "SQ"]
CONTENTS = st.binary(max_size=12) | st.sampled_from(
    [b"1e999", b"nan", b"9" * 40, b"1\\2\\x", b"\\\\", b"\xfe\xff\x00\xe0\xff\xff\xff\xff"]
)
TAGS = sorted(
    {
        *keywords.TOP_TAGS,
        keywords.SHARED,
        keywords.PER_FRAME,
        keywords.VIEW_CODE_SEQUENCE,
        *keywords.MACRO_TAGS,
    }
    | {
        *keywords.LUT_TAGS,
        *keywords.CODE_TAGS,
        *map(tag_for_keyword, keywords.MACRO_KEYWORDS.values()),
    }
)
SEQUENCES = [
    *keywords.MACROS,
    "SharedFunctionalGroupsSequence",
    "VOILUTSequence",
    "ViewCodeSequence",
]
ELEMENTS = st.dictionaries(
    st.sampled_from(TAGS), st.tuples(st.sampled_from(VRS), CONTENTS), max_size=6
)


def hostile(elements, *within):
    """A data set of elements as they stand in a file, itself within sequences."""
    made = Dataset()
    for tag, (vr, content) in elements.items():
        made[Tag(tag)] = RawDataElement(Tag(tag), vr, len(content), content, 0, False, True)
    for keyword in within:
        made = item(**{keyword: [made]})
    return made


@given(ELEMENTS, st.lists(st.sampled_from(SEQUENCES), max_size=2))
def test_nothing_in_a_data_set_raises(elements, within):
    found = describe(hostile(elements, *within))
    assert len(found.rescales(2).values) == len(found.voi_transforms(2)) == 2
    for messages in (find_level_contradictions(found, 2), find_offset_faults(found, 2)):
        assert all(isinstance(message, str) for message in messages)
    assert len(found.positions(2)) == len(found.orientations(2)) == 2
    assert len(found.voi_lut_functions(2)) == 2
    assert isinstance(found.breast_laterality(), str)
    for value in (found.pixel_spacing(), found.spacing_between_slices()):
        assert value is None or np.all(np.array(value) > 0)
