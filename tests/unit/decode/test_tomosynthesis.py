"""Which tomosynthesis objects lie upside down, by descriptions written by hand."""

import pytest

from dicom_preprocessing.decode.tomosynthesis import is_upside_down, view_of
from tests.unit.datasets import BREAST_TOMOSYNTHESIS
from tests.unit.descriptions import attribute, description_of, groups

EXPECTED = {
    ("L", "CC"): ("A", "R"),
    ("R", "CC"): ("A", "L"),
    ("L", "MLO"): ("A", "FR"),
    ("R", "MLO"): ("A", "FL"),
}
OPPOSITE = {
    ("L", "CC"): ("P", "L"),
    ("R", "CC"): ("P", "R"),
    ("L", "MLO"): ("P", "HL"),
    ("R", "MLO"): ("P", "HR"),
}


def is_turned(side="L", view="CC", orientation=("P", "L"), **values):
    given = {
        "sop_class_uid": BREAST_TOMOSYNTHESIS,
        "image_laterality": side,
        "view_position": view,
        "patient_orientation": orientation,
    }
    return is_upside_down(description_of(**given | values))


@pytest.mark.parametrize("side_and_view", OPPOSITE, ids="-".join)
def test_opposite_orientation_is_upside_down(side_and_view):
    assert is_turned(*side_and_view, OPPOSITE[side_and_view])


@pytest.mark.parametrize("side_and_view", EXPECTED, ids="-".join)
def test_expected_orientation_is_not(side_and_view):
    assert not is_turned(*side_and_view, EXPECTED[side_and_view])


@pytest.mark.parametrize(
    "values",
    [
        {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2"},
        {"sop_class_uid": ""},
        {"orientation": ("A", "L")},
        {"orientation": ("P", "R")},
        {"orientation": ("P", "HL")},
        {"orientation": ("P",)},
        {"patient_orientation": None},
        {"image_laterality": None},
        {"view_position": None},
        {"view": "ML"},
        {"side": "B"},
    ],
    ids=str,
)
def test_anything_else_is_not(values):
    assert not is_turned(**values)


def test_letters_of_a_direction_may_stand_in_any_order():
    assert is_turned("L", "MLO", ("P", "LH"))


def test_lower_case_counts():
    assert is_turned("l", "cc", ("p", "l"))


def test_orientation_and_laterality_of_functional_groups():
    shared = groups(frame_laterality="L", patient_orientation=("P", "L"))
    assert is_turned(image_laterality=None, patient_orientation=None, shared=shared)


def view(*codes, position=None):
    view_codes = tuple(attribute("CodeValue", code) for code in codes)
    return view_of(description_of(view_codes=view_codes, view_position=position))


@pytest.mark.parametrize(
    ("code", "expected"),
    [("399162004", "CC"), ("R-10242", "CC"), ("399368009", "MLO"), ("R-10226", "MLO")],
)
def test_view_of_the_code(code, expected):
    assert view(code) == expected


def test_code_comes_before_view_position():
    assert view("R-10242", position="MLO") == "CC"


def test_first_code_that_is_known_counts():
    assert view("R-1", "R-10226", "R-10242") == "MLO"


def test_codes_that_are_not_known_leave_it_to_view_position():
    assert view("R-1", position="mlo ") == "MLO"


def test_view_is_empty_where_nothing_tells_it():
    assert view() == ""
