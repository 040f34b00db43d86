"""The results of a run, made without Snakemake."""

import csv
import os
from functools import partial

from dicom_preprocessing.config import Limits, parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.index.build import update_index
from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.processing.instance import OutputSpec
from dicom_preprocessing.processing.study import run_from_inventory
from dicom_preprocessing.results.collection import collect_receipts, write_results
from dicom_preprocessing.results.failures import iterate_failures
from dicom_preprocessing.workflow.retries import plan_retries
from dicom_preprocessing.workflow.shards import find_other_parts, invalidate_parts


def update_with_retries(output, sources, *, limits=None, **options):
    """Index as the job of the workflow does."""
    return update_index(
        output,
        sources,
        limits=limits,
        retries=plan_retries(IndexFolder(output), limits or Limits()),
        invalidate=partial(invalidate_parts, output),
        **options,
    )


class Results:
    """Results of a workflow over a source, made in this process."""

    def __init__(self, folder):
        self.source, self.output = folder / "source", folder / "results"
        self.source.mkdir()
        self.warnings = []

    def run(self, *sources, **values):
        config, _ = parse_config(values)
        named = [str(path) for path in sources or [self.source]]
        index = update_with_retries(self.output, named, duplicates=config.duplicates)
        recipe = make_recipe(config, "write")
        self.recipe = recipe.digest
        target = OutputSpec(self.output / "images", recipe)
        receipts = self.output / "receipts" / "write"
        receipts.mkdir(parents=True, exist_ok=True)
        for study in index.studies:
            inventory = self.output / "index" / "studies" / f"{study}.jsonl"
            (target.root / study).mkdir(parents=True, exist_ok=True)
            run_from_inventory(inventory, target, receipts / f"{study}.jsonl")
        return self

    def receipts(self):
        """What the receipts of all studies tell."""
        studies = IndexFolder(self.output).read_studies().values()
        return collect_receipts(self.output, studies, self.recipe)

    def gather(self, shards=None, **options):
        write_results(
            self.output,
            self.receipts(),
            old_parts=find_other_parts(self.output, shards),
            warn=self.warnings.append,
            **options,
        )
        return self

    def failures(self):
        rows = list(iterate_failures(self.output / "failures.csv"))
        names = [os.path.relpath(row["source_path"], self.source) for row in rows]
        return dict(zip(names, [row["error"] for row in rows], strict=True))

    def orphans(self):
        return (self.output / "orphans.txt").read_text().splitlines()


NOT_UTF_8 = os.fsdecode(b"caf\xe9.dcm")


def csv_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def csv_header(path):
    return path.read_text(encoding="utf-8").splitlines()[0].split(",")


def column(path, name):
    return [row[name] for row in csv_rows(path)]
