"""Where volumes lie in the patient: each page maps to the anatomy of the slice that it was."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_preprocessing.imaging.geometry import CropBox, Flip, Geometry, Size
from dicom_preprocessing.imaging.space import PatientSpace
from dicom_preprocessing.mapping.geometry import geometry_of_tiff
from dicom_preprocessing.results.manifest import row_of_tiff
from dicom_preprocessing.tiff.info import read_info
from dicom_preprocessing.tools.combine import CombineOptions, combine_series
from dicom_preprocessing.tools.resize import ResizeOptions, resize_file
from dicom_preprocessing.tools.series import group_by_tree
from dicom_preprocessing.tools.tree import open_tree
from tests.unit.strategies import geometries, patient_spaces
from tests.unit.tools.stacks import SERIES, STUDY, combine, save_slice, values_of, volume_of
from tests.unit.tools.test_resize_place import write_placed

TURNED = Flip(3, 2, horizontal=True, vertical=True)


@pytest.fixture
def tree(tmp_path):
    return tmp_path / "tree"


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(geometries(longest=20), patient_spaces(), st.randoms(use_true_random=False))
def test_a_page_maps_to_the_patient_as_its_slice(geometry, space, random):
    with tempfile.TemporaryDirectory() as folder:
        tree, output = Path(folder) / "tree", Path(folder) / "volumes"
        (tree / STUDY / SERIES).mkdir(parents=True)
        names = random.sample(range(10), len(space.positions))
        for name, position in zip(names, space.positions, strict=True):
            single = geometry.with_space(replace(space, positions=(position,)))
            write_placed(tree / STUDY / SERIES / f"{name}.tiff", single)
        ((_, slices),) = group_by_tree(open_tree(tree)).series.items()
        done = combine_series(slices, None, output, CombineOptions(force=True))
        (volume,) = done.volumes
        found = geometry_of_tiff(output / volume.row.path)
        x, y = geometry.output.width - 1, geometry.output.height - 1
        for page, slice_ in enumerate(volume.slices):
            expected = geometry_of_tiff(slice_.path).to_patient([[0, 0, 0], [x, y, 0]])
            points = [[0, 0, page], [x, y, page]]
            np.testing.assert_allclose(found.to_patient(points), expected, atol=1.001e-3)


def test_tools_one_after_the_other_agree(tree):
    geometry = Geometry(Size(8, 6), crop=CropBox(1, 1, 6, 4))
    for number in range(3):
        save_slice(tree, str(number), (5, 6, number), geometry=geometry)
    combine(tree)
    resize_file(volume_of(tree), tree / "first.tiff", ResizeOptions(scale=0.5))
    resized = tree.parent / "resized"
    for path in (tree / STUDY / SERIES).iterdir():
        resize_file(path, resized / path.relative_to(tree), ResizeOptions(scale=0.5))
    assert combine(resized) == 0
    one, other = geometry_of_tiff(tree / "first.tiff"), geometry_of_tiff(volume_of(resized))
    np.testing.assert_allclose(one.affine(), other.affine(), atol=1e-9)


def test_manifest_has_the_place(tree):
    for number in range(3):
        save_slice(tree, str(number), (5, 6, number))
    combine(tree)
    row = row_of_tiff(volume_of(tree), tree.parent / "volumes")
    assert (row.position_x, row.position_y, row.position_z) == (5, 6, 0)
    assert row.spacing_z == 1


@pytest.mark.parametrize("flip", [TURNED, replace(TURNED, vertical=False)])
def test_mirrored_slices_keep_the_order_of_the_stored_ones(tree, flip):
    for number in range(3):
        geometry = Geometry(Size(3, 2), flip=flip)
        save_slice(tree, str(number), (0, 0, number), geometry=geometry, value=number)
    assert combine(tree) == 0
    assert values_of(volume_of(tree)) == [0, 1, 2]
    place = read_info(volume_of(tree)).place
    assert place.row == (-1, 0, 0)
    assert place.page_step == (0, 0, 1)


def test_pages_of_other_crop_boxes_have_each_its_position(tree, capsys):
    for number, left in enumerate((0, 1, 3)):
        geometry = Geometry(Size(8, 6), crop=CropBox(left, 1, 4, 4))
        save_slice(tree, str(number), (0, 0, number), geometry=geometry)
    assert combine(tree) == 1
    assert "settings: " in capsys.readouterr().err
    assert combine(tree, "--force") == 0
    assert "crop box is (1, 1, 4, 4), and (0, 1, 4, 4) in" in capsys.readouterr().err
    volume = geometry_of_tiff(volume_of(tree))
    for number, left in enumerate((0, 1, 3)):
        expected = [0.25 * (left + 2), 0.5 * (1 + 3), number]
        np.testing.assert_allclose(volume.to_patient([2, 3, number]), expected, atol=1e-6)


def test_pages_of_other_pixel_sizes_have_no_place(tree):
    for number in range(2):
        spacing = (0.25 + number, 0.5)
        save_slice(tree, str(number), (0, 0, number), pixel_spacing=spacing)
    assert combine(tree, "--force") == 0
    assert read_info(volume_of(tree)).place is None


def test_place_does_not_need_the_size_of_pixels(tree):
    for number in range(3):
        position, source = (5, 6, 2 * number), "imager_corrected"
        save_slice(tree, str(number), position, spacing_source=source)
    assert combine(tree) == 0
    info = read_info(volume_of(tree))
    assert info.place.position == (5, 6, 0)
    assert (info.place.page_step, info.frame_spacing) == ((0, 0, 2), 2)
    assert geometry_of_tiff(volume_of(tree)).space is None


def test_oblique_slices_are_as_far_apart_as_along_their_normal(tree):
    orientation = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
    normal = np.cross(orientation[:3], orientation[3:])
    for number in range(3):
        save_slice(tree, str(number), 1.5 * number * normal, orientation=orientation)
    assert combine(tree) == 0
    assert read_info(volume_of(tree)).frame_spacing == 1.5
    space = geometry_of_tiff(volume_of(tree)).space
    np.testing.assert_allclose(space.distances, [0, 1.5, 3], atol=1e-9)
    assert isinstance(space, PatientSpace)
