"""dicom-validate: texts, JSON, exit status, and files that take a process along."""

import json
import os
import signal
import time

import pytest

from dicom_preprocessing import validate_dicom
from dicom_preprocessing.cli.validate import main
from dicom_preprocessing.validation import report

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def good(write_dicom, tmp_path):
    return write_dicom(tmp_path / "good.dcm")


@pytest.fixture
def bad(write_dicom, tmp_path):
    return write_dicom(tmp_path / "bad.dcm", BitsStored=9)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.dcm"
    path.write_text("a text")
    return path


def test_valid_file(good, capsys):
    assert main([str(good)]) == 0
    status, facts = capsys.readouterr().out.splitlines()
    assert status == f"{good}: pass"
    assert facts == (
        "  3 rows, 4 columns; 1 frame; MONOCHROME2; 8 of 8 bits; Explicit VR Little Endian; "
        "1 frame decoded"
    )


def test_file_with_an_error(bad, capsys):
    assert main([str(bad)]) == 1
    status, _, error = capsys.readouterr().out.splitlines()
    assert status == f"{bad}: fail"
    assert error == (
        "  error: BitsStored (0028,0101) is not from 1 to Bits Allocated, 8, found 9 "
        "[invalid_bits_stored]"
    )


def test_file_that_cannot_be_read_does_not_stop_the_others(text, good, bad, capsys):
    assert main([str(text), str(good), str(bad)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: Not a DICOM file: {text}")
    assert f"{good}: pass" in printed.out
    assert printed.out.splitlines()[-1] == "3 files: 1 pass, 1 fail, 1 error"


def test_absent_file(tmp_path, capsys):
    assert main([str(tmp_path / "absent.dcm")]) == 2
    assert capsys.readouterr().err == f"error: File not found: {tmp_path / 'absent.dcm'}\n"


def test_verbose_tells_what_is_absent(good, capsys):
    main([str(good), "--verbose"])
    assert "  info: WindowCenter" in capsys.readouterr().out


def test_json_of_one_file_is_its_report(good, capsys):
    assert main([str(good), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == validate_dicom(good)


def test_json_of_several_files_is_a_list(good, text, capsys):
    assert main([str(good), str(text), "--format", "json"]) == 2
    first, second = json.loads(capsys.readouterr().out)
    assert first == validate_dicom(good)
    assert (second["status"], second["file"]) == ("error", {"path": str(text)})
    assert second["message"].startswith("Not a DICOM file")


def test_decode_none(good, capsys):
    assert main([str(good), "--decode", "NONE", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["decode_mode"] == "none"


@pytest.mark.parametrize("arguments", [[], ["a.dcm", "--format", "xml"], ["a.dcm", "--dec"]])
def test_wrong_usage(arguments):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


def crash(*_):
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(*_):
    while True:
        time.sleep(0.01)


def bloat(*_):
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)))
        time.sleep(0.001)


def test_codec_that_crashes_is_an_error_of_its_file(good, bad, capsys, monkeypatch):
    monkeypatch.setattr(report, "validate_dicom", crash)
    assert main([str(good), str(bad), "--format", "json"]) == 1
    (crashed, other) = json.loads(capsys.readouterr().out)
    (error,) = crashed["errors"]
    assert error["code"] == "frame_decode_failed"
    assert "ended with signal SIGSEGV" in error["message"]
    assert [e["code"] for e in other["errors"]] == ["invalid_bits_stored"]


def test_header_that_crashes_is_a_file_that_cannot_be_read(good, capsys, monkeypatch):
    monkeypatch.setattr(report, "validate_dicom", crash)
    monkeypatch.setattr(report, "report_of_crash", crash)
    assert main([str(good)]) == 2
    assert f"Cannot read {good}: the process that decoded it" in capsys.readouterr().err
