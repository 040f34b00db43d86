"""How every command ends at a signal, what its next call cleans up, and who may write beside it."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from dicom_preprocessing.cli.command import INTERRUPTED, STOPPED, command
from dicom_preprocessing.tiff import writer
from dicom_preprocessing.workflow.holder import Holder
from dicom_preprocessing.workflow.run_lock import hold_output
from tests.unit.cli.test_messages import BOXES, COMMANDS, call
from tests.unit.cli.test_start_up import SCRIPTS
from tests.unit.tools.images import save as save_tiff
from tests.workflow.tiny import instance
from tests.workflow.tiny import save as save_dicom

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="the tests fork")

STOPPED_AT_ONCE = """
import argparse, os, signal, sys, time
from {module} import {function} as main
def stop(*_):
    os.kill(os.getpid(), signal.{signal})
    time.sleep(30)
argparse.ArgumentParser.parse_args = stop
sys.exit(main())
"""

CALLS = {
    "dicom-preprocess": "dicom out -q -j 2",
    "dicom-manifest": "tree",
    "dicom-select": "dicom --table selected.csv",
    "dicom-map": "boxes.csv --to output --manifest tree -o out/mapped.csv --preview out/png",
    "tiff-stats": "tree --json stats.json -j 2",
    "tiff-resize": "tree out --size 8,8 -j 2",
    "tiff-combine": "tree out --table order.csv",
    "tiff-benchmark": "tree out --repeat 1 --limit 1",
}
"""Calls of the commands that write files."""

WRITE_NOTHING = {"dicom-validate"}
WRITE_FOLDERS = ("dicom-preprocess", "tiff-resize", "tiff-combine", "tiff-benchmark")


def test_every_command_is_tested():
    assert set(SCRIPTS) == set(COMMANDS) == {*CALLS, *WRITE_NOTHING}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("command", SCRIPTS)
def test_command_ends_at_a_signal_with_one_line(command, name):
    module, function = SCRIPTS[command].split(":")
    code = STOPPED_AT_ONCE.format(module=module, function=function, signal=name)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
        # pytest may have been started in the background, which ignores SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", f"{STOPPED}\n")


def test_second_signal_does_not_disturb_the_cleaning(capsys):
    @command()
    def clean_up():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            sys.stdout.write("clean")

    before = signal.getsignal(signal.SIGTERM)
    assert clean_up() == INTERRUPTED
    assert capsys.readouterr() == ("clean", f"{STOPPED}\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_signal_that_is_ignored_stays_so(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    @command()
    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        return 0

    try:
        assert interrupt() == 0
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of sources, in which the commands are called."""
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        save_tiff(tmp_path / "tree" / f"{number}.tiff", pages=1)
        save_dicom(instance("1.2.3", number), tmp_path / "dicom" / f"{number}.dcm")
    order = "path,position,series_instance_uid\n1.tiff,1,1.2.3\n2.tiff,2,1.2.3\n"
    (tmp_path / "order.csv").write_text(order)
    (tmp_path / "boxes.csv").write_text(BOXES.replace("a.tiff", "1.tiff"))
    return tmp_path


@contextmanager
def in_a_fork(function, *arguments):
    """Call a function in another process, which is waited for at the end."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = function(*arguments)
        finally:
            os._exit(status)
    try:
        yield child
    finally:
        os.waitpid(child, 0)


def call_and_signal(command, number, moment, capsys):
    """Call a command that gets a signal when a file is about to be whole for the so-many-th time.

    Returns its status, negative for a signal, and what is printed.
    """
    main, count = os.getpid(), [0]

    def strike_before(function):
        def struck(*arguments):
            count[0] += 1
            if count[0] == moment:
                os.kill(main, number)
                if os.getpid() != main:
                    signal.pause()
            return function(*arguments)

        return struck

    reader, pipe = os.pipe()
    child = os.fork()
    if child == 0:
        main = os.getpid()
        os.fsync = strike_before(os.fsync)  # tables
        writer._require_complete = strike_before(writer._require_complete)  # images
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status, shown = call(command, CALLS[command], capsys)
        os.write(pipe, shown.encode())
        os._exit(status)
    os.close(pipe)
    with open(reader) as told:
        _, ended = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(ended), told.read()


def hidden(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("command", CALLS)
def test_nothing_half_written_stays(folder, capsys, command, number):
    ends = []
    for moment in (1, 2, 3):
        status, shown = call_and_signal(command, number, moment, capsys)
        ends.append(status)
        if number != signal.SIGKILL:
            assert hidden(folder) == []
        if status == INTERRUPTED:
            assert shown.splitlines()[-1] == STOPPED
            assert "Traceback" not in shown
        assert call(command, CALLS[command], capsys)[0] == 0
        assert hidden(folder) == []
    ended = -number if number == signal.SIGKILL else INTERRUPTED
    assert ends[0] == ended
    assert set(ends) <= {0, ended}


def hold(folder, ready, done):
    hold_output(folder, Holder(task="a run", output=str(folder), folder=str(folder)))
    os.close(ready)
    os.read(done, 1)
    return 0


@pytest.mark.parametrize("command", WRITE_FOLDERS)
def test_folder_that_another_holds_is_refused(folder, capsys, command):
    (folder / "out").mkdir()
    (is_ready, ready), (done, end) = os.pipe(), os.pipe()
    with in_a_fork(hold, folder / "out", ready, done):
        os.close(ready)
        os.read(is_ready, 1)
        status, shown = call(command, CALLS[command], capsys)
        assert [path.name for path in (folder / "out").iterdir()] == [".runs"]
        os.write(end, b"1")
    assert status == 1
    assert "error: output out: a run (" in shown
    assert "is running there. Wait until it ends" in shown
    assert call(command, CALLS[command], capsys)[0] == 0


def test_folder_in_which_nothing_was_written_is_removed(folder, capsys):
    for path in (folder / "tree").iterdir():
        path.write_text("no TIFF")
    assert call("tiff-benchmark", "tree new/out", capsys)[0] == 1
    assert not (folder / "new").exists()
