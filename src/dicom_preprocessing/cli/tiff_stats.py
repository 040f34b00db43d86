"""tiff-stats: mean, standard deviation, range and histogram of the pixels of TIFFs."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.cli.arguments import (
    add_jobs_option,
    read_output_path,
    read_path,
    read_positive,
)
from dicom_preprocessing.cli.command import command
from dicom_preprocessing.cli.output import require_output
from dicom_preprocessing.text import make_printable, plural
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dicom_preprocessing.tools.statistics import PixelSelection, Statistics

BAR = 40
CHANNELS = {1: ("grey",), 3: ("red", "green", "blue")}


@command()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, 1 or 2, as --help says."""
    arguments = _parser().parse_args(argv)
    from dicom_preprocessing.files import atomic_write, remove_partials_of
    from dicom_preprocessing.tools.statistics import PixelSelection

    choice = PixelSelection(
        active_only=arguments.active_only, skip_background=arguments.skip_background
    )
    table = arguments.json if str(arguments.json) != "-" else None
    if table is not None:
        remove_partials_of([table], is_held=False)
    statistics = _collect(arguments.sources, choice, arguments.jobs)
    record = statistics.as_dict(arguments.bins)
    if table is not None:
        with atomic_write(table) as file:
            file.write(json.dumps(record, indent=1) + "\n")
    for message in statistics.bad:
        print(f"error: {make_printable(message)}", file=sys.stderr)
    lines = [json.dumps(record, indent=1)] if str(arguments.json) == "-" else _text(record)
    with require_output():
        print(*lines, sep="\n")
    return 1 if statistics.bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tiff-stats",
        description="Mean, standard deviation, range and histogram of TIFFs, by dtype and channel, "
        "also of values in 0 to 1.",
        epilog="Exit status: 0 every file is counted; 1 one could not be read (the rest is "
        "counted), or there are none; 2 wrong usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "sources", metavar="SOURCE", type=read_path, nargs="+", help="folder, manifest, or TIFF"
    )
    parser.add_argument(
        "--json", type=read_output_path, metavar="FILE", help="write JSON; - for the screen"
    )
    parser.add_argument("--active-only", action="store_true", help="without padding (ActiveArea)")
    parser.add_argument(
        "--skip-background",
        action="store_true",
        help="without pixels of the background value in all channels: 0, or that of the file",
    )
    parser.add_argument("--bins", type=read_positive, default=16, metavar="N", help="of histograms")
    add_jobs_option(parser)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _collect(sources: Sequence[Path], choice: PixelSelection, jobs: int) -> Statistics:
    from tqdm import tqdm

    from dicom_preprocessing.results.outcomes import map_in_processes
    from dicom_preprocessing.tools.statistics import Statistics, tally_file
    from dicom_preprocessing.tools.tree import find_images

    paths = find_images(sources)
    statistics = Statistics()
    tqdm.monitor_interval = 0  # no thread beside the bar: workers are forked under it
    with (
        tqdm(total=len(paths), unit="file", disable=None, leave=False) as bar,
        closing(map_in_processes(partial(tally_file, choice=choice), paths, jobs)) as outcomes,
    ):
        for outcome in outcomes:
            statistics.add(outcome)
            bar.update()
    return statistics


def _text(record: dict[str, Any]) -> Iterator[str]:
    files = plural(record["files"], "file", ",")
    yield f"{files}, {len(record['bad'])} of them cannot be read"
    for kind in record["kinds"]:
        yield ""
        channels = plural(kind["channels"], "channel")
        files, frames = (plural(kind[f"{noun}s"], noun, ",") for noun in ("file", "frame"))
        yield f"{kind['dtype']}, {channels}: {files}, {frames}"
        if kind["not_finite"]:
            yield f"{kind['not_finite']:,} values are not finite numbers and do not count"
        names = CHANNELS.get(kind["channels"]) or range(kind["channels"])
        for name, channel in zip(names, kind["by_channel"], strict=True):
            yield from _channel_text(str(name), channel, kind["full_range"])
    for both in record["normalised"]:
        mean, std = (", ".join(f"{v:.6f}" for v in both[key]) for key in ("mean", "std"))
        yield ""
        channels = plural(both["channels"], "channel")
        yield f"values in 0 to 1, {channels}: mean {mean}; std {std}"


def _channel_text(name: str, channel: dict[str, Any], top: int | None) -> Iterator[str]:
    if not channel["pixels"]:
        yield f"  {name}: no pixels"
        return
    figures = (f"{key} {channel[key]:.6g}" for key in ("mean", "std", "min", "max"))
    yield f"  {name}: {channel['pixels']:,} pixels, {', '.join(figures)}"
    if channel["normalised"]:
        mean, std = channel["normalised"]["mean"], channel["normalised"]["std"]
        yield f"  {name} / {top}: mean {mean:.6f}, std {std:.6f}"
    edges, counts = channel["histogram"]["edges"], channel["histogram"]["counts"]
    highest = max(counts)
    for low, high, n in zip(edges, edges[1:], counts, strict=False):
        share = f"{100 * n / channel['pixels']:6.2f} %"
        yield f"  {low:>12.6g} .. {high:<12.6g} {share} {'#' * round(BAR * n / highest)}".rstrip()
