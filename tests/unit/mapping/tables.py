"""Images of a manifest, and boxes on them."""

import numpy as np

from dicom_preprocessing.imaging.geometry import CropBox, Geometry, Padding, Size
from dicom_preprocessing.results.manifest import ManifestRow
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import image_of
from tests.unit.imaging.test_coordinates import RECIPE

ROW = ManifestRow(
    study_instance_uid="1.2",
    sop_instance_uid="1.2.1",
    path="1.2/1.2.1.tiff",
    inode=7,
    width=16,
    height=14,
    channels=1,
    num_frames=1,
    crop_left=2,
    crop_top=1,
    crop_width=6,
    crop_height=4,
    active_left=1,
    active_top=2,
    active_right=13,
    active_bottom=10,
    source_columns=10,
    source_rows=8,
)
"""Crop 6 x 4 at (2, 1) of 10 x 8, doubled, padded by 1 and 2 at left and top."""

PLAIN = ManifestRow(
    study_instance_uid="1.3",
    sop_instance_uid="1.3.1",
    path="1.3/1.3.1.tiff",
    inode=8,
    width=10,
    height=8,
    channels=1,
    num_frames=1,
)
"""Of a TIFF that does not tell its geometry."""


EDGES = "sop_instance_uid,left,top,right,bottom"


def written(images):
    """The image of ROW as a TIFF below a folder."""
    geometry = Geometry(
        Size(10, 8), crop=CropBox(2, 1, 6, 4), resized=Size(12, 8), padding=Padding(1, 2, 3, 4)
    )
    frames = np.full((1, 14, 16, 1), 7, np.uint16)
    frames[0, 0, 0] = 9
    image = image_of(frames, geometry, source_rows=8, source_columns=10)
    (images / "1.2").mkdir(parents=True)
    write_tiff(images / ROW.path, image, compressor="packbits", recipe=RECIPE)
