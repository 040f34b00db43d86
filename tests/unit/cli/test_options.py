"""Options that are a name and a value, and may be given several times."""

import argparse

import pytest

from dicom_preprocessing.cli.options import add_config_options, config_values


def values_of(*words):
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    return config_values(parser.parse_args(words))


def test_policies_of_several_options_are_joined():
    words = ["--stack", "gap=warn", "--stack", "tilt=fail"]
    assert values_of(*words) == {"stack": {"gap": "warn", "tilt": "fail"}}


def test_the_last_policy_of_a_reason_counts():
    assert values_of("--stack", "gap=warn", "--stack", "gap=split") == {"stack": {"gap": "split"}}


def test_values_of_one_keyword_are_alternatives():
    words = ["--include", "Modality=CT,PT", "--include", "Modality=MR"]
    assert values_of(*words) == {"include": {"Modality": ["CT", "PT", "MR"]}}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("gap", "argument --stack: found gap, allowed: REASON=POLICY"),
        ("gap=maybe", "argument --stack: found {gap: maybe}, allowed: a mapping of scout"),
        ("gaps=warn", "argument --stack: found {gaps: warn}, allowed: a mapping of scout"),
    ],
)
def test_unknown_policy_is_refused_with_those_that_are_allowed(capsys, word, said):
    with pytest.raises(SystemExit):
        values_of("--stack", word)
    assert said in " ".join(capsys.readouterr().err.split())
