"""What counts of a description: written by hand, without a file and without pydicom."""

import dataclasses
import math

import pytest

from dicom_preprocessing.dicom.attribute import ABSENT
from dicom_preprocessing.dicom.contradictions import GroupLevel
from dicom_preprocessing.dicom.description import (
    NO_GROUPS,
    FunctionalGroups,
    PerFrame,
    Rescale,
    Window,
)
from tests.unit.descriptions import attribute, description_of, groups, table

TOP, SHARED, FRAME = GroupLevel.TOP, GroupLevel.SHARED, GroupLevel.FRAME
ONE, TWO, THREE = table(1), table(2), table(3)


class Case:
    """Something that may stand at each of three places: fields, and the value that is read."""

    def __init__(self, read, *pairs):
        self.read, self.pairs = read, pairs


CASES = {
    "rescale": Case(
        lambda d: d.rescales(1).values[0],
        ({"rescale_slope": 2, "rescale_intercept": -1}, Rescale(2.0, -1.0)),
        ({"rescale_slope": 3, "rescale_intercept": "0"}, Rescale(3.0, 0.0)),
        ({"rescale_slope": 1, "rescale_intercept": 4}, Rescale(1.0, 4.0)),
    ),
    "windows": Case(
        lambda d: d.voi_transforms(1)[0],
        ({"window_center": 1, "window_width": 2}, (Window(1.0, 2.0),)),
        ({"window_center": (3, 5), "window_width": (4, 6)}, (Window(3, 4), Window(5, 6))),
        (
            {"window_center": 7, "window_width": 8, "voi_lut_function": "sigmoid"},
            (Window(7.0, 8.0, "SIGMOID"),),
        ),
    ),
    "voi_lut_function": Case(
        lambda d: d.voi_lut_functions(1)[0],
        ({"voi_lut_function": "LINEAR"}, "LINEAR"),
        ({"voi_lut_function": "linear_exact "}, "LINEAR_EXACT"),
        ({"voi_lut_function": "SIGMOID"}, "SIGMOID"),
    ),
    "voi_luts": Case(
        lambda d: d.voi_transforms(1)[0],
        ({"voi_luts": (ONE,)}, (ONE,)),
        ({"voi_luts": (TWO,)}, (TWO,)),
        ({"voi_luts": (THREE, ONE)}, (THREE, ONE)),
    ),
    "pixel_spacing": Case(
        lambda d: d.pixel_spacing(),
        ({"pixel_spacing": (0.5, 0.25)}, (0.25, 0.5)),
        ({"pixel_spacing": (4, 3)}, (3.0, 4.0)),
        ({"pixel_spacing": (2, 1), "imager_pixel_spacing": (4, 3)}, (1.0, 2.0)),
    ),
    "imager_pixel_spacing": Case(
        lambda d: d.imager_pixel_spacing(),
        ({"imager_pixel_spacing": (0.5, 0.25)}, (0.25, 0.5)),
        ({"imager_pixel_spacing": (4, 3)}, (3.0, 4.0)),
        ({"pixel_spacing": (2, 1), "imager_pixel_spacing": (4, 2)}, (2.0, 4.0)),
    ),
    "spacing_between_slices": Case(
        lambda d: d.spacing_between_slices(),
        ({"spacing_between_slices": 1.5}, 1.5),
        ({"spacing_between_slices": -2}, 2.0),
        ({"spacing_between_slices": "3"}, 3.0),
    ),
    "position": Case(
        lambda d: d.positions(1)[0],
        ({"image_position_patient": (1, 2, 3)}, (1.0, 2.0, 3.0)),
        ({"image_position_patient": (4, 5, 6)}, (4.0, 5.0, 6.0)),
        ({"image_position_patient": (7, 8, 9)}, (7.0, 8.0, 9.0)),
    ),
    "orientation": Case(
        lambda d: d.orientations(1)[0],
        ({"image_orientation_patient": (1, 0, 0, 0, 1, 0)}, (1, 0, 0, 0, 1, 0)),
        ({"image_orientation_patient": (0, 1, 0, 0, 0, 1)}, (0, 1, 0, 0, 0, 1)),
        ({"image_orientation_patient": (0, 0, 1, 1, 0, 0)}, (0, 0, 1, 1, 0, 0)),
    ),
    "patient_orientation": Case(
        lambda d: d.patient_directions(),
        ({"patient_orientation": ("A", "R")}, ("A", "R")),
        ({"patient_orientation": ("p", "l")}, ("P", "L")),
        ({"patient_orientation": ("A ", "FR")}, ("A", "FR")),
    ),
}


def is_first(found, value):
    """Whether a value is what counts, or, of several alternatives, what comes first."""
    return found == value or (isinstance(found, tuple) and found[: len(value)] == value)


EVERY = pytest.mark.parametrize("name", CASES)


def placed(case, *, top=None, shared=None, frame=None):
    """A description with values, by number, at places, and what is read of it."""
    fields = {} if top is None else case.pairs[top][0]
    others = {}
    if shared is not None:
        others["shared"] = groups(**case.pairs[shared][0])
    if frame is not None:
        others["frames"] = (groups(**case.pairs[frame][0]),)
    return case.read(description_of(**fields, **others))


class TestGroupLevels:
    @EVERY
    def test_nothing_tells_nothing(self, name):
        assert not placed(CASES[name])

    @EVERY
    @pytest.mark.parametrize("number", range(3))
    def test_top_level(self, name, number):
        assert placed(CASES[name], top=number) == CASES[name].pairs[number][1]

    @EVERY
    @pytest.mark.parametrize("number", range(3))
    def test_shared_group(self, name, number):
        assert placed(CASES[name], shared=number) == CASES[name].pairs[number][1]

    @EVERY
    @pytest.mark.parametrize("number", range(3))
    def test_group_of_the_frame(self, name, number):
        assert placed(CASES[name], frame=number) == CASES[name].pairs[number][1]

    @EVERY
    def test_group_of_the_frame_goes_before_the_others(self, name):
        assert is_first(placed(CASES[name], top=0, shared=1, frame=2), CASES[name].pairs[2][1])

    @EVERY
    def test_shared_group_goes_before_the_top_level(self, name):
        assert is_first(placed(CASES[name], top=0, shared=1), CASES[name].pairs[1][1])

    @EVERY
    def test_empty_attributes_at_the_top_level_leave_it_to_the_groups(self, name):
        case = CASES[name]
        fields = case.pairs[0][0].keys() - {"voi_luts"}
        empty = {field: attribute(field) for field in fields}
        found = case.read(description_of(**empty, shared=groups(**case.pairs[1][0])))
        assert found == case.pairs[1][1]


class TestFrames:
    def rescales(self, count, **values):
        return description_of(**values).per_frame("rescale", FunctionalGroups.rescale, count)

    def test_top_level_counts_for_every_frame(self):
        found = self.rescales(2, rescale_slope=2)
        assert found == PerFrame((Rescale(2.0), Rescale(2.0)), (TOP, TOP))

    def test_nothing_anywhere_has_no_place(self):
        assert self.rescales(2) == PerFrame((None, None), (None, None))

    def test_nothing_in_groups_that_are_there_has_no_place(self):
        found = self.rescales(2, shared=groups(stack_id="1"))
        assert found == PerFrame((None, None), (None, None))

    def test_each_frame_has_its_own(self):
        frames = (groups(rescale_slope=2), groups(rescale_slope=3))
        assert self.rescales(2, frames=frames).values == (Rescale(2.0), Rescale(3.0))

    def test_frames_without_their_own_have_that_of_the_shared_group(self):
        found = self.rescales(
            2, shared=groups(rescale_slope=4), frames=(groups(), groups(rescale_slope=3))
        )
        assert found == PerFrame((Rescale(4.0), Rescale(3.0)), (SHARED, FRAME))

    def test_more_groups_than_frames_are_left_out(self):
        frames = (groups(rescale_slope=2), groups(rescale_slope=3))
        assert self.rescales(1, frames=frames).values == (Rescale(2.0),)

    def test_frames_behind_the_last_group_have_that_of_the_shared_group(self):
        found = self.rescales(3, shared=groups(rescale_slope=4), frames=(groups(rescale_slope=2),))
        assert found.values == (Rescale(2.0), Rescale(4.0), Rescale(4.0))

    def test_frames_behind_the_last_group_have_nothing_else(self):
        found = self.rescales(2, frames=(groups(rescale_slope=2),))
        assert found == PerFrame((Rescale(2.0), None), (FRAME, None))

    def test_no_frames_are_no_values(self):
        assert self.rescales(0, rescale_slope=2) == PerFrame((), ())

    def test_half_that_a_group_lacks_is_that_of_the_next_level(self):
        own, shared = groups(rescale_slope=2), groups(rescale_intercept=-5)
        found = self.rescales(2, rescale_intercept=7, shared=shared, frames=(own, groups()))
        assert found.values == (Rescale(2.0, -5.0), Rescale(1.0, -5.0))

    def test_half_window_is_completed_by_the_top_level(self):
        description = description_of(window_width=4, frames=(groups(window_center=3),))
        assert description.voi_transforms(1)[0][0] == Window(3.0, 4.0)

    def test_spacing_is_that_of_the_first_frame(self):
        frames = (groups(pixel_spacing=(2, 1)), groups(pixel_spacing=(4, 3)))
        assert description_of(frames=frames).pixel_spacing() == (1.0, 2.0)

    def test_patient_directions_are_those_of_the_first_frame(self):
        frames = (groups(), groups(patient_orientation=("A", "R")))
        assert description_of(frames=frames).patient_directions() is None


class TestRescale:
    @pytest.mark.parametrize("value", ["1,0", math.nan, math.inf])
    def test_what_is_no_number_is_not_finite(self, value):
        assert not groups(rescale_slope=value).rescale().is_finite
        assert not groups(rescale_intercept=value).rescale().is_finite

    def test_numbers_are_finite(self):
        assert groups(rescale_slope=0, rescale_intercept=-1024).rescale().is_finite

    def test_empty_attributes_tell_nothing(self):
        assert groups(rescale_slope=(), rescale_intercept="").rescale() is None


class TestWindows:
    @pytest.mark.parametrize(
        ("width", "function", "usable"),
        [
            (1, "LINEAR", True),
            (0.5, "LINEAR", True),
            (0.5, "LINEAR_EXACT", True),
            (0.5, "SIGMOID", True),
            (0, "LINEAR_EXACT", False),
            (0, "SIGMOID", False),
            (-1, "SIGMOID", False),
            (1, "UNKNOWN", True),
            (math.nan, "LINEAR", False),
            (math.inf, "SIGMOID", False),
        ],
    )
    def test_usable_is_what_has_a_width(self, width, function, usable):
        assert Window(40, width, function).is_usable is usable

    @pytest.mark.parametrize("center", [math.nan, math.inf])
    def test_center_that_is_no_number_is_not_usable(self, center):
        assert not Window(center, 10).is_usable

    def test_unusable_windows_are_windows(self):
        assert groups(window_center=1, window_width=0).windows() == (Window(1.0, 0.0),)

    def test_center_without_a_width_is_none(self):
        assert groups(window_center=(1, 2), window_width=3).windows() == (Window(1.0, 3.0),)

    @pytest.mark.parametrize("field", ["window_center", "window_width"])
    def test_half_a_window_is_unusable(self, field):
        (window,) = groups(**{field: 1}).windows()
        assert not window.is_usable

    def test_function_counts_where_its_window_stands(self):
        description = description_of(
            voi_lut_function="SIGMOID", shared=groups(window_center=1, window_width=2)
        )
        assert description.voi_transforms(1) == ((Window(1.0, 2.0, "LINEAR"),),)


class TestSpacing:
    def test_row_spacing_stands_first_and_is_y(self):
        assert groups(pixel_spacing=(0.5, 0.25)).patient_spacing() == (0.25, 0.5)

    @pytest.mark.parametrize(
        "value", [(0, 0), (1, 0), (-1, 1), (1,), (), ("x", 1), (1, math.inf), (math.nan, 1)]
    )
    def test_what_is_not_two_positive_numbers_leaves_it_to_the_next_level(self, value):
        description = description_of(pixel_spacing=(4, 3), shared=groups(pixel_spacing=value))
        assert description.pixel_spacing() == (3.0, 4.0)

    @pytest.mark.parametrize("value", [0, "", "x", math.nan, math.inf])
    def test_between_slices_without_a_number_is_unknown(self, value):
        assert description_of(spacing_between_slices=value).spacing_between_slices() is None


class TestVectors:
    @pytest.mark.parametrize("value", [(1, 2), (1, 2, 3, 4), (1, 2, "x"), (1, 2, math.inf)])
    def test_position_that_is_no_point_leaves_it_to_the_next_level(self, value):
        shared = groups(image_position_patient=value)
        description = description_of(image_position_patient=(7, 8, 9), shared=shared)
        assert description.positions(1) == ((7.0, 8.0, 9.0),)

    def test_orientation_of_five_numbers_is_none(self):
        assert description_of(image_orientation_patient=(1, 0, 0, 0, 1)).orientations(1) == (None,)


class TestLaterality:
    def test_of_the_image_goes_before_that_of_the_series(self):
        assert description_of(image_laterality="L", laterality="R").breast_laterality() == "L"

    def test_of_frames_goes_before_that_of_the_image(self):
        shared = groups(frame_laterality="L")
        assert description_of(image_laterality="R", shared=shared).breast_laterality() == "L"

    def test_unpaired_leaves_it_to_the_next(self):
        shared = groups(frame_laterality="U")
        assert description_of(image_laterality="R", shared=shared).breast_laterality() == "R"

    def test_of_the_first_frame_goes_before_that_of_the_shared_group(self):
        description = description_of(
            shared=groups(frame_laterality="L"), frames=(groups(frame_laterality="R"),)
        )
        assert description.breast_laterality() == "R"

    def test_of_the_first_frame(self):
        frames = (groups(frame_laterality="R"), groups(frame_laterality="L"))
        assert description_of(frames=frames).breast_laterality() == "R"

    def test_is_in_capitals_and_without_blanks(self):
        assert description_of(image_laterality="r ").breast_laterality() == "R"

    def test_blanks_leave_it_to_the_next(self):
        assert description_of(image_laterality=" ", laterality="R").breast_laterality() == "R"

    def test_is_empty_where_nothing_tells_it(self):
        assert description_of().breast_laterality() == ""


class TestPatientDirections:
    @pytest.mark.parametrize("value", ["A", ("A", "R", "F"), ()])
    def test_other_than_two_are_none(self, value):
        assert description_of(patient_orientation=value).patient_directions() is None


class TestStanding:
    def slopes(self, **values):
        found = description_of(**values).find_present(lambda g: g.rescale_slope)
        return [attribute.text() for attribute in found]

    def test_top_level_where_no_group_has_it(self):
        assert self.slopes(rescale_slope=1, shared=groups()) == ["1"]

    def test_empty_attribute_is_there(self):
        assert self.slopes(rescale_slope=1, shared=groups(rescale_slope=())) == [""]

    def test_all_groups_that_have_it(self):
        frames = (groups(rescale_slope=3), groups(), groups(rescale_slope=4))
        assert self.slopes(shared=groups(rescale_slope=2), frames=frames) == ["2", "3", "4"]

    def test_nowhere(self):
        assert self.slopes() == []


class TestRecord:
    def test_it_cannot_be_changed(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            description_of().top = NO_GROUPS

    def test_equal_values_make_equal_descriptions(self):
        assert description_of(frames=(groups(rescale_slope=2),)) == description_of(
            frames=(groups(rescale_slope=2),)
        )

    def test_it_can_be_a_key(self):
        assert len({description_of(rows=1), description_of(rows=1), description_of(rows=2)}) == 2

    def test_what_is_not_given_is_absent(self):
        assert description_of(rows=None).pixel.rows is ABSENT
