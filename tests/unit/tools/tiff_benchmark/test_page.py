"""The comparison of compressors as tables and as a page, and what it recommends."""

from dataclasses import replace
from html.parser import HTMLParser

from dicom_preprocessing.tools.tiff_benchmark import page
from dicom_preprocessing.tools.tiff_benchmark.benchmark import Benchmark, Reading, Runs, Sizes
from tests.unit.tools.tiff_benchmark.noise import K


def sizes(compressor, total, lz4, zstd, decode):
    return Sizes(compressor, total, lz4, zstd, decode, 2 * decode, 1.0)


BENCHMARK = Benchmark(
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
        plain, lz4, zstd, *_ = page.recommend(BENCHMARK)
        assert plain.startswith("On a file system that does not compress: zstd. It takes 5.9 MB")
        assert lz4.startswith("On ZFS with LZ4: uncompressed.")
        assert zstd.startswith("On ZFS with ZSTD: uncompressed. It takes 3.0 MB")

    def test_order_and_second_run(self):
        *_, order, again = page.recommend(BENCHMARK)
        assert "60.0 times as fast as random order" in order
        assert "hardly faster than the first (a factor of 1.10)" in again

    def test_warm_reads_are_not_called_cold(self):
        assert "it was checked" in page.describe_cache(BENCHMARK)
        warm = replace(BENCHMARK, runs=[Runs("lzw", 1.0, 1.0, None)])
        assert "say little about the disk" in page.describe_cache(warm)


def test_tables_have_the_figures():
    first, second, third = page.make_tables(BENCHMARK)
    assert first.rows[1] == ("lzw", "6.0", "6.0", "6.0", "40.00", "80.0", "1.0")
    assert second.rows == (("lzw", "600", "10", "60.00", "100 %"),)
    assert third.rows == (("lzw", "100", "110", "1.10", "100 %"),)
    lines = list(first.markdown())
    assert len({len(line) for line in lines}) == 1


def test_bars_are_as_long_as_their_values():
    svg = page.draw_bars("MB", ["a", "b"], ["plain"], [[50.0], [100.0]])
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
    page.write_page(BENCHMARK, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    tags = Tags(text)
    assert (tags.open, tags.links) == ([], [])
    assert text.count("<svg") == 4
    for figure in ("26,474", "641.4", "820.5", "67.3"):
        assert figure in text
