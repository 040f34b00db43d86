"""Imports within the package: a folder knows only those before it, and no modules form a circle."""

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import dicom_preprocessing
from tests.conftest import CHECKOUT

PACKAGE = Path(dicom_preprocessing.__file__).parent
ORDER = (
    "text",
    "errors",
    "image_warnings",
    "version",
    "html",
    "temporary_files",
    "files",
    "processes",
    "config",
    "supervision",
    "dicom",
    "imaging",
    "tiff",
    "decode",
    "index",
    "results",
    "processing",
    "workflow",
    "mapping",
    "loading",
    "validation",
    "api",
    "tools",
    "cli",
)
"""Modules and folders of the package; each may import itself and what stands before it."""

HEAVY = ["imagecodecs", "numpy", "pandas", "pyarrow", "pydicom", "pylibjpeg", "scipy", "tifffile"]
HEAVY += ["tqdm"]


def name_of(path):
    """``config.model`` of config/model.py, ``config`` of config/__init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE}
MODULES |= {p.stem: p for p in PACKAGE.glob("*.py") if p.stem != "__init__"}


def imports_of(path):
    """Modules of the package that a module imports: anywhere in it, also for type checkers only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = inner.removeprefix("dicom_preprocessing.") in MODULES
                found.add(inner if is_module else node.module)
    own = {name for name in found if name.partition(".")[0] == "dicom_preprocessing"}
    return {name.removeprefix("dicom_preprocessing.") for name in own}


IMPORTS = {name: imports_of(path) for name, path in MODULES.items()}


def test_every_folder_has_its_place():
    assert {name.partition(".")[0] for name in MODULES} == set(ORDER)


def test_every_import_is_of_a_module():
    assert set().union(*IMPORTS.values()) <= set(MODULES)


def test_folders_import_only_what_stands_before_them():
    upwards = [
        f"{name} imports {imported}"
        for name, names in sorted(IMPORTS.items())
        for imported in sorted(names)
        if ORDER.index(imported.partition(".")[0]) > ORDER.index(name.partition(".")[0])
    ]
    assert upwards == []


def test_no_modules_form_a_circle():
    circle = None
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
    assert circle is None


def test_every_folder_says_what_it_is_for():
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_imports_of_the_snakefile_are_light():
    """It is parsed in every job of a cluster, by an environment that need not have the others."""
    rules = (CHECKOUT / "workflow" / "rules" / "common.smk").read_text(encoding="utf-8")
    lines = re.findall(r"^from dicom_preprocessing[\w.]* import [^\n]*", rules, re.MULTILINE)
    assert len(lines) >= 5
    # Snakemake comes first: a plugin of an executor may import what it likes.
    code = (
        "import sys, snakemake.scheduling.job_scheduler; "
        f"sys.modules.update(dict.fromkeys({HEAVY})); {'; '.join(lines)}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
