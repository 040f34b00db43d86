"""The volume of a multi-frame object, here and by highdicom."""

import numpy as np

from dicom_preprocessing.decode.frame_order import frame_order
from dicom_preprocessing.dicom.reading import open_image
from dicom_preprocessing.errors import FileError
from tests.unit.oracles import high_dicom


def describe_volume(path):
    """Positions (frames, 3) in order, and spacing (z, y, x), of an object of several frames.

    None where it is no image of one volume.
    """
    try:
        description, pixel_data = open_image(path)
    except FileError:
        return None
    n = description.number_of_frames() or 1
    if pixel_data is None or n < 2 or n != len(description.frames):
        return None
    order, positions = frame_order(description, n), description.positions(n)
    if not order.is_one_volume or order.spacing is None or None in positions:
        return None
    x, y = description.pixel_spacing()
    return np.array([positions[i] for i in order.order]), (order.spacing, y, x)


def assert_same_volume(path):
    positions, spacing = describe_volume(path)
    other_positions, other_spacing = high_dicom.find_slices(path)
    assert np.allclose(spacing, other_spacing, rtol=1e-6)
    # highdicom goes along the axis that makes a right-handed system, whatever the frames' order is.
    if np.abs(positions[0] - other_positions[0]).max() > 0.1 * spacing[0]:
        other_positions = other_positions[::-1]
    assert np.allclose(positions, other_positions, atol=1e-3 * spacing[0])
