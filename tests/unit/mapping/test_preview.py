"""Previews: boxes drawn on images."""

import imagecodecs
import numpy as np
import pytest
import tifffile

from dicom_preprocessing.mapping.geometry import geometry_of_row, geometry_of_tiff
from dicom_preprocessing.mapping.preview import CUT, WHOLE, draw_box, stretch_to_rgb
from tests.unit.mapping.tables import EDGES, ROW, written


def framed(picture):
    """Where the colours of boxes are."""
    return [np.argwhere((picture == colour).all(axis=-1)).tolist() for colour in (WHOLE, CUT)]


class TestPreview:
    @pytest.mark.parametrize(("to", "box"), [("output", "3,1,5,2"), ("source", "3,2,7,4")])
    def test_shows_the_box_on_the_output(self, results, mapped, to, box):
        written(results / "results" / "images")
        status, _, _ = mapped(EDGES, f"1.2.1,{box}", to=to, options=["--preview", "seen"])
        assert status == 0
        (path,) = (results / "seen").iterdir()
        assert path.name == "1.2_1.2.1.png"
        picture = imagecodecs.png_decode(path.read_bytes())
        assert picture.shape == (14 * 32, 16 * 32, 3)
        assert picture[:32, :32].min() == 255
        green, orange = framed(picture)
        # Around columns 3 to 6 and rows 2 and 3, each 32 pixels wide.
        assert np.min(green, axis=0).tolist() == [2 * 32 - 1, 3 * 32 - 1]
        assert np.max(green, axis=0).tolist() == [4 * 32, 7 * 32]
        assert len(green) == 2 * (4 * 32 + 2) + 2 * 2 * 32
        assert orange == []

    def test_cut_box_has_another_colour(self, results, mapped):
        written(results / "results" / "images")
        mapped(EDGES, "1.2.1,0,1,4,3", options=["--preview", "seen"])
        picture = imagecodecs.png_decode((results / "seen" / "1.2_1.2.1.png").read_bytes())
        green, orange = framed(picture)
        assert green == []
        assert np.min(orange, axis=0).tolist() == [2 * 32 - 1, 32 - 1]

    def test_images_may_lie_elsewhere(self, results, mapped):
        written(results / "elsewhere")
        options = ["--preview", "seen", "--images", "elsewhere"]
        assert mapped(EDGES, "1.2.1,3,1,5,2", options=options)[0] == 0
        assert (results / "seen" / "1.2_1.2.1.png").exists()

    def test_images_may_lie_beside_the_manifest(self, results, mapped):
        written(results / "results")
        assert mapped(EDGES, "1.2.1,3,1,5,2", options=["--preview", "seen"])[0] == 0

    def test_missing_image_is_reported(self, mapped):
        status, rows, err = mapped(EDGES, "1.2.1,3,1,5,2", options=["--preview", "seen"])
        assert (status, len(rows)) == (1, 1)
        assert "1.2.1.tiff: cannot be read as TIFF" in err


class TestPicture:
    def test_grey_is_stretched_over_three_samples(self):
        picture = stretch_to_rgb(np.array([[[100], [200], [300]]], np.uint16))
        assert picture.tolist() == [[[0] * 3, [127] * 3, [255] * 3]]

    def test_constant_frame_is_black(self):
        assert not stretch_to_rgb(np.full((2, 2, 1), 5, np.int16)).any()

    def test_colour_stays(self):
        assert stretch_to_rgb(np.array([[[0, 255, 7]]], np.uint8)).tolist() == [[[0, 255, 7]]]

    def test_frame_is_around_the_pixels_of_the_box(self):
        picture = np.zeros((5, 6, 3), np.uint8)
        draw_box(picture, np.array([2.0, 1.0, 4.0, 3.0]), (9, 9, 9))
        expected = [[0, 1, 1, 1, 1, 0], [0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 1, 0], [0, 1, 1, 1, 1, 0]]
        assert (picture[..., 0] > 0).astype(int).tolist() == [*expected, [0] * 6]

    def test_frame_is_cut_at_the_border(self):
        picture = np.zeros((3, 3, 3), np.uint8)
        draw_box(picture, np.array([-2.0, -2.0, 2.0, 2.0]), (9, 9, 9))
        assert (picture[..., 0] > 0).astype(int).tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 1]]


def test_tags_of_the_written_image_are_those_of_the_row(tmp_path):
    written(tmp_path)
    assert geometry_of_tiff(tmp_path / ROW.path) == geometry_of_row(ROW)
    assert tifffile.imread(tmp_path / ROW.path).shape == (14, 16)
