"""Rescaled images: pixels, tags that lead to the source, padding and compressors."""

import json

import numpy as np
import pytest
import tifffile

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_recipe
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.imaging.geometry import CropBox, Geometry, Padding, Size
from dicom_preprocessing.tiff.info import read_info
from dicom_preprocessing.tiff.reader import read_frames
from dicom_preprocessing.tiff.writer import write_tiff
from dicom_preprocessing.tools.resize import ResizeOptions, resize_file
from dicom_preprocessing.tools.tiff_image import read_tiff_image
from tests.unit.datasets import image_of
from tests.unit.tools.images import save


@pytest.fixture
def rescaled(tmp_path):
    def rescaled(source, **wanted):
        target = tmp_path / "new" / "image.tiff"
        resize_file(source, target, ResizeOptions(**wanted))
        return target

    return rescaled


def test_odd_sizes_are_padded_anew(tmp_path, rescaled):
    info = read_info(rescaled(save(tmp_path / "a.tiff"), scale=0.5))
    assert (info.width, info.height) == (9, 8)
    assert info.active_area == (1, 0, 9, 5)
    assert info.scale == pytest.approx((8 / 30, 5 / 20))
    assert info.crop == (4, 6, 30, 20)


def test_padding_does_not_blend_into_the_image(tmp_path, rescaled):
    pixels = np.asarray(read_frames(rescaled(save(tmp_path / "a.tiff"), scale=0.5)))[0, ..., 0]
    assert (pixels[:5, 1:] == 200).all()
    assert pixels.sum() == 200 * 5 * 8


@pytest.mark.parametrize("wanted", [{"scale": 0.37}, {"size": (11, 23)}, {"scale": 2.5}])
def test_points_of_the_source_are_found_where_a_direct_resize_has_them(tmp_path, rescaled, wanted):
    geometry = read_tiff_image(rescaled(save(tmp_path / "a.tiff"), **wanted)).geometry
    left, top, right, bottom = geometry.active_area
    # Corners of the crop box, in source pixels after the half turn.
    corners = np.array([[3.5, 5.5], [33.5, 25.5]])
    turned = 39 - corners
    assert geometry.to_output(turned) == pytest.approx(
        np.array([[left - 0.5, top - 0.5], [right - 0.5, bottom - 0.5]])
    )
    assert geometry.to_source(geometry.to_output(turned)) == pytest.approx(turned)


def test_spacing_grows_as_the_pixels_do(tmp_path, rescaled):
    source = save(tmp_path / "a.tiff")
    info = read_info(rescaled(source, scale=0.5))
    assert info.spacing == pytest.approx((0.1 * 30 / 8, 0.2 * 20 / 5))
    assert info.frame_spacing == 3


def test_size_of_a_padded_tree_is_that_of_all_its_images(tmp_path, rescaled):
    whole = Geometry(Size(40, 40), resized=Size(17, 17), padding=Padding(0, 0, 0, 0))
    source = save(tmp_path / "a.tiff", whole, padding="bottom-right")
    info = read_info(rescaled(source, size=(12, 8)))
    assert (info.width, info.height, info.active_area) == (12, 8, (0, 0, 8, 8))


def test_image_without_padding_stays_without(tmp_path, rescaled):
    source = save(tmp_path / "a.tiff", Geometry(Size(40, 40), crop=CropBox(0, 0, 40, 20)))
    info = read_info(rescaled(source, size=(10, 10)))
    assert (info.width, info.height) == (10, 5)


def test_padding_can_be_asked_for(tmp_path, rescaled):
    source = save(tmp_path / "a.tiff", Geometry(Size(40, 40), crop=CropBox(0, 0, 40, 20)))
    info = read_info(rescaled(source, size=(10, 10), padding="center"))
    assert info.active_area == (0, 2, 10, 7)


def test_fill_is_the_background_of_stored_values(tmp_path, rescaled):
    source = save(tmp_path / "a.tiff", dtype=np.int16, value=50)
    pixels = np.asarray(read_frames(rescaled(source, scale=1)))
    assert (pixels[0, 10:] == -1000).all()


def test_background_of_stored_values_is_not_mixed_with_tissue(tmp_path, rescaled):
    frames = np.full((1, 8, 8, 1), 50, np.int16)
    frames[:, :3] = -1000
    recipe = make_recipe(parse_config({"intensity": "stored"})[0], "write")
    image = image_of(frames, background=-1000.0)
    write_tiff(tmp_path / "a.tiff", image, compressor="lzw", recipe=recipe)
    found = np.unique(read_frames(rescaled(tmp_path / "a.tiff", scale=0.5)))
    assert found.tolist() == [-1000, 50]


@pytest.mark.parametrize("compressor", ["packbits", "lzw", "uncompressed", "deflate", "zstd"])
def test_compressor_is_kept(tmp_path, rescaled, compressor):
    source = save(tmp_path / "a.tiff", compressor=compressor)
    target = rescaled(source, scale=0.5)
    assert read_tiff_image(target).compressor == compressor
    assert len(read_frames(target)) == 2


def test_description_tells_what_was_done_twice(tmp_path):
    source = save(tmp_path / "a.tiff")
    for i, scale in enumerate((0.5, 2.0)):
        resize_file(source, tmp_path / f"{i}.tiff", ResizeOptions(scale=scale, filter="nearest"))
        source = tmp_path / f"{i}.tiff"
    with tifffile.TiffFile(source) as tiff:
        description = json.loads(tiff.pages.first.description)
    assert description["tools"] == [
        {"tool": "tiff-resize", "filter": "nearest", "scale": 0.5},
        {"tool": "tiff-resize", "filter": "nearest", "scale": 2.0},
    ]
    assert description["source"]["columns"] == 40


def test_other_programs_files_are_their_own_source(tmp_path, rescaled):
    tifffile.imwrite(tmp_path / "a.tiff", np.ones((6, 8), np.uint8), metadata=None)
    info = read_info(rescaled(tmp_path / "a.tiff", scale=0.5))
    assert (info.crop, info.scale, info.source) == ((0, 0, 8, 6), (0.5, 0.5), (8, 6, 1))


def test_palettes_are_refused(tmp_path, rescaled):
    palette = np.zeros((3, 256), np.uint16)
    pixels = np.ones((6, 8), np.uint8)
    tifffile.imwrite(tmp_path / "a.tiff", pixels, photometric="palette", colormap=palette)
    with pytest.raises(OutputError, match="found palette in 1 samples"):
        rescaled(tmp_path / "a.tiff", scale=0.5)
