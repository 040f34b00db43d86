"""Counts of a run, and whether they are good enough."""

import pytest

from dicom_preprocessing.results.verdict import Counts, count_files, find_failure_reason, judge_run
from tests.unit.receipts import HandMadeRun, failed, stack, written
from tests.unit.run_results import NOT_UTF_8

# Files that break the standard make pydicom warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def test_files_that_have_no_other_outcome_are_written():
    outcomes = [("skipped", "not_dicom"), ("failed", "damaged"), ("skipped", "not_dicom")]
    assert count_files(12, outcomes) == Counts(9, {"not_dicom": 2}, {"damaged": 1})


def test_counts_add_up_to_the_files_found():
    assert Counts(9, {"not_dicom": 2}, {"damaged": 1, "bad_uid": 3}).found == 15


def test_counts_are_one_line_of_text():
    counts = Counts(9, {"not_dicom": 2}, {"damaged": 1, "bad_uid": 3})
    assert str(counts) == (
        "15 files found: 9 written, 2 skipped (not_dicom 2), 4 failed (bad_uid 3, damaged 1)"
    )


def test_counts_mention_images_with_warnings_where_there_are_some():
    counts = count_files(4, [("failed", "damaged")], 2)
    assert str(counts) == (
        "4 files found: 3 written (2 with warnings), 0 skipped, 1 failed (damaged 1)"
    )


def test_counts_of_a_clean_run():
    assert str(Counts(3, {}, {})) == "3 files found: 3 written, 0 skipped, 0 failed"


def test_counts_of_stacks_are_of_files_and_of_images():
    counts = count_files(12, [("skipped", "not_dicom"), ("failed", "damaged")], 1, stacked=8)
    assert counts.images == 2
    assert str(counts) == (
        "12 files found: 10 written as 2 images (1 with warnings), 1 skipped (not_dicom 1), "
        "1 failed (damaged 1)"
    )


def test_counts_of_one_stack():
    assert str(count_files(3, [], stacked=2)) == (
        "3 files found: 3 written as 1 image, 0 skipped, 0 failed"
    )


def test_verdict_counts_files_and_images(tmp_path):
    receipts = [*stack("1", "2", "3"), written("4"), failed("5")]
    run = HandMadeRun(tmp_path, *receipts, excluded=["/in/a.txt"])
    run.gather()
    assert judge_run(run.output, strict=False) is None
    assert run.results.verdict.read_text() == (
        "6 files found: 4 written as 2 images, 1 skipped (not_dicom 1), 1 failed (damaged 1)\n"
    )


COMPLAINTS = [
    (Counts(1, {}, {}), False, None, None),
    (Counts(1, {}, {}), True, None, None),
    (Counts(1, {}, {"damaged": 2}), False, None, None),
    (Counts(1, {}, {"damaged": 2}), True, None, "strict: 2 files failed"),
    (Counts(1, {"not_dicom": 2}, {}), True, None, None),
    (Counts(1, {"not_dicom": 1}, {}), False, "a.txt", None),
    (Counts(1, {"not_dicom": 1}, {}), True, "a.txt", "strict: a.txt was named and is not DICOM"),
    (Counts(0, {"not_dicom": 1}, {}), False, None, "no file was written"),
    (Counts(0, {}, {"damaged": 1}), True, None, "no file was written"),
    (Counts(0, {}, {}), False, None, None),
]


@pytest.mark.parametrize(("counts", "strict", "named", "expected"), COMPLAINTS)
def test_complaint(counts, strict, named, expected):
    assert find_failure_reason(counts, strict=strict, named_not_written=named) == expected


def verdict_of(results, *, strict=False):
    results.gather()
    problem = judge_run(results.output, strict=strict)
    return problem and problem.split(" (")[0]


def verdict_text(results):
    path = results.output / "verdict.txt"
    return path.read_text() if path.exists() else None


def test_run_with_bad_files_passes(mixed):
    assert verdict_of(mixed) is None
    assert verdict_text(mixed) == (
        "4 files found: 2 written, 1 skipped (not_dicom 1), 1 failed (short_pixel_data 1)\n"
    )


def test_images_with_warnings_are_counted_once_each(results, write_dicom):
    write_dicom(results.source / "a.dcm")
    blank = ((0,) * 4,) * 3
    for name in "bc":
        attributes = {"StudyInstanceUID": f"1.2.{name}", "PhotometricInterpretation": "monochrome2"}
        write_dicom(results.source / f"{name}.dcm", blank, **attributes)
    assert verdict_of(results.run(crop=True), strict=True) is None
    assert verdict_text(results) == (
        "3 files found: 3 written (2 with warnings), 0 skipped, 0 failed\n"
    )


def test_strict_run_with_bad_files_does_not_pass(mixed):
    assert verdict_of(mixed, strict=True) == "strict: 1 file failed"
    assert verdict_text(mixed) is None


def test_complaint_of_a_run_tells_counts_and_where_to_look(mixed):
    mixed.gather()
    assert judge_run(mixed.output, strict=True) == (
        "strict: 1 file failed (4 files found: 2 written, 1 skipped (not_dicom 1), "
        f"1 failed (short_pixel_data 1)); see {mixed.output}/failures.csv"
    )


def test_strict_run_passes_files_met_in_a_folder_that_are_not_dicom(mixed):
    (mixed.source / "b.dcm").unlink()
    mixed.run()
    assert verdict_of(mixed, strict=True) is None


def test_strict_run_with_a_named_file_that_is_not_dicom_does_not_pass(mixed):
    image = mixed.source / "d.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    mixed.run(mixed.source / "a.dcm", image)
    assert verdict_of(mixed, strict=True) == f"strict: {image} was named and is not DICOM"


def test_run_with_a_named_file_that_is_not_dicom_passes(mixed):
    image = mixed.source / "d.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    mixed.run(mixed.source / "a.dcm", image)
    assert verdict_of(mixed) is None


def test_strict_run_with_a_named_path_that_is_missing_does_not_pass(mixed):
    mixed.run(mixed.source / "a.dcm", mixed.source / "none.dcm")
    assert verdict_of(mixed, strict=True) == "strict: 1 file failed"


def test_run_in_which_nothing_was_written_does_not_pass(results):
    (results.source / "a.txt").write_text("text")
    results.run()
    assert verdict_of(results) == "no file was written"
    assert verdict_text(results) is None


def test_named_path_is_printable_in_the_complaint():
    counts = Counts(1, {"not_dicom": 1}, {})
    problem = find_failure_reason(counts, strict=True, named_not_written=NOT_UTF_8)
    assert problem == r"strict: caf\xe9.dcm was named and is not DICOM"
