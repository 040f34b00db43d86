"""Shards: which study belongs to which, and parts that are up to date or gone."""

from collections import Counter

import pytest

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.index.table import IndexFolder
from dicom_preprocessing.results.collection import (
    collect_parts,
    collect_receipts,
    write_part,
    write_results,
)
from dicom_preprocessing.results.parts import Part
from dicom_preprocessing.results.summary import Summary
from dicom_preprocessing.workflow.shards import (
    assign_to_shards,
    belongs_to,
    find_other_parts,
    find_parts,
    invalidate_parts,
    list_parts,
    shard_of,
)
from tests.unit.run_results import Results

RESULTS = ("failures.csv", "manifest.csv", "manifest.parquet", "orphans.txt", "retry.txt")
RESULTS += ("slices.csv", "warnings.csv")


def test_study_stays_in_its_shard_for_ever():
    # Computed once by `int(sha256(uid)[:16], 16) % n`; other numbers would move every study.
    assert [shard_of("1.2.840.1", n) for n in (1, 2, 8, 1000)] == [0, 0, 2, 162]


def test_studies_are_dealt_out_evenly():
    numbers = Counter(shard_of(f"1.2.840.{n}", 8) for n in range(8000))
    assert sorted(numbers) == list(range(8))
    assert all(900 < number < 1100 for number in numbers.values())


def test_folders_of_parts(tmp_path):
    assert Part(tmp_path, 3, 8).folder == tmp_path / "shards" / "3-of-8"
    assert [part.shard for part in list_parts(tmp_path, 3)] == [0, 1, 2]


def test_other_folders_are_no_parts(tmp_path):
    for name in ("0-of-2", "10-of-12", "x-of-2", "1-of-", "notes"):
        (tmp_path / "shards" / name).mkdir(parents=True)
    assert find_parts(tmp_path) == [Part(tmp_path, 0, 2), Part(tmp_path, 10, 12)]


def test_without_shards_there_are_no_parts(tmp_path):
    assert find_parts(tmp_path) == []


def test_parts_of_a_changed_study_are_withdrawn_whatever_the_number_of_shards(tmp_path):
    parts = [*list_parts(tmp_path, 2), *list_parts(tmp_path, 3)]
    for part in parts:
        part.folder.mkdir(parents=True)
        part.summary.touch()
    invalidate_parts(tmp_path, ["1.2.840.1"])
    assert [part.summary.exists() for part in parts] == [
        not belongs_to("1.2.840.1", part) for part in parts
    ]


@pytest.fixture
def results(tmp_path, write_dicom):
    """Nine studies, of which one has a bad file and two have warnings, and another file."""
    made = Results(tmp_path)
    for n in range(9):
        spelling = "monochrome2" if n in (1, 5) else "MONOCHROME2"
        attributes = {"StudyInstanceUID": f"1.2.{n}", "PhotometricInterpretation": spelling}
        write_dicom(made.source / f"{n}.dcm", **attributes)
    bad = write_dicom(made.source / "z.dcm", StudyInstanceUID="1.2.3", SOPInstanceUID="1.2.3.9")
    bad.write_bytes(bad.read_bytes()[:-3])
    (made.source / "text").write_text("text")
    return made.run()


def make_part(results, part):
    part.folder.mkdir(parents=True, exist_ok=True)
    mine = assign_to_shards(studies_of(results), part.shards)[part.shard]
    write_part(collect_receipts(results.output, mine, results.recipe), part, mine)


def test_part_leaves_nothing_that_its_killed_jobs_left_and_all_of_other_shards(results):
    part, receipts = Part(results.output, 0, 2), results.output / "receipts" / "write"
    mine, others = assign_to_shards(studies_of(results), 2)
    left = [receipts / f".{s.study_instance_uid}.jsonl.{'0' * 32}" for s in (*mine, *others)]
    part.folder.mkdir(parents=True)
    own = part.folder / f".manifest.csv.{'1' * 32}"
    for path in (*left, own):
        path.write_text("half")
    make_part(results, part)
    assert [path.exists() for path in left] == [False] * len(mine) + [True] * len(others)
    assert not own.exists()


def studies_of(results):
    return IndexFolder(results.output).read_studies().values()


def gather(results, shards, recipe=None):
    studies = assign_to_shards(studies_of(results), shards)
    parts = zip(list_parts(results.output, shards), studies, strict=True)
    return collect_parts(parts, recipe or results.recipe)


def write(results, shards):
    """Gather the parts of a run in so many shards."""
    old_parts = find_other_parts(results.output, shards)
    write_results(results.output, gather(results, shards), old_parts=old_parts)


def test_parts_together_are_what_one_run_gathers(results):
    results.gather()
    before = {name: (results.output / name).read_bytes() for name in RESULTS}
    assert before["warnings.csv"].count(b"photometric_spelling") == 2
    summary = Summary.read(results.output / "receipts" / "summary.json")
    for part in list_parts(results.output, 3):
        make_part(results, part)
    write(results, 3)
    assert {name: (results.output / name).read_bytes() for name in RESULTS} == before
    after = Summary.read(results.output / "receipts" / "summary.json")
    assert after.images_with_warnings == summary.images_with_warnings == 2
    assert after.warnings == summary.warnings


def test_part_that_is_missing_is_named(results):
    parts = list_parts(results.output, 2)
    make_part(results, parts[0])
    with pytest.raises(OutputError, match=r"^shard 1 of 2 has not finished; run it again$"):
        gather(results, 2)


def test_part_of_a_version_without_warnings_is_to_be_run_again(results):
    parts = list_parts(results.output, 2)
    for part in parts:
        make_part(results, part)
    parts[1].warnings.unlink()
    with pytest.raises(OutputError, match=r"^shard 1 of 2 has not finished; run it again$"):
        gather(results, 2)


def test_part_of_other_settings_is_refused(results):
    for part in list_parts(results.output, 2):
        make_part(results, part)
    with pytest.raises(OutputError, match=r"^shard 0 of 2 was run with other settings; run it"):
        gather(results, 2, "another")


def test_part_that_was_written_after_the_index_changed_is_refused(results, write_dicom):
    """As by a shard that was running when the index was made anew."""
    parts = list_parts(results.output, 2)
    for part in parts:
        make_part(results, part)
    late = parts[shard_of("1.2.5", 2)]
    before = late.summary.read_bytes()
    write_dicom(results.source / "5.dcm", [[1, 2]], StudyInstanceUID="1.2.5")
    results.run()
    late.summary.write_bytes(before)
    message = rf"^shard {late.shard} of 2 is older than the index; run it again$"
    with pytest.raises(OutputError, match=message):
        gather(results, 2)


def test_part_without_some_of_its_files_is_refused(results):
    parts = list_parts(results.output, 2)
    for part in parts:
        make_part(results, part)
    lines = parts[1].manifest.read_text().splitlines(keepends=True)
    parts[1].manifest.write_text("".join(lines[:-1]))
    with pytest.raises(OutputError, match=r"^shard 1 of 2: .*1-of-2 lists \d files? instead of"):
        gather(results, 2)


def present(results, shards):
    return {p.shard for p in list_parts(results.output, shards) if p.summary.exists()}


def test_index_withdraws_the_part_of_a_changed_study_only(results, write_dicom):
    for part in list_parts(results.output, 4):
        make_part(results, part)
    results.run()
    assert present(results, 4) == {0, 1, 2, 3}
    write_dicom(results.source / "new.dcm", StudyInstanceUID="1.2.5", SOPInstanceUID="1.2.5.9")
    results.run()
    assert present(results, 4) == {0, 1, 2, 3} - {shard_of("1.2.5", 4)}


def test_index_withdraws_the_part_of_a_study_that_vanished(results):
    for part in list_parts(results.output, 4):
        make_part(results, part)
    (results.source / "7.dcm").unlink()
    results.run()
    assert present(results, 4) == {0, 1, 2, 3} - {shard_of("1.2.7", 4)}


def test_parts_of_another_number_of_shards_are_orphans(results):
    for part in [*list_parts(results.output, 2), *list_parts(results.output, 3)]:
        make_part(results, part)
    write(results, 2)
    assert results.orphans() == ["shards/0-of-3", "shards/1-of-3", "shards/2-of-3"]
    assert results.gather().orphans() == [
        *("shards/0-of-2", "shards/0-of-3", "shards/1-of-2", "shards/1-of-3", "shards/2-of-3")
    ]
