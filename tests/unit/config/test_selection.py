"""Rules on attributes: what matches, which rule is named, and what is kept of personal values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config import selection as selection_module
from dicom_preprocessing.config.selection import (
    CACHED_KEYWORDS,
    CODES,
    KNOWN_KEYWORDS,
    Rule,
    Selection,
    digest_value,
    find_keyword_problem,
    is_personal,
    matches,
    read_presets,
    selection_of,
)

MATCHES = [
    ("MG", "MG", True),
    ("MG", "mg", False),
    ("MG", "MGX", False),
    ("512", "512", True),
    ("512", "512.0", True),
    ("1.50", "1.5", True),
    ("1.2", "1.20", True),
    ("", "", True),
    ("", "x", False),
    (">=512", "512", True),
    (">512", "512", False),
    ("<2", "1", True),
    ("<=2", "2.5", False),
    ("<2", "few", False),
    ("<2", "", False),
    ("~scout", "AX scout", True),
    ("~scout", "AX SCOUT", False),
    ("~(?i)scout", "AX SCOUT", True),
    ("~^scout$", "AX scout", False),
    ("12345678901234567", "12345678901234568", False),
    ("11", "1_1", False),
    ("1e3", "1000", True),
    ("<3", "nan", False),
]


@pytest.mark.parametrize(("pattern", "value", "expected"), MATCHES)
def test_pattern_matches(pattern, value, expected):
    assert matches(pattern, value) is expected


def reasons(config, **values):
    selection = selection_of(parse_config(config)[0])
    return selection.find_reason("image", lambda keyword: values.get(keyword, ()))


def test_every_include_rule_and_no_exclude_rule_has_to_match():
    config = {"include": {"Modality": ["MG", "CT"], "Rows": ">=2"}, "exclude": {"ImageType": "X"}}
    assert reasons(config, Modality=["CT"], Rows=["3"]) == ""
    assert reasons(config, Modality=["CT"], Rows=["1"]) == "include Rows=>=2"
    assert reasons(config, Modality=["MR"], Rows=["3"]) == "include Modality=MG,CT"
    kept = reasons(config, Modality=["CT"], Rows=["3"], ImageType=["A", "X"])
    assert kept == "exclude ImageType=X"


def test_absent_attribute_matches_no_value_but_none():
    assert reasons({"include": {"ViewPosition": "CC"}}) == "include ViewPosition=CC"
    assert reasons({"exclude": {"ViewPosition": "CC"}}) == ""
    assert reasons({"include": {"ViewPosition": None}}) == ""
    assert reasons({"exclude": {"ViewPosition": None}}) == "exclude ViewPosition="


def test_empty_component_among_others_is_no_absent_value():
    values = ["ORIGINAL", "PRIMARY", "", "LEFT"]
    assert reasons({"exclude": {"ImageType": ""}}, ImageType=values) == ""
    assert reasons({"exclude": {"ImageType": "~^(?!.)"}}, ImageType=values) == ""
    assert reasons({"exclude": {"SeriesDescription": "~^(?!L)"}}) == ""


def test_regular_expression_with_a_backslash_is_about_all_values():
    rule = {"exclude": {"ImageType": r"~^(?!.*\\GENERATED_2D).*\\TOMO(\\|$)"}}
    assert reasons(rule, ImageType=["DERIVED", "PRIMARY", "TOMO", "GENERATED_2D"]) == ""
    assert reasons(rule, ImageType=["DERIVED", "PRIMARY", "TOMO", "NONE"]) != ""


def test_object_without_number_of_frames_has_one():
    assert reasons({"include": {"NumberOfFrames": "<2"}}) == ""
    assert reasons({"exclude": {"NumberOfFrames": 1}}) == "exclude NumberOfFrames=1"


def test_rules_of_a_preset_come_first_and_are_named():
    config = {"preset": "ct", "include": {"Rows": 512}}
    assert reasons(config, Modality=["MR"]) == "preset ct: include Modality=CT"
    ct = {"Modality": ["CT"], "SOPClassUID": ["1.2.840.10008.5.1.4.1.1.2"]}
    assert reasons(config, **ct, Rows=["512"]) == ""
    assert reasons(config, **ct, Rows=["256"]) == "include Rows=512"


def test_objects_come_before_rules():
    selection = selection_of(parse_config({"include": {"Modality": "MG"}})[0])
    assert selection.find_reason("dose", lambda _: ["CT"]) == "objects: dose"
    everything = selection_of(parse_config({"objects": "all"})[0])
    assert everything.find_reason("dose", lambda _: ["CT"]) == ""


def test_file_that_was_named_has_to_pass_the_users_own_rules_only():
    config = {"preset": "ct", "include": {"Rows": 512}}
    selection = selection_of(parse_config(config)[0])
    assert selection.find_reason("dose", lambda _: ["512"], is_named=True) == ""
    assert selection.find_reason("image", lambda _: ["1"], is_named=True) == "include Rows=512"


def test_personal_values_are_compared_by_digest_and_never_shown():
    config = {"include": {"PatientID": ["A 1", "B 2"]}}
    assert reasons(config, PatientID=[digest_value("B 2")]) == ""
    assert reasons(config, PatientID=[digest_value("C 3")]) == "include PatientID"
    record = selection_of(parse_config(config)[0]).as_record()
    assert "A 1" not in str(record)


def test_cached_keywords_have_no_free_text():
    for keyword in CACHED_KEYWORDS:
        vr = dictionary_VR(tag_for_keyword(keyword))
        assert vr in ("CS", "DS", "FD", "IS", "UI", "US"), keyword


def test_known_keywords_can_be_asked_for_and_name_nobody():
    for keyword in KNOWN_KEYWORDS.difference({"TransferSyntaxUID"}):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(selection_module, "KNOWN_KEYWORDS", CODES)
            assert find_keyword_problem(keyword) is None, keyword
            assert not is_personal.__wrapped__(keyword), keyword


def test_keywords_of_presets_are_known():
    for parts in read_presets().values():
        assert {*parts["include"], *parts["exclude"]} <= KNOWN_KEYWORDS


@pytest.mark.parametrize(
    "keyword",
    ["PatientName", "PatientBirthDate", "OtherPatientIDs", "OperatorsName", "PatientAddress"],
)
def test_keywords_of_persons_are_known(keyword):
    assert is_personal(keyword)


RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(CACHED_KEYWORDS),
        st.lists(st.sampled_from(["MG", ">=2", "~x", ""]), min_size=1).map(tuple),
        st.booleans(),
        st.sampled_from(["", "ct"]),
    ),
    max_size=5,
).map(tuple)


@given(rules=RULES, objects=st.none() | st.just(("image", "dose")), columns=st.just(("Rows",)))
def test_selection_is_the_same_after_json(rules, objects, columns):
    selection = Selection(objects, rules, columns)
    assert Selection.from_record(selection.as_record()) == selection
