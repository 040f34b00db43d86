"""The index: which state or place each file gets, and what is written, kept and tried again."""

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import OutputError, SourceError
from dicom_preprocessing.index import scan
from dicom_preprocessing.index.build import build_index, update_index
from dicom_preprocessing.index.table import (
    IndexFolder,
    inventory_digest,
    is_path_part,
    read_inventory,
)
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.text import printable
from tests.conftest import needs_byte_names

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

REPORT = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "Modality": "SR"}


def index_of(*sources, **options):
    return build_index(find_files([str(path) for path in sources]), **options)


def outcomes(index, source):
    """State and error of each file by its path below ``source``; "image" for those that go on."""
    found = {entry.path: "image" for entries in index.studies.values() for entry in entries}
    found |= {item.source_path: f"{item.state}: {item.error}" for item in index.left_out}
    return {os.path.relpath(path, source): state for path, state in found.items()}


def outcome(path, **options):
    """State and error of the only file."""
    return outcomes(index_of(path.parent, **options), path.parent)[path.name]


def message(path):
    (item,) = index_of(path.parent).left_out
    return item.message


def unreadable(monkeypatch, *paths):
    """Let opening some files fail: tests may run as root, who can read everything."""
    really_open = open
    refused = set(map(os.fspath, paths))

    def guarded(path, *arguments, **options):
        if not isinstance(path, int) and os.fspath(path) in refused:
            raise PermissionError(13, "Permission denied")
        return really_open(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", guarded)


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
    (item,) = index_of(write_dicom(source / "a.dcm"), source / "none.dcm").left_out
    assert not item.transient


def test_file_that_may_not_be_opened_is_unreadable_and_transient(source, write_dicom, monkeypatch):
    unreadable(monkeypatch, write_dicom(source / "a.dcm"))
    (item,) = index_of(source).left_out
    assert (item.error, item.message, item.transient) == ("unreadable", "Permission denied", True)


def test_media_directory_is_told_apart(source):
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


def test_path_part_does_not_end_in_a_line_break():
    assert not is_path_part("1.2.3\n")


def test_message_of_a_missing_uid_names_it(source, write_dicom):
    path = write_dicom(source / "a.dcm", SOPInstanceUID=None)
    assert message(path) == "sop_instance_uid is missing"


def test_message_of_an_unusable_uid_shows_it(source, write_dicom):
    path = write_dicom(source / "a.dcm", StudyInstanceUID="../x")
    assert message(path) == "study_instance_uid '../x' cannot be part of a path"


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
    (item,) = index_of(source).left_out
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


def test_message_of_a_conflict_tells_how_many_files_there_are(source, write_dicom):
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", [[1, 2]])
    messages = {item.message for item in index_of(source, duplicates="fail").left_out}
    assert messages == {"2 different files have this SOP Instance UID"}


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


def make_mixture(source, write_dicom):
    write_dicom(source / "a" / "1.dcm")
    write_dicom(source / "a" / "2.dcm")
    write_dicom(source / "b" / "1.dcm", SOPInstanceUID="1.2.3.1.2")
    write_dicom(source / "b" / "2.dcm", None, **REPORT)
    write_dicom(source / "c" / "1.dcm", StudyInstanceUID="1.2.4")
    write_dicom(source / "c" / "2.dcm", StudyInstanceUID="..")
    (source / "notes.txt").write_text("notes")
    (source / "broken").symlink_to("nowhere")


def test_every_file_is_counted_once(source, write_dicom):
    make_mixture(source, write_dicom)
    files = find_files([str(source)])
    index = build_index(files)
    assert sorted(outcomes(index, source)) == sorted(os.path.relpath(f.path, source) for f in files)


def test_found_is_the_sum_of_all_states(source, write_dicom):
    make_mixture(source, write_dicom)
    index = index_of(source)
    assert (index.found, len(index.left_out), len(index.studies)) == (8, 5, 2)


def test_left_out_files_are_in_path_order(source, write_dicom):
    make_mixture(source, write_dicom)
    names = [os.path.relpath(item.source_path, source) for item in index_of(source).left_out]
    assert names == ["a/2.dcm", "b/2.dcm", "broken", "c/2.dcm", "notes.txt"]


def test_workers_change_nothing(source, write_dicom, monkeypatch):
    make_mixture(source, write_dicom)
    monkeypatch.setattr(scan, "CHUNK", 2)
    assert index_of(source, workers=2) == index_of(source, workers=1)


def test_advance_is_told_of_every_file(source, write_dicom):
    make_mixture(source, write_dicom)
    steps = []
    index_of(source, advance=steps.append)
    assert sum(steps) == 8


# What is written


def update(source, output, **options):
    return update_index(output, [str(source)], excluded=[str(output)], **options)


def inventories(output):
    return sorted(path.name for path in (output / "index" / "studies").iterdir())


def test_table_has_a_row_for_each_study(source, output, write_dicom):
    make_mixture(source, write_dicom)
    update(source, output)
    table = IndexFolder(output).read_studies()
    assert {uid: study.files for uid, study in table.items()} == {"1.2.3": 2, "1.2.4": 1}


def test_table_tells_the_digest_of_each_inventory(source, output, write_dicom):
    make_mixture(source, write_dicom)
    update(source, output)
    folder = IndexFolder(output)
    assert {uid: study.inventory for uid, study in folder.read_studies().items()} == {
        uid: inventory_digest(folder.inventory(uid)) for uid in ("1.2.3", "1.2.4")
    }


def test_each_study_has_an_inventory(source, output, write_dicom):
    make_mixture(source, write_dicom)
    update(source, output)
    assert inventories(output) == ["1.2.3.jsonl", "1.2.4.jsonl"]


def test_inventory_holds_what_a_job_needs(source, output, write_dicom):
    path = write_dicom(source / "a.dcm", InstanceNumber=7)
    os.utime(path, ns=(1, 1_234_567_890))
    update(source, output)
    (line,) = (output / "index" / "studies" / "1.2.3.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "path": str(path),
        "size": path.stat().st_size,
        "mtime_ns": 1_234_567_890,
        "attempt": 1,
        "study_instance_uid": "1.2.3",
        "series_instance_uid": "1.2.3.1",
        "sop_instance_uid": "1.2.3.1.1",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.7",
        "modality": "OT",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "rows": 3,
        "columns": 4,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "bits_allocated": 8,
        "bits_stored": 8,
        "instance_number": 7,
        "renewal": 0,
    }


def test_table_of_another_version_is_refused(source, output, write_dicom):
    write_dicom(source / "a.dcm")
    update(source, output)
    table = IndexFolder(output).table
    table.write_text(table.read_text().replace("megapixels", "pixels"))
    with pytest.raises(OutputError, match=r"index\.tsv is of another version: remove it"):
        IndexFolder(output).read_studies()


def test_left_out_files_are_written_down(source, output, write_dicom):
    make_mixture(source, write_dicom)
    update(source, output)
    assert list(IndexFolder(output).read_left_out()) == index_of(source).left_out


def test_memory_of_a_study_grows_with_its_largest_image(source, output, write_dicom):
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", StudyInstanceUID="1.2.4", Rows=4000, Columns=4000)
    update(source, output)
    table = IndexFolder(output).read_studies()
    # 4000 x 4000 x 2 bytes are 32 MB, of which a few are in memory at once.
    assert table["1.2.4"].mem_mb - table["1.2.3"].mem_mb >= 3 * 32


def test_index_folder_is_private(source, output, write_dicom):
    write_dicom(source / "a.dcm")
    update(source, output)
    assert stat.S_IMODE((output / "index").stat().st_mode) == 0o700


def test_index_folder_that_was_open_becomes_private(source, output, write_dicom):
    (output / "index").mkdir(parents=True, mode=0o755)
    write_dicom(source / "a.dcm")
    update(source, output)
    assert stat.S_IMODE((output / "index").stat().st_mode) == 0o700


SECRETS = {
    "PatientName": "SECRETNAME^JANE",
    "PatientID": "SECRETID",
    "PatientBirthDate": "19491231",
    "AccessionNumber": "SECRETACC",
    "StudyDate": "20010203",
    "ReferringPhysicianName": "SECRETDOCTOR",
    "StudyDescription": "SECRETTEXT",
}


def test_index_holds_nothing_that_names_a_patient(source, output, write_dicom):
    make_mixture(source, write_dicom)
    write_dicom(source / "secret" / "image.dcm", StudyInstanceUID="1.5", **SECRETS)
    write_dicom(source / "secret" / "bad.dcm", StudyInstanceUID="..", **SECRETS)
    write_dicom(source / "secret" / "report.dcm", None, **REPORT, **SECRETS)
    cut = write_dicom(source / "secret" / "cut.dcm", None, **SECRETS)
    cut.write_bytes(cut.read_bytes()[:-1])
    update(source, output)
    texts = [path.read_bytes() for path in (output / "index").rglob("*") if path.is_file()]
    assert len(texts) == 9
    values = [value.encode() for value in SECRETS.values()]
    assert [value for value in values if any(value in text for text in texts)] == []


def test_source_that_cannot_be_used_changes_nothing(source, output):
    with pytest.raises(SourceError, match="no file in it"):
        update(source, output)
    assert not output.exists()


def test_source_that_vanished_leaves_the_last_index(source, output, write_dicom):
    write_dicom(source / "a.dcm")
    update(source, output)
    shutil.rmtree(source)
    with pytest.raises(SourceError, match="no such file or folder"):
        update(source, output)
    assert inventories(output) == ["1.2.3.jsonl"]


@needs_byte_names
def test_name_that_is_not_utf_8_survives_the_index(source, output, write_dicom):
    path = write_dicom(source / os.fsdecode(b"caf\xe9.dcm"))
    update(source, output)
    (entry,) = read_inventory(IndexFolder(output).inventory("1.2.3"))
    assert entry.path == str(path)
    assert printable(entry.path).endswith(r"caf\xe9.dcm")


# The second run


@pytest.fixture
def parsed(monkeypatch):
    """Names of the files whose headers are parsed."""
    names = []
    really_read = scan.read_header

    def read_header(path):
        names.append(os.path.basename(path))
        return really_read(path)

    monkeypatch.setattr(scan, "read_header", read_header)
    return names


@pytest.fixture
def indexed(source, output, write_dicom, parsed):
    """A source of two studies and another file, indexed."""
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", StudyInstanceUID="1.2.4")
    (source / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    update(source, output)
    assert parsed == ["a.dcm", "b.dcm", "c.png"]
    parsed.clear()
    return source


def test_second_run_parses_nothing(indexed, output, parsed):
    update(indexed, output)
    assert parsed == []


def test_second_run_gives_the_same_index(indexed, output):
    assert update(indexed, output) == update(indexed, output)


def test_second_run_parses_a_touched_file_only(indexed, output, parsed):
    os.utime(indexed / "a.dcm", ns=(1, 1))
    update(indexed, output)
    assert parsed == ["a.dcm"]


def test_second_run_parses_a_file_of_another_size_only(indexed, output, parsed, write_dicom):
    status = (indexed / "b.dcm").stat()
    write_dicom(indexed / "b.dcm", [[1, 2]], StudyInstanceUID="1.2.4")
    os.utime(indexed / "b.dcm", ns=(status.st_atime_ns, status.st_mtime_ns))
    update(indexed, output)
    assert parsed == ["b.dcm"]


def test_second_run_parses_a_new_file_only(indexed, output, parsed, write_dicom):
    write_dicom(indexed / "d.dcm", SOPInstanceUID="1.2.3.1.9")
    update(indexed, output)
    assert parsed == ["d.dcm"]


def test_second_run_parses_a_renamed_file_only(indexed, output, parsed):
    (indexed / "a.dcm").rename(indexed / "z.dcm")
    update(indexed, output)
    assert parsed == ["z.dcm"]


def test_cache_of_another_version_is_not_used(indexed, output, parsed, monkeypatch):
    monkeypatch.setattr(scan, "SCAN_VERSION", "another")
    update(indexed, output)
    assert parsed == ["a.dcm", "b.dcm", "c.png"]


@pytest.mark.parametrize("content", ["", "{", '{"version": "x"}\n', "[1]\n[2]\n", "\xff"])
def test_broken_cache_is_not_used(indexed, output, parsed, content):
    (output / "index" / "headers.jsonl").write_bytes(content.encode("latin-1"))
    update(indexed, output)
    assert parsed == ["a.dcm", "b.dcm", "c.png"]


def test_cut_cache_is_not_used(indexed, output, parsed):
    cache = output / "index" / "headers.jsonl"
    cache.write_bytes(cache.read_bytes()[:-20])
    update(indexed, output)
    assert parsed == ["a.dcm", "b.dcm", "c.png"]


def age(output):
    """Make every file of the index old; returns a function that lists those written since."""
    files = [path for path in (output / "index").rglob("*") if path.is_file()]
    for path in files:
        os.utime(path, ns=(1, 1))

    def renewed():
        return sorted(path.name for path in files if path.exists() and path.stat().st_mtime_ns != 1)

    return renewed


KEPT_IF_UNCHANGED = {"1.2.3.jsonl", "1.2.4.jsonl", "index.tsv", "left_out.jsonl"}


def test_second_run_renews_nothing_that_others_depend_on(indexed, output):
    renewed = age(output)
    update(indexed, output)
    assert KEPT_IF_UNCHANGED.intersection(renewed()) == set()


def test_touched_file_renews_the_inventory_of_its_study_and_the_table_only(indexed, output):
    renewed = age(output)
    os.utime(indexed / "a.dcm", ns=(1, 1))
    update(indexed, output)
    assert KEPT_IF_UNCHANGED.intersection(renewed()) == {"1.2.3.jsonl", "index.tsv"}


def test_new_instance_renews_the_inventory_of_its_study_and_the_table(indexed, output, write_dicom):
    renewed = age(output)
    write_dicom(indexed / "d.dcm", SOPInstanceUID="1.2.3.1.9")
    update(indexed, output)
    assert KEPT_IF_UNCHANGED.intersection(renewed()) == {"1.2.3.jsonl", "index.tsv"}


def test_new_study_leaves_the_inventories_of_the_others_alone(indexed, output, write_dicom):
    renewed = age(output)
    write_dicom(indexed / "d.dcm", StudyInstanceUID="1.2.5")
    update(indexed, output)
    assert KEPT_IF_UNCHANGED.intersection(renewed()) == {"index.tsv"}
    assert inventories(output) == ["1.2.3.jsonl", "1.2.4.jsonl", "1.2.5.jsonl"]


def test_inventory_of_a_vanished_study_is_removed(indexed, output):
    (indexed / "b.dcm").unlink()
    update(indexed, output)
    assert inventories(output) == ["1.2.3.jsonl"]


def test_vanished_study_leaves_the_table(indexed, output):
    (indexed / "b.dcm").unlink()
    update(indexed, output)
    assert list(IndexFolder(output).read_studies()) == ["1.2.3"]


def test_no_half_written_file_is_left(indexed, output):
    update(indexed, output)
    hidden = [path.name for path in output.rglob(".*")]
    assert hidden == []


def test_unreadable_file_is_opened_at_each_run(indexed, output, parsed, monkeypatch):
    os.utime(indexed / "a.dcm", ns=(1, 1))
    unreadable(monkeypatch, indexed / "a.dcm")
    for _ in range(3):
        update(indexed, output)
    assert parsed == ["a.dcm"] * 3


# What hides files, so that nothing may be pruned


def left_out(source, name):
    index = index_of(source, source / name)
    return next(item for item in index.left_out if item.source_path.endswith(name))


def test_missing_named_path_hides_files(indexed):
    assert left_out(indexed, "none.dcm").hides_files


def test_folder_that_cannot_be_listed_hides_files(indexed, monkeypatch):
    (indexed / "secret").mkdir()
    listing = os.scandir

    def scandir(path):
        if path.endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert left_out(indexed, "secret").hides_files


def test_digests_of_files_that_share_uid_and_size_are_kept(source, output, write_dicom):
    paths = [write_dicom(source / name) for name in ("b.dcm", "d.dcm")]
    write_dicom(source / "a.dcm", SOPInstanceUID="1.2.3.1.8")
    write_dicom(source / "c.dcm", SOPInstanceUID="1.2.3.1.9")
    for _ in range(2):
        update(source, output)
        lines = IndexFolder(output).headers.read_text().splitlines()[1:]
        digest = hashlib.sha256(paths[0].read_bytes()).hexdigest()
        digests = {Path(r["path"]).name: r.get("sha256") for r in map(json.loads, lines)}
        assert digests == {"a.dcm": None, "b.dcm": digest, "c.dcm": None, "d.dcm": digest}


def test_named_file_that_cannot_be_read_hides_files(source, write_dicom, monkeypatch):
    write_dicom(source / "a.dcm")
    path = write_dicom(source / "other" / "b.dcm")
    unreadable(monkeypatch, path)
    (item,) = index_of(source / "a.dcm", path).left_out
    assert (item.error, item.hides_files) == ("unreadable", True)


def test_named_file_that_is_not_dicom_hides_nothing(indexed):
    (item,) = index_of(indexed / "a.dcm", indexed / "c.png").left_out
    assert not item.hides_files


# Limits


def test_limits_of_an_inventory_are_those_of_its_index(source, output, write_dicom):
    write_dicom(source / "a.dcm")
    update(source, output, limits=Limits(seconds=7))
    assert IndexFolder(output).read_limits() == Limits(seconds=7)
