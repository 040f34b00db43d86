"""Regions of ultrasound frames, from the file to the image."""

import numpy as np
import pytest

from dicom_preprocessing.decode.stage import decode
from tests.unit.datasets import codes_of, data_set_of, item, ramp, save

PIXELS = np.arange(24, dtype=np.uint8).reshape(1, 4, 6)
REGION = {
    "RegionSpatialFormat": 1,
    "RegionDataType": 1,
    "RegionLocationMinX0": 1,
    "RegionLocationMinY0": 1,
    "RegionLocationMaxX1": 4,
    "RegionLocationMaxY1": 3,
    "PhysicalUnitsXDirection": 3,
    "PhysicalUnitsYDirection": 3,
    "PhysicalDeltaX": 0.05,
    "PhysicalDeltaY": 0.025,
}


def region(**changes):
    return item(**REGION | changes)


def source_info(decoded, *regions, pixels=PIXELS, **changes):
    data_set = data_set_of(pixels, SequenceOfUltrasoundRegions=list(regions), **changes)
    return decoded(data_set).source_info


def test_maximum_is_the_last_pixel(decoded):
    assert source_info(decoded, region()).region == (1, 1, 5, 4)


def test_millimetres_are_those_of_the_region(decoded):
    found = source_info(decoded, region())
    assert found.pixel_spacing == (pytest.approx(0.5), pytest.approx(0.25))
    assert found.spacing_source == "region"


def test_other_formats_are_no_picture(decoded):
    assert source_info(decoded, region(RegionSpatialFormat=2)).region is None


def test_the_largest_of_several_counts_and_the_first_of_equal_ones(decoded):
    small = region(RegionLocationMaxX1=2)
    large = region(RegionLocationMinX0=0, RegionLocationMaxX1=3)
    assert source_info(decoded, small, large, region()).region == (0, 1, 4, 4)


def test_region_is_cut_to_the_frame(decoded):
    found = source_info(decoded, region(RegionLocationMaxX1=99, RegionLocationMinY0=0))
    assert found.region == (1, 0, 6, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"RegionLocationMinX0": 6, "RegionLocationMaxX1": 9},
        {"RegionLocationMinX0": 4, "RegionLocationMaxX1": 2},
    ],
)
def test_region_without_pixels_is_none(decoded, changes):
    assert source_info(decoded, region(**changes)).region is None


def test_a_file_gives_the_same(tmp_path):
    data_set = data_set_of(PIXELS, Modality="US", SequenceOfUltrasoundRegions=[region()])
    found = decode(save(tmp_path / "us.dcm", data_set))
    assert found.source_info.region == (1, 1, 5, 4)


class TestPixelShape:
    def test_is_that_of_the_aspect_ratio(self, decoded):
        found = decoded(data_set_of(ramp(0, 9), PixelAspectRatio=[6, 5]))
        assert found.source_info.pixel_shape == 1.2
        assert codes_of(found) == ["pixel_aspect_ratio"]

    def test_is_left_to_a_spacing(self, decoded):
        data_set = data_set_of(ramp(0, 9), PixelAspectRatio=[6, 5], PixelSpacing=[1, 1])
        assert decoded(data_set).source_info.pixel_shape is None

    @pytest.mark.parametrize("ratio", [[0, 1], [1, 1000], [-1, 1]])
    def test_impossible_ones_are_ignored(self, decoded, ratio):
        data_set = data_set_of(ramp(0, 9), PixelAspectRatio=ratio)
        assert decoded(data_set).source_info.pixel_shape is None
