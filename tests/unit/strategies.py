"""Random values for the property tests."""

import numpy as np
from hypothesis import strategies as st

from dicom_preprocessing.imaging.geometry import CropBox, Flip, Geometry, Padding, Size
from dicom_preprocessing.imaging.space import PatientSpace


@st.composite
def geometries(draw, longest=400):
    side = st.integers(1, longest)
    width, height = draw(side), draw(side)
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    box = CropBox(left, top, draw(st.integers(1, width - left)), draw(st.integers(1, height - top)))
    flip = Flip(width, height, horizontal=draw(st.booleans()), vertical=draw(st.booleans()))
    edge = st.integers(0, 9)
    return Geometry(
        Size(width, height),
        flip=draw(st.sampled_from([None, flip])),
        crop=draw(st.sampled_from([None, box])),
        resized=draw(st.none() | st.builds(Size, side, side)),
        padding=draw(st.none() | st.builds(Padding, edge, edge, edge, edge)),
    )


@st.composite
def patient_spaces(draw):
    """Oblique planes, whose pages may be uneven, tilted, and go either way along the normal."""
    spacing, place = st.floats(0.05, 5), st.floats(-500, 500)
    angles = st.floats(0, 6.28)
    rotation = np.eye(3)
    for axis in range(3):
        angle, (i, j) = draw(angles), [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[[i, i, j, j], [i, j, i, j]] = (
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        )
        rotation = rotation @ turn
    row, column, normal = rotation
    shifts = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.1, 9))
    way = draw(st.sampled_from([-1, 1]))
    positions = [np.array([draw(place), draw(place), draw(place)])]
    for x, y, step in draw(st.lists(shifts, max_size=5)):
        positions.append(positions[-1] + x * row + y * column + way * step * normal)
    return PatientSpace(
        orientation=(*row.tolist(), *column.tolist()),
        pixel_spacing=(draw(spacing), draw(spacing)),
        positions=tuple(tuple(position.tolist()) for position in positions),
    )
