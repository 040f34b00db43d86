"""Memory of stacks, which have as many slices as they like, but only a few in memory."""

import tracemalloc

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_preprocessing.imaging import frames
from tests.unit.processing.test_volume import Series, run

SIDE = 192
SLICE_BYTES = 2 * SIDE * SIDE
HEADER_BYTES = SLICE_BYTES // 3
"""More than a slice takes while it is neither decoded nor written."""
FEW, MANY = 5, 20

SETTINGS = {
    "plain": {},
    "crop and size": {"intensity": "minmax", "crop": True, "size": [64, 64]},
    "z": {"spacing": [2, 2, 0.7]},
    "maximum": {"volume": "max-intensity"},
}


def write_series(folder, count, *, is_deflated=False):
    series = Series(folder)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    is_body = np.hypot(rows - SIDE / 2, columns - SIDE / 2) < SIDE / 3
    for number in range(count):
        pixels = np.where(is_body, 1000 + number, 0).astype(np.int16)[np.newaxis]
        path = series.add(number, pixels=pixels)
        if is_deflated:
            data_set = pydicom.dcmread(path)
            data_set.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
            data_set.save_as(path)
    return folder


@pytest.fixture(scope="module", params=["native", "deflated"])
def two_series(request, tmp_path_factory):
    """Folders of few and of many slices."""
    is_deflated = request.param == "deflated"
    folder = tmp_path_factory.mktemp("series")
    return [write_series(folder / f"{n}", n, is_deflated=is_deflated) for n in (FEW, MANY)]


def measure_peak(source, output, **settings):
    """Bytes that were allocated at most."""
    tracemalloc.start()
    try:
        result = run(source, output, **settings)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(result.images) == 1
    return peak


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_more_slices_take_no_more_memory_than_their_headers(two_series, tmp_path, settings):
    run(two_series[0], tmp_path / "imports", **settings)
    few, many = (measure_peak(s, tmp_path / s.name, **settings) for s in two_series)
    assert many - few < (MANY - FEW) * HEADER_BYTES


@pytest.mark.parametrize("is_deflated", [False, True], ids=["native", "deflated"])
def test_native_slices_are_read_again_and_others_are_kept_in_a_file(
    tmp_path, monkeypatch, is_deflated
):
    opened, open_file = [], frames._open_unnamed_file

    def count_file():
        opened.append(open_file())
        return opened[-1]

    monkeypatch.setattr(frames, "_open_unnamed_file", count_file)
    source = write_series(tmp_path / "source", FEW, is_deflated=is_deflated)
    result = run(source, tmp_path / "out", intensity="voi", window=[0, 3000], crop=True)
    assert result.states() == {"": FEW}
    assert bool(opened) == is_deflated
