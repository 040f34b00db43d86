"""The public namespace: every name is there, and importing it imports nothing heavy."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dicom_preprocessing

STUB = ast.parse(Path(dicom_preprocessing.__file__).with_suffix(".pyi").read_text())


@pytest.mark.parametrize("name", dicom_preprocessing.__all__)
def test_name_is_there(name):
    assert getattr(dicom_preprocessing, name) is not None
    assert name in dir(dicom_preprocessing)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        dicom_preprocessing.other  # noqa: B018


def test_stub_and_package_have_the_same_names():
    imports = {n.module: tuple(a.name for a in n.names) for n in ast.walk(STUB) if is_import(n)}
    imports.pop("dicom_preprocessing.version")
    assert imports == dicom_preprocessing.HOMES
    (listed,) = (ast.literal_eval(n.value) for n in STUB.body if isinstance(n, ast.Assign))
    assert set(listed) == set(dicom_preprocessing.__all__)


def is_import(node):
    return isinstance(node, ast.ImportFrom)


def test_type_checkers_see_the_signatures(tmp_path):
    code = tmp_path / "user.py"
    code.write_text("import dicom_preprocessing as dp\nreveal_type(dp.get_frame_count)\ndp.other\n")
    words = [sys.executable, "-m", "mypy", "--no-incremental", "--follow-imports=silent", str(code)]
    source = str(Path(dicom_preprocessing.__file__).parents[1])
    told = subprocess.run(
        words,
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": source},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert 'Revealed type is "def (path: ' in told
    assert 'Module has no attribute "other"' in told


def test_import_is_light():
    code = "import sys, dicom_preprocessing; print({'numpy', 'pydicom'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
