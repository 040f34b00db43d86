"""dicom-select: what it prints and writes, and how it ends."""

import csv

import pytest

from dicom_preprocessing import select_files
from dicom_preprocessing.cli.select import main
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.selection import selection_of
from tests.unit.indexes import update
from tests.unit.processing.test_volume import Series

CT = "1.2.840.10008.5.1.4.1.1.2"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture
def archive(tmp_path, write_dicom):
    source = tmp_path / "source"
    axial = {"Modality": "CT", "SOPClassUID": CT, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}
    write_dicom(source / "a.dcm", SOPInstanceUID="1.2.1", **axial)
    scout = axial | {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    write_dicom(source / "b.dcm", SOPInstanceUID="1.2.2", **scout)
    write_dicom(source / "c.dcm", SOPInstanceUID="1.2.3", Modality="US")
    write_dicom(source / "d.dcm", SOPInstanceUID="1.2.4", Modality="SEG", SOPClassUID=SEGMENTATION)
    (source / "notes.txt").write_text("notes")
    return source


def test_counts_are_printed_by_modality_class_and_rule(archive, capsys):
    assert main([str(archive), "--preset", "ct"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "5 files: 1 kept, 4 not",
        "Kept, by modality and SOP class:",
        "         1  CT  CT Image Storage",
        "Not selected, by rule:",
    ]
    assert "         1  preset ct: include Modality=CT" in lines
    assert "         1  objects: segmentation" in lines
    assert lines[-2:] == [
        "Not images, or not usable (docs/failures.md):",
        "         1  not_dicom",
    ]


def test_one_file_is_no_files(archive, capsys):
    assert main([str(archive / "a.dcm")]) == 0
    assert capsys.readouterr().out.startswith("1 file: 1 kept, 0 not\n")


def test_rules_may_be_given_several_times(archive, capsys):
    rules = [
        "--include",
        "Modality=CT,US",
        "--include",
        "Modality=SEG",
        "--exclude",
        "ImageType=~^LOC",
    ]
    assert main([str(archive), "--objects", "all", *rules]) == 0
    assert capsys.readouterr().out.startswith("5 files: 3 kept, 2 not\n")


def test_table_has_a_row_per_file(archive, tmp_path, capsys):
    assert main([str(archive), "--exclude", "Modality=US", "--table", str(tmp_path / "t.csv")]) == 0
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = {row["source_path"].rpartition("/")[2]: row for row in csv.DictReader(file)}
    assert {name: row["state"] for name, row in rows.items()} == {
        "a.dcm": "kept",
        "b.dcm": "kept",
        "c.dcm": "skipped",
        "d.dcm": "skipped",
        "notes.txt": "skipped",
    }
    assert rows["c.dcm"]["message"] == "exclude Modality=US"
    assert rows["a.dcm"]["sop_class"] == "CT Image Storage"
    assert capsys.readouterr().out.endswith(f"File by file: {tmp_path / 't.csv'}\n")


def test_data_frame_is_the_same_table(archive, tmp_path):
    main([str(archive), "--preset", "ct", "--table", str(tmp_path / "t.csv")])
    frame = select_files(archive, preset="ct")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == frame.fillna("").to_dict("records")


def test_keys_of_a_configuration_are_taken_and_options_override_them(archive, tmp_path, capsys):
    config = tmp_path / "my.yaml"
    config.write_text("source: /nowhere\nsize: [64, 64]\nobjects: all\npreset: ct\n")
    main([str(archive), "--configfile", str(config)])
    assert capsys.readouterr().out.startswith("5 files: 1 kept")
    main([str(archive), "--configfile", str(config), "--preset", "none"])
    assert capsys.readouterr().out.startswith("5 files: 4 kept")


def test_headers_of_results_are_not_read_again(archive, tmp_path, capsys, monkeypatch):
    update(archive, tmp_path / "results", selection=selection_of(parse_config({})[0]))
    monkeypatch.setattr("dicom_preprocessing.index.scan.read_header", None)
    results = ["--results", str(tmp_path / "results")]
    assert main([str(archive), "--include", "Modality=US", *results]) == 0
    assert capsys.readouterr().out.startswith("5 files: 1 kept")


def test_nothing_kept_is_status_1(archive):
    assert main([str(archive), "--include", "Modality=MG"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--include", "Modality"], "found Modality, allowed: KEYWORD=VALUE"),
        (
            ["--include", "Modalty=MG"],
            "Modalty, which is no DICOM keyword, did you mean Modality?",
        ),
        (["--exclude", "PatientName=~x"], "found PatientName, which may name a person"),
        (["--preset", "xray"], "found xray, allowed: one of none, mammography"),
        (["--objects", "picture"], "allowed: a list of image, segmentation"),
        (["--table", "t.txt"], "--table t.txt must end in .csv"),
        (["--configfile", "none.yaml"], "none.yaml: No such file or directory"),
    ],
)
def test_wrong_usage_is_status_2_with_a_reason(archive, capsys, words, said):
    with pytest.raises(SystemExit) as end:
        main([str(archive), *words])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_missing_source_is_status_1(tmp_path, capsys):
    assert main([str(tmp_path / "nothing")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_volumes_of_slices_are_counted_with_what_would_fail(tmp_path, capsys):
    for uid, places in (("1.2.3", (0, 1, 2)), ("1.2.4", (0, 1, 3))):
        series = Series(tmp_path / uid, uid)
        for mm in places:
            series.add(mm)
    series.add(9, ImageType=["ORIGINAL", "LOCALIZER"])
    assert main([str(tmp_path), "--series", "stack"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "7 files: 6 kept, 1 not"
    assert "         1  stack: scout" in lines
    assert lines[lines.index("Volumes of 6 slices: 2") + 1] == "         1  would fail: gap"
    assert main([str(tmp_path), "--series", "stack", "--stack", "gap=warn"]) == 0
    assert "would fail" not in capsys.readouterr().out
    assert main([str(tmp_path)]) == 0
    assert "Volumes" not in capsys.readouterr().out


def test_slices_at_one_position_may_fail_since_pixels_decide(tmp_path, capsys):
    for uid, places in (("1.2.3", (0, 1, 1, 2)), ("1.2.4", (0, 1, 1, 2, 4))):
        series = Series(tmp_path / uid, uid)
        for mm in places:
            series.add(mm)
    assert main([str(tmp_path), "--series", "stack"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "Volumes of 9 slices: 2",
        "         1  may fail: duplicate_position, unless the pixels there are the same",
        "         1  would fail: gap, duplicate_position",
    ]
