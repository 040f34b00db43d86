"""The image between the stages: display values put off, brightness, spacing and warnings."""

import numpy as np
import pytest

from dicom_preprocessing.image_warnings import ImageWarning
from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.imaging.image import PIXELS_PER_LOOKUP, DisplayLut, luma, output_spacing
from tests.unit.datasets import image_of, messages_of


class TestLookup:
    def test_table_starts_at_its_lowest_value(self):
        lookup = DisplayLut(np.array([7, 8, 9], np.uint8), low=-1)
        found = lookup(np.array([[1, -1, 0]], np.int16))
        assert (found.dtype, found.tolist()) == (np.uint8, [[9, 7, 8]])

    def test_more_values_than_are_looked_up_at_once(self):
        table = np.arange(256, dtype=np.uint16)[::-1] * 257
        stored = np.arange(3 * PIXELS_PER_LOOKUP, dtype=np.uint32).reshape(-1, 192) % 256
        assert np.array_equal(DisplayLut(table, 0)(stored), table[stored])

    @pytest.mark.parametrize("dtype", [np.int16, np.int32])
    def test_of_every_int16(self, dtype):
        table = np.arange(1 << 16, dtype=np.float64)
        stored = np.array([[-32768, -1, 0], [1, 32767, -5]], dtype)[:, ::2]
        assert np.array_equal(DisplayLut(table, -32768)(stored), stored + 32768.0)

    def test_without_values(self):
        found = DisplayLut(np.array([7], np.uint8), 0)(np.empty((0, 3), np.uint8))
        assert (found.dtype, found.shape) == (np.uint8, (0, 3))


class TestLuma:
    @pytest.mark.parametrize(
        ("colour", "brightness"),
        [([255, 0, 0], 54), ([0, 255, 0], 182), ([0, 0, 255], 18), ([255, 255, 255], 255)],
    )
    def test_is_weighted_and_truncated(self, colour, brightness):
        found = luma(np.array([colour], np.uint8))
        assert (found.dtype, found.tolist()) == (np.uint8, [brightness])

    def test_of_16_bits_does_not_overflow(self):
        assert luma(np.full((1, 3), 65535, np.uint16)).tolist() == [65535]

    def test_of_grey_is_grey(self):
        assert luma(np.array([[-3], [4]], np.int16)).tolist() == [-3, 4]


def test_pixels_of_a_smaller_image_measure_more():
    source_info = image_of(np.zeros((1, 8, 8, 1), np.uint8), pixel_spacing=(0.5, 0.25)).source_info
    geometry = Geometry(Size(8, 8), resized=Size(4, 2))
    assert output_spacing(source_info, geometry) == (1, 1)


def test_unknown_spacing_stays_unknown():
    source_info = image_of(np.zeros((1, 8, 8, 1), np.uint8), pixel_spacing=None).source_info
    assert output_spacing(source_info, Geometry(Size(8, 8), resized=Size(4, 2))) is None


def test_warnings_of_steps_add_up():
    image = image_of(np.zeros((1, 2, 2, 1), np.uint8))
    image = image.with_warning(ImageWarning("mosaic", "one"))
    image = image.evolve(image.frames, image.geometry)
    image = image.with_warning(ImageWarning("only_background", "two"))
    assert messages_of(image) == ["one", "two"]
