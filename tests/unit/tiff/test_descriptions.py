"""ImageDescription of files that anyone may have written."""

import json

import pytest

from dicom_preprocessing.tiff.descriptions import parse_description


@pytest.mark.parametrize(
    "steps",
    [
        {"pad": {"padding": ["x"]}},
        {"pad": {"padding": {"a": 1}}},
        {"pad": {"padding": 5}},
        {"decode": {"intensity": [1]}},
        {"pad": [1]},
        [1],
    ],
)
def test_settings_of_another_type_are_damage(steps):
    with pytest.raises(ValueError, match="ImageDescription is damaged: its steps is not what"):
        parse_description(json.dumps({"steps": steps}))


def test_settings_that_are_absent_or_unknown_are_sound():
    steps = {"pad": {"padding": "a later version's"}, "decode": {}, "more": {"x": [1]}}
    assert parse_description(json.dumps({"steps": steps}))["steps"] == steps
