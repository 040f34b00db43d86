"""Slices of several files: what is one volume of them, and its spacing."""

from dataclasses import replace

import numpy as np
import pytest

import dicom_preprocessing as dp
from tests.unit.api.files import SETTINGS, ramp, write_shown_file
from tests.unit.datasets import BREAST_TOMOSYNTHESIS, data_set_of, save, show_stored_values

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def values_of(found):
    """The value at the lower right corner of each slice."""
    return [int(one[0, -1, -1, 0]) for one in found]


def write_grey(path, number, **attributes):
    """A slice of values from 0 to 400 with a rescale of its own."""
    pixels = np.array([[[0, 100, 200, 400]]], np.uint16)
    others = {"RescaleSlope": 1 + number, "RescaleIntercept": -7, "NumberOfFrames": None}
    return save(path, data_set_of(pixels, **others | attributes))


class TestDisplayValues:
    """Each slice is shown by its own rescale."""

    preprocessor = dp.Preprocessor(crop=False)

    def show(self, paths):
        return [one.ravel().tolist() for one in dp.preprocess_u16_slices(paths, self.preprocessor)]

    def test_rescales_that_differ_are_those_of_their_slices(self, tmp_path):
        window = {"WindowCenter": 500, "WindowWidth": 1000}
        paths = [write_grey(tmp_path / f"{i}.dcm", i, **window) for i in range(3)]
        alone = [dp.preprocess_u16(path, self.preprocessor).ravel().tolist() for path in paths]
        assert self.show(paths) == alone
        assert alone[0] != alone[1] != alone[2]


class TestSlices:
    def test_order_is_the_caller_s(self, slices):
        assert values_of(dp.preprocess_u8_slices([slices[i] for i in (2, 0, 1)])) == [52, 50, 51]

    def test_one_crop_box_holds_the_foreground_of_all(self, tmp_path):
        frames = np.zeros((2, 6, 6), np.uint8)
        frames[0, 1, 2], frames[1, 4, 3] = 9, 9
        paths = [write_shown_file(tmp_path / f"{i}.dcm", frame) for i, frame in enumerate(frames)]
        preprocessor = dp.Preprocessor(use_components=False)
        found, told = dp.preprocess_u8_slices_with_metadata(paths, preprocessor)
        assert told.crop == dp.Crop(2, 1, 2, 4)
        assert np.array_equal(np.concatenate(found)[..., 0], frames[:, 1:5, 2:4])

    def test_slices_are_the_frames_of_the_same_volume(self, tmp_path):
        """Files of single frames give what one object of these frames gives."""
        frames = np.random.default_rng(5).integers(0, 200, (4, 9, 8), np.uint8)
        volume = write_shown_file(tmp_path / "volume.dcm", *frames)
        paths = [write_shown_file(tmp_path / f"{i}.dcm", frame) for i, frame in enumerate(frames)]
        for settings in SETTINGS:
            if "," in settings.get("convert_options", ""):
                continue
            if settings.get("convert_options") == "normalize":
                continue  # of each object by itself
            preprocessor = dp.Preprocessor(**settings)
            whole, told = dp.preprocess_u8_with_metadata(volume, preprocessor)
            found, same = dp.preprocess_u8_slices_with_metadata(paths, preprocessor)
            assert np.array_equal(np.concatenate(found), whole)
            # Nothing says where the files lie.
            assert [w.code for w in same.warnings] == ["stack_no_positions"]
            assert replace(same, warnings=()) == told

    @pytest.mark.parametrize(
        ("handler", "values"),
        [
            ("central-slice", [51]),
            ("max-intensity", [52]),
            (dp.VolumeHandler.max_intensity(0, 1), [51]),
            (dp.VolumeHandler.interpolate(5), [50, 50, 51, 51, 52]),
            (dp.VolumeHandler.interpolate(1), [50]),
            (dp.VolumeHandler.laplacian_mip(mip_weight=0), [51]),
        ],
    )
    def test_handler_works_along_the_slices(self, slices, handler, values):
        preprocessor = dp.Preprocessor(volume_handler=handler)
        found, told = dp.preprocess_u8_slices_with_metadata(slices, preprocessor)
        assert values_of(found) == values
        assert told.num_frames == len(values)

    def test_multi_frame_objects_are_flattened(self, tmp_path, slices):
        double = write_shown_file(tmp_path / "double.dcm", ramp(60), ramp(61))
        found = dp.preprocess_u8_slices([slices[0], double, slices[1]])
        assert values_of(found) == [50, 60, 61, 51]

    def test_8_bits_beside_16_are_widened(self, tmp_path, slices):
        wide = np.zeros((1, 4, 5), np.uint16)
        wide[:, 1:, 1:] = 1000
        path = save(tmp_path / "wide.dcm", show_stored_values(data_set_of(wide)))
        assert values_of(dp.preprocess_u16_slices([slices[0], path])) == [50 * 257, 1000]
        assert values_of(dp.preprocess_u8_slices([slices[0], path])) == [50, 4]

    def test_many_files_do_not_stay_open(self, slices):
        import resource

        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
        try:
            assert len(dp.preprocess_u8_slices(slices * 40, parallel=True)) == 120
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    def test_other_size_is_refused(self, tmp_path, slices):
        other = write_shown_file(tmp_path / "other.dcm", ramp(9, rows=7))
        message = (
            r"^Failed to prepare image: slices differ in size: 5x7 in slice 1, .*other\.dcm, 5x4"
        )
        with pytest.raises(RuntimeError, match=message):
            dp.preprocess_u8_slices([slices[0], other])

    def test_other_colour_is_refused(self, tmp_path, slices):
        rgb = save(tmp_path / "rgb.dcm", data_set_of(np.ones((1, 4, 5, 3), np.uint8)))
        with pytest.raises(RuntimeError, match="slices differ in colour: RGB in"):
            dp.preprocess_u8_slices([*slices[:2], rgb])

    def test_other_flip_is_refused(self, tmp_path):
        def tomosynthesis(name, row):
            return write_shown_file(
                tmp_path / name,
                ramp(9),
                SOPClassUID=BREAST_TOMOSYNTHESIS,
                ImageLaterality="L",
                ViewPosition="CC",
                PatientOrientation=[row, "R" if row == "A" else "L"],
            )

        upright, turned = tomosynthesis("a.dcm", "A"), tomosynthesis("b.dcm", "P")
        assert dp.preprocess_u8_slices([turned])[0][0, 0, 0, 0] == 9
        with pytest.raises(RuntimeError, match=r"slices differ in flip"):
            dp.preprocess_u8_slices([upright, turned])


class TestSpacingAlongSlices:
    @pytest.fixture
    def placed(self, tmp_path):
        """Slices 2 mm apart, in an order of no geometry, whose pixels measure 1 by 0.5 mm."""

        def made(*positions, **attributes):
            return [
                write_shown_file(
                    tmp_path / f"{i}.dcm",
                    ramp(40 + 10 * i),
                    PixelSpacing=[0.5, 1],
                    ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                    ImagePositionPatient=[0, 0, z],
                    **attributes,
                )
                for i, z in enumerate(positions)
            ]

        return made

    def test_positions_tell_the_spacing(self, placed):
        preprocessor = dp.Preprocessor(spacing=(1, 0.5, 1), crop=False)
        found, told = dp.preprocess_u8_slices_with_metadata(placed(5, 3, 1), preprocessor)
        # Three slices of 2 mm are six of 1 mm, at positions 0, 0.4, 0.8, 1.2, 1.6, 2.
        assert values_of(found) == [40, 44, 48, 52, 56, 60]
        assert told.resolution == dp.Resolution(1.0, 2.0, 5 / 4)

    def test_stated_spacing_serves_where_positions_do_not(self, placed):
        paths = placed(1, 1, 1, SpacingBetweenSlices=2)
        assert len(dp.preprocess_u8_slices(paths, dp.Preprocessor(spacing=(1, 1, 1)))) == 6

    def test_other_spacing_of_pixels_is_warned_of(self, placed, tmp_path):
        paths = placed(1, 3)
        other = write_shown_file(tmp_path / "other.dcm", ramp(40), PixelSpacing=[0.5, 1.1])
        _, told = dp.preprocess_u8_slices_with_metadata([*paths, other], dp.Preprocessor())
        messages = {w.code: w.message for w in told.warnings}
        assert messages["stack_spacing_differs"] == (
            f"slices differ in the spacing of pixels: slice 2, {other} has 1.1 x 0.5 mm, "
            f"slice 0, {paths[0]} has 1 x 0.5 mm"
        )
        assert told.resolution == dp.Resolution(1.0, 2.0, None)  # the other has no position

    def test_rounding_of_spacings_is_no_other_spacing(self, placed, tmp_path):
        paths = placed(1, 3)
        other = write_shown_file(tmp_path / "other.dcm", ramp(40), PixelSpacing=[0.5, 1.0004])
        _, told = dp.preprocess_u8_slices_with_metadata([*paths, other], dp.Preprocessor())
        assert "stack_spacing_differs" not in {w.code for w in told.warnings}

    def test_unknown_spacing_is_reported(self, placed):
        with pytest.raises(RuntimeError, match=r"spacing between frames is unknown"):
            dp.preprocess_u8_slices(placed(1, 1, 1), dp.Preprocessor(spacing=(1, 1, 1)))

    def test_x_and_y_need_no_spacing_of_slices(self, placed):
        found, told = dp.preprocess_u8_slices_with_metadata(
            placed(1, 1, 1), dp.Preprocessor(spacing=(2, 2), crop=False)
        )
        assert [one.shape for one in found] == [(1, 1, 3, 1)] * 3
        assert told.resize == dp.Resize(0.5, 0.25, "triangle")
