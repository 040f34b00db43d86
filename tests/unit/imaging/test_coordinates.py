"""Boxes, polygons, masks and dots carried to the output and back."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dicom_preprocessing import Geometry, geometry_of_tiff
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.decode.stage import decode
from dicom_preprocessing.imaging.crop import crop
from dicom_preprocessing.imaging.geometry import CropBox, Flip, Padding, Size
from dicom_preprocessing.imaging.pad import pad
from dicom_preprocessing.imaging.resize import resize
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import (
    BREAST_TOMOSYNTHESIS,
    data_set_of,
    image_of,
    save,
    show_stored_values,
)
from tests.unit.strategies import geometries

# Crop 6 x 4 at (2, 1) of the turned image, so (2, 3) to (8, 7) of the stored one; doubled, padded.
FULL = Geometry(
    Size(10, 8),
    flip=Flip(10, 8, horizontal=True, vertical=True),
    crop=CropBox(2, 1, 6, 4),
    resized=Size(12, 8),
    padding=Padding(1, 2, 3, 4),
)
UPRIGHT = replace(FULL, flip=None)
RECIPE = make_recipe(parse_config({})[0], "write")


class TestBoxes:
    def test_box_of_whole_pixels_goes_to_the_pixels_that_show_it(self):
        # Columns 3 and 4 are the second and third of the crop box: 2 to 6, one pixel of padding.
        mapped = UPRIGHT.boxes_to_output([[3, 1, 5, 2]])
        assert mapped.boxes.tolist() == [[3, 2, 7, 4]]

    def test_crop_box_goes_to_the_active_area(self):
        mapped = UPRIGHT.boxes_to_output([[2, 1, 8, 5]])
        assert mapped.boxes.tolist() == [list(UPRIGHT.active_area)]

    def test_flip_exchanges_the_sides(self):
        # Columns 3 and 4 of ten are 5 and 6 after the turn.
        mapped = FULL.boxes_to_output([[3, 6, 5, 7]])
        assert mapped.boxes.tolist() == [[7, 2, 11, 4]]

    def test_kept_area_is_in_stored_pixels(self):
        assert UPRIGHT.kept_area == (2, 1, 8, 5)
        assert FULL.kept_area == (2, 3, 8, 7)

    def test_box_partly_outside_is_cut_and_reported(self):
        mapped = UPRIGHT.boxes_to_output([[0, 1, 4, 3]])
        assert mapped.boxes.tolist() == [[1, 2, 5, 6]]
        assert mapped.unclipped.tolist() == [[-3, 2, 5, 6]]
        assert (mapped.inside.tolist(), mapped.state.tolist()) == ([0.5], ["partly"])

    def test_box_outside_has_no_place_and_is_reported(self):
        mapped = UPRIGHT.boxes_to_output([[0, 0, 2, 8]])
        assert np.isnan(mapped.boxes).all()
        assert mapped.unclipped.tolist() == [[-3, 0, 1, 16]]
        assert (mapped.inside.tolist(), mapped.state.tolist()) == ([0], ["outside"])

    def test_every_box_is_in_its_row(self):
        mapped = UPRIGHT.boxes_to_output([[0, 0, 1, 1], [3, 2, 4, 3], [7, 4, 9, 6]])
        assert mapped.state.tolist() == ["outside", "inside", "partly"]
        assert mapped.inside.tolist() == [0, 1, 0.25]

    def test_box_in_the_padding_is_outside_of_the_source(self):
        mapped = UPRIGHT.boxes_to_source([[0, 0, 1, 14], [0, 2, 3, 4]])
        assert mapped.state.tolist() == ["outside", "partly"]
        assert mapped.boxes[1].tolist() == [2, 1, 3, 2]

    @pytest.mark.parametrize(
        ("box", "state"),
        [
            ([3, 2, 3, 4], "inside"),
            ([8, 2, 8, 4], "inside"),  # on the edge
            ([9, 2, 9, 4], "outside"),
            ([3, 0, 3, 2], "partly"),
            ([3, 3, 3, 3], "inside"),
            ([1, 3, 1, 3], "outside"),
        ],
    )
    def test_box_without_area_counts_by_its_length(self, box, state):
        assert UPRIGHT.boxes_to_output([box]).state.tolist() == [state]

    def test_no_boxes(self):
        mapped = FULL.boxes_to_output([])
        assert mapped.boxes.shape == mapped.unclipped.shape == (0, 4)
        assert mapped.inside.shape == mapped.state.shape == (0,)

    def test_negative_side_is_an_error(self):
        with pytest.raises(
            ValueError, match="box 1 must have left <= right and top <= bottom: 5, 1, 4, 2"
        ):
            FULL.boxes_to_output([[3, 1, 5, 2], [5, 1, 4, 2]])

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_not_finite_are_an_error(self, value):
        with pytest.raises(ValueError, match="box 0"):
            FULL.boxes_to_output([[3, 1, value, 2]])

    @pytest.mark.parametrize("boxes", [[1, 2, 3, 4], [[1, 2, 3]]])
    def test_other_shapes_are_an_error(self, boxes):
        with pytest.raises(ValueError, match=r"instead of \(n, 4\)"):
            FULL.boxes_to_output(boxes)


@st.composite
def boxes_within(draw, area):
    left, top, right, bottom = area
    x = sorted(draw(st.tuples(st.floats(left, right), st.floats(left, right))))
    y = sorted(draw(st.tuples(st.floats(top, bottom), st.floats(top, bottom))))
    return [x[0], y[0], x[1], y[1]]


class TestBoxProperties:
    @given(geometries(), st.data())
    def test_box_inside_comes_back(self, geometry, data):
        box = data.draw(boxes_within(geometry.kept_area))
        there = geometry.boxes_to_output([box])
        assert there.state.tolist() == ["inside"]
        left, top, right, bottom = there.boxes[0]
        x0, y0, x1, y1 = geometry.active_area
        assert x0 - 1e-6 <= left <= right <= x1 + 1e-6
        assert y0 - 1e-6 <= top <= bottom <= y1 + 1e-6
        back = geometry.boxes_to_source(np.clip(there.boxes, (x0, y0) * 2, (x1, y1) * 2))
        assert back.boxes[0] == pytest.approx(box, abs=1e-6)

    @given(geometries(), st.data())
    def test_any_box_is_reported_by_its_area(self, geometry, data):
        box = data.draw(boxes_within((-100, -100, 500, 500)))
        mapped = geometry.boxes_to_output([box])
        whole, part = mapped.unclipped[0], mapped.boxes[0]
        area = (whole[2] - whole[0]) * (whole[3] - whole[1])
        kept = 0 if np.isnan(part).any() else (part[2] - part[0]) * (part[3] - part[1])
        assert mapped.inside[0] * area == pytest.approx(kept, abs=1e-6, rel=1e-6)

    @given(geometries(longest=24), st.data())
    def test_box_of_whole_pixels_holds_the_centres_of_its_pixels(self, geometry, data):
        size = geometry.source
        x = sorted(data.draw(st.lists(st.integers(0, size.width), min_size=2, max_size=2)))
        y = sorted(data.draw(st.lists(st.integers(0, size.height), min_size=2, max_size=2)))
        left, top, right, bottom = geometry.boxes_to_output(
            [[*x[:1], *y[:1], *x[1:], *y[1:]]]
        ).unclipped[0]
        columns, rows = np.meshgrid(np.arange(*x), np.arange(*y))
        centres = geometry.to_output(np.stack((columns, rows), axis=-1)) + 0.5
        assert ((left <= centres[..., 0]) & (centres[..., 0] <= right)).all()
        assert ((top <= centres[..., 1]) & (centres[..., 1] <= bottom)).all()


TRIANGLE = [[2, 1], [6, 1], [2, 3]]


class TestPolygons:
    def test_corners_are_mapped_as_points(self):
        mapped = UPRIGHT.polygon_to_output(TRIANGLE)
        assert mapped.points.tolist() == UPRIGHT.to_output(TRIANGLE).tolist()
        assert (mapped.inside, mapped.state) == (1, "inside")

    def test_part_outside_is_cut_and_reported(self):
        # The left edge of the crop box is at 1.5: a square of two pixels loses half of one.
        mapped = UPRIGHT.polygon_to_output([[0.5, 1], [2.5, 1], [2.5, 3], [0.5, 3]])
        assert mapped.state == "partly"
        assert mapped.inside == 0.5
        assert sorted(mapped.points.tolist()) == [[0.5, 2.5], [0.5, 6.5], [2.5, 2.5], [2.5, 6.5]]
        assert mapped.unclipped[:, 0].tolist() == [-1.5, 2.5, 2.5, -1.5]

    def test_corner_cut_off_makes_two(self):
        mapped = UPRIGHT.polygon_to_output([[1, 1], [3, 1], [3, 3]])
        assert mapped.state == "partly"
        assert mapped.inside == pytest.approx(1 - 0.25**2)
        assert len(mapped.points) == 4

    def test_polygon_around_all_becomes_the_active_area(self):
        mapped = UPRIGHT.polygon_to_output([[-9, -9], [30, -9], [30, 30], [-9, 30]])
        left, top, right, bottom = np.subtract(UPRIGHT.active_area, 0.5)
        corners = [[left, top], [left, bottom], [right, top], [right, bottom]]
        assert sorted(mapped.points.tolist()) == corners
        assert mapped.inside == pytest.approx(6 * 4 / 39**2)

    def test_outside_has_no_points_and_is_reported(self):
        mapped = UPRIGHT.polygon_to_output([[-3, 0], [0, 0], [0, 5]])
        assert mapped.points.shape == (0, 2)
        assert mapped.unclipped.shape == (3, 2)
        assert (mapped.inside, mapped.state) == (0, "outside")

    def test_line_counts_by_its_corners(self):
        mapped = UPRIGHT.polygon_to_output([[0, 2], [3, 2]])
        assert (mapped.inside, mapped.state) == (0.5, "partly")

    def test_what_lies_in_the_padding_is_outside_of_the_source(self):
        assert UPRIGHT.polygon_to_source([[14, 3], [15, 3], [15, 5]]).state == "outside"

    @pytest.mark.parametrize("polygon", [[], [1, 2], [[1, 2, 3]]])
    def test_other_shapes_are_an_error(self, polygon):
        with pytest.raises(ValueError, match=r"instead of \(n, 2\)"):
            FULL.polygon_to_output(polygon)

    def test_corners_that_are_not_finite_are_an_error(self):
        with pytest.raises(ValueError, match="not finite"):
            FULL.polygon_to_output([[1, 2], [np.nan, 2]])

    @given(geometries(), st.data())
    def test_rectangle_is_cut_as_its_box(self, geometry, data):
        box = data.draw(boxes_within((-50, -50, 450, 450)))
        left, top, right, bottom = np.subtract(box, 0.5)
        corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
        as_box, as_polygon = geometry.boxes_to_output([box]), geometry.polygon_to_output(corners)
        if (box[2] - box[0]) * (box[3] - box[1]) < 1e-3:
            return  # lines and points count by their corners
        assert as_polygon.inside == pytest.approx(as_box.inside[0], abs=1e-6)
        if as_box.inside[0] > 1e-6:
            ends = np.concatenate((as_polygon.points.min(axis=0), as_polygon.points.max(axis=0)))
            assert ends + 0.5 == pytest.approx(as_box.boxes[0], abs=1e-6)


class TestMasks:
    def test_pixels_are_carried_and_the_padding_is_filled(self):
        geometry = Geometry(
            Size(3, 2), crop=CropBox(1, 0, 2, 2), resized=Size(4, 2), padding=Padding(1, 0, 0, 1)
        )
        carried = geometry.masks_to_output([[1, 2, 3], [4, 5, 6]], fill=9)
        assert carried.tolist() == [[9, 2, 2, 3, 3], [9, 5, 5, 6, 6], [9] * 5]

    def test_back_is_filled_where_the_image_was_cropped(self):
        geometry = Geometry(
            Size(3, 2), crop=CropBox(1, 0, 2, 2), resized=Size(4, 2), padding=Padding(1, 0, 0, 1)
        )
        mask = [[0, 1, 2, 3, 4], [0, 5, 6, 7, 8], [0] * 5]
        assert geometry.masks_to_source(mask, fill=9).tolist() == [[9, 2, 4], [9, 6, 8]]

    def test_flip_is_done_and_undone(self):
        flip = Flip(3, 2, horizontal=True, vertical=False)
        geometry = Geometry(Size(3, 2), flip=flip, crop=CropBox(0, 0, 2, 2))
        there = geometry.masks_to_output([[1, 2, 3], [4, 5, 6]])
        assert there.tolist() == [[3, 2], [6, 5]]
        assert geometry.masks_to_source(there).tolist() == [[0, 2, 3], [0, 5, 6]]

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float32])
    def test_stack_keeps_its_frames_and_dtype(self, dtype):
        stack = (np.arange(5 * 8 * 10).reshape(5, 8, 10) % 7).astype(dtype)
        carried = FULL.masks_to_output(stack)
        assert (carried.shape, carried.dtype) == ((5, 14, 16), dtype)
        assert all(
            np.array_equal(c, FULL.masks_to_output(s)) for c, s in zip(carried, stack, strict=True)
        )

    def test_other_sizes_are_an_error(self):
        with pytest.raises(
            ValueError, match=r"\(10, 8\) instead of \(\.\.\., 8, 10\), that of the stored"
        ):
            FULL.masks_to_output(np.zeros((10, 8)))
        with pytest.raises(ValueError, match=r"instead of \(\.\.\., 14, 16\), that of the output"):
            FULL.masks_to_source(np.zeros((8, 10)))

    @given(geometries(longest=24), st.data())
    def test_each_pixel_has_the_label_under_its_centre(self, geometry, data):
        size = geometry.source
        mask = data.draw(arrays(np.uint8, (size.height, size.width), elements=st.integers(1, 9)))
        carried = geometry.masks_to_output(mask)
        assert carried.shape == (geometry.output.height, geometry.output.width)
        assert_labels_under_centres(carried, mask, geometry.to_source, geometry.active_area)

    @given(geometries(longest=24), st.data())
    def test_each_stored_pixel_has_the_label_under_its_centre(self, geometry, data):
        size = geometry.output
        mask = data.draw(arrays(np.uint8, (size.height, size.width), elements=st.integers(1, 9)))
        carried = geometry.masks_to_source(mask)
        assert carried.shape == (geometry.source.height, geometry.source.width)
        assert_labels_under_centres(carried, mask, geometry.to_output, geometry.kept_area)

    @given(geometries(longest=24), st.data())
    def test_enlarged_mask_comes_back(self, geometry, data):
        box = geometry.crop_box
        factors = data.draw(st.tuples(st.floats(1, 3), st.floats(1, 3)))
        size = Size(round(box.width * factors[0]), round(box.height * factors[1]))
        geometry = geometry.with_resized(size)
        shape = geometry.source.height, geometry.source.width
        mask = np.arange(1, 1 + shape[0] * shape[1]).reshape(shape)
        left, top, right, bottom = geometry.kept_area
        back = geometry.masks_to_source(geometry.masks_to_output(mask))
        kept = np.zeros(shape, bool)
        kept[top:bottom, left:right] = True
        assert np.array_equal(back, np.where(kept, mask, 0))


def assert_labels_under_centres(carried, mask, way, within):
    """A centre on the border of two pixels may have the label of either."""
    left, top, right, bottom = within
    inner = np.zeros(carried.shape, bool)
    inner[top:bottom, left:right] = True
    assert not carried[~inner].any()
    rows, columns = np.nonzero(inner)
    points = way(np.stack((columns, rows), axis=-1)) + 0.5
    candidates = []
    for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        x, y = np.floor(points + np.multiply((dx, dy), 1e-9)).astype(int).T
        x, y = np.clip(x, 0, mask.shape[1] - 1), np.clip(y, 0, mask.shape[0] - 1)
        candidates.append(mask[y, x])
    assert (np.array(candidates) == carried[rows, columns]).any(axis=0).all()


FILTERS = ("triangle", "catmull-rom", "gaussian", "lanczos3", "nearest", "max-pool")
PADDINGS = ("zero", "top-left", "bottom-right", "center", "none")
BODY, DOT = 1000, 30000
SIGMA = 4.5
"""Of a dot, source pixels: what nearest sampling still finds when it keeps every third pixel."""
MARGIN = 4 * SIGMA


def dotted_frame(size, body, place):
    """A dark frame with a grey body that has one bright, round dot."""
    y, x = np.ogrid[: size.height, : size.width]
    dot = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * SIGMA**2))
    frame = np.zeros((size.height, size.width))
    inner = np.s_[body.top : body.bottom, body.left : body.right]
    frame[inner] = BODY + DOT * dot[inner]
    return frame.astype(np.uint16)


def centroid(frame):
    """Of what is brighter than the body."""
    weights = np.clip(frame.astype(np.float64) - BODY, 0, None)
    weights[weights < weights.max() / 50] = 0
    rows, columns = np.indices(weights.shape)
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


def dotted_image(rng):
    """An image with one dot on each of three frames, flipped or not, and the places of the dots."""
    width, height = (int(side) for side in rng.integers(80, 161, 2))
    left, top, lost_right, lost_bottom = (int(n) for n in rng.integers(0, 13, 4))
    body = CropBox(left, top, width - left - lost_right, height - top - lost_bottom)
    low = np.add((body.left, body.top), MARGIN)
    high = np.subtract((body.right, body.bottom), 1 + MARGIN)
    places = rng.uniform(low, high, (3, 2))
    size = Size(width, height)
    frames = np.stack([dotted_frame(size, body, place) for place in places])[..., np.newaxis]
    horizontal, vertical = (bool(n) for n in rng.integers(0, 2, 2))
    flip = None
    if horizontal or vertical:
        flip = Flip(width, height, horizontal=horizontal, vertical=vertical)
        frames = frames[:, :: -1 if vertical else 1, :: -1 if horizontal else 1]
    return image_of(frames, Geometry(size, flip=flip), pixel_spacing=(1.0, 1.0)), places


def random_settings(rng):
    """Settings of crop, resize and pad; max-pool shrinks to half at least, see below."""
    crop_settings = {
        "crop": rng.random() < 0.8,
        "crop_max": rng.random() < 0.3,
        "crop_components": rng.random() < 0.5,
        "border_frac": rng.choice([None, 0.02, 0.05]),
    }
    filter_name = str(rng.choice(FILTERS))
    pools = filter_name == "max-pool"
    resize_settings = {"filter": filter_name}
    if rng.random() < 0.6:
        sides = rng.integers(*((20, 29) if pools else (40, 260)), 2)
        resize_settings["size"] = [int(side) for side in sides]
    else:
        spacing = rng.uniform(2.1 if pools else 0.4, 3, 2)
        resize_settings["spacing"] = [float(mm) for mm in spacing]
    padding = str(rng.choice(PADDINGS))
    return crop_settings, resize_settings, padding


@pytest.mark.parametrize("seed", range(200))
def test_dots_are_where_their_places_are_mapped(seed):
    rng = np.random.default_rng(seed)
    image, places = dotted_image(rng)
    crop_settings, resize_settings, padding = random_settings(rng)
    done = resize(crop(image, **crop_settings), **resize_settings)
    done = pad(done, size=resize_settings.get("size"), padding=padding)
    found = np.array([centroid(frame) for frame in done.frames[..., 0]])
    assert np.abs(found - done.geometry.to_output(places)).max() < 0.5
    in_source = np.abs(done.geometry.to_source(found) - places) * done.geometry.scale
    assert in_source.max() < 0.5


@pytest.mark.parametrize("seed", range(20))
def test_max_pool_is_late_by_less_than_a_pixel(seed):
    """Its windows start at whole pixels: by less than one of source or output, the larger ones."""
    rng = np.random.default_rng(seed)
    image, places = dotted_image(rng)
    spacing = [float(mm) for mm in rng.uniform(0.4, 3, 2)]
    done = resize(crop(image), spacing=spacing, filter="max-pool")
    found = np.array([centroid(frame) for frame in done.frames[..., 0]])
    late = found - done.geometry.to_output(places)
    assert late.min() > -0.1
    assert (late / np.minimum(1, done.geometry.scale)).max() < 1


def tomosynthesis(path, place, *, turned):
    """An object with a dot; its orientation is the expected one, or the opposite."""
    frame = dotted_frame(Size(120, 90), CropBox(10, 5, 100, 80), place)
    data_set = data_set_of(
        np.stack([frame, frame]),
        SOPClassUID=BREAST_TOMOSYNTHESIS,
        ViewPosition="CC",
        ImageLaterality="L",
        PatientOrientation=["P", "L"] if turned else ["A", "R"],
        PixelSpacing=[1, 1],
    )
    return save(path, show_stored_values(data_set))


@pytest.mark.parametrize("turned", [True, False], ids=["turned", "upright"])
@pytest.mark.parametrize("seed", range(10))
def test_dot_of_a_dicom_file_is_found_by_the_tags_of_its_tiff(tmp_path, seed, turned):
    rng = np.random.default_rng(seed)
    place = rng.uniform((10 + MARGIN, 5 + MARGIN), (109 - MARGIN, 84 - MARGIN))
    crop_settings, resize_settings, padding = random_settings(rng)
    image = decode(tomosynthesis(tmp_path / "a.dcm", place, turned=turned))
    image = resize(crop(image, **crop_settings), **resize_settings)
    image = pad(image, size=resize_settings.get("size"), padding=padding)
    write_tiff(tmp_path / "a.tiff", image, compressor="packbits", recipe=RECIPE)
    geometry = geometry_of_tiff(tmp_path / "a.tiff")
    flip = Flip(120, 90, horizontal=True, vertical=True)
    assert geometry.flip == (flip if turned else None)
    found = centroid(tifffile.imread(tmp_path / "a.tiff")[0])
    assert found == pytest.approx(geometry.to_output(place), abs=0.5)
    in_source = np.abs(geometry.to_source(found) - place) * geometry.scale
    assert in_source.max() < 0.5
