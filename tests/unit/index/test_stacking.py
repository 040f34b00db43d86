"""Slices made of headers, and the stacks of a study's files."""

import pytest

from dicom_preprocessing.config.stacking import StackPolicies
from dicom_preprocessing.dicom.header import Header
from dicom_preprocessing.index.stacking import SeriesFile, make_slice, stack_files
from dicom_preprocessing.index.table import SERIES_WITHOUT_UID

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
ATTRIBUTES = {
    "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
    "ImagePositionPatient": "-10.5\\20\\3e1",
    "InstanceNumber": "7",
    "SpacingBetweenSlices": "2.5",
    "FrameOfReferenceUID": "1.2.9",
    "AcquisitionNumber": "3",
    "TemporalPositionIdentifier": "2",
    "EchoTime": "10.5",
    "DiffusionBValue": "1000.0",
    "TriggerTime": "40",
    "ImageType": "ORIGINAL\\PRIMARY\\M",
}


def slice_of(**attributes):
    header = Header(
        sop_instance_uid="1.2.3",
        rows=4,
        columns=5,
        samples_per_pixel=1,
        attributes=ATTRIBUTES | attributes,
    )
    return make_slice(header, "a.dcm")


def test_slice_has_the_facts_of_the_header():
    s = slice_of()
    assert (s.name, s.sop_instance_uid, s.rows, s.columns) == ("a.dcm", "1.2.3", 4, 5)
    assert s.orientation == (1, 0, 0, 0, 1, 0)
    assert s.position == (-10.5, 20, 30)
    assert (s.instance_number, s.spacing_between_slices) == (7, 2.5)
    assert s.frame_of_reference_uid == "1.2.9"


def test_slice_has_the_values_that_tell_volumes_apart():
    s = slice_of()
    assert (s.acquisition_number, s.temporal_position_identifier) == ("3", "2")
    assert (s.echo_time, s.diffusion_b_value, s.trigger_time) == ("10.5", "1000.0", "40")
    assert s.image_type == "ORIGINAL\\PRIMARY\\M"


def test_header_without_attributes_makes_a_slice_without_facts():
    s = make_slice(Header(), "a.dcm")
    assert (s.orientation, s.position, s.instance_number, s.image_type) == (None, None, None, "")


@pytest.mark.parametrize(
    "text", ["1\\2", "1\\2\\3\\4", "1\\2\\nan", "1\\inf\\3", "a\\b\\c", "1\\\\3"]
)
def test_position_that_is_not_three_numbers_is_none(text):
    assert slice_of(ImagePositionPatient=text).position is None


@pytest.mark.parametrize("text", ["1\\0\\0", "1\\0\\0\\0\\1\\x", "1\\0\\0\\0\\1\\0\\0"])
def test_orientation_that_is_not_six_numbers_is_none(text):
    assert slice_of(ImageOrientationPatient=text).orientation is None


@pytest.mark.parametrize("text", ["", "x", "nan", "1e999", "1\\2"])
def test_instance_number_that_is_not_one_number_is_none(text):
    assert slice_of(InstanceNumber=text).instance_number is None


def file_at(z, number, *, series="1.2.3", **changes):
    attributes = ATTRIBUTES | {"ImagePositionPatient": f"0\\0\\{z}", "InstanceNumber": str(number)}
    header = Header(
        sop_instance_uid=changes.pop("sop", f"1.2.3.{number}"),
        rows=4,
        columns=5,
        samples_per_pixel=1,
        sop_class_uid=changes.pop("sop_class", ""),
        number_of_frames=changes.pop("frames", 1),
        attributes=attributes | changes,
    )
    return SeriesFile(f"{number}.dcm", series, header)


def places_of(*files, **policies):
    places, dropped = stack_files(files, StackPolicies(**policies))
    return {
        path: (place.volume, place.place, place.position_mm) for path, place in places.items()
    }, dropped


class TestStackFiles:
    def test_places_are_in_the_order_of_positions(self):
        found = places_of(file_at(6, 1), file_at(2, 2), file_at(4, 3))
        assert found == ({"2.dcm": (1, 1, 2), "3.dcm": (1, 2, 4), "1.dcm": (1, 3, 6)}, {})

    def test_files_of_one_instance_share_a_place(self):
        found, _ = places_of(file_at(0, 1, sop="1.9"), file_at(8, 2, sop="1.9"), file_at(2, 3))
        assert found == {"1.dcm": (1, 1, 0), "2.dcm": (1, 1, 0), "3.dcm": (1, 2, 2)}

    def test_files_of_several_frames_have_no_place(self):
        found, dropped = places_of(file_at(0, 1), file_at(2, 2, frames=3))
        assert (set(found), dropped) == ({"1.dcm"}, {})

    def test_files_without_a_series_have_no_place(self):
        files = (file_at(z, z, series=SERIES_WITHOUT_UID) for z in (1, 2))
        assert places_of(*files) == ({}, {})

    @pytest.mark.parametrize("is_placed", [True, False])
    def test_projections_are_slices_only_where_they_have_a_position(self, is_placed):
        position = {} if is_placed else {"ImagePositionPatient": ""}
        files = [file_at(z, z + 1, sop_class=MAMMOGRAM, **position) for z in (0, 2)]
        found, dropped = places_of(*files)
        assert (len(found), dropped) == (2 if is_placed else 0, {})

    def test_volume_that_lacks_a_file_must_not_be_written(self):
        files = [file_at(z, z + 1) for z in (0, 2, 4)]
        for lost in files:
            reasons = {lost.path: "sop_conflict"}
            places, _ = stack_files(files, StackPolicies(), reasons)
            assert sorted(place.place for place in places.values()) == [1, 2]
            (first,) = (place for place in places.values() if place.place == 1)
            ((verdict, policy, message),) = first.findings
            assert (verdict, policy) == ("incomplete", "fail")
            assert message == f"1 slice of this volume cannot be used: {lost.path} (sop_conflict)"

    def test_each_series_lacks_its_own_file_without_a_uid(self):
        first = [file_at(z, z + 1, sop=f"1.2.{z}") for z in (0, 2)]
        second = [file_at(z, z + 11, sop=f"1.3.{z}", series="1.2.4") for z in (0, 2)]
        without = [file_at(4, 5, sop=""), file_at(4, 15, sop="", series="1.2.4")]
        reasons = {file.path: "bad_uid" for file in without}
        places, _ = stack_files((*first, *second, *without), StackPolicies(), reasons)
        verdicts = [[v for v, _, _ in places[f[0].path].findings] for f in (first, second)]
        assert verdicts == [["incomplete"], ["incomplete"]]

    def test_volume_lacks_a_file_that_is_a_slice_of_another_series(self):
        first = [file_at(z, z + 1, sop=f"1.2.{z}") for z in (0, 2)]
        second = [file_at(z, z + 11, sop=f"1.3.{z}", series="1.2.4") for z in (0, 2)]
        shared = file_at(4, 15, sop="1.2.2", series="1.2.4")  # the UID of a slice of the first
        places, _ = stack_files((*first, *second, shared), StackPolicies())
        verdicts = [[v for v, _, _ in places[f[0].path].findings] for f in (first, second)]
        assert verdicts == [[], ["incomplete"]]

    def test_other_volumes_of_the_series_do_not_lack_it(self):
        files = [file_at(z, z + 1) for z in (0, 2)]
        others = [file_at(z, z + 11, FrameOfReferenceUID="1.2.8") for z in (0, 2)]
        places, _ = stack_files((*files, *others), StackPolicies(), {files[0].path: "bad_uid"})
        verdicts = [[v for v, _, _ in places[f.path].findings] for f in (files[1], others[0])]
        assert verdicts == [["frame_of_reference", "incomplete"], ["frame_of_reference"]]

    def test_each_series_has_volumes_of_its_own(self):
        first = [file_at(z, z) for z in (1, 2)]
        second = [file_at(z, 10 + z, series="1.2.4") for z in (1, 2)]
        places, _ = stack_files((*first, *second), StackPolicies())
        assert {place.volume for place in places.values()} == {1}
        assert len({place.volume_id for place in places.values()}) == 2

    def test_dropped_files_have_the_rule(self):
        scout = file_at(9, 3, ImageType="ORIGINAL\\LOCALIZER")
        places, dropped = places_of(file_at(0, 1), file_at(2, 2), scout)
        assert set(places) == {"1.dcm", "2.dcm"}
        assert dropped == {"3.dcm": "stack: scout (Image Type has LOCALIZER)"}

    def test_findings_are_at_the_first_slice(self):
        files = [file_at(z, z + 1) for z in (0, 2, 4, 8)]
        places, _ = stack_files(files, StackPolicies(gap="warn"))
        ((verdict, policy, message),) = places["1.dcm"].findings
        assert (verdict, policy) == ("gap", "warn")
        assert "8" in message
        assert all(not places[f"{n}.dcm"].findings for n in (3, 5, 9))
