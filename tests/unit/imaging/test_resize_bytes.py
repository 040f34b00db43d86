"""Every byte of resampling, against dense sums in float64 in the same order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.imaging.geometry import Size
from dicom_preprocessing.imaging.image import DisplayLut
from dicom_preprocessing.imaging.kernels import SampleGrid
from dicom_preprocessing.imaging.resize import resize_frames

FILTERS = {
    "triangle": (lambda x: np.maximum(0.0, 1.0 - np.abs(x)), 1.0),
    "catmull-rom": (
        lambda x: np.select(
            [np.abs(x) < 1, np.abs(x) < 2],
            [
                (1.5 * np.abs(x) - 2.5) * np.abs(x) * np.abs(x) + 1.0,
                ((-0.5 * np.abs(x) + 2.5) * np.abs(x) - 4.0) * np.abs(x) + 2.0,
            ],
        ),
        2.0,
    ),
    "gaussian": (lambda x: np.exp(-2.0 * x**2), 3.0),
    "lanczos3": (lambda x: np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0), 3.0),
}


def dense_weights(grid, n_out, name):
    """(n_out, grid.count); all pixels of the support, also those on its edge, which weigh 0."""
    function, support = FILTERS[name]
    ratio = grid.length / n_out
    widening = max(ratio / grid.step, 1.0)
    centre = (np.arange(n_out) + 0.5) * ratio / grid.step
    centre += 0.5 - (grid.start + 0.5) / grid.step
    first = np.floor(centre - support * widening).clip(0, grid.count - 1).astype(int)
    end = np.ceil(centre + support * widening).clip(first + 1, grid.count).astype(int)
    weights = np.zeros((n_out, grid.count))
    for line, low, high, middle in zip(weights, first, end, centre, strict=True):
        inside = function((np.arange(low, high) + 0.5 - middle) / widening)
        line[low:high] = inside / np.add.reduceat(inside, [0])
    return weights


def scale_lines(weights, lines):
    """Multiply and add line after line, without fused operations."""
    scaled = np.zeros((len(weights), *lines.shape[1:]))
    for k, i in zip(*np.nonzero(weights), strict=True):
        scaled[k] += weights[k, i] * lines[i]
    return scaled


def scale_plane(plane, grids, size, name):
    """Vertical, then horizontal."""
    vertical = scale_lines(dense_weights(grids[0], size.height, name), plane)
    return scale_lines(dense_weights(grids[1], size.width, name), vertical.T).T


def round_away(values, dtype):
    """Half away from zero, where a millionth less is a half, and clamped."""
    if dtype == np.float32:
        return values.astype(np.float32)
    limits = np.iinfo(dtype)
    clamped = np.clip(values, limits.min, limits.max)
    return np.trunc(clamped + np.copysign(0.5 + 1e-6, clamped)).astype(dtype)


def scale_frame(frame, grids, size, name):
    """Each sample by itself."""
    planes = [
        scale_plane(frame[..., i].astype(float), grids, size, name) for i in range(frame.shape[2])
    ]
    return round_away(np.stack(planes, axis=-1), frame.dtype)


shapes = st.tuples(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3]))
sizes = st.builds(Size, st.integers(1, 60), st.integers(1, 60))
seeds = st.integers(0, 2**32 - 1)


def make_frames(seed, shape, dtype):
    """Noise that reaches the limits of integers, so that kernels with negative weights exceed."""
    rng = np.random.default_rng(seed)
    if dtype == np.float32:
        return rng.normal(0, 1000, shape).astype(dtype)
    limits = np.iinfo(dtype)
    noise = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.3, limits.max, noise).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@given(seed=seeds, shape=shapes, size=sizes, name=st.sampled_from(list(FILTERS)))
def test_bytes_are_those_of_dense_sums(dtype, seed, shape, size, name):
    frames = make_frames(seed, (1, *shape), dtype)
    grids = tuple(SampleGrid(n, n) for n in shape[:2])
    found = resize_frames(frames, size=size, filter=name)
    assert np.array_equal(found[0], scale_frame(frames[0], grids, size, name))


@given(
    seed=seeds,
    top=st.integers(0, 5),
    left=st.integers(0, 5),
    size=sizes,
    name=st.sampled_from(list(FILTERS)),
)
def test_views_and_tables_make_no_difference(seed, top, left, size, name):
    rng = np.random.default_rng(seed)
    lookup = DisplayLut(np.sort(rng.integers(0, 65536, 4096)).astype(np.uint16), -2048)
    stored = rng.integers(-2048, 2048, (1, 60, 50, 1)).astype(np.int16)
    # Mirrored along both axes and cropped, as orient and crop leave frames.
    view = stored[:, ::-1, ::-1][:, top : top + 41, left : left + 37]
    grids = SampleGrid(41, 41), SampleGrid(37, 37)
    found = resize_frames(view, size=size, filter=name, lookup=lookup)
    assert np.array_equal(found[0], scale_frame(lookup(view[0]), grids, size, name))


@given(seed=seeds, step=st.sampled_from([2, 4]), start=st.integers(0, 1), size=sizes)
def test_samples_of_a_reduced_resolution_are_those_of_dense_sums(seed, step, start, size):
    frames = make_frames(seed, (1, 30, 26, 1), np.uint16)
    grids = SampleGrid(30, 30 * step, step, start), SampleGrid(26, 26 * step, step, start)
    found = resize_frames(frames, size=size, filter="triangle", grids=grids)
    assert np.array_equal(found[0], scale_frame(frames[0], grids, size, "triangle"))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("name", FILTERS)
def test_bands_join_without_a_seam(name, samples):
    # Of a megabyte of input each: 25 rows and more.
    frames = make_frames(1, (1, 420, 1700, samples), np.uint8)
    grids = SampleGrid(420, 420), SampleGrid(1700, 1700)
    found = resize_frames(frames, size=Size(45, 430), filter=name)
    assert np.array_equal(found[0], scale_frame(frames[0], grids, Size(45, 430), name))


@given(seed=seeds, size=sizes, name=st.sampled_from(list(FILTERS)))
def test_colour_is_three_grey_images(seed, size, name):
    rng = np.random.default_rng(seed)
    frames = make_frames(seed, (1, 40, 30, 3), np.int16)
    frames[rng.random(frames.shape) < rng.random()] = -2000
    # One sample without background, where its kernels are those of an image without any.
    frames[..., 1] = np.maximum(frames[..., 1], -1999)
    found = resize_frames(frames, size=size, filter=name, background=-2000)
    alone = [
        resize_frames(frames[..., i : i + 1], size=size, filter=name, background=-2000)
        for i in range(3)
    ]
    assert np.array_equal(found, np.concatenate(alone, axis=-1))
