"""Where pixels of the output lie in the patient."""

import json

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.imaging.geometry import CropBox, Flip, Geometry, Padding, Size
from dicom_preprocessing.imaging.space import PatientSpace
from tests.unit.datasets import data_set_of, save
from tests.unit.strategies import geometries, patient_spaces

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
SIZE = Size(10, 8)


def space_of(*z, orientation=AXIAL, spacing=(0.5, 2.0), corner=(-100.0, 20.0)):
    """Pages whose stored pixels have one corner, at several z."""
    return PatientSpace(orientation, spacing, tuple((*corner, float(one)) for one in z or (7,)))


def geometry_of(*z, size=SIZE, flip=None, crop=None, resized=None, padding=None, **space):
    return Geometry(size, flip, crop, resized, padding, space_of(*z, **space))


def mirror(*, horizontal=False, vertical=False):
    return Flip(SIZE.width, SIZE.height, horizontal, vertical)


STEPS = {
    # Pixels are 0.5 mm wide and 2 mm high; the first one is at (-100, 20, 7).
    "none": ({}, (-100, 20, 7), (0.5, 0, 0), (0, 2, 0)),
    # The last column, 9 * 0.5 mm further, is the first one of the output.
    "flip h": ({"flip": mirror(horizontal=True)}, (-95.5, 20, 7), (-0.5, 0, 0), (0, 2, 0)),
    # The last row, 7 * 2 mm further.
    "flip v": ({"flip": mirror(vertical=True)}, (-100, 34, 7), (0.5, 0, 0), (0, -2, 0)),
    # 3 columns and 1 row further.
    "crop": ({"crop": CropBox(3, 1, 4, 4)}, (-98.5, 22, 7), (0.5, 0, 0), (0, 2, 0)),
    # Half as many columns: the first centre is a quarter of a mm further. Twice as many rows: the
    # first centre is a quarter of 2 mm before.
    "resize": ({"resized": Size(5, 16)}, (-99.75, 19.5, 7), (1, 0, 0), (0, 1, 0)),
    # 2 columns and 3 rows before.
    "pad": ({"padding": Padding(2, 3, 1, 1)}, (-101, 14, 7), (0.5, 0, 0), (0, 2, 0)),
    # The columns 9 to 0 of the turned image are 0 to 9; its box of columns 3 to 6 begins at stored
    # column 6, row 6: (-97, 32). Pixels become twice as large: (-97.25, 31), one is padding on the
    # left, two on top: (-96.25, 39).
    "all": (
        {
            "flip": mirror(horizontal=True, vertical=True),
            "crop": CropBox(3, 1, 4, 4),
            "resized": Size(2, 2),
            "padding": Padding(1, 2, 0, 0),
        },
        (-96.25, 39, 7),
        (-1, 0, 0),
        (0, -4, 0),
    ),
}


@pytest.mark.parametrize(("steps", "position", "column", "row"), STEPS.values(), ids=STEPS)
class TestSteps:
    def test_first_pixel_and_its_neighbours(self, steps, position, column, row):
        geometry = geometry_of(**steps)
        assert geometry.position == position
        found = geometry.to_patient([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
        assert found.tolist() == [list(np.add(position, step)) for step in (0, column, row)]

    def test_directions(self, steps, position, column, row):
        geometry = geometry_of(*position[2:], **steps)
        assert geometry.row_direction == tuple(np.sign(column))
        assert geometry.column_direction == tuple(np.sign(row))

    def test_affine(self, steps, position, column, row):
        affine = geometry_of(7, 9.5, **steps).affine()
        expected = [column, row, (0, 0, 2.5), position]
        assert affine[:3].T.tolist() == [list(vector) for vector in expected]
        assert affine[3].tolist() == [0, 0, 0, 1]

    def test_way_back(self, steps, position, column, row):
        points = np.add(position, [(0, 0, 0), column, row, (0, 0, 5)])
        found = geometry_of(7, 9.5, **steps).from_patient(points)
        expected = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 2]])
        assert found == pytest.approx(expected, abs=1e-9)


class TestOrientation:
    def test_equation_of_the_standard(self):
        """PS3.3 C.7.6.2.1.1: the matrix by hand, for an oblique plane."""
        x, y, s = (0.6, 0.0, 0.8), (0.48, 0.8, -0.36), (-125.5, 31.0, 12.25)
        space = PatientSpace((*x, *y), (0.7, 1.3), (s,))
        matrix = np.array(
            [
                [x[0] * 0.7, y[0] * 1.3, 0, s[0]],
                [x[1] * 0.7, y[1] * 1.3, 0, s[1]],
                [x[2] * 0.7, y[2] * 1.3, 0, s[2]],
                [0, 0, 0, 1],
            ]
        )
        expected = matrix @ [17, 5, 0, 1]
        assert space.to_patient([17, 5, 0]) == pytest.approx(expected[:3])

    def test_normal_is_row_times_column(self):
        assert space_of(orientation=SAGITTAL).normal.tolist() == [-1, 0, 0]

    def test_rounded_cosines_are_unit_vectors_at_right_angles(self):
        space = space_of(orientation=(0.995, 0, 0, 0.005, 0.995, 0), spacing=(1, 1))
        assert space.to_patient([100, 10, 0]).tolist() == [0, 30, 7]
        assert space.column_direction.tolist() == [0, 1, 0]
        assert space.normal.tolist() == [0, 0, 1]

    def test_itk_makes_unit_vectors_too(self, tmp_path):
        orientation = (0.71, 0.7, 0.0, -0.7, 0.71, 0.0)
        path = slice_file(tmp_path / "one.dcm", (1.0, 2.0, 3.0), orientation)
        image = SimpleITK.ReadImage(path)
        space = PatientSpace(orientation, (0.5, 0.8), ((1.0, 2.0, 3.0),))
        expected = image.TransformContinuousIndexToPhysicalPoint([400.0, 300.0, 0.0])
        assert space.to_patient([400, 300, 0]) == pytest.approx(expected, abs=1e-6)

    def test_no_coordinate_is_negative_zero(self):
        geometry = geometry_of(flip=mirror(horizontal=True), corner=(0.0, -0.0))
        assert "-0.0" not in f"{geometry.row_direction}{geometry.position}"


class TestPages:
    UNEVEN = (10, 11, 14)

    def test_between_pages_it_is_linear(self):
        found = geometry_of(*self.UNEVEN).to_patient([[0, 0, p] for p in (0, 0.5, 1, 1.5, 2)])
        assert found[:, 2].tolist() == [10, 10.5, 11, 12.5, 14]

    def test_outside_the_nearest_step_goes_on(self):
        found = geometry_of(*self.UNEVEN).to_patient([[0, 0, p] for p in (-1, -0.5, 2.5, 3)])
        assert found[:, 2].tolist() == [9, 9.5, 15.5, 17]

    def test_way_back(self):
        z = (9, 9.5, 10, 10.5, 11, 12.5, 14, 15.5, 17)
        found = geometry_of(*self.UNEVEN).from_patient([[-100, 20, one] for one in z])
        assert found[:, 2].tolist() == [-1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3]

    def test_way_back_against_the_normal(self):
        found = geometry_of(14, 11, 10).from_patient([[-100, 20, z] for z in (14, 12.5, 9)])
        assert found[:, 2].tolist() == [0, 0.5, 3]

    def test_tilted_pages(self):
        """Each page is 1 mm further along x, as by a gantry: two columns."""
        positions = ((0.0, 0.0, 0.0), (1.0, 0.0, 5.0))
        geometry = Geometry(SIZE, space=PatientSpace(AXIAL, (0.5, 2.0), positions))
        assert geometry.to_patient([4, 0, 0.5]).tolist() == [2.5, 0, 2.5]
        assert geometry.from_patient([2.5, 0, 2.5]).tolist() == pytest.approx([4, 0, 0.5])

    def test_what_is_no_number_stays_so(self):
        geometry = geometry_of(*self.UNEVEN)
        nothing = [np.nan, np.nan, np.nan]
        assert np.isnan(geometry.to_patient(nothing)).all()
        assert np.isnan(geometry.from_patient(nothing)).all()

    def test_of_one_the_distance_is_dropped(self):
        geometry = geometry_of(7)
        assert geometry.to_patient([2, 3, 5]).tolist() == [-99, 26, 7]
        assert geometry.from_patient([-99, 26, 80]).tolist() == pytest.approx([2, 3, 0])

    @pytest.mark.parametrize("z", [(1, 2, 1), (1, 1, 2), (5, 5)])
    def test_that_repeat_have_no_way_back(self, z):
        geometry = geometry_of(*z)
        assert geometry.to_patient([0, 0, 1])[2] == z[1]
        with pytest.raises(ValueError, match="pages are not one behind the other"):
            geometry.from_patient([0, 0, 0])

    @given(geometries(), patient_spaces())
    def test_positions_are_to_the_last_digit_those_of_the_points(self, geometry, space):
        geometry = geometry.with_space(space)
        corners = [[0, 0, page] for page in range(len(space.positions))]
        # The second of equal geometries finds the way to the corner made.
        for _ in range(2):
            assert geometry.page_positions == tuple(map(tuple, geometry.to_patient(corners)))

    def test_positions_and_distances(self):
        geometry = geometry_of(1, 2, 4, crop=CropBox(2, 0, 3, 3), orientation=SAGITTAL)
        assert geometry.page_positions == tuple((-100, 21, z) for z in (1, 2, 4))
        assert geometry.page_distances == (100, 100, 100)
        assert geometry_of(1, 2, 4).page_distances == (1, 2, 4)


class TestAffine:
    def test_of_one_page_is_a_millimetre_thick(self):
        assert geometry_of(7).affine()[:3, 2].tolist() == [0, 0, 1]

    def test_of_tilted_pages_is_sheared(self):
        positions = ((0.0, 0.0, 0.0), (1.0, 0.0, 5.0))
        geometry = Geometry(SIZE, space=PatientSpace(AXIAL, (0.5, 2.0), positions))
        assert geometry.affine()[:3, 2].tolist() == [1, 0, 5]

    def test_of_uneven_pages_is_refused(self):
        with pytest.raises(ValueError, match=r"steps of 2 mm, page 2 is 0.1 mm from its place"):
            geometry_of(0, 2.1, 4).affine()

    @pytest.mark.parametrize(("step", "miss"), [(2, 0.0011), (0.1, 0.00011)])
    def test_even_is_a_thousandth_of_the_step_and_of_a_millimetre(self, step, miss):
        with pytest.raises(ValueError, match="not evenly spaced"):
            geometry_of(0, step + miss, 2 * step).affine()
        assert geometry_of(0, step + miss * 0.8, 2 * step).affine()[2, 2] == step

    @pytest.mark.parametrize("shift", [0.0, 5.0])
    def test_of_pages_in_one_plane_is_refused(self, shift):
        positions = ((0.0, 0.0, 7.0), (shift, 0.0, 7.0))
        geometry = Geometry(SIZE, space=PatientSpace(AXIAL, (0.5, 2.0), positions))
        with pytest.raises(ValueError, match="pages are not one behind the other"):
            geometry.affine()


class TestUnknown:
    @pytest.mark.parametrize("method", ["to_patient", "from_patient"])
    def test_points_are_refused(self, method):
        with pytest.raises(ValueError, match="unknown where the image lies in the patient"):
            getattr(Geometry(SIZE), method)([0, 0, 0])

    def test_affine_is_refused(self):
        with pytest.raises(ValueError, match="unknown where the image lies in the patient"):
            Geometry(SIZE).affine()

    def test_properties_are_none(self):
        geometry = Geometry(SIZE)
        assert geometry.position is geometry.row_direction is geometry.column_direction is None
        assert geometry.page_positions is geometry.page_distances is None

    @pytest.mark.parametrize("method", ["to_patient", "from_patient"])
    def test_points_of_another_shape_are_refused(self, method):
        with pytest.raises(ValueError, match=r"shape \(2,\) instead of \(\.\.\., 3\)"):
            getattr(geometry_of(7), method)([0, 0])


@given(geometries(), patient_spaces())
def test_survives_json(geometry, space):
    geometry = geometry.with_space(space)
    assert Geometry.from_dict(json.loads(json.dumps(geometry.as_dict()))) == geometry


def test_geometry_without_space_is_read():
    data = Geometry(SIZE).as_dict()
    assert (data.pop("space"), Geometry.from_dict(data)) == (None, Geometry(SIZE))


coordinate = st.floats(-500, 500)


class TestRoundTrips:
    @given(geometries(), patient_spaces(), coordinate, coordinate, st.floats(-3, 9))
    def test_output_point_comes_back(self, geometry, space, x, y, page):
        geometry = geometry.with_space(space)
        page = page if len(space.positions) > 1 else 0
        back = geometry.from_patient(geometry.to_patient([x, y, page]))
        assert back == pytest.approx([x, y, page], abs=1e-6)

    @given(geometries(), patient_spaces(), st.tuples(coordinate, coordinate, coordinate))
    def test_point_of_the_patient_comes_back(self, geometry, space, point):
        geometry = geometry.with_space(space)
        back = geometry.to_patient(geometry.from_patient(point))
        if len(space.positions) == 1:
            distance = np.dot(np.subtract(point, space.positions[0]), space.normal)
            point = point - distance * space.normal
        assert back == pytest.approx(np.array(point), abs=1e-6)

    @given(geometries(), patient_spaces())
    def test_points_keep_their_shape_and_are_left_alone(self, geometry, space):
        points = np.zeros((2, 1, 4, 3))
        geometry = geometry.with_space(space)
        assert (
            geometry.to_patient(points).shape == geometry.from_patient(points).shape == (2, 1, 4, 3)
        )
        assert not points.any()

    @given(geometries(), patient_spaces())
    def test_affine_and_directions_are_those_of_the_points(self, geometry, space):
        even = PatientSpace(space.orientation, space.pixel_spacing, space.positions[:2])
        geometry = geometry.with_space(even)
        point = np.array([3.0, -2.0, 0.0 if len(even.positions) == 1 else 1.5])
        mapped = geometry.affine() @ [*point, 1]
        assert mapped[:3] == pytest.approx(geometry.to_patient(point), abs=1e-6)
        origin, right, below = geometry.to_patient([[0, 0, 0], [100, 0, 0], [0, 100, 0]])
        for direction, to in ((geometry.row_direction, right), (geometry.column_direction, below)):
            assert (to - origin) / np.linalg.norm(to - origin) == pytest.approx(direction, abs=1e-9)
        assert geometry.position == pytest.approx(origin, abs=1e-9)


OBLIQUE = (0.6, 0.0, 0.8, 0.48, 0.8, -0.36)
CORNERS = ((-20.25, 3.5, 10.0), (-21.85, 5.0, 11.2), (-23.45, 6.5, 12.4))  # 2.5 mm of normal


def slice_file(path, position, orientation):
    """A CT slice of 12 by 8 pixels of 0.5 by 0.8 mm."""
    data_set = data_set_of(
        np.zeros((1, 8, 12), np.uint16),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        NumberOfFrames=None,
        ImagePositionPatient=list(position),
        ImageOrientationPatient=list(orientation),
        PixelSpacing=[0.8, 0.5],
    )
    return str(save(path, data_set))


@pytest.fixture
def itk_image(tmp_path):
    """Three oblique slices, read by SimpleITK, and their geometry."""
    paths = [slice_file(tmp_path / f"{p[0]}.dcm", p, OBLIQUE) for p in CORNERS]
    space = PatientSpace(OBLIQUE, (0.5, 0.8), CORNERS)
    return SimpleITK.ReadImage(paths), Geometry(Size(12, 8), space=space)


ITK_STEPS = {
    "as stored": (lambda image: image, {}),
    "flip h": (lambda image: image[::-1], {"flip": Flip(12, 8, horizontal=True, vertical=False)}),
    "flip v": (lambda i: i[:, ::-1], {"flip": Flip(12, 8, horizontal=False, vertical=True)}),
    "crop": (lambda image: image[2:10, 3:7], {"crop": CropBox(2, 3, 8, 4)}),
    "smaller": (lambda image: SimpleITK.BinShrink(image, [3, 2, 1]), {"resized": Size(4, 4)}),
    "larger": (lambda image: SimpleITK.Expand(image, [2, 3, 1]), {"resized": Size(24, 24)}),
    "pad": (
        lambda i: SimpleITK.ConstantPad(i, [2, 1, 0], [3, 4, 0]),
        {"padding": Padding(2, 1, 3, 4)},
    ),
}


@pytest.mark.parametrize(("operate", "steps"), ITK_STEPS.values(), ids=ITK_STEPS)
def test_itk_has_pixels_where_they_are_here(itk_image, operate, steps):
    image, whole = itk_image
    image = operate(image)
    geometry = Geometry(whole.source, **steps, space=whole.space)
    assert image.GetSize()[:2] == (geometry.output.width, geometry.output.height)
    points = np.array([[0, 0, 0], [3, 2, 0], [1.5, -2.25, 1.5], [0, 3, 2]])
    expected = [image.TransformContinuousIndexToPhysicalPoint(point) for point in points.tolist()]
    assert geometry.to_patient(points) == pytest.approx(np.array(expected), abs=1e-6)
    spacing = np.linalg.norm(geometry.affine()[:3, :3], axis=0)
    assert spacing == pytest.approx(image.GetSpacing(), abs=1e-6)
    assert geometry.affine()[:3, :3] / spacing == pytest.approx(
        np.array(image.GetDirection()).reshape(3, 3), abs=1e-6
    )
