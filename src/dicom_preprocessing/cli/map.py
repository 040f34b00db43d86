"""dicom-map: map boxes of annotations to the images, or of predictions back to the DICOM."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_preprocessing.cli.arguments import read_output_path, read_path
from dicom_preprocessing.cli.command import command
from dicom_preprocessing.cli.output import require_output
from dicom_preprocessing.results.layout import SLICES
from dicom_preprocessing.text import TABLE_SUFFIXES, make_printable, plural
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_preprocessing.errors import OutputError
    from dicom_preprocessing.mapping.boxes import ManifestIndex, MappedTable

DEFAULT_MANIFEST = Path("results/manifest.csv")


@command()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, 1 or 2, as --help says."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    boxes, output = arguments.boxes, arguments.output
    if boxes.suffix.lower() not in TABLE_SUFFIXES:
        parser.error(f"BOXES {boxes} must end in .csv or .parquet")
    if output is not None and output.suffix.lower() not in TABLE_SUFFIXES:
        parser.error(f"OUTPUT {output} must end in .csv or .parquet")
    source = arguments.manifest
    if not source.is_dir() and source.suffix.lower() not in TABLE_SUFFIXES:
        parser.error(f"MANIFEST {source} must be a folder, or end in .csv or .parquet")
    from dicom_preprocessing.files import remove_partials_of
    from dicom_preprocessing.mapping.boxes import index_images, map_table, read_images
    from dicom_preprocessing.results.finding import find_manifest
    from dicom_preprocessing.results.tables import load_table

    problems: list[OutputError] = []
    if output is not None:
        remove_partials_of([output], is_held=False)
    table = load_table(boxes)
    manifest = find_manifest(source) or source
    images = read_images(manifest, problems.append)
    indexed = index_images(manifest, images, table)
    are_upright = arguments.boxes_are == "upright"
    done = map_table(table, indexed, arguments.to, are_upright=are_upright)
    _write(done, output)
    if arguments.preview is not None:
        root = arguments.images or _root_of(manifest, done)
        problems += _preview(done, root, arguments.preview)
    for problem in problems:
        print(f"error: {make_printable(str(problem))}", file=sys.stderr)
    return _conclude(done, manifest, indexed) or int(bool(problems))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dicom-map",
        description="Map boxes from the pixels of DICOM images to those of their TIFFs, or back.",
        epilog="BOXES has the columns left, top, right, bottom or x, y, width, height, with pixel "
        "edges at whole numbers, and path or sop_instance_uid. A column frame or slice names the "
        "stored frame, from 1, which becomes a page of the TIFF by the slices.csv beside the "
        "manifest; with --to source, a column page becomes a file and its frame. Every row is "
        "written, with columns mapped_... for the box, the fraction of it that is inside, and its "
        "state. Exit status: 0 every row is mapped; 1 a row could not be, or a file not be read or "
        "written; 2 wrong usage.",
        allow_abbrev=False,
    )
    parser.add_argument("boxes", metavar="BOXES", type=read_path, help=".csv or .parquet")
    parser.add_argument(
        "--to",
        choices=("output", "source"),
        required=True,
        help="output: from the DICOM image to the TIFF; source: back",
    )
    parser.add_argument(
        "--boxes",
        dest="boxes_are",
        choices=("stored", "upright"),
        default="stored",
        help="whether boxes of DICOM images are in those as stored, or as tomosynthesis is shown, "
        "which may be stored upside down (default: %(default)s)",
    )
    parser.add_argument(
        "--manifest",
        metavar="MANIFEST",
        type=read_path,
        default=DEFAULT_MANIFEST,
        help="manifest (.csv or .parquet), results, or a folder of TIFFs (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUTPUT",
        type=read_output_path,
        help=".csv or .parquet (default: csv, shown)",
    )
    parser.add_argument(
        "--preview",
        metavar="DIR",
        type=read_output_path,
        help="write PNGs of the TIFFs with their boxes",
    )
    parser.add_argument(
        "--images",
        metavar="DIR",
        type=read_path,
        help="folder of the TIFFs, for --preview (default: images beside the manifest, if there)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _write(done: MappedTable, output: Path | None) -> None:
    from dicom_preprocessing.mapping.boxes import write_csv, write_table

    if output is None:
        with require_output():
            write_csv(done.table, sys.stdout)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_table(done.table, output)


def _root_of(manifest: Path, done: MappedTable) -> Path:
    """The folder to which the paths of a manifest are relative, or a folder of TIFFs itself."""
    from dicom_preprocessing.results.manifest import root_of_manifest

    if manifest.is_dir():
        return manifest
    return root_of_manifest(manifest, next((path for path, _ in done.drawn), ""))


def _preview(done: MappedTable, images: Path, folder: Path) -> Iterator[OutputError]:
    """Write the previews; yield the error of each image that cannot be read."""
    from tqdm import tqdm

    from dicom_preprocessing.files import remove_partials_of
    from dicom_preprocessing.mapping.preview import write_preview
    from dicom_preprocessing.results.outcomes import try_call

    def find_target(name: str, page: int | None) -> Path:
        stem = "_".join(Path(name).with_suffix("").parts)
        return folder / f"{stem}{'' if page is None else f'_page{page}'}.png"

    def write(target: Path) -> None:
        name, page = drawn[target]
        write_preview(target, images / name, *done.drawn[name, page], page)

    folder.mkdir(parents=True, exist_ok=True)
    drawn = {find_target(*key): key for key in done.drawn}
    remove_partials_of(drawn, is_held=False)
    for target in tqdm(drawn, unit="image", disable=None, leave=False):
        outcome = try_call(write, target)
        if outcome is not None:
            yield outcome


def _conclude(done: MappedTable, manifest: Path, images: ManifestIndex) -> int:
    """Print the counts to standard error, and return the exit status."""
    from dicom_preprocessing.mapping.boxes import PROBLEM_STATES, lacks_slices

    counts = ", ".join(f"{n} {state}" for state, n in done.states.most_common())
    print(f"{plural(len(done.table), 'row')}: {counts or 'nothing to map'}", file=sys.stderr)
    unmapped = sum(done.states[state] for state in PROBLEM_STATES)
    if unmapped:
        problem = f"{plural(unmapped, 'row')} could not be mapped: see the column mapped_state"
        print(f"error: {problem}", file=sys.stderr)
    if lacks_slices(done, images):
        folder = manifest if manifest.is_dir() else manifest.parent
        print(
            f"error: there is no {make_printable(str(folder / SLICES))}, which says what frames "
            "and files are in volumes: name the results of a run, or put their slices.csv there",
            file=sys.stderr,
        )
    return 1 if unmapped else 0
