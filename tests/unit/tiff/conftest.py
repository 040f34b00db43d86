"""What tests of TIFFs share."""

import pytest

from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.tiff.images import recipe_of


@pytest.fixture
def written(tmp_path):
    """Write an image to a file."""

    def written(image, *, compressor="packbits", recipe=None, name="image.tiff"):
        path = tmp_path / name
        write_tiff(path, image, compressor=compressor, recipe=recipe or recipe_of())
        return path

    return written
