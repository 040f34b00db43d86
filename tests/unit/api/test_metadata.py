"""What is told of the steps that an array went through."""

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import dicom_preprocessing as dp
from tests.unit.api.files import CORPUS, GOLDEN, PLAIN, ramp, write_shown_file
from tests.unit.datasets import BREAST_TOMOSYNTHESIS, data_set_of, save, show_stored_values

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


class TestMetadata:
    def test_steps_that_did_not_run_are_none(self, slices):
        _, told = dp.preprocess_u8_with_metadata(slices[0], PLAIN)
        assert told == dp.PreprocessingMetadata(None, None, None, None, None, 1)

    def test_every_step(self, tmp_path):
        path = write_shown_file(
            tmp_path / "a.dcm",
            ramp(9, rows=5, columns=9),
            SOPClassUID=BREAST_TOMOSYNTHESIS,
            ImageLaterality="L",
            ViewPosition="CC",
            PatientOrientation=["P", "L"],
            PixelSpacing=[0.2, 0.1],
        )
        preprocessor = dp.Preprocessor(size=(4, 4), filter="max-pool", padding_direction="center")
        found, told = dp.preprocess_u8_with_metadata(path, preprocessor)
        assert found[0, :, :, 0].tolist() == [[0] * 4, [9] * 4, [9] * 4, [0] * 4]
        assert told == dp.PreprocessingMetadata(
            flip=dp.Flip(9, 5, horizontal=True, vertical=True),
            crop=dp.Crop(0, 0, 8, 4),
            resize=dp.Resize(0.5, 0.5, "maxpool"),
            padding=dp.Padding(0, 1, 0, 1),
            resolution=dp.Resolution(5.0, 2.5, None),
            num_frames=1,
        )

    def test_what_was_odd_is_reported(self, tmp_path, slices):
        black = write_shown_file(tmp_path / "black.dcm", ramp(0))
        _, told = dp.preprocess_u8_with_metadata(black)
        assert [w.code for w in told.warnings] == ["only_background"]
        assert told.crop == dp.Crop(0, 0, 5, 4)
        _, told = dp.preprocess_u8_with_metadata(slices[0])
        assert told.warnings == ()

    def test_what_is_odd_about_a_slice_is_reported_with_its_name(self, tmp_path, slices):
        longer = save(
            tmp_path / "longer.dcm",
            show_stored_values(data_set_of(np.ones((1, 4, 5), np.uint8), PixelData=bytes(40))),
        )
        _, told = dp.preprocess_u8_slices_with_metadata([slices[0], longer])
        warning, missing = told.warnings
        assert (warning.code, missing.code) == ("excess_frames", "stack_no_positions")
        assert warning.message.startswith("slice 1, ")

    def test_no_padding_is_none(self, slices):
        preprocessor = dp.Preprocessor(size=(9, 9), use_padding=False)
        found, told = dp.preprocess_u8_with_metadata(slices[0], preprocessor)
        assert (told.padding, found.shape) == (None, (1, 7, 9, 1))

    @pytest.mark.parametrize(
        ("name", "told"),
        [("catmull-rom", "catmullrom"), ("max-pool", "maxpool"), ("lanczos3", "lanczos3")],
    )
    def test_filter_is_reported_in_one_word(self, slices, name, told):
        _, metadata = dp.preprocess_u8_with_metadata(
            slices[0], dp.Preprocessor(size=(9, 9), filter=name)
        )
        assert metadata.resize.filter == told

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (dp.Crop(1, 2, 3, 4), "Crop(left=1, top=2, width=3, height=4)"),
            (
                dp.Resize(0.5, 1.0, "triangle"),
                "Resize(scale_x=0.5, scale_y=1.0, filter='triangle')",
            ),
            (dp.Padding(1, 2, 3, 4), "Padding(left=1, top=2, right=3, bottom=4)"),
            (
                dp.Flip(4, 3, horizontal=True, vertical=False),
                "Flip(width=4, height=3, horizontal=True, vertical=False)",
            ),
            (
                dp.Resolution(2.0, 2.5, None),
                "Resolution(pixels_per_mm_x=2.0, pixels_per_mm_y=2.5, frames_per_mm=None)",
            ),
        ],
    )
    def test_results_are_read_only_and_read_like_the_call(self, value, text):
        assert repr(value) == text
        name = text[text.index("(") + 1 : text.index("=")]
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, 0)

    def test_numbers_are_plain(self, measured):
        _, told = dp.preprocess_u8_with_metadata(measured, dp.Preprocessor(size=(20, 20)))
        numbers = [told.resize.scale_x, told.resolution.frames_per_mm, told.crop.left]
        assert [type(number) for number in numbers] == [float, float, int]


def golden_scales():
    cases = json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))
    seen = {}
    for case in cases:
        options = case["options"]
        is_turned = case["file"] == "dicom-utils/jpeg2k_3d.dcm"  # so another box is cropped here
        if case["scale"] and "size" in options and not is_turned:
            seen.setdefault((case["case"], case["file"][:12]), case)
    return list(seen.values())


@pytest.mark.parametrize("case", golden_scales(), ids=lambda c: f"{c['file']} {c['case']}")
def test_scale_is_that_of_the_reference(case):
    options = case["options"]
    preprocessor = dp.Preprocessor(
        crop=options.get("crop", False),
        crop_max=False,
        use_components=options.get("crop_components", False),
        size=options["size"],
        filter=options.get("filter", "triangle"),
        volume_handler=options.get("volume", "keep"),
    )
    _, told = dp.preprocess_u8_with_metadata(CORPUS / case["file"], preprocessor)
    assert [told.resize.scale_x, told.resize.scale_y] == case["scale"]
