"""The workflow at 1,000 to 100,000 studies: time and memory of each of its processes.

Studies are of tiny images, so that what is measured is what a study costs beside its pixels.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

import copy_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STUDY_ROOT = "1.2.826.0.1.3680043.10.1000."
FIRST_STUDY, FIRST_IMAGE = 10_000_000, 1000
"""UIDs have no leading zeros, and all the same length."""


def tiny_file(study: str, number: str, side: int = 16) -> Dataset:
    """A grey image of 12 bits."""
    rows, columns = np.mgrid[:side, :side]
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = SecondaryCaptureImageStorage
    made.StudyInstanceUID = study
    made.SeriesInstanceUID = f"{study}.1"
    made.SOPInstanceUID = f"{study}.1.{number}"
    made.Modality = "OT"
    made.InstanceNumber = 1
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows = made.Columns = side
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = 0
    made.PixelData = (rows * columns * 15).astype(np.uint16).tobytes()
    return made


def make_source(folder: Path, studies: int, images: int = 1) -> None:
    """Write studies as fast as a disk takes files: copies of one, with UIDs of the same length."""
    study, number = f"{STUDY_ROOT}{FIRST_STUDY}", f"{FIRST_IMAGE}"
    template = folder / "template"
    folder.mkdir(parents=True)
    pydicom.dcmwrite(template, tiny_file(study, number), enforce_file_format=True)
    content = template.read_bytes()
    template.unlink()
    for s in range(studies):
        place = folder / f"{s // 1000:04d}" / f"{s:07d}"
        place.mkdir(parents=True)
        of_study = content.replace(study.encode(), f"{STUDY_ROOT}{FIRST_STUDY + s}".encode())
        for i in range(images):
            copy = of_study.replace(f".1.{number}".encode(), f".1.{FIRST_IMAGE + i}".encode())
            (place / f"{i:04d}.dcm").write_bytes(copy)


CHECKOUT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "config", "envs", "profiles", "scripts", "src", "workflow")


@dataclass(frozen=True)
class Step:
    """A command: seconds of wall time, of CPU time with all its children, and its peak memory."""

    studies: int
    name: str
    wall: float
    cpu: float
    main_mb: float
    child_mb: float


RUN = """
import json, re, resource, runpy, sys
place, sys.argv = sys.argv[1], sys.argv[2:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    own = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    open(place, "w").write(json.dumps([own / 1024, children / 1024]))
"""
"""A script of Python, which writes down at its end what it and its children held.

The kernel counts in ru_maxrss also what the process held that started it.
"""


class Bench:
    """Runs over one source, in a folder of their own."""

    def __init__(self, folder: Path, studies: int, images: int = 1, *, copies: bool) -> None:
        self.folder, self.studies = folder, studies
        self.checkout = CHECKOUT
        make_source(folder / "source", studies, images)
        if copies:
            self.checkout = folder / "checkout"
            self._replace_pixels()

    def _replace_pixels(self) -> None:
        """A copy of the workflow whose jobs copy one image that was made with the real one."""
        self.checkout.mkdir()
        for name in PARTS:
            original = CHECKOUT / name
            (shutil.copytree if original.is_dir() else shutil.copy2)(original, self.checkout / name)
        make_source(self.folder / "example" / "source", 1)
        self.snakemake("example", "source=example/source", "output=example/results")
        (receipt,) = (self.folder / "example/results/receipts/write").iterdir()
        (image,) = (self.folder / "example/results/images").rglob("*.tiff")
        shutil.copy2(receipt, self.folder / "example.jsonl")
        shutil.copy2(image, self.folder / "example.tiff")
        job = self.checkout / "scripts" / "job.py"
        job.rename(job.with_name("original_job.py"))
        shutil.copy2(copy_images.__file__, job)

    def snakemake(self, name: str, *config: str, options: Sequence[str] = ()) -> Step:
        """One call of Snakemake."""
        keys = ["--config", "size=32,32", *(config or ["source=source"])]
        words = [str(Path(sys.executable).with_name("snakemake")), "--quiet", "all", "--cores", "2"]
        snakefile = ["--snakefile", str(self.checkout / "Snakefile")]
        return self.script(name, *words, *snakefile, *keys, *options)

    def script(self, name: str, *words: str) -> Step:
        """One process of Python."""
        place = self.folder / "used.json"
        start, before = time.perf_counter(), os.times()
        command = [sys.executable, "-c", RUN, str(place), *words]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)  # noqa: S603
        after = os.times()
        cpu = after.children_user + after.children_system
        cpu -= before.children_user + before.children_system
        held = json.loads(place.read_text())
        step = Step(self.studies, name, time.perf_counter() - start, cpu, *held)
        print(line_of(step), flush=True)
        return step

    def one_run(self) -> Iterator[Step]:
        """All studies by one process of Snakemake."""
        yield self.snakemake("full run")
        yield self.snakemake("nothing to do")

    def in_shards(self, shards: int) -> Iterator[Step]:
        """The index, each shard, and gathering, one after the other."""
        yield self.snakemake("index", options=["--", "index"])
        yield self.snakemake("dry run of one process", options=["--dry-run"])
        for run in ("", ", nothing to do"):
            for shard in range(shards):
                keys = ("source=source", f"shard={shard},{shards}")
                yield self.snakemake(f"shard {shard} of {shards}{run}", *keys)
            yield self.snakemake(f"gather{run}", "source=source", f"gather={shards}")
        yield self.snakemake("the same by one process")
        yield self.snakemake("the same, nothing to do")

    def jobs_of_all_studies(self) -> Iterator[Step]:
        """The jobs that see every file: index, manifest, report and verdict."""
        yield self.snakemake("index", options=["--", "index"])
        yield self.snakemake("index, nothing new", options=["--forcerun", "index", "--", "index"])
        results, example = self.folder / "results", self.folder / "example.tiff"
        for inventory in (results / "index" / "studies").iterdir():
            receipt = results / "receipts" / "write" / inventory.name
            copy_images.copy_images(
                inventory, results / "images" / inventory.stem, receipt, example
            )
        recipe = json.loads(example.with_suffix(".jsonl").read_text())["recipe"]
        settings = {
            "manifest": {"recipe": recipe, "keep": [], "prune": False},
            "report": {"settings": {}},
            "verdict": {"strict": False},
        }
        job = str(self.checkout / "scripts" / "job.py")
        for name, values in settings.items():
            words = [name, "--output", "results", "--settings", json.dumps(values)]
            yield self.script(name, job, *words)


HEAD = ("studies", "", "wall s", "ms each", "CPU s", "main MB", "child MB")
HEADER = "{:>8}  {:<34}{:>9}{:>8}{:>9}{:>9}{:>9}".format(*HEAD)


def line_of(step: Step) -> str:
    """A row of the table."""
    each = 1000 * step.wall / step.studies
    return (
        f"{step.studies:>8}  {step.name:<34}{step.wall:>9.1f}{each:>8.2f}"
        f"{step.cpu:>9.1f}{step.main_mb:>9.0f}{step.child_mb:>9.0f}"
    )
