"""The comparison of compressors as tables of text and as one self-contained page."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from dicom_preprocessing.files import atomic_write
from dicom_preprocessing.html import make_page
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.tools.tiff_benchmark.benchmark import Benchmark, Sizes

MB = 1e6
MAX_RATIO_TO_SMALLEST = 1.1
"""Up to this ratio to the smallest, a size counts as equally small."""
MIN_NOTABLE_RATIO = 1.3
"""From this ratio on, two rates count as different."""

PUBLISHED = (
    "Published by the authors of medcognetics/dicom-preprocessing for 26,474 tomosynthesis "
    "volumes, read from hard disks over a network. Other images, machines and codecs: compare "
    "ratios."
)
PUBLISHED_SIZES = (
    ("uncompressed", "12", "6.5", "3.2"),
    ("packbits", "8.3", "6.5", "67.3"),
    ("lzw", "5.6", "5.6", "44.1"),
)
PUBLISHED_RATES = (
    ("in order of inodes", "641.4"),
    ("random", "9.8"),
    ("random again, from the cache", "820.5"),
)
STORAGES = {
    "total_bytes": "On a file system that does not compress",
    "lz4_bytes": "On ZFS with LZ4",
    "zstd_bytes": "On ZFS with ZSTD",
}
BAR_COLOURS = ("#34568b", "#e08e45", "#6b9f71")
EXTRA_STYLE = """
td { font-variant-numeric: tabular-nums; } th { white-space: normal; vertical-align: bottom; }
svg { max-width: 100%; height: auto; margin-top: 12px; }
td.n { overflow-wrap: normal; } .note { color: #555; font-size: 13px; }
"""


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table whose first column is text and whose other columns are figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> Iterator[str]:
        """Lines of aligned Markdown, for screens and documents."""
        cells = [self.columns, *self.rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]

        def line(row: Sequence[str]) -> str:
            first = row[0].ljust(widths[0])
            rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
            return f"| {' | '.join((first, *rest))} |"

        yield line(self.columns)
        yield f"|{'-' * (widths[0] + 2)}|{'|'.join('-' * (w + 1) + ':' for w in widths[1:])}|"
        yield from map(line, self.rows)

    def html(self) -> str:
        """HTML with the title."""

        def line(row: Sequence[str], tag: str) -> str:
            first, *rest = map(escape, row)
            figures = "".join(f'<{tag} class="n">{cell}</{tag}>' for cell in rest)
            return f"<tr><{tag}>{first}</{tag}>{figures}</tr>\n"

        body = "".join(line(row, "td") for row in self.rows)
        return f"<h2>{escape(self.title)}</h2>\n<table>{line(self.columns, 'th')}{body}</table>\n"


def make_tables(benchmark: Benchmark) -> tuple[ReportTable, ReportTable, ReportTable]:
    """Tables of sizes and times, of reading, and of first and second runs."""
    zfs = f"{benchmark.record_bytes // 1024}K records"
    sizes = ReportTable(
        "Size and time by compressor",
        (
            "compressor",
            "MB",
            f"LZ4, {zfs}, MB",
            f"ZSTD, {zfs}, MB",
            "decode, median ms",
            "decode, peak ms",
            "write, median ms",
        ),
        tuple(
            (
                row.compressor,
                f"{row.total_bytes / MB:.1f}",
                f"{row.lz4_bytes / MB:.1f}",
                f"{row.zstd_bytes / MB:.1f}",
                f"{row.decode_median_ms:.2f}",
                f"{row.decode_peak_ms:.1f}",
                f"{row.write_median_ms:.1f}",
            )
            for row in benchmark.sizes
        ),
    )
    reading = ReportTable(
        "Reading in order of inodes, and at random",
        ("compressor", "sequential, files/s", "random, files/s", "ratio", "out of the cache"),
        tuple(
            (
                row.compressor,
                f"{row.sequential:.0f}",
                f"{row.random:.0f}",
                f"{row.sequential / row.random:.2f}",
                _format_share(row.dropped),
            )
            for row in benchmark.reading
        ),
    )
    runs = ReportTable(
        "First and second run, at random, with decoding",
        ("compressor", "first, files/s", "second, files/s", "ratio", "out of the cache"),
        tuple(
            (
                row.compressor,
                f"{row.first:.0f}",
                f"{row.second:.0f}",
                f"{row.second / row.first:.2f}",
                _format_share(row.dropped),
            )
            for row in benchmark.runs
        ),
    )
    return sizes, reading, runs


def _format_share(dropped: float | None) -> str:
    return "unknown" if dropped is None else f"{100 * dropped:.0f} %"


def describe_images(benchmark: Benchmark) -> str:
    """Describe what was measured, in a few sentences."""
    unreadable = f" {benchmark.unreadable:,} could not be read and are left out." * bool(
        benchmark.unreadable
    )
    return (
        f"{benchmark.images:,} images of {benchmark.frames:,} frames, "
        f"{benchmark.pixel_bytes / MB:.1f} MB of pixels. Read rates are of whole files; "
        "decode times are of whole images, each the best of "
        f"the passes from the cache, and the peak is the slowest image.{unreadable}"
    )


def describe_cache(benchmark: Benchmark) -> str:
    """Say whether the first reads were uncached, and what that does not mean."""
    if benchmark.is_uncached:
        return (
            "Files were dropped from this system's cache before the first reads, and it was "
            "checked that they were. Names and inodes stayed cached, and so may what a disk, a "
            "server or the host of a virtual machine keeps."
        )
    return (
        "Not all files could be dropped from the cache, or the system does not say (last column): "
        "the first reads were partly or completely from memory, and say little about the disk."
    )


def recommend(benchmark: Benchmark) -> list[str]:
    """Recommendations by the figures: of the smallest, the fastest to decode."""
    uncompressed = next(row for row in benchmark.sizes if row.compressor == "uncompressed")
    sentences = [
        _recommend_compressor(benchmark.sizes, attribute, where, uncompressed)
        for attribute, where in STORAGES.items()
    ]
    order = statistics.median(row.sequential / row.random for row in benchmark.reading)
    if order >= MIN_NOTABLE_RATIO:
        sentences.append(
            f"Read in order of inodes (column inode of the manifest) where you can: it was "
            f"{order:.1f} times as fast as random order. Shuffle within blocks of files that lie "
            "together."
        )
    else:
        sentences.append(
            f"The order of reading made no great difference here (a factor of {order:.2f}), as on "
            "storage that does not seek, or where a cache below this system holds the files. On "
            "hard disks it can decide everything: see the published rates."
        )
    again = statistics.median(row.second / row.first for row in benchmark.runs)
    if again >= MIN_NOTABLE_RATIO:
        sentences.append(
            f"The second run was {again:.1f} times as fast as the first: a smaller compressor pays "
            "if it lets the images fit into memory."
        )
    else:
        sentences.append(
            f"The second run was hardly faster than the first (a factor of {again:.2f}): decoding, "
            "not reading, takes the time here."
        )
    return sentences


def _recommend_compressor(sizes: Sequence[Sizes], attribute: str, where: str, plain: Sizes) -> str:
    def size_of(row: Sizes) -> int:
        size: int = getattr(row, attribute)
        return size

    smallest = min(map(size_of, sizes))
    close = [row for row in sizes if size_of(row) <= MAX_RATIO_TO_SMALLEST * smallest]
    best = min(close, key=lambda row: row.decode_median_ms)
    share = 100 * size_of(best) / size_of(plain) if size_of(plain) else 100
    text = f"{where}: {best.compressor}. It takes {size_of(best) / MB:.1f} MB"
    if best is plain:
        return (
            f"{text}, as little as the smallest or nearly so, and {best.decode_median_ms:.2f} ms "
            "per image to decode."
        )
    return (
        f"{text}, {share:.0f} % of what uncompressed images take there, and "
        f"{best.decode_median_ms:.2f} ms per image to decode, against "
        f"{plain.decode_median_ms:.2f} ms uncompressed."
    )


def write_page(benchmark: Benchmark, path: Path) -> None:
    """Write the page, atomically."""
    sizes, reading, runs = make_tables(benchmark)
    names = [row.compressor for row in benchmark.sizes]
    mb = [[row.total_bytes, row.lz4_bytes, row.zstd_bytes] for row in benchmark.sizes]
    advice = "".join(f"<li>{escape(sentence)}</li>\n" for sentence in recommend(benchmark))
    choice = (
        f"<p>{escape(describe_images(benchmark))}</p>\n<h2>What to choose</h2>\n<ul>{advice}</ul>\n"
        f'<p class="note">The rule: of the compressors within '
        f"{round(100 * (MAX_RATIO_TO_SMALLEST - 1))} % of the "
        "smallest, the one that decodes fastest.</p>\n"
    )
    sections = [
        choice,
        sizes.html(),
        draw_bars(
            "MB", names, ("plain", "LZ4", "ZSTD"), [[value / MB for value in row] for row in mb]
        ),
        draw_bars(
            "decode, ms per image",
            names,
            ("median", "peak"),
            [[row.decode_median_ms, row.decode_peak_ms] for row in benchmark.sizes],
        ),
        f'<p class="note">{escape(_describe_model(benchmark))}</p>',
        reading.html(),
        draw_bars(
            "files/s, without decoding",
            [row.compressor for row in benchmark.reading],
            ("in order of inodes", "random"),
            [[row.sequential, row.random] for row in benchmark.reading],
        ),
        f'<p class="note">{escape(describe_cache(benchmark))}</p>',
        runs.html(),
        draw_bars(
            "files/s, with decoding",
            [row.compressor for row in benchmark.runs],
            ("first run", "second run"),
            [[row.first, row.second] for row in benchmark.runs],
        ),
        *(table.html() for table in make_published_tables()),
        f'<p class="note">{escape(PUBLISHED)}</p>',
        f'<p class="note">dicom-preprocessing {__version__}</p>',
    ]
    with atomic_write(path) as file:
        file.write(make_page("TIFF benchmark", "".join(sections), style=EXTRA_STYLE))


def _describe_model(benchmark: Benchmark) -> str:
    return (
        "LZ4 and ZSTD are a model of ZFS: files in records of "
        f"{benchmark.record_bytes // 1024} KiB, each compressed by itself (ZSTD at level 3) and "
        "kept as it is unless that saves an eighth; blocks of zeros take nothing; sizes rounded up "
        "to sectors of 4 KiB; no parity, no metadata."
    )


def make_published_tables() -> tuple[ReportTable, ReportTable]:
    """Published figures of others, for comparison."""
    return (
        ReportTable(
            "Published sizes",
            ("compressor", "TB", "after ZFS LZ4, TB", "decode, peak ms"),
            PUBLISHED_SIZES,
        ),
        ReportTable("Published rates", ("order", "files/s"), PUBLISHED_RATES),
    )


ROW, GAP, LEFT, WIDTH, LABEL = 16, 12, 110, 560, 90


def draw_bars(
    unit: str, groups: Sequence[str], series: Sequence[str], values: Sequence[Sequence[float]]
) -> str:
    """Draw horizontal bars, one group per compressor, as SVG.

    Parameters
    ----------
    unit : str
        Of all values.
    groups, series : sequence of str
        Names of the groups, and of the bars of each.
    values : one row per group, one value per bar
    """
    highest = max((value for row in values for value in row), default=0) or 1
    step = ROW * len(series) + GAP
    shapes, x = [], LEFT
    for name, colour in zip(series, BAR_COLOURS, strict=False):
        shapes.append(f'<rect x="{x}" y="4" width="12" height="12" fill="{colour}"/>')
        shapes.append(f'<text x="{x + 17}" y="15">{escape(name)}</text>')
        x += 34 + 8 * len(name)
    shapes.append(f'<text x="{x}" y="15" fill="#555">{escape(unit)}</text>')
    for i, (group, row) in enumerate(zip(groups, values, strict=True)):
        top = 26 + i * step
        middle = top + ROW * len(series) / 2 + 4
        shapes.append(
            f'<text x="{LEFT - 8}" y="{middle:g}" text-anchor="end">{escape(group)}</text>'
        )
        for j, value in enumerate(row):
            y, width = top + j * ROW, max(1.0, WIDTH * value / highest)
            shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004
            shapes.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{ROW - 2}" '
                f'fill="{BAR_COLOURS[j]}"/>'
                f'<text x="{LEFT + width + 5:.1f}" y="{y + 11}">{shown}</text>'
            )
    height = 26 + len(groups) * step
    total = LEFT + WIDTH + LABEL
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" '
        f'height="{height}" role="img" aria-label="{escape(unit)}" font-family="system-ui, '
        f'sans-serif" font-size="12">{"".join(shapes)}</svg>\n'
    )
