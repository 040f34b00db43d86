"""Discs and spheres of known millimetres: their size in pixels, in plane and from page to page."""

import numpy as np
import pytest

from tests.unit.datasets import pages_of
from tests.unit.processing.stacks import CORNER, CT, ORIENTATIONS, find_stacks
from tests.unit.processing.test_volume import AXIAL, OBLIQUE, Series, normal_of, run

DX = "1.2.840.10008.5.1.4.1.1.1.1"
MG = "1.2.840.10008.5.1.4.1.1.1.2"
DISC, AROUND = 1200, 200


def draw_disc(shape, centre, radius, pixel=(1.0, 1.0)):
    """A disc of ``radius`` mm; pixels at its edge have a part of its value.

    Centre and pixel are (y, x), in mm.
    """
    rows, columns = np.indices(shape)
    distance = np.hypot(rows * pixel[0] - centre[0], columns * pixel[1] - centre[1])
    covered = np.clip((radius - distance) / max(pixel) + 0.5, 0, 1)
    return np.round(AROUND + (DISC - AROUND) * covered).astype(np.int16)[np.newaxis]


def write_one(folder, pixels, **attributes):
    """One image, by default without any spacing."""
    changes = {"PixelSpacing": None, "NumberOfFrames": None, "RescaleIntercept": 0} | attributes
    Series(folder).add(pixels=pixels, **changes)
    return folder


def read_one(result):
    (image,) = result.images
    return pages_of(result.output / image.output)[..., 0]


def measure(values, threshold=(DISC + AROUND) / 2):
    """Pages, rows and columns over which values are above a threshold."""
    axes = ((1, 2), (0, 2), (0, 1))
    return [np.count_nonzero((values > threshold).any(axis=axis)) for axis in axes]


FILTERS = ("triangle", "nearest", "catmull-rom", "gaussian", "lanczos3")


class TestDiscs:
    @pytest.mark.parametrize("filter_name", FILTERS)
    @pytest.mark.parametrize("target", [(1, 1), (0.5, 0.8), (1.7, 1.3)], ids=str)
    def test_has_its_millimetres_after_spacing(self, tmp_path, target, filter_name):
        """40 mm of pixels that are 0.7 mm wide and 1.1 mm high."""
        pixels = draw_disc((70, 110), (40, 35), 20, (1.1, 0.7))
        source = write_one(tmp_path / "in", pixels, PixelSpacing=[1.1, 0.7])
        result = run(source, tmp_path / "out", spacing=list(target), filter=filter_name)
        _, height, width = measure(read_one(result))
        assert width == pytest.approx(40 / target[0], abs=1)
        assert height == pytest.approx(40 / target[1], abs=1)

    @pytest.mark.parametrize(
        "changes",
        [
            {"EstimatedRadiographicMagnificationFactor": 1.5},
            {"DistanceSourceToDetector": 1500, "DistanceSourceToPatient": 1000},
            # Writers repeat the spacing at the detector.
            {"EstimatedRadiographicMagnificationFactor": 1.5, "PixelSpacing": [0.4, 0.4]},
        ],
        ids=["factor", "distances", "repeated"],
    )
    @pytest.mark.parametrize(("modality", "sop_class"), [("DX", DX), ("MG", MG)])
    def test_of_a_projection_has_those_in_the_patient(self, tmp_path, changes, modality, sop_class):
        """30 mm in the patient are 45 mm at the detector."""
        pixels = draw_disc((150, 170), (30, 33), 22.5, (0.4, 0.4))
        attributes = {"Modality": modality, "SOPClassUID": sop_class}
        source = write_one(
            tmp_path / "in", pixels, ImagerPixelSpacing=[0.4, 0.4], **attributes | changes
        )
        result = run(source, tmp_path / "out", spacing=[0.5, 0.6])
        _, height, width = measure(read_one(result))
        assert width == pytest.approx(30 / 0.5, abs=1)
        assert height == pytest.approx(30 / 0.6, abs=1)
        (image,) = result.images
        assert image.parse_source_info().spacing_source == "imager_corrected"

    def test_at_the_detector_without_a_magnification(self, tmp_path):
        pixels = draw_disc((150, 170), (30, 33), 22.5, (0.4, 0.4))
        source = write_one(tmp_path / "in", pixels, ImagerPixelSpacing=[0.4, 0.4], Modality="DX")
        _, height, width = measure(read_one(run(source, tmp_path / "out", spacing=[0.5, 0.5])))
        assert (height, width) == pytest.approx((90, 90), abs=1)

    @pytest.mark.parametrize("ratio", [[2, 1], [1, 2], [5, 4]], ids=str)
    @pytest.mark.parametrize("count", [1, 3])
    def test_is_round_where_pixels_are_not_square(self, tmp_path, ratio, count):
        """Pixel Aspect Ratio is height to width."""
        pixel = ratio[0] / ratio[1], 1.0
        shape = round(100 / pixel[0]), 100
        pixels = draw_disc(shape, (50, 50), 30, pixel)
        series = Series(tmp_path / "in")
        for number in range(count):
            series.add(
                pixels=pixels,
                PixelSpacing=None,
                PixelAspectRatio=ratio,
                NumberOfFrames=None,
                InstanceNumber=number,
            )
        values = read_one(run(tmp_path / "in", tmp_path / "out", size=[128, 128]))
        threshold = (DISC + AROUND) / 2 - 1000
        _, height, width = measure(values, threshold)
        assert (height, width) == pytest.approx((60 * 1.28, 60 * 1.28), abs=1)


RADIUS = 19.0
CENTRE = np.array([26.0, 29.0, 24.0])
"""Of the sphere, mm from the first pixel of the first slice along rows, columns and the normal."""
PIXEL = (1.1, 0.7)
"""Height and width, mm."""
FALL = 20
"""Of values, a millimetre from the centre on."""

EVEN = np.arange(0, 50, 2.5)
UNEVEN = np.array([0, 2, 4.3, 6.3, 9, 11, 12.5, 14.5, 17.4, 19.4, 21.4, 24.1, 26.1, 28.1, 30, 33])
UNEVEN = np.concatenate((UNEVEN, [35, 36.1, 38.1, 40.9, 42.9, 44.9, 47.2]))
WITH_GAP = np.delete(EVEN, [3, 4, 11])
"""Of 7.5 mm, and of 5 mm in the sphere."""
GAP_AT_THE_EDGE = np.delete(EVEN, [1, 2, 17])
PLACES = {
    "even": (EVEN, []),
    "uneven": (UNEVEN, ["stack_uneven"]),
    "gap": (WITH_GAP, ["stack_gap"]),
    "gap at the edge": (GAP_AT_THE_EDGE, ["stack_gap"]),
}
"""Of slices along the normal, mm, and the warnings about them."""


def write_sphere(folder, places, orientation=AXIAL):
    """Slices at places along the normal, whose values fall from the centre of a sphere on."""
    series = Series(folder)
    rows, columns = np.indices((52, 74))
    # A name for each in no order.
    for number in np.random.default_rng(4).permutation(len(places)):
        x, y, z = columns * PIXEL[1], rows * PIXEL[0], places[number]
        distance = np.sqrt((x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2 + (z - CENTRE[2]) ** 2)
        position = np.array(CORNER) + z * normal_of(orientation)
        series.add(
            0,
            pixels=np.round(2000 - FALL * distance).astype(np.int16)[np.newaxis],
            orientation=orientation,
            SOPClassUID=CT,
            NumberOfFrames=None,
            PixelSpacing=list(PIXEL),
            RescaleIntercept=0,
            ImagePositionPatient=[f"{v:.6f}" for v in position],
        )
    return folder


def find_centre(orientation):
    """The centre of the sphere in the patient."""
    axes = np.stack((*np.reshape(orientation, (2, 3)), normal_of(orientation)))
    return CORNER + CENTRE @ axes


class TestSpheres:
    @pytest.mark.parametrize(("places", "codes"), PLACES.values(), ids=PLACES)
    @pytest.mark.parametrize("target", [(1, 1, 1), (2, 1.5, 2), (1.2, 0.8, 3)], ids=str)
    def test_has_its_millimetres_along_all_axes(self, tmp_path, places, codes, target):
        source = write_sphere(tmp_path / "in", places)
        result = run(source, tmp_path / "out", spacing=list(target), stack={"gap": "warn"})
        assert result.codes() == codes
        (stack,) = find_stacks(result)
        pages, rows, columns = measure(stack.pages[..., 0], 2000 - FALL * RADIUS)
        expected = [2 * RADIUS / side for side in target]
        assert [columns, rows, pages] == pytest.approx(expected, abs=1)

    @pytest.mark.parametrize(("places", "codes"), PLACES.values(), ids=PLACES)
    @pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
    def test_stays_where_it_is_in_the_patient(self, tmp_path, places, codes, orientation):
        source = write_sphere(tmp_path / "in", places, orientation)
        result = run(
            source,
            tmp_path / "out",
            spacing=[1, 1, 1],
            stack={"gap": "warn"},
        )
        assert result.codes() == codes
        (stack,) = find_stacks(result)
        indices = np.argwhere(stack.pages[..., 0] > 2000 - FALL * RADIUS)
        middle = (indices.max(axis=0) + indices.min(axis=0))[::-1] / 2
        distance = stack.geometry.to_patient(middle) - find_centre(orientation)
        assert np.abs(distance).max() <= 0.5 + 1e-6
        assert len(stack.geometry.page_distances) == int(places[-1]) + 1

    def test_with_a_sharp_edge_has_its_volume(self, tmp_path):
        """Of what a window shows as white, in one of black."""
        source = write_sphere(tmp_path / "in", EVEN)
        edge = 2000 - FALL * RADIUS
        result = run(source, tmp_path / "out", spacing=[1, 1, 2], intensity="voi", window=[edge, 1])
        values = read_one(result)
        assert np.isin(values, (0, 65535)).mean() > 0.9
        is_white = values > 32767
        pages, rows, columns = measure(is_white, 0.5)
        assert [columns, rows, pages] == pytest.approx([38, 38, 19], abs=1)
        assert is_white.sum() * 2 == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.02)

    def test_without_z_spacing_pages_say_where_they_are(self, tmp_path):
        """Widths of the pages of uneven slices, at their own distances from the centre."""
        source = write_sphere(tmp_path / "in", UNEVEN, OBLIQUE)
        (stack,) = find_stacks(run(source, tmp_path / "out", spacing=[0.7, 0.7]))
        along = np.array(stack.geometry.page_distances)
        centre = find_centre(OBLIQUE) @ normal_of(OBLIQUE)
        halves = np.sqrt(np.maximum(RADIUS**2 - (along - centre) ** 2, 0))
        widths = (stack.pages[..., 0] > 2000 - FALL * RADIUS).any(axis=1).sum(axis=1)
        assert widths == pytest.approx(2 * halves / 0.7, abs=1)
