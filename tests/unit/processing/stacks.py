"""Stacks of series: of the corpus, of pydicom, and made up, and what other programs compare."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile

from dicom_preprocessing import geometry_of_tiff
from tests.unit.datasets import pages_of
from tests.unit.oracles import itk
from tests.unit.processing.test_volume import (
    AXIAL,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    Series,
    normal_of,
    run,
)
from tests.unit.second_decoders import CORPUS, PYDICOM

DIRECTORIES = PYDICOM / "dicomdirtests"
REGULAR = {
    "ct": CORPUS / "torchio" / "ct_series",
    "two series, in each other's names": CORPUS / "dcmqi-mini",
    "colour, oblique": CORPUS / "dicom2nifti" / "rgb_series",
    "sagittal, JPEG 2000": CORPUS / "dicom2nifti" / "j2k_series",
    "sagittal, RLE": CORPUS / "dicom2nifti" / "rle_series",
    "names against positions": DIRECTORIES / "98892001" / "CT5N",
}
TILTED = CORPUS / "dicom2nifti" / "ct_gantry_tilt"
WITH_GAP = DIRECTORIES / "77654033" / "CT2"
ROUND_AN_AXIS = DIRECTORIES / "98892003" / "MR700"
LOCALIZERS = DIRECTORIES / "98892001" / "CT2N"
IRREGULAR = {"tilted": TILTED, "gap": WITH_GAP, "round an axis": ROUND_AN_AXIS}
AGREE = 1e-3
"""Of matrices and positions, in mm."""


class Stack(NamedTuple):
    """A TIFF, and the files of its pages in their order."""

    path: Path
    files: list[Path]
    series_instance_uid: str

    @property
    def geometry(self):
        return geometry_of_tiff(self.path)

    @property
    def pages(self):
        return pages_of(self.path)


def find_stacks(result):
    """Images of several files of a run."""
    found = []
    for image in result.images:
        parts = [r for r in result.receipts if r.part_of == image.sop_instance_uid]
        files = [Path(r.source_path) for r in sorted(parts, key=lambda r: r.place_in_stack)]
        if len(files) > 1:
            found.append(Stack(result.output / image.output, files, image.series_instance_uid))
    return found


def require(folder):
    if not folder.is_dir():
        pytest.skip("needs the full corpus")
    return folder


CT = "1.2.840.10008.5.1.4.1.1.2"
ORIENTATIONS = {"axial": AXIAL, "sagittal": SAGITTAL, "coronal": CORONAL, "oblique": OBLIQUE}
CORNER = (-31.5, 12.25, 140.0)
SHAPE = (7, 20, 24)
"""Slices, rows and columns."""
X, Y, Z = 0.7, 1.1, 2.5
"""Millimetres from column to column, row to row, and slice to slice."""
PADDING = -2000
INTERCEPT = -1024
UPSIDE_DOWN_HEAD = [-1, 0, 0, 0, 1, 0]
"""As axial, but the normal points towards the feet."""


def noise(rng):
    return rng.integers(1, 3000, SHAPE).astype(np.int16)


def surround(pixels):
    """Put padding on all sides, by which the crop box is columns 2 to 20 and rows 1 to 15."""
    pixels[:, :1], pixels[:, 16:], pixels[:, :, :2], pixels[:, :, 21:] = (PADDING,) * 4
    return pixels


def write_volume(folder, pixels, orientation=AXIAL, **changes):
    """Slices of CT in files whose names and Instance Numbers are in no order."""
    series = Series(folder)
    order = np.random.default_rng(3).permutation(len(pixels))
    for place in order:
        position = np.array(CORNER) + Z * place * normal_of(orientation)
        attributes = {
            "SOPClassUID": CT,
            "NumberOfFrames": None,
            "PixelSpacing": [Y, X],
            "RescaleIntercept": INTERCEPT,
            "ImagePositionPatient": [f"{v:.6f}" for v in position],
        }
        series.add(
            0, pixels=pixels[place : place + 1], orientation=orientation, **attributes | changes
        )
    return folder


def stack_and_image(folder, output, **settings):
    """The stack of a folder, and its series by SimpleITK."""
    (stack,) = find_stacks(run(folder, output, **settings))
    (files,) = itk.find_series(folder).values()
    return stack, itk.read(*files)


def read_written_affine(path):
    """The affine by the tags of a TIFF alone: pixels per cm, and LPS in mm."""
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        description = json.loads(tags["ImageDescription"].value)
        x, y = (10 * np.divide(*reversed(tags[f"{a}Resolution"].value)) for a in "XY")
    position, row, column = (
        np.array([description[f"{name}_{axis}"] for axis in "xyz"])
        for name in ("position", "row", "column")
    )
    affine = np.eye(4)
    affine[:3] = np.stack((x * row, y * column, description["page_step"], position), axis=1)
    return affine


def list_pixels(stack, count=200):
    """Random pixels of the active area, (count, 3): column, row and page."""
    left, top, right, bottom = stack.geometry.active_area
    rng = np.random.default_rng(5)
    return rng.integers([left, top, 0], [right, bottom, len(stack.pages)], (count, 3))


def assert_same_voxels(stack, image):
    """Random pixels have the value of the voxel of ITK's image in which they lie."""
    geometry, pixels = stack.geometry, list_pixels(stack)
    source = geometry.to_source(pixels[:, :2])
    # A centre that lies between two voxels may have the value of either.
    pixels = pixels[(np.abs(source - np.floor(source) - 0.5) > AGREE).all(axis=1)]
    assert len(pixels) > 50
    points = geometry.to_patient(pixels)
    for affine in (geometry.affine(), read_written_affine(stack.path)):
        by_matrix = np.c_[pixels, np.ones(len(pixels))] @ affine.T
        assert by_matrix[:, :3] == pytest.approx(points, abs=AGREE)
    x, y, page = pixels.T
    assert np.array_equal(stack.pages[page, y, x], itk.find_voxels(image, points))
