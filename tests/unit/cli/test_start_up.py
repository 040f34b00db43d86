"""What a command imports before it does anything: little, so that it answers at once."""

import importlib
import json
import subprocess
import sys
import tomllib

import pytest

from tests.conftest import CHECKOUT

SCRIPTS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["scripts"]
SMALL_FILE = CHECKOUT / "tests/data/corpus/pydicom-data/liver_rle.dcm"

LIBRARIES = ("imagecodecs", "numpy", "pandas", "pyarrow", "pydicom", "scipy", "tifffile", "tqdm")
SLOW = (*LIBRARIES, "concurrent.futures", "importlib.metadata", "jsonschema", "logging", "yaml")
SLOW_HELP = (*SLOW, "multiprocessing", "tempfile", "uuid")

REPORT = """
import json, sys
from {module} import {function} as main
loaded = None
try:
    main(sys.argv[1:])
except SystemExit:
    pass
finally:
    print("\\n" + json.dumps(sorted(sys.modules)))
"""


def modules_after(command, *arguments):
    """Modules that are loaded when a command ends."""
    module, function = SCRIPTS[command].split(":")
    code = REPORT.format(module=module, function=function)
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("argument", ["--help", "--version", "--no-such-option"])
@pytest.mark.parametrize("command", SCRIPTS)
def test_command_that_only_answers_imports_nothing_slow(command, argument):
    assert modules_after(command, argument) & set(SLOW_HELP) == set()


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("dicom-preprocess", ["", "out"]),
        ("dicom-preprocess", ["in.dcm", ""]),
        ("dicom-preprocess", ["in.dcm", "out.png"]),
        ("dicom-manifest", ["in", "out.txt"]),
        ("dicom-map", ["in.txt", "--to", "output"]),
        ("tiff-resize", ["in", "out"]),
        ("tiff-combine", ["in", "out", "--order", "x"]),
        ("tiff-stats", ["in", "--bins", "0"]),
    ],
)
def test_wrong_usage_is_found_before_anything_slow_is_imported(command, arguments):
    assert modules_after(command, *arguments) & set(LIBRARIES) == set()


def test_one_small_file_imports_neither_scipy_nor_what_only_options_need(tmp_path):
    target = tmp_path / "image.tiff"
    loaded = modules_after("dicom-preprocess", SMALL_FILE, target)
    assert target.is_file()
    unwanted = {
        "jsonschema",
        "numpy.ma",
        "pandas",
        "pyarrow",
        "scipy",
        "yaml",
    }  # pydicom imports tqdm
    assert loaded & unwanted == set()


@pytest.mark.parametrize(
    ("options", "library"),
    [
        (["--size", "8,8"], "scipy.sparse"),
        (["--spacing", "1,1"], "scipy.sparse"),
        (["--crop", "--crop-components"], "scipy.ndimage"),
    ],
)
def test_libraries_of_workers_are_imported_before_these_are_forked(tmp_path, options, library):
    loaded = modules_after("dicom-preprocess", SMALL_FILE, tmp_path / "image.tiff", *options)
    assert library in loaded


def test_names_of_modules_are_those_that_there_are():
    for name in (*SLOW_HELP, "numpy.ma"):
        if name != "pandas":
            assert importlib.import_module(name) is not None
