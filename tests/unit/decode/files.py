"""Data sets to be written and decoded, and what is seen of the image."""

import numpy as np

from tests.unit.datasets import data_set_of, ramp, show_stored_values


def row(image):
    """The one row of the one frame of an image: values, or [red, green, blue] of each pixel."""
    (((pixels),),) = image.frames.tolist()
    return [p[0] if len(p) == 1 else p for p in pixels]


def grey_file(*values, dtype=np.uint8, **changes):
    """Grey pixels in one row that are shown as they are stored."""
    return show_stored_values(data_set_of(ramp(*values, dtype=dtype), **changes))


RGB = [[10, 20, 30], [40, 50, 60], [70, 80, 90]]


def colour_file(pixels=RGB, dtype=np.uint8, **changes):
    return data_set_of(np.array([[pixels]], dtype), **changes)


def volume_file(*values, **changes):
    """Frames of one pixel each, shown as they are stored."""
    pixels = np.array(values, np.uint8).reshape(-1, 1, 1)
    return show_stored_values(data_set_of(pixels, **changes))


def values_of_image(image):
    return image.frames[:, 0, 0, 0].tolist()
