"""Synthetic studies of benchmarks/make_synthetic.py."""

import csv
import functools
import importlib.util

from tests.conftest import CHECKOUT

GENERATOR = CHECKOUT / "benchmarks" / "make_synthetic.py"


@functools.cache
def _load_generator():
    spec = importlib.util.spec_from_file_location("make_synthetic", GENERATOR)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    return generator


def write_studies(folder, *arguments):
    """Write studies to a folder, and return the rows of their table, with ``file``."""
    _load_generator().main([str(folder), "--jobs", "1", *arguments])
    with (folder / "synthetic_truth.csv").open(encoding="utf-8", newline="") as file:
        return [row | {"file": folder / row["path"]} for row in csv.DictReader(file)]
