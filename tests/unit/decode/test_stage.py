"""The decode stage, by files written to disk: values, order of frames, volumes, turns and facts."""

import struct

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian

from dicom_preprocessing.decode.stage import decode
from dicom_preprocessing.errors import (
    MissingAttributeError,
    NoSpacingError,
    NotDicomError,
    UnreadableError,
    UnsupportedPixelsError,
    VolumeError,
)
from dicom_preprocessing.imaging.geometry import Flip, Geometry, Size
from tests.unit.datasets import (
    BREAST_TOMOSYNTHESIS,
    SERIES_UID,
    SOP_UID,
    STUDY_UID,
    codes_of,
    data_set_of,
    functional_groups,
    item,
    lut,
    messages_of,
    planes,
    ramp,
    save,
    show_stored_values,
)
from tests.unit.decode.files import grey_file, row, values_of_image, volume_file

SEVERAL_VOLUMES = "several volumes in one object: frames stay in stored order"


class TestIntensity:
    def test_12_bit_window(self, decoded):
        data_set = data_set_of(ramp(0, 1, 2048, 4095), bits_stored=12)
        data_set.WindowCenter, data_set.WindowWidth = 2048, 4096
        assert row(decoded(data_set)) == [0, 16, 32775, 65535]

    def test_window_setting_takes_its_place(self, decoded):
        data_set = data_set_of(ramp(0, 1, 2048, 4095), bits_stored=12)
        data_set.WindowCenter, data_set.WindowWidth = 7, 3
        assert row(decoded(data_set, window=(2048, 4096))) == [0, 16, 32775, 65535]

    def test_minmax(self, decoded):
        assert row(decoded(grey_file(0, 1, 2, 3, 4), intensity="minmax")) == [0, 95, 159, 223, 255]

    def test_warnings_are_facts(self, decoded):
        data_set = data_set_of(ramp(0, 1), WindowCenter=1, WindowWidth=0)
        assert messages_of(decoded(data_set)) == [
            "window of center 1 and width 0 cannot be used: ignored"
        ]


def palette_file(*indices, tables, bits=8, first=0, dtype=np.uint8, order="<"):
    """An image whose entries are given as three lists."""
    data_set = data_set_of(ramp(*indices, dtype=dtype), PhotometricInterpretation="PALETTE COLOR")
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        word = "B" if bits == 8 else "H"
        packed = struct.pack(f"{order}{len(table)}{word}", *table)
        padded = packed + b"\0" * (len(packed) % 2)
        keyword = f"{name}PaletteColorLookupTable"
        setattr(data_set, f"{keyword}Descriptor", [len(table), first, bits])
        setattr(data_set, f"{keyword}Data", padded)
    return data_set


class TestPalette:
    def test_8_bit_entries(self, decoded):
        tables = [[1, 2, 3, 4], [10, 20, 30, 40], [100, 110, 120, 130]]
        image = decoded(palette_file(0, 3, 1, tables=tables))
        assert image.frames.dtype == np.uint8
        assert row(image) == [[1, 10, 100], [4, 40, 130], [2, 20, 110]]

    def test_big_endian_entries(self, decoded):
        tables = [[0x01FF, 0x0200], [0xFF00, 0x00FF], [0x1234, 0xFFFF]]
        data_set = palette_file(0, 1, tables=tables, bits=16, order=">")
        image = decoded(data_set, ExplicitVRBigEndian)
        assert row(image) == [[1, 255, 0x12], [2, 0, 255]]

    def test_segmented_entries(self, decoded):
        data_set = palette_file(0, 1, 2, 3, 4, 5, tables=[[0], [0], [0]], bits=16)
        for name, end in (("Red", 0x0900), ("Green", 0x5100), ("Blue", 0x0100)):
            keyword = f"{name}PaletteColorLookupTable"
            delattr(data_set, f"{keyword}Data")
            setattr(data_set, f"{keyword}Descriptor", [6, 0, 16])
            # discrete segment of two entries, linear segment of four up to the end
            words = struct.pack("<7H", 0, 2, 0x0000, 0x0100, 1, 4, end)
            setattr(data_set, f"Segmented{keyword}Data", words)
        reds, greens, blues = [0, 1, 3, 5, 7, 9], [0, 1, 21, 41, 61, 81], [0, 1, 1, 1, 1, 1]
        assert row(decoded(data_set)) == [list(p) for p in zip(reds, greens, blues, strict=True)]

    def test_missing_table_is_an_error(self, decoded):
        data_set = palette_file(0, 1, tables=[[1, 2], [1, 2], [1, 2]])
        del data_set.GreenPaletteColorLookupTableData
        with pytest.raises(UnsupportedPixelsError, match="the palette for green is missing"):
            decoded(data_set)


def content(**attributes):
    return item(FrameContentSequence=[item(**attributes)])


def placed(*position):
    return item(PlanePositionSequence=[item(ImagePositionPatient=list(position))])


def oriented(*cosines):
    return item(PlaneOrientationSequence=[item(ImageOrientationPatient=list(cosines))])


AXIAL = (1, 0, 0, 0, 1, 0)


class TestFrameOrder:
    def test_dimension_indices(self, decoded):
        groups = [content(DimensionIndexValues=[1, n]) for n in (3, 1, 2)]
        data_set = functional_groups(volume_file(30, 10, 20), frames=groups)
        assert values_of_image(decoded(data_set)) == [10, 20, 30]

    def test_geometry_goes_along_the_slice_normal(self, decoded):
        groups = [placed(0, 0, z) for z in (7.5, -2.5, 2.5)]
        data_set = volume_file(30, 10, 20)
        functional_groups(data_set, shared=oriented(*AXIAL), frames=groups)
        assert values_of_image(decoded(data_set)) == [10, 20, 30]

    def test_rescale_stays_with_its_frame(self, decoded):
        groups = [
            item(
                FrameContentSequence=[item(InStackPositionNumber=n)],
                PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=0)],
            )
            for n, slope in ((2, 1), (1, 2))
        ]
        data_set = functional_groups(volume_file(10, 11), frames=groups)
        assert values_of_image(decoded(data_set)) == [22, 10]

    def test_order_is_recorded_nowhere_but_in_the_frames(self, decoded):
        groups = [content(InStackPositionNumber=n) for n in (2, 1)]
        image = decoded(functional_groups(volume_file(20, 10), frames=groups))
        assert (image.source_info.source_frames, messages_of(image)) == (2, [])


class TestFrameSpacing:
    def test_median_step_of_the_positions(self, decoded):
        groups = [placed(0, 0, z) for z in (0, 2, 5, 7)]
        data_set = volume_file(1, 2, 3, 4, SpacingBetweenSlices=9)
        functional_groups(data_set, shared=oriented(*AXIAL), frames=groups)
        assert decoded(data_set).source_info.frame_spacing == pytest.approx(2.0)

    def test_z_spacing_resamples(self, decoded):
        data_set = volume_file(0, 50, 100, SpacingBetweenSlices=2)
        assert values_of_image(decoded(data_set, spacing_z=1.0)) == [0, 25, 50, 75, 100]

    def test_z_spacing_resamples_by_positions(self, decoded):
        groups = [placed(0, 0, z) for z in (7, -2, -3)]
        data_set = volume_file(100, 10, 0, SpacingBetweenSlices=5)
        functional_groups(data_set, shared=oriented(*AXIAL), frames=groups)
        image = decoded(data_set, spacing_z=2.0, stack={"gap": "warn"})
        assert values_of_image(image) == [0, 20, 40, 60, 80, 100]
        assert image.source_info.frame_spacing == 2
        assert codes_of(image) == ["stack_gap"]

    def test_z_spacing_does_not_go_across_a_gap(self, decoded):
        groups = [placed(0, 0, z) for z in (0, 1, 2, 5)]
        data_set = volume_file(1, 2, 3, 4)
        functional_groups(data_set, shared=oriented(*AXIAL), frames=groups)
        with pytest.raises(VolumeError, match=r"gap: frames seem to be missing .* from 2 to 5 mm"):
            decoded(data_set, spacing_z=1.0)
        assert len(decoded(data_set).frames) == 4

    def test_z_spacing_of_frames_that_are_not_ordered_by_positions_is_an_error(self, decoded):
        frames = [
            item(
                FrameContentSequence=[item(InStackPositionNumber=n)],
                PlanePositionSequence=[item(ImagePositionPatient=[0, 0, z])],
            )
            for n, z in ((1, 0), (2, 5), (3, 1))
        ]
        data_set = functional_groups(volume_file(1, 2, 3), shared=oriented(*AXIAL), frames=frames)
        with pytest.raises(VolumeError, match="not in the order of their positions"):
            decoded(data_set, spacing_z=1.0)

    def test_z_spacing_of_unknown_is_an_error(self, decoded):
        with pytest.raises(NoSpacingError, match="spacing between frames is unknown"):
            decoded(volume_file(1, 2), spacing_z=1.0)


def dose(*offsets, **changes):
    """A dose grid whose pixels are 1, 2, ... by frame."""
    pixels = np.arange(1, len(offsets) + 1, dtype=np.uint32).reshape(-1, 1, 1)
    attributes = {
        "DoseGridScaling": "0.5",
        "GridFrameOffsetVector": list(offsets),
        "ImagePositionPatient": [0, 0, 10],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    }
    return data_set_of(pixels, **attributes | changes)


class TestDose:
    def test_values_are_scaled_and_frames_are_ordered_by_their_offsets(self, decoded):
        image = decoded(dose(0, -2, -4), intensity="stored")
        assert (planes(image), str(image.frames.dtype)) == ([[[1.5]], [[1]], [[0.5]]], "float32")
        assert image.source_info.frame_spacing == 2

    def test_offsets_that_do_not_fit_are_reported(self, decoded):
        (warning,) = decoded(dose(0, 2, GridFrameOffsetVector=[0, 2, 4])).source_info.warnings
        assert warning.code == "frame_offsets_contradict"


class TestLevels:
    def test_frame_counts_before_the_top_level_and_is_reported(self, decoded):
        own = item(FrameVOILUTSequence=[item(WindowCenter=128, WindowWidth=256)])
        settings = {"WindowCenter": 5, "WindowWidth": 2}
        pixels = ramp(0, 100, 255, dtype=np.uint8)
        image = decoded(data_set_of(pixels, PerFrameFunctionalGroupsSequence=[own], **settings))
        (warning,) = image.source_info.warnings
        assert (row(image), warning.code) == ([0, 100, 255], "functional_groups_contradict")


class TestVolumeHandlers:
    def test_central_slice_is_of_the_ordered_frames(self, decoded):
        groups = [content(InStackPositionNumber=n) for n in (3, 1, 2)]
        data_set = functional_groups(volume_file(30, 10, 20), frames=groups)
        image = decoded(data_set, volume="central-slice")
        assert values_of_image(image) == [20]
        assert image.source_info.source_frames == 3

    def test_max_intensity_skips_ordered_frames(self, decoded):
        groups = [content(InStackPositionNumber=n) for n in (3, 1, 2)]
        data_set = functional_groups(volume_file(30, 40, 20), frames=groups)
        assert values_of_image(decoded(data_set, volume="max-intensity", skip_frames=1)) == [20]

    def test_interpolate(self, decoded):
        data_set = volume_file(0, 100)
        found = decoded(data_set, volume="interpolate", target_frames=5)
        assert values_of_image(found) == [0, 25, 50, 75, 100]


def several_volumes():
    """Data sets whose frames belong to two volumes, by what tells so."""
    position = [placed(0, 0, z) for z in (1, 2, 1)]
    functional = {
        "stack": [content(StackID=s) for s in ("1", "1", "2")],
        "time": [content(TemporalPositionIndex=t) for t in (1, 1, 2)],
        "echo": [item(MREchoSequence=[item(EffectiveEchoTime=e)]) for e in (10.0, 10.0, 80.0)],
        "diffusion": [item(MRDiffusionSequence=[item(DiffusionBValue=b)]) for b in (0.0, 0.0, 9.0)],
        "position": position,
    }
    return [pytest.param(groups, id=name) for name, groups in functional.items()]


class TestSeveralVolumes:
    @pytest.fixture
    def data_set(self, groups):
        data_set = volume_file(30, 10, 20)
        return functional_groups(data_set, shared=oriented(*AXIAL), frames=groups)

    @pytest.mark.parametrize("groups", several_volumes())
    def test_keep_writes_them_as_stored_with_a_warning(self, decoded, data_set):
        image = decoded(data_set)
        assert values_of_image(image) == [30, 10, 20]
        assert messages_of(image) == [SEVERAL_VOLUMES]

    @pytest.mark.parametrize("groups", several_volumes())
    def test_central_slice_is_an_error(self, decoded, data_set):
        with pytest.raises(VolumeError, match="several volumes in one object"):
            decoded(data_set, volume="central-slice")

    @pytest.mark.parametrize("groups", several_volumes()[:1])
    @pytest.mark.parametrize("volume", ["max-intensity", "interpolate"])
    def test_other_handlers_are_errors_too(self, decoded, data_set, volume):
        with pytest.raises(VolumeError, match=volume):
            decoded(data_set, volume=volume)

    @pytest.mark.parametrize("groups", several_volumes()[:1])
    def test_z_spacing_is_an_error(self, decoded, data_set):
        with pytest.raises(VolumeError, match="several volumes"):
            decoded(data_set, spacing_z=1.0)


HALF_TURN = Flip(3, 2, horizontal=True, vertical=True)


def tomosynthesis(orientation=("P", "L"), **changes):
    """Two frames of three columns and two rows."""
    pixels = np.array([[[1, 2, 3], [4, 5, 6]], [[11, 12, 13], [14, 15, 16]]], np.uint8)
    values = {"SOPClassUID": BREAST_TOMOSYNTHESIS, "ViewPosition": "CC"}
    values |= {"ImageLaterality": "L", "PatientOrientation": list(orientation)}
    return show_stored_values(data_set_of(pixels, **(values | changes)))


class TestTomosynthesis:
    def test_opposite_orientation_is_turned(self, decoded):
        image = decoded(tomosynthesis())
        assert planes(image) == [[[6, 5, 4], [3, 2, 1]], [[16, 15, 14], [13, 12, 11]]]

    def test_turn_is_recorded(self, decoded):
        assert decoded(tomosynthesis()).geometry == Geometry(Size(3, 2), flip=HALF_TURN)

    def test_expected_orientation_stays(self, decoded):
        image = decoded(tomosynthesis(orientation=("A", "R")))
        assert planes(image)[0] == [[1, 2, 3], [4, 5, 6]]
        assert image.geometry.flip is None

    def test_turn_comes_after_volume_handling(self, decoded):
        image = decoded(tomosynthesis(), volume="central-slice")
        assert planes(image) == [[[16, 15, 14], [13, 12, 11]]]

    def test_frames_keep_their_order(self, decoded):
        groups = [content(InStackPositionNumber=n) for n in (2, 1)]
        image = decoded(functional_groups(tomosynthesis(), frames=groups))
        assert planes(image)[0] == [[16, 15, 14], [13, 12, 11]]

    def test_orientation_and_laterality_of_functional_groups(self, decoded):
        shared = item(
            FrameAnatomySequence=[item(FrameLaterality="L")],
            PatientOrientationInFrameSequence=[item(PatientOrientation=["P", "L"])],
        )
        data_set = tomosynthesis(ImageLaterality=None, PatientOrientation=None)
        assert decoded(functional_groups(data_set, shared=shared)).geometry.flip == HALF_TURN


class TestSourceInfo:
    def test_source_and_uids(self, decoded):
        source_info = decoded(data_set_of(np.ones((2, 3, 4), np.uint8), Modality="MG")).source_info
        assert (source_info.source_frames, source_info.source_rows, source_info.source_columns) == (
            2,
            3,
            4,
        )
        assert source_info.study_instance_uid == STUDY_UID
        assert source_info.series_instance_uid == SERIES_UID
        assert source_info.sop_instance_uid == SOP_UID
        assert source_info.modality == "MG"

    def test_geometry_is_the_whole_image(self, decoded):
        image = decoded(data_set_of(np.ones((2, 3, 4), np.uint8)))
        assert image.geometry == Geometry(Size(width=4, height=3))

    def test_pixel_spacing_has_the_row_spacing_first(self, decoded):
        # Rows are 0.5 mm apart: that is y.
        assert decoded(grey_file(1, PixelSpacing=[0.5, 0.25])).source_info.pixel_spacing == (
            0.25,
            0.5,
        )

    def test_pixel_measures(self, decoded):
        shared = item(PixelMeasuresSequence=[item(PixelSpacing=[2, 1])])
        data_set = functional_groups(grey_file(1), shared=shared)
        assert decoded(data_set).source_info.pixel_spacing == (1, 2)

    def test_missing_modality_is_empty(self, decoded):
        assert decoded(grey_file(1, Modality=None)).source_info.modality == ""


class TestMissingAttributes:
    @pytest.mark.parametrize(
        "keyword", ["Rows", "Columns", "BitsAllocated", "BitsStored", "SamplesPerPixel"]
    )
    def test_missing_number_is_named(self, decoded, keyword):
        data_set = data_set_of(ramp(1, 2), **{keyword: None})
        data_set["PixelData"].VR = "OW"  # pydicom does not write an ambiguous one
        with pytest.raises(MissingAttributeError, match=f"^{keyword} is missing"):
            decoded(data_set)


class TestFiles:
    def test_no_dicom(self, tmp_path):
        path = tmp_path / "image.dcm"
        path.write_bytes(b"not at all DICOM " * 20)
        with pytest.raises(NotDicomError, match="neither the DICM prefix nor a data set"):
            decode(path)

    def test_missing_file(self, tmp_path):
        with pytest.raises(UnreadableError, match="No such file") as caught:
            decode(tmp_path / "image.dcm")
        assert caught.value.transient

    def test_path_may_be_text(self, tmp_path):
        assert row(decode(str(save(tmp_path / "image", grey_file(1, 2))))) == [1, 2]


class TestHeadersThatWouldMislead:
    @pytest.mark.parametrize("value", ["0", "-1", "x"])
    def test_number_of_frames_that_is_no_positive_number(self, decoded, value):
        data_set = data_set_of(ramp(1, 2), NumberOfFrames=None)
        data_set.add_new("NumberOfFrames", "LO", value)
        with pytest.raises(MissingAttributeError, match="Number of Frames"):
            decoded(data_set)

    @pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
    def test_room_for_more_frames_than_stated_is_reported(self, decoded):
        data_set = data_set_of(np.zeros((3, 2, 2), np.uint16), NumberOfFrames=2)
        (warning,) = messages_of(decoded(data_set))
        assert warning == "there are 3 frames, and Number of Frames is 2: others are ignored"

    @pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
    def test_rescale_that_is_no_number(self, decoded, keyword):
        data_set = data_set_of(ramp(1, 2))
        data_set.add_new(keyword, "LO", "1,0")
        with pytest.raises(MissingAttributeError, match="is not a number"):
            decoded(data_set)

    def test_frames_without_a_rescale_among_others_are_reported(self, decoded):
        groups = [
            item(PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=0)]),
            item(),
        ]
        data_set = functional_groups(data_set_of(np.ones((2, 1, 2), np.uint16)), frames=groups)
        assert any("without a rescale" in w for w in messages_of(decoded(data_set)))

    def test_table_with_fewer_entries_than_stated_is_reported(self, decoded):
        data_set = data_set_of(ramp(1, 2), VOILUTSequence=[lut([1, 2, 3], count=4096)])
        assert any("3 of 4096 entries" in w for w in messages_of(decoded(data_set)))

    def test_padding_that_is_no_number_hides_nothing(self, decoded):
        pixels = ramp(1, 2, 3, dtype=np.float32)
        image = decoded(data_set_of(pixels, FloatPixelPaddingValue=float("nan")))
        assert planes(image) == [[[0, 32767, 65535]]]
