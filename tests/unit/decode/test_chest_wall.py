"""orient: left, by Patient Orientation, else by laterality."""

import numpy as np
import pytest

from dicom_preprocessing.decode.chest_wall import is_chest_wall_right
from dicom_preprocessing.decode.tomosynthesis import BREAST_TOMOSYNTHESIS
from dicom_preprocessing.image_warnings import ImageWarnings
from dicom_preprocessing.imaging.geometry import Flip
from tests.unit.datasets import codes_of, data_set_of, ramp
from tests.unit.descriptions import description_of

PIXELS = np.arange(6, dtype=np.uint16).reshape(1, 2, 3)


def is_right(*, turned=False, modality="MG", **values):
    warnings = ImageWarnings()
    found = is_chest_wall_right(
        description_of(modality=modality, **values), warnings, turned=turned
    )
    return found, [warning.code for warning in warnings]


@pytest.mark.parametrize(
    ("directions", "expected"),
    [
        (("P", "L"), True),
        (("P", "FL"), True),
        (("A", "R"), False),
        (("A", "FR"), False),
        (("PR", "F"), True),
        (("HP", "F"), True),
    ],
)
def test_rows_towards_posterior_have_the_chest_wall_on_the_right(directions, expected):
    assert is_right(patient_orientation=directions, image_laterality="L") == (expected, [])


@pytest.mark.parametrize("directions", [("L", "F"), ("A",), ()])
@pytest.mark.parametrize(("side", "expected"), [("R", True), ("L", False)])
def test_without_a_direction_laterality_counts(directions, side, expected):
    assert is_right(patient_orientation=directions, image_laterality=side) == (expected, [])


def test_a_turned_image_has_opposite_rows():
    assert is_right(patient_orientation=("P", "L"), turned=True) == (False, [])
    assert is_right(patient_orientation=("A", "R"), turned=True) == (True, [])


@pytest.mark.parametrize("side", [None, "B", "U"])
def test_without_both_it_is_not_mirrored_and_has_a_warning(side):
    assert is_right(image_laterality=side) == (False, ["chest_wall_unknown"])


def test_other_modalities_are_left_alone():
    assert is_right(modality="CR", image_laterality="R") == (False, [])


def test_a_breast_of_another_modality_is_mirrored():
    found = is_right(modality="DX", body_part_examined="BREAST", image_laterality="R")
    assert found == (True, [])


class TestDecode:
    def test_none_leaves_the_image_as_it_is(self, decoded):
        image = decoded(data_set_of(PIXELS, Modality="MG", ImageLaterality="R"))
        assert image.geometry.flip is None

    def test_left_mirrors_and_records_a_flip(self, decoded):
        data_set = data_set_of(PIXELS, Modality="MG", ImageLaterality="R")
        image = decoded(data_set, orient="left", intensity="stored")
        assert np.asarray(image.frames)[0, ..., 0].tolist() == [[2, 1, 0], [5, 4, 3]]
        assert image.geometry.flip == Flip(3, 2, horizontal=True, vertical=False)
        assert image.geometry.to_source([[0, 1]]).tolist() == [[2, 1]]

    def test_a_left_breast_stays(self, decoded):
        data_set = data_set_of(PIXELS, Modality="MG", ImageLaterality="L")
        assert decoded(data_set, orient="left").geometry.flip is None

    def test_an_unknown_side_is_a_warning(self, decoded):
        image = decoded(data_set_of(ramp(0, 9), Modality="MG"), orient="left")
        assert codes_of(image) == ["chest_wall_unknown"]

    @pytest.mark.parametrize(("directions", "horizontal"), [(["P", "L"], True), (["P", "R"], None)])
    def test_a_tomosynthesis_object_is_turned_first(self, decoded, directions, horizontal):
        data_set = data_set_of(
            PIXELS,
            SOPClassUID=BREAST_TOMOSYNTHESIS,
            Modality="MG",
            ImageLaterality="L",
            ViewPosition="CC",
            PatientOrientation=directions,
        )
        flip = decoded(data_set, orient="left", intensity="stored").geometry.flip
        if horizontal is None:  # mirrored only, so not upside down
            assert flip == Flip(3, 2, horizontal=True, vertical=False)
        else:
            assert flip == Flip(3, 2, horizontal=True, vertical=True)

    def test_turned_and_mirrored_is_upside_down(self, decoded):
        data_set = data_set_of(
            PIXELS,
            SOPClassUID=BREAST_TOMOSYNTHESIS,
            Modality="MG",
            ImageLaterality="R",
            ViewPosition="CC",
            PatientOrientation=["P", "R"],
        )
        image = decoded(data_set, orient="left", intensity="stored")
        # Turned, its rows run towards anterior: the chest wall is on the left.
        assert image.geometry.flip == Flip(3, 2, horizontal=True, vertical=True)
