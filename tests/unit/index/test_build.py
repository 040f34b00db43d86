"""What the index writes, and renews or keeps at a second run."""

import os
import shutil
import stat

import pytest

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.selection import selection_of
from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.index.table import IndexFolder
from tests.unit.indexes import REPORT, make_mixture, update

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def inventories(output):
    return sorted(path.name for path in (output / "index" / "studies").iterdir())


# What is written


def test_each_study_has_an_inventory(source, output, write_dicom):
    make_mixture(source, write_dicom)
    update(source, output)
    assert inventories(output) == ["1.2.3.jsonl", "1.2.4.jsonl"]


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
    rules = {"PatientID": "SECRETID", "PatientBirthDate": ["19491231", "20000101"]}
    selection = selection_of(parse_config({"include": rules})[0])
    for options, number in (({}, 11), ({"selection": selection}, 9)):
        update(source, output, **options)
        texts = [path.read_bytes() for path in (output / "index").rglob("*") if path.is_file()]
        assert len(texts) == number
        values = [value.encode() for value in SECRETS.values()]
        assert [value for value in values if any(value in text for text in texts)] == []


def test_source_that_cannot_be_used_changes_nothing(source, output):
    with pytest.raises(SourceError, match="contains no files"):
        update(source, output)
    assert not output.exists()


def test_source_that_vanished_leaves_the_last_index(source, output, write_dicom):
    write_dicom(source / "a.dcm")
    update(source, output)
    shutil.rmtree(source)
    with pytest.raises(SourceError, match="no such file or folder"):
        update(source, output)
    assert inventories(output) == ["1.2.3.jsonl"]


# The second run


def test_second_run_gives_the_same_index(indexed, output):
    assert update(indexed, output) == update(indexed, output)


def age(output):
    """Make every file of the index old; returns a function that lists those written since."""
    files = [path for path in (output / "index").rglob("*") if path.is_file()]
    for path in files:
        os.utime(path, ns=(1, 1))

    def renewed():
        return sorted(path.name for path in files if path.exists() and path.stat().st_mtime_ns != 1)

    return renewed


KEPT_IF_UNCHANGED = {"1.2.3.jsonl", "1.2.4.jsonl", "index.tsv", "excluded_files.jsonl"}


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
