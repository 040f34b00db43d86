"""Run every command and loader on hostile TIFFs or tables, in one process of bounded memory.

``python -m tests.faults.hostile_worker {tiffs | tables} FOLDER FIRST COUNT`` prints a line of JSON
per input: what happened that must not, and how many commands and loaders refused it.
"""

import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pandas as pd

import dicom_preprocessing as dp
from dicom_preprocessing.cli import manifest as dicom_manifest
from dicom_preprocessing.cli import map as dicom_map
from dicom_preprocessing.cli import tiff_benchmark, tiff_combine, tiff_resize, tiff_stats
from dicom_preprocessing.errors import DicomPreprocessingError
from dicom_preprocessing.processes import resident_bytes
from tests.faults.hostile_tables import mutate_table
from tests.faults.hostile_tiffs import make_sound, mutate_tiff
from tests.unit.tools.images import save

MEMORY = 2**30
"""Bytes that an input may take beyond what the process has when all modules are loaded."""
SECONDS = 20
"""Of a command or loader with one input."""
BENCHMARK_EVERY = 25
GOOD = "1.2/good.tiff"


class TooLongError(BaseException):
    """A command did not end in time. No Exception: nothing may catch it."""


def stop(*_):
    raise TooLongError


class Trial:
    """What an input must not do: problems are collected."""

    def __init__(self, folder):
        self.folder, self.problems, self.refused = folder, [], 0
        self.output = folder / "out"

    @contextmanager
    def watch(self, name):
        """Note what no user may see, and the time."""
        signal.alarm(SECONDS)
        try:
            yield
        except (DicomPreprocessingError, ValueError) as error:
            is_ours = isinstance(error, DicomPreprocessingError)
            if not is_ours and "Frame" not in str(error):
                self.problems.append(f"{name}: {error!r:.300}")
            self.refused += 1
        except SystemExit as error:
            self.problems.append(f"{name}: exit {error}")
        except (Exception, TooLongError) as error:  # noqa: BLE001  # whatever it is, it is told
            self.problems.append(f"{name}: {error!r:.300}")
        finally:
            signal.alarm(0)

    def run(self, name, main, *arguments):
        """Run a command; it must end with 0, or with 1 and a line that says why."""
        shutil.rmtree(self.output, ignore_errors=True)
        out, err = io.StringIO(), io.StringIO()
        status = None
        with self.watch(name), redirect_stdout(out), redirect_stderr(err):
            status = main([str(argument) for argument in arguments])
        lines = err.getvalue().splitlines()
        if any("Traceback" in line or "not enough memory" in line for line in lines):
            self.problems.append(f"{name}: {lines[-1]:.300}")
        bugs = [line for line in lines if "Error: " in line and "(" in line]  # with their place
        self.problems += [f"{name}: {line:.400}" for line in bugs[:1]]
        if status not in (0, 1) or (status and not lines):
            self.problems.append(f"{name}: ended with {status} and {lines[-1:]}")
        self.refused += status == 1
        return status


def list_files(folder):
    return sorted(
        (str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()
    )


def run_commands(trial, source, number, table):
    """Every command that reads TIFFs or tables of them; their outputs below ``trial.output``."""
    out = trial.output
    trial.run("tiff-stats", tiff_stats.main, source, "--json", out.parent / "s.json", "-j1")
    options = ("--active-only", "--skip-background")
    trial.run("tiff-stats", tiff_stats.main, source, *options, "-j1")
    trial.run("tiff-resize", tiff_resize.main, source, out, "-s", "9,8", "-j1")
    trial.run("tiff-combine", tiff_combine.main, source, out, "--table", table, "--force")
    arguments = (table, "--to", "output", "--manifest", source, "-o", out / "b.csv")
    trial.run("dicom-map", dicom_map.main, *arguments, "--preview", out / "png")
    if number % BENCHMARK_EVERY == 0:
        trial.run("tiff-benchmark", tiff_benchmark.main, source, out, "--repeat", "1")


def run_dataset(trial, source):
    with trial.watch("TiffDataset"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dp.TiffDataset(source)
        for index in range(min(len(dataset), 5)):
            with trial.watch("TiffDataset"):
                dataset[index]


def try_tiff(trial, content, number):
    """Try a TIFF beside a sound one, which every command must have done all the same."""
    tree = trial.folder / "tree"
    path = tree / "1.2" / "bad.tiff"
    path.write_bytes(content)
    status = trial.run("dicom-manifest", dicom_manifest.main, tree, trial.output / "m.csv")
    if status is not None:
        listed = set(pd.read_csv(trial.output / "m.csv")["path"])
        if GOOD not in listed or (status == 0) != (len(listed) == 2):
            trial.problems.append(f"dicom-manifest: {status}, {listed}")
    run_commands(trial, tree, number, trial.folder / "boxes.csv")
    run_dataset(trial, tree)
    for load in (dp.load_tiff_u8, dp.load_tiff_u16, dp.load_tiff_f32, dp.get_frame_count):
        with trial.watch(load.__name__):
            load(path)
    with trial.watch("load_tiff_u8"):
        dp.load_tiff_u8(path, [0])
    with trial.watch("get_manifest"):
        if len(dp.get_manifest(tree)) != 2:
            trial.problems.append("get_manifest: a file is missing")


def try_table(trial, named, number):
    """Try a table as manifest, as order of slices, as boxes, and by every function."""
    name, content = named
    table = trial.folder / "tree" / name
    table.write_bytes(content)
    run_commands(trial, table, number, table)
    run_dataset(trial, table)
    for read in (dp.read_manifest, dp.read_failures, dp.read_warnings, dp.read_slices):
        with trial.watch(read.__name__):
            read(table)
    table.unlink()


def make_rows():
    box = {"left": 1.0, "top": 1.0, "right": 4.0, "bottom": 5.0}
    geometry = {"width": 17, "height": 16, "channels": 1, "num_frames": 2, "warnings": 0}
    geometry |= {"crop_left": 4, "crop_top": 6, "crop_width": 30, "crop_height": 20, "inode": 1}
    geometry |= {"active_left": 2, "active_top": 0, "active_right": 17, "active_bottom": 10}
    geometry |= {"scale_x": 0.5, "scale_y": 0.5, "flip_h": "true", "flip_v": "true", "dtype": "u1"}
    geometry |= {"source_columns": 40, "source_rows": 40, "source_frames": 2}
    names = ((GOOD, "good"), ("1.2/other.tiff", "other"))
    return [
        {"study_instance_uid": "1.2", "sop_instance_uid": sop, "path": path, "position": float(n)}
        | {"series_instance_uid": "1.2.3", "modality": "CT", "spacing_x": 0.5}
        | {**box, **geometry}
        for n, (path, sop) in enumerate(names)
    ]


def prepare(folder, kind):
    """A tree with sound images, and a table of their boxes."""
    save(folder / "tree" / GOOD)
    if kind == "tables":
        save(folder / "tree" / "1.2" / "other.tiff")
    pd.DataFrame(make_rows()).replace("other", "bad").to_csv(folder / "boxes.csv", index=False)
    paths = make_sound(folder / "sound")
    return [path.read_bytes() for path in paths]


def make_input(kind, sound, number):
    """The TIFF, or the name and content of a table, of a number."""
    chance = random.Random(number)
    if kind == "tiffs":
        return mutate_tiff(chance.choice(sound), chance)
    return mutate_table(make_rows(), chance)


def make_inputs(kind, sound, numbers):
    """Numbers and inputs, made by a process without a limit.

    To make what few bytes stand for may take more memory than to refuse it.
    """
    with ProcessPoolExecutor(1) as pool:
        pool.submit(os.getpid).result()  # it has the limits of its start
        yield
        for number in numbers:
            yield number, pool.submit(make_input, kind, sound, number).result()


def main(kind, folder, first, count):
    """Try ``count`` inputs, each by its number as the seed."""
    folder = Path(folder)
    sound = prepare(folder, kind)
    inputs = make_inputs(kind, sound, range(int(first), int(first) + int(count)))
    next(inputs)
    signal.signal(signal.SIGALRM, stop)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    for number, made in inputs:
        trial = Trial(folder)
        before, start = list_files(folder / "tree"), time.monotonic()
        if kind == "tiffs":
            try_tiff(trial, made, number)
            (folder / "tree" / "1.2" / "bad.tiff").unlink()
        else:
            try_table(trial, made, number)
        if list_files(folder / "tree") != before:
            trial.problems.append("the source has other files")
        known = {"tree", "out", "sound", "boxes.csv", "s.json"}
        if strange := {path.name for path in folder.iterdir()} - known:
            trial.problems.append(f"outside: {strange}")
        record = {"input": number, "problems": trial.problems, "refused": trial.refused}
        record |= {"seconds": time.monotonic() - start, "bytes": resident_bytes(os.getpid())}
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
