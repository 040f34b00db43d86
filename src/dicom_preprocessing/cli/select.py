"""dicom-select: what a selection keeps of a source, without processing anything."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.cli.arguments import add_jobs_option, read_output_path, read_path
from dicom_preprocessing.cli.command import FAILED, command
from dicom_preprocessing.cli.options import add_config_options, config_values
from dicom_preprocessing.cli.output import require_output
from dicom_preprocessing.config import as_mapping, parse_config
from dicom_preprocessing.errors import ConfigError, SourceError
from dicom_preprocessing.processes import importing
from dicom_preprocessing.text import CSV, make_printable, plural
from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_preprocessing.config import Config
    from dicom_preprocessing.index.build import Index

KEYS = (
    *("objects", "include", "exclude", "preset", "duplicates", "limits"),
    *("series", "stack"),
)
"""Keys of the configuration that decide what the index keeps."""


@command()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, 1 or 2, as --help says."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.table and arguments.table.suffix.lower() != CSV:
        parser.error(f"--table {arguments.table} must end in .csv")
    try:
        config = _read_config(arguments)
    except ConfigError as error:
        parser.error(str(error))
    with importing():
        from dicom_preprocessing.dicom.reading import silence_pydicom_warnings

    silence_pydicom_warnings()
    index = _index(str(arguments.source), config, arguments.results, arguments.jobs)
    if arguments.table:
        from dicom_preprocessing.files import remove_partials_of
        from dicom_preprocessing.results.selected import list_selected, write_selected

        remove_partials_of([arguments.table], is_held=False)
        write_selected(list_selected(index), arguments.table)
    with require_output():
        for line in _describe(index):
            print(make_printable(line))
        if arguments.table:
            print(f"File by file: {make_printable(str(arguments.table))}")
    return 0 if index.studies else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dicom-select",
        description="Show what a selection keeps of a source, and what it does not and by which "
        "rule, by headers alone.",
        epilog="Exit status: 0 something is kept; 1 nothing is, or the source cannot be read; 2 "
        "wrong usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=read_path,
        help="folder, DICOM file, or text file with one path per line",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--configfile",
        type=Path,
        metavar="FILE",
        help="take these keys from a file of the workflow",
    )
    parser.add_argument(
        "--table", type=read_output_path, metavar="FILE", help="write a .csv with a row per file"
    )
    parser.add_argument(
        "--results",
        type=read_path,
        metavar="FOLDER",
        help="results of the workflow, whose headers are not read again",
    )
    add_jobs_option(parser)
    add_config_options(parser, KEYS)
    return parser


def _read_config(arguments: argparse.Namespace) -> Config:
    """The keys of the file, under those of the options."""
    values: dict[str, Any] = {}
    if arguments.configfile:
        from dicom_preprocessing.config.files import check_config_file

        values = as_mapping(check_config_file(arguments.configfile)[0])
    chosen = {name: value for name, value in values.items() if name in KEYS}
    return parse_config(chosen | config_values(arguments))[0]


def _index(source: str, config: Config, results: Path | None, jobs: int) -> Index:
    from dicom_preprocessing.config.selection import selection_of
    from dicom_preprocessing.index.build import build_index
    from dicom_preprocessing.index.selection import Selector
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.index.walk import find_files, list_own_folders

    if results and not IndexFolder(results).headers.exists():
        raise SourceError(f"--results {make_printable(str(results))}: no run has an index there")
    own = list_own_folders(results) if results else []
    return build_index(
        find_files([source], own, config.limits.seconds),
        duplicates=config.duplicates,
        limits=config.limits,
        workers=jobs,
        selector=Selector(selection_of(config), [source]),
        cache=IndexFolder(results).headers if results else None,
    )


def _describe_volumes(index: Index) -> Iterator[str]:
    """Yield how many volumes series: stack plans, and how many would fail by which reasons."""
    places = [e.stack for entries in index.studies.values() for e in entries if e.stack is not None]
    if not places:
        return
    failing = Counter(
        ", ".join(verdict for verdict, policy, _ in place.findings if policy == "fail")
        for place in {place.volume_id: place for place in places if place.place == 1}.values()
    )
    yield f"Volumes of {plural(len(places), 'slice', ',')}: {failing.total():,}"
    for verdicts, number in failing.most_common():
        if verdicts == "duplicate_position":  # pixels decide, which are not read here
            yield f"{number:10,}  may fail: {verdicts}, unless the pixels there are the same"
        elif verdicts:
            yield f"{number:10,}  would fail: {verdicts}"


def _describe(index: Index) -> Iterator[str]:
    """Yield counts: files kept by modality and SOP class, the others by reason."""
    from dicom_preprocessing.index.selection import name_class

    kept = index.census.kept
    found = plural(index.found, "file", ",")
    yield f"{found}: {kept.total():,} kept, {len(index.excluded_files):,} not"
    if kept:
        yield "Kept, by modality and SOP class:"
    for (modality, sop_class), number in kept.most_common():
        yield f"{number:10,}  {modality or 'no modality'}  {name_class(sop_class)}"
    if index.census.rejected:
        yield "Not selected, by rule:"
    for rule, number in index.census.rejected.most_common():
        yield f"{number:10,}  {rule}"
    yield from _describe_volumes(index)
    others = Counter(item.error for item in index.excluded_files if item.error != "not_selected")
    if others:
        yield "Not images, or not usable (docs/failures.md):"
    for error, number in others.most_common():
        yield f"{number:10,}  {error}"
