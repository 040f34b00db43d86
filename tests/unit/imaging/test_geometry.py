"""Boxes, sizes, paddings, and the way of a point."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_preprocessing.imaging.crop import crop
from dicom_preprocessing.imaging.geometry import (
    CropBox,
    Flip,
    Geometry,
    Padding,
    Size,
    round_half_away,
)
from dicom_preprocessing.imaging.pad import pad
from dicom_preprocessing.imaging.resize import resize
from tests.unit.datasets import image_of
from tests.unit.strategies import geometries

FULL = Geometry(
    Size(10, 8),
    flip=Flip(10, 8, horizontal=True, vertical=True),
    crop=CropBox(2, 1, 6, 4),
    resized=Size(12, 8),
    padding=Padding(1, 2, 3, 4),
)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.4, 0), (0.5, 1), (1.5, 2), (2.5, 3), (-0.4, 0), (-0.5, -1), (-2.5, -3), (-2.4, -2)],
)
def test_halves_are_rounded_away_from_zero(value, rounded):
    assert round_half_away(value) == rounded


class TestCropBox:
    def test_right_and_bottom_are_exclusive(self):
        box = CropBox(2, 3, 4, 5)
        assert (box.right, box.bottom) == (6, 8)

    def test_size(self):
        assert CropBox(2, 3, 4, 5).size == Size(4, 5)


class TestGeometry:
    def test_crop_box_without_crop_is_the_whole_image(self):
        assert Geometry(Size(10, 8)).crop_box == CropBox(0, 0, 10, 8)

    def test_scale_without_resize_is_one(self):
        assert Geometry(Size(10, 8), crop=CropBox(1, 1, 3, 3)).scale == (1.0, 1.0)

    def test_active_area_without_padding_is_the_whole_output(self):
        assert Geometry(Size(10, 8), crop=CropBox(1, 1, 3, 2)).active_area == (0, 0, 3, 2)

    def test_output_without_steps_is_the_source(self):
        assert Geometry(Size(10, 8)).output == Size(10, 8)

    def test_scale_is_the_realised_ratio_of_each_axis(self):
        assert FULL.scale == (2.0, 2.0)
        fitted = Geometry(Size(3, 2), resized=Size(4, 3))
        assert fitted.scale == (4 / 3, 1.5)

    def test_active_area_ends_exclusively(self):
        assert FULL.active_area == (1, 2, 13, 10)

    def test_output_counts_the_padding(self):
        assert FULL.output == Size(16, 14)

    def test_steps_are_added_to_a_copy(self):
        plain = Geometry(Size(10, 8))
        stepped = plain.with_crop(CropBox(2, 1, 6, 4)).with_resized(Size(12, 8))
        assert stepped.with_padding(Padding(1, 2, 3, 4)) == Geometry(
            Size(10, 8), None, CropBox(2, 1, 6, 4), Size(12, 8), Padding(1, 2, 3, 4)
        )
        assert plain.crop is None

    @pytest.mark.parametrize("geometry", [FULL, Geometry(Size(10, 8))])
    def test_survives_json(self, geometry):
        assert Geometry.from_dict(json.loads(json.dumps(geometry.as_dict()))) == geometry


class TestPoints:
    def test_without_steps_a_point_stays(self):
        assert Geometry(Size(10, 8)).to_output([3, 4]).tolist() == [3, 4]

    def test_crop_moves_the_origin(self):
        assert Geometry(Size(10, 8), crop=CropBox(2, 1, 6, 4)).to_output([2, 1]).tolist() == [0, 0]

    def test_scale_is_about_the_outer_corner(self):
        # The corner (-0.5, -0.5) stays, the centre of the first pixel goes to the middle of 2 x 2.
        geometry = Geometry(Size(4, 4), resized=Size(8, 8))
        assert geometry.to_output([[-0.5, -0.5], [0, 0]]).tolist() == [[-0.5, -0.5], [0.5, 0.5]]

    def test_padding_is_added_last(self):
        geometry = Geometry(Size(4, 4), resized=Size(8, 8), padding=Padding(3, 1, 0, 0))
        assert geometry.to_output([0, 0]).tolist() == [3.5, 1.5]

    def test_flip_comes_first(self):
        # (9, 7) is the last pixel, which the half turn brings to (0, 0): outside of the crop box.
        assert FULL.to_output([9, 7]).tolist() == [(0 - 2 + 0.5) * 2 - 0.5 + 1, -1.5 + 2]

    def test_flip_is_undone_last(self):
        assert FULL.to_source([-2.5, 0.5]).tolist() == [9, 7]

    def test_one_mirrored_axis_leaves_the_other(self):
        geometry = Geometry(Size(10, 8), flip=Flip(10, 8, horizontal=True, vertical=False))
        assert geometry.to_output([1, 2]).tolist() == [8, 2]

    def test_points_keep_their_shape(self):
        assert FULL.to_output(np.zeros((2, 3, 2))).shape == (2, 3, 2)

    def test_points_given_are_left_alone(self):
        points = np.zeros((1, 2))
        FULL.to_output(points)
        assert points.tolist() == [[0, 0]]


coordinate = st.floats(-500, 500, allow_nan=False)


class TestPointProperties:
    @given(geometries(), coordinate, coordinate)
    def test_source_point_comes_back(self, geometry, x, y):
        back = geometry.to_source(geometry.to_output([x, y]))
        assert back == pytest.approx([x, y], abs=1e-6)

    @given(geometries())
    def test_corners_of_the_crop_box_go_to_those_of_the_active_area(self, geometry):
        box, (left, top, right, bottom) = geometry.crop_box, geometry.active_area
        upright = Geometry(geometry.source, None, geometry.crop, geometry.resized, geometry.padding)
        corners = [[box.left - 0.5, box.top - 0.5], [box.right - 0.5, box.bottom - 0.5]]
        expected = np.array([[left - 0.5, top - 0.5], [right - 0.5, bottom - 0.5]])
        assert upright.to_output(corners) == pytest.approx(expected, abs=1e-6)

    @given(geometries(longest=24))
    def test_nearest_output_pixel_shows_the_source_pixel_under_it(self, geometry):
        source = np.arange(1, 1 + geometry.source.width * geometry.source.height, dtype=np.uint16)
        source = source.reshape(geometry.source.height, geometry.source.width)
        shown = run_plan(source, geometry)
        left, top, right, bottom = geometry.active_area
        for y in range(top, bottom):
            for x in range(left, right):
                column, row = np.floor(geometry.to_source([x, y]) + 0.5 + nudge(geometry))
                assert shown[y, x] == source[int(row), int(column)]

    @given(geometries(longest=24), st.data())
    def test_marked_pixel_is_found_where_its_centre_is_mapped(self, geometry, data):
        size = geometry.source
        factor = data.draw(st.integers(1, 3))
        box = geometry.crop_box
        geometry = geometry.with_resized(Size(box.width * factor, box.height * factor))
        x = data.draw(st.integers(0, size.width - 1))
        y = data.draw(st.integers(0, size.height - 1))
        marked = np.zeros((size.height, size.width), np.uint16)
        marked[y, x] = 1
        rows, columns = np.nonzero(run_plan(marked, geometry))
        expected = geometry.to_output([x, y])
        if len(rows):
            assert [columns.mean(), rows.mean()] == pytest.approx(expected)
        else:
            left, top, right, bottom = geometry.active_area
            assert not (left <= expected[0] <= right - 1 and top <= expected[1] <= bottom - 1)


def nudge(geometry):
    """Sample positions on the border of two pixels belong to the later one of the flipped image."""
    flip = geometry.flip
    mirrored = (flip.horizontal, flip.vertical) if flip else (False, False)
    return np.where(mirrored, -1e-9, 1e-9)


def run_plan(plane, geometry):
    """A plan of steps done to an image by the stages themselves, the crop box cut by hand."""
    if geometry.flip is not None:
        plane = plane[:: -1 if geometry.flip.vertical else 1]
        plane = plane[:, :: -1 if geometry.flip.horizontal else 1]
    box = geometry.crop_box
    image = image_of(plane[np.newaxis, box.top : box.bottom, box.left : box.right, np.newaxis])
    if geometry.resized is not None:
        # Spacing reaches any size, where a size keeps the aspect ratio.
        native = geometry.resized.width / box.width, geometry.resized.height / box.height
        image = image_of(image.frames, pixel_spacing=native)
        image = resize(image, spacing=(1, 1), filter="nearest")
        assert image.size == geometry.resized
    edges = geometry.padding or Padding(0, 0, 0, 0)
    return np.pad(image.frames[0, ..., 0], ((edges.top, edges.bottom), (edges.left, edges.right)))


@given(st.data())
def test_stages_record_what_they_did(data):
    """Crop, nearest resize and pad of a random block agree with the geometry they return."""
    width, height = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    source = np.zeros((height, width), np.uint16)
    block = np.arange(1000, 1000 + (bottom - top) * (right - left))
    source[top:bottom, left:right] = block.reshape(bottom - top, right - left)
    size = [data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30))]
    image = resize(crop(image_of(source[None, ..., None])), size=size, filter="nearest")
    image = pad(image, size=size, padding="center")
    geometry = image.geometry
    assert geometry.crop_box == CropBox(left, top, right - left, bottom - top)
    assert geometry.output == Size(*size) == image.size
    x0, y0, x1, y1 = geometry.active_area
    inside = np.zeros(image.frames.shape[1:3], bool)
    inside[y0:y1, x0:x1] = True
    assert np.array_equal(image.frames[0, ..., 0] > 0, inside)
    for y in range(y0, y1):
        for x in range(x0, x1):
            column, row = np.floor(geometry.to_source([x, y]) + 0.5 + 1e-9)
            assert image.frames[0, y, x, 0] == source[int(row), int(column)]
