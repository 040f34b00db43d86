"""Values of stacks beside those of SimpleITK, at the same millimetres of the patient."""

import numpy as np
import pytest
import SimpleITK

from tests.unit.oracles import itk
from tests.unit.processing.stacks import (
    AGREE,
    CORNER,
    CT,
    INTERCEPT,
    ORIENTATIONS,
    PADDING,
    REGULAR,
    UPSIDE_DOWN_HEAD,
    X,
    Y,
    Z,
    assert_same_voxels,
    find_stacks,
    noise,
    stack_and_image,
    surround,
    write_volume,
)
from tests.unit.processing.test_volume import OBLIQUE, SAGITTAL, Series, normal_of, run

# Real files break the standard, of which other readers warn.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

NEAREST = {
    **{
        f"crop, size, {padding} padding": {
            "crop": True,
            "size": [47, 60],
            "padding": padding,
            "filter": "nearest",
        }
        for padding in ("zero", "top-left", "bottom-right", "center")
    },
    "smaller": {"crop": True, "size": [13, 31], "filter": "nearest"},
    "other spacing": {"crop": True, "spacing": [0.43, 0.9], "filter": "nearest"},
}
EXACT = {
    "plain": {},
    "crop": {"crop": True},
    # As wide as the image, and higher: it is not scaled.
    "size": {"size": [24, 31], "padding": "center"},
    **NEAREST,
}


def in_places(settings, typical):
    """Parameters: each of the settings with oblique slices, a typical one with all orientations."""
    pairs = {name: (settings[name], OBLIQUE) for name in settings}
    pairs |= {f"{typical}, {name}": (settings[typical], o) for name, o in ORIENTATIONS.items()}
    return pytest.mark.parametrize(("settings", "orientation"), pairs.values(), ids=pairs)


class TestValuesInTheirPlaces:
    """Modality values (Hounsfield units of CT) to the unit, at the same millimetre as in ITK."""

    @in_places(EXACT, "crop, size, center padding")
    def test_any_orientation(self, tmp_path, settings, orientation):
        pixels = surround(noise(np.random.default_rng(1)))
        folder = write_volume(tmp_path / "in", pixels, orientation, PixelPaddingValue=PADDING)
        stack, image = stack_and_image(folder, tmp_path / "out", **settings)
        assert_same_voxels(stack, image)
        left, top, right, bottom = stack.geometry.active_area
        assert (stack.geometry.padding is not None) == ("size" in settings)
        if settings.get("crop"):
            box = stack.geometry.crop_box
            assert (box.left, box.top, box.width, box.height) == (2, 1, 19, 15)
            assert stack.pages[:, top:bottom, left:right].min() >= INTERCEPT

    @pytest.mark.parametrize("settings", list(EXACT.values())[1:4], ids=list(EXACT)[1:4])
    def test_mirrored(self, tmp_path, settings):
        """As a breast whose chest wall is on the right, here in several slices."""
        pixels = surround(noise(np.random.default_rng(1)))
        changes = {"Modality": "MG", "PatientOrientation": ["P", "F"]}
        folder = write_volume(
            tmp_path / "in", pixels, SAGITTAL, PixelPaddingValue=PADDING, **changes
        )
        stack, image = stack_and_image(folder, tmp_path / "out", orient="left", **settings)
        assert stack.geometry.flip is not None
        assert stack.geometry.row_direction == pytest.approx((0, -1, 0))
        assert_same_voxels(stack, image)

    @pytest.mark.parametrize(
        ("slope", "intercept", "dtype"),
        [(1, 0, "i2"), (1, -1024, "u2"), (2, -2000, "i2"), (-1, 1000, "u2"), (1, -1024.5, "u2")],
    )
    def test_any_rescale(self, tmp_path, slope, intercept, dtype):
        pixels = noise(np.random.default_rng(2)).astype(dtype)
        rescale = {"RescaleSlope": slope, "RescaleIntercept": intercept}
        folder = write_volume(tmp_path / "in", pixels, OBLIQUE, **rescale)
        stack, image = stack_and_image(folder, tmp_path / "out", size=[24, 31])
        assert_same_voxels(stack, image)
        left, top, right, bottom = stack.geometry.active_area
        area = stack.pages[:, top:bottom, left:right, 0]
        assert np.array_equal(area, pixels * float(slope) + intercept)

    def test_rescales_that_differ_are_those_of_their_files(self, tmp_path):
        """As in PET."""
        series = Series(tmp_path / "in")
        for number, pixels in enumerate(noise(np.random.default_rng(2))):
            series.add(
                number,
                pixels=pixels[np.newaxis],
                SOPClassUID=CT,
                NumberOfFrames=None,
                RescaleSlope=0.25 * (number + 1),
                RescaleIntercept=-number,
            )
        result = run(tmp_path / "in", tmp_path / "out")
        assert result.codes() == ["stack_mixed_rescale"]
        (stack,) = find_stacks(result)
        assert np.array_equal(stack.pages, itk.values_of(itk.read(*stack.files)))

    @pytest.mark.parametrize("orientation", [*ORIENTATIONS.values(), UPSIDE_DOWN_HEAD])
    def test_pages_are_in_gdcm_s_order(self, tmp_path, orientation):
        folder = write_volume(tmp_path / "in", noise(np.random.default_rng(1)), orientation)
        stack, image = stack_and_image(folder, tmp_path / "out")
        assert stack.files == next(iter(itk.find_series(folder).values()))
        assert np.abs(stack.geometry.affine() - itk.affine_of(image)).max() < AGREE

    @pytest.mark.parametrize("settings", list(NEAREST.values())[-2:], ids=list(NEAREST)[-2:])
    def test_real_and_synthetic_series(self, regular, tmp_path, settings):
        folder, stacks = regular
        found = find_stacks(run(folder, tmp_path, **settings))
        assert len(found) == len(stacks)
        for stack in found:
            assert_same_voxels(stack, itk.read(*stack.files))

    def test_real_and_synthetic_series_with_padding_alone(self, regular, tmp_path):
        for number, stack in enumerate(regular[1]):
            width, height = stack.geometry.output.width, stack.geometry.output.height
            folder = stack.files[0].parent
            output = tmp_path / f"{number}"
            found = find_stacks(run(folder, output, size=[width + 5, height], padding="center"))
            (padded,) = (s for s in found if s.files == stack.files)
            assert padded.geometry.active_area == (2, 0, 2 + width, height)
            assert np.array_equal(padded.pages[:, :, 2 : 2 + width], stack.pages)
            assert_same_voxels(padded, itk.read(*stack.files))


LARGER = {
    "size": {"size": [60, 70], "padding": "center"},
    "spacing": {"spacing": [0.35, 0.5]},
    "crop": {"crop": True, "spacing": [0.3, 0.6]},
    "z": {"spacing": [0.35, 0.5, 1.0]},
    "coarser z": {"spacing": [0.7, 1.1, 3.3]},
}
SMALLER = {
    "half": {"spacing": [1.4, 2.2]},
    "odd": {"spacing": [1.9, 2.5]},
    "z": {"spacing": [1.5, 3.1, 4.0]},
    "one axis": {"spacing": [0.7, 2.5, 1.0]},
    "lanczos3": {"crop": True, "spacing": [1.5, 1.5], "filter": "lanczos3"},
    "size": {"size": [20, 40], "padding": "center"},
}


def sample_active_area(stack, image, shift=(0, 0)):
    """ITK's values at the pixels of a stack, moved by a part of a pixel, linear between voxels."""
    left, top, right, bottom = stack.geometry.active_area
    affine = stack.geometry.affine()
    affine[:3, 3] += affine[:3, :2] @ shift
    return itk.sample(image, affine, stack.pages.shape[:3])[:, top:bottom, left:right]


def active_values(stack):
    left, top, right, bottom = stack.geometry.active_area
    return stack.pages[:, top:bottom, left:right, 0].astype(np.float64)


class TestResampledValues:
    """Values of new pixels, at the millimetres at which the TIFF says that they are."""

    @in_places(LARGER, "z")
    def test_smaller_pixels_are_linear_between_voxels_as_in_itk(
        self, tmp_path, settings, orientation
    ):
        pixels = noise(np.random.default_rng(1))
        folder = write_volume(tmp_path / "in", pixels, orientation, PixelPaddingValue=PADDING)
        stack, image = stack_and_image(folder, tmp_path / "out", **settings)
        expected = sample_active_area(stack, image)
        assert not np.isnan(expected).any()
        assert np.abs(active_values(stack) - expected).max() < 1e-3

    @in_places(SMALLER, "z")
    def test_larger_pixels_of_a_ramp_have_its_value_at_their_centre(
        self, tmp_path, settings, orientation
    ):
        x_hat, y_hat, z_hat = *np.reshape(orientation, (2, 3)), normal_of(orientation)
        z, y, x = np.indices((7, 40, 48))[..., np.newaxis]
        points = np.array(CORNER) + X * x * x_hat + Y * y * y_hat + Z * z * z_hat
        gradient = np.array([7.0, -5.0, 11.0])  # a millimetre
        pixels = np.round(points @ gradient).astype(np.int16)
        folder = write_volume(tmp_path / "in", pixels, orientation, PixelPaddingValue=PADDING)
        (stack,) = find_stacks(run(folder, tmp_path / "out", **settings))
        left, top, right, bottom = stack.geometry.active_area
        z, y, x = np.indices(stack.pages.shape[:3])
        found = stack.geometry.to_patient(np.stack((x, y, z), axis=-1))
        expected = found[:, top:bottom, left:right] @ gradient + INTERCEPT
        # The kernel is cut at the edges.
        differences = np.abs(active_values(stack) - expected)[:, 2:-2, 2:-2]
        assert differences.max() < 1  # less than 0.15 mm along the weakest axis

    @pytest.mark.parametrize("spacing", [[3, 3], [4, 5]], ids=str)
    def test_real_ct_is_not_moved_by_half_a_pixel(self, tmp_path, spacing):
        (stack,) = find_stacks(run(REGULAR["ct"], tmp_path, spacing=spacing))
        # As wide as the kernel: a triangle of half width w has the variance w * w / 6.
        variance = [*np.square(spacing) / 6, 1e-6]
        image = SimpleITK.Cast(itk.read(*stack.files), SimpleITK.sitkFloat64)
        smooth = SimpleITK.DiscreteGaussian(image, [float(v) for v in variance])

        def measure_difference(*shift):
            difference = np.abs(active_values(stack) - sample_active_area(stack, smooth, shift))
            return difference[:, 3:-3, 3:-3].mean()

        moved = [measure_difference(*s) for s in ((-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5))]
        assert measure_difference(0, 0) < 0.3 * min(moved)
