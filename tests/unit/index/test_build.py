"""What the index writes, and renews or keeps at a second run."""

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import OutputError, SourceError
from dicom_preprocessing.index import scan
from dicom_preprocessing.index.table import IndexFolder, inventory_digest, read_inventory
from dicom_preprocessing.text import printable
from tests.conftest import needs_byte_names
from tests.unit.indexes import REPORT, index_of, make_mixture, unreadable, update

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def inventories(output):
    return sorted(path.name for path in (output / "index" / "studies").iterdir())


# What is written


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


# Limits


def test_limits_of_an_inventory_are_those_of_its_index(source, output, write_dicom):
    write_dicom(source / "a.dcm")
    update(source, output, limits=Limits(seconds=7))
    assert IndexFolder(output).read_limits() == Limits(seconds=7)
