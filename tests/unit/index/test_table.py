"""Tables of the index: what they tell, and names of studies that may be part of a path."""

import json
import os

import pytest

from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.index.table import (
    IndexFolder,
    digest_inventory,
    is_path_part,
    read_inventory,
)
from dicom_preprocessing.text import make_printable
from tests.conftest import needs_byte_names
from tests.unit.indexes import index_of, make_mixture, update

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


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
        uid: digest_inventory(folder.inventory(uid)) for uid in ("1.2.3", "1.2.4")
    }


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
        "stack": None,
    }


def test_table_of_another_version_is_refused(source, output, write_dicom):
    write_dicom(source / "a.dcm")
    update(source, output)
    table = IndexFolder(output).table
    table.write_text(table.read_text().replace("megapixels", "pixels"))
    with pytest.raises(OutputError, match=r"index\.tsv was written by another version: remove it"):
        IndexFolder(output).read_studies()


def test_excluded_files_are_written_down(source, output, write_dicom):
    make_mixture(source, write_dicom)
    update(source, output)
    assert list(IndexFolder(output).read_excluded_files()) == index_of(source).excluded_files


@needs_byte_names
def test_name_that_is_not_utf_8_survives_the_index(source, output, write_dicom):
    path = write_dicom(source / os.fsdecode(b"caf\xe9.dcm"))
    update(source, output)
    (entry,) = read_inventory(IndexFolder(output).inventory("1.2.3"))
    assert entry.path == str(path)
    assert make_printable(entry.path).endswith(r"caf\xe9.dcm")


def test_limits_of_an_inventory_are_those_of_its_index(source, output, write_dicom):
    write_dicom(source / "a.dcm")
    update(source, output, limits=Limits(seconds=7))
    assert IndexFolder(output).read_limits() == Limits(seconds=7)


def test_path_part_does_not_end_in_a_line_break():
    assert not is_path_part("1.2.3\n")
