"""What becomes of the frames of a volume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.errors import NoSpacingError, VolumeError
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.pyramid import modulate_detail
from dicom_preprocessing.imaging.volume import (
    MAX_FRAMES,
    Blend,
    Volume,
    handle_volume,
    interpolate,
    laplacian_mip,
    max_intensity,
    mix,
)


def frames_of(*values, dtype=np.uint8):
    """One frame for each value, of a single pixel."""
    return np.array(values, dtype).reshape(-1, 1, 1, 1)


def handle(*values, spacing=None, positions=None, dtype=np.uint8, **settings):
    volume = Volume(frames_of(*values, dtype=dtype), spacing, positions)
    return handle_volume(volume, **settings)


def shown(volume):
    return volume.frames[:, 0, 0, 0].tolist()


class TestKeep:
    def test_every_frame_stays(self):
        assert shown(handle(3, 1, 2)) == [3, 1, 2]

    def test_spacing_stays(self):
        assert handle(3, 1, spacing=2.5).frame_spacing == 2.5


class TestSingleFrame:
    @pytest.mark.parametrize(
        "handler", ["keep", "central-slice", "max-intensity", "interpolate", "laplacian-mip"]
    )
    def test_is_left_alone(self, handler):
        volume = Volume(frames_of(7), 2.5)
        assert handle_volume(volume, handler=handler, target_frames=5, skip_frames=3) is volume

    def test_is_not_resampled_in_z(self):
        volume = Volume(frames_of(7), None)
        assert handle_volume(volume, spacing_z=0.1) is volume


class TestCentralSlice:
    def test_odd_count_gives_the_middle(self):
        assert shown(handle(10, 20, 30, handler="central-slice")) == [20]

    def test_even_count_gives_the_later_of_the_two(self):
        assert shown(handle(10, 20, 30, 40, handler="central-slice")) == [30]

    def test_two_frames_give_the_second(self):
        assert shown(handle(10, 20, handler="central-slice")) == [20]

    def test_spacing_of_frames_is_gone(self):
        volume = handle(10, 20, 30, spacing=2.0, handler="central-slice")
        assert volume.frame_spacing is None


class TestMaxIntensity:
    def test_maximum_is_of_each_pixel(self):
        frames = np.array([[[1, 9, 3]], [[4, 2, 3]], [[0, 0, 8]]], np.uint8)[..., np.newaxis]
        assert max_intensity(frames)[..., 0].tolist() == [[[4, 9, 8]]]

    def test_channels_are_separate(self):
        frames = np.array([[[[1, 9, 3]]], [[[4, 2, 3]]]], np.uint16)
        assert max_intensity(frames).tolist() == [[[[4, 9, 3]]]]

    def test_negative_values(self):
        assert max_intensity(frames_of(-7, -3, -5, dtype=np.int16)).ravel().tolist() == [-3]

    def test_nothing_is_skipped_by_default(self):
        assert shown(handle(9, 1, 8, handler="max-intensity")) == [9]

    def test_number_is_skipped_at_both_ends(self):
        settings = {"handler": "max-intensity", "skip_frames": 1}
        assert shown(handle(9, 1, 2, 8, **settings)) == [2]

    def test_pair_is_skipped_at_start_and_end(self):
        settings = {"handler": "max-intensity", "skip_frames": [2, 1]}
        assert shown(handle(9, 8, 1, 3, 7, **settings)) == [3]

    def test_zero_at_the_end_skips_nothing_there(self):
        settings = {"handler": "max-intensity", "skip_frames": (1, 0)}
        assert shown(handle(9, 1, 8, **settings)) == [8]

    @pytest.mark.parametrize("skip", [2, 50, (3, 0), (0, 3), (2, 1), (9, 9)])
    def test_skipping_all_is_an_error(self, skip):
        with pytest.raises(VolumeError, match="leaves none of 3 frames"):
            handle(1, 2, 3, handler="max-intensity", skip_frames=skip)

    def test_error_class_is_that_of_the_failures_table(self):
        with pytest.raises(VolumeError) as caught:
            handle(1, 2, handler="max-intensity", skip_frames=1)
        assert (caught.value.error, caught.value.transient) == ("volume_error", False)

    def test_spacing_of_frames_is_gone(self):
        volume = handle(10, 20, spacing=2.0, handler="max-intensity")
        assert volume.frame_spacing is None


class TestInterpolate:
    def test_positions_run_from_the_first_to_the_last_frame(self):
        # Positions 0, 0.75, 1.5, 2.25, 3
        settings = {"handler": "interpolate", "target_frames": 5}
        assert shown(handle(0, 40, 80, 120, **settings)) == [0, 30, 60, 90, 120]

    def test_values_are_truncated(self):
        # Positions 0, 2/3, 4/3, 2: 6.67, and 10 + 13/3 = 14.33
        found = interpolate(frames_of(0, 10, 23), 4)
        assert found.ravel().tolist() == [0, 6, 14, 23]

    def test_falling_values_are_truncated_too(self):
        # 10 - 2/3 * 3 = 8, and 7 - 1/3 * 7 = 4.67
        found = interpolate(frames_of(10, 7, 0), 4)
        assert found.ravel().tolist() == [10, 8, 4, 0]

    def test_negative_values_are_truncated_towards_zero(self):
        # -6.67 and -14.33
        found = interpolate(frames_of(0, -10, -23, dtype=np.int16), 4)
        assert found.ravel().tolist() == [0, -6, -14, -23]

    def test_crossing_zero_truncates_towards_zero(self):
        # -1, -0.33, 0.33, 1
        found = interpolate(frames_of(-1, 1, dtype=np.int16), 4)
        assert found.ravel().tolist() == [-1, 0, 0, 1]

    def test_float32_is_not_truncated(self):
        found = interpolate(frames_of(0, 1, dtype=np.float32), 5)
        assert found.ravel().tolist() == [0, 0.25, 0.5, 0.75, 1]

    def test_highest_16_bit_values_do_not_overflow(self):
        found = interpolate(frames_of(65535, 65535, 65533, dtype=np.uint16), 5)
        assert found.ravel().tolist() == [65535, 65535, 65535, 65534, 65533]

    def test_fewer_frames_are_sampled(self):
        # Positions 0, 2, 4
        assert interpolate(frames_of(1, 2, 3, 4, 5), 3).ravel().tolist() == [1, 3, 5]

    def test_as_many_frames_are_the_same(self):
        assert interpolate(frames_of(5, 1, 9), 3).ravel().tolist() == [5, 1, 9]

    def test_one_frame_is_the_first(self):
        settings = {"handler": "interpolate", "target_frames": 1}
        assert shown(handle(7, 8, 9, **settings)) == [7]

    def test_pixels_and_channels_are_separate(self):
        frames = np.array([[[[0, 10, 20]]], [[[10, 30, 21]]]], np.uint8)
        assert interpolate(frames, 3)[1].tolist() == [[[5, 20, 20]]]

    def test_spacing_is_of_the_new_frames(self):
        # 3 steps of 2 mm become 4 steps of 1.5 mm
        volume = handle(0, 1, 2, 3, spacing=2.0, handler="interpolate", target_frames=5)
        assert volume.frame_spacing == pytest.approx(1.5)

    def test_one_frame_has_no_spacing(self):
        volume = handle(0, 1, spacing=2.0, handler="interpolate", target_frames=1)
        assert volume.frame_spacing is None

    def test_unknown_spacing_stays_unknown(self):
        volume = handle(0, 1, handler="interpolate", target_frames=5)
        assert volume.frame_spacing is None

    @given(
        st.lists(st.integers(-32768, 32767), min_size=2, max_size=6),
        st.integers(2, 9),
    )
    def test_every_frame_is_the_truncated_blend(self, values, count):
        found = interpolate(frames_of(*values, dtype=np.int16), count).ravel().tolist()
        for i, value in enumerate(found):
            low, rest = divmod(i * (len(values) - 1), count - 1)
            high = min(low + 1, len(values) - 1)
            blend = values[low] * (count - 1 - rest) + values[high] * rest
            exact = abs(blend) // (count - 1)
            assert value == (exact if blend >= 0 else -exact)


class TestSpacing:
    def test_frames_are_at_multiples_from_the_first_one(self):
        # 4 mm hold steps of 1 mm: 0, 1, 2, 3, 4
        assert shown(handle(0, 50, 100, spacing=2.0, spacing_z=1.0)) == [0, 25, 50, 75, 100]

    def test_coarser_spacing_makes_fewer(self):
        assert shown(handle(1, 2, 3, 4, 5, spacing=1.0, spacing_z=2.0)) == [1, 3, 5]

    def test_last_frame_is_left_out_where_no_multiple_reaches_it(self):
        assert shown(handle(0, 10, 20, 30, spacing=1.0, spacing_z=2.0)) == [0, 20]

    def test_last_frame_stays_whatever_the_last_bits_of_positions_are(self):
        positions = (0.1, 0.2, 0.1 + 0.2, 0.4)
        assert shown(handle(1, 2, 3, 4, positions=positions, spacing_z=0.1)) == [1, 2, 3, 4]
        assert shown(handle(1, 2, positions=(0.0, 1 - 5e-7), spacing_z=1.0)) == [1, 2]

    def test_uneven_frames_keep_their_places(self):
        found = handle(0, 10, 40, 100, positions=(-3.0, -2.0, 1.0, 7.0), spacing_z=2.0)
        assert shown(found) == [0, 20, 40, 60, 80, 100]

    def test_positions_count_before_the_spacing(self):
        found = handle(0, 10, 40, positions=(0.0, 1.0, 4.0), spacing=9.0, spacing_z=2.0)
        assert shown(found) == [0, 20, 40]

    def test_first_of_the_frames_at_one_position_counts(self):
        found = handle(0, 10, 90, 20, 30, positions=(0.0, 1.0, 1.0, 2.0, 2.0), spacing_z=0.5)
        assert shown(found) == [0, 5, 10, 15, 20]

    def test_frames_at_one_position_are_one(self):
        found = handle(7, 8, positions=(3.0, 3.0), spacing_z=0.5)
        assert (shown(found), found.positions, found.frame_spacing) == ([7], (3.0,), None)

    def test_one_frame_is_the_least(self):
        found = handle(7, 8, 9, spacing=1.0, spacing_z=50.0)
        assert (shown(found), found.frame_spacing) == ([7], None)

    def test_new_spacing_is_the_one_asked_for(self):
        assert handle(0, 50, 100, spacing=2.0, spacing_z=1.1).frame_spacing == 1.1

    def test_halves_are_rounded_away_from_zero(self):
        assert shown(handle(0, 1, 4, spacing=1.0, spacing_z=0.5)) == [0, 1, 1, 3, 4]
        negative = handle(0, -1, -4, spacing=1.0, spacing_z=0.5, dtype=np.int16)
        assert shown(negative) == [0, -1, -1, -3, -4]

    def test_highest_values_stay(self):
        for dtype in (np.uint8, np.uint16, np.int16):
            top = np.iinfo(dtype).max
            found = handle(top, top, top, spacing=1.0, spacing_z=0.3, dtype=dtype)
            assert set(shown(found)) == {top}

    def test_float_is_not_rounded(self):
        found = handle(0, 1, spacing=1.0, spacing_z=0.25, dtype=np.float32)
        assert shown(found) == [0, 0.25, 0.5, 0.75, 1]

    def test_frame_at_a_place_stays_as_it_is(self):
        values = np.array([0.1, -0.0, 0.3, 1e30], np.float32)
        positions = (5.0, 6.0 + 4e-7, 7.0, 8.0 - 4e-7)
        found = handle(*values, positions=positions, spacing_z=1.0, dtype=np.float32)
        assert found.frames.tobytes() == values.tobytes()

    def test_unknown_spacing_is_an_error(self):
        with pytest.raises(NoSpacingError, match="spacing between frames is unknown"):
            handle(1, 2, spacing_z=1.0)

    def test_frames_in_another_order_are_an_error(self):
        with pytest.raises(VolumeError, match="not in the order of their positions"):
            handle(1, 2, 3, positions=(0.0, 2.0, 1.0), spacing=1.0, spacing_z=1.0)

    @pytest.mark.parametrize("end", [1.0, 1e300])
    def test_too_many_frames_are_an_error(self, end):
        with pytest.raises(VolumeError, match=f"at most {MAX_FRAMES} are possible"):
            handle(1, 2, positions=(0.0, end), spacing_z=1e-7)
        with pytest.raises(VolumeError, match=r"makes inf frames"):
            handle(1, 2, positions=(-1e308, 1e308), spacing_z=1e-7)

    def test_other_handlers_do_not_resample(self):
        volume = handle(1, 2, 3, spacing=2.0, spacing_z=1.0, handler="central-slice")
        assert shown(volume) == [2]

    def test_frames_that_are_made_when_asked_for_are_made_once(self):
        made = []

        def make(index):
            made.append(index)
            return np.full((2, 2, 1), 10 * index, np.uint8)

        frames = LazyFrames((5, 2, 2, 1), np.dtype(np.uint8), make)
        found = handle_volume(Volume(frames, 1.0), spacing_z=0.25)
        assert (isinstance(found.frames, LazyFrames), made) == (True, [])
        values = [int(frame[0, 0, 0]) for frame in found.frames]
        assert values == [0, 3, 5, 8, *(v + 10 * k for k in (1, 2, 3) for v in (0, 3, 5, 8)), 40]
        assert made == [0, 1, 2, 3, 4]

    def test_sphere_of_uneven_frames_keeps_its_extent(self):
        """Of radius 10 mm, with an edge that falls by 20 each mm."""
        steps = np.where(np.arange(40) < 20, 0.4, 2.2) * np.linspace(0.8, 1.2, 40)
        z = np.cumsum(steps) - steps[:22].sum()
        y, x = np.mgrid[-15:16, -15:16]
        radius = np.sqrt(x**2 + y**2 + z[:, None, None] ** 2)[..., np.newaxis]
        spheres = np.clip(100 + 20 * (10 - radius), 0, 200).astype(np.uint8)
        found = handle_volume(Volume(spheres, 1.0, tuple(z.tolist())), spacing_z=1.0)
        on_axis = np.array(found.positions)[found.frames[:, 15, 15, 0] >= 100]
        assert (on_axis[0], on_axis[-1]) == pytest.approx((-10, 10), abs=1)
        assert len(on_axis) == pytest.approx(20, abs=1)

    @given(
        st.lists(st.floats(0.01, 5), min_size=1, max_size=8),
        st.floats(-100, 100),
        st.floats(0.05, 9),
    )
    def test_what_is_linear_along_z_stays_so(self, steps, start, spacing_z):
        positions = tuple(np.cumsum([start, *steps]).tolist())
        found = handle(*positions, positions=positions, spacing_z=spacing_z, dtype=np.float32)
        assert len(found.frames) == len(found.positions) == len(found.sources)
        assert shown(found) == pytest.approx(found.positions, abs=1e-4)
        assert mix(positions, found.sources) == pytest.approx(found.positions, abs=1e-4)
        assert np.diff(found.positions) == pytest.approx(spacing_z)
        assert found.positions[0] == positions[0]
        assert found.positions[-1] <= positions[-1] + 1e-5 < found.positions[-1] + spacing_z + 2e-5


class TestPlaces:
    """Where the frames of a result lie, and of which they were made."""

    POSITIONS = (0.0, 1.0, 3.0, 7.0)

    @pytest.mark.parametrize(
        ("settings", "positions", "sources"),
        [
            ({"handler": "central-slice"}, (3.0,), [(2, 2)]),
            ({"handler": "max-intensity"}, (0.0,), [(0, 0)]),
            ({"handler": "max-intensity", "skip_frames": (1, 2)}, (1.0,), [(1, 1)]),
            ({"handler": "laplacian-mip", "skip_frames": (2, 0)}, (3.0,), [(2, 2)]),
            ({"handler": "interpolate", "target_frames": 1}, (0.0,), [(0, 1)]),
            # At 0, 1.5 and 3 of the indices.
            (
                {"handler": "interpolate", "target_frames": 3},
                (0.0, 2.0, 7.0),
                [(0, 1), (1, 2), (3, 3)],
            ),
            ({"spacing_z": 3.0}, (0.0, 3.0, 6.0), [(0, 0), (2, 2), (2, 3)]),
        ],
    )
    def test_are_those_of_the_frames_that_are_used(self, settings, positions, sources):
        found = handle(1, 2, 3, 4, positions=self.POSITIONS, spacing=2.0, **settings)
        assert found.positions == positions
        assert [(source.first, source.last) for source in found.sources] == sources

    def test_stay_where_frames_do(self):
        found = handle(1, 2, 3, 4, positions=self.POSITIONS)
        assert (found.positions, found.sources) == (self.POSITIONS, None)

    def test_are_unknown_without_positions(self):
        found = handle(1, 2, spacing=2.0, spacing_z=1.0)
        assert (found.positions, found.frame_spacing) == (None, 1.0)
        assert found.sources == (Blend(0, 0), Blend(0, 1, 0.5, 0.5), Blend(1, 1))

    def test_vectors_are_mixed_by_weight(self):
        mixed = mix([[0, 8], [4, 0]], [Blend(1, 1), Blend(0, 1, 3, 1)])
        assert mixed.tolist() == [[4, 0], [1, 6]]


def spot_volume(*, spot=200, rows=48, columns=40, dtype=np.uint8):
    """Nine frames of a body of 50, whose fourth has one bright pixel; background is 0."""
    frames = np.zeros((9, rows, columns, 1), dtype)
    frames[:, 4:-4, 4:] = 50
    frames[3, 20, 20] = spot
    return frames


class TestLaplacianMip:
    def test_without_weight_it_is_the_rounded_mean(self):
        # Five thirds and four thirds.
        frames = np.array([[[1, 0]], [[2, 0]], [[2, 4]]], np.uint8)[..., np.newaxis]
        assert laplacian_mip(frames, mip_weight=0)[..., 0].tolist() == [[[2, 1]]]

    def test_without_weight_it_is_the_central_slice(self):
        frames = spot_volume()
        frames[4, 10] = 77
        fused = laplacian_mip(frames, mip_weight=0, projection="central-slice")
        assert np.array_equal(fused, frames[4:5])

    def test_central_slice_is_the_middle_of_the_frames_that_are_kept(self):
        frames = np.arange(10, 90, 10, dtype=np.uint8).reshape(8, 1, 1, 1)
        fused = laplacian_mip(frames, (4, 1), mip_weight=0, projection="central-slice")
        assert fused.ravel().tolist() == [60]

    def test_bright_spot_of_one_frame_survives(self):
        frames = spot_volume()
        mean = laplacian_mip(frames, mip_weight=0)[0, 20, 20, 0]
        one, two = (laplacian_mip(frames, mip_weight=w)[0, 20, 20, 0] for w in (1, 2))
        assert (mean, mean < one < two) == (67, True)

    def test_detail_is_damped_where_the_projection_is_dark(self):
        """Full weight needs a projection of the highest value, so the spot stays below."""
        frames = spot_volume()
        gained = int(laplacian_mip(frames, mip_weight=1)[0, 20, 20, 0]) - 67
        detail = modulate_detail(frames.max(axis=0).astype(float), np.ones(frames.shape[1:]))
        assert 0 < gained < 0.6 * detail[20, 20, 0]

    def test_flat_body_keeps_its_value_far_from_edges(self):
        frames = np.full((3, 64, 64, 1), 90, np.uint8)
        assert np.array_equal(laplacian_mip(frames), frames[:1])

    def test_background_stays_zero(self):
        frames = spot_volume()
        assert not laplacian_mip(frames, mip_weight=5)[frames.max(axis=0, keepdims=True) == 0].any()

    def test_values_stay_in_range(self):
        frames = spot_volume(spot=65535, dtype=np.uint16)
        frames[:, 21, 20] = 0
        fused = laplacian_mip(frames, mip_weight=1000)
        assert (fused.dtype, fused[0, 20, 20, 0]) == (np.uint16, 65535)

    def test_16_bits_are_8_bits_times_257(self):
        fused = laplacian_mip(spot_volume())
        wide = laplacian_mip(spot_volume().astype(np.uint16) * np.uint16(257))
        assert np.abs(wide / 257 - fused).max() <= 0.51

    def test_frames_are_skipped_by_default(self):
        frames = np.full((11, 4, 4, 1), 10, np.uint8)
        frames[5] = 200
        found = handle_volume(Volume(frames, 1.0), handler="laplacian-mip")
        assert np.array_equal(found.frames, frames[5:6])
        assert found.frame_spacing is None

    def test_skipping_all_is_an_error(self):
        with pytest.raises(VolumeError, match=r"skip_frames \(5, 5\) leaves none of 10 frames"):
            handle(*range(10), handler="laplacian-mip")

    def test_samples_are_projected_by_themselves(self):
        grey = spot_volume()
        colour = np.concatenate([grey, grey[::-1] // 2, np.zeros_like(grey)], axis=3)
        fused = laplacian_mip(colour)
        assert np.array_equal(fused[..., :1], laplacian_mip(grey))
        assert not fused[..., 2].any()


class TestBackgroundOfStoredValues:
    """Background is no tissue."""

    def test_is_the_lowest_value_of_a_maximum(self):
        frames = np.array([[[9, 9, 4]], [[1, 9, 5]], [[9, 9, 2]]], np.uint16)[..., np.newaxis]
        volume = handle_volume(Volume(frames, 1.0), handler="max-intensity", background=9)
        assert volume.frames[..., 0].tolist() == [[[1, 9, 5]]]

    @pytest.mark.parametrize("settings", [{"spacing_z": 0.5}, {"handler": "interpolate"}])
    def test_is_not_mixed_with_tissue_along_z(self, settings):
        frames = frames_of(-2000, 40, 40, -2000, dtype=np.int16)
        volume = handle_volume(Volume(frames, 1.0), target_frames=9, background=-2000, **settings)
        assert set(shown(volume)) == {-2000, 40}

    def test_has_no_more_than_half_of_the_weight_of_tissue(self):
        found = interpolate(frames_of(-2000, 40, dtype=np.int16), 5, -2000).ravel().tolist()
        assert found == [-2000, -2000, 40, 40, 40]

    def test_is_not_mixed_in_float(self):
        found = interpolate(frames_of(0.5, 2, dtype=np.float32), 5, 0.5).ravel().tolist()
        assert found == [0.5, 0.5, 2, 2, 2]

    @given(st.lists(st.integers(-9, 9), min_size=2, max_size=5), st.integers(1, 9))
    def test_nothing_changes_where_there_is_none(self, values, count):
        frames = frames_of(*values, dtype=np.int16)
        assert np.array_equal(interpolate(frames, count, -10), interpolate(frames, count))
        assert np.array_equal(max_intensity(frames, 0, -10), max_intensity(frames))
