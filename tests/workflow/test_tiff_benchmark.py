"""The comparison of compressors as a target of the workflow."""

from tests.workflow.conftest import rows


def test_study_of_what_the_workflow_wrote(finished):
    run = finished.run("results/tiff_benchmark/report.html")
    assert set(run.jobs) == {"tiff_benchmark"}
    folder = finished.results / "tiff_benchmark"
    assert len(rows(folder / "sizes.csv")) == 5
    assert "6 images of 6 frames" in (folder / "summary.txt").read_text()
    assert "TIFF benchmark" in (folder / "report.html").read_text()
    assert finished.run().is_noop


def test_study_is_no_part_of_a_run(first_run):
    project, run = first_run
    assert "tiff_benchmark" not in run.jobs
    assert not (project.results / "tiff_benchmark").exists()
