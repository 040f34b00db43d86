"""Stacks, from crafted files through the index to TIFFs and receipts."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.config.selection import selection_of
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.selection import Selector
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processing.instance import OutputSpec
from dicom_preprocessing.processing.volume import group_by_image, process_group
from tests.unit.datasets import data_set_of, item, pages_of, save

AXIAL = [1, 0, 0, 0, 1, 0]
SAGITTAL = [0, 1, 0, 0, 0, -1]
CORONAL = [1, 0, 0, 0, 0, -1]
OBLIQUE = [0.8, 0.6, 0, -0.36, 0.48, 0.8]


def normal_of(orientation):
    return np.cross(orientation[:3], orientation[3:])


class Series:
    """Slices of 2 x 3 pixels whose values are their number: 10, 20, ..."""

    def __init__(self, folder, uid="1.2.3"):
        self.folder, self.uid, self.count = folder, uid, 0

    def add(self, mm=None, value=None, *, orientation=AXIAL, name=None, pixels=None, **changes):
        """A slice at a distance along the normal, or without position."""
        self.count += 1
        if pixels is None:
            value = 10 * self.count if value is None else value
            pixels = np.full((1, 2, 3), value, np.int16)
        attributes = {
            "StudyInstanceUID": "1.2",
            "SeriesInstanceUID": self.uid,
            "SOPInstanceUID": f"{self.uid}.{self.count}",
            "Modality": "CT",
            "InstanceNumber": self.count,
            "PixelSpacing": [0.5, 0.5],
            "RescaleSlope": 1,
            "RescaleIntercept": -1000,
        }
        if mm is not None:
            position = mm * normal_of(orientation)
            attributes["ImageOrientationPatient"] = orientation
            attributes["ImagePositionPatient"] = [f"{v:.6f}" for v in position]
        path = self.folder / (name or f"{self.count:03}.dcm")
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, data_set_of(pixels, **attributes | changes))
        return path


@pytest.fixture
def series(tmp_path):
    return Series(tmp_path / "src")


class Result:
    def __init__(self, index, receipts, output):
        self.receipts, self.output = receipts, output
        self.excluded = {Path(f.source_path).name: f for f in index.excluded_files}
        self.found = index.found

    @property
    def images(self):
        return [r for r in self.receipts if r.has_image]

    def by_name(self):
        return {Path(r.source_path).name: r for r in self.receipts}

    def pages(self):
        """The value of each page, by volume."""
        return [
            pages_of(self.output / r.output).reshape(r.frames, -1)[:, 0].tolist()
            for r in sorted(self.images, key=lambda r: r.volume)
        ]

    def states(self):
        """Number of files by error, empty for those that are written."""
        errors = [r.error for r in self.receipts] + [f.error for f in self.excluded.values()]
        return dict(Counter(errors))

    def codes(self):
        return [code for r in self.images for code, _ in r.parse_warnings()]


def run(source, output, stage="write", **values):
    config, _ = parse_config({"series": "stack", "intensity": "stored"} | values)
    selector = Selector(selection_of(config))
    index = build_index(
        find_files([str(source)]),
        duplicates=config.duplicates,
        limits=config.limits,
        selector=selector,
    )
    spec = OutputSpec(output, make_recipe(config, stage))
    receipts = []
    for entries in index.studies.values():
        for group in group_by_image(entries):
            receipts += process_group(group, spec, limits=config.limits)
    result = Result(index, receipts, output)
    assert len(receipts) + len(result.excluded) == result.found
    return result


@pytest.fixture
def stack(series, tmp_path):
    return lambda **values: run(series.folder, tmp_path / "out", **values)


class TestOrder:
    @pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, CORONAL, OBLIQUE])
    @pytest.mark.parametrize("order", [(0, 5, 10, 15), (15, 10, 5, 0), (10, 0, 15, 5)])
    def test_pages_ascend_along_the_normal(self, series, stack, orientation, order):
        for mm in order:
            series.add(mm, 100 + mm, orientation=orientation)
        result = stack()
        assert result.pages() == [[-900, -895, -890, -885]]
        assert result.codes() == []
        (image,) = result.images
        geometry = image.parse_geometry()
        assert geometry.page_distances == pytest.approx([0, 5, 10, 15], abs=1e-4)
        assert geometry.row_direction == pytest.approx(orientation[:3])

    def test_instance_number_does_not_count(self, series, stack):
        for number, mm in enumerate((0, 1, 2)):
            series.add(mm, InstanceNumber=9 - number)
        assert stack().pages() == [[-990, -980, -970]]

    def test_image_is_named_after_its_first_page(self, series, stack):
        for mm in (2, 0, 1):
            series.add(mm)
        (image,) = stack().images
        assert image.output == "1.2/1.2.3.2.tiff"

    def test_receipts_say_where_files_are(self, series, stack):
        for mm in (2, 0, 1):
            series.add(mm)
        found = stack().by_name()
        assert {n: (r.part_of, r.place_in_stack, r.volume) for n, r in found.items()} == {
            "001.dcm": ("1.2.3.2", 3, 1),
            "002.dcm": ("1.2.3.2", 1, 1),
            "003.dcm": ("1.2.3.2", 2, 1),
        }
        assert len({r.volume_id for r in found.values()}) == 1

    def test_without_positions_instance_number_counts_and_a_warning(self, series, stack):
        for number in (3, 1, 2):
            series.add(InstanceNumber=number)
        result = stack()
        assert result.pages() == [[-980, -970, -990]]
        assert result.codes() == ["stack_no_positions"]

    def test_shuffled_names_give_the_same_bytes(self, series, tmp_path):
        other = Series(tmp_path / "other")
        for number, mm in enumerate((0, 1, 2)):
            series.add(mm, name=f"{number}.dcm")
            other.add(mm, name=f"{9 - number}.dcm")
        one, two = (run(s.folder, tmp_path / s.folder.name / "out") for s in (series, other))
        contents = [(r.output / r.images[0].output).read_bytes() for r in (one, two)]
        assert contents[0] == contents[1]


class TestParts:
    def test_sizes_are_volumes_of_their_own(self, series, stack):
        for mm in (0, 1):
            series.add(mm)
        for mm in (0, 1):
            series.add(mm, pixels=np.full((1, 4, 4), 5, np.int16))
        result = stack()
        assert result.pages() == [[-990, -980], [-995, -995]]

    @pytest.mark.parametrize(
        "keyword", ["AcquisitionNumber", "TemporalPositionIdentifier", "EchoTime", "TriggerTime"]
    )
    @pytest.mark.parametrize("count", [2, 3])
    def test_what_repeats_positions_parts_them(self, series, stack, keyword, count):
        for mm in (0, 1, 2):
            for part in range(count):
                series.add(mm, value=10 * part + mm, **{keyword: part + 1})
        expected = [[10 * part + mm - 1000 for mm in (0, 1, 2)] for part in range(count)]
        result = stack()
        assert result.pages() == expected
        assert [r.volume for r in sorted(result.images, key=lambda r: r.volume)] == list(
            range(1, count + 1)
        )
        assert len({r.volume_id for r in result.receipts}) == count

    def test_b_values_part_them(self, series, stack):
        for mm in (0, 1):
            for b in (0, 1000):
                series.add(mm, value=b, DiffusionBValue=float(b))
        assert stack().pages() == [[-1000, -1000], [0, 0]]

    def test_multi_frame_files_stay_images_of_their_own(self, series, stack):
        for mm in (0, 1):
            series.add(mm)
        series.add(pixels=np.arange(12, dtype=np.int16).reshape(2, 2, 3), NumberOfFrames=2)
        result = stack()
        assert sorted(r.frames for r in result.images) == [2, 2]
        assert result.by_name()["003.dcm"].part_of == ""


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning:pydicom")
class TestLostSlices:
    """A volume that lacks a file would be shorter without a sign, so it is not written."""

    def test_a_slice_whose_files_conflict_fails_its_volume(self, series, stack):
        for mm in (0, 1, 2):
            series.add(mm)
        series.add(2, value=7, SOPInstanceUID="1.2.3.3")
        result = stack(duplicates="fail")
        assert result.states() == {"volume_error": 2, "sop_conflict": 2}
        messages = [r.message for r in result.receipts]
        lost = f"1 slice of this volume cannot be used: {series.folder}/003.dcm (sop_conflict)"
        assert messages == [f"incomplete: {lost}"] * 2

    def test_a_slice_with_a_bad_uid_fails_its_volume(self, series, stack):
        for mm in (0, 1, 2):
            series.add(mm)
        series.add(3, SOPInstanceUID="1.2/3")
        assert stack().states() == {"volume_error": 3, "bad_uid": 1}

    def test_a_lost_localizer_fails_none(self, series, stack):
        for mm in (0, 1, 2):
            series.add(mm)
        series.add(3, SOPInstanceUID="1.2/3", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
        result = stack()
        assert (result.pages(), result.states()) == ([[-990, -980, -970]], {"": 3, "bad_uid": 1})

    def test_images_of_their_own_do_not_lack_it(self, series, stack):
        for mm in (0, 1):
            series.add(mm)
        series.add(2, SOPInstanceUID="1.2/3")
        assert stack(series="separate").states() == {"": 2, "bad_uid": 1}


class TestVerdicts:
    def test_a_scout_is_dropped(self, series, stack):
        for mm in (0, 1, 2):
            series.add(mm)
        series.add(5, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], orientation=CORONAL)
        result = stack()
        assert result.pages() == [[-990, -980, -970]]
        assert result.excluded["004.dcm"].error == "not_selected"
        assert "scout" in result.excluded["004.dcm"].message

    def test_a_lone_slice_of_another_orientation_is_dropped(self, series, stack):
        for mm in (0, 1, 2):
            series.add(mm)
        series.add(5, orientation=CORONAL)
        assert stack().states() == {"": 3, "not_selected": 1}

    def test_a_scout_may_be_kept(self, series, stack):
        for mm in (0, 1, 2):
            series.add(mm)
        series.add(5, orientation=CORONAL)
        assert sorted(stack(stack={"scout": "keep"}).pages(), key=len) == [
            [-960],
            [-990, -980, -970],
        ]

    def test_a_gap_fails_each_file_of_the_volume(self, series, stack):
        for mm in (0, 2, 4, 8):
            series.add(mm)
        result = stack()
        assert result.states() == {"volume_error": 4}
        message = result.receipts[0].message
        assert "gap" in message
        assert "4" in message
        assert "8" in message
        assert not list(result.output.rglob("*.tiff"))

    @pytest.mark.parametrize("places", [(0, 1, 3), (0, 2, 3), (0, 1, 2, 4, 6)])
    def test_a_gap_among_few_slices_is_found(self, series, stack, places):
        for mm in places:
            series.add(mm)
        assert stack().states() == {"volume_error": len(places)}

    def test_a_gap_may_be_a_warning(self, series, stack):
        for mm in (0, 2, 4, 8):
            series.add(mm)
        result = stack(stack={"gap": "warn"})
        assert (result.pages(), result.codes()) == ([[-990, -980, -970, -960]], ["stack_gap"])

    def test_a_gap_may_split(self, series, stack):
        for mm in (0, 2, 4, 8, 10):
            series.add(mm)
        assert stack(stack={"gap": "split"}).pages() == [[-990, -980, -970], [-960, -950]]

    @pytest.mark.parametrize(("last", "codes"), [(3.005, []), (3.16, ["stack_uneven"])])
    def test_uneven_steps_are_a_warning(self, series, stack, last, codes):
        for mm in (0, 1, 2, last):
            series.add(mm)
        result = stack()
        assert (result.codes(), result.states()) == (codes, {"": 4})

    def test_uneven_steps_may_fail(self, series, stack):
        for mm in (0, 1, 2, 3.16):
            series.add(mm)
        assert stack(stack={"uneven": "fail"}).states() == {"volume_error": 4}

    @pytest.mark.parametrize(
        ("policy", "states"), [("warn", {"": 4}), ("fail", {"volume_error": 4})]
    )
    def test_tilt(self, series, stack, policy, states):
        for number in range(4):
            angle = np.deg2rad(13.5)
            position = [0, 5 * number * np.sin(angle), 5 * number * np.cos(angle)]
            series.add(0, ImagePositionPatient=[f"{v:.4f}" for v in position])
        result = stack(stack={"tilt": policy})
        assert result.states() == states
        assert result.codes() == (["stack_tilt"] if policy == "warn" else [])

    def test_one_slice_is_kept(self, series, stack):
        series.add(5)
        result = stack()
        assert result.pages() == [[-990]]
        assert result.receipts[0].volume == 1

    def test_one_slice_may_be_dropped(self, series, stack):
        series.add(5)
        assert stack(stack={"single": "drop"}).states() == {"not_selected": 1}

    def test_same_pixels_at_one_position_are_one_page(self, series, stack):
        for mm, value in ((0, 1), (1, 2), (1, 2), (2, 3)):
            series.add(mm, value)
        result = stack()
        assert result.pages() == [[-999, -998, -997]]
        assert result.states() == {"": 3, "duplicate": 1}
        assert result.by_name()["003.dcm"].error == "duplicate"

    def test_other_pixels_at_one_position_fail(self, series, stack):
        for mm, value in ((0, 1), (1, 2), (1, 9), (2, 3)):
            series.add(mm, value)
        result = stack()
        assert result.states() == {"volume_error": 4}
        assert "duplicate_position" in result.receipts[0].message

    def test_the_first_at_one_position_may_count(self, series, stack):
        for mm, value in ((0, 1), (1, 2), (1, 9), (2, 3)):
            series.add(mm, value)
        result = stack(stack={"duplicate_position": "first"})
        assert result.pages() == [[-999, -998, -997]]
        assert result.states() == {"": 3, "not_selected": 1}
        assert result.codes() == ["stack_duplicate_position"]

    def test_other_rescales_are_applied_to_their_slices(self, series, stack):
        series.add(0, 10, RescaleSlope=2)
        series.add(1, 10)
        result = stack()
        assert (result.pages(), result.codes()) == ([[-980, -990]], ["stack_mixed_rescale"])

    def test_other_rescales_may_fail(self, series, stack):
        series.add(0, 10, RescaleSlope=2)
        series.add(1, 10)
        assert stack(stack={"mixed_rescale": "fail"}).states() == {"volume_error": 2}

    def test_other_spacings_of_pixels_fail(self, series, stack):
        series.add(0)
        series.add(1, PixelSpacing=[0.6, 0.6])
        result = stack()
        assert result.states() == {"volume_error": 2}
        message = result.receipts[0].message
        assert "spacing of pixels: " in message
        assert "002.dcm has 0.6 x 0.6 mm, " in message
        assert message.endswith("001.dcm has 0.5 x 0.5 mm")

    def test_a_slice_without_spacing_of_pixels_fails(self, series, stack):
        series.add(0)
        series.add(1, PixelSpacing=None)
        message = stack().receipts[0].message
        assert "002.dcm has none, " in message
        assert message.endswith("001.dcm has 0.5 x 0.5 mm")


class TestFailures:
    def test_a_slice_that_does_not_decode_fails_its_volume(self, series, stack):
        series.add(0)
        series.add(1, PixelData=b"\1\2")
        series.add(2)
        result = stack()
        assert result.states() == {"short_pixel_data": 1, "volume_error": 2}
        assert "002.dcm" in result.by_name()["001.dcm"].message
        assert not list(result.output.rglob("*.tiff"))

    def test_other_volumes_of_the_study_are_written(self, series, stack):
        for mm in (0, 1, 2):
            series.add(mm)
        good = stack()
        before = (good.output / good.images[0].output).read_bytes()
        other = Series(series.folder, "1.2.4")
        other.add(0, name="x.dcm", PixelData=b"\1\2")
        other.add(1, name="y.dcm")
        after = stack()
        assert after.states() == {"": 3, "short_pixel_data": 1, "volume_error": 1}
        assert (after.output / after.images[0].output).read_bytes() == before

    def test_no_spacing_is_that_of_each_file(self, series, stack):
        for mm in (0, 1):
            series.add(mm, PixelSpacing=None)
        assert stack(spacing=[1, 1]).states() == {"no_spacing": 2}

    def test_files_of_one_instance_conflict_and_the_next_one_serves(self, series, stack):
        series.add(0, SOPInstanceUID="1.9.1")
        series.add(1, SOPInstanceUID="1.9.2", PhotometricInterpretation="HSV")
        series.add(1, 70, SOPInstanceUID="1.9.2")
        result = stack()
        assert result.states() == {"": 2, "sop_conflict": 1}
        assert result.pages() == [[-990, -930]]


class TestValues:
    def test_a_shared_window_is_that_of_the_volume(self, series, stack):
        for mm, value in ((0, 0), (1, 1000)):
            series.add(mm, value, WindowCenter=-500, WindowWidth=1001)
        result = stack(intensity="voi")
        assert (result.pages(), result.codes()) == ([[0, 65535]], [])

    def test_one_of_several_windows_may_be_shared(self, series, stack):
        series.add(0, 0, WindowCenter=[40, -500], WindowWidth=[400, 1001])
        series.add(1, 1000, WindowCenter=[-500], WindowWidth=[1001])
        assert stack(intensity="voi").pages() == [[0, 65535]]

    @pytest.mark.parametrize("window", [None, [1000, 2000]])
    def test_rescales_that_differ_count_under_a_window(self, series, stack, window):
        for mm, slope in ((0, 1), (1, 2), (2, 3)):
            shown = {"WindowCenter": 1000, "WindowWidth": 2000, "RescaleIntercept": 0}
            series.add(mm, 500, RescaleSlope=slope, **shown)
        ((one, two, three),) = stack(intensity="voi", window=window).pages()
        assert two - one == pytest.approx(65535 / 4, rel=0.01)
        assert three - two == pytest.approx(65535 / 4, rel=0.01)

    def test_without_a_shared_window_it_is_minimum_to_maximum(self, series, stack):
        series.add(0, 0, WindowCenter=40, WindowWidth=400)
        series.add(1, 500, WindowCenter=50, WindowWidth=400)
        series.add(2, 1000)
        result = stack(intensity="voi")
        assert result.codes() == ["stack_windows_differ"]
        ((low, middle, high),) = result.pages()
        assert (low, high) == (0, 65535)
        assert abs(middle - 32768) < 70

    def test_the_window_of_the_configuration_counts_first(self, series, stack):
        for mm, value in ((0, 0), (1, 1000)):
            series.add(mm, value, WindowCenter=mm, WindowWidth=10)
        assert stack(intensity="voi", window=[-500, 1001]).pages() == [[0, 65535]]

    def test_padding_is_background(self, series, stack):
        pixels = np.array([[[-2000, -2000, 5], [-2000, 7, 9]]], np.int16)
        for mm in (0, 1):
            series.add(mm, pixels=pixels, PixelPaddingValue=-2000)
        (image,) = stack(crop=True).images
        assert image.parse_source_info().background == -3000
        assert image.parse_geometry().crop_box.left == 1

    def test_bits_stored_may_differ(self, series, stack):
        for mm, bits in ((0, 12), (1, 16)):
            pixels = np.full((1, 2, 3), 100, np.uint16)
            series.add(mm, pixels=pixels, BitsStored=bits, HighBit=bits - 1)
        assert stack().pages() == [[-900, -900]]

    def test_signs_that_differ_fail(self, series, stack):
        series.add(0, pixels=np.full((1, 2, 3), 1, np.uint16))
        series.add(1)
        result = stack()
        assert result.states() == {"volume_error": 2}
        assert "differ in sign" in result.receipts[0].message

    @pytest.mark.parametrize(
        ("second", "said"),
        [
            ({"PixelPaddingValue": -2000}, "-2000"),
            ({"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1900}, "-2000 to -1900"),
        ],
    )
    def test_what_differs_is_said_in_numbers(self, series, stack, second, said):
        one, other = series.add(0), series.add(1, **second)
        message = f"slices differ in padding value: {other} has {said}, {one} has none"
        assert message in stack().receipts[0].message


class TestSharedInstanceUids:
    """Files of one SOP Instance UID are candidates of one image, whatever their series is."""

    @pytest.mark.parametrize("other", [{}, {"NumberOfFrames": 2}, {"SeriesInstanceUID": None}])
    def test_the_first_file_decides_and_others_conflict(self, series, stack, other):
        for mm in (0, 1, 2):
            series.add(mm, name=f"a{mm}.dcm")
        frames = other.get("NumberOfFrames", 1)
        changes = {"SeriesInstanceUID": "1.2.4", "SOPInstanceUID": "1.2.3.1"} | other
        series.add(0, pixels=np.full((frames, 2, 3), 7, np.int16), name="z.dcm", **changes)
        result = stack()
        assert (result.pages(), result.states()) == (
            [[-990, -980, -970]],
            {"": 3, "sop_conflict": 1},
        )

    def test_two_series_with_the_same_uids_are_one_volume(self, series, stack):
        for mm in (0, 1, 2):
            series.add(mm, name=f"a{mm}.dcm")
        for mm in (0, 1, 2):
            changes = {"SeriesInstanceUID": "1.2.4", "SOPInstanceUID": f"1.2.3.{mm + 1}"}
            series.add(mm, 5, name=f"b{mm}.dcm", **changes)
        result = stack()
        assert result.states() == {"": 3, "sop_conflict": 3}
        assert len(list(result.output.rglob("*.tiff"))) == 1

    def test_the_first_that_decodes_is_the_slice(self, series, stack):
        series.add(0)
        series.add(1, SOPInstanceUID="1.9", PixelData=b"\1\2")
        series.add(1, SOPInstanceUID="1.9")
        assert stack().pages() == [[-990, -970]]


class TestOddSlices:
    def test_slices_have_one_voi_lut_function(self, series, stack):
        for mm, function in enumerate(("SIGMOID", "LINEAR")):
            series.add(mm, 300, VOILUTFunction=function)
        result = stack(intensity="voi", window=[-600, 800])
        assert result.codes() == ["stack_windows_differ"]
        ((first, second),) = result.pages()
        assert first == second

    def test_colour_of_8_bits_becomes_16(self, series, stack):
        colour = {
            "PhotometricInterpretation": "RGB",
            "SamplesPerPixel": 3,
            "PlanarConfiguration": 0,
        }
        series.add(0, pixels=np.full((1, 2, 3, 3), 254, np.uint8), **colour)
        series.add(1, pixels=np.full((1, 2, 3, 3), 65278, np.uint16), **colour)
        assert stack().pages() == [[65278, 65278]]

    def test_regions_that_differ_fail(self, series, stack):
        for mm, left in ((0, 0), (1, 1)):
            region = item(
                RegionSpatialFormat=1,
                RegionLocationMinX0=left,
                RegionLocationMinY0=0,
                RegionLocationMaxX1=2,
                RegionLocationMaxY1=1,
            )
            series.add(mm, SequenceOfUltrasoundRegions=[region])
        result = stack()
        assert result.states() == {"volume_error": 2}
        assert "region of ultrasound" in result.receipts[0].message

    @pytest.mark.parametrize("enhanced", [True, False])
    def test_functional_groups_say_where_a_slice_lies(self, series, stack, enhanced):
        for mm in (2, 0, 1):
            groups = item(
                PlanePositionSequence=[item(ImagePositionPatient=[0, 0, mm])],
                PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)],
            )
            uid = "1.2.840.10008.5.1.4.1.1.2.1" if enhanced else "1.2.840.10008.5.1.4.1.1.2"
            series.add(SOPClassUID=uid, PerFrameFunctionalGroupsSequence=[groups])
        result = stack()
        # Of other classes the index does not read them: nothing is stacked by another order.
        expected = [[-980, -970, -990]] if enhanced else []
        assert result.pages() == expected
        assert result.states() == ({"": 3} if enhanced else {"volume_error": 3})

    def test_a_slice_without_a_position_at_the_end_is_a_warning(self, series, stack):
        for mm in (0, 1, 2):
            series.add(mm)
        series.add(3, ImagePositionPatient=None)
        result = stack()
        assert sorted(r.frames for r in result.images) == [1, 3]
        assert result.codes() == ["stack_no_positions"] * 2

    def test_the_same_bytes_with_another_meaning_are_no_duplicate(self, series, stack):
        for mm, changes in ((0, {}), (1, {}), (1, {"RescaleSlope": 2})):
            series.add(mm, 5, **changes)
        assert stack().states() == {"volume_error": 3}

    def test_slope_0_is_the_rescale_that_is_applied(self, series, stack):
        series.add(0, RescaleSlope=0)
        series.add(1)
        assert stack(stack={"mixed_rescale": "fail"}).states() == {"": 2}


class TestHandlers:
    @pytest.fixture(autouse=True)
    def uneven(self, series):
        for mm in (0, 1, 2, 3.4):
            series.add(mm, round(100 * mm))

    def test_z_goes_by_positions(self, stack):
        (pages,) = stack(spacing=[0.5, 0.5, 1]).pages()
        assert pages == [-1000, -900, -800, -700]

    @pytest.mark.parametrize(
        ("volume", "expected"),
        [("central-slice", [-800]), ("max-intensity", [-660])],
    )
    def test_projections_have_one_page(self, stack, volume, expected):
        result = stack(volume=volume)
        assert result.pages() == [expected]
        assert result.states() == {"": 4}

    def test_interpolate(self, stack):
        (pages,) = stack(volume="interpolate", target_frames=7).pages()
        assert len(pages) == 7


KINDS = st.sampled_from([["ORIGINAL", "PRIMARY"], ["DERIVED", "LOCALIZER"]])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_sums_are_right_whatever_the_series_is(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    series = Series(folder / "src")
    for _ in range(data.draw(st.integers(1, 7))):
        changes = data.draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "InstanceNumber": st.integers(-3, 9),
                    "AcquisitionNumber": st.integers(1, 2),
                    "RescaleSlope": st.sampled_from([1, 2]),
                    "ImageType": st.sampled_from(
                        [["ORIGINAL", "PRIMARY"], ["DERIVED", "LOCALIZER"]]
                    ),
                    "PixelData": st.just(b"\1\2"),
                    "SOPInstanceUID": st.sampled_from(["1.2.3.1", "1.2.3.2"]),
                    "SeriesInstanceUID": st.sampled_from(["1.2.4", None]),
                },
            )
        )
        series.add(
            data.draw(st.none() | st.integers(0, 4)),
            data.draw(st.integers(0, 2)),
            orientation=data.draw(st.sampled_from([AXIAL, CORONAL])),
            **changes,
        )
    policies = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "gap": st.sampled_from(["warn", "split"]),
                "duplicate_position": st.just("first"),
                "single": st.just("drop"),
            },
        )
    )
    result = run(series.folder, folder / "out", stack=policies)
    # Each file is in one image, or has an error; each image has the pages of its files.
    written = [r for r in result.receipts if r.is_written]
    assert len(written) + len(result.excluded) + sum(bool(r.error) for r in result.receipts) == (
        result.found
    )
    assert all(bool(r.error) != r.is_written for r in result.receipts)
    by_image = Counter(r.part_of or r.sop_instance_uid for r in written)
    assert {r.sop_instance_uid: r.frames for r in result.images} == by_image
    assert {str(p.relative_to(result.output)) for p in result.output.rglob("*.tiff")} == {
        r.output for r in result.images
    }
    for image in result.images:
        distances = image.parse_geometry().page_distances
        assert distances is None or list(distances) == sorted(distances)
