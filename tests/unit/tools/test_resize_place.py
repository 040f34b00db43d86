"""Where rescaled images lie in the patient: every point of the anatomy keeps its millimetres."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_preprocessing.imaging.space import PatientSpace
from dicom_preprocessing.mapping.geometry import geometry_of_row, geometry_of_tiff
from dicom_preprocessing.results.manifest import row_of_tiff
from dicom_preprocessing.tiff.info import read_info
from dicom_preprocessing.tiff.place import ALL_KEYS
from dicom_preprocessing.tiff.writer import write_tiff
from dicom_preprocessing.tools.resize import ResizeOptions, resize_file
from tests.unit.datasets import image_of
from tests.unit.strategies import geometries, patient_spaces
from tests.unit.tiff.images import STEPS
from tests.unit.tools.images import FULL, save

AXIAL = PatientSpace((1, 0, 0, 0, 1, 0), (0.1, 0.2), ((-5.0, 4.0, 3.0),))
WANTED = st.one_of(
    st.builds(ResizeOptions, scale=st.floats(0.2, 3)),
    st.builds(
        ResizeOptions,
        size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
        padding=st.sampled_from([None, "zero", "center", "top-left", "none"]),
    ),
)


def write_placed(path, geometry, spacing_source="pixel"):
    """A TIFF of this geometry, whose resolution is that of its space."""
    size, space = geometry.output, geometry.space
    frames = np.zeros((len(space.positions), size.height, size.width, 1), np.uint8)
    image = image_of(
        frames,
        geometry,
        source_rows=geometry.source.height,
        source_columns=geometry.source.width,
        pixel_spacing=space.pixel_spacing,
        spacing_source=spacing_source,
        frame_spacing=1.0,
    )
    write_tiff(path, image, compressor="packbits", recipe=STEPS)
    return path


def description_of(path):
    with tifffile.TiffFile(path) as tiff:
        return json.loads(tiff.pages.first.description)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(geometries(longest=30), patient_spaces(), WANTED)
def test_a_point_of_the_source_keeps_its_place_in_the_patient(tmp_path, geometry, space, options):
    source = write_placed(tmp_path / "a.tiff", geometry.with_space(space))
    resize_file(source, tmp_path / "b.tiff", options)
    before, after = (geometry_of_tiff(tmp_path / name) for name in ("a.tiff", "b.tiff"))
    width, height = geometry.source.width, geometry.source.height
    stored = [[0, 0], [width - 1, height - 1], [0.3 * width, 0.8 * height]]
    for page in (0, len(space.positions) - 1):
        found, expected = (
            at.to_patient([[*at.to_output(point), page] for point in stored])
            for at in (after, before)
        )
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_position_is_that_of_the_new_corner(tmp_path):
    # 17 x 16 pixels of 0.2 x 0.4 mm, of which the content begins at column 2; half of them.
    source = write_placed(tmp_path / "a.tiff", FULL.with_space(AXIAL))
    resize_file(source, tmp_path / "b.tiff", ResizeOptions(scale=0.5))
    description = description_of(tmp_path / "b.tiff")
    left, top, _, _ = read_info(tmp_path / "b.tiff").active_area
    # The crop box ends, after the half turn, at column 39 - 3.5 and row 39 - 5.5.
    x = -5 + 0.1 * (39 - 3.5) + (left - 0.5) * 0.1 * 30 / 8
    y = 4 + 0.2 * (39 - 5.5) + (top - 0.5) * 0.2 * 20 / 5
    assert description["position_x"] == pytest.approx(x)
    assert description["position_y"] == pytest.approx(y)
    assert (description["row_x"], description["column_y"]) == (-1, -1)


def test_uneven_pages_keep_each_its_position(tmp_path):
    space = replace(AXIAL, positions=((-5, 4, 3), (-5, 4, 5), (-5, 4, 8)))
    source = write_placed(tmp_path / "a.tiff", FULL.with_space(space))
    resize_file(source, tmp_path / "b.tiff", ResizeOptions(scale=0.5))
    description = description_of(tmp_path / "b.tiff")
    assert [z for _, _, z in description["page_positions"]] == pytest.approx([3, 5, 8])
    assert "page_step" not in description


def test_manifest_has_the_new_place(tmp_path):
    source = write_placed(tmp_path / "1.2.3.tiff", FULL.with_space(AXIAL))
    (tmp_path / "new").mkdir()
    resize_file(source, tmp_path / "new" / "1.2.3.tiff", ResizeOptions(scale=0.5))
    row = row_of_tiff(tmp_path / "new" / "1.2.3.tiff", tmp_path / "new")
    expected = geometry_of_tiff(source).to_patient([[2, 0, 0]])
    found = geometry_of_row(row)
    corner = found.to_output(geometry_of_tiff(source).to_source([2, 0]))
    np.testing.assert_allclose(found.to_patient([[*corner, 0]]), expected, atol=1e-6)


@pytest.mark.parametrize("spacing_source", ["imager", "imager_corrected", "nominal_scanned", ""])
def test_place_is_left_out_where_pixels_have_another_size_in_the_patient(tmp_path, spacing_source):
    source = write_placed(tmp_path / "a.tiff", FULL.with_space(AXIAL), spacing_source)
    assert set(ALL_KEYS) & set(description_of(source))
    resize_file(source, tmp_path / "b.tiff", ResizeOptions(scale=0.5))
    description = description_of(tmp_path / "b.tiff")
    assert set(ALL_KEYS) & set(description) == set()
    assert description["frame_spacing"] == 1.0
    assert read_info(tmp_path / "b.tiff").place is None


def test_image_without_a_place_has_none_afterwards(tmp_path):
    resize_file(save(tmp_path / "a.tiff"), tmp_path / "b.tiff", ResizeOptions(scale=0.5))
    assert read_info(tmp_path / "b.tiff").place is None


def test_directions_that_are_none_are_no_place(tmp_path):
    source = write_placed(tmp_path / "a.tiff", FULL.with_space(AXIAL))
    content = source.read_bytes().replace(b'"row_x": -1.0', b'"row_x":  0.0')
    source.write_bytes(content)
    assert geometry_of_tiff(source).space is None
    resize_file(source, tmp_path / "b.tiff", ResizeOptions(scale=0.5))
    assert read_info(tmp_path / "b.tiff").place is None
