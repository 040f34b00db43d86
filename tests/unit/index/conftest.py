"""A source that was indexed, and what is parsed of it again."""

import os

import pytest

from dicom_preprocessing.index import scan
from tests.unit.indexes import update


class Names:
    """Names that this process and those forked from it added, kept in a file."""

    def __init__(self, path):
        self.path = path
        self.clear()

    def append(self, name):
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")

    def clear(self):
        self.path.write_text("", encoding="utf-8")

    def __eq__(self, other):
        return self.path.read_text(encoding="utf-8").splitlines() == other

    __hash__ = None

    def __repr__(self):
        return self.path.read_text(encoding="utf-8")


@pytest.fixture
def parsed(monkeypatch, tmp_path_factory):
    """Names of the files whose headers are parsed."""
    names = Names(tmp_path_factory.mktemp("parsed") / "names")
    really_read = scan.read_header

    def read_header(path, keywords):
        names.append(os.path.basename(path))
        return really_read(path, keywords)

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
