"""The storage study: the model of ZFS, dropped caches, tables, page and recommendation."""

import csv
import os
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import tifffile

from dicom_preprocessing.cli.storage_study import main
from dicom_preprocessing.tools.storage import page
from dicom_preprocessing.tools.storage.blocks import block_size, stored_size
from dicom_preprocessing.tools.storage.cache import cached_pages, drop_cached, read_whole
from dicom_preprocessing.tools.storage.study import Reading, Runs, Sizes, Study

K = 1024
NOISE = np.random.default_rng(1).bytes(200 * K)


class TestBlocks:
    @pytest.mark.parametrize(
        ("compressed", "expected"),
        [
            pytest.param(1, 4, id="whole sectors"),
            pytest.param(40 * K + 1, 44, id="rounded up"),
            pytest.param(112 * K, 112, id="an eighth is saved"),
            pytest.param(112 * K + 1, 128, id="less than an eighth is saved"),
            pytest.param(130 * K, 128, id="it became larger"),
        ],
    )
    def test_kib_of_a_full_record(self, compressed, expected):
        assert block_size(b"x" * 128 * K, lambda _: compressed) == expected * K

    def test_zeros_take_nothing(self):
        assert block_size(bytes(128 * K), len) == 0

    def test_small_file_is_one_block_of_its_size(self, tmp_path):
        (tmp_path / "a").write_bytes(NOISE[: 5 * K])
        found = stored_size(tmp_path / "a")
        assert (found.apparent, found.lz4, found.zstd) == (5 * K, 8 * K, 8 * K)

    def test_last_record_of_a_large_file_is_filled_up_with_zeros(self, tmp_path):
        (tmp_path / "a").write_bytes(NOISE[: 140 * K])
        found = stored_size(tmp_path / "a")
        assert found.lz4 == 128 * K + 16 * K  # 12 K of noise, and a sector for the rest

    def test_size_of_a_record_decides(self, tmp_path):
        (tmp_path / "a").write_bytes((NOISE[: 4 * K] * 4)[: 16 * K])
        assert stored_size(tmp_path / "a", 4 * K).lz4 == 16 * K
        assert stored_size(tmp_path / "a", 16 * K).lz4 == 8 * K


def test_file_is_read_whole(tmp_path):
    (tmp_path / "a").write_bytes(NOISE)
    assert read_whole(tmp_path / "a") == len(NOISE)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS drops nothing")
def test_pages_that_were_read_are_cached(tmp_path):
    (tmp_path / "a").write_bytes(NOISE)
    with (tmp_path / "a").open("rb") as file:
        assert cached_pages(file.fileno()) == (50, 50)


def test_looking_does_not_read(tmp_path):
    (tmp_path / "a").write_bytes(NOISE)
    if drop_cached([tmp_path / "a"]) != 1:
        pytest.skip("this file system does not drop files from the cache")
    with (tmp_path / "a").open("rb") as file:
        assert [cached_pages(file.fileno()) for _ in range(3)] == [(0, 50)] * 3


def test_without_fadvise_nothing_is_said_to_be_cold(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    (tmp_path / "a").write_bytes(b"x")
    assert drop_cached([tmp_path / "a"]) is None


def sizes(compressor, total, lz4, zstd, decode):
    return Sizes(compressor, total, lz4, zstd, decode, 2 * decode, 1.0)


STUDY = Study(
    images=2,
    unreadable=0,
    frames=3,
    pixel_bytes=4_000_000,
    record_bytes=128 * K,
    sizes=[
        sizes("packbits", 8_000_000, 6_400_000, 6_000_000, 60.0),
        sizes("lzw", 6_000_000, 6_000_000, 6_000_000, 40.0),
        sizes("uncompressed", 12_000_000, 6_500_000, 3_000_000, 3.0),
        sizes("zstd", 5_900_000, 5_950_000, 5_900_000, 9.0),
    ],
    reading=[Reading("lzw", 600.0, 10.0, 1.0)],
    runs=[Runs("lzw", 100.0, 110.0, 1.0)],
)


class TestRecommendation:
    def test_fastest_of_the_smallest_by_file_system(self):
        plain, lz4, zstd, *_ = page.recommendation(STUDY)
        assert plain.startswith("On a file system that does not compress: zstd. It takes 5.9 MB")
        assert lz4.startswith("On ZFS with LZ4: uncompressed.")
        assert zstd.startswith("On ZFS with ZSTD: uncompressed. It takes 3.0 MB")

    def test_order_and_second_run(self):
        *_, order, again = page.recommendation(STUDY)
        assert "60.0 times as fast as random order" in order
        assert "hardly faster than the first (a factor of 1.10)" in again

    def test_warm_reads_are_not_called_cold(self):
        assert "it was checked" in page.cold_note(STUDY)
        warm = replace(STUDY, runs=[Runs("lzw", 1.0, 1.0, None)])
        assert "say little about the disk" in page.cold_note(warm)


def test_tables_have_the_figures():
    first, second, third = page.tables(STUDY)
    assert first.rows[1] == ("lzw", "6.0", "6.0", "6.0", "40.00", "80.0", "1.0")
    assert second.rows == (("lzw", "600", "10", "60.00", "100 %"),)
    assert third.rows == (("lzw", "100", "110", "1.10", "100 %"),)
    lines = list(first.markdown())
    assert len({len(line) for line in lines}) == 1


def test_bars_are_as_long_as_their_values():
    svg = page.bars("MB", ["a", "b"], ["plain"], [[50.0], [100.0]])
    assert f'width="{page.WIDTH / 2:.1f}"' in svg
    assert f'width="{page.WIDTH:.1f}"' in svg


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self.open.pop() == tag


def test_page_is_whole_and_needs_no_other_file(tmp_path):
    page.write_page(STUDY, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    tags = Tags(text)
    assert (tags.open, tags.links) == ([], [])
    assert text.count("<svg") == 4
    for figure in ("26,474", "641.4", "820.5", "67.3"):
        assert figure in text


class TestCommand:
    @pytest.fixture
    def tree(self, tmp_path):
        for number in range(3):
            pages = np.full((2, 20, 30), number, np.uint16)
            with tifffile.TiffWriter(tmp_path / f"{number}.tiff") as tiff:
                for frame in pages:
                    tiff.write(frame, contiguous=False, metadata=None)
        return tmp_path

    def test_every_compressor_and_nothing_left_behind(self, tree, tmp_path_factory, capsys):
        output = tmp_path_factory.mktemp("study")
        assert main([str(tree), str(output), "--repeat", "1"]) == 0
        assert sorted(path.name for path in output.iterdir()) == [
            "reading.csv",
            "report.html",
            "runs.csv",
            "sizes.csv",
        ]
        with (output / "sizes.csv").open() as file:
            rows = {row["compressor"]: row for row in csv.DictReader(file)}
        assert list(rows) == ["packbits", "lzw", "uncompressed", "deflate", "zstd"]
        assert int(rows["zstd"]["total_bytes"]) < int(rows["uncompressed"]["total_bytes"])
        assert "3 images of 6 frames" in capsys.readouterr().out

    def test_limit(self, tree, tmp_path_factory, capsys):
        output = tmp_path_factory.mktemp("study")
        assert main([str(tree), str(output), "--repeat", "1", "--limit", "2"]) == 0
        assert "2 images of 4 frames" in capsys.readouterr().out

    def test_images_that_cannot_be_read_are_told(self, tree, tmp_path_factory, capsys):
        (tree / "1.tiff").write_bytes(b"II*\0")
        output = tmp_path_factory.mktemp("study")
        assert main([str(tree), str(output), "--repeat", "1"]) == 0
        printed = capsys.readouterr().out
        assert "2 images of 4 frames" in printed
        assert "1 could not be read and are left out." in printed

    def test_no_image(self, tmp_path, capsys):
        (tmp_path / "a.tiff").write_bytes(b"II*\0")
        assert main([str(tmp_path), str(tmp_path / "out")]) == 1
        assert "none of the images can be read" in capsys.readouterr().err
