"""Runs that failed for a while, and what the next one sees."""

from dicom_preprocessing.errors import LimitMemoryError
from dicom_preprocessing.index.state import source_state
from dicom_preprocessing.index.table import IndexFolder, read_inventory
from dicom_preprocessing.results.layout import ResultsFolder
from dicom_preprocessing.results.receipts import new_receipt, write_receipts
from dicom_preprocessing.results.summary import Summary
from dicom_preprocessing.workflow.retries import plan_retries
from tests.unit.run_results import update_with_retries


def update(source, output, **options):
    return update_with_retries(output, [str(source)], excluded=[str(output)], **options)


def fail_transiently(output, study="1.2.3"):
    """Leave what a job and the manifest leave when a file of the study failed transiently."""
    (entry,) = read_inventory(IndexFolder(output).inventory(study))
    receipt = new_receipt(entry).as_failed(LimitMemoryError("not enough memory"), "decode")
    finish(output, receipt)


def finish(output, receipt):
    path = ResultsFolder(output).receipt("write", receipt.study_instance_uid)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_receipts(path, [receipt])
    summary = Summary()
    summary.add(receipt)
    summary.write(ResultsFolder(output).summary)


def state_of(source, output):
    retries = plan_retries(IndexFolder(output))
    return source_state([str(source)], str(output), [str(output)], retries)


def run(source, output, *, fails):
    """A run of the workflow: the state that it sees, and the attempt that it makes, if any.

    Returns
    -------
    str
        The state at the start, which Snakemake compares with that of the run before.
    """
    state = state_of(source, output)
    update(source, output)
    if fails:
        fail_transiently(output)
    else:
        (entry,) = read_inventory(IndexFolder(output).inventory("1.2.3"))
        finish(output, new_receipt(entry))
    return state
