"""tiff-combine: the tables that it writes, and what it needs."""

import csv

import pytest

from tests.limits import fail_on_fsync
from tests.unit.tools.series import run


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_of_volumes_and_slices(tree):
    run(tree, "--source", str(tree.parent / "dicom"))
    (row,) = rows(tree.parent / "volumes" / "manifest.csv")
    assert row["series_instance_uid"] == "1.2.3.1"
    assert row["sop_instance_uid"] == "1.2.3.1.8"
    assert row["path"] == "1.2.3/1.2.3.1.tiff"
    slices = rows(tree.parent / "volumes" / "slices.csv")
    assert [s["sop_instance_uid"][-1] for s in slices] == ["8", "7", "6", "5"]
    assert slices[1] == {
        "path": "1.2.3/1.2.3.1.tiff",
        "page": "2",
        "sop_instance_uid": "1.2.3.1.7",
        "source_path": "1.2.3/1.2.3.1.7.tiff",
        "source_frame": "1",
        "position_mm": "0.5",
        "x": "0.0",
        "y": "0.0",
        "z": "0.5",
    }


def test_disk_that_is_full_only_later_is_reported(tree, capsys, monkeypatch):
    capsys.readouterr()
    fail_on_fsync(monkeypatch, "/1.2.3.1.tiff")
    assert run(tree, "--source", str(tree.parent / "dicom")) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{tree.parent / 'volumes' / '1.2.3' / '1.2.3.1.tiff'}" in shown.err
    assert "No space left" in shown.err
    assert not (tree.parent / "volumes" / "manifest.csv").exists()


def test_order_must_come_from_somewhere(tree, capsys):
    with pytest.raises(SystemExit) as ended:
        run(tree)
    assert ended.value.code == 2
