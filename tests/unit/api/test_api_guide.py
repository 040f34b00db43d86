"""The examples of docs/api.md give what they show."""

import doctest
import re

import pytest

import dicom_preprocessing
from tests.conftest import CHECKOUT

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

GUIDE = (CHECKOUT / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLES = "\n".join(re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL))


def test_examples_give_what_they_show(monkeypatch):
    monkeypatch.chdir(CHECKOUT)
    session = doctest.DocTestParser().get_doctest(EXAMPLES, {}, "api.md", None, None)
    report = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session, out=report.append)
    assert results.attempted > 20
    assert not results.failed, "".join(report)


@pytest.mark.parametrize("name", dicom_preprocessing.HOMES["dicom_preprocessing.api.preprocessor"])
def test_settings_are_explained(name):
    fields = getattr(dicom_preprocessing, name).__dataclass_fields__.keys() - {"kind"}
    assert {field for field in fields if field not in GUIDE} == set()
