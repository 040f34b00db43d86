"""Mutated DICOM files through index, jobs and validation: each one ends in a recorded state.

No process dies unseen, outlives its limits or is left over, no partial image remains, and nothing
is recorded as a bug of this package: bytes that a parser reads may be anything.

DP_MUTATIONS tells how many files; `make faults` tries 5,000.
"""

import importlib.util
import logging
import multiprocessing
import os
import resource
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicom_preprocessing.config import Limits, parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.errors import FAILED_ERRORS, SKIPPED_ERRORS, FileError
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.processing.instance import OutputSpec, group_by_instance
from dicom_preprocessing.processing.isolation import call_isolated, process_all
from dicom_preprocessing.tiff.reader import TiffPages
from dicom_preprocessing.validation.report import validate_dicom
from tests.conftest import CHECKOUT, data_folder, needs_fork
from tests.faults.mutations import CHANGES, collect_originals, make_mutant

pytestmark = [pytest.mark.filterwarnings("ignore"), needs_fork]

LOG = logging.getLogger(__name__)

MUTATIONS = int(os.environ.get("DP_MUTATIONS", "500"))
BLOCK = 250
"""Files that are there at the same time."""
FILES_PER_PROCESS = 25
"""Files that are validated in one process."""
STRIDE = 7
"""Originals of neighbours in a folder are of different kinds also where few are tried."""
STATES = {"written", *FAILED_ERRORS, *SKIPPED_ERRORS}
LIMITS = Limits(seconds=20, memory_mb=500, pixels=20_000_000)
SLACK = 300 << 20
"""Memory that a process may hold at the start of a file, or take between two looks at it."""
STEPS = ({}, {"crop": True, "size": [24, 20], "padding": "center"})
GENERATOR = CHECKOUT / "benchmarks" / "make_synthetic.py"
SYNTAXES = (
    *("implicit", "explicit", "deflated", "bigendian", "rle", "jpeg-baseline", "jpeg-extended"),
    *("jpeg-lossless-p14", "jpeg-lossless", "jpegls", "jpegls-near", "j2k", "j2k-lossy", "htj2k"),
)
SMALL = ("--kind", "all", "--studies", "1", "--scale", "0.02", "--frame-scale", "0.04")


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """The corpus, synthetic studies in every transfer syntax, and sound files of every kind."""
    spec = importlib.util.spec_from_file_location("make_synthetic", GENERATOR)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    folder = tmp_path_factory.mktemp("synthetic")
    for syntax in SYNTAXES:
        target = str(folder / syntax)
        generator.main([target, "--jobs", "1", *SMALL, "--transfer-syntax", syntax])
    return collect_originals(data_folder("corpus"), folder)


@dataclass
class Outcome:
    """What became of a block of files, by name."""

    states: list[tuple[str, str]]
    validated: dict[str, str]
    partial: list[str]
    left: list[int]


def run_block(folder, output, settings):
    """Index, process and validate the files of a folder, as the workflow and the command do."""
    index = build_index(find_files([str(folder)]), workers=2)
    states = [(Path(item.source_path).name, item.error) for item in index.excluded_files]
    entries = [entry for study in index.studies.values() for entry in study]
    spec = OutputSpec(output, make_recipe(parse_config(settings)[0], "write"))
    for receipts in process_all(group_by_instance(entries), spec, limits=LIMITS, cores=2):
        for receipt in receipts:
            states.append((Path(receipt.source_path).name, receipt.error or "written"))
            if receipt.is_written:
                TiffPages(output / receipt.output).read(0)
    validated = validate_all(sorted(folder.iterdir()))
    left = [process.pid for process in multiprocessing.active_children()]
    return Outcome(states, validated, list(map(str, output.rglob(".*"))), left)


def validate_all(paths):
    """What validation says of each file; a process for several, and where it ends for each."""
    validated = {}
    for start in range(0, len(paths), FILES_PER_PROCESS):
        some = paths[start : start + FILES_PER_PROCESS]
        try:
            validated |= call_isolated(validate_some, some, limits=LIMITS)
        except FileError:
            for path in some:
                try:
                    validated |= call_isolated(validate_some, [path], limits=LIMITS)
                except FileError as error:
                    validated[path.name] = error.error
    return validated


def validate_some(paths):
    return {path.name: validate(path) for path in paths}


def validate(path):
    """The status of a file and codes of its errors, or why it has no report."""
    try:
        report = validate_dicom(path)
    except RuntimeError as error:
        return str(error)
    return " ".join([report["status"], *(str(error) for error in report["errors"])])


def peak_of_children():
    """The most bytes that any process held that this one started, also for earlier tests."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10


def find_faults(mutants, outcome):
    """What went otherwise than promised, with the mutant."""
    of_name = Counter(name for name, _ in outcome.states)
    states = dict(outcome.states)
    for name, mutant in mutants.items():
        state, validated = states.get(name, "no state"), outcome.validated.get(name, "no report")
        if of_name[name] != 1 or state not in STATES:
            yield f"{mutant}: {of_name[name]} states, {state}"
        for text in (state, validated):
            if "internal_error" in text:
                yield f"{mutant}: {text}"
    yield from (f"partial image {path}" for path in outcome.partial)
    yield from (f"process {pid} is left" for pid in outcome.left)


def test_every_mutant_ends_in_a_recorded_state(originals, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL, logger="pydicom")
    start, states, faults = time.monotonic(), Counter(), []
    peak_before = peak_of_children()
    for first in range(0, MUTATIONS, BLOCK):
        numbers = range(first, min(first + BLOCK, MUTATIONS))
        mutants = {f"{n}.dcm": make_mutant(originals, n * STRIDE) for n in numbers}
        folder, output = tmp_path / "mutants", tmp_path / "images"
        for path in (folder, output):
            path.mkdir()
        for name, mutant in mutants.items():
            (folder / name).write_bytes(mutant.content)
        outcome = run_block(folder, output, STEPS[first // BLOCK % len(STEPS)])
        faults += find_faults(mutants, outcome)
        states.update(state for _, state in outcome.states)
        for path in (folder, output):
            shutil.rmtree(path)
    peak = peak_of_children()
    LOG.info(
        "%s mutants of %s files in %.0f seconds, at most %s MB in a process; states: %s",
        *(MUTATIONS, len(originals), time.monotonic() - start, peak >> 20),
        ", ".join(f"{state} {count}" for state, count in states.most_common()),
    )
    assert faults == []
    assert states.total() == MUTATIONS
    assert states["written"] > MUTATIONS / 10
    assert peak <= max(peak_before, (LIMITS.memory_mb << 20) + SLACK)


def test_mutants_are_the_same_each_time(originals):
    for number in range(20):
        assert make_mutant(originals, number) == make_mutant(originals, number)


def test_every_change_is_made(originals):
    made = [make_mutant(originals, number) for number in range(300)]
    assert {name for mutant in made for name in mutant.changes} == {c.__name__ for c in CHANGES}
