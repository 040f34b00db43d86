"""A selection at the index: states, counts, the cache, and columns for the manifest."""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.selection import EVERYTHING, selection_of
from dicom_preprocessing.index.selection import Census, Selector
from dicom_preprocessing.index.table import IndexFolder
from tests.unit.indexes import index_of, update

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
CT = "1.2.840.10008.5.1.4.1.1.2"
DOSE = "1.2.840.10008.5.1.4.1.1.481.2"


def selection(**values):
    return selection_of(parse_config(values)[0])


def messages(index):
    return {item.source_path.rpartition("/")[2]: item.message for item in index.excluded_files}


@pytest.fixture(scope="module")
def archive(tmp_path_factory, write_dicom):
    """Eight files of different kinds, one of them a report and one no DICOM."""
    source = tmp_path_factory.mktemp("archive")
    files = {
        "ct.dcm": {
            "Modality": "CT",
            "SOPClassUID": CT,
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        },
        "scout.dcm": {
            "Modality": "CT",
            "SOPClassUID": CT,
            "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
        },
        "mg.dcm": {"Modality": "MG", "ViewPosition": "CC", "PatientID": "A 1"},
        "us.dcm": {"Modality": "US", "SeriesDescription": "=SUM(A1)"},
        "seg.dcm": {"Modality": "SEG", "SOPClassUID": SEGMENTATION},
        "dose.dcm": {"Modality": "RTDOSE", "SOPClassUID": DOSE},
    }
    for number, (name, attributes) in enumerate(files.items()):
        uids = {"StudyInstanceUID": f"1.{number % 3}", "SOPInstanceUID": f"1.2.{number}"}
        write_dicom(source / name, **uids, **attributes)
    write_dicom(source / "report.dcm", None, Modality="SR")
    (source / "notes.txt").write_text("notes")
    return source


@pytest.mark.parametrize("given", [CT, "CT Image Storage", "CTImageStorage"])
def test_classes_are_selected_by_uid_name_or_keyword(archive, given):
    index = index_of(archive, selector=Selector(selection(include={"SOPClassUID": given})))
    assert {"ct.dcm", "scout.dcm"}.isdisjoint(messages(index))
    assert "mg.dcm" in messages(index)


def test_objects_that_are_no_images_are_left_out(archive):
    index = index_of(archive, selector=Selector(selection()))
    assert messages(index) == {
        "seg.dcm": "objects: segmentation",
        "dose.dcm": "objects: dose",
        "report.dcm": "a data set without pixel data",
        "notes.txt": "starts with neither the DICM prefix nor a data set",
    }
    assert {item.state for item in index.excluded_files} == {"skipped"}
    assert index.census.modalities == {"CT": 2, "MG": 1, "US": 1}
    assert index.census.rejected == {"objects: segmentation": 1, "objects: dose": 1}


def test_rule_that_keeps_a_file_out_is_its_message(archive):
    chosen = selection(objects="all", preset="ct", exclude={"Rows": ">=9"})
    found = messages(index_of(archive, selector=Selector(chosen)))
    assert (
        found["scout.dcm"]
        == "preset ct: exclude ImageType=~(?i)^(localizer|scout|topogram|surview|scanogram)$"
    )
    assert found["mg.dcm"] == found["dose.dcm"] == "preset ct: include Modality=CT"


def test_sop_class_may_be_given_by_its_name(archive):
    chosen = selection(objects="all", include={"SOPClassUID": "Segmentation Storage"})
    index = index_of(archive, selector=Selector(chosen))
    assert [e.modality for entries in index.studies.values() for e in entries] == ["SEG"]


@pytest.mark.parametrize("name", ["seg.dcm", "mg.dcm"])
def test_named_file_is_exempt_from_objects_and_preset_only(archive, name):
    source = str(archive / name)
    index = index_of(source, selector=Selector(selection(preset="ct"), [source]))
    assert index.excluded_files == []
    chosen = selection(preset="ct", include={"Modality": "CT"})
    index = index_of(source, selector=Selector(chosen, [source]))
    assert list(messages(index).values()) == ["include Modality=CT"]


def test_file_of_a_list_is_not_exempt(archive, tmp_path):
    (tmp_path / "list.txt").write_text(str(archive / "seg.dcm"))
    index = index_of(
        tmp_path / "list.txt", selector=Selector(selection(), [str(tmp_path / "list.txt")])
    )
    assert list(messages(index).values()) == ["objects: segmentation"]


KEYWORDS = {
    "Modality": ["CT", "MG", "~^.S", ""],
    "ImageType": ["LOCALIZER", "~(?i)axial"],
    "Rows": [">=3", "<3", "3"],
    "SOPClassUID": [DOSE, "Segmentation Storage"],
    "ViewPosition": ["CC", None],
    "PatientID": ["A 1", "B 2"],
    "SeriesDescription": ["~SUM", "x"],
}
RULES = st.dictionaries(st.sampled_from(list(KEYWORDS)), st.just(None), max_size=3).flatmap(
    lambda chosen: st.fixed_dictionaries(
        {k: st.lists(st.sampled_from(KEYWORDS[k]), min_size=1, unique=True) for k in chosen}
    )
)
CONFIGS = st.fixed_dictionaries(
    {
        "include": RULES,
        "exclude": RULES,
        "objects": st.sampled_from([["image"], ["image", "dose"], ["segmentation"], ["all"]]),
        "preset": st.sampled_from(["none", "ct", "mammography", "ultrasound"]),
    }
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=CONFIGS)
def test_census_adds_up_whatever_the_rules(archive, values):
    index = index_of(archive, selector=Selector(selection(**values)))
    everything = index_of(archive, selector=Selector(EVERYTHING))
    assert index.found == everything.found == 8
    assert index.census.kept.total() == sum(map(len, index.studies.values()))
    not_selected = [i for i in index.excluded_files if i.error == "not_selected"]
    assert index.census.rejected.total() == len(not_selected)
    others = {i.source_path for i in index.excluded_files if i.error != "not_selected"}
    assert others == {i.source_path for i in everything.excluded_files}


def test_other_rules_read_no_file_again(indexed, output, parsed):
    update(indexed, output, selection=selection(include={"Modality": "CT"}))
    update(indexed, output, selection=selection(exclude={"Rows": ">=3"}, preset="none"))
    assert parsed == []


def test_rule_on_another_keyword_costs_one_scan(indexed, output, parsed):
    for chosen in (
        {"StudyDescription": "x"},
        {"StudyDescription": "y"},
        {"Modality": "CT"},
        {"StudyDescription": "z"},
    ):
        update(indexed, output, selection=selection(exclude=chosen))
    assert parsed == ["a.dcm", "b.dcm", "c.png"]


def test_other_rules_renew_no_study_that_is_kept(archive, output):
    def inventories():
        folder = IndexFolder(output).studies
        return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}

    update(archive, output, selection=selection())
    before = inventories()
    update(archive, output, selection=selection(exclude={"Modality": "US"}, columns=["Rows"]))
    after = inventories()
    assert {name for name in before if after[name] != before[name]} == {"1.0.jsonl"}


def test_columns_are_kept_by_path(archive, output):
    columns = ["ViewPosition", "SeriesDescription", "ImageType", "source_path"]
    update(archive, output, selection=selection(columns=columns))
    values = {}
    for study in IndexFolder(output).read_studies():
        values |= IndexFolder(output).read_columns(study)
    by_name = {path.rpartition("/")[2]: cells for path, cells in values.items()}
    assert by_name["mg.dcm"] == ["CC", "", ""]
    assert by_name["us.dcm"] == ["", "=SUM(A1)", ""]
    assert by_name["ct.dcm"] == ["", "", "ORIGINAL\\PRIMARY\\AXIAL"]


def test_census_is_kept_for_summary_and_report(archive, output):
    update(archive, output, selection=selection(exclude={"Modality": "US"}))
    census = IndexFolder(output).read_census()
    assert list(census.describe()) == [
        "Kept, by modality: 2 CT; 1 MG",
        "Kept, by SOP class: 2 CT Image Storage; 1 Secondary Capture Image Storage",
        "Not selected, by rule: 1 exclude Modality=US; 1 objects: dose; 1 objects: segmentation",
    ]
    record = json.loads(IndexFolder(output).request.read_text())
    assert record["selection"]["rules"] == [["Modality", ["US"], True, ""]]


def test_stored_census_has_its_names(monkeypatch):
    kept = Counter({("CT", CT): 2, ("", ""): 1, ("US", "1.2.840.9"): 9})
    stored = Census(kept).to_json()
    monkeypatch.setattr("dicom_preprocessing.index.selection.name_class", None)
    assert Census.from_json(stored) == Census(kept)
    assert list(Census.from_json(stored).describe()) == [
        "Kept, by modality: 9 US; 2 CT; 1 unknown",
        "Kept, by SOP class: 9 1.2.840.9; 2 CT Image Storage; 1 no SOP class",
    ]


def test_census_of_an_earlier_version_names_uids():
    kept = [["CT", CT, 2], ["CT", "Doe^Jane", 1]]
    stored = json.dumps({"kept": kept, "rejected": {}})
    line = f"Kept, by SOP class: 2 {CT}; 1 text of 8 characters"
    assert list(Census.from_json(stored).describe())[1] == line


def test_only_the_largest_classes_are_listed():
    census = Census(Counter({("OT", f"1.2.840.{number}"): number for number in range(1, 9)}))
    assert list(census.describe())[1].endswith("; 4 1.2.840.4; 3 1.2.840.3; 2 more")
