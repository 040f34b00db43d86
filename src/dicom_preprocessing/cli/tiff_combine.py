"""tiff-combine: multi-page TIFFs of the volumes of series, from a tree of single-frame slices."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from dicom_preprocessing.cli.arguments import read_output_path, read_path
from dicom_preprocessing.cli.command import command, holding
from dicom_preprocessing.cli.options import add_config_options
from dicom_preprocessing.config import COMPRESSORS, StackPolicies
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.results.layout import MANIFEST, SLICES
from dicom_preprocessing.text import make_printable, plural
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_preprocessing.tools.combine import CombinedSeries, CombineOptions
    from dicom_preprocessing.tools.series import SliceGroups
    from dicom_preprocessing.tools.tree import Tree


@command()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, 1 or 2, as --help says."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    arguments.stack = getattr(arguments, "stack", {})
    if arguments.order is not None and arguments.table is None:
        parser.error("--order is a column of the --table, and there is none")
    if "mixed_rescale" in arguments.stack:
        parser.error("--stack mixed_rescale: finished TIFFs do not say how they were rescaled")
    from dicom_preprocessing.dicom.reading import silence_pydicom_warnings
    from dicom_preprocessing.tools.series import MANIFEST_COLUMNS
    from dicom_preprocessing.tools.tree import open_tree, require_outside

    silence_pydicom_warnings()
    tree = open_tree(arguments.source, MANIFEST_COLUMNS)
    require_outside(tree, arguments.output)
    groups = _group(tree, arguments)
    with holding(arguments.output, "tiff-combine"):
        return _combine(groups, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tiff-combine",
        description="Write single-frame slices as volumes, each one TIFF: "
        "OUTPUT/{study}/{series}.tiff, or OUTPUT/{study}/{series}/{sop of the first page}.tiff "
        "where a series is several volumes. Positions are those of the TIFFs, else of the "
        "manifest, else of a table or of the DICOM files.",
        epilog="OUTPUT/slices.csv says which slice became which page. "
        "Exit status: 0 every series is written; 1 a volume could not be, or a row of the table "
        "has no image, or an image no DICOM file (the rest is written); 2 wrong usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "source", metavar="SOURCE", type=read_path, help="folder of TIFFs, or manifest"
    )
    parser.add_argument("output", metavar="OUTPUT", type=read_output_path, help="folder")
    how = parser.add_mutually_exclusive_group()
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
        help="folder of the DICOM files, whose headers tell volumes of one series apart; can be "
        "given several times",
    )
    parser.add_argument(
        "--order",
        metavar="COLUMN",
        help="column of the table to order pages by, also where positions are known",
    )
    add_config_options(parser, ["stack"])
    parser.add_argument("-z", "--compressor", choices=COMPRESSORS, help="default: as before")
    parser.add_argument(
        "--force",
        action="store_true",
        help="write volumes in any case, with a warning for what would be an error",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _group(tree: Tree, arguments: argparse.Namespace) -> SliceGroups:
    from dicom_preprocessing.tools.series import group_by_headers, group_by_table, group_by_tree

    if arguments.table is not None:
        return group_by_table(tree, arguments.table, arguments.order)
    if arguments.dicom is not None:
        return group_by_headers(tree, arguments.dicom)
    return group_by_tree(tree)


def _combine(groups: SliceGroups, arguments: argparse.Namespace) -> int:
    from dicom_preprocessing.files import make_durable, remove_partials_of
    from dicom_preprocessing.results.manifest import write_manifest
    from dicom_preprocessing.tools.combine import list_targets, write_slices_of

    remove_partials_of(list_targets(groups, arguments.output))
    remove_partials_of(arguments.output / name for name in (MANIFEST, SLICES))
    for message in groups.unread:
        print(f"error: {message}", file=sys.stderr)
    done = _combine_all(groups, arguments)
    volumes = [volume for series in done for volume in series.volumes]
    make_durable(arguments.output / volume.row.path for volume in volumes)
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_manifest([volume.row for volume in volumes], arguments.output / MANIFEST)
    write_slices_of(volumes, arguments.output / SLICES)
    complete = sum(not series.errors for series in done)
    folder = make_printable(str(arguments.output))
    counts = [f"{complete} of {len(done)} series in {folder}", plural(len(volumes), "volume")]
    warnings = sum(len(series.warnings) for series in done)
    print(", ".join([*counts, *([plural(warnings, "warning")] if warnings else [])]))
    if groups.unlisted:
        origin = "table" if arguments.table else "DICOM files"
        print(f"{plural(groups.unlisted, 'image')} not in the {origin}: left out")
    if groups.missing:
        print(f"{plural(groups.missing, 'row')} of the table without an image", file=sys.stderr)
    is_complete = complete == len(done) and not groups.missing and not groups.unread
    return 0 if volumes and is_complete and (arguments.table or not groups.unlisted) else 1


def _combine_all(groups: SliceGroups, arguments: argparse.Namespace) -> list[CombinedSeries]:
    """Combine each series, and print what is not written or irregular."""
    from tqdm import tqdm

    from dicom_preprocessing.results.outcomes import try_call
    from dicom_preprocessing.tools.combine import CombinedSeries, combine_series

    named = {f"series {series} of {study}": (study, series) for study, series in groups.series}
    options = _make_options(groups, arguments)

    def combine(name: str) -> CombinedSeries:
        where = named[name]
        slices, problem = groups.series[where], groups.problems.get(where)
        return combine_series(slices, problem, arguments.output, options)

    done = []
    for name in tqdm(sorted(named, key=named.__getitem__), disable=None, leave=False):
        outcome = try_call(combine, name)
        if isinstance(outcome, OutputError):
            outcome = CombinedSeries(errors=[str(outcome)])
        for kind, lines in (
            ("error", outcome.errors),
            ("warning", outcome.warnings),
            ("left out", outcome.left_out),
        ):
            for line in lines:
                print(f"{kind}: {make_printable(line)}", file=sys.stderr)
        done.append(outcome)
    return done


def _make_options(groups: SliceGroups, arguments: argparse.Namespace) -> CombineOptions:
    from dicom_preprocessing.tools.combine import CombineOptions
    from dicom_preprocessing.tools.volumes import Ordering

    return CombineOptions(
        policies=StackPolicies(**arguments.stack),
        ordering=Ordering(groups.column, is_kept=arguments.order is not None),
        compressor=arguments.compressor,
        force=arguments.force,
    )
