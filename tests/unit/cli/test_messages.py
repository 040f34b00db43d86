"""What each command prints of a mistake, and the exit status, which --help promises."""

import argparse
import errno
import importlib
import os
import re
import subprocess
import sys

import pytest

from tests.unit.tools.images import save as save_tiff
from tests.workflow.tiny import instance
from tests.workflow.tiny import save as save_dicom

COMMANDS = {
    "dicom-preprocess": "preprocess",
    "dicom-manifest": "manifest",
    "dicom-select": "select",
    "dicom-validate": "validate",
    "dicom-map": "map",
    "tiff-stats": "tiff_stats",
    "tiff-resize": "tiff_resize",
    "tiff-combine": "tiff_combine",
    "tiff-benchmark": "tiff_benchmark",
}
BOXES = "path,left,top,right,bottom\na.tiff,1,2,3,4\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with good, bad and odd files, in which the commands are called."""
    monkeypatch.chdir(tmp_path)
    save_dicom(instance("1.2.3", 1), tmp_path / "a.dcm")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:-9])
    save_tiff(tmp_path / "tree" / "a.tiff")
    save_tiff(tmp_path / "damaged" / "a.tiff")
    (tmp_path / "damaged" / "b.tiff").write_text("no TIFF")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\0")
    (tmp_path / "binary.parquet").write_bytes(b"\xff\xfe\0")
    (tmp_path / "header.csv").write_text("path,left\n")
    (tmp_path / "boxes.csv").write_text(BOXES)
    (tmp_path / "unknown.csv").write_text(BOXES.replace("a.tiff", "other.tiff"))
    (tmp_path / "results" / "index").mkdir(parents=True)
    (tmp_path / "results" / "index" / "index.tsv").touch()
    (tmp_path / "notes.dcm").write_text("some notes\n")
    (tmp_path / "notes.txt").write_text("some notes\n")
    return tmp_path


def call(command, arguments, capsys):
    """Exit status, and all that is printed."""
    main = importlib.import_module(f"dicom_preprocessing.cli.{COMMANDS[command]}").main
    try:
        status = main(arguments.split())
    except SystemExit as error:
        status = error.code
    shown = capsys.readouterr()
    return status, shown.out + shown.err


NO_FOLDER = "Not a directory. What to do: use another path, since a part of this one is a file"
NOT_A_NUMBER = "found 'x', allowed: whole numbers of at least 1"
NO_TREE = "is neither a folder nor a manifest (.csv or .parquet)"
MISTAKES = {
    "dicom-preprocess": {
        "none out": (1, "error: source none: no such file or folder"),
        "empty out": (1, "error: source empty: contains no files"),
        "notes.dcm out": (1, "error: source notes.dcm: text, not DICOM"),
        "notes.txt out": (1, "error: source notes.txt: a text file, taken for a list"),
        "binary.csv out.tiff": (1, "error: binary.csv: not_dicom: starts with neither"),
        "cut.dcm out": (1, "error: no file was written; see out/failures.csv"),
        "cut.dcm out.tiff": (1, "error: cut.dcm: short_pixel_data: "),
        "a.dcm a.dcm": (2, "error: OUTPUT a.dcm exists and is not a folder"),
        "a.dcm a.dcm/out": (1, f"error: a.dcm/out: {NO_FOLDER}"),
        "a.dcm a.dcm/out.tiff": (1, "error: a.dcm: File exists. What to do: remove or rename"),
        "a.dcm out.png": (2, "error: OUTPUT out.png must be a folder, or end in .tif or .tiff"),
        "tree out.tiff": (2, "OUTPUT out.tiff is a file, so SOURCE must be one DICOM file"),
        f"a.dcm {'x' * 300}": (1, "File name too long. What to do: use a shorter path"),
        "a.dcm out -s 0,0": (2, "found 0,0, allowed: two integers of at least 1, width and"),
        "a.dcm out --filter x": (2, "found x, allowed: one of triangle, nearest,"),
        "a.dcm out --jobs x": (2, f"argument -j/--jobs: {NOT_A_NUMBER}"),
        "a.dcm out --limit-seconds x": (2, f"argument --limit-seconds: {NOT_A_NUMBER}"),
        "a.dcm out --unknown": (2, "unrecognized arguments: --unknown"),
        "a.dcm": (2, "the following arguments are required: OUTPUT"),
    },
    "dicom-manifest": {
        "none": (1, "error: none is not a folder"),
        "a.dcm": (1, "error: a.dcm is not a folder"),
        "empty": (1, "error: empty contains no TIFFs"),
        "damaged": (1, "error: damaged/b.tiff: cannot be read as TIFF: "),
        "tree out.txt": (2, "error: OUTPUT out.txt must end in .csv or .parquet"),
        "tree empty": (2, "error: OUTPUT empty must end in .csv or .parquet"),
        "tree a.dcm/out.csv": (1, "error: a.dcm: File exists. What to do: remove or rename"),
        f"tree {'x' * 300}.csv": (1, "File name too long. What to do: use a shorter path"),
        "results": (2, "error: SOURCE results is a folder of the workflow, which writes its"),
        "tree out.csv more": (2, "unrecognized arguments: more"),
        "": (2, "the following arguments are required: SOURCE"),
    },
    "dicom-validate": {
        "none": (2, "error: File not found: none"),
        "a.dcm none": (2, "error: File not found: none"),
        "empty": (2, "error: Cannot read empty: Is a directory"),
        "empty.csv": (2, "error: Not a DICOM file: empty.csv: "),
        "binary.csv": (2, "error: Not a DICOM file: binary.csv: starts with neither"),
        "notes.txt": (2, "error: Not a DICOM file: notes.txt: starts with neither"),
        "a.dcm/b": (2, "error: File not found: a.dcm/b"),
        "cut.dcm": (1, "error: PixelData (7FE0,0010) has "),
        "a.dcm --format xml": (2, "invalid choice: 'xml' (choose from"),
        "a.dcm --decode all": (2, "invalid choice: 'all' (choose from"),
        "": (2, "the following arguments are required: FILE"),
    },
    "dicom-map": {
        "none.csv --to output": (1, "error: none.csv: cannot be read: No such file or directory"),
        "boxes.csv --to output": (1, "results/manifest.csv: cannot be read: No such file"),
        "boxes.csv --to x": (2, "invalid choice: 'x' (choose from"),
        "boxes.csv": (2, "the following arguments are required: --to"),
        "a.dcm --to output": (2, "error: BOXES a.dcm must end in .csv or .parquet"),
        "boxes.csv --to output --manifest none": (2, "error: MANIFEST none must be a folder, or"),
        "empty.csv --to output --manifest tree": (1, "the first line has no names of columns"),
        "binary.csv --to output --manifest tree": (1, "it is not text in UTF-8"),
        "binary.parquet --to output --manifest tree": (
            1,
            "error: binary.parquet: cannot be read: ",
        ),
        "header.csv --to output --manifest tree": (1, "x, y, width, height; found: path, left"),
        "unknown.csv --to output --manifest tree": (1, "1 row could not be mapped: see the column"),
        "boxes.csv --to output --manifest boxes.csv": (1, "boxes.csv is not a manifest: it has no"),
        "boxes.csv --to output --manifest tree -o out.txt": (2, "OUTPUT out.txt must end in .csv"),
        "boxes.csv --to output --manifest tree -o a.dcm/b.csv": (1, "error: a.dcm: File exists."),
        "boxes.csv --to output --manifest tree --preview a.dcm": (1, "error: a.dcm: File exists."),
        "boxes.csv --to output --manifest tree --preview out --images none": (
            1,
            "error: none/a.tiff: cannot be read as TIFF: No such file or directory. What to do: ",
        ),
    },
    "tiff-stats": {
        "none": (1, "error: none does not exist"),
        "a.dcm": (1, f"error: a.dcm {NO_TREE}"),
        "empty": (1, "error: empty contains no TIFFs"),
        "empty.csv": (1, "error: empty.csv: cannot be read: the first line has no names of"),
        "binary.csv": (1, "error: binary.csv: cannot be read: it is not text in UTF-8"),
        "header.csv": (1, "error: header.csv is a manifest without rows"),
        "none.tiff": (
            1,
            "error: none.tiff: cannot be read as TIFF: No such file or directory. What to",
        ),
        "damaged": (1, "error: damaged/b.tiff: cannot be read as TIFF: "),
        "tree --json empty": (1, "error: empty: Is a directory. What to do: name a file instead"),
        "tree --json a.dcm/b": (1, f"error: a.dcm/b: {NO_FOLDER}"),
        "tree --bins x": (2, f"argument --bins: {NOT_A_NUMBER}"),
        "tree -j 0": (2, "found '0', allowed: whole numbers of at least 1"),
    },
    "tiff-resize": {
        "none out --size 8,8": (1, "error: none does not exist"),
        "a.dcm out --size 8,8": (1, f"error: a.dcm {NO_TREE}"),
        "empty out --size 8,8": (1, "error: empty contains no TIFFs"),
        "damaged out --size 8,8": (1, "error: damaged/b.tiff: cannot be read as TIFF: "),
        "tree tree/out --size 8,8": (1, "OUTPUT tree/out and SOURCE tree must not contain one"),
        "tree a.dcm --size 8,8": (1, f"error: a.dcm: {NO_FOLDER}"),
        "tree a.dcm/out --size 8,8": (1, f"error: a.dcm/out: {NO_FOLDER}"),
        "tree out": (2, "one of the arguments -s/--size --scale is required"),
        "tree out --size 8": (2, "found '8', allowed: width and height of at least 1, such as"),
        "tree out --size 0,8": (2, "found '0,8', allowed: width and height of at least 1, such as"),
        "tree out --scale x": (2, "argument --scale: found 'x', allowed: numbers above 0"),
        "tree out --scale inf": (2, "argument --scale: found 'inf', allowed: numbers above 0"),
        "tree out --size 8,8 --filter x": (2, "invalid choice: 'x' (choose from"),
    },
    "tiff-combine": {
        "none out --source a.dcm": (1, "error: none does not exist"),
        "tree out --source none": (1, "error: source none: no such file or folder"),
        "tree out --source empty": (1, "error: source empty: contains no files"),
        "tree out --table none.csv": (1, "error: none.csv: cannot be read: No such file or"),
        "tree out --table empty.csv": (1, "error: empty.csv: cannot be read: the first line has"),
        "tree out --table binary.csv": (1, "error: binary.csv: cannot be read: it is not text"),
        "tree out --table notes.txt": (1, "error: notes.txt: a table must end in .csv or .parquet"),
        "tree out --table boxes.csv": (1, "to order by; found: path, left, top, right, bottom"),
        "tree out --table boxes.csv --order x": (1, "and x to order by; found: path, left, top,"),
        "tree tree --source a.dcm": (1, "OUTPUT tree and SOURCE tree must not contain one another"),
        "tree out": (1, "error: a.tiff: found no Series Instance UID in table, manifest or folder"),
        "tree out --order x": (2, "error: --order is a column of the --table, and there is none"),
        "tree out --stack gap": (2, "argument --stack: found gap, allowed: REASON=POLICY"),
        "tree out --source a.dcm -z x": (2, "invalid choice: 'x' (choose from"),
    },
    "tiff-benchmark": {
        "none out": (1, "error: none does not exist"),
        "a.dcm out": (1, f"error: a.dcm {NO_TREE}"),
        "empty out": (1, "error: empty contains no TIFFs"),
        "empty.csv out": (1, "error: empty.csv: cannot be read: the first line has no names of"),
        "binary.csv out": (1, "error: binary.csv: cannot be read: it is not text in UTF-8"),
        "tree a.dcm": (1, f"error: a.dcm: {NO_FOLDER}"),
        "tree a.dcm/out": (1, f"error: a.dcm/out: {NO_FOLDER}"),
        "tree": (2, "the following arguments are required: OUTPUT"),
        "tree out --limit 0": (2, "found '0', allowed: whole numbers of at least 1"),
        "tree out --repeat x": (2, f"argument --repeat: {NOT_A_NUMBER}"),
        "tree out --record-size -1": (2, "found '-1', allowed: whole numbers of at least 1"),
    },
}


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(command, arguments) for command in MISTAKES for arguments in MISTAKES[command]],
)
def test_mistake_is_reported_with_what_was_found_and_what_to_do(folder, capsys, command, arguments):
    status, shown = call(command, arguments, capsys)
    expected, message = MISTAKES[command][arguments]
    assert message in shown
    assert (status, "Traceback" in shown) == (expected, False)


RIGHT = {
    "dicom-preprocess": "a.dcm out",
    "dicom-manifest": "tree",
    "dicom-select": "a.dcm",
    "dicom-validate": "a.dcm",
    "dicom-map": "boxes.csv --to output --manifest tree",
    "tiff-stats": "tree",
    "tiff-resize": "tree out --size 8,8",
    "tiff-combine": "tree out --table order.csv",
    "tiff-benchmark": "tree out --repeat 1 --limit 1",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_right_call_has_status_0(folder, capsys, command):
    save_tiff(folder / "tree" / "a.tiff", pages=1)
    (folder / "order.csv").write_text("path,position,series_instance_uid\na.tiff,1,1.2.3\n")
    assert call(command, RIGHT[command], capsys)[0] == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_each_exit_status(folder, capsys, command):
    status, shown = call(command, "--help", capsys)
    assert status == 0
    promised = re.search(r"Exit status: 0 (.+); 1 (.+); 2 (.+)\.", " ".join(shown.split()))
    assert promised is not None, shown


CALLED = """
import importlib, sys
sys.exit(importlib.import_module(f"dicom_preprocessing.cli.{sys.argv[1]}").main(sys.argv[2:]))
"""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("command", ["dicom-validate", "dicom-map", "tiff-stats", "tiff-benchmark"])
def test_standard_output_that_is_full_is_reported(folder, command):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", CALLED, COMMANDS[command], *RIGHT[command].split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    *_, last = done.stderr.splitlines()
    assert last.startswith("error: standard output: No space left on device. What to do: ")
    assert (done.returncode, "Traceback" in done.stderr) == (
        2 if command == "dicom-validate" else 1,
        False,
    )


@pytest.mark.parametrize("command", ["dicom-validate", "dicom-map", "tiff-stats", "tiff-benchmark"])
def test_a_pipe_whose_reader_has_ended_is_no_error(folder, command):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", CALLED, COMMANDS[command], *RIGHT[command].split()],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, "rror" in done.stderr) == (141, False)


# What --help of dicom-preprocess promises


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("both out", 0),
        ("both out --strict", 1),
        ("bad out", 1),
        ("bad out.tiff", 2),
        ("list.txt out", 0),
        ("list.txt out --strict", 1),
    ],
)
def test_status_is_0_if_something_was_written_and_1_with_strict_if_a_file_failed(
    folder, capsys, arguments, status
):
    for name in ("both", "bad"):
        (folder / name).mkdir()
        (folder / name / "cut.dcm").write_bytes((folder / "cut.dcm").read_bytes())
    save_dicom(instance("1.2.3", 2), folder / "both" / "b.dcm")
    (folder / "list.txt").write_text("a.dcm\nbinary.csv\n")
    assert call("dicom-preprocess", arguments, capsys)[0] == status


@pytest.mark.parametrize("command", COMMANDS)
def test_error_of_the_system_is_explained_wherever_it_comes(command, capsys, monkeypatch):
    def fail(*_arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a/file")

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", fail)
    status, shown = call(command, "", capsys)
    assert status == (2 if command == "dicom-validate" else 1)
    assert shown.startswith("error: a/file: Permission denied. What to do: ")
    assert shown.count("\n") == 1
