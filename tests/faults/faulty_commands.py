"""Runs one command after the other, each in a fork of this process; see failing_calls.Commands.

A request is a line of JSON on standard input, its answer one on standard output.
"""

import importlib
import json
import os
import pkgutil
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import dicom_preprocessing as dp
from dicom_preprocessing.cli import (
    job,
    manifest,
    preprocess,
    tiff_combine,
    tiff_resize,
    tiff_stats,
    validate,
)
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.errors import DicomPreprocessingError
from dicom_preprocessing.index.table import digest_inventory
from dicom_preprocessing.text import explain_error
from dicom_preprocessing.workflow.run import Run
from dicom_preprocessing.workflow.warm_up import warm_up
from tests.faults.failing_calls import SECONDS_OF_A_COMMAND, wait_for_group


def say(line):
    """Write a line to standard output, and at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_jobs(words):
    """Run the jobs of the workflow for a configuration, as Snakemake does."""
    values = json.loads(words[0])
    run = Run(parse_config(values)[0], Path("examples"))
    try:
        run.hold_folders(is_module=True)
        run.state_of_source()
    except (DicomPreprocessingError, OSError) as error:
        say(f"error: {explain_error(error)}")
        return 1
    os.environ |= run.environment(Path("scripts"), is_conda=False)
    output = run.output
    jobs = [("index", run.index_settings(), [run.index.table, run.index.excluded_files])]
    if status := _run_job(output, *jobs[0], "--workers", "2"):
        return status
    for study in run.studies:
        for stage in (*run.config.keep, "write"):
            if status := _run_stage(run, stage, study):
                return status
    results = run.results
    for name, settings, outputs in (
        ("manifest", run.collection_settings(), [results.summary]),
        ("report", run.report_settings(), [results.report]),
        ("verdict", json.dumps({"strict": run.config.strict}), [results.verdict]),
    ):
        if status := _run_job(output, name, settings, outputs):
            return status
    return 0


def _run_job(output, name, settings, outputs, *more):
    arguments = [name, "--output", str(output), "--settings", settings, *more]
    return _call(arguments, outputs)


def _run_stage(run, stage, study):
    folder, receipt = Path(run.images(stage, study)), Path(run.receipt(stage, study))
    inventory = run.index.inventory(study)
    is_current = folder.exists() and receipt.exists() and not run.is_outdated(stage, study)
    if is_current and receipt.stat().st_mtime_ns >= inventory.stat().st_mtime_ns:
        return 0
    assert digest_inventory(inventory)
    arguments = [
        *(stage, "--output", run.output, "--input", *run.inputs_of_stage(stage, study)),
        *("--images", str(folder), "--receipt", str(receipt), "--study", study),
        *("--kept", run.kept_stage_before(stage), "--recipe", run.recipe_digests[stage]),
        *("--threads", "2"),
    ]
    return _call(arguments, [folder, receipt])


def _call(arguments, outputs):
    """Call a job; its outputs are removed before it, and after it if it fails."""
    _remove(outputs)
    status = job.main(arguments, examples=Path("examples"))
    if status:
        _remove(outputs)
    return status


def _remove(paths):
    """Remove outputs, as Snakemake does; errors of its own are not what is tried."""
    for path in map(Path, paths):
        with suppress(OSError):
            path.unlink()
        shutil.rmtree(path, ignore_errors=True)


def read_all(words):
    """Read a folder of results and a DICOM file by the Python API."""
    results, dicom = words
    try:
        table = dp.read_manifest(results)
        dp.read_failures(results)
        dp.read_warnings(results)
        total = 0
        for path in dp.find_tiff_files(results):
            total += int(dp.load_tiff_u16(path).sum()) + dp.get_frame_count(path)
            dp.geometry_of_tiff(path)
        dataset = dp.TiffDataset(results)
        total += sum(int(dataset[i].image.sum()) for i in range(len(dataset)))
        pixels = dp.preprocess_u16(dicom)
        report = dp.validate_dicom(dicom)
    except (DicomPreprocessingError, RuntimeError, OSError) as error:
        say(f"error: {explain_error(error)}")
        return 1
    say(f"{len(table)} {total} {pixels.sum()} {report['status']}")
    return 0


COMMANDS = {
    "dicom-preprocess": preprocess.main,
    "dicom-validate": validate.main,
    "dicom-manifest": manifest.main,
    "tiff-stats": tiff_stats.main,
    "tiff-resize": tiff_resize.main,
    "tiff-combine": tiff_combine.main,
    "jobs": run_jobs,
    "API": read_all,
}


def import_all():
    """Import what any command would, once and not in each fork."""
    for name in ("scipy.sparse", "tifffile", "tqdm"):
        importlib.import_module(name)
    for module in pkgutil.walk_packages(dp.__path__, f"{dp.__name__}."):
        importlib.import_module(module.name)


def serve():
    """Answer requests until standard input ends."""
    import_all()
    with tempfile.TemporaryDirectory() as folder:
        warm_up(Path(folder))
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile("w+b") as screen:
            child = os.fork()
            if child == 0:
                _be_command(request, screen.fileno())
            status = _wait(child)
            is_alone = wait_for_group(child)
            screen.seek(0)
            output = screen.read().decode(errors="replace")
        answer = {"status": status, "output": output, "left": not is_alone}
        say(json.dumps(answer))


def _wait(child):
    deadline = time.monotonic() + SECONDS_OF_A_COMMAND
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGALRM


def _be_command(request, screen):
    """Run a command, and end this process as an interpreter ends."""
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(screen, 1)
    os.dup2(screen, 2)
    tempfile.tempdir = None
    os.environ["TMPDIR"] = request["temporary"]
    os.chdir(request["folder"])
    sys.exit(COMMANDS[request["name"]](request["words"]))


if __name__ == "__main__":
    serve()
