"""Order and spacing of frames, by descriptions written by hand."""

import pytest

from dicom_preprocessing.decode.frame_order import frame_order
from tests.unit.descriptions import description_of, groups

AXIAL = (1, 0, 0, 0, 1, 0)


def content(**values):
    return groups(macros=["FrameContentSequence"], **values)


def placed(*position):
    return groups(image_position_patient=position)


def order_of(*frames, n=None, **values):
    return frame_order(description_of(frames=frames, **values), n or len(frames))


def axial(*frames, n=None, **values):
    """With the orientation of axial slices in the shared group."""
    return order_of(*frames, n=n, shared=groups(image_orientation_patient=AXIAL), **values)


class TestOrder:
    def test_without_any_hint_it_is_as_stored(self):
        assert order_of(n=3).order == (0, 1, 2)

    def test_dimension_indices(self):
        frames = [content(dimension_index_values=(1, n)) for n in (3, 1, 2)]
        assert order_of(*frames).order == (1, 2, 0)

    def test_first_dimension_index_is_the_slowest(self):
        frames = [content(dimension_index_values=n) for n in ((2, 1), (1, 2), (1, 1))]
        assert order_of(*frames).order == (2, 1, 0)

    def test_in_stack_position(self):
        frames = [content(in_stack_position_number=n) for n in (3, 1, 2)]
        assert order_of(*frames).order == (1, 2, 0)

    def test_dimension_indices_come_before_in_stack_position(self):
        pairs = ((3, 1), (1, 2), (2, 3))
        frames = [content(dimension_index_values=d, in_stack_position_number=n) for d, n in pairs]
        assert order_of(*frames).order == (1, 2, 0)

    def test_in_stack_position_comes_before_geometry(self):
        pairs = ((3, 1), (1, 2), (2, 3))
        frames = [
            content(in_stack_position_number=n, image_position_patient=(0, 0, z)) for n, z in pairs
        ]
        assert axial(*frames).order == (1, 2, 0)

    def test_indices_that_some_frames_lack_do_not_count(self):
        frames = [content(dimension_index_values=2), content(dimension_index_values=1), groups()]
        assert order_of(*frames).order == (0, 1, 2)

    def test_indices_of_which_one_cannot_be_read_do_not_count(self):
        frames = [content(dimension_index_values=v) for v in ((1.0, 3.0), (1.0, "x"), (1.0, 1.0))]
        assert order_of(*frames).order == (0, 1, 2)

    def test_indices_of_fewer_frames_than_there_are_do_not_count(self):
        frames = [content(dimension_index_values=n) for n in (2, 1)]
        assert order_of(*frames, n=3).order == (0, 1, 2)

    def test_indices_of_two_frames_that_are_equal_do_not_count(self):
        frames = [content(dimension_index_values=n) for n in (2, 1, 2)]
        assert order_of(*frames).order == (0, 1, 2)

    def test_indices_of_several_lengths_do_not_count(self):
        frames = [content(dimension_index_values=n) for n in ((2, 1), 1)]
        assert order_of(*frames).order == (0, 1)

    def test_indices_that_do_not_count_leave_it_to_the_geometry(self):
        frames = [
            content(dimension_index_values=1, image_position_patient=(0, 0, z)) for z in (2, 1)
        ]
        assert axial(*frames).order == (1, 0)

    def test_geometry_goes_along_the_slice_normal(self):
        assert axial(*(placed(0, 0, z) for z in (7.5, -2.5, 2.5))).order == (1, 2, 0)

    def test_normal_is_the_cross_product_of_row_and_column(self):
        # row +x, column -z: the normal is +y
        frames = [placed(0, y, 0) for y in (3, 1, 2)]
        shared = groups(image_orientation_patient=(1, 0, 0, 0, 0, -1))
        assert order_of(*frames, shared=shared).order == (1, 2, 0)

    def test_normal_against_the_axis_turns_the_order(self):
        # row +x, column -y: the normal is -z
        frames = [placed(0, 0, z) for z in (1, 3, 2)]
        shared = groups(image_orientation_patient=(1, 0, 0, 0, -1, 0))
        assert order_of(*frames, shared=shared).order == (1, 2, 0)

    def test_geometry_needs_an_orientation(self):
        assert order_of(placed(0, 0, 2), placed(0, 0, 1)).order == (0, 1)

    def test_geometry_needs_the_position_of_every_frame(self):
        assert axial(placed(0, 0, 2), placed(0, 0, 1), groups()).order == (0, 1, 2)

    def test_one_position_for_all_frames_tells_nothing(self):
        found = axial(n=3, image_position_patient=(0, 0, 1))
        assert (found.order, found.spacing, found.is_one_volume) == ((0, 1, 2), None, True)

    def test_one_frame_is_one_volume(self):
        found = order_of(content(stack_id="1"))
        assert (found.order, found.is_one_volume) == ((0,), True)


class TestSpacing:
    def test_median_step_of_the_positions(self):
        frames = [placed(0, 0, z) for z in (0, 2, 5, 7)]
        assert axial(*frames, spacing_between_slices=9).spacing == 2.0

    def test_spacing_between_slices_without_positions(self):
        assert order_of(n=2, spacing_between_slices=2.5).spacing == 2.5

    def test_spacing_between_slices_of_the_shared_group(self):
        assert order_of(n=2, shared=groups(spacing_between_slices=1.5)).spacing == 1.5

    def test_spacing_between_slices_of_one_frame(self):
        assert order_of(n=1, spacing_between_slices=2.5).spacing == 2.5

    def test_unknown(self):
        assert order_of(n=2).spacing is None

    def test_steps_are_between_places_and_not_between_frames(self):
        frames = [placed(0, 0, z) for z in (0, 0, 0, 3)]
        assert axial(*frames).spacing == 3.0

    @pytest.mark.parametrize("z", [1e308, -1e308, 1e200])
    def test_positions_that_are_none_tell_nothing(self, z):
        tilted = (1e200, 0, 0, 0, 1, 0)
        frames = [placed(0, 0, z), placed(0, 0, 0)]
        assert order_of(*frames, shared=groups(image_orientation_patient=tilted)).order == (0, 1)


class TestDistances:
    def test_are_those_of_the_ordered_frames(self):
        assert axial(*(placed(0, 0, z) for z in (7.5, -2.5, 2.5))).distances == (-2.5, 2.5, 7.5)

    def test_are_against_the_normal_where_the_order_is(self):
        frames = [
            content(in_stack_position_number=n, image_position_patient=(0, 0, -n)) for n in (2, 1)
        ]
        found = axial(*frames)
        assert (found.order, found.distances) == ((1, 0), (1.0, 2.0))

    def test_do_not_ascend_where_indices_say_another_order(self):
        pairs = ((1, 0), (2, 5), (3, 1))
        frames = [
            content(in_stack_position_number=n, image_position_patient=(0, 0, z)) for n, z in pairs
        ]
        assert axial(*frames).distances == (0.0, 5.0, 1.0)

    def test_are_offsets_of_a_dose_without_position(self):
        found = order_of(n=3, grid_frame_offset_vector=(0, -3, -6), number_of_frames=3)
        assert found.distances == (-6.0, -3.0, 0.0)

    @pytest.mark.parametrize("n", [1, 3])
    def test_are_unknown_with_one_position_for_all(self, n):
        assert axial(n=n, image_position_patient=(0, 0, 1)).distances is None

    def test_of_several_volumes_are_none(self):
        assert axial(*SEVERAL["position"]).distances is None


ECHOES = [groups(macros=["MREchoSequence"], effective_echo_time=e) for e in (10.0, 10.0, 80.0)]
DIFFUSION = [groups(macros=["MRDiffusionSequence"], diffusion_b_value=b) for b in (0.0, 0.0, 9.0)]
SEVERAL = {
    "stack": [content(stack_id=s) for s in ("1", "1", "2")],
    "time": [content(temporal_position_index=t) for t in (1, 1, 2)],
    "echo": ECHOES,
    "diffusion": DIFFUSION,
    "position": [placed(0, 0, z) for z in (1, 2, 1)],
    "position but for noise": [placed(0, 0, z) for z in (1, 2, 1.00003)],
    "position but for noise, wherever": [placed(0, 0, z) for z in (1.00008, 1.00002, 2)],
    "stack of some": [content(stack_id="1"), content(stack_id="1"), content()],
}


class TestFramesThatDiffer:
    CORONAL = (1, 0, 0, 0, 0, -1)

    def skewed(self, *numbers, **values):
        """Frames of alternating orientations at descending positions, with in-stack positions."""
        frames = [
            groups(
                image_orientation_patient=self.CORONAL if i % 2 else AXIAL,
                image_position_patient=(0, 0, -3 * i),
                in_stack_position_number=number,
            )
            for i, number in enumerate(numbers)
        ]
        return order_of(*frames, **values)

    def test_positions_do_not_order_frames_that_are_not_parallel(self):
        found = self.skewed(None, None, None)
        assert (found.order, found.distances, found.spacing) == ((0, 1, 2), None, None)

    def test_indices_do(self):
        assert self.skewed(3, 1, 2).order == (1, 2, 0)

    def test_their_distance_is_the_stated_one(self):
        shared = groups(spacing_between_slices=2)
        assert self.skewed(1, 2, 3, shared=shared).spacing == 2

    def test_rounding_of_orientations_is_no_difference(self):
        rounded = (1, 0.0004, 0, -0.0004, 1, 0)
        frames = [
            groups(image_orientation_patient=o, image_position_patient=(0, 0, z))
            for o, z in ((AXIAL, 3), (rounded, 0))
        ]
        assert order_of(*frames).order == (1, 0)

    def test_distance_by_several_steps_is_unknown(self):
        assert order_of(*(groups(spacing_between_slices=s) for s in (2, 3))).spacing is None

    def test_positions_are_surer_than_steps(self):
        frames = [
            groups(spacing_between_slices=s, image_position_patient=(0, 0, z))
            for s, z in ((2, 0), (3, 5))
        ]
        assert axial(*frames).spacing == 5


class TestSeveralVolumes:
    @pytest.mark.parametrize("name", SEVERAL)
    def test_stay_as_they_are_stored(self, name):
        found = axial(*SEVERAL[name])
        assert (found.order, found.is_one_volume) == ((0, 1, 2), False)

    def test_have_the_spacing_of_their_positions(self):
        assert axial(*SEVERAL["position"]).spacing == 1.0

    def test_one_stack_is_one_volume(self):
        frames = [content(stack_id="1", in_stack_position_number=n) for n in (3, 1, 2)]
        assert axial(*frames).order == (1, 2, 0)

    def test_frames_without_the_macro_do_not_make_several(self):
        assert axial(content(stack_id="1"), groups(), groups()).is_one_volume

    def test_positions_beyond_the_tolerance_are_several(self):
        found = axial(*(placed(0, 0, z) for z in (1.004, 1, 1.002)))
        assert (found.order, found.is_one_volume) == ((1, 2, 0), True)
