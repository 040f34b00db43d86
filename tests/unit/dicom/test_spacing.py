"""The spacing of pixels in the patient, and where it comes from."""

import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.dicom.description import Projection, UltrasoundRegion
from dicom_preprocessing.dicom.spacing import PixelSpacing, find_magnification, find_spacing
from tests.unit.descriptions import attribute, description_of, groups, keyword_of

REGION = {
    "spatial_format": 1,
    "min_x": 0,
    "min_y": 0,
    "max_x": 1,
    "max_y": 0,
    "units_x": 3,
    "units_y": 3,
    "delta_x": 0.02,
    "delta_y": 0.03,
}


def projection(**values):
    """Values by field; several as a tuple."""
    several = {f: v if isinstance(v, tuple) else (v,) for f, v in values.items()}
    return Projection(**{f: attribute(keyword_of(f), *v) for f, v in several.items()})


def region(**changes):
    values = REGION | changes
    return UltrasoundRegion(**{f: attribute(f, v) for f, v in values.items() if v is not None})


def found(regions=(), pixel=None, imager=None, **values):
    """Spacing by the attributes; pairs are rows first, as in a file."""
    return find_spacing(
        description_of(
            pixel_spacing=pixel,
            imager_pixel_spacing=imager,
            projection=projection(**values),
            ultrasound_regions=tuple(regions),
        )
    )


MAGNIFIED = {"estimated_radiographic_magnification_factor": 1.25}
SCANNED = {"nominal_scanned_pixel_spacing": (0.2, 0.1)}
CALIBRATED = {"pixel_spacing_calibration_type": "GEOMETRY"}


class TestFrames:
    @staticmethod
    def of_frames(*spacings, field="pixel_spacing", number=None):
        frames = tuple(groups(**({} if s is None else {field: s})) for s in spacings)
        return find_spacing(
            description_of(
                frames=frames,
                number_of_frames=number or len(frames),
                shared=groups(**{field: (0.5, 0.5)}),
            )
        )

    @pytest.mark.parametrize("field", ["pixel_spacing", "imager_pixel_spacing"])
    def test_frames_of_several_spacings_have_none(self, field):
        assert self.of_frames((0.5, 0.5), (0.7, 0.7), field=field) is None

    def test_the_shared_spacing_is_that_of_frames_without_one(self):
        assert self.of_frames((0.7, 0.7), None) is None
        assert self.of_frames((0.5, 0.5), None) == (0.5, 0.5, "pixel")

    def test_rounding_is_no_difference(self):
        assert self.of_frames((0.70001, 0.7), (0.7, 0.7)).y == 0.70001

    def test_groups_of_other_frames_do_not_count(self):
        assert self.of_frames((0.7, 0.7), (0.9, 0.9), number=1) == (0.7, 0.7, "pixel")


class TestSource:
    def test_any_number_of_frames_costs_what_the_groups_cost(self):
        own = groups(pixel_spacing=(1, 1), imager_pixel_spacing=(2, 2))
        described = description_of(number_of_frames=2**31 - 1, frames=(own,))
        tracemalloc.start()
        try:
            assert find_spacing(described) is not None
            assert tracemalloc.get_traced_memory()[1] < 1e6
        finally:
            tracemalloc.stop()

    def test_pixel_spacing_alone_is_that_of_pixels(self):
        assert found(pixel=(0.5, 0.25)) == PixelSpacing(0.25, 0.5, "pixel")

    def test_pixel_spacing_with_a_calibration_type_is_calibrated(self):
        assert found(pixel=(0.5, 0.5), **CALIBRATED) == (0.5, 0.5, "calibrated")

    def test_a_calibration_type_counts_though_the_detector_has_the_same(self):
        given = found(pixel=(0.5, 0.5), imager=(0.5, 0.5), **CALIBRATED, **MAGNIFIED)
        assert given == (0.5, 0.5, "calibrated")

    def test_another_value_than_at_the_detector_is_calibrated(self):
        assert found(pixel=(0.4, 0.4), imager=(0.5, 0.5), **MAGNIFIED).source == "calibrated"

    def test_the_value_of_the_detector_is_not_calibrated(self):
        given = found(pixel=(0.5, 0.5), imager=(0.5, 0.5), **MAGNIFIED)
        assert given == (0.4, 0.4, "imager_corrected")

    def test_rounding_is_no_calibration(self):
        assert found(pixel=(0.0941, 0.0941), imager=(0.094090909, 0.094090909)).source == "imager"

    def test_a_value_other_than_that_of_the_film_is_calibrated(self):
        assert found(pixel=(0.3, 0.3), **SCANNED) == (0.3, 0.3, "calibrated")

    def test_the_value_of_the_film_is_not_calibrated(self):
        assert found(pixel=(0.2, 0.1), **SCANNED) == (0.1, 0.2, "nominal_scanned")

    def test_a_value_that_is_one_of_both_is_not_calibrated(self):
        assert found(pixel=(0.2, 0.1), imager=(0.5, 0.5), **SCANNED).source == "imager"

    def test_imager_without_magnification_is_at_the_detector(self):
        assert found(imager=(0.5, 0.25)) == (0.25, 0.5, "imager")

    def test_calibration_type_without_pixel_spacing_says_nothing(self):
        assert found(imager=(0.5, 0.5), **CALIBRATED).source == "imager"

    def test_film_without_others(self):
        assert found(**SCANNED).source == "nominal_scanned"

    def test_pixel_spacing_of_groups_is_compared_with_the_detector_at_the_top_level(self):
        shared = groups(pixel_spacing=(0.3, 0.3))
        description = description_of(imager_pixel_spacing=(0.4, 0.4), shared=shared)
        assert find_spacing(description) == (0.3, 0.3, "calibrated")

    def test_none_is_unknown(self):
        assert found() is None


class TestMagnification:
    @pytest.mark.parametrize(
        ("values", "factor"),
        [
            ({"estimated_radiographic_magnification_factor": 1.5}, 1.5),
            ({"distance_source_to_detector": 1800, "distance_source_to_patient": 1500}, 1.2),
            ({"distance_source_to_detector": 1800}, None),
            ({"distance_source_to_detector": 1000, "distance_source_to_patient": 1500}, None),
            ({"distance_source_to_detector": 1000, "distance_source_to_patient": 0}, None),
            ({"estimated_radiographic_magnification_factor": 0.9}, None),
            ({"estimated_radiographic_magnification_factor": math.nan}, None),
            ({"estimated_radiographic_magnification_factor": "x"}, None),
            ({}, None),
        ],
    )
    def test_is_the_stated_factor_or_that_of_distances(self, values, factor):
        assert find_magnification(projection(**values)) == factor

    def test_stated_factor_goes_before_distances(self):
        distances = {"distance_source_to_detector": 1800, "distance_source_to_patient": 1500}
        assert find_magnification(projection(**MAGNIFIED, **distances)) == 1.25

    def test_impossible_factor_leaves_it_to_distances(self):
        distances = {"distance_source_to_detector": 1800, "distance_source_to_patient": 1500}
        values = {"estimated_radiographic_magnification_factor": 0}
        assert find_magnification(projection(**values, **distances)) == 1.2


class TestUltrasound:
    def test_region_gives_millimetres(self):
        x, y, source = found([region()])
        assert (x, y) == (pytest.approx(0.2), pytest.approx(0.3))
        assert source == "region"

    def test_pixel_spacing_goes_before_the_region(self):
        assert found([region()], pixel=(1, 1)).source == "pixel"

    @pytest.mark.parametrize(
        "changes",
        [
            {"units_x": 4},
            {"units_y": None},
            {"delta_x": 0},
            {"delta_y": None},
            {"delta_y": math.inf},
            {"delta_y": 1e308},
            {"spatial_format": 3},
            {"min_x": None},
            {"min_x": 5},
        ],
    )
    def test_unusable_scales_are_unknown(self, changes):
        assert found([region(**changes)]) is None

    def test_negative_delta_is_the_direction_of_the_axis(self):
        assert found([region(delta_y=-0.03)]).y == pytest.approx(0.3)

    def test_the_largest_region_counts(self):
        small, large = region(max_x=0, delta_x=1), region(delta_x=0.5)
        assert found([small, large]).x == pytest.approx(5)


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(["", "x", 0, -1])
pairs = st.none() | st.tuples(numbers, numbers) | st.tuples(numbers)


@given(st.tuples(pairs, pairs, pairs), st.tuples(numbers, numbers, numbers))
def test_whatever_attributes_say_a_spacing_is_positive(spacings, others):
    (pixel, imager, film), (factor, one, other) = spacings, others
    given_spacing = found(
        [region(delta_x=one, delta_y=other)],
        pixel=pixel,
        imager=imager,
        nominal_scanned_pixel_spacing=film or "",
        estimated_radiographic_magnification_factor=factor,
        distance_source_to_detector=one,
        distance_source_to_patient=other,
    )
    if given_spacing is not None:
        assert all(value > 0 and math.isfinite(value) for value in given_spacing[:2])
