"""Settings of the property tests, and what many tests need."""

import pytest
from hypothesis import settings

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import image_of

# No time limit for an example: the machines that run the tests are busy with others.
settings.register_profile("no deadline", parent=settings(), deadline=None)
settings.load_profile("no deadline")


@pytest.fixture
def source(tmp_path):
    """A folder without files."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def output(tmp_path):
    """Where results go; it is not there yet."""
    return tmp_path / "results"


@pytest.fixture
def saved(tmp_path):
    """Write frames as this project does."""

    def saved(frames, compressor="packbits"):
        path = tmp_path / "image.tiff"
        recipe = make_recipe(parse_config({})[0], "write")
        write_tiff(path, image_of(frames), compressor=compressor, recipe=recipe)
        return path

    return saved
