"""The state of a source: what makes the index run again."""

import os

import pytest

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.index.table import IndexFolder, read_inventory
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.results.receipts import new_receipt, write_receipts
from tests.unit.indexes import unreadable
from tests.unit.retries import fail_transiently, run, state_of, update


def test_state_is_quiet_without_failures(indexed, output):
    assert state_of(indexed, output) == state_of(indexed, output)


def test_state_changes_when_the_source_does(indexed, output):
    before = state_of(indexed, output)
    os.utime(indexed / "a.dcm", ns=(1, 1))
    assert state_of(indexed, output) != before


def test_state_changes_when_a_retry_is_due(indexed, output):
    before = state_of(indexed, output)
    fail_transiently(output)
    assert state_of(indexed, output) != before


def test_state_is_the_same_before_and_after_the_index_counted_the_retry(indexed, output):
    fail_transiently(output)
    before = state_of(indexed, output)
    update(indexed, output)
    assert state_of(indexed, output) == before


def test_state_changes_for_each_of_two_retries_and_is_quiet_after(indexed, output):
    states = [run(indexed, output, fails=True) for _ in range(5)]
    assert len(set(states[:3])) == 3
    assert states[3:] == [states[2]] * 2


def test_state_is_quiet_after_a_retry_that_succeeded(indexed, output):
    run(indexed, output, fails=True)
    retried = run(indexed, output, fails=False)
    assert state_of(indexed, output) == retried


def test_state_is_quiet_when_the_failures_are_older_than_the_receipt(indexed, output):
    before = state_of(indexed, output)
    fail_transiently(output)
    (entry,) = read_inventory(IndexFolder(output).inventory("1.2.3"))
    write_receipts(ResultsFolder(output).receipt("write", "1.2.3"), [new_receipt(entry)])
    assert state_of(indexed, output) == before


def test_state_of_a_source_that_cannot_be_used_is_an_error(source, output):
    with pytest.raises(SourceError, match="contains no files"):
        state_of(source, output)


def test_unreadable_file_asks_for_two_retries_and_is_quiet_after(indexed, output, monkeypatch):
    os.utime(indexed / "a.dcm", ns=(1, 1))
    unreadable(monkeypatch, indexed / "a.dcm")
    states = []
    for _ in range(5):
        states.append(state_of(indexed, output))
        update(indexed, output)
    assert len(set(states[:3])) == 3
    assert states[3:] == [states[2]] * 2


def test_state_is_quiet_after_an_unreadable_file_was_read(indexed, output, monkeypatch):
    os.utime(indexed / "a.dcm", ns=(1, 1))
    with monkeypatch.context() as patch:
        unreadable(patch, indexed / "a.dcm")
        update(indexed, output)
    retried = state_of(indexed, output)
    update(indexed, output)
    assert state_of(indexed, output) == retried
