"""Where pages lie in the patient, by descriptions written by hand."""

import pytest

from dicom_preprocessing.decode.frame_order import frame_order
from dicom_preprocessing.decode.space import find_patient_space, place_pages
from dicom_preprocessing.imaging.space import PatientSpace
from dicom_preprocessing.imaging.volume import Blend, Volume, handle_volume
from tests.unit.descriptions import description_of, groups
from tests.unit.imaging.test_volume import frames_of

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PLACED = {
    "image_position_patient": (1.0, 2.0, 3.0),
    "image_orientation_patient": AXIAL,
    "pixel_spacing": (0.5, 0.25),
}


def of_one(**changes):
    return find_patient_space(description_of(**PLACED | changes), (0,))


def multi_frame(*z, **values):
    """Frames at several z."""
    shared = groups(image_orientation_patient=AXIAL, pixel_spacing=(0.5, 0.25))
    frames = tuple(groups(image_position_patient=(1.0, 2.0, one)) for one in z)
    return description_of(**{"shared": shared, "frames": frames} | values)


def z_of_pages(description, n, **settings):
    """What becomes of the frames of an object, as the decode stage does it."""
    order = frame_order(description, n)
    frames = frames_of(*range(n))
    volume = handle_volume(Volume(frames, order.spacing, order.distances), **settings)
    space = find_patient_space(description, order.order, volume.sources)
    assert len(space.positions) == len(volume.frames)
    return [z for _, _, z in space.positions]


class TestOneFrame:
    def test_spacing_of_rows_is_that_in_y(self):
        assert of_one() == PatientSpace(AXIAL, (0.25, 0.5), ((1.0, 2.0, 3.0),))

    @pytest.mark.parametrize("lacking", PLACED)
    def test_what_is_missing_leaves_it_unknown(self, lacking):
        assert of_one(**{lacking: None}) is None

    @pytest.mark.parametrize(
        "changes",
        [
            {"image_position_patient": (1, 2, "nan")},
            {"image_position_patient": (1, 2)},
            {"image_orientation_patient": (1, 0, 0, 0, 1, "inf")},
            {"image_orientation_patient": (1, 0, 0, 1, 0, 0)},
            {"image_orientation_patient": (0, 0, 0, 0, 0, 0)},
            {"image_orientation_patient": (1, 0, 0, 0.011, 1, 0)},
            {"image_orientation_patient": (0.989, 0, 0, 0, 1, 0)},
            {"image_orientation_patient": (1, 0, 0, 0, 1e200, 0)},
            {"pixel_spacing": (0, 0.25)},
            {"pixel_spacing": (0.5, -0.25)},
            {"pixel_spacing": (0.5, "x")},
        ],
        ids=str,
    )
    def test_what_is_unusable_leaves_it_unknown(self, changes):
        assert of_one(**changes) is None

    @pytest.mark.parametrize("cosines", [(0.991, 0, 0, 0, 1.009, 0), (1, 0, 0, 0.009, 1, 0)])
    def test_rounded_cosines_are_used(self, cosines):
        assert of_one(image_orientation_patient=cosines).orientation == cosines

    def test_spacing_at_the_detector_is_none_in_the_patient(self):
        assert of_one(pixel_spacing=None, imager_pixel_spacing=(0.1, 0.1)) is None


class TestFrames:
    def test_are_in_their_order(self):
        assert z_of_pages(multi_frame(7.0, -2.0, 4.0), 3) == [-2, 4, 7]

    @pytest.mark.parametrize(
        ("settings", "z"),
        [
            ({"handler": "central-slice"}, [4]),
            ({"handler": "max-intensity", "skip_frames": 1}, [-2]),
            ({"handler": "interpolate", "target_frames": 2}, [-3, 7]),
            ({"handler": "interpolate", "target_frames": 3}, [-3, 1, 7]),
            ({"spacing_z": 4.0}, [-3, 1, 5]),
        ],
        ids=str,
    )
    def test_of_which_pages_are_made_say_where_these_lie(self, settings, z):
        found = z_of_pages(multi_frame(7.0, -2.0, 4.0, -3.0), 4, **settings)
        assert found == pytest.approx(z)

    def test_of_several_volumes_are_where_they_are_stored(self):
        assert z_of_pages(multi_frame(1.0, 2.0, 1.0), 3) == [1, 2, 1]

    def test_of_a_dose_are_at_its_offsets(self):
        dose = description_of(**PLACED, grid_frame_offset_vector=(0, 2, 5), number_of_frames=3)
        assert z_of_pages(dose, 3) == [3, 5, 8]

    def test_with_one_position_for_all_are_nowhere(self):
        assert find_patient_space(description_of(**PLACED), (0, 1)) is None

    def test_of_which_one_has_no_position_are_nowhere(self):
        frames = (groups(image_position_patient=(1, 2, 3)), groups())
        assert find_patient_space(multi_frame(frames=frames), (0, 1)) is None


class TestPlanes:
    POSITIONS = ((0.0, 0.0, 0.0), (0.0, 0.0, 5.0))
    TILTED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0011)

    def test_that_are_not_parallel_have_no_common_space(self):
        assert place_pages(self.POSITIONS, (AXIAL, self.TILTED), [(1.0, 1.0)] * 2) is None
        assert place_pages(self.POSITIONS, (AXIAL, None), [(1.0, 1.0)] * 2) is None

    def test_that_are_parallel_but_for_rounding_have_one(self):
        rounded = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0009)
        found = place_pages(self.POSITIONS, (AXIAL, rounded), [(1.0, 1.0)] * 2)
        assert found == PatientSpace(AXIAL, (1.0, 1.0), self.POSITIONS)

    def test_with_pixels_of_several_sizes_have_no_common_space(self):
        assert place_pages(self.POSITIONS, [AXIAL] * 2, ((1.0, 1.0), (1.0, 2.0))) is None
        assert place_pages(self.POSITIONS, [AXIAL] * 2, ((1.0, 1.0), None)) is None

    def test_with_positions_beyond_all_numbers_have_none(self):
        far = ((1e308, 0.0, 0.0), (1e308, 0.0, 5.0))
        source = (Blend(0, 1, 16, 15),)
        assert place_pages(far, [AXIAL] * 2, [(1.0, 1.0)] * 2, source) is None
