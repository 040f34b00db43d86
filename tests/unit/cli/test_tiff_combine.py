"""tiff-combine: the tables that it writes, and what it needs."""

import csv

import pytest

from dicom_preprocessing.cli.manifest import main as write_manifest
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


def test_images_know_their_positions(tree, capsys):
    assert run(tree) == 1
    assert "found no Series Instance UID in table, manifest or folder" in capsys.readouterr().err
    write_manifest([str(tree)])
    table = (tree / "manifest.csv").read_text()
    (tree / "manifest.csv").write_text(table.replace(",,,uint8", ",1.2.3.1,CT,uint8"))
    assert run(tree) == 0
    slices = rows(tree.parent / "volumes" / "slices.csv")
    assert [s["position_mm"] for s in slices] == ["-2.0", "0.5", "3.0", "5.5"]
    (row,) = rows(tree.parent / "volumes" / "manifest.csv")
    assert (row["modality"], row["position_z"], row["spacing_z"]) == ("CT", "-2.0", "2.5")


def test_a_table_and_the_dicom_files_are_too_much(tree):
    with pytest.raises(SystemExit) as ended:
        run(tree, "--source", str(tree), "--table", "t.csv")
    assert ended.value.code == 2
