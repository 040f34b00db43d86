"""Times by stage and warnings, and their sum over parts."""

import json
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.image_warnings import ImageWarning, ImageWarnings
from dicom_preprocessing.results.receipts import Receipt
from dicom_preprocessing.results.summary import Durations, Summary
from tests.unit.receipts import failed, stack, written

RECEIPT = Receipt(
    source_path="a",
    study_instance_uid="1",
    series_instance_uid="1.1",
    sop_instance_uid="1.2",
    attempt=1,
)
ODD, EVEN = ["mosaic", "odd"], ["mosaic", "even"]
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
    assert made.warnings == {"mosaic": (2, "even")}
    assert made.images_with_warnings == 2
    assert {stage: d.number for stage, d in made.seconds.items()} == {"decode": 2, "write": 1}


def test_summary_counts_files_that_are_in_the_image_of_another():
    made = summary_of(*stack("1", "2", "3"), *stack("4", "5"), written("6"), failed("7"))
    assert made.stacked_files == 3


def test_summary_counts_warnings_of_a_stack_once():
    warnings = ImageWarnings([ImageWarning("stack_gap", "two")])
    made = summary_of(*stack("1", "2", "3", warnings=warnings))
    assert (made.images_with_warnings, made.warnings) == (1, {"stack_gap": (1, "two")})


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


CURRENT = {
    "recipe": "c",
    "studies": "s",
    "columns": [],
    "seconds": {},
    "stacked_files": 3,
    "slices": 4,
    "images_with_warnings": 1,
    "warnings": {"mosaic": [1, "odd"]},
    "transient": [],
    "pruned": 0,
}
OF_ANOTHER_VERSION = [
    {"recipe": "c", "seconds": {}, "warnings": {}},
    {name: value for name, value in CURRENT.items() if name != "slices"},
    {name: value for name, value in CURRENT.items() if name != "images_with_warnings"},
    CURRENT | {"warnings": {"mosaic: odd": 1}},
    CURRENT | {"warnings": {"no_such_code": [1, "odd"]}},
]


def test_summary_of_this_version_is_read(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps(CURRENT))
    assert Summary.read(tmp_path / "summary.json").warnings == {"mosaic": (1, "odd")}


@pytest.mark.parametrize("record", OF_ANOTHER_VERSION)
def test_summary_of_another_version_is_refused(tmp_path, record):
    (tmp_path / "summary.json").write_text(json.dumps(record))
    with pytest.raises(
        OutputError, match=r"summary\.json was written by another version: remove it"
    ):
        Summary.read(tmp_path / "summary.json")


@given(st.lists(st.lists(st.tuples(st.sampled_from(["mosaic", "unknown_vr"]), st.text()))))
def test_warnings_are_counted_by_image_however_the_images_are_split(images):
    receipts = [replace(RECEIPT, source_info={"warnings": warnings}) for warnings in images]
    whole = summary_of(*receipts)
    for split in range(len(images)):
        parts = summary_of(*receipts[split:])
        parts += summary_of(*receipts[:split])
        assert parts == whole
    assert whole.images_with_warnings == sum(map(bool, images))
    for code in ("mosaic", "unknown_vr"):
        having = [warnings for warnings in images if code in dict(warnings)]
        messages = [text for warnings in having for c, text in warnings if c == code]
        expected = (len(having), min(messages)) if having else None
        assert whole.warnings.get(code) == expected


def test_summary_stays_short_however_many_messages_there_are(tmp_path):
    many = (replace(RECEIPT, source_info={"warnings": [["mosaic", f"{n}"]]}) for n in range(9999))
    summary_of(*many).write(tmp_path / "summary.json")
    assert (tmp_path / "summary.json").stat().st_size < 500


def test_summaries_add_up():
    first = replace(RECEIPT, seconds={"decode": 0.5}, source_info={"warnings": [ODD]})
    second = replace(
        RECEIPT, seconds={"decode": 0.25, "crop": 1.0}, source_info={"warnings": [ODD]}
    )
    second = replace(second, transient=True)
    stacked = stack("1", "2")
    whole = summary_of(first)
    whole += summary_of(second, *stacked)
    assert whole == summary_of(first, second, *stacked)


def test_numbers_of_slices_add_up():
    whole = Summary(slices=3)
    whole += Summary(slices=4)
    assert whole.slices == 7
