"""Configurations of config/recipes, each with small files of what it is for."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import yaml

from dicom_preprocessing import load_tiff_u8
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.files import check_config_file
from dicom_preprocessing.config.model import keys
from dicom_preprocessing.config.selection import selection_of
from dicom_preprocessing.results.manifest import row_of_receipt
from tests.conftest import CHECKOUT
from tests.unit.datasets import data_set_of, item, pages_of, save
from tests.unit.processing.test_volume import CORONAL, SAGITTAL, Series, run

FOLDER = CHECKOUT / "config" / "recipes"
NAMES = ("brain-mr", "chest-ct", "mammography", "tomosynthesis", "ultrasound")
HEADERS = yaml.safe_load((Path(__file__).parent / "config" / "preset_headers.yaml").read_text())

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
CLIP, STILL = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.6.1"


@cache
def text_of(name):
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def values_of(name, **changes):
    return yaml.safe_load(text_of(name)) | changes


def test_all_recipes_are_tested():
    assert tuple(sorted(path.stem for path in FOLDER.iterdir())) == NAMES


@pytest.mark.parametrize("name", NAMES)
class TestFile:
    def test_it_is_valid_and_each_key_has_an_effect(self, name):
        _, warnings = check_config_file(FOLDER / f"{name}.yaml")
        assert warnings == []

    def test_each_key_has_its_reason_above_it(self, name):
        lines = text_of(name).splitlines()
        for before, line in zip(["", *lines], lines, strict=False):
            if re.match(r"\w", line) and not line.endswith(":"):
                assert before.startswith("#"), line

    def test_lines_fit(self, name):
        assert max(map(len, text_of(name).splitlines())) <= 120

    def test_it_says_what_a_practitioner_decides(self, name):
        decided = {"preset", "intensity", "filter", "compressor", "columns"}
        assert decided <= values_of(name).keys() <= keys().keys()
        assert len({"size", "spacing"} & values_of(name).keys()) == 1

    def test_its_head_has_the_command(self, name):
        head = text_of(name).split("\n\n")[0]
        assert f"--configfile config/recipes/{name}.yaml \\\n" in head
        assert f"output={name}\n" in head


def values_in(header, keyword):
    """Values of a keyword, those of sequences as rules see them."""
    codes = ("ViewCodeSequence", "ViewModifierCodeSequence", "AnatomicRegionSequence")
    items = header.get(keyword, [])
    if keyword == codes[1]:
        views = header.get(codes[0], [])
        items = [m for view in views for m in view.get(keyword, [])] if views else []
    if keyword in codes:
        return [str(v) for i in items for k, v in i.items() if k.startswith("Code")]
    return [str(v) for v in (items if isinstance(items, list) else [items])]


DROPPED = {
    "brain-mr": {"MIP", "functional localizer"},
    "chest-ct": {
        "MPR",
        "Siemens coronal reformat",
        "GE reformat average",
        "enhanced CT perfusion",
    },
    "mammography": {
        "Hologic 2D for processing",
        "implant, for processing",
        "spot compression by modifier",
        "magnification by modifier",
        "magnified spot, SNOMED RT codes",
        "spot by paddle",
        "spot by ViewPosition",
        "spot by description",
        "C-View of today",
        "C-View of 2012, no value 3",
        "V-Preview",
        "Insight 2D",
        "S-View of Fuji",
        "description with tomo and 2D",
    },
    "tomosynthesis": set(),
    "ultrasound": {
        "still",
        "derived and secondary",
        "retired class",
        "echo with text in the name",
    },
}
"""Headers that the preset of a recipe keeps, and the recipe does not."""


@pytest.mark.parametrize("name", NAMES)
def test_headers_of_vendors_are_selected_as_meant(name):
    values = values_of(name)
    selection = selection_of(parse_config(values)[0])
    dropped = set()
    for header in HEADERS:
        reason = selection.find_reason("image", lambda k, h=header["header"]: values_in(h, k))
        if values["preset"] not in (header["keep"] or []):
            assert reason, header["name"]
        elif reason:
            dropped.add(header["name"])
    assert dropped == DROPPED[name]


@pytest.fixture
def made(tmp_path):
    """Run a recipe on what is in the folder ``source``."""

    def made(name, **changes):
        values = {"series": "separate"} | values_of(name, **changes)
        result = run(tmp_path / "source", tmp_path / "out", **values)
        rows = [row_of_receipt(receipt, result.output) for receipt in result.images]
        return result, sorted(rows, key=lambda row: row.sop_instance_uid)

    return made


def series_of(source, uid="1.2.3", **attributes):
    """A function that adds slices of a series, with attributes of its own."""
    series = Series(source / uid, uid)
    return lambda *args, **changes: series.add(*args, **attributes | changes)


class TestChestCt:
    AXIAL = ("ORIGINAL", "PRIMARY", "AXIAL")

    @pytest.fixture
    def add(self, source):
        common = {"SOPClassUID": CT, "ImageType": list(self.AXIAL), "SliceThickness": 1}
        return series_of(source, PixelSpacing=[1, 1], **common)

    @pytest.mark.parametrize(
        ("header", "dtype"),
        [
            ({"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0}, "int16"),
            ({}, "float32"),  # 16 signed bits with an intercept do not fit 16 bits
        ],
    )
    def test_hounsfield_units_are_exact_on_the_grid_of_the_scanner(self, add, made, header, dtype):
        pixels = np.arange(12, dtype=np.int16).reshape(1, 3, 4)
        for mm in (2, 0, 1):
            add(mm, pixels=pixels * 100 + mm, **header)
        result, (row,) = made("chest-ct")
        assert (row.dtype, row.num_frames, row.warnings) == (dtype, 3, 0)
        assert (row.spacing_x, row.spacing_y, row.spacing_z) == (1, 1, 1)
        expected = np.concatenate([pixels * 100 + mm - 1000 for mm in (0, 1, 2)])
        assert np.array_equal(pages_of(result.output / row.path)[..., 0], expected)

    def test_thicker_slices_and_smaller_pixels_become_voxels_of_1_mm(self, add, made):
        for mm, value in ((0, 1000), (2.5, 1500), (5, 2000)):
            pixels = np.full((1, 8, 6), value, np.int16)
            pixels[:, -2:] = 0
            add(mm, pixels=pixels, PixelSpacing=[0.5, 0.5])
        result, (row,) = made("chest-ct")
        assert (row.width, row.height, row.num_frames) == (3, 4, 6)
        assert (row.spacing_x, row.spacing_y, row.spacing_z) == (1, 1, 1)
        ramp = pages_of(result.output / row.path)[:, 0, 0, 0]
        assert ramp.tolist() == [0, 200, 400, 600, 800, 1000]

    def test_slices_of_a_volume_are_all_that_is_stacked(self, add, made):
        for mm in (0, 1, 2):
            add(mm)
        add(9, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], orientation=CORONAL)
        add(9, ImageType=["DERIVED", "SECONDARY", "MPR"], orientation=SAGITTAL)
        add(9, SliceThickness=5)
        add(9, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
        result, (row,) = made("chest-ct")
        assert row.num_frames == 3
        assert result.states() == {"": 3, "not_selected": 4}
        messages = [file.message.split("=")[0] for file in result.excluded.values()]
        assert messages == [
            "preset ct: exclude ImageType",
            "exclude ImageType",
            "exclude SliceThickness",
            "preset ct: include SOPClassUID",
        ]

    def test_a_bolus_test_is_no_volume(self, add, made):
        for number in range(3):
            add(40, AcquisitionNumber=number)
        result, rows = made("chest-ct")
        assert (rows, result.states()) == ([], {"not_selected": 3})

    def test_a_missing_slice_and_a_tilt_are_errors(self, add, source, made):
        for mm in (0, 1, 2, 4):
            add(mm)
        tilted = series_of(source, "1.2.4", SOPClassUID=CT, ImageType=list(self.AXIAL))
        for mm in (0, 1, 2):
            tilted(mm, ImagePositionPatient=[0, 0.2 * mm, mm])
        result, rows = made("chest-ct")
        assert (rows, result.states()) == ([], {"volume_error": 7})
        assert {r.message.split(":")[0] for r in result.receipts} == {"gap", "tilt"}


class TestBrainMr:
    @pytest.fixture
    def add(self, source):
        attributes = {"RescaleSlope": None, "RescaleIntercept": None, "PixelSpacing": [1, 1]}
        return series_of(source, SOPClassUID=MR, Modality="MR", **attributes)

    def test_each_echo_is_a_volume_of_the_values_of_the_scanner(self, add, made):
        for mm in (0, 2):
            for echo in (90, 20):
                pixels = np.array([[[10 * echo + mm, 0]]], np.int16)
                add(mm, pixels=pixels, EchoTime=echo, ImageType=["ORIGINAL", "PRIMARY", "M"])
        result, rows = made("brain-mr")
        assert result.pages() == [[200, 201, 202], [900, 901, 902]]
        assert [(row.dtype, row.spacing_z) for row in rows] == [("int16", 1)] * 2

    def test_phase_and_mosaics_are_left_out(self, add, made):
        for mm in (0, 1):
            add(mm, ImageType=["ORIGINAL", "PRIMARY", "M", "ND"])
            add(mm, ImageType=["ORIGINAL", "PRIMARY", "P", "ND"])
        add(0, ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
        result, (row,) = made("brain-mr")
        assert row.num_frames == 2
        assert result.states() == {"": 2, "not_selected": 3}

    def test_b_values_that_no_attribute_has_are_an_error(self, add, made):
        for mm in (0, 1):
            for value in (5, 9):
                add(mm, value)
        result, rows = made("brain-mr")
        assert (rows, result.states()) == ([], {"volume_error": 4})

    def test_a_rescale_for_each_slice_gives_floats(self, add, made):
        for mm, slope in ((0, 1.5), (1, 2.25)):
            add(mm, 10, RescaleSlope=slope, RescaleIntercept=0)
        result, (row,) = made("brain-mr")
        assert (row.dtype, result.pages()) == ("float32", [[15, 22.5]])
        assert result.codes() == ["stack_mixed_rescale"]


def breast(side, count=1, dtype=np.uint16):
    """Frames with a breast at the chest wall, a label at the other side, and air."""
    frames = np.zeros((count, 40, 30), dtype)
    frames[:, 5:35, :12] = 200
    frames[:, 2:5, 26:29] = 255
    return frames if side == "L" else frames[:, :, ::-1].copy()


def save_breast(source, name, side, frames=None, **changes):
    attributes = {
        "SOPClassUID": MAMMOGRAM,
        "Modality": "MG",
        "ImageLaterality": side,
        "ViewPosition": "CC",
        "PatientOrientation": ["A", "R"] if side == "L" else ["P", "L"],
        "PresentationIntentType": "FOR PRESENTATION",
        "ImagerPixelSpacing": [0.1, 0.1],
        "WindowCenter": 128,
        "WindowWidth": 256,
        "SOPInstanceUID": f"1.2.3.{name}",
    }
    frames = breast(side) if frames is None else frames
    save(source / f"{name}.dcm", data_set_of(frames, bits_stored=12, **attributes | changes))


def assert_chest_wall_left(frames):
    """All of the first column is breast or padding below it, and the last column is padding."""
    assert frames[:, 0, 0].all()
    assert not frames[:, :, -1].any()
    columns = frames.astype(bool).any(axis=(0, 1, 3))
    assert columns.tolist() == sorted(columns.tolist(), reverse=True)


class TestMammography:
    SMALL: ClassVar = {"size": [32, 64]}

    @pytest.mark.parametrize("side", ["L", "R"])
    def test_the_chest_wall_is_on_the_left_without_air_and_label(self, source, made, side):
        save_breast(source, 1, side)
        result, (row,) = made("mammography", **self.SMALL)
        assert (row.width, row.height, row.dtype, row.flip_h) == (32, 64, "uint16", side == "R")
        assert (row.crop_width, row.crop_height) == (12, 30)
        frames = pages_of(result.output / row.path)
        assert_chest_wall_left(frames)
        assert (row.active_left, row.active_top) == (0, 0)

    def test_inverted_images_are_dark_where_they_are_low(self, source, made):
        frames = 4095 - breast("L")
        save_breast(
            source, 1, "L", frames, PhotometricInterpretation="MONOCHROME1", WindowCenter=3967
        )
        result, (row,) = made("mammography", **self.SMALL)
        assert_chest_wall_left(pages_of(result.output / row.path))

    def test_only_screening_views_of_the_read_image_are_taken(self, source, made):
        magnified = [item(CodeValue="399163009", CodeMeaning="Magnification")]
        view = item(CodeValue="399162004", ViewModifierCodeSequence=magnified)
        save_breast(source, 1, "L")
        save_breast(source, 2, "R", ViewPosition="MLO", PresentationIntentType=None)
        save_breast(source, 3, "R", ViewPosition="ML")
        save_breast(source, 4, "L", PresentationIntentType="FOR PROCESSING")
        save_breast(source, 5, "L", ViewCodeSequence=[view])
        save_breast(source, 6, "L", EstimatedRadiographicMagnificationFactor=1.8)
        save_breast(source, 7, "L", ImageType=["DERIVED", "PRIMARY", "", "GENERATED_2D"])
        save_breast(source, 8, "L", breast("L", 4), SOPClassUID=TOMOSYNTHESIS)
        result, rows = made("mammography", **self.SMALL)
        assert [row.sop_instance_uid for row in rows] == ["1.2.3.1", "1.2.3.2"]
        assert result.states() == {"": 2, "not_selected": 6}

    def test_the_size_is_that_of_the_recipe(self, source, made):
        save_breast(source, 1, "L")
        _, (row,) = made("mammography")
        assert (row.width, row.height, row.num_frames) == (1024, 2048, 1)


class TestTomosynthesis:
    SMALL: ClassVar = {"size": [16, 32]}

    @pytest.mark.parametrize("side", ["L", "R"])
    def test_all_slices_are_pages_with_the_chest_wall_on_the_left(self, source, made, side):
        frames = breast(side, 5)
        frames[2, 35:38] = frames[2, 30]
        save_breast(source, 1, side, frames, SOPClassUID=TOMOSYNTHESIS)
        result, (row,) = made("tomosynthesis", **self.SMALL)
        assert (row.num_frames, row.dtype, row.flip_h) == (5, "uint16", side == "R")
        # One box, of the slice with the most.
        assert (row.crop_top, row.crop_width, row.crop_height) == (5, 12, 33)
        assert_chest_wall_left(pages_of(result.output / row.path))

    @pytest.mark.parametrize(("bits", "dtype"), [(8, "uint8"), (10, "uint16")])
    def test_8_bits_stay_and_can_be_had_of_more(self, source, made, bits, dtype):
        frames = breast("L", 3, np.uint8 if bits == 8 else np.uint16)
        save_breast(
            source, 1, "L", frames, SOPClassUID=TOMOSYNTHESIS, BitsStored=bits, HighBit=bits - 1
        )
        result, (row,) = made("tomosynthesis", **self.SMALL)
        assert row.dtype == dtype
        assert load_tiff_u8(result.output / row.path).dtype == np.uint8

    def test_slices_sent_one_by_one_become_one_image(self, source, made):
        for number in range(3):
            place = {
                "ImagePositionPatient": [0, 0, number],
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "ImageType": ["DERIVED", "PRIMARY", "TOMO"],
                "BodyPartExamined": "BREAST",
                "PixelSpacing": [0.1, 0.1],
            }
            save_breast(source, 9 - number, "R", SOPClassUID=CT, **place)
        result, (row,) = made("tomosynthesis", **self.SMALL)
        assert (row.num_frames, row.flip_h, row.spacing_z) == (3, True, 1)
        assert row.sop_instance_uid == "1.2.3.9"
        assert_chest_wall_left(pages_of(result.output / row.path))

    def test_mammograms_and_projections_are_left_out(self, source, made):
        save_breast(source, 1, "L")
        projections = {"ImageType": ["ORIGINAL", "PRIMARY", "TOMO_PROJ"]}
        save_breast(source, 2, "L", breast("L", 4), SOPClassUID=TOMOSYNTHESIS, **projections)
        result, rows = made("tomosynthesis", **self.SMALL)
        assert (rows, result.states()) == ([], {"not_selected": 2})


class TestUltrasound:
    REGION: ClassVar = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "RegionLocationMinX0": 4,
        "RegionLocationMinY0": 8,
        "RegionLocationMaxX1": 19,
        "RegionLocationMaxY1": 23,
    }

    def save_clip(self, source, name, frames=3, **changes):
        """The screen is white, and the region has the number of the frame."""
        pixels = np.full((frames, 32, 24, 3), 255, np.uint8)
        pixels[:, 8:24, 4:20] = np.arange(1, frames + 1, dtype=np.uint8)[:, None, None, None]
        attributes = {
            "SOPClassUID": CLIP,
            "Modality": "US",
            "SOPInstanceUID": f"1.2.3.{name}",
            "SequenceOfUltrasoundRegions": [item(**self.REGION)],
        }
        save(source / f"{name}.dcm", data_set_of(pixels, **attributes | changes))

    def test_all_frames_of_the_region_and_nothing_of_the_screen(self, source, made):
        self.save_clip(source, 1)
        result, (row,) = made("ultrasound")
        assert (row.width, row.height, row.channels, row.num_frames) == (256, 256, 3, 3)
        assert (row.crop_left, row.crop_top, row.crop_width, row.crop_height) == (4, 8, 16, 16)
        frames = pages_of(result.output / row.path)
        assert [np.unique(frame).tolist() for frame in frames] == [[1], [2], [3]]

    def test_padding_is_on_both_sides(self, source, made):
        narrow = item(**self.REGION | {"RegionLocationMaxX1": 11})
        self.save_clip(source, 1, SequenceOfUltrasoundRegions=[narrow])
        _, (row,) = made("ultrasound")
        assert (row.active_left, row.active_right) == (64, 192)

    def test_stills_and_reports_are_left_out(self, source, made):
        self.save_clip(source, 1)
        self.save_clip(source, 2, frames=1, SOPClassUID=STILL)
        self.save_clip(source, 3, ImageType=["DERIVED", "SECONDARY", "REPORT"])
        result, _ = made("ultrasound")
        assert result.states() == {"": 1, "not_selected": 2}

    def test_a_clip_without_region_has_a_warning(self, source, made):
        self.save_clip(source, 1, SequenceOfUltrasoundRegions=None)
        result, (row,) = made("ultrasound")
        assert (row.crop_width, row.crop_height) == (24, 32)
        assert Counter(result.codes()) == {"region_unknown": 1}
