"""dicom-manifest: a manifest of any tree of TIFFs, from their tags."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING

from dicom_preprocessing.cli.arguments import read_output_path, read_path
from dicom_preprocessing.cli.command import command
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.results.layout import MANIFEST
from dicom_preprocessing.text import TABLE_SUFFIXES, make_printable
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@command()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, 1 or 2, as --help says."""
    parser = argparse.ArgumentParser(
        prog="dicom-manifest",
        description="Write a manifest of the TIFFs below a folder, with geometry from their tags.",
        epilog="Exit status: 0 every TIFF is listed; 1 one could not be read (the rest is listed), "
        "or there are none; 2 wrong usage.",
        allow_abbrev=False,
    )
    parser.add_argument("source", metavar="SOURCE", type=read_path, help="folder of TIFFs")
    parser.add_argument(
        "output",
        metavar="OUTPUT",
        type=read_output_path,
        nargs="?",
        help=".csv or .parquet (default: SOURCE/manifest.csv)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    arguments = parser.parse_args(argv)
    output = arguments.output or arguments.source / MANIFEST
    if output.suffix.lower() not in TABLE_SUFFIXES:
        parser.error(f"OUTPUT {output} must end in .csv or .parquet")
    from dicom_preprocessing.index.table import IndexFolder

    if output.parent == arguments.source and IndexFolder(arguments.source).table.exists():
        parser.error(
            f"SOURCE {arguments.source} is a folder of the workflow, which writes its manifest "
            f"there. Name the images, {arguments.source / 'images'}, or an OUTPUT elsewhere"
        )
    return _write(arguments.source, output)


def _write(source: Path, output: Path) -> int:
    from tqdm import tqdm

    from dicom_preprocessing.files import remove_partials_of
    from dicom_preprocessing.results.manifest import find_tiffs, row_of_tiff, write_manifest
    from dicom_preprocessing.results.outcomes import try_call

    remove_partials_of([output], is_held=False)
    paths = find_tiffs(source)
    if not paths:
        print(f"error: {source} contains no TIFFs", file=sys.stderr)
        return 1
    rows, unreadable = [], 0
    read = partial(row_of_tiff, root=source)
    for path in tqdm(paths, unit="file", disable=None, leave=False):
        outcome = try_call(read, path)
        if isinstance(outcome, OutputError):
            unreadable += 1
            print(f"error: {make_printable(str(outcome))}", file=sys.stderr)
        else:
            rows.append(outcome)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_manifest(rows, output)
    print(f"{len(rows)} of {len(paths)} TIFFs in {make_printable(str(output))}")
    return 1 if unreadable else 0
