"""Products of samples with the weights of kernels."""

import numpy as np
import pytest
from scipy import sparse

from dicom_preprocessing.imaging import kernels
from dicom_preprocessing.imaging.kernels import LineWeights, SampleGrid, line_weights

HALVES = LineWeights(
    weights=np.array([1.0, 0.5, 0.5]),
    samples=np.array([0, 1, 2], np.int32),
    starts=np.array([0, 1, 3], np.int32),
    n_in=3,
)
"""Two output pixels of three samples: the first one, and the mean of the others."""


def test_sums_are_those_of_the_weights():
    sums = HALVES.apply(np.array([[1.0, 2.0], [4.0, 0.0], [6.0, 1.0]]))
    assert sums.tolist() == [[1.0, 2.0], [5.0, 0.5]]


def test_lines_of_any_layout_are_summed():
    samples = np.array([[1.0, 4.0, 6.0], [2.0, 0.0, 1.0]])
    assert HALVES.apply(samples.T).tolist() == [[1.0, 2.0], [5.0, 0.5]]


def test_scipy_has_the_function_within_the_operator():
    assert kernels._find_product() is not None


def test_without_that_function_sums_are_those_of_the_operator(monkeypatch):
    monkeypatch.setattr(kernels, "_find_product", lambda: None)
    assert HALVES.apply(np.array([1.0, 4.0, 6.0])).tolist() == [[1.0], [5.0]]


def test_the_function_may_be_absent(monkeypatch):
    monkeypatch.delattr(sparse, "_sparsetools")
    assert kernels._find_product.__wrapped__() is None


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_the_operator_gives_the_same_bits(name):
    line = line_weights(SampleGrid(70, 70), 41, name)
    rows = np.random.default_rng(3).normal(0, 1000, (70, 50))
    assert np.array_equal(line.multiply(rows), line.apply(rows))
