"""Where a TIFF lies in the patient, from the geometry to its ImageDescription and back."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import dicom_preprocessing as dp
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.imaging.space import PatientSpace
from dicom_preprocessing.results.manifest import row_of_tiff
from dicom_preprocessing.tiff.descriptions import parse_description
from dicom_preprocessing.tiff.place import (
    KEYS,
    describe_place,
    find_place,
    find_space,
    parse_place,
    place_pages,
    replace_place,
)
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.strategies import geometries, patient_spaces
from tests.unit.tiff.images import FULL, STEPS, full_image

EVEN = PatientSpace((1, 0, 0, 0, 1, 0), (0.14, 0.2), ((-5, 4, 3), (-5, 4, 5), (-5, 4, 7)))
UNEVEN = replace(EVEN, positions=((-5, 4, 3), (-5, 4, 5), (-5, 4, 8)))


def written(path, space, spacing_source="pixel"):
    image = full_image(len(space.positions), spacing_source=spacing_source)
    write_tiff(
        path,
        replace(image, geometry=FULL.with_space(space)),
        compressor="packbits",
        recipe=STEPS,
    )
    return path


def test_position_is_that_of_the_corner_of_the_output():
    place = find_place(FULL.with_space(EVEN))
    # Turned by 180 degrees: the corner of the crop (3, 2) is column 16, row 7 of the stored image;
    # the output begins a quarter of a pixel before, and one and two padded pixels of half the size.
    x, y = 16 + 0.25 + 0.5, 7 + 0.25 + 1.0
    assert place.position == pytest.approx((-5 + x * 0.14, 4 + y * 0.2, 3))
    assert (place.row, place.column) == ((-1, 0, 0), (0, -1, 0))
    assert place.page_step == pytest.approx((0, 0, 2))


def test_uneven_pages_have_each_its_position():
    described = describe_place(find_place(FULL.with_space(UNEVEN)))
    assert [z for _, _, z in described["page_positions"]] == [3, 5, 8]
    assert "page_step" not in described


def test_an_unknown_place_has_no_keys():
    assert describe_place(find_place(FULL)) == {}


@pytest.mark.parametrize("far", [2e9, float("nan")])
def test_a_place_that_cannot_be_meant_has_no_keys(far):
    space = replace(EVEN, positions=((0, far, 0),))
    assert describe_place(find_place(FULL.with_space(space))) == {}


def test_another_place_takes_the_place_of_the_first():
    first = {"steps": {}, **describe_place(find_place(FULL.with_space(UNEVEN)))}
    second = find_place(FULL.with_space(EVEN))
    assert replace_place(first, second) == {"steps": {}, **describe_place(second)}
    assert replace_place(first, None) == {"steps": {}}


def test_pages_have_the_place_of_their_corners():
    place = find_place(FULL.with_space(EVEN))
    corners = place.list_pages(3)
    assert place_pages(corners, place.row, place.column).page_step == pytest.approx((0, 0, 2))
    uneven = (*corners[:2], (0.0, 0.0, 9.0))
    assert place_pages(uneven, place.row, place.column).page_positions == uneven


@pytest.mark.parametrize("space", [EVEN, UNEVEN, replace(EVEN, positions=EVEN.positions[:1])])
def test_a_tiff_maps_to_the_patient(tmp_path, space):
    geometry = dp.geometry_of_tiff(written(tmp_path / "a.tiff", space))
    points = [[0, 0, 0], [5.5, 3, len(space.positions) - 1]]
    expected = FULL.with_space(space).to_patient(points)
    np.testing.assert_allclose(geometry.to_patient(points), expected, atol=1e-6)


def test_a_spacing_that_is_not_of_the_patient_has_no_place(tmp_path):
    path = written(tmp_path / "a.tiff", EVEN, spacing_source="imager_corrected")
    assert dp.geometry_of_tiff(path).space is None


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(geometries(), patient_spaces())
def test_description_gives_the_space_back(geometry, space):
    geometry = geometry.with_space(space)
    described = json.loads(json.dumps(describe_place(find_place(geometry))))
    scale, native = geometry.scale, space.pixel_spacing
    found = find_space(
        parse_place(described),
        (native[0] / scale[0], native[1] / scale[1]),
        geometry,
        len(space.positions),
    )
    points = [[0, 0, 0], [7, 3, len(space.positions) - 1]]
    expected = geometry.to_patient(points)
    # Pages that are even but for a thousandth of a millimetre are described by their step.
    np.testing.assert_allclose(geometry.with_space(found).to_patient(points), expected, atol=2e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"position_x": None},
        {"position_x": "1"},
        {"row_y": True},
        {"row_y": 1e300},
        {"column_z": [1]},
        {"page_step": [1, 2]},
        {"page_step": "123"},
        {"page_positions": 5},
        {"page_positions": [[1, 2, float("inf")]]},
    ],
)
def test_another_description_is_damaged(change):
    sound = dict.fromkeys(KEYS, 1.0) | {"page_step": [0, 0, 1]}
    assert parse_place(sound) is not None
    with pytest.raises(ValueError, match="ImageDescription is damaged"):
        parse_description(json.dumps(sound | change))


def test_a_part_of_a_place_is_damaged():
    with pytest.raises(ValueError, match="its row is not"):
        parse_place({"position_x": 1, "position_y": 1, "position_z": 1})


def test_a_damaged_place_is_an_error_of_its_file(tmp_path):
    path = written(tmp_path / "a.tiff", EVEN)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"position_x"', b'"posution_x"'))
    with pytest.raises(OutputError, match=r"a\.tiff: .*its position is not"):
        dp.geometry_of_tiff(path)


def test_pages_that_are_not_those_of_the_file_have_no_place():
    place = find_place(FULL.with_space(UNEVEN))
    assert place.list_pages(2) is None
    assert find_space(place, (1, 1), FULL, 2) is None


def test_a_row_of_one_page_maps_to_the_patient(tmp_path):
    space = replace(EVEN, positions=EVEN.positions[:1])
    folder = tmp_path / "1.2"
    folder.mkdir()
    written(folder / "1.tiff", space)
    written(folder / "2.tiff", EVEN)
    one, several = (row_of_tiff(folder / f"{n}.tiff", tmp_path) for n in (1, 2))
    expected = FULL.with_space(space).to_patient([[3, 4, 0]])
    found = dp.geometry_of_row(one).to_patient([[3, 4, 0]])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert dp.geometry_of_row(several).space is None
    with pytest.raises(ValueError, match="geometry_of_tiff"):
        dp.geometry_of_row(several).to_patient([[3, 4, 0]])
