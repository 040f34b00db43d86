"""The public namespace: every name is there, and importing it imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dicom_preprocessing

TREE = ast.parse(Path(dicom_preprocessing.__file__).read_text())


@pytest.mark.parametrize("name", dicom_preprocessing.__all__)
def test_name_is_there(name):
    assert getattr(dicom_preprocessing, name) is not None
    assert name in dir(dicom_preprocessing)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        dicom_preprocessing.other  # noqa: B018


def test_type_checkers_and_python_see_the_same_names():
    (block,) = (node for node in TREE.body if isinstance(node, ast.If))
    seen = {n.module: tuple(a.name for a in n.names) for n in block.body}
    assert seen == dicom_preprocessing.HOMES
    named = {name for names in seen.values() for name in names}
    assert {"__version__", *named} == set(dicom_preprocessing.__all__)


def test_import_is_light():
    code = "import sys, dicom_preprocessing; print({'numpy', 'pydicom'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
