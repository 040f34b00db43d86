"""The bytes of outputs do not change unless it is meant: then stage versions are bumped, too."""

import json

import pytest

from tests.unit.outputs import SETTINGS, TABLE, all_outputs

# Real files break the standard in many ways, of which pydicom warns.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize("name", SETTINGS)
def test_every_bundled_file_becomes_the_same_bytes(name, tmp_path):
    expected = json.loads(TABLE.read_text())[name]
    found = all_outputs(name, tmp_path)
    assert found == expected
