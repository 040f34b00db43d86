"""Retries: what earlier jobs left to be tried again, and what other limits set free."""

import errno
import json
import os

import pytest

from dicom_preprocessing.config import Limits
from dicom_preprocessing.errors import LimitMemoryError
from dicom_preprocessing.index import build
from dicom_preprocessing.index.state import RetryPlan
from dicom_preprocessing.index.table import IndexFolder, digest_inventory, read_inventory
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.results.receipts import new_receipt
from dicom_preprocessing.workflow.retries import plan_retries, receipt_matches
from tests.unit.retries import fail_transiently, finish, update
from tests.unit.run_results import update_with_retries


@pytest.fixture
def indexed(source, output, write_dicom):
    """A source of two studies, indexed."""
    write_dicom(source / "a.dcm")
    write_dicom(source / "b.dcm", StudyInstanceUID="1.2.4")
    update(source, output)
    return source


def attempt_of(output, study="1.2.3"):
    return read_inventory(IndexFolder(output).inventory(study))[0].attempt


def test_attempt_is_one_at_first(indexed, output):
    assert attempt_of(output) == 1


def test_attempt_stays_while_nothing_failed(indexed, output):
    update(indexed, output)
    assert attempt_of(output) == 1


def test_attempt_is_raised_for_a_study_with_a_transient_failure(indexed, output):
    fail_transiently(output)
    update(indexed, output)
    assert attempt_of(output) == 2


def test_attempt_of_other_studies_stays(indexed, output):
    fail_transiently(output)
    update(indexed, output)
    assert attempt_of(output, "1.2.4") == 1


def test_attempt_is_raised_once_for_each_failure(indexed, output):
    fail_transiently(output)
    update(indexed, output)
    update(indexed, output)
    assert attempt_of(output) == 2


def test_attempt_is_raised_to_three_at_most(indexed, output):
    attempts = []
    for _ in range(5):
        fail_transiently(output)
        update(indexed, output)
        attempts.append(attempt_of(output))
    assert attempts == [2, 3, 3, 3, 3]


def test_permanent_failure_is_not_tried_again(indexed, output):
    (entry,) = read_inventory(IndexFolder(output).inventory("1.2.3"))
    error = LimitMemoryError("for good", transient=False)
    finish(output, new_receipt(entry).as_failed(error, "decode"))
    update(indexed, output)
    assert attempt_of(output) == 1


def test_attempt_starts_again_when_the_file_changes(indexed, output):
    fail_transiently(output)
    update(indexed, output)
    os.utime(indexed / "a.dcm", ns=(1, 1))
    update(indexed, output)
    assert attempt_of(output) == 1


def test_missing_named_path_asks_for_no_retry(indexed, output):
    sources = [str(indexed), str(indexed / "none.dcm")]
    update_with_retries(output, sources, excluded=[str(output)])
    assert plan_retries(IndexFolder(output)).count == 0


@pytest.fixture
def limited(source, output, write_dicom):
    """Of two studies, the first was stopped by a limit of one pixel."""
    for study in ("1.2.3", "1.2.4"):
        write_dicom(source / f"{study}.dcm", StudyInstanceUID=study)
    update(source, output, limits=Limits(pixels=1))
    folder = IndexFolder(output)
    process_limited(folder)
    return folder


def process_limited(folder):
    """What jobs would tell of both studies."""
    receipts = folder.output / "receipts" / "write"
    receipts.mkdir(parents=True, exist_ok=True)
    for study, error in (("1.2.3", "limit_pixels"), ("1.2.4", "decode_error")):
        digest = digest_inventory(folder.inventory(study))
        line = {"state": "failed", "error": error, "inventory": digest}
        (receipts / f"{study}.jsonl").write_text(json.dumps(line))


def renewals(folder):
    return [read_inventory(folder.inventory(s))[0].renewal for s in ("1.2.3", "1.2.4")]


def test_other_limits_try_again_what_the_old_ones_stopped(limited, source, output):
    update(source, output, limits=Limits(pixels=1))
    assert renewals(limited) == [0, 0]
    update(source, output, limits=Limits(pixels=99))
    assert renewals(limited) == [1, 0]
    assert limited.read_request().limits == Limits(pixels=99)
    process_limited(limited)
    update(source, output, limits=Limits(pixels=100))
    assert renewals(limited) == [2, 0]
    os.utime(source / "1.2.3.dcm", ns=(1, 1))
    update(source, output, limits=Limits(pixels=100))
    assert renewals(limited) == [2, 0]


def test_other_limits_start_the_attempts_anew(limited, source, output):
    inventory = limited.inventory("1.2.3")
    inventory.write_text(inventory.read_text().replace('"attempt": 1', '"attempt": 3'))
    process_limited(limited)
    update(source, output, limits=Limits(pixels=99))
    (entry,) = read_inventory(inventory)
    assert (entry.attempt, entry.renewal) == (1, 1)


def test_other_limits_try_again_what_a_kept_stage_was_stopped_at(limited, source, output):
    """Also where the stage behind it did not come to its turn."""
    (output / "receipts" / "write").rename(output / "receipts" / "decode")
    update(source, output, limits=Limits(pixels=99))
    assert renewals(limited) == [1, 0]


def test_study_that_waits_to_be_tried_with_other_limits_is_renewed_once(limited, source, output):
    for pixels in (99, 100):
        update(source, output, limits=Limits(pixels=pixels))
        assert renewals(limited) == [1, 0]


def test_other_limits_do_so_also_when_the_index_was_ended_meanwhile(
    limited, source, output, monkeypatch
):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(build, "_renew_inventory", full)
        with pytest.raises(OSError, match="No space left"):
            update(source, output, limits=Limits(pixels=99))
    update(source, output, limits=Limits(pixels=99))
    assert renewals(limited) == [1, 0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cut {",
        "[]",
        '{"recipe": "c", "seconds": {}}',
        '{"transient": ["../../../etc", "1.2.9"]}',
        '{"transient": null}',
    ],
)
def test_summary_that_tells_nothing_of_this_index_asks_for_no_retry(indexed, output, text):
    fail_transiently(output)
    ResultsFolder(output).summary.write_text(text)
    assert plan_retries(IndexFolder(output)) == RetryPlan()


def test_failures_that_a_user_edited_decide_nothing(indexed, output):
    fail_transiently(output)
    (output / "failures.csv").write_text("mine;own;columns\n")
    assert plan_retries(IndexFolder(output)).studies == {"1.2.3"}


def test_receipt_that_was_cut_asks_for_no_retry(indexed, output):
    fail_transiently(output)
    path = ResultsFolder(output).receipt("write", "1.2.3")
    path.write_text(path.read_text()[:-9])
    assert plan_retries(IndexFolder(output)) == RetryPlan()


def test_limit_in_the_name_of_a_file_is_none(limited, output):
    path = ResultsFolder(output).receipt("write", "1.2.4")
    path.write_text(path.read_text().replace("{", '{"source_path": "limit_time.dcm", ', 1))
    assert plan_retries(limited, Limits(pixels=99)).renewed == {"1.2.3"}


def test_error_is_found_however_the_json_is_spaced(limited, output):
    path = ResultsFolder(output).receipt("write", "1.2.3")
    path.write_text(path.read_text().replace('": "', '":"'))
    assert plan_retries(limited, Limits(pixels=99)).renewed == {"1.2.3"}


def test_receipt_is_made_of_its_digests(tmp_path):
    path = tmp_path / "receipt.jsonl"
    assert not receipt_matches(path, "c", "i")
    path.write_text('{"recipe": "c", "inventory": "i"}\n')
    assert receipt_matches(path, "c", "i")
    assert not receipt_matches(path, "c", "other")
    path.write_text('{"recipe": ')
    assert not receipt_matches(path, "c", "i")
