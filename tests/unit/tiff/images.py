"""Images and tags that tests of TIFFs share."""

import numpy as np
import tifffile

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.imaging.geometry import CropBox, Flip, Geometry, Padding, Size
from tests.unit.datasets import grey, image_of

BYTE, ASCII, SHORT, LONG, RATIONAL, FLOAT = 1, 2, 3, 4, 5, 11

# Source 20 x 10, flipped, crop 6 x 4 at (3, 2), doubled, padded to 17 x 11.
FULL = Geometry(
    Size(20, 10),
    flip=Flip(20, 10, horizontal=True, vertical=True),
    crop=CropBox(3, 2, 6, 4),
    resized=Size(12, 8),
    padding=Padding(1, 2, 4, 1),
)


def recipe_of(**config):
    return make_recipe(parse_config(config)[0], "write")


STEPS = recipe_of(crop=True, crop_max=True, size=[17, 11], filter="lanczos3", padding="center")


def full_image(pages=3, **source_info):
    """An image of 17 x 11 to which everything was done."""
    frames = np.arange(pages * 11 * 17, dtype=np.uint16).reshape(pages, 11, 17, 1)
    stated = {"source_rows": 10, "source_columns": 20, "pixel_spacing": (0.14, 0.2)}
    return image_of(frames, FULL, **(stated | source_info))


def plain_image():
    return grey([[1, 2, 3], [4, 5, 6]])


def sample(dtype, samples):
    """Values of every size, with runs and without."""
    values = np.random.default_rng(3).integers(0, 2**16, (2, 7, 9, samples)).astype(dtype)
    values[:, 2:4] = 5
    return values


def tags_of(path):
    """Type, count and value of the tags of each page, by code."""
    with tifffile.TiffFile(path) as file:
        return [
            {tag.code: (int(tag.dtype), tag.count, tag.value) for tag in page.tags}
            for page in file.pages
        ]
