"""Every file of the corpus, and of pydicom's own test data, through index and jobs."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_preprocessing.config import Config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.table import format_inventory
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processing.instance import OutputSpec
from dicom_preprocessing.processing.study import run_from_inventory
from tests.conftest import BETTER_THAN_EXPECTED
from tests.unit.datasets import pixels_in

# Real files break the standard in many ways, of which pydicom warns.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class CorpusRun:
    """All files below a folder with the default configuration.

    ``outcomes`` lists path and state ("written", "skipped: ERROR" or "failed: ERROR").
    """

    def __init__(self, source, output):
        self.source, self.images = source, output / "images"
        self.files = find_files([str(source)])
        self.index = build_index(self.files)
        target = OutputSpec(self.images, make_recipe(Config(), "write"))
        self.outcomes = [
            (self.name(item.source_path), f"{item.state}: {item.error}")
            for item in self.index.excluded_files
        ]
        for study, entries in self.index.studies.items():
            inventory = output / f"{study}.jsonl"
            inventory.write_text(format_inventory(entries))
            for receipt in run_from_inventory(inventory, target, output / f"{study}.receipt"):
                failed = f"{receipt.state}: {receipt.error}"
                state = receipt.state if receipt.is_written else failed
                self.outcomes.append((self.name(receipt.source_path), state))
        self.states = dict(self.outcomes)

    def name(self, path):
        return str(Path(path).relative_to(self.source))


@pytest.fixture(scope="module", params=["compact_corpus", "shared_corpus"])
def corpus_run(request, tmp_path_factory):
    return CorpusRun(request.getfixturevalue(request.param), tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module", params=["test_files", "charset_files"])
def pydicom_run(request, tmp_path_factory):
    folder = Path(pydicom.__file__).parent / "data" / request.param
    return CorpusRun(folder, tmp_path_factory.mktemp("pydicom"))


def table(folder):
    with (folder / "expected.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expected(run, select):
    """Expected states of the rows for which ``select`` holds."""
    return {
        row["file"]: row["state"]
        for row in table(run.source)
        if select(row) and row["file"] not in BETTER_THAN_EXPECTED
    }


def found(run, names):
    return {name: run.states[name] for name in names}


def one_state_each(run):
    assert sorted(name for name, _ in run.outcomes) == sorted(run.name(f.path) for f in run.files)


def sum_is_right(run):
    kinds = Counter(state.split(":")[0] for _, state in run.outcomes)
    assert set(kinds) <= {"written", "skipped", "failed"}
    assert kinds.total() == run.index.found == len(run.files)


def test_every_file_of_the_corpus_has_exactly_one_state(corpus_run):
    one_state_each(corpus_run)


def test_states_of_the_corpus_add_up_to_the_files_found(corpus_run):
    sum_is_right(corpus_run)


def test_every_written_file_of_the_corpus_has_its_image(corpus_run):
    written = [name for name, state in corpus_run.outcomes if state == "written"]
    images = [path for path in corpus_run.images.rglob("*") if path.is_file()]
    assert len(images) == len(written)


def test_corpus_is_what_its_table_lists(corpus_run):
    listed = {row["file"] for row in table(corpus_run.source)}
    assert set(corpus_run.states) - listed <= {"README.md", "expected.csv"}
    assert listed <= set(corpus_run.states)


def test_good_files_are_written(corpus_run):
    names = expected(corpus_run, lambda r: r["state"] == "written")
    assert found(corpus_run, names) == names


@pytest.mark.parametrize("name", BETTER_THAN_EXPECTED)
def test_files_with_a_better_state_agree_with_another_decoder(corpus_run, name):
    same = stored(corpus_run.source / BETTER_THAN_EXPECTED[name])
    assert np.array_equal(stored(corpus_run.source / name), same)
    assert corpus_run.states[name] == "written"


def stored(path):
    return pixels_in(path)[1]


def test_skipped_files_are_skipped_with_their_error(corpus_run):
    names = expected(corpus_run, lambda r: r["state"].startswith("skipped: "))
    assert found(corpus_run, names) == names


def test_failed_files_fail_with_their_error(corpus_run):
    names = expected(corpus_run, lambda r: r["state"].startswith("failed: "))
    assert found(corpus_run, names) == names


def test_failed_files_without_a_certain_error_fail(corpus_run):
    names = expected(corpus_run, lambda r: r["state"] == "failed")
    states = {name: state.split(":")[0] for name, state in found(corpus_run, names).items()}
    assert states == names


def test_of_two_files_of_one_instance_exactly_one_is_written(shared_corpus, tmp_path):
    run = CorpusRun(shared_corpus / "pylibjpeg-data", tmp_path)
    pair = [run.states["RG2_JPLY.dcm"], run.states["RG2_JPLY_fixed.dcm"]]
    assert sorted(pair) == ["failed: sop_conflict", "written"]


def test_every_file_of_pydicom_has_exactly_one_state(pydicom_run):
    one_state_each(pydicom_run)


def test_states_of_the_files_of_pydicom_add_up_to_the_files_found(pydicom_run):
    sum_is_right(pydicom_run)


def test_every_written_file_of_pydicom_has_its_image(pydicom_run):
    written = [name for name, state in pydicom_run.outcomes if state == "written"]
    images = [path for path in pydicom_run.images.rglob("*") if path.is_file()]
    assert len(images) == len(written)


def test_selection_is_a_copy_of_the_full_corpus(compact_corpus, shared_corpus):
    names = [row["file"] for row in table(compact_corpus)]
    changed = [
        name
        for name in names
        if (compact_corpus / name).read_bytes() != (shared_corpus / name).read_bytes()
    ]
    assert changed == []
