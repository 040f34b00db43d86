"""tiff-combine: one multi-page TIFF per series from a tree of single-frame slices."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from dicom_preprocessing.cli.arguments import read_output_path, read_path
from dicom_preprocessing.cli.command import command, holding
from dicom_preprocessing.config import COMPRESSORS
from dicom_preprocessing.errors import DicomPreprocessingError, OutputError
from dicom_preprocessing.results.layout import MANIFEST, SLICES
from dicom_preprocessing.text import explain_error, make_printable
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_preprocessing.tools.combine import CombinedVolume, Slice, SliceGroups


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, 1 or 2, as --help says."""
    arguments = _parser().parse_args(argv)
    from dicom_preprocessing.dicom.reading import silence_pydicom_warnings
    from dicom_preprocessing.tools.combine import sort_by_headers, sort_by_table
    from dicom_preprocessing.tools.tree import open_tree, require_outside

    silence_pydicom_warnings()
    try:
        tree = open_tree(arguments.source)
        require_outside(tree, arguments.output)
        if arguments.table is not None:
            sorting = sort_by_table(tree, arguments.table, arguments.order)
        else:
            sorting = sort_by_headers(tree, arguments.dicom)
        with holding(arguments.output, "tiff-combine"):
            return _combine(sorting, arguments)
    except (DicomPreprocessingError, OSError) as error:
        print(f"error: {explain_error(error)}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tiff-combine",
        description="Write single-frame slices as one TIFF per series, "
        "OUTPUT/{study}/{series}.tiff. A finished tree has no slice positions: the order of slices "
        "comes from a table or from the DICOM files that they were made from.",
        epilog="OUTPUT/slices.csv says which slice became which page. "
        "Exit status: 0 every series is written; 1 a series could not be, or a row of the table "
        "has no image, or an image no DICOM file (the rest is written); 2 wrong usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "source", metavar="SOURCE", type=read_path, help="folder of TIFFs, or manifest"
    )
    parser.add_argument("output", metavar="OUTPUT", type=read_output_path, help="folder")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--table",
        type=read_path,
        help=".csv or .parquet with path or sop_instance_uid, and position or instance_number; "
        "series_instance_uid where manifest and folders do not have it",
    )
    how.add_argument(
        "--source",
        dest="dicom",
        action="append",
        metavar="DICOM",
        help="folder of the DICOM files; can be given several times",
    )
    parser.add_argument("--order", metavar="COLUMN", help="column of the table to order by")
    parser.add_argument("-z", "--compressor", choices=COMPRESSORS, help="default: as before")
    parser.add_argument(
        "--force",
        action="store_true",
        help="even if slices share a position or differ in geometry",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _combine(sorting: SliceGroups, arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from dicom_preprocessing.files import make_durable, remove_partials_of
    from dicom_preprocessing.results.manifest import write_manifest
    from dicom_preprocessing.results.outcomes import try_call
    from dicom_preprocessing.tools.combine import list_targets, write_slices_of

    remove_partials_of(list_targets(sorting, arguments.output))
    remove_partials_of(arguments.output / name for name in (MANIFEST, SLICES))
    volumes: list[CombinedVolume] = []
    named = {f"series {series} of {study}": (study, series) for study, series in sorting.series}

    def write(name: str) -> CombinedVolume:
        problem = None if arguments.force else sorting.problems.get(named[name])
        return _write_volume(sorting.series[named[name]], problem, arguments)

    for name in tqdm(sorted(named, key=named.__getitem__), disable=None, leave=False):
        outcome = try_call(write, name)
        if isinstance(outcome, OutputError):
            print(f"error: {make_printable(str(outcome))}", file=sys.stderr)
        else:
            volumes.append(outcome)
    make_durable(arguments.output / volume.row.path for volume in volumes)
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_manifest([volume.row for volume in volumes], arguments.output / MANIFEST)
    write_slices_of(volumes, arguments.output / SLICES)
    folder = make_printable(str(arguments.output))
    print(f"{len(volumes)} of {len(sorting.series)} series in {folder}")
    if sorting.unlisted:
        origin = "table" if arguments.table else "DICOM files"
        print(f"{sorting.unlisted} images are not in the {origin} and were left out")
    if sorting.missing:
        print(f"{sorting.missing} rows of the table have no image", file=sys.stderr)
    is_complete = len(volumes) == len(sorting.series) and not sorting.missing
    return 0 if volumes and is_complete and (arguments.table or not sorting.unlisted) else 1


def _write_volume(
    slices: Sequence[Slice], problem: str | None, arguments: argparse.Namespace
) -> CombinedVolume:
    from dicom_preprocessing.tools.combine import combine

    if problem is not None:
        raise OutputError(f"series {slices[0].series}: {problem}")
    return combine(slices, arguments.output, compressor=arguments.compressor, force=arguments.force)
