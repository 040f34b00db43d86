"""Images of finished trees."""

import numpy as np

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.imaging.geometry import CropBox, Flip, Geometry, Padding, Size
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import image_of

# Source 40 x 40, turned; crop 30 x 20 at (4, 6); resized to 15 x 10; padded to 17 x 16.
FULL = Geometry(
    Size(40, 40),
    flip=Flip(40, 40, horizontal=True, vertical=True),
    crop=CropBox(4, 6, 30, 20),
    resized=Size(15, 10),
    padding=Padding(2, 0, 0, 6),
)


def save(
    path,
    geometry=FULL,
    pages=2,
    *,
    value=200,
    dtype=np.uint8,
    compressor="lzw",
    spacing_source="",
    **config,
):
    frames = np.zeros((pages, geometry.output.height, geometry.output.width, 1), dtype)
    left, top, right, bottom = geometry.active_area
    frames[:, top:bottom, left:right] = value
    source_info = {"source_rows": 40, "source_columns": 40, "pixel_spacing": (0.1, 0.2)}
    background = {"background": -1000.0} if dtype == np.int16 else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    recipe = make_recipe(parse_config({"size": [17, 16], **config})[0], "write")
    image = image_of(
        frames,
        geometry,
        frame_spacing=3.0,
        spacing_source=spacing_source,
        **source_info,
        **background,
    )
    write_tiff(path, image, compressor=compressor, recipe=recipe)
    return path
