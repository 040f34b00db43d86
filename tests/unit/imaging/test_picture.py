"""Frames as pictures."""

import numpy as np

from dicom_preprocessing.imaging.picture import stretch_contrast


def test_lowest_to_highest_value_becomes_black_to_white():
    frame = np.array([[[-100], [0], [100]]], np.int16)
    assert stretch_contrast(frame).ravel().tolist() == [0, 127, 255]


def test_frame_of_one_value_is_black():
    assert not stretch_contrast(np.full((2, 2, 3), 7, np.uint16)).any()
