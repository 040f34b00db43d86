"""What tests of mapped tables share."""

import csv
import io

import pytest

from dicom_preprocessing.cli.map import main
from dicom_preprocessing.results.manifest import write_manifest
from tests.unit.mapping.tables import PLAIN, ROW


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder with results/manifest.csv, as the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    write_manifest([ROW, PLAIN], tmp_path / "results" / "manifest.csv")
    return tmp_path


@pytest.fixture
def mapped(results, capsys):
    """Run the command over a table of text; its status, rows and messages."""

    def mapped(*lines, to="output", options=()):
        (results / "boxes.csv").write_text("".join(f"{line}\n" for line in lines))
        status = main(["boxes.csv", "--to", to, *options])
        out, err = capsys.readouterr()
        return status, list(csv.DictReader(io.StringIO(out))), err

    return mapped
