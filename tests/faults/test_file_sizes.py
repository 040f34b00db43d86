"""Jobs of a study that may write no file beyond a size, for many sizes, one stage at a time.

Whatever the size, an image that is there is the one of an undisturbed job, and the next job without
a limit makes what is missing. Temporary files, which several threads use, and receipts have the
limit too. Earlier stages are made without one: the first image is mostly the largest, and no other
stage would ever be cut.

DP_FAULT_SIZES tells how many sizes; `make faults` tries 300.
"""

import logging
import os
import re
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dicom_preprocessing.cli.job import main
from dicom_preprocessing.config import KEEPABLE, parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.table import IndexFolder, format_inventory
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.workflow.warm_up import warm_up
from tests.limits import limit_file_size
from tests.workflow.tiny import instance, save

LOG = logging.getLogger(__name__)

SIZES = int(os.environ.get("DP_FAULT_SIZES", "5"))
COMPRESSORS = ("packbits", "lzw", "uncompressed", "deflate", "zstd")
STUDY = "1.2.1"
FRAMES, ROWS, COLUMNS = 6, 50, 60
STEPS = {"crop": True, "size": [56, 48], "padding": "center"}
SETTINGS = {"integers": STEPS, "floats": STEPS | {"intensity": "stored"}, "many": {}}
PIXELS = ("integers", "floats")


def noise(random, shape, dtype, highest):
    """Noise on black, which crop cuts off."""
    pixels = random.integers(1, highest, shape).astype(dtype)
    pixels[:, :, :8] = 0
    attributes = {"Rows": ROWS, "Columns": COLUMNS, "PixelData": pixels.tobytes()}
    return attributes | ({"NumberOfFrames": len(pixels)} if len(pixels) > 1 else {})


def make_source(folder, kind):
    """A study of noise: several frames and one, of integers also in colour. Or many tiny images."""
    if kind == "many":
        for number in range(6):
            save(instance(STUDY, number), folder / f"{number}.dcm")
        return
    random = np.random.default_rng(1)
    for number, frames in ((1, FRAMES), (2, 1)):
        attributes = noise(random, (frames, ROWS, COLUMNS), np.uint16, 4096)
        if kind == "floats":
            attributes |= {"RescaleSlope": "0.37", "RescaleIntercept": "-10.5"}
        save(instance(STUDY, number, **attributes), folder / f"{number}.dcm")
    if kind == "integers":
        attributes = noise(random, (1, ROWS, COLUMNS, 3), np.uint8, 256) | {
            "SamplesPerPixel": 3,
            "PhotometricInterpretation": "RGB",
            "PlanarConfiguration": 0,
            "BitsAllocated": 8,
            "BitsStored": 8,
            "HighBit": 7,
        }
        save(instance(STUDY, 3, **attributes), folder / "3.dcm")


@dataclass
class StudyJobs:
    """The jobs of a study, as the workflow calls them."""

    inventory: Path
    output: Path
    stages: tuple[str, ...]
    settings: dict[str, object]

    def receipt(self, stage):
        return self.output / "receipts" / stage / f"{STUDY}.jsonl"

    def folder(self, stage):
        return self.output / ("images" if stage == "write" else f"stages/{stage}") / STUDY

    def recipe(self, stage):
        return make_recipe(parse_config(self.settings)[0], stage)

    def arguments(self, stage):
        before = self.stages[: self.stages.index(stage)][-1:]
        needed = [str(f(b)) for b in before for f in (self.folder, self.receipt)]
        return [
            *("--input", *(needed or [str(self.inventory)])),
            *("--images", str(self.folder(stage)), "--receipt", str(self.receipt(stage))),
            *("--output", str(self.output), "--study", STUDY, "--kept", *(before or ("none",))),
            *("--recipe", self.recipe(stage).digest, "--threads", "4"),
        ]

    def run(self, stage, size=-1):
        """Make a stage; gives the status of its job and what it said."""
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            self._be_run(stage, size, theirs)
        os.close(theirs)
        with open(ours, encoding="utf-8") as file:
            said = file.read()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said

    def _be_run(self, stage, size, told):
        status = 70
        try:
            sys.stdout = sys.stderr = open(told, "w", encoding="utf-8")  # noqa: SIM115
            os.fsync = lambda _: None  # takes nearly all of the time, and nobody cuts the power
            with limit_file_size(size):
                os.environ["DP_RECIPE_" + self.recipe(stage).digest] = self.recipe(stage).to_json()
                status = main([stage, *self.arguments(stage)], examples=Path())
            sys.stderr.flush()
        finally:
            os._exit(status)

    def withdraw(self, stage):
        shutil.rmtree(self.folder(stage))
        self.receipt(stage).unlink(missing_ok=True)

    def files(self):
        """Bytes of what is there but for receipts, whose times differ, by path."""
        found = filter(Path.is_file, self.output.rglob("*"))
        receipts = self.output / "receipts"
        return {
            str(path.relative_to(self.output)): path.read_bytes()
            for path in found
            if not path.is_relative_to(receipts) or path.name.startswith(".")
        }

    def largest(self, stage):
        """Bytes of the largest file of a stage."""
        paths = filter(Path.is_file, self.folder(stage).rglob("*"))
        return max(path.stat().st_size for path in (*paths, self.receipt(stage)))

    def what_failed(self, stage, said):
        """Which file an error is about."""
        if str(self.folder(stage)) in said:
            return "image"
        return "receipt" if str(self.receipt(stage)) in said else f"unknown: {said}"


@pytest.fixture
def study_of(tmp_path):
    """Make a study whose jobs make some stages, of which all but the last are made."""

    def study_of(kind, stages, **values):
        make_source(tmp_path / "source", kind)
        (entries,) = build_index(find_files([str(tmp_path / "source")])).studies.values()
        # Where a job looks for it that finds its kept stage damaged.
        inventory = IndexFolder(tmp_path / "results").inventory(STUDY)
        inventory.parent.mkdir(parents=True)
        inventory.write_text(format_inventory(entries))
        (tmp_path / "warm-up").mkdir()
        warm_up(tmp_path / "warm-up")  # imports what is needed, once and not in each job
        settings = SETTINGS[kind] | values
        study = StudyJobs(inventory, tmp_path / "results", stages, settings)
        for stage in stages[:-1]:
            assert study.run(stage) == (0, "")
        return study

    return study_of


def sweep(study):
    """Run the last stage with each limit, and once more without; what failed, with how often."""
    stage = study.stages[-1]
    assert study.run(stage) == (0, "")
    undisturbed, largest = study.files(), study.largest(stage)
    sizes = np.linspace(0, 1.02 * largest, SIZES).astype(int).tolist()
    failed: Counter[str] = Counter()
    damaged: list[tuple[int, str]] = []
    for size in sizes:
        study.withdraw(stage)
        status, said = study.run(stage, size)
        found = study.files()
        damaged += [(size, name) for name in found if found[name] != undisturbed.get(name)]
        assert status in (0, 1), (size, said)
        assert (status == 0) == study.receipt(stage).exists(), (size, said)
        if status == 0:
            assert found == undisturbed, size
        else:
            assert re.search(r"^error: /.+: .+\. What to do: .+, then run again$", said), said
            failed[study.what_failed(stage, said)] += 1
        assert study.run(stage) == (0, ""), size
        assert study.files() == undisturbed, size
    LOG.info(
        "%s limits up to %s bytes: %s jobs failed, all at %s (%s); %s files damaged; all healed "
        "with identical bytes",
        *(SIZES, sizes[-1], failed.total(), stage),
        *(", ".join(f"{what} {times}" for what, times in sorted(failed.items())), len(damaged)),
    )
    assert damaged == []
    assert 0 < failed.total() < SIZES
    return failed


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize("before", [(), KEEPABLE], ids=["plain", "kept"])
@pytest.mark.parametrize("kind", PIXELS)
def test_no_size_leaves_a_damaged_image(study_of, kind, before, compressor):
    assert set(sweep(study_of(kind, (*before, "write"), compressor=compressor))) == {"image"}


@pytest.mark.parametrize("stage", KEEPABLE)
@pytest.mark.parametrize("kind", PIXELS)
def test_no_size_leaves_a_damaged_image_of_a_kept_stage(study_of, kind, stage):
    assert set(sweep(study_of(kind, KEEPABLE[: KEEPABLE.index(stage) + 1]))) == {"image"}


def test_no_size_leaves_a_cut_receipt(study_of):
    # of images that are smaller than it
    assert set(sweep(study_of("many", ("write",)))) == {"image", "receipt"}
