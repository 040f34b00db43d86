"""dicom-preprocess: the workflow's functions as one command, without Snakemake."""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from dicom_preprocessing.cli.arguments import add_jobs_option
from dicom_preprocessing.cli.command import FAILED, WRONG_USAGE, command, holding
from dicom_preprocessing.cli.options import add_config_options, config_values, join_negative_values
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.errors import ConfigError, SourceError
from dicom_preprocessing.processes import importing
from dicom_preprocessing.results.layout import FAILURES, SLICES, TIFF_SUFFIXES, WARNINGS
from dicom_preprocessing.text import make_printable
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tqdm import tqdm

    from dicom_preprocessing.config import Config
    from dicom_preprocessing.index.build import Index
    from dicom_preprocessing.index.walk import SourceFile
    from dicom_preprocessing.results.receipts import Receipt
    from dicom_preprocessing.results.warning_table import WarningRow

OTHER_FORMATS = (".dcm", ".jpeg", ".jpg", ".npy", ".npz", ".png")
"""Suffixes that a folder is unlikely to have."""


@command()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, 1 or 2, as --help says, or 130 (interrupted)."""
    parser = _parser()
    arguments = parser.parse_args(join_negative_values(sys.argv[1:] if argv is None else argv))
    if not arguments.source or not arguments.output:
        parser.error(f"{'OUTPUT' if arguments.source else 'SOURCE'} is empty")
    if arguments.output.startswith("~"):
        parser.error(
            f"OUTPUT {arguments.output}: the shell did not replace ~. Write the whole path"
        )
    try:
        config, notes = parse_config(config_values(arguments))
    except ConfigError as error:
        parser.error(str(error))
    from dicom_preprocessing.temporary_files import find_tmpdir_problem

    problem = find_tmpdir_problem()
    for note in notes if problem is None else [*notes, make_printable(problem)]:
        print(f"warning: {note}", file=sys.stderr)
    source, output = arguments.source, Path(arguments.output)
    to_file = output.suffix.lower() in TIFF_SUFFIXES
    if to_file:
        _require_one_file(parser, source, output, config.limits.seconds)
    if not to_file and os.path.exists(output) and not output.is_dir():
        parser.error(f"OUTPUT {output} exists and is not a folder")
    if output.suffix.lower() in OTHER_FORMATS:
        parser.error(f"OUTPUT {output} must be a folder, or end in .tif or .tiff")
    with importing():
        from dicom_preprocessing.dicom.reading import silence_pydicom_warnings

    silence_pydicom_warnings()
    if to_file:
        return _preprocess_file(source, output, config, arguments.jobs)
    with holding(output, "dicom-preprocess"):
        return _preprocess_tree(source, output, config, arguments.jobs, quiet=arguments.quiet)


def _require_one_file(
    parser: argparse.ArgumentParser, source: str, output: Path, seconds: int
) -> None:
    """End the command if a source cannot become one TIFF, or does not answer."""
    from dicom_preprocessing.index.looking import ask_once

    try:
        misuse = ask_once(source, partial(_find_misuse, source, output), seconds)
    except SourceError as error:
        parser.exit(FAILED, f"error: {error}\n")
    if misuse:
        parser.error(misuse)


def _find_misuse(source: str, output: Path) -> str:
    """Why a source cannot become one TIFF, empty if it may."""
    from dicom_preprocessing.index.path_lists import is_path_list

    if os.path.isdir(source) or is_path_list(source):
        return f"OUTPUT {output} is a file, so SOURCE must be one DICOM file"
    if os.path.exists(output) and os.path.exists(source) and output.samefile(source):
        return f"OUTPUT {output} is the SOURCE, which would be lost"
    return ""


class _Parser(argparse.ArgumentParser):
    """Parser that prints only what is wrong, without all options before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"{self.prog}: error: {message}\n(--help lists the options)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dicom-preprocess",
        description="Turn DICOM files into training-ready multi-frame TIFFs.",
        epilog="Images go to OUTPUT/{study}/{sop}.tiff, what could not be written to "
        "OUTPUT/failures.csv, warnings about images to OUTPUT/warnings.csv, the frames of images "
        "of several to OUTPUT/slices.csv. Exit status: 0 something was written; 1 nothing was "
        "written, or with --strict a file failed or a path that was named is not DICOM; 2 wrong "
        "usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="folder, DICOM file, or text file with one path per line"
    )
    parser.add_argument(
        "output", metavar="OUTPUT", help="folder; or .tiff if SOURCE is one DICOM file"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_jobs_option(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    add_config_options(parser)
    return parser


def _preprocess_file(source: str, output: Path, config: Config, jobs: int) -> int:
    """One file in, one TIFF out; no UID is needed."""
    with importing():
        from dicom_preprocessing.config.recipe import make_recipe
        from dicom_preprocessing.config.selection import selection_of
        from dicom_preprocessing.files import make_durable
        from dicom_preprocessing.index.grouping import make_entry
        from dicom_preprocessing.index.scan import scan_files
        from dicom_preprocessing.index.selection import Selector
        from dicom_preprocessing.index.walk import find_files
        from dicom_preprocessing.processing.instance import OutputSpec
        from dicom_preprocessing.processing.isolation import process_all
        from dicom_preprocessing.results.verdict import count_files

    (source_file,) = find_files([source], seconds=config.limits.seconds)
    selector = Selector(selection_of(config), [source])
    keywords = selector.selection.keywords
    (scan,) = scan_files([source_file], limits=config.limits, keywords=keywords)
    problem = f"{scan.error}: {scan.message}" if scan.error else ""
    if scan.header is not None and not scan.header.has_pixel_data:
        problem = "no_pixel_data: it is not an image"
    elif scan.header is not None and (rule := selector.find_reason(source, scan.header)):
        problem = f"not_selected: {rule}"
    if scan.header is None or problem:
        print(f"error: {make_printable(source)}: {problem}", file=sys.stderr)
        return FAILED
    output.parent.mkdir(parents=True, exist_ok=True)
    entry = make_entry(source_file, scan.header)
    target = OutputSpec(output.parent, make_recipe(config, "write"), output.name)
    ((receipt,),) = process_all([[entry]], target, limits=config.limits, cores=jobs)
    for code, message in receipt.parse_warnings():
        print(f"warning: {code}: {message}", file=sys.stderr)
    if not receipt.is_written:
        message = f"{receipt.error}: {receipt.message}"
        print(f"error: {make_printable(source)}: {message}", file=sys.stderr)
        return FAILED
    make_durable([output])
    print(count_files(1, (), with_warnings=int(len(receipt.parse_warnings()) > 0)))
    return 0


def _preprocess_tree(source: str, output: Path, config: Config, jobs: int, *, quiet: bool) -> int:
    with importing():
        from dicom_preprocessing.config.recipe import make_recipe
        from dicom_preprocessing.files import make_durable, remove_partials
        from dicom_preprocessing.index.walk import find_files
        from dicom_preprocessing.processing.instance import OutputSpec
        from dicom_preprocessing.processing.isolation import process_all
        from dicom_preprocessing.processing.volume import group_by_image

    files = find_files([source], [str(output)], config.limits.seconds)
    output.mkdir(parents=True, exist_ok=True)
    remove_partials(output, (FAILURES, SLICES, WARNINGS))  # of a command that was killed
    index = _index(files, source, config, jobs, quiet=quiet)
    for warning in index.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    groups = [group for entries in index.studies.values() for group in group_by_image(entries)]
    target = OutputSpec(output, make_recipe(config, "write"))
    with _progress(sum(map(len, groups)), "images", quiet=quiet) as bar:
        receipts: list[Receipt] = []
        for outcome in process_all(groups, target, limits=config.limits, cores=jobs):
            receipts += outcome
            bar.update(len(outcome))
    make_durable(os.path.join(output, receipt.output) for receipt in receipts if receipt.has_image)
    return _conclude(index, receipts, output, config)


def _index(
    files: Sequence[SourceFile], source: str, config: Config, jobs: int, *, quiet: bool
) -> Index:
    from dicom_preprocessing.config.selection import selection_of
    from dicom_preprocessing.index.build import build_index
    from dicom_preprocessing.index.selection import Selector

    with _progress(len(files), "headers", quiet=quiet) as bar:
        return build_index(
            files,
            duplicates=config.duplicates,
            limits=config.limits,
            workers=jobs,
            selector=Selector(selection_of(config), [source]),
            advance=bar.update,
        )


def _progress(total: int, what: str, *, quiet: bool) -> tqdm[Any]:
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread beside the bar: workers are forked under it
    return tqdm(total=total, desc=what, unit="file", disable=True if quiet else None, leave=False)


def _write_warnings(receipts: Iterable[Receipt], table: Path) -> int:
    """Write warnings.csv if there are any, print each code once, and count images with warnings."""
    from dicom_preprocessing.results.summary import Summary
    from dicom_preprocessing.results.warning_table import (
        by_image,
        warnings_of_receipt,
        write_warnings,
    )

    summary = Summary()
    rows: list[WarningRow] = []
    for receipt in receipts:
        summary.add(receipt)
        rows += warnings_of_receipt(receipt)
    if not rows:
        table.unlink(missing_ok=True)
        return 0
    write_warnings(sorted(rows, key=by_image), table)
    counts = sorted(summary.warnings.items(), key=lambda item: -item[1].images)
    for code, (images, example) in counts:
        number = "" if images == 1 else f", {images} images, one of them"
        print(f"warning: {code}{number}: {example}", file=sys.stderr)
    print(f"Warnings by image: {table}", file=sys.stderr)
    return summary.images_with_warnings


def _write_slices(receipts: Iterable[Receipt], table: Path) -> None:
    """Write slices.csv if there are any."""
    from dicom_preprocessing.results.slice_table import (
        find_sliced_images,
        order_of_study,
        write_slices,
    )

    by_study: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        by_study[receipt.study_instance_uid].append(receipt)
    studies = [
        find_sliced_images(by_study[study]) for study in sorted(by_study, key=order_of_study)
    ]
    if any(studies):
        write_slices((row for images in studies for image in images for row in image.rows()), table)
    else:
        table.unlink(missing_ok=True)


def _conclude(index: Index, receipts: Sequence[Receipt], output: Path, config: Config) -> int:
    """Write the tables that have rows, print the counts, and return the exit status."""
    from dicom_preprocessing.results.failures import (
        by_path,
        failure_of_excluded_file,
        failure_of_receipt,
        write_failures,
    )
    from dicom_preprocessing.results.verdict import count_files, find_failure_reason

    failures = [failure_of_excluded_file(item) for item in index.excluded_files]
    failures += [failure_of_receipt(receipt) for receipt in receipts if not receipt.is_written]
    table = output / FAILURES
    if failures:
        write_failures(sorted(failures, key=by_path), table)
    else:
        table.unlink(missing_ok=True)
    _write_slices(receipts, output / SLICES)
    with_warnings = _write_warnings(receipts, output / WARNINGS)
    stacked = sum(receipt.is_written and not receipt.has_image for receipt in receipts)
    counts = count_files(
        index.found, ((f.state, f.error) for f in failures), with_warnings, stacked
    )
    print(counts)
    for line in index.census.describe():
        print(line)
    named = next((i for i in index.excluded_files if i.named and i.error == "not_dicom"), None)
    problem = find_failure_reason(
        counts, strict=config.strict, named_not_written=named.source_path if named else None
    )
    if problem is not None:
        print(f"error: {problem}; see {table}", file=sys.stderr)
    return 0 if problem is None else FAILED
