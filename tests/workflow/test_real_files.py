"""The workflow over real files of many scanners, writers and kinds of damage."""

import csv
import json
from collections import Counter
from pathlib import Path

import pydicom
import pytest

from tests.conftest import BETTER_THAN_EXPECTED
from tests.workflow.conftest import new_project, rows


def outcomes(project):
    """State (and error) of every file found, by source path; each exactly once."""
    excluded_files = (project.results / "index" / "excluded_files.jsonl").read_text().splitlines()
    receipts = sorted((project.results / "receipts" / "write").glob("*.jsonl"))
    lines = [line for path in receipts for line in path.read_text().splitlines()]
    found = [json.loads(line) for line in (*excluded_files, *lines)]
    assert max(Counter(item["source_path"] for item in found).values()) == 1
    return {
        item["source_path"]: f"{item['state']}: {item['error']}".removesuffix(": ")
        for item in found
    }


def counts_agree(project, states):
    """Manifest and failures together are all files found."""
    written = [state for state in states.values() if state == "written"]
    assert len(rows(project.results / "manifest.csv")) == len(written)
    assert len(rows(project.results / "failures.csv")) == len(states) - len(written)


def test_every_corpus_file_is_in_the_expected_state(corpus, tmp_path):
    project = new_project(tmp_path)
    project.config = {"source": str(corpus), "objects": "all"}
    project.run()
    states = outcomes(project)
    files = [path for path in corpus.rglob("*") if path.is_file()]
    assert set(states) == {str(path) for path in files}
    counts_agree(project, states)

    wrong = {}
    with (corpus / "expected.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            state = states[str(corpus / row["file"])]
            expected = "written" if row["file"] in BETTER_THAN_EXPECTED else row["state"]
            if expected == "any":
                continue
            if state != expected and not (expected == "failed" and state.startswith("failed")):
                wrong[row["file"]] = (expected, state)
    assert wrong == {}
    assert project.run().is_noop


@pytest.mark.parametrize("folder", ["test_files", "charset_files"])
def test_every_pydicom_test_file_gets_one_state(folder, tmp_path):
    source = Path(pydicom.__file__).parent / "data" / folder
    project = new_project(tmp_path)
    project.config = {"source": str(source), "size": [32, 32], "padding": "center"}
    project.run()
    states = outcomes(project)
    assert set(states) == {str(path) for path in source.rglob("*") if path.is_file()}
    counts_agree(project, states)
