"""The end of a run: what is gathered of receipts, and orphans."""

import os
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.index.build import update_index
from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.results.collection import (
    collect_receipts,
    find_orphans,
    prune_orphans,
)
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.results.manifest import find_tiffs
from dicom_preprocessing.results.summary import Summary
from tests.limits import limit_file_size
from tests.unit.indexes import unreadable
from tests.unit.receipts import HandMadeRun, stack, written
from tests.unit.run_results import Results, column, csv_rows

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


# A run


def test_manifest_and_failures_hold_every_file_once(mixed):
    mixed.gather()
    rows = csv_rows(mixed.output / "manifest.csv")
    assert (len(rows), mixed.failures()) == (
        2,
        {"b.dcm": "short_pixel_data", "d.txt": "not_dicom"},
    )


def test_tables_are_replaced_all_or_none_of_them(mixed):
    mixed.gather()
    tables = ResultsFolder(mixed.output).tables
    for table in tables:
        table.write_text("before")
    verdict = ResultsFolder(mixed.output).verdict
    outcomes = []
    while "written" not in outcomes:
        verdict.write_text("before")
        try:
            with limit_file_size(97 * len(outcomes)):
                mixed.gather()
        except OSError as error:
            outcomes.append(Path(error.filename).name)
            assert {path.read_text() for path in (*tables, verdict)} == {"before"}
        else:
            outcomes.append("written")
        assert not list(mixed.output.glob(".tables*"))
    assert b"before" not in {path.read_bytes() for path in tables}
    assert not verdict.exists()
    assert set(outcomes) >= {"manifest.csv", "manifest.parquet"}


def test_missing_image_is_named(mixed):
    path = mixed.output / "images/1.2.3/1.2.3.1.1.tiff"
    path.unlink()
    with pytest.raises(OutputError, match=r"^1 image written earlier can no longer") as caught:
        mixed.receipts()
    assert f"    {path}\n" in str(caught.value)


def test_missing_image_of_a_stack_is_one(tmp_path):
    run = HandMadeRun(tmp_path, *stack("1", "2", "3"), written("4"))
    (run.results.images("write") / "1.2/1.tiff").unlink()
    with pytest.raises(OutputError, match=r"^1 image written earlier can no longer"):
        run.collect()


def test_receipts_of_a_stack_by_other_settings_are_counted_as_files(tmp_path):
    receipts = [replace(receipt, recipe="another") for receipt in stack("1", "2", "3")]
    with pytest.raises(OutputError, match=r"^Other settings or versions were used for 3 files"):
        HandMadeRun(tmp_path, *receipts).collect()


def test_missing_image_is_answered_with_how_to_rebuild_it(mixed):
    (mixed.output / "images/1.2.3/1.2.3.1.1.tiff").unlink()
    with pytest.raises(OutputError) as caught:
        mixed.receipts()
    assert str(caught.value).endswith(
        f"To write them again, run\n    rm -r {mixed.output}/images/1.2.3\nand then the workflow."
    )


def test_command_to_rebuild_works_for_a_folder_with_blanks(tmp_path, write_dicom):
    (tmp_path / "my work").mkdir()
    results = Results(tmp_path / "my work")
    write_dicom(results.source / "a.dcm")
    results.run()
    (results.output / "images/1.2.3/1.2.3.1.1.tiff").unlink()
    with pytest.raises(OutputError) as caught:
        results.receipts()
    command = next(line for line in str(caught.value).splitlines() if "rm -r" in line)
    assert shlex.split(command) == ["rm", "-r", f"{results.output}/images/1.2.3"]


def test_many_missing_images_are_counted_and_a_few_shown(results, write_dicom):
    for number in range(7):
        write_dicom(results.source / f"{number}.dcm", StudyInstanceUID=f"1.2.{number}")
    results.run()
    for path in find_tiffs(results.output / "images"):
        path.unlink()
    with pytest.raises(OutputError, match=r"^7 images written earlier") as caught:
        results.receipts()
    message = str(caught.value)
    assert message.count(".tiff") == 5
    assert "    and 2 more\n" in message
    assert "    snakemake --forcerun write\n" in message


def test_nothing_is_written_while_an_image_is_missing(mixed):
    (mixed.output / "images/1.2.3/1.2.3.1.1.tiff").unlink()
    with pytest.raises(OutputError):
        mixed.gather()
    assert not (mixed.output / "manifest.csv").exists()


def test_receipt_of_another_number_of_files_is_refused(mixed):
    receipts = mixed.output / "receipts/write/1.2.3.jsonl"
    receipts.write_text(receipts.read_text().splitlines()[0] + "\n")
    with pytest.raises(OutputError, match=r"1\.2\.3\.jsonl lists 1 file, the index 2\."):
        mixed.receipts()


def test_receipts_of_other_settings_are_refused(mixed):
    mixed.recipe = "another"
    with pytest.raises(OutputError) as caught:
        mixed.receipts()
    assert str(caught.value) == (
        "Other settings or versions were used for 3 files:\n"
        f"    {mixed.source}/a.dcm\n    {mixed.source}/b.dcm\n    {mixed.source}/c.dcm\n"
        "Snakemake did not notice, because its records of these studies are lost or in another "
        "working directory. To process all studies again, run\n    snakemake --forcerun write"
    )


def test_old_receipts_are_called_those_of_other_versions(mixed):
    """Before the warnings in them are read, which had no codes, as the lines had no check sums."""
    path = mixed.output / "receipts/write/1.2.3.jsonl"
    text = re.sub(', "crc32": [0-9]+', "", path.read_text())
    path.write_text(text.replace('"warnings": []', '"warnings": ["no codes"]'))
    recipe, mixed.recipe = mixed.recipe, "another"
    with pytest.raises(OutputError, match=r"^Other settings or versions were used for 3 files"):
        mixed.receipts()
    mixed.recipe = recipe
    with pytest.raises(OutputError, match=r"study 1\.2\.3 was written by another version: remove"):
        mixed.receipts()


def test_receipt_that_was_edited_is_refused(mixed):
    path = mixed.output / "receipts/write/1.2.3.jsonl"
    path.write_text(path.read_text().replace('"frames": 1', '"frames": 2'))
    with pytest.raises(OutputError, match=r"1\.2\.3\.jsonl is not as it was written: remove it"):
        mixed.receipts()


def test_receipts_of_another_index_are_refused(mixed):
    source = mixed.source / "a.dcm"
    os.utime(source, ns=(1, 1))
    update_index(mixed.output, [str(mixed.source)])
    with pytest.raises(OutputError, match=r"^The images of 2 files are older than the index"):
        mixed.receipts()


def test_receipts_of_other_settings_tell_the_first_kept_stage(mixed):
    studies = IndexFolder(mixed.output).read_studies().values()
    with pytest.raises(OutputError, match=r"    snakemake --forcerun crop$"):
        collect_receipts(mixed.output, studies, "another", ["pad", "crop"])


def make_orphans(results):
    """Let a study vanish, and leave a stage behind that is not kept any more."""
    (results.source / "c.dcm").unlink()
    results.run()
    stage = results.output / "stages" / "resize" / "1.2.3"
    stage.mkdir(parents=True)
    (stage / "1.2.3.1.1.tiff").write_bytes(b"")
    receipt = results.output / "receipts" / "resize" / "1.2.3.jsonl"
    receipt.parent.mkdir(parents=True)
    receipt.write_text("")
    return results


ORPHANS = [
    "images/1.2.4",
    "receipts/resize/1.2.3.jsonl",
    "receipts/write/1.2.4.jsonl",
    "stages/resize/1.2.3",
]


# Orphans


def test_run_without_leftovers_has_no_orphans(mixed):
    assert mixed.gather().orphans() == []


def test_leftovers_of_studies_and_stages_are_listed(mixed):
    assert make_orphans(mixed).gather().orphans() == ORPHANS


def test_kept_stage_of_a_present_study_is_no_orphan(mixed):
    assert make_orphans(mixed).gather(keep=["resize"]).orphans() == [ORPHANS[0], ORPHANS[2]]


def test_kept_stage_of_a_vanished_study_is_an_orphan(mixed):
    make_orphans(mixed)
    (mixed.output / "stages/resize/1.2.4").mkdir()
    (mixed.output / "stages/resize/1.2.4/.snakemake_timestamp").touch()
    found = find_orphans(mixed.output, ["resize"])
    assert mixed.output / "stages/resize/1.2.4" in found


def test_orphans_are_not_in_the_manifest(mixed):
    make_orphans(mixed).gather()
    assert column(mixed.output / "manifest.csv", "study_instance_uid") == ["1.2.3"]


def test_orphans_stay_without_prune(mixed):
    make_orphans(mixed).gather()
    assert [(mixed.output / path).exists() for path in ORPHANS] == [True] * 4


def test_prune_removes_orphans(mixed):
    make_orphans(mixed).gather(prune=True)
    assert [(mixed.output / path).exists() for path in ORPHANS] == [False] * 4


def test_prune_leaves_no_orphans_listed(mixed):
    assert make_orphans(mixed).gather(prune=True).orphans() == []


def test_prune_leaves_the_present_studies_alone(mixed):
    make_orphans(mixed).gather(prune=True)
    images = [str(p.relative_to(mixed.output)) for p in find_tiffs(mixed.output)]
    assert images == ["images/1.2.3/1.2.3.1.1.tiff"]


def test_prune_removes_nothing_that_the_workflow_did_not_make(mixed, tmp_path):
    (tmp_path / "precious").mkdir()
    (mixed.output / "images" / "1.9").symlink_to(tmp_path / "precious")
    (mixed.output / "images" / "my_notes").mkdir()
    (mixed.output / "images" / "manifest.csv").write_text("dicom-manifest writes here")
    mixed.gather(prune=True)
    assert mixed.orphans() == []
    left = ["1.9", "manifest.csv", "my_notes"]
    assert [os.path.lexists(mixed.output / "images" / name) for name in left] == [True] * 3


def test_prune_removes_a_link_to_a_study_and_not_what_it_leads_to(mixed, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / ".snakemake_timestamp").touch()
    (mixed.output / "images" / "1.9").symlink_to(tmp_path / "precious")
    mixed.gather(prune=True)
    assert not os.path.lexists(mixed.output / "images/1.9")
    assert (tmp_path / "precious").is_dir()


def test_nothing_is_pruned_while_a_named_path_is_missing(mixed):
    make_orphans(mixed).run(mixed.source, mixed.source / "none").gather(prune=True)
    assert mixed.orphans() == ORPHANS
    assert [(mixed.output / path).exists() for path in ORPHANS] == [True] * 4


def test_message_says_that_nothing_is_pruned(mixed):
    missing = mixed.source / "none"
    make_orphans(mixed).run(mixed.source, missing).gather(prune=True)
    assert mixed.warnings == [
        f"nothing was pruned, because a part of the source could not be read: {missing}"
    ]


def test_nothing_is_pruned_while_a_folder_cannot_be_listed(mixed, monkeypatch):
    (mixed.source / "secret").mkdir()
    listing = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return listing(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        make_orphans(mixed)
    assert mixed.gather(prune=True).orphans() == ORPHANS


def test_nothing_is_pruned_while_a_named_list_cannot_be_read(mixed, monkeypatch):
    listing = mixed.source.parent / "list.txt"
    listing.write_text(f"{mixed.source / 'c.dcm'}\n")
    with monkeypatch.context() as patch:
        unreadable(patch, listing)
        mixed.run(mixed.source / "a.dcm", listing)
    mixed.gather(prune=True)
    assert (mixed.output / "images/1.2.4").exists()


@given(present=st.integers(0, 60), vanished=st.integers(0, 12))
@settings(deadline=None, max_examples=40)
def test_prune_removes_at_most_two_studies_or_a_tenth_at_once(tmp_path_factory, present, vanished):
    output = tmp_path_factory.mktemp("results")
    receipts = ResultsFolder(output).receipts("write")
    receipts.mkdir(parents=True)
    gone = [receipts / f"2.{n}.jsonl" for n in range(vanished)]
    for path in gone:
        path.touch()
    said = []
    studies = {f"1.{n}": None for n in range(present)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IndexFolder, "read_studies", lambda _: studies)
        patch.setattr(IndexFolder, "read_excluded_files", lambda _: [])
        prune_orphans(output, gone, said.append)
        is_few = vanished <= 2 or vanished <= (present + vanished) / 10
        assert [path.exists() for path in gone] == [not is_few] * vanished
        assert len(said) == (not is_few)
        prune_orphans(output, [path for path in gone if path.exists()], print, any_number=True)
    assert not any(path.exists() for path in gone)


def test_many_studies_that_vanish_at_once_stay_and_it_is_said_what_to_do(mixed):
    for n in range(3):
        (mixed.output / f"receipts/write/1.9.{n}.jsonl").touch()
    mixed.gather(prune=True)
    (said,) = mixed.warnings
    assert said == (
        "nothing was pruned, because 3 of 5 studies are gone from the source, or not selected, at "
        "once, such as 1.9.0. If a folder is not mounted, mount it and run again. If they were "
        "removed or are not wanted any more, run once with prune=all"
    )
    assert len(mixed.orphans()) == 3
    assert mixed.gather(prune="all").orphans() == []


def test_nothing_is_pruned_while_the_folder_of_a_study_is_there_and_empty(mixed, write_dicom):
    folder = mixed.source / "mounted"
    write_dicom(folder / "deep" / "a.dcm", StudyInstanceUID="1.5")
    mixed.run().gather()
    shutil.rmtree(folder / "deep")  # as after an unmount
    mixed.run().gather(prune=True)
    (said,) = mixed.warnings
    assert said.startswith(f"nothing was pruned, because {folder}, where study 1.5 was, is empty. ")
    assert any("1.5" in path for path in mixed.orphans())
    folder.rmdir()
    mixed.run().gather(prune=True)
    assert mixed.orphans() == []


def test_what_was_pruned_is_counted(mixed):
    make_orphans(mixed).gather(prune=True)
    assert Summary.read(mixed.output / "receipts/summary.json").pruned == len(ORPHANS)


def test_bad_file_does_not_keep_prune_from_its_work(mixed):
    assert "b.dcm" in make_orphans(mixed).gather(prune=True).failures()
    assert mixed.orphans() == []
