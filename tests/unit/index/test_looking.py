"""Questions to file systems that do not answer, answer slowly, or kill who asks."""

import errno
import os
import time
from functools import partial

import pytest

from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.index import folders, scan
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.looking import ask_once
from dicom_preprocessing.index.walk import find_files

SECONDS = 0.3
LONG = 60


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    for name in ("a/1.dcm", "b/2.dcm", "c/3.dcm", "c/d/4.dcm"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0content")
    return folder


@pytest.fixture
def hang(monkeypatch):
    """Let the listing of folders, or the state of paths, take for ever."""
    calls = {"scandir": os.scandir, "stat": os.stat}

    def replace(call, *paths, seconds=LONG):
        def wait(path, *arguments, **options):
            if os.fspath(path) in map(os.fspath, paths):
                time.sleep(seconds)
            return calls[call](path, *arguments, **options)

        monkeypatch.setattr(os, call, wait)

    return replace


def find(*sources):
    """Paths that are found, relative to the first source, and their problems up to a comma."""
    found = find_files([*map(str, sources)], seconds=SECONDS)
    return {os.path.relpath(f.path, sources[0]): f.problem.partition(",")[0] for f in found}


SILENT = f"no answer of the file system for {SECONDS} seconds"
NOT_ASKED = "left out with what is below it"


def test_folder_without_an_answer_is_left_out_and_others_are_not(source, hang):
    hang("scandir", source / "c")
    assert find(source) == {"a/1.dcm": "", "b/2.dcm": "", "c": SILENT}


def test_folder_without_an_answer_may_hide_files_and_says_what_to_do(source, hang):
    hang("scandir", source / "c")
    problem = next(f for f in find_files([str(source)], seconds=SECONDS) if f.problem)
    assert problem.is_folder
    assert not problem.is_missing
    assert problem.problem.endswith("and run again; if it is only slow, raise limits.seconds")


def test_source_of_which_nothing_answers_is_refused(source, hang):
    hang("scandir", source)
    with pytest.raises(SourceError, match=r"source: cannot be read: no answer of the file system"):
        find_files([str(source)], seconds=SECONDS)


def test_entry_without_an_answer_is_left_out_and_others_are_not(source, hang):
    hang("stat", source / "b", source / "b" / "2.dcm")
    listing = source.parent / "list.txt"
    listing.write_text("source/a\nsource/b\nsource/b/2.dcm\nsource/c/3.dcm\n")
    names = find(listing)
    assert {os.path.relpath(n, "../source"): p for n, p in names.items()} == {
        "a/1.dcm": "",
        "b": SILENT,
        "b/2.dcm": SILENT,
        "c/3.dcm": "",
    }


def test_item_of_a_folder_without_an_answer_is_left_out_and_others_are_not(source, monkeypatch):
    really_look = folders._look_into

    def look_into(folder):
        for answer in really_look(folder):
            if isinstance(answer, os.stat_result) and folder == str(source):
                time.sleep(LONG)
            yield answer

    monkeypatch.setattr(folders, "_look_into", look_into)
    problems = find(source)
    silent = [name for name, problem in problems.items() if problem]
    assert len(silent) == 1  # of a, b and c, whichever the file system lists first
    assert len(problems) == {"a": 4, "b": 4, "c": 3}[silent[0]]


def test_slow_folder_with_progress_is_not_cut_off(source, monkeypatch):
    really_look = folders._look_into

    def look_into(folder):
        for answer in really_look(folder):
            time.sleep(SECONDS / 3 if folder.endswith("c") else 0)
            yield answer

    monkeypatch.setattr(folders, "_look_into", look_into)
    assert set(find(source).values()) == {""}


def test_only_a_few_folders_of_a_file_system_are_waited_for(tmp_path, hang):
    dead = [tmp_path / "source" / f"{number:02}" for number in range(20)]
    for folder in dead:
        folder.mkdir(parents=True)
    hang("scandir", *dead)
    (tmp_path / "alive").mkdir()
    (tmp_path / "alive" / "1.dcm").write_bytes(b"\0content")
    begin = time.monotonic()
    problems = list(find(tmp_path / "source", tmp_path / "alive" / "1.dcm").values())
    assert time.monotonic() - begin < SECONDS * (folders.MAX_WAITS_OF_PLACE + 6)
    assert problems.count(SILENT) == folders.MAX_WAITS_OF_PLACE
    assert problems.count(NOT_ASKED) == len(dead) - folders.MAX_WAITS_OF_PLACE
    assert problems.count("") == 1


def test_only_a_few_paths_are_waited_for_in_all(tmp_path, hang, monkeypatch):
    monkeypatch.setattr(folders, "MAX_WAITS", 2)
    listing = tmp_path / "list.txt"
    dead = [tmp_path / str(number) / "1.dcm" for number in range(5)]
    listing.write_text("".join(f"{path}\n" for path in [listing, *dead]))
    hang("stat", *dead)
    problems = list(find(listing).values())
    assert problems.count(SILENT) == 2
    assert problems.count(NOT_ASKED) == 3


def test_question_returns_its_answer():
    assert ask_once("a", lambda: [1, "b", True], SECONDS) == [1, "b", True]


def test_question_without_an_answer_names_the_path():
    with pytest.raises(SourceError, match=f"^a: {SILENT}. See whether"):
        ask_once("a", partial(time.sleep, LONG), SECONDS)


def test_error_of_a_question_is_raised():
    def ask():
        raise PermissionError(errno.EACCES, "Permission denied", "a")

    with pytest.raises(PermissionError, match="Permission denied: 'a'"):
        ask_once("a", ask, SECONDS)


def test_question_that_kills_its_process_is_an_error():
    with pytest.raises(SourceError, match="was killed; see whether there is too little memory"):
        ask_once("a", partial(os._exit, 3), SECONDS)


def test_process_that_asks_keeps_no_file_open(tmp_path):
    with (tmp_path / "held").open("w"):
        targets = ask_once("a", lambda: [*map(read_link, os.listdir("/dev/fd"))], SECONDS)
    assert str(tmp_path / "held") not in targets


def read_link(descriptor):
    try:
        return os.readlink(f"/dev/fd/{descriptor}")
    except OSError:
        return ""


def test_no_process_is_left(hang, source):
    hang("scandir", source / "c")
    find(source)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_digest_that_takes_for_ever_costs_one_file(tmp_path, write_dicom, monkeypatch):
    source = tmp_path / "images"
    for name in ("x.dcm", "y.dcm", "z.dcm"):
        write_dicom(source / name)
    really_digest = scan.hashlib.file_digest

    def file_digest(file, algorithm):
        if file.name.endswith("y.dcm"):
            time.sleep(LONG)
        return really_digest(file, algorithm)

    monkeypatch.setattr(scan.hashlib, "file_digest", file_digest)
    index = build_index(find_files([str(source)]), limits=Limits(seconds=1))
    errors = {os.path.basename(f.source_path): f.error for f in index.excluded_files}
    assert (errors["y.dcm"], errors["z.dcm"]) == ("limit_time", "duplicate")
    assert [f.hides_files for f in index.excluded_files if f.error == "limit_time"] == [True]
    ((entry,),) = index.studies.values()
    assert entry.path.endswith("x.dcm")
