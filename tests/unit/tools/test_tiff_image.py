"""TIFFs as tools read them: the same geometry as everywhere else."""

import numpy as np
import pytest
import tifffile

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.imaging.geometry import CropBox, Flip, Geometry, Padding, Size
from dicom_preprocessing.mapping.geometry import geometry_of_tiff
from dicom_preprocessing.tiff.tags import Tag
from dicom_preprocessing.tiff.writer import write_tiff
from dicom_preprocessing.tools.tiff_image import read_tiff_image
from tests.unit.datasets import image_of

TURNED = Geometry(
    Size(10, 8),
    flip=Flip(10, 8, horizontal=True, vertical=True),
    crop=CropBox(2, 1, 6, 4),
    resized=Size(12, 8),
    padding=Padding(1, 2, 3, 4),
)
RECIPE = make_recipe(parse_config({})[0], "write")


@pytest.fixture
def written(tmp_path):
    image = image_of(np.ones((1, 14, 16, 1), np.uint16), TURNED, source_rows=8, source_columns=10)
    write_tiff(tmp_path / "a.tiff", image, compressor="packbits", recipe=RECIPE)
    return tmp_path / "a.tiff"


def test_geometry_is_that_of_the_tags(written):
    assert read_tiff_image(written).geometry == TURNED == geometry_of_tiff(written)


def test_another_programs_file_is_its_own_source(tmp_path):
    tifffile.imwrite(tmp_path / "a.tiff", np.ones((5, 7), np.uint8))
    assert read_tiff_image(tmp_path / "a.tiff").geometry == Geometry(Size(7, 5))


def test_contradicting_tags_are_an_error(written):
    with tifffile.TiffFile(written, mode="r+b") as tiff:
        tiff.pages.first.tags[Tag.ACTIVE_AREA].overwrite((1, 2, 17, 10))
    with pytest.raises(OutputError, match=r"a\.tiff: .*its active area .* is not within its image"):
        read_tiff_image(written)


def test_single_bits_are_an_error(tmp_path):
    tifffile.imwrite(tmp_path / "a.tiff", np.ones((5, 7), bool), photometric="minisblack")
    with pytest.raises(OutputError, match=r"a\.tiff: found values of type bool; expected numbers"):
        read_tiff_image(tmp_path / "a.tiff")
