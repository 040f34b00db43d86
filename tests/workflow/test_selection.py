"""Selection and columns in runs: what is written, counted and made again."""

import pytest

from dicom_preprocessing import read_manifest
from tests.workflow.conftest import Project, rows
from tests.workflow.tiny import instance, save

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture
def archive(tmp_path):
    """Two studies: a mammogram, a segmentation and a scout; and two mammograms."""
    config = {"source": "source", "size": [8, 8]}
    project = Project(tmp_path / "a project", config=config, is_served=True)
    project.folder.mkdir()
    mammogram = {"Modality": "MG", "ViewPosition": "CC", "ImageType": ["ORIGINAL", "PRIMARY"]}
    files = {
        "1.2.1/1": mammogram | {"SeriesDescription": "=1+1"},
        "1.2.1/2": {"Modality": "SEG", "SOPClassUID": SEGMENTATION},
        "1.2.1/3": {"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        "1.2.2/1": mammogram,
        "1.2.2/2": mammogram | {"ViewPosition": "MLO", "ImageType": ["DERIVED", "STEREO"]},
    }
    for name, attributes in files.items():
        study, number = name.split("/")
        save(instance(study, int(number), **attributes), project.source / f"{name}.dcm")
    return project


def not_selected(project):
    return {
        row["source_path"].removeprefix("source/"): row["message"]
        for row in rows(project.results / "failures.csv")
        if row["error"] == "not_selected"
    }


def test_what_is_not_selected_is_in_table_closing_lines_and_report(archive):
    run = archive.run()
    assert not_selected(archive) == {"1.2.1/2.dcm": "objects: segmentation"}
    assert "5 files found: 4 written, 1 skipped (not_selected 1), 0 failed\n" in run.output
    assert "Kept, by modality: 3 MG; 1 CT\n" in run.output
    assert "Kept, by SOP class: 4 Secondary Capture Image Storage\n" in run.output
    assert "Not selected, by rule: 1 objects: segmentation\n" in run.output
    report = (archive.results / "report.html").read_text()
    for text in ("Kept by the selection", "Secondary Capture Image Storage", "Not selected"):
        assert text in report
    assert archive.run().is_noop


def test_other_rules_run_the_studies_that_they_change_only(archive):
    archive.run()
    before = archive.images()
    archive.config |= {"exclude": {"ImageType": "LOCALIZER"}}
    run = archive.run()
    assert run.studies == {"1.2.1"}
    assert run.jobs["index"] == 1
    assert not_selected(archive)["1.2.1/3.dcm"] == "exclude ImageType=LOCALIZER"
    after = archive.images()
    assert after == {name: before[name] for name in after}
    archive.config |= {"preset": "mammography"}
    archive.run()
    assert not_selected(archive) == {
        "1.2.1/2.dcm": "objects: segmentation",
        "1.2.1/3.dcm": "preset mammography: include Modality=MG",
        "1.2.2/2.dcm": "preset mammography: exclude ImageType=~(?i)^stereo",
    }
    assert archive.run().is_noop


def test_columns_write_tables_again_and_no_image(archive):
    archive.run()
    archive.config |= {"columns": ["ViewPosition", "source_path", "SeriesDescription"]}
    run = archive.run()
    assert run.studies == set()
    assert run.jobs["manifest"] == 1
    for name in ("manifest.csv", "manifest.parquet"):
        table = read_manifest(archive.results / name)
        assert list(table.columns[-3:]) == ["ViewPosition", "source_path", "SeriesDescription"]
        first = table[table["source_path"] == "source/1.2.1/1.dcm"].iloc[0]
        assert (first["ViewPosition"], first["SeriesDescription"]) == ("CC", "=1+1")
    text = (archive.results / "manifest.csv").read_text()
    assert ",CC,source/1.2.1/1.dcm,'=1+1\n" in text
    assert archive.run().is_noop
    archive.config["columns"] = []
    archive.run()
    assert list(read_manifest(archive.results).columns)[-1] == "warnings"


def test_shards_have_the_columns_and_the_selection_of_the_index(archive):
    archive.config |= {"columns": ["ViewPosition"], "exclude": {"Modality": "CT"}}
    archive.run("--", "index")
    for shard in range(2):
        archive.run("--config", f"shard={shard},2")
    archive.run("--config", "gather=2")
    table = read_manifest(archive.results)
    assert table["ViewPosition"].tolist() == ["CC", "CC", "MLO"]
    refused = archive.run("--config", "shard=0,2", "preset=ct", check=False)
    assert "was made with another selection. Make it again: snakemake index" in refused.output


def test_nothing_selected_is_no_good_run(archive):
    archive.config |= {"include": {"Modality": "US"}}
    run = archive.run(check=False)
    assert run.returncode == 1
    assert "no file was written (5 files found: 0 written, 5 skipped (not_selected 5)" in run.output


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["include={Modalty: MG}"], "found Modalty, which is no DICOM keyword, did you mean"),
        (["columns=PatientName"], "found PatientName, which may name a person"),
        (["exclude={Rows: '>many'}"], "found Rows, which needs a number after >"),
        (["modalities=MG"], "Write instead:\n    include: {Modality: MG}"),
    ],
)
def test_rule_that_cannot_be_used_stops_the_run_before_any_work(archive, values, said):
    run = archive.run("--config", *values, check=False)
    assert run.returncode == 1
    assert said in run.output
    assert not (archive.results / "index").exists()
