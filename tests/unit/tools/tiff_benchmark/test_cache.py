"""Files read with and without what the system has cached."""

import os
import sys

import pytest

from dicom_preprocessing.tools.tiff_benchmark.cache import (
    count_cached_pages,
    drop_cached,
    read_and_discard,
)
from tests.unit.tools.tiff_benchmark.noise import NOISE


def test_file_is_read_whole(tmp_path):
    (tmp_path / "a").write_bytes(NOISE)
    assert read_and_discard(tmp_path / "a") == len(NOISE)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS drops nothing")
def test_pages_that_were_read_are_cached(tmp_path):
    (tmp_path / "a").write_bytes(NOISE)
    with (tmp_path / "a").open("rb") as file:
        assert count_cached_pages(file.fileno()) == (50, 50)


def test_looking_does_not_read(tmp_path):
    (tmp_path / "a").write_bytes(NOISE)
    if drop_cached([tmp_path / "a"]) != 1:
        pytest.skip("this file system does not drop files from the cache")
    with (tmp_path / "a").open("rb") as file:
        assert [count_cached_pages(file.fileno()) for _ in range(3)] == [(0, 50)] * 3


def test_without_fadvise_nothing_is_said_to_be_cold(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    (tmp_path / "a").write_bytes(b"x")
    assert drop_cached([tmp_path / "a"]) is None
