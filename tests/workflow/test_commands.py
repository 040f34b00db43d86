"""dicom-preprocess and dicom-manifest, called as a user calls them but in this process."""

import csv
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from dicom_preprocessing import read_failures, read_slices, read_warnings
from dicom_preprocessing.cli import manifest, preprocess
from dicom_preprocessing.cli.command import INTERRUPTED
from tests.limits import fail_on_fsync
from tests.workflow.conftest import rows, tiffs
from tests.workflow.tiny import BLANK, instance, make_source, save


@pytest.fixture
def source(tmp_path):
    return make_source(tmp_path / "source")


def call(main, *arguments):
    """Exit status, whether returned or raised by argparse."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as error:
        return error.code


def test_folder_to_folder(source, tmp_path, capsys):
    assert call(preprocess.main, source, tmp_path / "out", "-s", "8,8", "-c", "--jobs", "1") == 0
    assert sorted(tiffs(tmp_path / "out")) == [
        f"1.2.{s}/1.2.{s}.1.{n}.tiff" for s in (1, 2, 3) for n in (1, 2)
    ]
    counts = "6 files found: 6 written, 0 skipped, 0 failed\n"
    kept = "Kept, by modality: 6 OT\nKept, by SOP class: 6 Secondary Capture Image Storage\n"
    assert capsys.readouterr().out == counts + kept
    assert not (tmp_path / "out" / "failures.csv").exists()


def test_several_processes_give_the_same_bytes_as_one(source, tmp_path):
    assert call(preprocess.main, source, tmp_path / "one", "-s", "8,8", "-j", "1") == 0
    assert call(preprocess.main, source, tmp_path / "two", "-s", "8,8", "-j", "2") == 0
    assert tiffs(tmp_path / "one") == tiffs(tmp_path / "two")
    assert len(tiffs(tmp_path / "one")) == 6


def test_same_bytes_as_the_workflow(first_run, tmp_path):
    finished, _ = first_run
    out = tmp_path / "out"
    assert call(preprocess.main, finished.source, out, "--size", "8,8", "--crop") == 0
    assert tiffs(out) == finished.images()


def test_file_to_file_needs_no_uid(tmp_path):
    bare = instance("1.2.3", 1)
    del bare.StudyInstanceUID, bare.SOPInstanceUID
    path = save(bare, tmp_path / "bare.dcm")
    assert call(preprocess.main, path, tmp_path / "image.tif", "-s", "8,8") == 0
    assert list(tiffs(tmp_path)) == []
    assert (tmp_path / "image.tif").read_bytes()[:4] == b"II*\0"


@pytest.mark.parametrize("to_file", [False, True], ids=["folder", "file"])
def test_disk_that_is_full_only_later_is_reported(source, tmp_path, capsys, monkeypatch, to_file):
    fail_on_fsync(monkeypatch, ".2.tiff")
    written = tmp_path / "out" / "1.2.3" / "1.2.3.1.2.tiff"
    ends = (source / "1.2.3" / "2.dcm", written) if to_file else (source, tmp_path / "out")
    assert call(preprocess.main, *ends, "-q") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert ".1.2.tiff" in shown.err
    assert "No space left" in shown.err


def test_file_to_file_ends_with_the_counts(source, tmp_path, capsys):
    path = save(instance("1.2.3", 1), tmp_path / "a.dcm")
    assert call(preprocess.main, path, tmp_path / "image.tiff") == 0
    assert capsys.readouterr().out == "1 file found: 1 written, 0 skipped, 0 failed\n"


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_codes_of_warnings_are_reported_once_with_their_number(tmp_path, capsys):
    source, output = tmp_path / "source", tmp_path / "out"
    for n, spelling in enumerate(("MONOCHROME2", "MONOCHROME2", "monochrome2"), 1):
        odd = instance("1.2.3", n, PixelData=BLANK, PhotometricInterpretation=spelling)
        save(odd, source / f"{n}.dcm")
    assert call(preprocess.main, source, output, "--crop") == 0
    shown = capsys.readouterr()
    first, second, last = shown.err.splitlines()
    assert first.startswith("warning: only_background, 3 images, one of them: ")
    assert second.startswith("warning: photometric_spelling: ")
    assert last == f"Warnings by image: {output}/warnings.csv"
    counts = "3 files found: 3 written (3 with warnings), 0 skipped, 0 failed\n"
    kept = "Kept, by modality: 3 OT\nKept, by SOP class: 3 Secondary Capture Image Storage\n"
    assert shown.out == counts + kept


def test_table_of_warnings_is_there_while_there_are_any(tmp_path, capsys):
    source, output = tmp_path / "source", tmp_path / "out"
    path = save(instance("1.2.3", 1, PixelData=BLANK), source / "a.dcm")
    assert call(preprocess.main, source, output, "-c") == 0
    (row,) = read_warnings(output).to_dict("records")
    assert (row["path"], row["code"]) == ("1.2.3/1.2.3.1.1.tiff", "only_background")
    assert (row["source_path"], (output / row["path"]).exists()) == (str(path), True)
    save(instance("1.2.3", 1), path)
    assert call(preprocess.main, source, output, "-c") == 0
    assert not (output / "warnings.csv").exists()


def test_table_of_slices_is_there_while_there_are_any(tmp_path, capsys):
    source, output = tmp_path / "source", tmp_path / "out"
    frames = instance("1.2.3", 1).PixelData + BLANK
    two = instance("1.2.3", 1, NumberOfFrames=2, PixelData=frames)
    path = save(two, source / "a.dcm")
    assert call(preprocess.main, source, output) == 0
    slices = read_slices(output)
    assert slices["page"].tolist() == slices["source_frame"].tolist() == [1, 2]
    assert slices["path"].unique().tolist() == ["1.2.3/1.2.3.1.1.tiff"]
    assert slices["source_path"].unique().tolist() == [str(path)]
    save(instance("1.2.3", 1), path)
    assert call(preprocess.main, source, output) == 0
    assert not (output / "slices.csv").exists()


def test_warnings_of_a_single_file_are_printed(tmp_path, capsys):
    path = save(instance("1.2.3", 1, PixelData=BLANK), tmp_path / "a.dcm")
    assert call(preprocess.main, path, tmp_path / "image.tiff", "-c") == 0
    shown = capsys.readouterr()
    assert shown.err.startswith("warning: only_background: ")
    assert shown.out == "1 file found: 1 written (1 with warnings), 0 skipped, 0 failed\n"
    assert not (tmp_path / "warnings.csv").exists()


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("name", ["failures.csv", "warnings.csv", "manifest.csv", "any.PARQUET"])
def test_study_with_the_name_of_a_table_is_refused(tmp_path, capsys, name):
    for n, study in enumerate(("1.2.3", name)):
        save(instance("1.2.3", n, StudyInstanceUID=study), tmp_path / "source" / f"{n}.dcm")
    assert call(preprocess.main, tmp_path / "source", tmp_path / "out") == 0
    (row,) = read_failures(tmp_path / "out").to_dict("records")
    assert row["error"] == "bad_uid"
    assert "ends like the name of a table (.csv, .parquet)" in row["message"]


def test_source_is_never_overwritten(tmp_path, capsys):
    path = save(instance("1.2.3", 1), tmp_path / "a.tiff")
    before = path.read_bytes()
    assert call(preprocess.main, path, path) == 2
    assert "is the SOURCE, which would be lost" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_output_in_another_format_is_wrong_usage(source, tmp_path, capsys):
    assert call(preprocess.main, source, tmp_path / "image.png") == 2
    assert "must be a folder, or end in .tif or .tiff" in capsys.readouterr().err


def test_unwritable_output_is_named_as_the_user_named_it(source, tmp_path, capsys):
    call(preprocess.main, source, tmp_path / "out")
    (tmp_path / "file").touch()
    assert call(manifest.main, tmp_path / "out", tmp_path / "file" / "manifest.csv") == 1
    assert re.search(
        r"error: .*/file: File exists\. What to do: [\w ,]+$", capsys.readouterr().err.strip()
    )


def test_file_to_file_that_fails_says_why(tmp_path, capsys):
    path = save(instance("1.2.3", 1, Rows=500), tmp_path / "short.dcm")
    assert call(preprocess.main, path, tmp_path / "image.tiff") == 1
    assert "short_pixel_data: 384 of 16000 bytes" in capsys.readouterr().err
    assert not (tmp_path / "image.tiff").exists()


def test_failed_file_is_recorded_and_the_status_is_0(source, tmp_path, capsys):
    save(instance("1.2.9", 1, Rows=500), source / "short.dcm")
    assert call(preprocess.main, source, tmp_path / "out") == 0
    (row,) = rows(tmp_path / "out" / "failures.csv")
    assert (row["source_path"], row["error"]) == (str(source / "short.dcm"), "short_pixel_data")
    assert "7 files found: 6 written, 0 skipped, 1 failed" in capsys.readouterr().out


def test_strict_turns_a_failed_file_into_status_1(source, tmp_path, capsys):
    save(instance("1.2.9", 1, Rows=500), source / "short.dcm")
    assert call(preprocess.main, source, tmp_path / "out", "--strict") == 1
    assert "strict: 1 file failed" in capsys.readouterr().err


def test_failures_of_an_earlier_run_do_not_stay(source, tmp_path):
    bad = save(instance("1.2.9", 1, Rows=500), source / "short.dcm")
    call(preprocess.main, source, tmp_path / "out")
    bad.unlink()
    call(preprocess.main, source, tmp_path / "out")
    assert not (tmp_path / "out" / "failures.csv").exists()


def test_nothing_written_is_status_1(tmp_path, capsys):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "notes.txt").write_text("no image")
    assert call(preprocess.main, tmp_path / "source", tmp_path / "out") == 1
    assert "no file was written" in capsys.readouterr().err


def test_missing_source_is_status_1(tmp_path, capsys):
    assert call(preprocess.main, tmp_path / "nothing", tmp_path / "out") == 1
    assert "no such file or folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--padding", "centre"], "argument -p/--padding: found centre, allowed: one of zero"),
        (["--size", "8"], "argument -s/--size: found 8, allowed: two integers"),
        (["--size", "8,8", "--spacing", "1,1"], "config keys 'size' and 'spacing': found both"),
        (["--series", "stacked"], "argument --series: found stacked, allowed: one of separate"),
        (["--stack", "hole=warn"], "found {hole: warn}, allowed: a mapping of scout"),
        (["--limit-seconds", "0"], "argument --limit-seconds: found '0', allowed: whole numbers"),
        (["--sise", "8,8"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_is_status_2(source, tmp_path, capsys, arguments, message):
    assert call(preprocess.main, source, tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folder_to_file_is_wrong_usage(source, tmp_path, capsys):
    assert call(preprocess.main, source, tmp_path / "out.tiff") == 2
    assert "SOURCE must be one DICOM file" in capsys.readouterr().err


def test_negative_window_center(source, tmp_path):
    assert call(preprocess.main, source, tmp_path / "out", "--window", "-600,1500") == 0
    assert len(tiffs(tmp_path / "out")) == 6


def test_retry_list_is_a_source(source, tmp_path):
    listed = tmp_path / "retry.txt"
    listed.write_text(f"# to do\n\n{source}/1.2.1/1.dcm\n")
    assert call(preprocess.main, listed, tmp_path / "out") == 0
    assert list(tiffs(tmp_path / "out")) == ["1.2.1/1.2.1.1.1.tiff"]


def test_manifest_of_a_tree_agrees_with_the_workflows_own(first_run, tmp_path, capsys):
    finished, _ = first_run
    images = finished.results / "images"
    assert call(manifest.main, images, tmp_path / "m.csv") == 0
    own = rows(finished.results / "manifest.csv")
    # The tags hold float32 scales and rational resolutions, and no modality, series or warnings.
    exact = [c for c in own[0] if not re.match("scale|spacing|modality|series|warnings", c)]
    assert [[row[c] for c in exact] for row in rows(tmp_path / "m.csv")] == [
        [row[c] for c in exact] for row in own
    ]
    assert "6 of 6 TIFFs" in capsys.readouterr().out


def test_manifest_defaults_to_the_source_and_writes_parquet(source, tmp_path):
    out = tmp_path / "out"
    call(preprocess.main, source, out)
    assert call(manifest.main, out) == 0
    assert call(manifest.main, out, tmp_path / "m.parquet") == 0
    with (out / "manifest.csv").open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert pq.read_table(tmp_path / "m.parquet").column("path").to_pylist() == paths


def test_manifest_reports_a_broken_tiff_and_lists_the_others(source, tmp_path, capsys):
    out = tmp_path / "out"
    call(preprocess.main, source, out)
    (out / "1.2.1" / "broken.tiff").write_bytes(b"II*\0nothing")
    assert call(manifest.main, out) == 1
    assert "broken.tiff: cannot be read as TIFF" in capsys.readouterr().err
    assert len(rows(out / "manifest.csv")) == 6


@pytest.mark.parametrize("arguments", [[], ["{tmp}", "{tmp}/m.txt"]])
def test_manifest_wrong_usage_is_status_2(tmp_path, arguments):
    assert call(manifest.main, *[a.format(tmp=tmp_path) for a in arguments]) == 2


def test_manifest_of_a_missing_folder_is_status_1(tmp_path, capsys):
    assert call(manifest.main, tmp_path / "nothing") == 1
    assert "is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("to_file", [False, True], ids=["folder", "file"])
def test_nothing_half_written_stays_after_a_kill_and_the_next_call(tmp_path, end, to_file):
    noise = np.random.default_rng(1).integers(0, 4096, (60, 512, 512)).astype(np.uint16)
    shape = {"NumberOfFrames": 60, "Rows": 512, "Columns": 512}
    source = save(instance("1.2.3", 1, **shape, PixelData=noise.tobytes()), tmp_path / "a.dcm")
    out = tmp_path / "out"
    code = "from dicom_preprocessing.cli import preprocess; raise SystemExit(preprocess.main())"
    target = out / "image.tiff" if to_file else out
    command = [sys.executable, "-c", code, str(source), str(target), "-q", "--compressor", "zstd"]

    def partials():
        return list(out.rglob(".*.tiff.*"))

    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not partials():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(end)
    assert process.returncode == (INTERRUPTED if end == signal.SIGTERM else -end)
    assert end == signal.SIGKILL or not partials()
    (out / ".other.tiff.1").touch()
    subprocess.run(command, check=True, capture_output=True)
    assert [path.name for path in partials()] == [".other.tiff.1"]
    assert len(tiffs(out)) == 1
