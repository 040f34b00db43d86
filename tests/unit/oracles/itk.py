"""SimpleITK: series of files in GDCM's order, and values at millimetres of the patient."""

from pathlib import Path

import numpy as np
import SimpleITK

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)

OUTSIDE = -32768
"""The value of a point where there is no image."""


def find_series(folder):
    """Files of each series of a folder in GDCM's order, by Series Instance UID."""
    reader = SimpleITK.ImageSeriesReader()
    uids = reader.GetGDCMSeriesIDs(str(folder))
    return {uid: [Path(f) for f in reader.GetGDCMSeriesFileNames(str(folder), uid)] for uid in uids}


def read(*paths):
    """One file, or the files of a series in this order, as one image."""
    names = [str(path) for path in paths]
    return SimpleITK.ReadImage(names if len(names) > 1 else names[0])


def values_of(image):
    """Modality values (slices, rows, columns, samples)."""
    values = SimpleITK.GetArrayFromImage(image)
    return values if image.GetNumberOfComponentsPerPixel() > 1 else values[..., np.newaxis]


def affine_of(image):
    """The matrix (4, 4) from column, row and slice to LPS in mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return affine


def find_points(image, indices):
    """LPS in mm of continuous indices (n, 3)."""
    found = [image.TransformContinuousIndexToPhysicalPoint(i) for i in np.asarray(indices).tolist()]
    return np.array(found)


def find_voxels(image, points):
    """The values (n, samples) of the voxels at LPS points (n, 3) in mm."""
    values = values_of(image)
    x, y, z = np.array([image.TransformPhysicalPointToIndex(p) for p in points.tolist()]).T
    return values[z, y, x]


def sample(image, affine, shape, *, is_linear=True):
    """Values of an image at the voxels of another grid.

    Parameters
    ----------
    image : SimpleITK.Image
        Of one sample a pixel.
    affine : (4, 4)
        From column, row and slice of the grid to LPS in mm.
    shape : (slices, rows, columns)
    is_linear : bool
        Between voxels, else the nearest one.

    Returns
    -------
    (slices, rows, columns) float64
        NaN outside of the image, which ends with the outer sides of its voxels.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    grid = SimpleITK.Image(*reversed(shape), SimpleITK.sitkUInt8)
    grid.SetSpacing(spacing.tolist())
    grid.SetOrigin(affine[:3, 3].tolist())
    grid.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    interpolator = SimpleITK.sitkLinear if is_linear else SimpleITK.sitkNearestNeighbor
    found = SimpleITK.Resample(
        SimpleITK.Cast(image, SimpleITK.sitkFloat64),
        grid,
        SimpleITK.Transform(),
        interpolator,
        OUTSIDE,
    )
    values = SimpleITK.GetArrayFromImage(found)
    return np.where(values == OUTSIDE, np.nan, values)
