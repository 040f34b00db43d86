"""Presets: headers that each must keep, and that it must not, and the files of the corpus."""

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
