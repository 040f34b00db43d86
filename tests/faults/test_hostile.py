"""TIFFs and tables that no program should write, through every command and loader that reads them.

Each one ends in an error line or an error of this package, within seconds and a bounded memory, the
sound image beside it is worked on, and nothing is written outside of OUTPUT. DP_HOSTILE tells how
many TIFFs and tables; `make faults` tries 2000 and 500.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

import dicom_preprocessing as dp
from dicom_preprocessing.tiff.info import read_info
from dicom_preprocessing.tiff.reader import TiffPages
from tests.faults.hostile_tiffs import make_sound
from tests.faults.hostile_worker import make_rows

LOG = logging.getLogger(__name__)

TIFFS, TABLES = map(int, os.environ.get("DP_HOSTILE", "100,50").split(","))
PER_PROCESS = 250
SECONDS = 60
MEMORY_GROWTH = 400 * 10**6
SHARED = Path("/dev/shm")  # a folder of its own is made there
ROOT = Path(__file__).parents[2]


def run_worker(kind, folder, first, count):
    """Records of the inputs of a worker, and of its death, if it died."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.faults.hostile_worker", kind, folder, first, count]
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(("src", "."))},
        capture_output=True,
        text=True,
        timeout=SECONDS + 5 * count,
        check=False,
    )
    records = [json.loads(line) for line in done.stdout.splitlines()]
    if len(records) < count:
        problem = f"worker ended with {done.returncode}: {done.stderr[-2000:]}"
        records.append({"input": first + len(records), "problems": [problem], "refused": 0})
    return records


@pytest.fixture
def memory():
    """A folder in memory, if there is one: commands sync what they write, which takes longest."""
    with tempfile.TemporaryDirectory(dir=SHARED if SHARED.is_dir() else None) as folder:
        yield Path(folder)


def test_hostile_files_end_in_an_error_line(memory):
    parts = [
        (kind, memory / f"{kind}{first}", first, min(PER_PROCESS, total - first))
        for kind, total in (("tiffs", TIFFS), ("tables", TABLES))
        for first in range(0, total, PER_PROCESS)
    ]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda part: run_worker(*part), parts))
    bad = {}
    for part, records in zip(parts, outcomes, strict=True):
        LOG.info(
            "%s from %d: %d tried, %d refused by a command, longest %.1f s, growth %.0f MB",
            *(part[0], part[2], len(records), sum(record["refused"] > 0 for record in records)),
            *(max(r.get("seconds", 0) for r in records), measure_growth(records) / 1e6),
        )
        bad |= {(part[0], r["input"]): r["problems"] for r in records if r["problems"]}
        assert measure_growth(records) < MEMORY_GROWTH
    assert not bad
    refused = Counter(record["refused"] > 0 for records in outcomes for record in records)
    assert refused[True] > (TIFFS + TABLES) / 2  # else the changes change nothing


def measure_growth(records):
    """Bytes that a worker kept since its first input."""
    sizes = [record["bytes"] for record in records if "bytes" in record] or [0]
    return max(sizes) - sizes[0]


def test_sound_tiffs_are_as_tifffile_reads_them(tmp_path):
    for path in make_sound(tmp_path):
        pages = TiffPages(path)
        with tifffile.TiffFile(path) as expected:
            info, first = read_info(path), expected.pages.first
            shape = (first.imagelength, first.imagewidth, first.samplesperpixel)
            assert (info.height, info.width, info.channels) == shape
            assert (info.num_frames, info.dtype) == (len(expected.pages), str(first.dtype))
            for index, page in enumerate(expected.pages):
                pixels = page.aspage().asarray()
                pixels = np.moveaxis(pixels, 0, -1) if first.axes.startswith("S") else pixels
                np.testing.assert_array_equal(pages.read(index), pixels.reshape(shape))


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_sound_tables_are_as_pandas_reads_them(tmp_path, name):
    rows = [row | {"more": "y" * 200_000, "other": "a\0b, \n'é"} for row in make_rows()]
    table = pd.DataFrame(rows)
    if name.endswith("csv"):
        table.to_csv(tmp_path / name, index=False)
    else:
        table.to_parquet(tmp_path / name)
    found = dp.read_manifest(tmp_path / name)
    assert (
        found.astype(object).map(str).to_dict()
        == table.map(str).replace("true", "True").astype(object).to_dict()
    )
