"""Random values for the property tests."""

from hypothesis import strategies as st

from dicom_preprocessing.imaging.geometry import CropBox, Flip, Geometry, Padding, Size


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
