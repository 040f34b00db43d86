"""Jobs of a study that may write no file beyond a size, for 300 sizes.

Whatever the size, an image that is there is the one of an undisturbed job, and the next job without
a limit makes what is missing. Temporary files, which several threads use, and receipts have the
limit too.
"""

import io
import logging
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dicom_preprocessing.cli.job import stage_main
from dicom_preprocessing.config import KEEPABLE, parse_config
from dicom_preprocessing.config.recipe import make_chain
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.table import inventory_text
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.workflow.warm_up import rehearse
from tests.limits import largest_file
from tests.workflow.tiny import instance, save

LOG = logging.getLogger(__name__)

SIZES = 300
COMPRESSORS = ("packbits", "lzw", "uncompressed", "deflate", "zstd")
STUDY = "1.2.1"
FRAMES, ROWS, COLUMNS = 6, 50, 60
STEPS = {"crop": True, "size": [56, 48], "padding": "center"}


def make_source(folder):
    """A study of an image of several frames and one of a single frame, both noise on black."""
    random = np.random.default_rng(1)
    for number, frames in ((1, FRAMES), (2, 1)):
        pixels = random.integers(100, 4096, (frames, ROWS, COLUMNS)).astype(np.uint16)
        pixels[:, :, :8] = 0
        attributes = {"Rows": ROWS, "Columns": COLUMNS, "PixelData": pixels.tobytes()}
        if frames > 1:
            attributes["NumberOfFrames"] = frames
        save(instance(STUDY, number, **attributes), folder / f"{number}.dcm")


@dataclass
class Study:
    """The jobs of a study, as the workflow calls them."""

    inventory: Path
    output: Path
    stages: tuple[str, ...]
    compressor: str

    def receipt(self, stage):
        return self.output / "receipts" / stage / f"{STUDY}.jsonl"

    def folder(self, stage):
        return self.output / ("images" if stage == "write" else f"stages/{stage}") / STUDY

    def arguments(self, stage):
        before = self.stages[: self.stages.index(stage)][-1:]
        needed = [str(f(b)) for b in before for f in (self.folder, self.receipt)]
        config, _ = parse_config(STEPS | {"compressor": self.compressor})
        return [
            *("--input", *(needed or [str(self.inventory)])),
            *("--images", str(self.folder(stage)), "--receipt", str(self.receipt(stage))),
            *("--output", str(self.output), "--study", STUDY, "--kept", *(before or ("none",))),
            *("--chain", make_chain(config, stage).to_json(), "--threads", "4"),
        ]

    def missing(self):
        """Stages that the next run has to make."""
        return [stage for stage in self.stages if not self.receipt(stage).exists()]

    def run(self, size=-1):
        """Make what is missing, up to the first job that fails; gives its status."""
        child = os.fork()
        if child == 0:
            self._be_run(size)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _be_run(self, size):
        status = 70
        try:
            sys.stdout = sys.stderr = io.StringIO()  # the file of pytest has the limit too
            os.fsync = lambda _: None  # takes nearly all of the time, and nobody cuts the power
            with largest_file(size):
                statuses = (stage_main(stage, self.arguments(stage)) for stage in self.missing())
                status = next(filter(None, statuses), 0)
        finally:
            os._exit(status)

    def files(self):
        """Bytes of what is there but for receipts, whose times differ, by path."""
        found = filter(Path.is_file, self.output.rglob("*"))
        receipts = self.output / "receipts"
        return {
            str(path.relative_to(self.output)): path.read_bytes()
            for path in found
            if not path.is_relative_to(receipts) or path.name.startswith(".")
        }

    def largest(self):
        sizes = [path.stat().st_size for path in self.output.rglob("*") if path.is_file()]
        return max(*sizes, 2 * FRAMES * ROWS * COLUMNS)


def damaged(study, undisturbed):
    """What is there under its own name and is not as an undisturbed job makes it."""
    return [name for name, content in study.files().items() if content != undisturbed.get(name)]


@pytest.mark.parametrize("stages", [("write",), (*KEEPABLE, "write")], ids=["plain", "kept"])
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_no_size_leaves_a_damaged_image_and_the_next_job_heals(tmp_path, compressor, stages):
    make_source(tmp_path / "source")
    (entries,) = build_index(find_files([str(tmp_path / "source")])).studies.values()
    inventory = tmp_path / "inventory.jsonl"
    inventory.write_text(inventory_text(entries))
    study = Study(inventory, tmp_path / "results", stages, compressor)
    (tmp_path / "rehearsal").mkdir()
    rehearse(tmp_path / "rehearsal")  # imports what is needed, once and not in each job
    assert study.run() == 0
    undisturbed, largest = study.files(), study.largest()
    assert len(undisturbed) == 2 * len(stages)

    failed = 0
    for size in np.linspace(0, 1.02 * largest, SIZES).astype(int).tolist():
        shutil.rmtree(study.output)
        status = study.run(size)
        assert damaged(study, undisturbed) == [], size
        assert status in (0, 1), size
        assert (status == 0) == (not study.missing()) == (study.files() == undisturbed), size
        failed += status
        assert study.run() == 0, size
        assert study.files() == undisturbed, size
    assert 0 < failed < SIZES
    LOG.info("%s of %s jobs failed, and the next one healed each", failed, SIZES)
