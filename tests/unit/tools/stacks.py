"""Trees of slices that were made by hand, with positions in their ImageDescription."""

import csv
import json
from itertools import count

import numpy as np
import tifffile

from dicom_preprocessing.cli.tiff_combine import main
from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.imaging.space import PatientSpace
from dicom_preprocessing.tiff.reader import read_frames
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import image_of
from tests.unit.tiff.images import STEPS

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
STUDY, SERIES = "1.2.3", "1.2.3.1"
WHOLE = Geometry(Size(3, 2))
SPACING = (0.25, 0.5)


def save_slice(
    tree, sop, position=None, *, value=0, geometry=WHOLE, orientation=AXIAL, series=SERIES, **facts
):
    """A TIFF of one page, below its study and series, all of whose pixels are ``value``."""
    path = tree / STUDY / series / f"{sop}.tiff"
    path.parent.mkdir(parents=True, exist_ok=True)
    size = geometry.output
    frames = np.full((1, size.height, size.width, 1), value, np.uint8)
    if position is not None:
        space = PatientSpace(orientation, SPACING, (tuple(map(float, position)),))
        geometry = geometry.with_space(space)
    stated = {
        "source_rows": geometry.source.height,
        "source_columns": geometry.source.width,
        "pixel_spacing": SPACING,
        "spacing_source": "pixel",
    }
    image = image_of(frames, geometry, **stated | facts)
    write_tiff(path, image, compressor="packbits", recipe=STEPS)
    return path


def save_stack(tree, *positions, first=1, **facts):
    """Slices of ascending value, whose names are in another order than their positions."""
    numbers = count(first)
    for number, position in zip(numbers, positions, strict=False):
        point = position if isinstance(position, tuple) else (0.0, 0.0, position)
        save_slice(tree, f"{number * 37 % 101:03}", point, value=number, **facts)


def save_table(tree, columns, *records):
    path = tree.parent / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *records])
    return str(path)


def combine(tree, *arguments):
    return main([str(tree), str(tree.parent / "volumes"), *arguments])


def volume_of(tree, name=SERIES):
    """The path of a volume."""
    return tree.parent / "volumes" / STUDY / f"{name}.tiff"


def values_of(path):
    """The value of each page."""
    return [int(page[0, 0, 0]) for page in read_frames(path)]


def description_of(path):
    with tifffile.TiffFile(path) as tiff:
        return json.loads(tiff.pages.first.description)


def volumes_in(tree):
    """Values of the pages of each volume by the path below its study."""
    folder = tree.parent / "volumes" / STUDY
    paths = sorted(folder.rglob("*.tiff"))
    return {str(path.relative_to(folder)): values_of(path) for path in paths}
