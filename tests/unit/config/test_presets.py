"""Presets: headers that each must keep, and that it must not, and the files of the corpus."""

import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.model import NO_PRESET, PRESETS
from dicom_preprocessing.config.selection import (
    find_rule_problem,
    list_patterns,
    read_presets,
    selection_of,
)
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.selection import Selector
from dicom_preprocessing.index.walk import find_files

HEADERS = yaml.safe_load(Path(__file__).with_name("preset_headers.yaml").read_text("utf-8"))
NAMED = tuple(name for name in PRESETS if name != NO_PRESET)


def selection(preset):
    return selection_of(parse_config({"preset": preset})[0])


def test_every_preset_of_the_key_has_rules():
    assert tuple(read_presets()) == NAMED


@pytest.mark.parametrize("preset", NAMED)
def test_rules_can_be_used(preset):
    parts = read_presets()[preset]
    assert set(parts) == {"about", "include", "exclude"}
    for rules in (parts["include"], parts["exclude"]):
        for keyword, patterns in rules.items():
            assert find_rule_problem(keyword, list_patterns(patterns)) is None, keyword


@pytest.mark.parametrize("header", HEADERS, ids=[header["name"] for header in HEADERS])
def test_header_is_kept_by_the_right_presets(header):
    def values_of(keyword):
        value = header["header"].get(keyword, [])
        return [str(v) for v in (value if isinstance(value, list) else [value])]

    reasons = {preset: selection(preset).find_reason("image", values_of) for preset in NAMED}
    kept = [preset for preset, reason in reasons.items() if not reason]
    assert sorted(kept) == sorted(header["keep"] or []), reasons


def find_reason_of_ct(description):
    """Why preset ct leaves out slices of a description, empty if it does not."""
    header = {
        "Modality": ["CT"],
        "SOPClassUID": ["1.2.840.10008.5.1.4.1.1.2"],
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SeriesDescription": [description],
    }
    return selection("ct").find_reason("image", lambda keyword: header.get(keyword, []))


LOW = ("low", "lo", "lower", "reduced", "red.", "ultra-low", "ultralow", "ultra low", "very low")
LOW += ("min", "minimal", "half", "sub-mSv, low", "lung 1.0_low")
LOW_DOSE = [f"{word}{separator}dose" for word in LOW for separator in (" ", "-", "_", " - ")]
LOW_DOSE += ["lowdose", "ultralowdose", "low radiation dose", "reduced-rad-dose", "low  dose"]


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
@pytest.mark.parametrize(
    "text", ["{} screen", "{}_screens", "{}-SCREENING", "Chest {} screen 1.25"]
)
def test_screening_with_a_low_dose_is_ct(spell, text):
    kept = [text.format(spell(dose)) for dose in LOW_DOSE]
    assert {description: find_reason_of_ct(description) for description in kept} == dict.fromkeys(
        kept, ""
    )


@pytest.mark.parametrize(
    "description",
    [
        *("Chest screening", "Lung screen LDCT", "LUNG SCREEN LOW DOSE", "DOSE SCREENING LUNG"),
        *("Low dose bolus tracking", "LOW_DOSE_TRACKING", "Thorax CAREDose4D", "Post dose 5 min"),
        *("Low dose protocol chest", "Examination of protocolled patient", "Full-dose lung"),
    ],
)
def test_ordinary_words_are_ct(description):
    assert find_reason_of_ct(description) == ""


@pytest.mark.parametrize(
    "description",
    [
        *(
            "Dose Screen",
            "DOSE_SCREEN",
            "dose-screens",
            "DoseScreen",
            "CT Dose Screen",
            "999 dose screen",
        ),
        *("Follow dose screen", "Slow dose screen", "Low dose chest, dose screen", "Dose Tracking"),
        *(
            "Dose Report",
            "DOSE_REPORT",
            "dose-info",
            "Low dose report",
            "Dose Record",
            "DoseSummary",
        ),
        *("Patient_Protocol", "Exam Protocol", "PROTOCOL PAGE", "Screen_Save", "screen-capture"),
        *("Enhancement Curve", "Dose screen save"),
    ],
)
def test_screens_and_reports_are_no_ct(description):
    assert find_reason_of_ct(description).startswith("preset ct: exclude SeriesDescription=")


@pytest.mark.parametrize("text", ["low ", "-", "dose ", "a", "low dose screen", "min-"])
@pytest.mark.parametrize("preset", NAMED)
def test_long_descriptions_take_no_time(preset, text):
    include = read_presets()[preset]["include"]
    header = {keyword: list_patterns(values)[:1] for keyword, values in include.items()}
    header["SeriesDescription"] = [text * 2000]
    start = time.perf_counter()
    selection(preset).find_reason("image", lambda keyword: header.get(keyword, []))
    assert time.perf_counter() - start < 2


def test_corpus_is_kept_by_the_right_presets(corpus):
    kept = {}
    for preset in NAMED:
        index = build_index(
            find_files([str(corpus)]), selector=Selector(selection(preset), [str(corpus)])
        )
        kept[preset] = Counter(modality for modality, _ in index.census.kept.elements())
    assert {preset: set(counts) for preset, counts in kept.items()} == {
        "mammography": {"MG"},
        "tomosynthesis": {"MG"},
        "ct": {"CT"},
        "mr": {"MR"},
        "ultrasound": {"US"},
    }
    assert kept["tomosynthesis"]["MG"] == 5
    assert kept["mammography"]["MG"] >= 30
