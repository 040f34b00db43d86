"""tiff-resize: write the images of a finished tree of TIFFs in another size."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from dicom_preprocessing.cli.arguments import read_factor, read_output_path, read_path, read_size
from dicom_preprocessing.cli.command import command, holding
from dicom_preprocessing.config import COMPRESSORS, FILTERS, PADDINGS
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.processes import usable_cores
from dicom_preprocessing.results.layout import MANIFEST, SLICES
from dicom_preprocessing.text import make_printable
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dicom_preprocessing.results.manifest import ManifestRow
    from dicom_preprocessing.tools.resize import ResizeOptions
    from dicom_preprocessing.tools.tree import Tree


@command()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, 1 or 2, as --help says."""
    arguments = _parser().parse_args(argv)
    from dicom_preprocessing.tools.resize import ResizeOptions
    from dicom_preprocessing.tools.tree import open_tree, require_outside

    options = ResizeOptions(
        size=arguments.size,
        scale=arguments.scale,
        filter=arguments.filter,
        padding=arguments.padding,
        compressor=arguments.compressor,
    )
    tree = open_tree(arguments.source)
    require_outside(tree, arguments.output)
    with holding(arguments.output, "tiff-resize"):
        return _resize(tree, arguments.output, options, arguments.jobs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tiff-resize",
        description="Write the images of a finished tree in another size. Geometry tags lead from "
        "the source to the new images; OUTPUT/manifest.csv lists them.",
        epilog="Exit status: 0 every image is written; 1 one could not be (the rest is written), "
        "or there are none; 2 wrong usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "source", metavar="SOURCE", type=read_path, help="folder of TIFFs, or manifest"
    )
    parser.add_argument("output", metavar="OUTPUT", type=read_output_path, help="folder")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("-s", "--size", type=read_size, metavar="W,H", help="to fit within, pixels")
    how.add_argument("--scale", type=read_factor, metavar="F", help="factor on width and height")
    parser.add_argument("-f", "--filter", choices=FILTERS, default="triangle")
    parser.add_argument(
        "-p",
        "--padding",
        choices=PADDINGS,
        help="default: as each image was padded before, or not at all",
    )
    parser.add_argument("-z", "--compressor", choices=COMPRESSORS, help="default: as before")
    parser.add_argument(
        "-j", "--jobs", type=int, default=usable_cores(), metavar="N", help="processes (all cores)"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _resize(tree: Tree, output: Path, options: ResizeOptions, jobs: int) -> int:
    from tqdm import tqdm

    from dicom_preprocessing.files import make_durable, remove_partials_of
    from dicom_preprocessing.results.manifest import write_manifest
    from dicom_preprocessing.results.outcomes import map_in_processes
    from dicom_preprocessing.tools.resize import complete_row
    from dicom_preprocessing.tools.resized_slices import write_resized_slices

    def remove_partial(path: Path) -> None:
        remove_partials_of([output / path.relative_to(tree.root)])

    remove_partials_of(output / path.relative_to(tree.root) for path in tree.paths)
    remove_partials_of([output / MANIFEST, output / SLICES])
    work = partial(_resize_one, root=tree.root, output=output, options=options)
    rows, failed = [], 0
    tqdm.monitor_interval = 0  # no thread beside the bar: workers are forked under it
    with (
        tqdm(total=len(tree.paths), unit="file", disable=None, leave=False) as bar,
        closing(map_in_processes(work, tree.paths, max(1, jobs), remove_partial)) as outcomes,
    ):
        for path, outcome in zip(tree.paths, outcomes, strict=True):
            if isinstance(outcome, OutputError):
                failed += 1
                print(f"error: {make_printable(str(outcome))}", file=sys.stderr)
            else:
                rows.append(complete_row(outcome, tree.row(path)))
            bar.update()
    make_durable(output / row.path for row in rows)
    output.mkdir(parents=True, exist_ok=True)
    slices = tree.find_table(SLICES)
    if slices is not None:
        names = {row.path for row in rows}
        write_resized_slices(slices, output, names, output / SLICES)
    else:
        (output / SLICES).unlink(missing_ok=True)  # of another tree
    write_manifest(rows, output / MANIFEST)
    print(f"{len(rows)} of {len(tree.paths)} TIFFs in {make_printable(str(output))}")
    return 1 if failed else 0


def _resize_one(path: Path, *, root: Path, output: Path, options: ResizeOptions) -> ManifestRow:
    from dicom_preprocessing.results.manifest import row_of_tiff
    from dicom_preprocessing.tools.resize import resize_file

    relative = path.relative_to(root)
    if relative.parts[0] == MANIFEST:
        raise OutputError(f"{path}: OUTPUT has a table of the name of its folder, rename that")
    target = output / relative
    resize_file(path, target, options)
    return row_of_tiff(target, output)
