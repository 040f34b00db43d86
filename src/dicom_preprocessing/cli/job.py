"""The jobs of the workflow's rules: arguments in, one call, exit code out.

Expected errors end with one message and status 1; a bug keeps its traceback.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.cli.command import print_error
from dicom_preprocessing.config import KEEPABLE, STAGES
from dicom_preprocessing.errors import DicomPreprocessingError
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.workflow.fork_server import end_with_workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_preprocessing.config import Stage

FULL = (errno.ENOSPC, errno.EDQUOT)


def main(argv: Sequence[str] | None = None, *, examples: Path) -> int:
    """Do the job that is named first.

    Parameters
    ----------
    argv : sequence of str, optional
        By default, those of the process.
    examples : Path
        The bundled studies, which the index reads where no source is set.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["tiff-benchmark"]:
        from dicom_preprocessing.cli import tiff_benchmark

        return tiff_benchmark.main(words[1:], is_job=True)
    arguments = _parser(examples).parse_args(words)
    end_with_workflow()
    try:
        arguments.run(arguments)
    except (DicomPreprocessingError, OSError) as error:
        print_error(error)
        return 1
    return 0


def _parser(examples: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="job.py", description="A job of the workflow, as its rules start them."
    )
    jobs = parser.add_subparsers(metavar="JOB", required=True)

    def add(name: str, text: str, run: Callable[[argparse.Namespace], None]) -> Any:  # noqa: ANN401
        job = jobs.add_parser(name, help=text, description=text)
        job.add_argument("--output", type=Path, required=True, help="folder of results")
        job.set_defaults(run=run)
        return job

    def add_settings(job: argparse.ArgumentParser, keys: str) -> None:
        job.add_argument(
            "--settings", type=json.loads, required=True, help=f"JSON with the keys {keys}"
        )

    index = add("index", "Index the source.", partial(_index, examples))
    add_settings(index, "source, duplicates, limits, selection")
    index.add_argument("--workers", type=int, default=1, help="processes that read headers")
    for stage in STAGES:
        job = add(stage, f"Make the {stage} stage of a study.", partial(_make_stage, stage))
        _add_stage_options(job)
    for name, text, run, keys in (
        (
            "manifest",
            "Write tables of all results.",
            _collect_all,
            "recipe, keep, prune, columns",
        ),
        ("part", "Write the tables of a shard.", _collect_part, "recipe, keep, columns, shard"),
        (
            "collect",
            "Write tables from the parts of all shards.",
            _collect_parts,
            "recipe, keep, prune, columns, shards",
        ),
        ("report", "Write report.html.", _report, "settings"),
        ("verdict", "Judge the run: status 1 if it is not good enough.", _judge, "strict"),
    ):
        add_settings(add(name, text, run), keys)
    return parser


def _add_stage_options(job: argparse.ArgumentParser) -> None:
    job.add_argument(
        "--input",
        nargs="+",
        type=Path,
        required=True,
        help="inventory, or folder and receipt of a kept stage",
    )
    job.add_argument("--images", type=Path, required=True, help="folder of the study to write")
    job.add_argument("--receipt", type=Path, required=True, help="receipt to write")
    job.add_argument("--study", required=True, help="Study Instance UID")
    job.add_argument(
        "--kept",
        choices=("none", *KEEPABLE),
        default="none",
        help="the kept stage that is the input",
    )
    job.add_argument(
        "--recipe", required=True, help="digest of the settings, which the environment holds"
    )
    job.add_argument("--threads", type=int, default=1, help="cores for this study")


def _index(examples: Path, arguments: argparse.Namespace) -> None:
    from dicom_preprocessing.config import Limits
    from dicom_preprocessing.config.selection import Selection
    from dicom_preprocessing.dicom.reading import silence_pydicom_warnings
    from dicom_preprocessing.index.build import update_index
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.index.walk import list_own_folders, list_sources
    from dicom_preprocessing.workflow.retries import plan_retries
    from dicom_preprocessing.workflow.shards import invalidate_parts

    silence_pydicom_warnings()
    output, settings = arguments.output, arguments.settings
    _remove_verdict(output)
    limits = Limits(**settings["limits"])
    index = update_index(
        output,
        list_sources(settings["source"], examples),
        excluded=list_own_folders(output),
        duplicates=settings["duplicates"],
        limits=limits,
        selection=Selection.from_record(settings["selection"]),
        workers=arguments.workers,
        retries=plan_retries(IndexFolder(output), limits),
        invalidate=partial(invalidate_parts, output),
    )
    for warning in index.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{index.found} files found, {len(index.studies)} studies to do")


def _make_stage(stage: Stage, arguments: argparse.Namespace) -> None:
    from dicom_preprocessing.config.recipe import read_recipe
    from dicom_preprocessing.dicom.reading import silence_pydicom_warnings
    from dicom_preprocessing.files import make_empty_folder
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.processing.instance import OutputSpec
    from dicom_preprocessing.processing.study import (
        KeptStage,
        run_from_inventory,
        run_from_stage_or_inventory,
    )
    from dicom_preprocessing.workflow.shards import invalidate_parts

    recipe = read_recipe(arguments.recipe)
    if recipe.stage != stage:
        raise DicomPreprocessingError(f"the recipe ends at {recipe.stage}, not at {stage}")
    expected = ResultsFolder(arguments.output).study(stage, arguments.study)
    if arguments.images != expected:
        raise DicomPreprocessingError(f"--images is {arguments.images}, not {expected}")
    output, images, receipt, *inputs = _change_to_start_folder(
        arguments.output, arguments.images, arguments.receipt, *arguments.input
    )
    results = ResultsFolder(output)
    silence_pydicom_warnings()

    _remove_verdict(output)
    invalidate_parts(output, [arguments.study])
    make_empty_folder(images)  # of what a killed job left
    spec = OutputSpec(results.images(stage), recipe)
    limits = IndexFolder(output).read_limits()
    with _removed_if_the_disk_is_full(images):
        if arguments.kept != "none":
            _, kept_receipt = inputs
            root = results.images(arguments.kept)
            kept = KeptStage(arguments.kept, root, arguments.study, kept_receipt)
            inventory = IndexFolder(output).inventory(arguments.study)
            receipts = run_from_stage_or_inventory(
                kept, inventory, spec, receipt, limits=limits, cores=arguments.threads
            )
        else:
            (inventory,) = inputs
            receipts = run_from_inventory(inventory, spec, receipt, limits, arguments.threads)
    for line in receipts:
        for code, message in line.parse_warnings():
            print(f"{line.sop_instance_uid}: warning: {code}: {message}")
        if not line.is_written:
            print(f"{line.sop_instance_uid}: {line.state}: {line.error}: {line.message}")


@contextmanager
def _removed_if_the_disk_is_full(images: Path) -> Iterator[None]:
    """Remove images at this error, so that there is room for the message that says so.

    Snakemake removes what a failed job wrote, but after its end.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            shutil.rmtree(images, ignore_errors=True)
        raise


def _change_to_start_folder(*paths: Path) -> list[Path]:
    """Change to the folder in which snakemake was started, and make paths absolute.

    Paths of the source are relative to it, while the run of a shard works in a folder of its own.
    """
    folder = os.environ.get("DP_DIRECTORY", os.curdir)
    if os.path.samefile(folder, os.curdir):
        return list(paths)
    absolute = [Path(os.path.abspath(path)) for path in paths]  # links stay as they are
    os.chdir(folder)
    return absolute


def _collect_all(arguments: argparse.Namespace) -> None:
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.results.collection import collect_receipts, write_results
    from dicom_preprocessing.workflow.shards import find_other_parts

    output, settings = arguments.output, arguments.settings
    studies = IndexFolder(output).read_studies().values()
    write_results(
        output,
        collect_receipts(
            output, studies, settings["recipe"], settings["keep"], settings["columns"]
        ),
        keep=settings["keep"],
        prune=settings["prune"],
        old_parts=find_other_parts(output),
    )


def _collect_part(arguments: argparse.Namespace) -> None:
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.results.collection import collect_receipts, write_part
    from dicom_preprocessing.results.parts import Part
    from dicom_preprocessing.workflow.shards import assign_to_shards

    output, settings = arguments.output, arguments.settings
    part = Part(output, *settings["shard"])
    shards = assign_to_shards(IndexFolder(output).read_studies().values(), part.shards)
    collected = collect_receipts(
        output, shards[part.shard], settings["recipe"], settings["keep"], settings["columns"]
    )
    write_part(collected, part, shards[part.shard])


def _collect_parts(arguments: argparse.Namespace) -> None:
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.results.collection import collect_parts, write_results
    from dicom_preprocessing.workflow.shards import assign_to_shards, find_other_parts, list_parts

    output, settings = arguments.output, arguments.settings
    shards = settings["shards"]
    studies = assign_to_shards(IndexFolder(output).read_studies().values(), shards)
    parts = zip(list_parts(output, shards), studies, strict=True)
    write_results(
        output,
        collect_parts(parts, settings["recipe"], settings["columns"]),
        keep=settings["keep"],
        prune=settings["prune"],
        old_parts=find_other_parts(output, shards),
    )


def _report(arguments: argparse.Namespace) -> None:
    from dicom_preprocessing.results.report import write_report

    write_report(arguments.output, **arguments.settings)


def _judge(arguments: argparse.Namespace) -> None:
    from dicom_preprocessing.results.verdict import judge_run

    problem = judge_run(arguments.output, **arguments.settings)
    if problem is not None:
        raise DicomPreprocessingError(problem)


def _remove_verdict(output: Path) -> None:
    """Remove the verdict, since images are about to change, whether or not this job succeeds."""
    ResultsFolder(output).verdict.unlink(missing_ok=True)
