"""Stacks of series in runs: what is written, counted and made again."""

import pytest

from dicom_preprocessing import read_manifest
from tests.workflow.conftest import Project, rows, tiffs
from tests.workflow.tiny import instance, save

AXIAL = [1, 0, 0, 0, 1, 0]


def add_slice(project, study, series, number, **changes):
    attributes = {
        "SeriesInstanceUID": f"{study}.{series}",
        "SOPInstanceUID": f"{study}.{series}.{number}",
        "Modality": "CT",
        "ImageOrientationPatient": AXIAL,
        "ImagePositionPatient": [0, 0, 2 * number],
    }
    path = project.source / study / f"{series}-{9 - number}.dcm"
    return save(instance(study, number, **attributes | changes), path)


@pytest.fixture
def archive(tmp_path):
    """Two series of three slices in one study, one of them with a scout; and one in another."""
    config = {"source": "source", "series": "stack", "crop": True}
    project = Project(tmp_path / "a project", config=config, is_served=True)
    project.folder.mkdir()
    for study, series in (("1.2.1", 5), ("1.2.1", 6), ("1.2.2", 5)):
        for number in (1, 2, 3):
            add_slice(project, study, series, number)
    add_slice(project, "1.2.1", 6, 4, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    return project


def pages(project):
    return [(row["path"], row["page"], row["source_path"]) for row in slices(project)]


def slices(project):
    return rows(project.results / "slices.csv")


def test_volumes_are_in_manifest_slices_and_closing_lines(archive):
    run = archive.run()
    manifest = read_manifest(archive.results)
    assert list(manifest["path"]) == [
        "1.2.1/1.2.1.5.1.tiff",
        "1.2.1/1.2.1.6.1.tiff",
        "1.2.2/1.2.2.5.1.tiff",
    ]
    assert list(manifest["num_frames"]) == [3, 3, 3]
    assert list(manifest["volume"]) == [1, 1, 1]
    assert manifest["volume_id"].nunique() == 3
    assert pages(archive)[:3] == [
        ("1.2.1/1.2.1.5.1.tiff", str(page), f"source/1.2.1/5-{9 - page}.dcm") for page in (1, 2, 3)
    ]
    (left_out,) = rows(archive.results / "failures.csv")
    assert (left_out["error"], left_out["source_path"]) == ("not_selected", "source/1.2.1/6-5.dcm")
    assert "10 files found: 9 written as 3 images, 1 skipped (not_selected 1)" in run.output
    assert "1 stack: scout" in run.output
    assert archive.run().is_noop


def test_a_changed_slice_renews_its_study_and_other_volumes_stay_the_same(archive):
    archive.run()
    before = archive.images()
    add_slice(archive, "1.2.1", 5, 2, PixelData=bytes(2 * 12 * 16))
    run = archive.run()
    after = archive.images()
    assert run.studies == {"1.2.1"}
    assert [name for name in before if before[name] != after[name]] == ["1.2.1/1.2.1.5.1.tiff"]


def test_a_missing_slice_fails_its_volume_and_no_other(archive):
    archive.run()
    add_slice(archive, "1.2.2", 5, 5)
    run = archive.run()
    assert run.studies == {"1.2.2"}
    failures = rows(archive.results / "failures.csv")
    assert {row["error"] for row in failures} == {"not_selected", "volume_error"}
    assert sorted(archive.images()) == ["1.2.1/1.2.1.5.1.tiff", "1.2.1/1.2.1.6.1.tiff"]
    archive.config["stack"] = {"gap": "warn"}
    archive.run()
    assert read_manifest(archive.results)["num_frames"].to_list() == [3, 3, 4]
    (warning,) = [r for r in rows(archive.results / "warnings.csv") if r["code"] == "stack_gap"]
    assert warning["path"] == "1.2.2/1.2.2.5.1.tiff"


def test_kept_stages_and_separate_series_give_what_a_plain_run_gives(archive):
    archive.config |= {"size": [8, 8], "intensity": "stored"}
    archive.run()
    expected, table = archive.images(), (archive.results / "slices.csv").read_bytes()
    archive.config["keep"] = ["decode", "crop"]
    archive.run()
    assert (archive.images(), (archive.results / "slices.csv").read_bytes()) == (expected, table)
    archive.config |= {"series": "separate", "keep": []}
    archive.run()
    assert len(archive.images()) == 10


def test_shards_give_what_a_plain_run_gives(archive):
    archive.run()
    expected = archive.images(), (archive.results / "slices.csv").read_bytes()
    archive.config["output"] = "sharded"
    archive.run("index")
    for number in (0, 1):
        archive.run("--config", f"shard={number},2")
    archive.run("--config", "gather=2")
    output = archive.folder / "sharded"
    assert (tiffs(output / "images"), (output / "slices.csv").read_bytes()) == expected
