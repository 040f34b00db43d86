"""Who wins where parts of a file say different things."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.dicom.contradictions import (
    COMPUTED_DECISIONS,
    PRECEDENCES,
    Decision,
    GroupLevel,
    decide,
)
from dicom_preprocessing.errors import FAILED_ERRORS
from dicom_preprocessing.image_warnings import WARNING_CODES

ROWS = sorted(PRECEDENCES)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_a_reason(row):
    assert PRECEDENCES[row].reason.startswith(("PS3.", "ITU-T "))


@pytest.mark.parametrize("row", ROWS)
def test_sources_of_a_row_are_at_least_two_and_different(row):
    sources = PRECEDENCES[row].sources
    assert len(set(sources)) == len(sources) >= 2


def test_the_frame_goes_before_the_shared_group_and_that_before_the_top_level():
    assert PRECEDENCES["rescale"].sources == (GroupLevel.FRAME, GroupLevel.SHARED, GroupLevel.TOP)


def test_first_source_that_tells_something_wins():
    values = {"calibrated": None, "imager": (1.0, 2.0), "pixel": (3.0, 4.0)}
    assert decide("true_spacing", values) == Decision((1.0, 2.0), "imager", ("pixel",))


def test_order_of_the_table_counts_and_not_that_of_the_values():
    values = {"ViewPosition": "MLO", "ViewCodeSequence": "CC"}
    assert decide("view", values).value == "CC"


def test_sources_of_other_values_are_overruled():
    frame = "FrameLaterality of the first frame"
    values = {"ImageLaterality": "R", "Laterality": "R", frame: "L"}
    assert decide("laterality", values).overruled == ("ImageLaterality", "Laterality")


def test_sources_of_the_same_value_are_not_overruled():
    frame = "FrameLaterality of the first frame"
    values = {"ImageLaterality": "L", "Laterality": "R", frame: "L"}
    assert decide("laterality", values).overruled == ("Laterality",)


def test_sources_that_tell_nothing_are_not_overruled():
    assert decide("view", {"ViewCodeSequence": "CC", "ViewPosition": None}).overruled == ()


@pytest.mark.parametrize("value", [0, "", (), False])
def test_only_none_tells_nothing(value):
    assert decide("view", {"ViewCodeSequence": value, "ViewPosition": "CC"}).value == value


@pytest.mark.parametrize("values", [{}, {"ViewPosition": None}])
def test_where_no_source_tells_it_there_is_no_value_and_no_source(values):
    assert decide("view", values) == Decision(None, "", ())


def test_unknown_row_raises():
    with pytest.raises(KeyError, match="colour of the sky"):
        decide("colour of the sky", {})


def test_source_that_the_row_does_not_name_raises():
    with pytest.raises(KeyError, match="view: Laterality, Rows"):
        decide("view", {"Rows": 1, "Laterality": None, "ViewPosition": "CC"})


@given(st.sampled_from(ROWS), st.data())
def test_winner_is_the_first_in_the_order_of_the_row_and_others_are_overruled(row, data):
    sources = PRECEDENCES[row].sources
    values = data.draw(
        st.fixed_dictionaries({}, optional={s: st.none() | st.integers(0, 2) for s in sources})
    )
    decision = decide(row, values)
    there = [source for source in sources if values.get(source) is not None]
    if not there:
        assert decision == Decision(None)
    else:
        assert (decision.source, decision.value) == (there[0], values[there[0]])
        assert set(decision.overruled) == {s for s in there if values[s] != values[there[0]]}


def test_rows_have_different_names():
    names = [row.contradiction for row in (*PRECEDENCES.values(), *COMPUTED_DECISIONS.values())]
    assert all(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", [*PRECEDENCES.values(), *COMPUTED_DECISIONS.values()])
def test_codes_and_errors_of_a_row_are_known(row):
    assert row.warning in {"", *WARNING_CODES}
    assert getattr(row, "error", "") in {"", *FAILED_ERRORS}


def test_every_code_about_a_file_has_a_row():
    of_steps = {"only_background", "small_component", "chest_wall_unknown", "region_unknown"}
    of_steps |= {code for code in WARNING_CODES if code.startswith("stack_")}
    rows = {row.warning for row in (*PRECEDENCES.values(), *COMPUTED_DECISIONS.values())}
    assert set(WARNING_CODES) - of_steps == rows - {""}
