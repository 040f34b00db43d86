"""Which state, or place in a study, each file gets."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from dicom_preprocessing.index import scan
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.text import ADVICE_BY_ERRNO
from tests.unit.indexes import REPORT, index_of, make_mixture, unreadable

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def outcomes(index, source):
    """State and error of each file by its path below ``source``; "image" for those that go on."""
    found = {entry.path: "image" for entries in index.studies.values() for entry in entries}
    found |= {item.source_path: f"{item.state}: {item.error}" for item in index.excluded_files}
    return {os.path.relpath(path, source): state for path, state in found.items()}


def outcome(path, **options):
    """State and error of the only file."""
    return outcomes(index_of(path.parent, **options), path.parent)[path.name]


def message(path):
    (item,) = index_of(path.parent).excluded_files
    return item.message


# States


def test_image_goes_on(source, write_dicom):
    assert outcome(write_dicom(source / "a.dcm")) == "image"


def test_text_is_not_dicom(source):
    (source / "a.dcm").write_text("text")
    assert outcome(source / "a.dcm") == "skipped: not_dicom"


def test_pipe_is_not_dicom(source, write_dicom):
    write_dicom(source / "a.dcm")
    os.mkfifo(source / "pipe")
    index = index_of(source)
    assert outcomes(index, source) == {"a.dcm": "image", "pipe": "skipped: not_dicom"}


def test_broken_link_is_unreadable(source, write_dicom):
    write_dicom(source / "a.dcm")
    (source / "b.dcm").symlink_to("nowhere")
    assert outcomes(index_of(source), source)["b.dcm"] == "failed: unreadable"


def test_named_path_that_is_missing_is_unreadable(source, write_dicom):
    a = write_dicom(source / "a.dcm")
    index = index_of(a, source / "none.dcm")
    assert outcomes(index, source)["none.dcm"] == "failed: unreadable"


def test_missing_path_is_not_transient_because_trying_again_does_not_make_it(source, write_dicom):
    (item,) = index_of(write_dicom(source / "a.dcm"), source / "none.dcm").excluded_files
    assert not item.transient


def test_file_that_may_not_be_opened_is_unreadable_and_transient(source, write_dicom, monkeypatch):
    unreadable(monkeypatch, write_dicom(source / "a.dcm"))
    (item,) = index_of(source).excluded_files
    message = f"Permission denied. What to do: {ADVICE_BY_ERRNO[errno.EACCES]}"
    assert (item.error, item.message, item.transient) == ("unreadable", message, True)


def test_media_directory_is_distinguished(source):
    shutil.copyfile(get_testdata_file("DICOMDIR"), source / "DICOMDIR")
    assert outcome(source / "DICOMDIR") == "skipped: dicomdir"


def test_cut_header_is_damaged(source, write_dicom):
    path = write_dicom(source / "a.dcm", None)
    path.write_bytes(path.read_bytes()[:-1])
    assert outcome(path) == "failed: damaged"


def test_report_has_no_pixel_data(source, write_dicom):
    assert outcome(write_dicom(source / "a.dcm", None, **REPORT)) == "skipped: no_pixel_data"


def test_image_class_without_pixel_data_is_skipped(source, write_dicom):
    assert outcome(write_dicom(source / "a.dcm", None)) == "skipped: no_pixel_data"


UNUSABLE = {
    "missing": None,
    "empty": "",
    "slash": "1.2/3",
    "parent": "..",
    "way out": "../../etc/passwd",
    "hidden": ".1.2.3",
    "dash first": "-1.2",
    "blank inside": "1.2 3",
    "line break inside": "1.2\n3",
    "nul inside": "1.2\0003",
    "umlaut": "1.2.ä",
    "65 characters": "1" * 65,
}


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_uid_is_bad(source, write_dicom, keyword, name):
    path = write_dicom(source / "a.dcm", **{keyword: UNUSABLE[name]})
    assert outcome(path) == "failed: bad_uid"


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_series_uid_becomes_series(source, write_dicom, name):
    path = write_dicom(source / "a.dcm", SeriesInstanceUID=UNUSABLE[name])
    (entry,) = index_of(path).studies["1.2.3"]
    assert entry.series_instance_uid == "series"


@pytest.mark.parametrize("uid", ["1" * 64, "1.2.3", "a_b-c.D", "0"])
def test_usable_uid_is_kept(source, write_dicom, uid):
    path = write_dicom(source / "a.dcm", StudyInstanceUID=uid)
    assert list(index_of(path).studies) == [uid]


@pytest.mark.parametrize("uid", ["1.2.3\0", " 1.2.3 ", "1.2.3 \0 "])
def test_uid_is_stripped_of_blanks_and_nul(source, write_dicom, uid):
    path = write_dicom(source / "a.dcm", StudyInstanceUID=uid, SOPInstanceUID=uid)
    ((study, (entry,)),) = index_of(path).studies.items()
    assert (study, entry.sop_instance_uid) == ("1.2.3", "1.2.3")


ALLOWED = (
    "allowed are 1 to 64 letters A to Z, digits, dots, hyphens and underscores, of which the first "
    "is a letter or digit"
)
BAD_UIDS = {
    None: "is missing, and the path of the image needs it",
    "../x": f"'../x' contains '/'; {ALLOWED}",
    ".1": f"'.1' starts with '.'; {ALLOWED}",
    "1 2\n3\n*?": rf"'1 2\n3\n*?' contains ' ', '\n', '*' and others; {ALLOWED}",
    "1" * 65: f"'{'1' * 65}' has 65 characters, one too many; {ALLOWED}",
    "1" * 90: f"'{'1' * 80}...' has 90 characters, 26 too many; {ALLOWED}",
}


@pytest.mark.parametrize("uid", BAD_UIDS)
@pytest.mark.parametrize(
    ("keyword", "name"),
    [("StudyInstanceUID", "Study Instance UID"), ("SOPInstanceUID", "SOP Instance UID")],
)
def test_message_of_a_bad_uid_tells_what_was_found_and_what_is_allowed(
    source, write_dicom, keyword, name, uid
):
    path = write_dicom(source / "a.dcm", **{keyword: uid})
    assert message(path) == f"{name} {BAD_UIDS[uid]}"


# Precedence


def test_no_pixel_data_comes_before_bad_uid(source, write_dicom):
    path = write_dicom(source / "a.dcm", None, StudyInstanceUID=None)
    assert outcome(path) == "skipped: no_pixel_data"


def test_damaged_comes_before_bad_uid(source, write_dicom):
    path = write_dicom(source / "a.dcm", None, StudyInstanceUID=None)
    path.write_bytes(path.read_bytes()[:-1])
    assert outcome(path) == "failed: damaged"


def test_directory_comes_before_damaged(source):
    content = Path(get_testdata_file("DICOMDIR")).read_bytes()
    (source / "DICOMDIR").write_bytes(content[:-1])
    assert outcome(source / "DICOMDIR") == "skipped: dicomdir"


def test_bad_uid_comes_before_duplicate(source, write_dicom):
    for name in ("a.dcm", "b.dcm"):
        write_dicom(source / name, SOPInstanceUID=None)
    assert set(outcomes(index_of(source), source).values()) == {"failed: bad_uid"}


def test_duplicate_comes_before_conflict(source, write_dicom):
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm")
    write_dicom(source / "c.dcm", [[1]])
    assert outcomes(index_of(source, duplicates="fail"), source) == {
        "a.dcm": "failed: sop_conflict",
        "b.dcm": "skipped: duplicate",
        "c.dcm": "failed: sop_conflict",
    }


def test_file_without_pixels_takes_no_part_in_duplicates(source, write_dicom):
    write_dicom(source / "a.dcm", None)
    write_dicom(source / "b.dcm")
    assert outcomes(index_of(source, duplicates="fail"), source) == {
        "a.dcm": "skipped: no_pixel_data",
        "b.dcm": "image",
    }


def test_damaged_file_takes_no_part_in_duplicates(source, write_dicom):
    damaged = write_dicom(source / "a.dcm")
    damaged.write_bytes(damaged.read_bytes()[:400])
    write_dicom(source / "b.dcm")
    assert outcomes(index_of(source), source) == {"a.dcm": "failed: damaged", "b.dcm": "image"}


# Several files of one instance


def test_same_bytes_are_skipped_but_for_the_first_in_path_order(source, write_dicom):
    write_dicom(source / "b.dcm")
    write_dicom(source / "a" / "z.dcm")
    write_dicom(source / "c.dcm")
    assert outcomes(index_of(source), source) == {
        "a/z.dcm": "image",
        "b.dcm": "skipped: duplicate",
        "c.dcm": "skipped: duplicate",
    }


def test_message_of_a_duplicate_names_the_file_that_goes_on(source, write_dicom):
    first = write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm")
    (item,) = index_of(source).excluded_files
    assert item.message == f"same bytes as {first}"


def test_same_bytes_in_two_instances_of_one_study_are_no_duplicates(source, write_dicom):
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", SOPInstanceUID="1.2.3.1.2")
    assert len(index_of(source).studies["1.2.3"]) == 2


@pytest.mark.parametrize("other", [[[1, 2]], ((9, 10, 20, 30), (40, 50, 60, 70), (80, 90, 100, 1))])
def test_different_bytes_are_all_candidates_in_path_order(source, write_dicom, other):
    write_dicom(source / "b.dcm", other)
    write_dicom(source / "a.dcm")
    entries = index_of(source).studies["1.2.3"]
    assert [os.path.basename(entry.path) for entry in entries] == ["a.dcm", "b.dcm"]


def test_different_bytes_fail_all_if_the_user_wants(source, write_dicom):
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", [[1, 2]])
    index = index_of(source, duplicates="fail")
    assert outcomes(index, source) == dict.fromkeys(["a.dcm", "b.dcm"], "failed: sop_conflict")


def test_message_of_a_conflict_names_the_other_file(source, write_dicom):
    a = write_dicom(source / "a.dcm")
    b = write_dicom(source / "b.dcm", [[1, 2]])
    messages = [item.message for item in index_of(source, duplicates="fail").excluded_files]
    assert messages == [
        f"has the SOP Instance UID of {b}, and differs",
        f"has the SOP Instance UID of {a}, and differs",
    ]


def test_message_of_a_conflict_names_the_first_of_many_files(source, write_dicom):
    paths = [str(write_dicom(source / f"{n}.dcm", [[n]])) for n in range(6)]
    first, *_ = index_of(source, duplicates="fail").excluded_files
    named = ", ".join(paths[1:4])
    assert first.message == f"has the SOP Instance UID of {named}, and 2 more files, and differs"


def test_study_of_which_nothing_goes_on_is_not_in_the_index(source, write_dicom):
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", [[1, 2]])
    assert index_of(source, duplicates="fail").studies == {}


def test_series_does_not_tell_instances_apart(source, write_dicom):
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", SeriesInstanceUID="1.2.3.2")
    index = index_of(source, duplicates="fail")
    assert set(outcomes(index, source).values()) == {"failed: sop_conflict"}


def test_one_instance_in_two_studies_goes_on_twice_with_a_warning(source, write_dicom):
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", StudyInstanceUID="1.2.4")
    index = index_of(source)
    assert set(outcomes(index, source).values()) == {"image"}
    assert index.warnings == [
        "SOP Instance UID 1.2.3.1.1 is in 2 studies, each is written: 1.2.3, 1.2.4"
    ]


def test_warnings_are_silent_otherwise(source, write_dicom):
    write_dicom(source / "a.dcm")
    assert index_of(source).warnings == []


# Everything together


def test_every_file_is_counted_once(source, write_dicom):
    make_mixture(source, write_dicom)
    files = find_files([str(source)])
    index = build_index(files)
    assert sorted(outcomes(index, source)) == sorted(os.path.relpath(f.path, source) for f in files)


def test_found_is_the_sum_of_all_states(source, write_dicom):
    make_mixture(source, write_dicom)
    index = index_of(source)
    assert (index.found, len(index.excluded_files), len(index.studies)) == (8, 5, 2)


def test_excluded_files_are_in_path_order(source, write_dicom):
    make_mixture(source, write_dicom)
    names = [os.path.relpath(item.source_path, source) for item in index_of(source).excluded_files]
    assert names == ["a/2.dcm", "b/2.dcm", "broken", "c/2.dcm", "notes.txt"]


def test_workers_change_nothing(source, write_dicom, monkeypatch):
    make_mixture(source, write_dicom)
    monkeypatch.setattr(scan, "FILES_PER_TASK", 2)
    assert index_of(source, workers=2) == index_of(source, workers=1)


def test_advance_is_called_for_every_file(source, write_dicom):
    make_mixture(source, write_dicom)
    steps = []
    index_of(source, advance=steps.append)
    assert sum(steps) == 8


def excluded_files(source, name):
    index = index_of(source, source / name)
    return next(item for item in index.excluded_files if item.source_path.endswith(name))


# What hides files, so that nothing may be pruned


def test_missing_named_path_hides_files(indexed):
    assert excluded_files(indexed, "none.dcm").hides_files


def test_folder_that_cannot_be_listed_hides_files(indexed, monkeypatch):
    (indexed / "secret").mkdir()
    listing = os.scandir

    def scandir(path):
        if path.endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert excluded_files(indexed, "secret").hides_files


def test_named_file_that_cannot_be_read_hides_files(source, write_dicom, monkeypatch):
    write_dicom(source / "a.dcm")
    path = write_dicom(source / "other" / "b.dcm")
    unreadable(monkeypatch, path)
    (item,) = index_of(source / "a.dcm", path).excluded_files
    assert (item.error, item.hides_files) == ("unreadable", True)


def test_named_file_that_is_not_dicom_hides_nothing(indexed):
    (item,) = index_of(indexed / "a.dcm", indexed / "c.png").excluded_files
    assert not item.hides_files
