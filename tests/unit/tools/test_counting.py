"""Values counted: exact sums and histograms."""

import pickle

import numpy as np
import pytest

from dicom_preprocessing.tools.counting import BinnedValues, CountedValues, Moments


def test_large_mean_of_floats_keeps_its_digits():
    values = BinnedValues(np.dtype(np.float32))
    for _ in range(100):
        values.add(np.array([16777214, 16777216], np.float32))
    assert values.moments.mean == 16777215
    assert values.moments.std == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize("numbers", [[], [7], [3, 100, 100], ["min", "max"]])
def test_counts_come_back_from_another_process(dtype, numbers):
    edges = {"min": np.iinfo(dtype).min, "max": np.iinfo(dtype).max}
    values = CountedValues(np.dtype(dtype))
    values.add(np.array([edges.get(number, number) for number in numbers], dtype))
    back = pickle.loads(pickle.dumps(values))
    assert (back.lowest, back.counts.dtype) == (values.lowest, np.int64)
    assert np.array_equal(back.counts, values.counts)


def test_counts_that_are_sent_are_those_of_values_that_occur():
    values = CountedValues(np.dtype(np.uint16))
    values.add(np.arange(4096, dtype=np.uint16))
    assert len(pickle.dumps(values)) < 5000


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.uint64, np.int64])
def test_sums_of_wide_integers_are_exact(dtype):
    numbers = np.array([np.iinfo(dtype).max, np.iinfo(dtype).max - 1, 5, 65536], dtype)
    values = BinnedValues(np.dtype(dtype))
    values.add(numbers)
    assert values.total == sum(map(int, numbers))
    assert values.squares == sum(int(v) ** 2 for v in numbers)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_histogram_of_wide_values_counts_all_and_fits_its_edges(dtype):
    rng = np.random.default_rng(1)
    parts = [(rng.normal(scale=scale, size=500) * 1e3).astype(dtype) for scale in (0.01, 1, 900)]
    values, other = BinnedValues(np.dtype(dtype)), BinnedValues(np.dtype(dtype))
    values.add(parts[0])
    values.add(parts[2])
    other.add(parts[1])
    values.merge(other)
    histogram = values.histogram(16)
    together = np.concatenate(parts).astype(np.float64)
    assert histogram.counts == np.histogram(together, [*histogram.edges[:-1], np.inf])[0].tolist()
    assert 8 <= len(histogram.counts) <= 16


def test_moments_of_nothing_change_nothing():
    some = Moments(2, 1.0, 2.0)
    assert Moments().combine(some) == some.combine(Moments()) == some
