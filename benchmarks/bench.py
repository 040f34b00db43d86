"""What this program costs beside its codecs and beside Snakemake, measured on data made here.

    make bench                                    all rows, about a half an hour
    make bench BENCH="--quick"                    fewer passes over smaller images
    make bench BENCH="--only mammo:rle"           one row
    make bench REFERENCE=path/to/dicom-preprocess  beside the reference program
    make bench BENCH="--only workflow"            the workflow beside the command
    make bench BENCH="--only loader"              reading TIFFs, beside tifffile and Pillow
    make bench BENCH="--only startup"             commands until they do something
    make bench BENCH="--only stacks"              memory of stacks of few and of many slices
    make bench BENCH="--only fast-decode"         time and differences of fast_decode
    make bench BENCH="--only fast-decode --images FOLDER"     with the files there
    make bench BENCH="--studies 1000,5000"        the workflow with more studies, and no rows
    make bench BENCH="--scale 1000,20000"         all its processes, with so many studies
    make bench BENCH="--sharded 100000"           in 16 shards, pixels replaced by a copy
    make bench BENCH="--files 100000,10"          memory of the jobs that see every file

All figures of a table are from one run, since machines differ and are shared: look at ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import commands
import fast_decode
import images
import loader
import scale
import stacks
import startup
import studies
import workflow_runs
from dicom_preprocessing.dicom.reading import silence_pydicom_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Row = TypeVar("Row")

SHARDS = 16
TABLES = ("workflow", "loader", "startup", "stacks", "fast-decode")
"""What --only may name beside rows of images."""
REAL_FILES = startup.CHECKOUT / "tests/data/corpus"


def main() -> int:
    """Run the benchmarks; print the tables and write them as JSON."""
    arguments = parse_arguments()
    silence_pydicom_warnings()
    warnings.simplefilter("ignore")
    if arguments.scale or arguments.sharded or arguments.files:
        measure_scale(
            numbers(arguments.scale), sharded=arguments.sharded, files=numbers(arguments.files)
        )
        return 0
    with tempfile.TemporaryDirectory() as name:
        report = measure(Path(name), arguments)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure this program.")
    parser.add_argument(
        "--only",
        action="append",
        metavar="KIND:SYNTAX",
        help=f"a row, or {', '.join(TABLES)}",
    )
    parser.add_argument("--quick", action="store_true", help="smaller images, fewer passes")
    parser.add_argument("--studies", metavar="N,N", help="the workflow with N studies, no rows")
    parser.add_argument("--scale", metavar="N,N", help="N studies by one Snakemake, no rows")
    parser.add_argument("--sharded", type=int, metavar="N", help="N studies in shards, no rows")
    parser.add_argument("--files", metavar="N,M", help="index to verdict of N studies of M files")
    parser.add_argument(
        "--reference", type=Path, metavar="PROGRAM", help="the reference program, to compare with"
    )
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", default=REAL_FILES, help="files for fast-decode"
    )
    parser.add_argument("--json", type=Path, default=Path("results/bench.json"))
    arguments = parser.parse_args()
    if arguments.reference is not None:
        if not os.access(arguments.reference, os.X_OK):
            parser.error(f"--reference {arguments.reference} is not a program")
        arguments.reference = arguments.reference.resolve()
    return arguments


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Measure and print what was asked for; return all figures, for JSON."""
    only, quick, reference = arguments.only, arguments.quick, arguments.reference
    rows: list[images.ImageCost] = []
    through: list[commands.CommandCost] = []
    memory: list[images.Memory] = []
    workflow: workflow_runs.WorkflowCost | None = None
    loaded: list[loader.ReaderRate] = []
    orders: list[loader.ReadOrderRate] = []
    start_up: list[startup.StartUp] = []
    stacked: list[stacks.StackMemory] = []
    reduced: list[fast_decode.FastDecode] = []
    headers = 0.0
    costs: list[studies.Cost] = []
    if not arguments.studies:
        named = [row for row in only or () if row not in TABLES]
        if named or not only:
            rows, through, memory = measure_images(folder, named, reference, quick=quick)
        if not only or "workflow" in only:
            workflow = measure_workflow(folder / "workflow", reference, quick=quick)
        if not only or "loader" in only:
            loaded, orders = measure_loader(folder / "loader", quick=quick)
        if not only or "startup" in only:
            start_up = show(startup.measure(folder, passes=5 if quick else 15), startup.table)
        if not only or "stacks" in only:
            stacked = show(stacks.measure(folder / "stacks", quick=quick), stacks.table)
        if not only or "fast-decode" in only:
            compared = fast_decode.measure(folder, arguments.images, quick=quick)
            reduced = show(compared, fast_decode.table)
    if not arguments.studies and not only:
        headers = images.headers_a_second(folder / "headers")
        print(f"\nheaders scanned a second of CPU time: {headers:.0f}", flush=True)
    if not only:
        counts = arguments.studies or ("50" if quick else "200")
        for count in map(int, counts.split(",")):
            costs += studies.costs_of(folder / f"{count}", count)
            shutil.rmtree(folder / f"{count}")
        show(costs, studies.table)
    return {
        "images": [row.record() for row in rows],
        "commands": [row.record() for row in through],
        "workflow": workflow and workflow.record(),
        "memory": list(map(asdict, memory)),
        "loader": list(map(asdict, loaded)),
        "orders": list(map(asdict, orders)),
        "start-up": list(map(asdict, start_up)),
        "stacks": list(map(asdict, stacked)),
        "fast decode": list(map(asdict, reduced)),
        "headers a second": headers,
        "studies": list(map(asdict, costs)),
    }


def show(rows: Iterable[Row], table: Callable[[Sequence[Row]], Iterable[str]]) -> list[Row]:
    """Print the table of rows, and return them."""
    measured = list(rows)
    print("", *table(measured), sep="\n", flush=True)
    return measured


def numbers(text: str | None) -> list[int]:
    """Numbers with commas between them."""
    return [int(number) for number in (text or "").split(",") if number]


def measure_scale(counts: list[int], *, sharded: int | None, files: list[int]) -> None:
    """Time and memory of the processes of a run, printed as they end."""
    print(scale.HEADER)
    with tempfile.TemporaryDirectory() as name:
        for count in counts:
            list(scale.Bench(Path(name) / f"{count}", count, copies=False).one_run())
        if sharded:
            list(scale.Bench(Path(name) / "sharded", sharded, copies=True).in_shards(SHARDS))
        if files:
            bench = scale.Bench(Path(name) / "files", *files, copies=True)
            list(bench.jobs_of_all_studies())


def measure_images(
    folder: Path, only: list[str] | None, reference: Path | None, *, quick: bool
) -> tuple[list[images.ImageCost], list[commands.CommandCost], list[images.Memory]]:
    """The rows of the tables of images."""
    scale, passes = (0.3, 3) if quick else (1.0, 5)
    images.files_of("mammo:explicit", folder / "tiny", scale=0.02, studies=1)
    base_mb = images.peak_memory(folder / "tiny", folder / "none")
    print(*images.table([]), sep="\n")
    rows, through = [], []
    for row in only or images.ROWS:
        place = folder / row.replace(":", "-")
        measured = images.measure(row, place, scale=scale, passes=passes, base_mb=base_mb)
        print(list(images.table([measured]))[-1], flush=True)
        rows.append(measured)
        if not row.endswith(":fast"):
            through.append(commands.measure(measured, place, reference=reference, passes=passes))
    if through:
        print("", *commands.table(through), sep="\n", flush=True)
    memory: list[images.Memory] = []
    for row in () if only else images.MEMORY_ROWS:
        place = folder / "memory" / row.replace(":", "-")
        memory += images.measure_memory(row, place, scale=scale, base_mb=base_mb)
        shutil.rmtree(place)
    if memory:
        print("", *images.memory_table(memory), sep="\n", flush=True)
    return rows, through, memory


def measure_workflow(
    folder: Path, reference: Path | None, *, quick: bool
) -> workflow_runs.WorkflowCost:
    """The table of the workflow beside the command."""
    passes = 3 if quick else 5
    cost = workflow_runs.measure(folder, reference=reference, passes=passes, quick=quick)
    print("", *workflow_runs.table(cost), sep="\n", flush=True)
    shutil.rmtree(folder)
    return cost


def measure_loader(
    folder: Path, *, quick: bool
) -> tuple[list[loader.ReaderRate], list[loader.ReadOrderRate]]:
    """The rows of the tables of loading."""
    rows = list(loader.measure(folder, quick=quick))
    print("", *loader.table(rows), sep="\n", flush=True)
    single = next(iter((folder / "packbits").rglob("*.tiff")))
    orders = loader.measure_orders(folder, single, quick=quick)
    print("", *loader.orders_table(orders), sep="\n", flush=True)
    shutil.rmtree(folder)
    return rows, orders


if __name__ == "__main__":
    raise SystemExit(main())
