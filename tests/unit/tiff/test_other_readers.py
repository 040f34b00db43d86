"""Other programs read the pixels and tags that were written: tifffile, libtiff, Pillow, OpenCV."""

import re
import shutil
import subprocess

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from dicom_preprocessing.config import COMPRESSORS
from tests.unit.datasets import image_of
from tests.unit.tiff.images import full_image, sample

PRIVATE = "TIFFReadDirectory: Warning, Unknown field with tag 65000 (0xfde8) encountered."
"""All that libtiff may say."""

# Pillow has no colour of 16 bits.
KINDS = [("uint8", 1), ("uint16", 1), ("int16", 1), ("float32", 1), ("uint8", 3)]

every_file = pytest.mark.parametrize("compressor", COMPRESSORS)
every_kind = pytest.mark.parametrize(("dtype", "samples"), KINDS)


def squeezed(frames):
    """(n_frames, rows, columns[, samples]), without samples where there is one."""
    return frames[..., 0] if frames.shape[3] == 1 else frames


@every_file
@every_kind
class TestPixels:
    @pytest.fixture
    def frames(self, dtype, samples):
        return sample(dtype, samples)

    @pytest.fixture
    def path(self, written, frames, compressor):
        return written(image_of(frames), compressor=compressor)

    def test_by_tifffile(self, path, frames):
        found = tifffile.imread(path)
        assert found.dtype == frames.dtype
        assert np.array_equal(found, squeezed(frames))

    def test_by_libtiff(self, path, frames):
        content = path.read_bytes()
        for number, frame in enumerate(squeezed(frames)):
            found = imagecodecs.tiff_decode(content, index=number)
            assert found.dtype == frame.dtype
            assert np.array_equal(found, frame)

    def test_by_pillow(self, path, frames):
        with PillowImage.open(path) as file:
            assert file.n_frames == len(frames)
            for number, frame in enumerate(squeezed(frames)):
                file.seek(number)
                assert np.array_equal(np.asarray(file), frame)


# OpenCV is built without ZSTD.
@pytest.mark.parametrize("compressor", sorted({*COMPRESSORS} - {"zstd"}))
@every_kind
def test_pixels_by_opencv(written, dtype, samples, compressor):
    frames = sample(dtype, samples)
    path = written(image_of(frames), compressor=compressor)
    read, found = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
    assert read
    swapped = frames[..., ::-1] if frames.shape[3] > 1 else frames  # OpenCV has BGR
    assert np.array_equal(found, squeezed(swapped))


def run(*words):
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]}; it is in the package libtiff-tools")
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert set(done.stderr.splitlines()) <= {PRIVATE}
    return done.stdout


@every_file
class TestToolsOfLibtiff:
    def test_tiffinfo_lists_the_tags_of_each_page(self, written, compressor):
        shown = run("tiffinfo", "-D", str(written(full_image(), compressor=compressor)))
        assert re.findall(r"Image Width: (\d+) Image Length: (\d+)", shown) == [("17", "11")] * 3
        assert re.findall(r"Page Number: (\d)-3", shown) == ["0", "1", "2"]
        assert shown.count("Resolution: 142.857, 100 pixels/cm") == 3

    def test_tiffcp_copies_the_pixels(self, written, compressor, tmp_path):
        image, target = full_image(), tmp_path / "copy.tiff"
        run("tiffcp", "-c", "none", str(written(image, compressor=compressor)), str(target))
        assert np.array_equal(tifffile.imread(target), image.frames[..., 0])
