"""Only the folder dicom/ sees data sets of pydicom; everything behind it goes by descriptions."""

import ast
from pathlib import Path

import pytest

import dicom_preprocessing

SRC = Path(dicom_preprocessing.__file__).parent
MODULES = sorted(path.relative_to(SRC).as_posix() for path in SRC.rglob("*.py"))

DATA_SETS = (
    "pydicom.DataElement",
    "pydicom.Dataset",
    "pydicom.FileDataset",
    "pydicom.Sequence",
    "pydicom.dataelem",
    "pydicom.dataset",
    "pydicom.dcmread",
    "pydicom.dicomdir",
    "pydicom.filereader",
    "pydicom.fileset",
    "pydicom.multival",
    "pydicom.sequence",
)
"""What reads files, and what they are read to."""

CODECS = "decode/codecs"
OF_CODECS = ("pydicom.pixels.decoders", "pydicom.uid")
EXCEPT = ("dicom/", "workflow/warm_up.py")
"""The second makes a file to warm up with."""


def names_of_pydicom(source):
    """Everything of pydicom that is imported or reached through it, also for type checkers only."""
    names, roots = set(), {"pydicom": "pydicom"}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            roots |= {a.asname: a.name for a in node.names if a.asname}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        dotted = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        root, *rest = dotted.split(".")
        if root in roots and all(part.isidentifier() for part in rest):
            names.add(".".join([roots[root], *rest]))
    return {name for name in names if name.split(".")[0] == "pydicom"}


def of_data_sets(source):
    return sorted(name for name in names_of_pydicom(source) if is_within(name, DATA_SETS))


def is_within(name, modules):
    return any(name == module or name.startswith(f"{module}.") for module in modules)


@pytest.mark.parametrize("module", [m for m in MODULES if not m.startswith(EXCEPT)])
def test_module_sees_no_data_set(module):
    assert of_data_sets((SRC / module).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith(CODECS)])
def test_codecs_see_decoders_and_uids_only(module):
    names = names_of_pydicom((SRC / module).read_text(encoding="utf-8"))
    assert [name for name in sorted(names) if not is_within(name, OF_CODECS)] == []


def test_codecs_are_there():
    assert any(module.startswith(CODECS) for module in MODULES)


@pytest.mark.parametrize(
    "source",
    [
        "from pydicom.dataset import Dataset",
        "from pydicom import Dataset",
        "import pydicom.dataset",
        "import pydicom\npydicom.dcmread(path)",
        "import pydicom as p\np.filereader.read_partial(file)",
        "def f():\n    from pydicom.multival import MultiValue",
        "if TYPE_CHECKING:\n    from pydicom.sequence import Sequence",
        "from pydicom.filereader import dcmread as read",
    ],
)
def test_data_sets_are_seen_however_they_are_imported(source):
    assert len(of_data_sets(source)) >= 1


@pytest.mark.parametrize(
    "source",
    [
        "import pydicom\nVERSION = pydicom.__version__",
        "from pydicom.uid import UID",
        "from dicom_preprocessing.dicom.data_set import describe",
        "from .pydicom import Dataset",
        "text = 'from pydicom.dataset import Dataset'",
    ],
)
def test_anything_else_is_not_seen(source):
    assert of_data_sets(source) == []
