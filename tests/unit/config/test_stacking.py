"""Verdicts on the slices of a series, and the policies of each."""

from dataclasses import asdict

from dicom_preprocessing.config.stacking import (
    POLICIES,
    VERDICTS,
    StackPolicies,
    describe_policies,
    list_choices,
)


def test_the_default_of_each_verdict_is_its_first_policy():
    assert asdict(StackPolicies()) == {name: of.policies[0] for name, of in VERDICTS.items()}


def test_every_policy_is_explained():
    assert {policy for of in VERDICTS.values() for policy in of.policies} == set(POLICIES)


def test_each_verdict_has_a_line():
    *lines, _ = describe_policies().splitlines()
    assert [line.split()[0] for line in lines] == list(VERDICTS)
    assert lines[1] == "gap (slices seem to be missing): fail, warn or split."


def test_choices_are_listed_as_in_a_sentence():
    assert [list_choices(values) for values in (("a",), ("a", "b"), ("a", "b", "c"))] == [
        "a",
        "a or b",
        "a, b or c",
    ]
