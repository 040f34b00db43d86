"""Runs of single studies, without Snakemake."""

import os

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.table import format_inventory
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processing.instance import OutputSpec
from dicom_preprocessing.processing.study import (
    KeptStage,
    run_from_inventory,
    run_from_stage,
    run_from_stage_or_inventory,
)


def entries_of(*paths):
    """Entries of the only study below the paths."""
    index = build_index(find_files([str(path) for path in paths]))
    (entries,) = index.studies.values()
    return entries


def target_of(folder, stage="write", **values):
    config, _ = parse_config(values)
    root = folder / ("images" if stage == "write" else f"stages/{stage}")
    return OutputSpec(root, make_recipe(config, stage))


class StudyRuns:
    """Runs of one study in a folder of their own."""

    def __init__(self, folder, entries, **values):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.values = folder, values
        self.study = entries[0].study_instance_uid
        self.inventory = folder / "inventory.jsonl"
        self.inventory.write_text(format_inventory(entries))

    def receipt(self, stage):
        return self.folder / f"{stage}.jsonl"

    def from_inventory(self, stage="write"):
        target = target_of(self.folder, stage, **self.values)
        return run_from_inventory(self.inventory, target, self.receipt(stage))

    def kept(self, stage):
        return KeptStage(stage, self.folder / "stages" / stage, self.study, self.receipt(stage))

    def from_stage(self, kept, stage="write"):
        target = target_of(self.folder, stage, **self.values)
        return run_from_stage(self.kept(kept), target, self.receipt(stage))

    def from_stage_or_inventory(self, kept, stage="write"):
        target = target_of(self.folder, stage, **self.values)
        return run_from_stage_or_inventory(
            self.kept(kept), self.inventory, target, self.receipt(stage)
        )

    def images(self, stage="write"):
        """Bytes of each image of a stage by its path."""
        root = self.folder / ("images" if stage == "write" else f"stages/{stage}")
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def run(folder, *paths, **values):
    """Receipts by file name after a whole job."""
    receipts = StudyRuns(folder, entries_of(*paths), **values).from_inventory()
    return {os.path.basename(receipt.source_path): receipt for receipt in receipts}


def outcomes(receipts):
    return {name: r.error or r.state for name, r in receipts.items()}


def truncate(path, size):
    """Shorten a file."""
    path.write_bytes(path.read_bytes()[:-size])
    return path
