"""Files that contradict themselves: right, right with the warning, or failed with the class.

DP_CONTRADICTIONS tells how many sound files each variant of a contradiction is made from; ``make
contradictions`` tries as many as ``make_contradictory`` does, and counts the outcomes.
"""

import logging
import os

import numpy as np
import pytest

from dicom_preprocessing.decode.stage import decode_opened
from dicom_preprocessing.dicom.contradictions import COMPUTED_DECISIONS, PRECEDENCES
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.errors import FAILED_ERRORS
from dicom_preprocessing.image_warnings import WARNING_CODES
from tests.contradictory.kinds import CONTRADICTIONS
from tests.contradictory.sound import sound_files
from tests.make_contradictory import choose, describe, judge_all, plans
from tests.unit.datasets import pixels_in

# Files that contradict themselves break the standard, of which pydicom warns.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

SOUNDS_PER_VARIANT = int(os.environ.get("DP_CONTRADICTIONS", "2"))


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What becomes of each product, by its name."""
    planned = choose(plans(), SOUNDS_PER_VARIANT)
    found = judge_all(planned, tmp_path_factory.mktemp("products"))
    logging.getLogger(__name__).info("outcomes:\n%s", describe(found))
    return {plan.name: verdict for plan, verdict in found.items()}


def test_every_product_is_right_or_fails_with_its_class(verdicts):
    wrong = {name: verdict for name, verdict in verdicts.items() if not verdict.is_good}
    assert wrong == {}


def test_products_are_the_same_each_time():
    planned = choose(plans(), 1)[::40]
    first, second = ([plan.make() for plan in planned] for _ in range(2))
    assert [p and p.content for p in first] == [p and p.content for p in second]


def test_every_contradiction_has_products():
    assert {plan.contradiction.name for plan in plans()} == {c.name for c in CONTRADICTIONS}


def test_every_contradiction_tells_its_clause():
    assert [c.name for c in CONTRADICTIONS if not (c.clause and c.make.__doc__)] == []


def test_names_of_contradictions_are_unique():
    assert len({c.name for c in CONTRADICTIONS}) == len(CONTRADICTIONS)


def test_codes_and_classes_are_those_of_the_package():
    for contradiction in CONTRADICTIONS:
        expected = contradiction.expected
        codes = {*expected.get("warns", ()), *expected.get("may_warn", ())}
        assert codes <= set(WARNING_CODES), contradiction.name
        assert set(expected.get("errors", ())) <= {*FAILED_ERRORS, "no_pixel_data"}


ROWS = {**PRECEDENCES, **COMPUTED_DECISIONS}


def test_contradictions_name_rows_of_the_tables():
    assert {c.expected["row"] for c in CONTRADICTIONS if "row" in c.expected} <= set(ROWS)


# A precedence without a warning is tried with each source in test_contradictions_decide.py.
@pytest.mark.parametrize(
    "row", [*(r for r in PRECEDENCES if PRECEDENCES[r].warning), *COMPUTED_DECISIONS]
)
def test_products_of_a_row_come_out_as_it_says(row, verdicts):
    """Some product has its warning, and some its failure; where it has none, none has."""
    of_row = [verdict for verdict in verdicts.values() if verdict.row == row]
    assert of_row, "no contradiction makes a product of this row"
    stated = ROWS[row]
    error = getattr(stated, "error", "")
    codes = set().union(*(verdict.codes for verdict in of_row))
    errors = {verdict.error for verdict in of_row} - {""}
    if stated.warning:
        assert stated.warning in codes
    else:
        assert any(not verdict.codes for verdict in of_row if not verdict.error) or error
    assert error in errors if error else not errors


def for_each_sound(kind=""):
    """Call a test with the name of each sound file."""
    return pytest.mark.parametrize("name", [n for n in sound_files() if n.startswith(kind)])


@for_each_sound()
def test_sound_files_have_their_pixels_and_no_warning(name, tmp_path):
    sound = sound_files()[name]
    path = tmp_path / "sound.dcm"
    path.write_bytes(sound.content)
    stored = pixels_in(path)[1]
    far = np.abs(stored.astype(float) - sound.truth.astype(float)).max()
    assert far <= sound.tolerance
    assert sound.parts.put_together() == sound.content
    image = decode_opened(*open_image(path)).to_display_values()
    assert np.asarray(image.frames).shape[:3] == sound.truth.shape[:3]
    assert list(image.source_info.warnings) == []


@for_each_sound("dose")
def test_dose_is_in_its_unit_and_frames_lie_at_their_offsets(name):
    sound = sound_files()[name]
    image = decode_opened(*open_image(memoryview(sound.content)), intensity="stored")
    assert np.allclose(np.asarray(image.frames), sound.truth * 0.0005)
    assert image.source_info.frame_spacing == 3
