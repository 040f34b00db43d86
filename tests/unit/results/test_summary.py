"""Times by stage and warnings, and their sum over parts."""

import statistics
from dataclasses import replace

import pytest

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.results.receipts import Receipt
from dicom_preprocessing.results.summary import Durations, Summary

RECEIPT = Receipt(
    source_path="a",
    study_instance_uid="1",
    series_instance_uid="1.1",
    sop_instance_uid="1.2",
    attempt=1,
)
ODD, EVEN = ["mosaic", "odd"], ["mosaic", "even"]
ODD_INFO = {"warnings": [["mosaic", "ö"]]}
TIMES = [0.001 * 1.37**n for n in range(25)]


def durations(times):
    made = Durations()
    for seconds in times:
        made.add(seconds)
    return made


def test_number_total_and_longest_are_exact():
    made = durations(TIMES)
    assert (made.number, made.longest) == (25, TIMES[-1])
    assert made.total == pytest.approx(sum(TIMES))


@pytest.mark.parametrize("times", [TIMES, TIMES[:3], [0.5], [2.0, 2.0, 9.0]])
def test_median_is_right_to_a_percent(times):
    assert durations(times).median == pytest.approx(statistics.median(times), rel=0.01)


def test_no_time_at_all():
    assert (Durations().number, Durations().median) == (0, 0.0)
    assert durations([0.0]).median == 0.0


def test_parts_add_up():
    whole = durations(TIMES[:7])
    whole += durations(TIMES[7:])
    assert (whole.bins, whole.longest) == (durations(TIMES).bins, TIMES[-1])


def summary_of(*receipts, recipe="c"):
    made = Summary(recipe, "studies")
    for receipt in receipts:
        made.add(receipt)
    return made


def test_summary_counts_warnings_and_times_by_stage():
    made = summary_of(
        replace(RECEIPT, seconds={"decode": 0.5}, source_info={"warnings": [ODD, EVEN]}),
        replace(RECEIPT, seconds={"decode": 0.5, "write": 1.0}, source_info={"warnings": [ODD]}),
        replace(RECEIPT, state="failed"),
    )
    assert made.warnings == {"mosaic: odd": 2, "mosaic: even": 1}
    assert {stage: d.number for stage, d in made.seconds.items()} == {"decode": 2, "write": 1}


def test_summary_names_studies_with_a_transient_failure():
    made = summary_of(
        replace(RECEIPT, state="failed", transient=True),
        replace(RECEIPT, state="failed", study_instance_uid="2"),
    )
    assert made.transient == {"1"}


def test_summary_is_read_as_it_was_written(tmp_path):
    made = summary_of(
        replace(
            RECEIPT,
            seconds={"decode": 0.5},
            source_info={"warnings": [["mosaic", "ö"]]},
            transient=True,
        )
    )
    made.write(tmp_path / "summary.json")
    assert Summary.read(tmp_path / "summary.json") == made


def test_summary_of_another_version_is_refused(tmp_path):
    (tmp_path / "summary.json").write_text('{"recipe": "c", "seconds": {}, "warnings": {}}')
    with pytest.raises(
        OutputError, match=r"summary\.json was written by another version: remove it"
    ):
        Summary.read(tmp_path / "summary.json")


def test_summaries_add_up():
    first = replace(RECEIPT, seconds={"decode": 0.5}, source_info={"warnings": [ODD]})
    second = replace(
        RECEIPT, seconds={"decode": 0.25, "crop": 1.0}, source_info={"warnings": [ODD]}
    )
    second = replace(second, transient=True)
    whole = summary_of(first)
    whole += summary_of(second)
    assert whole == summary_of(first, second)
