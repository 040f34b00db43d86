"""A source that was indexed, and what is parsed of it again."""

import os

import pytest

from dicom_preprocessing.index import scan
from tests.unit.indexes import update


@pytest.fixture
def parsed(monkeypatch):
    """Names of the files whose headers are parsed."""
    names = []
    really_read = scan.read_header

    def read_header(path):
        names.append(os.path.basename(path))
        return really_read(path)

    monkeypatch.setattr(scan, "read_header", read_header)
    return names


@pytest.fixture
def indexed(source, output, write_dicom, parsed):
    """A source of two studies and another file, indexed."""
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", StudyInstanceUID="1.2.4")
    (source / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    update(source, output)
    assert parsed == ["a.dcm", "b.dcm", "c.png"]
    parsed.clear()
    return source
