"""What is said beforehand about free space."""

import pytest

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.index.table import IndexFolder, PixelCounts, Study
from dicom_preprocessing.workflow import space
from dicom_preprocessing.workflow.run import Run
from dicom_preprocessing.workflow.space import (
    estimate_output_bytes,
    find_share,
    warn_of_little_space,
)

COUNTS = PixelCounts(files=2, frames=10, pixels=1000, nbytes=2000, largest=1800)


def config(**values):
    return parse_config(values)[0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 2000),
        ({"keep": ["decode", "pad"]}, 6000),
        ({"size": [5, 4]}, 10 * 20 * 2),
        ({"size": [5, 4], "keep": ["crop", "resize"]}, 2000 + 2 * 400),
        ({"volume": "central-slice"}, 400),
    ],
)
def test_estimate(values, expected):
    assert estimate_output_bytes(config(**values), COUNTS) == expected


def test_nothing_to_decode_needs_nothing():
    assert estimate_output_bytes(config(size=[5, 4]), PixelCounts()) == 0


@pytest.mark.parametrize(("free", "count"), [(None, 0), (1000, 0), (999, 1)])
def test_numbers_are_told_where_less_is_free_than_may_be_written(monkeypatch, free, count):
    monkeypatch.setattr(space, "find_free_bytes", lambda _: free)
    told = list(warn_of_little_space(config(), "results", COUNTS, 0.5))
    assert len(told) == count
    assert all("1.0 kB uncompressed, and 999 bytes are free in results" in text for text in told)


def test_temporary_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(space.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(space, "find_free_bytes", {str(tmp_path): 1799, "results": 9999}.get)
    (told,) = warn_of_little_space(config(crop=True), "results", COUNTS, 1)
    assert "1.8 kB in temporary files, and 1.8 kB are free in " + str(tmp_path) in told
    assert "TMPDIR" in told


def study(uid, megapixels):
    return Study(
        study_instance_uid=uid, files=1, mem_mb=1, megapixels=megapixels, inventory="0" * 16
    )


def test_share_is_that_of_studies_without_a_receipt(tmp_path, monkeypatch):
    studies = {"1.1": study("1.1", 2), "1.2": study("1.2", 5)}
    assert find_share(studies, ["1.1"]) == 1 / 3
    assert find_share({}, []) == 0
    run = Run(config(output=str(tmp_path)), tmp_path)
    index = IndexFolder(tmp_path)
    monkeypatch.setattr(run.index, "read_studies", lambda: studies)
    index.path.mkdir()
    index.pixels.write_text(COUNTS.to_json())
    receipt = run.results.receipt("write", "1.2")
    receipt.parent.mkdir(parents=True)
    receipt.touch()
    monkeypatch.setattr(space, "find_free_bytes", lambda _: 0)
    told = []
    run.warn = told.append
    assert run.studies == studies
    assert run.studies == studies
    (warning,) = told
    assert "up to 666 bytes" in warning
