"""Resampling, against numbers worked out by hand and against plain loops over floats."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.errors import NoSpacingError
from dicom_preprocessing.imaging.geometry import Size
from dicom_preprocessing.imaging.kernels import SampleGrid, kernel_weights
from dicom_preprocessing.imaging.resize import resize, resize_frames
from tests.unit.datasets import colour, grey, image_of, planes

SEPARABLE = ("triangle", "catmull-rom", "gaussian", "lanczos3")


def triangle(x):
    return 1 - abs(x) if abs(x) < 1 else 0.0


def catmull_rom(x):
    x = abs(x)
    if x < 1:
        return (3 * x**3 - 5 * x**2 + 2) / 2
    return (-(x**3) + 5 * x**2 - 8 * x + 4) / 2 if x < 2 else 0.0


def gaussian(x):
    return math.exp(-((x / 0.5) ** 2) / 2)


def lanczos3(x):
    if x == 0:
        return 1.0
    near = math.sin(math.pi * x) / (math.pi * x)
    return near * math.sin(math.pi * x / 3) / (math.pi * x / 3) if abs(x) < 3 else 0.0


KERNELS = {
    "triangle": (triangle, 1),
    "catmull-rom": (catmull_rom, 2),
    "gaussian": (gaussian, 3),
    "lanczos3": (lanczos3, 3),
}


def scaled_line(line, n_out, name):
    """One axis, pixel by pixel: weights at pixel centres, clipped at the edges, renormalised."""
    kernel, support = KERNELS[name]
    ratio = len(line) / n_out
    widening = max(1.0, ratio)
    out = []
    for i in range(n_out):
        centre = (i + 0.5) * ratio
        weights = [kernel((j + 0.5 - centre) / widening) for j in range(len(line))]
        inside = [
            w if abs(j + 0.5 - centre) <= support * widening else 0.0 for j, w in enumerate(weights)
        ]
        out.append(sum(w * v for w, v in zip(inside, line, strict=True)) / sum(inside))
    return out


def scaled_plane(plane, size, name):
    """Vertical, then horizontal, without rounding in between."""
    columns = [scaled_line(column, size.height, name) for column in zip(*plane, strict=True)]
    rows = zip(*columns, strict=True)
    return [scaled_line(row, size.width, name) for row in rows]


def resized(image, width, height, name):
    background = image.source_info.background
    size = Size(width, height)
    return resize_frames(image.frames, size=size, filter=name, background=background)[
        ..., 0
    ].tolist()


def line(image, width, name):
    return resized(image, width, 1, name)[0][0]


class TestByHand:
    def test_triangle_enlarging_blends_a_quarter_of_the_neighbour(self):
        # Output centres at source -0.25, 0.25, 0.75, 1.25; the first and last clipped at the edge.
        assert line(grey([[0, 100]]), 4, "triangle") == [0, 25, 75, 100]

    def test_triangle_shrinking_by_two_weighs_1_3_3_1(self):
        # Output centres at the borders after pixels 1, 3 and 5; at the edges one weight is clipped.
        image = grey([[0, 8, 16, 80, 160, 240]])
        # (3*0 + 3*8 + 16) / 7 = 5.7, (8 + 3*16 + 3*80 + 160) / 8 = 57, (80 + 3*160 + 3*240) / 7
        assert line(image, 3, "triangle") == [6, 57, 183]

    def test_triangle_shrinking_three_to_one_weighs_2_3_2(self):
        # The outer pixels are 1/3 of the widened kernel off the centre: weights 2/3, 1, 2/3.
        # (2*30 + 3*60 + 2*120) / 7 = 68.6
        assert line(grey([[30, 60, 120]]), 1, "triangle") == [69]

    def test_catmull_rom_doubling_weighs_minus_9_111_29_minus_3_of_128(self):
        # At a distance of 0.25, 0.75, 1.25, 1.75 pixels: 111, 29, -9, -3 of 128.
        image = grey([[100, 100, 228, 100, 100]])
        # Output 4 is at source 1.75, output 3 at 1.25, output 2 at 0.75.
        assert line(image, 10, "catmull-rom")[2:5] == [100 - 9, 100 + 29, 100 + 111]

    def test_catmull_rom_tail_is_minus_3_of_128(self):
        image = grey([[100, 100, 100, 228, 100, 100]])
        assert line(image, 12, "catmull-rom")[3] == 100 - 3

    def test_lanczos3_keeps_pixels_at_the_same_size(self):
        # Its zeros are at whole pixels.
        image = grey([[3, 200, 7, 90, 255]])
        assert resized(image, 5, 1, "lanczos3") == [[[3, 200, 7, 90, 255]]]

    def test_gaussian_at_the_same_size_blurs(self):
        # exp(-2) = 0.135335 and exp(-8) = 0.000335 of the middle: sum 1.271342 of 1
        image = grey([[0, 0, 0, 200, 0, 0, 0]])
        assert line(image, 7, "gaussian") == [0, 0, 21, 157, 21, 0, 0]

    def test_vertical_axis_is_scaled_alike(self):
        assert resized(grey([[0], [100]]), 1, 4, "triangle") == [[[0], [25], [75], [100]]]

    def test_axes_have_their_own_ratio(self):
        # Columns are doubled, rows halved: (1 + 3) / 2 = 2 and (11 + 21) / 2 = 16.
        image = grey([[1, 11], [3, 21]])
        # Between them 2 + 14 * 0.25 = 5.5 and 2 + 14 * 0.75 = 12.5.
        assert resized(image, 4, 1, "triangle") == [[[2, 6, 13, 16]]]

    def test_nothing_is_rounded_between_the_passes(self):
        # Row 1 is 0.25 and 1.25, so column 1 is 0.5; from rounded rows it would be 0.25.
        image = grey([[0, 1], [1, 2]])
        assert resized(image, 4, 4, "triangle")[0][1] == [0, 1, 1, 1]


PLANES = {
    "uint8": [[0, 255, 17, 3, 90], [12, 80, 255, 255, 0], [9, 1, 130, 64, 77]],
    "uint16": [[0, 65535, 17, 300, 9000], [12, 8000, 65535, 65535, 0], [9, 1, 13000, 6400, 7]],
    "int16": [[-32768, 32767, 17, -300, 90], [12, -80, -32768, 32767, 0], [-9, 1, 130, -6400, 77]],
}
# Floating point noise may turn an exact half either way; the direction is tested by itself below.
NEAREST = 0.5 + 1e-6
SIZES = [Size(2, 2), Size(1, 1), Size(3, 1), Size(4, 2), Size(7, 4), Size(5, 3), Size(13, 2)]


class TestAgainstLoops:
    @pytest.mark.parametrize("size", SIZES, ids=str)
    @pytest.mark.parametrize("name", SEPARABLE)
    @pytest.mark.parametrize("dtype", PLANES)
    def test_integers_are_the_loop_rounded(self, dtype, name, size):
        limits = np.iinfo(dtype)
        exact = np.clip(scaled_plane(PLANES[dtype], size, name), limits.min, limits.max)
        image = grey(PLANES[dtype], dtype=dtype)
        found = np.array(resized(image, size.width, size.height, name)[0])
        assert np.abs(found - exact).max() <= NEAREST

    @pytest.mark.parametrize("size", SIZES, ids=str)
    @pytest.mark.parametrize("name", SEPARABLE)
    def test_float32_is_the_loop_unrounded(self, name, size):
        plane = [[0.5, -3.25, 1e3, 7.0, 2.0], [8.0, 0.125, 0.0, -1e3, 3.0], [1.0] * 5]
        expected = np.array(scaled_plane(plane, size, name))
        found = resized(grey(plane, dtype=np.float32), size.width, size.height, name)
        assert np.array(found[0]) == pytest.approx(expected, rel=1e-6, abs=1e-4)

    @given(
        st.sampled_from(SEPARABLE),
        st.lists(st.integers(0, 255), min_size=1, max_size=40),
        st.integers(1, 60),
    )
    def test_lines_of_any_length_are_the_loop_rounded(self, name, values, n_out):
        expected = np.clip(scaled_line(values, n_out, name), 0, 255)
        found = np.array(line(grey([values]), n_out, name))
        assert np.abs(found - expected).max() <= NEAREST

    @given(st.sampled_from(SEPARABLE), st.integers(1, 300), st.integers(1, 300))
    def test_constant_stays_constant(self, name, n_in, n_out):
        image = grey([[201] * n_in])
        assert set(line(image, n_out, name)) == {201}

    def test_pixels_on_the_edge_of_the_support_are_left_out(self):
        # Of the pixels that the support of an enlarging triangle touches, two are within it.
        line = kernel_weights(SampleGrid(300, 300), 400, "triangle")
        assert len(line.weights) <= 2 * 400
        assert line.weights.min() > 0

    @given(st.sampled_from(SEPARABLE), st.integers(1, 300), st.integers(1, 300))
    def test_weights_of_an_output_pixel_sum_to_one(self, name, n_in, n_out):
        line = kernel_weights(SampleGrid(n_in, n_in), n_out, name)
        assert line.apply(np.ones(n_in)) == pytest.approx(1)


class TestRounding:
    def test_half_goes_up(self):
        # quarters of 2 and 6: 0.5 and 1.5, where rounding to even would give 0 and 2
        assert line(grey([[0, 2]]), 4, "triangle") == [0, 1, 2, 2]

    def test_two_and_a_half_is_three(self):
        assert line(grey([[0, 10]]), 4, "triangle") == [0, 3, 8, 10]

    def test_negative_half_goes_down(self):
        image = grey([[0, -10]], dtype=np.int16)
        assert line(image, 4, "triangle") == [0, -3, -8, -10]

    def test_less_than_half_goes_to_zero_from_both_sides(self):
        image = grey([[-1, 0, 1, 1]], dtype=np.int16)
        assert line(image, 8, "triangle") == [-1, -1, 0, 0, 1, 1, 1, 1]

    @pytest.mark.parametrize("name", ["catmull-rom", "lanczos3"])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
    def test_overshoot_is_clamped_to_the_dtype(self, name, dtype):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        found = line(grey([[low] * 3 + [high] * 3], dtype=dtype), 12, name)
        # The pixels beside the step would leave the range on both sides.
        assert (found[4], found[7]) == (low, high)
        assert low < found[5] < found[6] < high

    @pytest.mark.parametrize("name", ["catmull-rom", "lanczos3"])
    def test_overshoot_of_float32_is_kept(self, name):
        found = line(grey([[0.0] * 3 + [1.0] * 3], dtype=np.float32), 12, name)
        assert found[4] < 0
        assert found[7] > 1


class TestNearest:
    def test_doubling_repeats_pixels(self):
        assert line(grey([[1, 2, 3]]), 6, "nearest") == [1, 1, 2, 2, 3, 3]

    def test_halving_takes_the_second_of_two(self):
        # floor((i + 0.5) * 2) = 1, 3, 5
        assert line(grey([[1, 2, 3, 4, 5, 6]]), 3, "nearest") == [2, 4, 6]

    def test_odd_ratio_shrinking(self):
        # floor((i + 0.5) * 7/3) = floor(1.17), floor(3.5), floor(5.83)
        assert line(grey([[0, 1, 2, 3, 4, 5, 6]]), 3, "nearest") == [1, 3, 5]

    def test_odd_ratio_enlarging(self):
        # floor((i + 0.5) * 3/5) = floor of 0.3, 0.9, 1.5, 2.1, 2.7
        assert line(grey([[7, 8, 9]]), 5, "nearest") == [7, 7, 8, 9, 9]

    def test_rows_are_sampled_alike(self):
        assert resized(grey([[1], [2], [3], [4]]), 1, 2, "nearest") == [[[2], [4]]]

    @given(st.integers(1, 400), st.integers(1, 400))
    def test_positions_are_exact_for_any_lengths(self, n_in, n_out):
        image = grey([list(range(n_in))], dtype=np.uint16)
        # (i + 0.5) * n_in / n_out in whole numbers
        expected = [math.floor((2 * i + 1) * n_in / (2 * n_out) + 1e-9) for i in range(n_out)]
        assert line(image, n_out, "nearest") == expected


class TestMaxPool:
    def test_windows_of_two(self):
        assert line(grey([[1, 5, 7, 2, 3, 3]]), 3, "max-pool") == [5, 7, 3]

    def test_uneven_windows_start_at_the_floor(self):
        # 7 to 3: columns 0-1, 2-3, 4-6
        assert line(grey([[1, 2, 9, 1, 3, 4, 8]]), 3, "max-pool") == [2, 9, 8]

    def test_windows_are_of_rows_and_columns(self):
        image = grey([[1, 2, 3, 4], [5, 0, 0, 0], [0, 0, 9, 0], [0, 7, 0, 8]])
        assert resized(image, 2, 2, "max-pool") == [[[5, 4], [7, 9]]]

    def test_enlarging_repeats_the_floor(self):
        # 2 to 5: floor(x * 2/5) = 0, 0, 0, 1, 1
        assert line(grey([[4, 6]]), 5, "max-pool") == [4, 4, 4, 6, 6]

    def test_enlarging_one_axis_and_shrinking_the_other(self):
        image = grey([[1, 9, 3, 4]])
        assert resized(image, 2, 3, "max-pool") == [[[9, 4], [9, 4], [9, 4]]]

    def test_16_bits_are_pooled_at_full_depth(self):
        image = grey([[1000, 1001, 999, 998]], dtype=np.uint16)
        assert line(image, 2, "max-pool") == [1001, 999]

    def test_negative_values_are_pooled(self):
        assert line(grey([[-5, -3, -9, -7]], dtype=np.int16), 2, "max-pool") == [-3, -7]

    def test_channels_are_pooled_each_by_itself(self):
        image = colour([[[9, 1, 0], [1, 8, 2]]])
        found = resize_frames(image.frames, size=Size(1, 1), filter="max-pool")
        assert found.tolist() == [[[[9, 8, 2]]]]

    @given(st.lists(st.integers(0, 255), min_size=1, max_size=30), st.integers(1, 60))
    def test_windows_of_any_lengths(self, values, n_out):
        expected = []
        for i in range(n_out):
            first = i * len(values) // n_out
            last = max(first, (i + 1) * len(values) // n_out - 1)
            expected.append(max(values[first : last + 1]))
        assert line(grey([values]), n_out, "max-pool") == expected


class TestFramesAndChannels:
    @pytest.mark.parametrize("name", [*SEPARABLE, "nearest", "max-pool"])
    def test_channels_do_not_mix(self, name):
        image = colour([[[0, 50, 200], [100, 50, 0], [100, 50, 0], [7, 50, 9]]])
        found = resize_frames(image.frames, size=Size(3, 2), filter=name)
        for sample in range(3):
            alone = grey(image.frames[0, ..., sample])
            assert found[..., sample].tolist() == resized(alone, 3, 2, name)

    @pytest.mark.parametrize("name", [*SEPARABLE, "nearest", "max-pool"])
    def test_frames_do_not_mix(self, name):
        image = grey([[0, 100, 3]], [[9, 9, 9]], [[200, 0, 0]])
        found = resized(image, 5, 1, name)
        for plane, alone in zip(found, planes(image), strict=True):
            assert [plane] == resized(grey(alone), 5, 1, name)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
    @pytest.mark.parametrize("name", [*SEPARABLE, "nearest", "max-pool"])
    def test_single_pixel_fills_the_output(self, name, dtype):
        image = grey([[77]], dtype=dtype)
        found = resize_frames(image.frames, size=Size(3, 2), filter=name)
        assert found.dtype == dtype
        assert found[..., 0].tolist() == [[[77] * 3] * 2]

    @pytest.mark.parametrize("name", [*SEPARABLE, "nearest", "max-pool"])
    def test_shrinking_to_a_single_pixel_stays_within_the_values(self, name):
        image = grey([[10, 20, 30], [40, 50, 60]])
        (((found,),),) = resized(image, 1, 1, name)
        assert 10 <= found <= 60


class TestSettings:
    def test_without_size_and_spacing_it_returns_the_image_itself(self):
        image = grey([[1, 2]])
        assert resize(image) is image

    def test_size_is_fitted_within(self):
        image = resize(grey([[1, 2, 3, 4], [5, 6, 7, 8]]), size=[2, 9], filter="nearest")
        assert planes(image) == [[[6, 8]]]

    def test_size_enlarges_too(self):
        image = resize(grey([[1, 2]]), size=[4, 4], filter="nearest")
        assert planes(image) == [[[1, 1, 2, 2], [1, 1, 2, 2]]]

    @pytest.mark.parametrize(
        ("shape", "size", "expected"),
        [
            (None, [40, 40], Size(40, 20)),
            (1.0, [40, 40], Size(40, 20)),
            (2.0, [40, 40], Size(40, 40)),
            (4.0, [40, 40], Size(20, 40)),
            (0.5, [40, 40], Size(40, 10)),
            (1.25, [40, 40], Size(40, 25)),
        ],
    )
    def test_size_keeps_the_proportions_of_the_picture(self, shape, size, expected):
        image = image_of(np.zeros((1, 4, 8, 1), np.uint8), pixel_shape=shape)
        assert resize(image, size=size).geometry.resized == expected

    def test_resized_size_is_recorded(self):
        image = resize(grey([[1, 2, 3, 4], [5, 6, 7, 8]]), size=(2, 9))
        assert image.geometry.resized == Size(2, 1)

    def test_spacing_is_x_then_y(self):
        image = grey([[1, 2], [3, 4]], pixel_spacing=(1.0, 0.5))
        shown = resize(image, spacing=[0.5, 0.5], filter="nearest")
        assert planes(shown) == [[[1, 1, 2, 2], [3, 3, 4, 4]]]

    def test_spacing_can_shrink(self):
        image = grey([[1, 2, 3, 4]], pixel_spacing=(0.25, 0.25))
        assert planes(resize(image, spacing=[0.5, 0.25], filter="nearest")) == [[[2, 4]]]

    def test_unknown_spacing_is_an_error(self):
        with pytest.raises(NoSpacingError, match="no attribute tells the spacing of pixels"):
            resize(grey([[1, 2]]), spacing=[1, 1])

    def test_error_class_is_that_of_the_failures_table(self):
        with pytest.raises(NoSpacingError) as caught:
            resize(grey([[1, 2]]), spacing=[1, 1])
        assert (caught.value.error, caught.value.state) == ("no_spacing", "failed")

    def test_triangle_is_the_default(self):
        assert planes(resize(grey([[0, 100]]), size=[4, 9])) == [[[0, 25, 75, 100]] * 2]

    def test_cropped_view_is_resized_from_its_own_pixels(self):
        frames = np.arange(36, dtype=np.uint8).reshape(1, 6, 6, 1)[:, 2:4, 2:6]
        image = resize(image_of(frames), size=[2, 1], filter="nearest")
        assert planes(image) == [[[21, 23]]]


def tissue_plane(plane, size, name, background):
    """As ``scaled_plane`` without background, pixel by pixel: weights of both axes multiplied."""
    rows, columns = len(plane), len(plane[0])
    tissue = np.array(plane, float) != background
    values = np.where(tissue, np.array(plane, float), 0)

    def weights(kernel):
        # Those of a line are what becomes of a line that is 1 at one pixel.
        y = np.array([scaled_line(list(line), size.height, kernel) for line in np.eye(rows)])
        x = np.array([scaled_line(list(line), size.width, kernel) for line in np.eye(columns)])
        return np.einsum("ab,cd->bdac", y, x)

    def sums(kernel, of):
        return np.einsum("bdac,ac->bd", weights(kernel), of)

    shares, covered = sums("triangle", tissue), sums(name, tissue)
    stable = covered >= 0.25
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(stable, sums(name, values) / covered, sums("triangle", values) / shares)
    return np.where(shares < 0.5 - 1e-9, background, means)


class TestBackgroundOfStoredValues:
    """Background is no tissue: it is not mixed with it."""

    @given(
        st.lists(
            st.lists(st.sampled_from([-2000, -1024, 7, 3000]), min_size=6, max_size=6),
            min_size=5,
            max_size=5,
        ),
        st.integers(1, 11),
        st.integers(1, 11),
        st.sampled_from(SEPARABLE),
    )
    def test_is_left_out_of_the_kernels(self, plane, width, height, name):
        size = Size(width, height)
        frames = np.array(plane, np.float32)[np.newaxis, ..., np.newaxis]
        found = resize_frames(frames, size=size, filter=name, background=-2000)[0, ..., 0]
        expected = tissue_plane(plane, size, name, -2000)
        assert np.allclose(found, expected, rtol=1e-5, atol=1e-2)

    @given(
        st.integers(0, 2**32 - 1),
        st.integers(1, 70),
        st.integers(1, 70),
        st.sampled_from(["triangle", "gaussian", "nearest", "max-pool"]),
        st.sampled_from([-2000, 0, 3000]),
    )
    def test_values_are_background_or_within_those_of_tissue(self, seed, width, height, name, b):
        rng = np.random.default_rng(seed)
        plane = rng.integers(-1024, 2000, (40, 30)).astype(np.int16)
        y, x = np.mgrid[:40, :30]
        plane[(y - 20) ** 2 + (x - 15) ** 2 > rng.integers(1, 700)] = b
        tissue = plane[plane != b]
        found = resize_frames(
            plane[np.newaxis, ..., np.newaxis], size=Size(width, height), filter=name, background=b
        )
        others = found[found != b]
        if others.size:
            assert tissue.min() <= others.min()
            assert others.max() <= tissue.max()

    @pytest.mark.parametrize("name", [*SEPARABLE, "nearest", "max-pool"])
    @pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
    def test_nothing_changes_where_there_is_none(self, name, dtype):
        frames = np.random.default_rng(1).integers(5, 4000, (2, 60, 50, 1)).astype(dtype)
        for size in (Size(20, 30), Size(50, 60), Size(77, 90)):
            found = resize_frames(frames, size=size, filter=name, background=4)
            assert np.array_equal(found, resize_frames(frames, size=size, filter=name))

    @pytest.mark.parametrize("name", SEPARABLE)
    def test_nothing_changes_away_from_it(self, name):
        frames = np.random.default_rng(1).integers(5, 4000, (1, 90, 80, 1)).astype(np.int16)
        expected = resize_frames(frames, size=Size(40, 45), filter=name)
        frames[:, :, :8] = 4
        found = resize_frames(frames, size=Size(40, 45), filter=name, background=4)
        assert np.array_equal(found[:, :, 12:], expected[:, :, 12:])

    def test_half_of_the_weight_is_tissue(self):
        assert line(grey([[-9, 3]], dtype=np.int16, background=-9), 1, "triangle") == [3]

    def test_more_than_half_of_the_weight_is_background(self):
        assert line(grey([[-9, -9, 3]], dtype=np.int16, background=-9), 1, "triangle") == [-9]

    def test_highest_value_as_background_is_the_lowest_of_max_pool(self):
        image = grey([[900, 3, 5, 900, 900, 900]], dtype=np.uint16, background=900)
        assert line(image, 3, "max-pool") == [3, 5, 900]

    def test_display_values_are_mixed_with_black(self):
        assert line(grey([[0, 200]]), 1, "triangle") == [100]
