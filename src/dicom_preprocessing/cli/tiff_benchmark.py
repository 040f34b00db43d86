"""tiff-benchmark: compare the size and speed of a tree of TIFFs with each compressor."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from dicom_preprocessing.cli.arguments import read_output_path, read_path, read_positive
from dicom_preprocessing.cli.command import command, holding
from dicom_preprocessing.cli.output import require_output
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_preprocessing.tools.tiff_benchmark.benchmark import Benchmark

PAGE = "report.html"


@command()
def main(argv: Sequence[str] | None = None, *, is_job: bool = False) -> int:
    """Run the command; the exit status is 0, 1 or 2, as --help says.

    The folder of a job of the workflow is in results that the run holds.
    """
    arguments = _parser().parse_args(argv)
    with nullcontext() if is_job else holding(arguments.output, "tiff-benchmark"):
        _measure(arguments)
    return 0


def _measure(arguments: argparse.Namespace) -> None:
    from dicom_preprocessing.files import remove_partials_of
    from dicom_preprocessing.tools.tiff_benchmark.benchmark import (
        COPIES,
        TABLES,
        run_benchmark,
        write_tables,
    )
    from dicom_preprocessing.tools.tiff_benchmark.page import write_page
    from dicom_preprocessing.tools.tree import open_tree

    output = arguments.output
    remove_partials_of(output / name for name in (COPIES, *TABLES, PAGE))
    benchmark = run_benchmark(
        open_tree(arguments.source),
        limit=arguments.limit,
        repeat=arguments.repeat,
        record_bytes=arguments.record_size * 1024,
        folder=output,
        on_compressor=lambda compressor: print(f"{compressor} ...", file=sys.stderr, flush=True),
    )
    write_tables(benchmark, output)
    write_page(benchmark, output / PAGE)
    with require_output():
        _print(benchmark)


def _print(benchmark: Benchmark) -> None:
    from dicom_preprocessing.tools.tiff_benchmark.page import (
        describe_cache,
        describe_images,
        make_tables,
        recommend,
    )

    print(describe_images(benchmark))
    for table in make_tables(benchmark):
        print("", f"{table.title}:", "", *table.markdown(), sep="\n")
    print("", describe_cache(benchmark), *recommend(benchmark), sep="\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tiff-benchmark",
        description="Write images with each compressor, and measure sizes, decode times and read "
        "rates. The copies are made on the file system of OUTPUT and removed again.",
        epilog="OUTPUT gets report.html, sizes.csv, reading.csv and runs.csv. Exit status: 0 "
        "measured; 1 no image could be read, or a file not be written; 2 wrong usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "source", metavar="SOURCE", type=read_path, help="folder of TIFFs, or manifest"
    )
    parser.add_argument("output", metavar="OUTPUT", type=read_output_path, help="folder")
    parser.add_argument("--limit", type=read_positive, metavar="N", help="only N images")
    parser.add_argument("--repeat", type=read_positive, default=3, metavar="N", help="passes")
    parser.add_argument(
        "--record-size",
        type=read_positive,
        default=128,
        metavar="KIB",
        help="recordsize of the model of ZFS (default: %(default)s)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser
