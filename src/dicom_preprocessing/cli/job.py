"""What the scripts of the workflow do: arguments in, one call, exit code out.

Expected errors end with one message and status 1; a bug keeps its traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.errors import DicomPreprocessingError
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.text import explain_error
from dicom_preprocessing.workflow.fork_server import end_with_workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_preprocessing.config import Stage


def index_main(bundled: Path, argv: Sequence[str] | None = None) -> int:
    """Rule index. ``bundled`` is where the examples of this checkout are."""
    from dicom_preprocessing.config import Limits
    from dicom_preprocessing.dicom.reading import silence_pydicom_warnings
    from dicom_preprocessing.index.build import update_index
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.index.walk import own_folders, source_list
    from dicom_preprocessing.workflow.retries import plan_retries
    from dicom_preprocessing.workflow.shards import invalidate_parts

    parser = _parser("index", "Index the source.")
    parser.add_argument(
        "--request",
        type=json.loads,
        required=True,
        help="JSON: the keys of the index",
    )
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args(argv)
    output = arguments.output

    silence_pydicom_warnings()

    def run() -> None:
        remove_verdict(output)
        limits = Limits(**arguments.request["limits"])
        index = update_index(
            output,
            source_list(arguments.request["source"], bundled),
            excluded=own_folders(output),
            duplicates=arguments.request["duplicates"],
            limits=limits,
            workers=arguments.workers,
            retries=plan_retries(IndexFolder(output), limits),
            withdraw=partial(invalidate_parts, output),
        )
        for warning in index.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        print(f"{index.found} files found, {len(index.studies)} studies to do")

    return _exit_code(run)


def stage_main(stage: Stage, argv: Sequence[str] | None = None) -> int:
    """Rules decode, crop, resize, pad and write."""
    from dicom_preprocessing.config import KEEPABLE
    from dicom_preprocessing.config.recipe import Recipe
    from dicom_preprocessing.dicom.reading import silence_pydicom_warnings
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.processing.instance import OutputSpec
    from dicom_preprocessing.processing.study import KeptStage, run_from_inventory, run_from_stage
    from dicom_preprocessing.workflow.shards import invalidate_parts

    parser = _parser(stage, f"Make the {stage} stage of a study.")
    parser.add_argument(
        "--input",
        nargs="+",
        type=Path,
        required=True,
        help="inventory, or folder and receipt of a kept stage",
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of the study to write")
    parser.add_argument("--receipt", type=Path, required=True, help="receipt to write")
    parser.add_argument("--study", required=True, help="Study Instance UID")
    parser.add_argument(
        "--kept",
        choices=("none", *KEEPABLE),
        default="none",
        help="the kept stage that is the input",
    )
    parser.add_argument("--recipe", type=Recipe.from_json, required=True, help="settings as JSON")
    parser.add_argument("--threads", type=int, default=1, help="cores for this study")
    arguments = parser.parse_args(argv)
    if arguments.recipe.stage != stage:
        parser.error(f"--recipe ends at {arguments.recipe.stage}, not at {stage}")

    results = ResultsFolder(arguments.output)
    if arguments.images != results.study(stage, arguments.study):
        parser.error(f"--images is not {results.study(stage, arguments.study)}")

    output, images, receipt, *inputs = work_where_called(
        arguments.output, arguments.images, arguments.receipt, *arguments.input
    )
    results = ResultsFolder(output)
    silence_pydicom_warnings()

    def run() -> None:
        remove_verdict(output)
        invalidate_parts(output, [arguments.study])
        shutil.rmtree(images, ignore_errors=True)  # what a job left that died
        images.mkdir(parents=True, exist_ok=True)
        target = OutputSpec(results.images(stage), arguments.recipe)
        if arguments.kept != "none":
            _, kept_receipt = inputs
            root = results.images(arguments.kept)
            kept = KeptStage(arguments.kept, root, arguments.study, kept_receipt)
            receipts = run_from_stage(kept, target, receipt, arguments.threads)
        else:
            (inventory,) = inputs
            limits = IndexFolder(output).read_limits()
            receipts = run_from_inventory(inventory, target, receipt, limits, arguments.threads)
        for made in receipts:
            for warning in (made.source_info or {}).get("warnings", ()):
                print(f"{made.sop_instance_uid}: warning: {warning}")
            if not made.is_written:
                outcome = f"{made.state}: {made.error}: {made.message}"
                print(f"{made.sop_instance_uid}: {outcome}")

    return _exit_code(run)


def work_where_called(*paths: Path) -> list[Path]:
    """Go to the folder in which snakemake was called, and take paths along.

    Paths of the source start there, while the run of a shard works in a folder of its own.
    """
    folder = os.environ.get("DP_DIRECTORY", os.curdir)
    if os.path.samefile(folder, os.curdir):
        return list(paths)
    absolute = [Path(os.path.abspath(path)) for path in paths]  # links stay as they are
    os.chdir(folder)
    return absolute


def manifest_main(argv: Sequence[str] | None = None) -> int:
    """Rule manifest: everything that there is."""
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.results.collection import collect_receipts, write_results
    from dicom_preprocessing.workflow.run_lock import is_run_alive
    from dicom_preprocessing.workflow.shards import parts_of_other_runs

    parser = _parser("manifest", "Gather all receipts.")
    parser.add_argument(
        "--request", type=json.loads, required=True, help="JSON: recipe, keep, prune"
    )
    arguments = parser.parse_args(argv)
    output, request = arguments.output, arguments.request

    def run() -> None:
        remove_verdict(output)
        studies = IndexFolder(output).read_studies().values()
        collected = collect_receipts(output, studies, request["recipe"], request["keep"])
        write_results(
            output,
            collected,
            keep=request["keep"],
            prune=request["prune"],
            old_parts=parts_of_other_runs(output),
            is_running=is_run_alive,
        )

    return _exit_code(run)


def part_main(argv: Sequence[str] | None = None) -> int:
    """Rule part: what there is of the studies of one shard."""
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.results.collection import collect_receipts, write_part
    from dicom_preprocessing.results.parts import Part
    from dicom_preprocessing.workflow.shards import assign_to_shards

    parser = _parser("part", "Gather the receipts of a shard.")
    parser.add_argument(
        "--request", type=json.loads, required=True, help="JSON: recipe, keep, shard"
    )
    arguments = parser.parse_args(argv)
    output, request = arguments.output, arguments.request

    def run() -> None:
        part = Part(output, *request["shard"])
        studies = assign_to_shards(IndexFolder(output).read_studies().values(), part.shards)[
            part.shard
        ]
        collected = collect_receipts(output, studies, request["recipe"], request["keep"])
        write_part(collected, part)

    return _exit_code(run)


def collect_main(argv: Sequence[str] | None = None) -> int:
    """Rule collect: the parts of all shards."""
    from dicom_preprocessing.index.table import IndexFolder
    from dicom_preprocessing.results.collection import collect_parts, write_results
    from dicom_preprocessing.workflow.run_lock import is_run_alive
    from dicom_preprocessing.workflow.shards import assign_to_shards, parts_of, parts_of_other_runs

    parser = _parser("collect", "Collect the parts of all shards.")
    parser.add_argument(
        "--request", type=json.loads, required=True, help="JSON: recipe, keep, prune, shards"
    )
    arguments = parser.parse_args(argv)
    output, request = arguments.output, arguments.request

    def run() -> None:
        remove_verdict(output)
        shards = request["shards"]
        studies = assign_to_shards(IndexFolder(output).read_studies().values(), shards)
        parts = zip(parts_of(output, shards), studies, strict=True)
        write_results(
            output,
            collect_parts(parts, request["recipe"]),
            keep=request["keep"],
            prune=request["prune"],
            old_parts=parts_of_other_runs(output, shards),
            is_running=is_run_alive,
        )

    return _exit_code(run)


def report_main(argv: Sequence[str] | None = None) -> int:
    """Rule report."""
    from dicom_preprocessing.results.report import write_report

    parser = _parser("report", "Write report.html.")
    parser.add_argument("--request", type=json.loads, required=True, help="JSON: settings")
    arguments = parser.parse_args(argv)
    return _exit_code(lambda: write_report(arguments.output, **arguments.request))


def verdict_main(argv: Sequence[str] | None = None) -> int:
    """Rule verdict: status 1 if the run is not good enough."""
    from dicom_preprocessing.results.verdict import judge_run

    parser = _parser("verdict", "Judge the run.")
    parser.add_argument("--request", type=json.loads, required=True, help="JSON: strict")
    arguments = parser.parse_args(argv)

    def run() -> None:
        problem = judge_run(arguments.output, **arguments.request)
        if problem is not None:
            raise DicomPreprocessingError(problem)
        print(ResultsFolder(arguments.output).verdict.read_text(encoding="utf-8"), end="")

    return _exit_code(run)


def remove_verdict(output: Path) -> None:
    """Results that are about to change have no verdict, whatever becomes of this run."""
    ResultsFolder(output).verdict.unlink(missing_ok=True)


def _parser(prog: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--output", type=Path, required=True, help="folder of results")
    return parser


def _exit_code(run: Callable[[], Any]) -> int:
    end_with_workflow()
    try:
        run()
    except (DicomPreprocessingError, OSError) as error:
        print(f"error: {explain_error(error)}", file=sys.stderr)
        return 1
    return 0
