"""Writing TIFFs: the bytes, whole files or none, and the pixels that are read back."""

import errno
import os
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dicom_preprocessing.config import COMPRESSORS
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import open_new_file
from dicom_preprocessing.imaging.frames import LazyFrames
from dicom_preprocessing.imaging.geometry import Geometry, Size
from dicom_preprocessing.tiff import writer as tiff
from dicom_preprocessing.tiff.new_directory import BIG_LAYOUT
from dicom_preprocessing.tiff.writer import write_tiff
from tests.limits import limit_file_size
from tests.unit.datasets import image_of, pages_of
from tests.unit.tiff.images import (
    STEPS,
    full_image,
    plain_image,
    recipe_of,
    sample,
)


class TestBytes:
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_are_the_same_twice(self, written, compressor):
        first = written(full_image(), compressor=compressor, recipe=STEPS, name="first.tiff")
        second = written(full_image(), compressor=compressor, recipe=STEPS, name="second.tif")
        assert first.read_bytes() == second.read_bytes()

    def test_are_little_endian_classic_tiff(self, written):
        assert written(plain_image()).read_bytes()[:4] == b"II*\0"

    def test_are_classic_tiff_up_to_the_limit(self, written, monkeypatch):
        monkeypatch.setattr(tiff, "BIGTIFF_FROM", full_image().frames.nbytes)
        assert written(full_image()).read_bytes()[:4] == b"II*\0"

    def test_are_bigtiff_above_the_limit(self, written, monkeypatch):
        monkeypatch.setattr(tiff, "BIGTIFF_FROM", full_image().frames.nbytes - 1)
        assert written(full_image()).read_bytes()[:4] == b"II+\0"

    def test_of_bigtiff_are_read_back(self, written, monkeypatch):
        monkeypatch.setattr(tiff, "BIGTIFF_FROM", 0)
        image = full_image()
        assert pages_of(written(image)).tolist() == image.frames.tolist()

    @pytest.mark.parametrize(("pages", "is_big"), [(61_000, False), (66_000, True)])
    def test_limit_is_near_4_gib_uncompressed(self, tmp_path, monkeypatch, pages, is_big):
        asked = []

        def no_directory(_, layout):
            asked.append(layout is BIG_LAYOUT)
            raise OSError(errno.ENOSPC, "not really written")

        monkeypatch.setattr(tiff, "NewDirectory", no_directory)
        frames = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (pages, 256, 256, 1))
        with pytest.raises(OSError, match="not really written"):
            write_tiff(tmp_path / "a", image_of(frames), compressor="packbits", recipe=recipe_of())
        assert asked == [is_big]


class TestRoundTrip:
    @pytest.mark.parametrize("samples", [1, 3])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_pixels(self, written, compressor, dtype, samples):
        frames = sample(dtype, samples)
        found = pages_of(written(image_of(frames), compressor=compressor))
        assert found.dtype == dtype
        assert np.array_equal(found, frames)

    @pytest.mark.parametrize("dtype", ["int16", "float32"])
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_grey_of_other_dtypes(self, written, compressor, dtype):
        frames = (sample("uint16", 1).astype(np.int32) - 30000).astype(dtype)
        found = pages_of(written(image_of(frames), compressor=compressor))
        assert found.dtype == dtype
        assert np.array_equal(found, frames)

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_single_bits(self, written, compressor):
        frames = sample("uint16", 1) > 100
        found = tifffile.imread(written(image_of(frames), compressor=compressor))
        assert np.array_equal(found, frames[..., 0])

    @pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 9, 1), (3, 9, 1, 1), (3, 1, 1, 3)])
    def test_thin_shapes(self, written, shape):
        frames = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        found = pages_of(written(image_of(frames)))
        assert found.shape == shape
        assert np.array_equal(found, frames)

    def test_views_are_written_as_they_look(self, written):
        frames = sample("uint16", 1)[:, ::-1, 6:1:-1]
        assert np.array_equal(pages_of(written(image_of(frames))), frames)

    def test_tifffile_reads_the_pages(self, written):
        frames = sample("uint16", 1)
        assert np.array_equal(tifffile.imread(written(image_of(frames))), frames[..., 0])


def limits_of(size):
    """Sizes of a file around every kind of place: header, directories, strips, end."""
    return [*range(0, size, 97), *range(size - 40, size)]


class TestNoRoom:
    """Frames of 2400 bytes: less than what C gathers before it writes."""

    @pytest.fixture
    def image(self):
        frames = np.random.default_rng(5).integers(0, 2**12, (3, 30, 40, 1)).astype(np.uint16)
        return image_of(frames)

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_at_any_place_leaves_nothing(self, written, tmp_path, image, compressor):
        path = written(image, compressor=compressor)
        size = path.stat().st_size
        path.unlink()
        for limit in limits_of(size):
            with limit_file_size(limit), pytest.raises(OSError, match=r"image\.tiff"):
                written(image, compressor=compressor)
            assert list(tmp_path.iterdir()) == [], limit

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_with_just_enough_room_it_is_written(self, written, image, compressor):
        size = written(image, compressor=compressor).stat().st_size
        with limit_file_size(size):
            path = written(image, compressor=compressor, name="again.tiff")
        assert np.array_equal(pages_of(path), image.frames)

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_that_came_back_between_two_pages_leaves_nothing(
        self, written, tmp_path, image, compressor
    ):
        size = written(image, compressor=compressor).stat().st_size
        (tmp_path / "image.tiff").unlink()
        for limit in range(size // 3 - 200, size // 3, 5):
            with limit_file_size(limit) as more:

                def make(number, more=more):
                    if number:
                        more()
                    return image.frames[number]

                lazy = LazyFrames(image.frames.shape, image.frames.dtype, make)
                with suppress(OSError):
                    written(image_of(lazy), compressor=compressor)
            for path in tmp_path.iterdir():
                assert np.array_equal(pages_of(path), image.frames), limit
                path.unlink()


class TestWhole:
    """What is looked at before a file gets its name."""

    @pytest.fixture
    def damaged(self, monkeypatch, written):
        """Write an image, and change its bytes before they are looked at."""

        def damaged(change, *, compressor):
            @contextmanager
            def damaging(path, mode):
                with open_new_file(path, mode) as file:
                    yield file
                partial = Path(path)
                partial.write_bytes(change(bytearray(partial.read_bytes())))

            monkeypatch.setattr(tiff, "open_new_file", damaging)
            return written(full_image(), compressor=compressor)

        return damaged

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    @pytest.mark.parametrize("part", [0, 0.2, 0.5, 0.9, 0.999])
    def test_cut_file(self, damaged, tmp_path, part, compressor):
        with pytest.raises(OSError, match=r"not whole after it was written.*image\.tiff'") as found:
            damaged(lambda content: content[: int(part * len(content))], compressor=compressor)
        assert found.value.errno == errno.EIO
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("shape", [(0, 2, 3, 1), (1, 0, 3, 1)])
    def test_frames_without_pixels(self, written, tmp_path, shape):
        with pytest.raises(ValueError, match="have no pixels"):
            written(image_of(np.zeros(shape, np.uint8), Geometry(Size(3, 2))))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("form", [((2, 4, 1), "uint8"), ((2, 3, 1), "uint16")])
    def test_frame_of_another_kind_than_all(self, written, tmp_path, form):
        frames = LazyFrames((1, 2, 3, 1), np.dtype("uint8"), lambda _: np.zeros(*form))
        with pytest.raises(ValueError, match=r"found a frame of .* expected \(2, 3, 1\) uint8"):
            written(image_of(frames))
        assert list(tmp_path.iterdir()) == []


class TestFailedWrite:
    @pytest.fixture
    def full_disk(self, monkeypatch):
        """Fail at the second page."""
        encode = tiff.encode_strip
        pages = []

        def fail(*arguments):
            pages.append(1)
            if len(pages) > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return encode(*arguments)

        monkeypatch.setattr(tiff, "encode_strip", fail)

    @pytest.mark.usefixtures("full_disk")
    def test_leaves_nothing_behind(self, written, tmp_path):
        with pytest.raises(OSError, match="No space left"):
            written(full_image())
        assert list(tmp_path.iterdir()) == []

    def test_leaves_the_earlier_file_alone(self, written, tmp_path, request):
        before = written(plain_image()).read_bytes()
        request.getfixturevalue("full_disk")
        with pytest.raises(OSError, match="No space left"):
            written(full_image())
        assert [path.name for path in tmp_path.iterdir()] == ["image.tiff"]
        assert (tmp_path / "image.tiff").read_bytes() == before

    def test_at_the_rename_leaves_nothing_behind(self, written, tmp_path, monkeypatch):
        def fail(*_):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(PermissionError):
            written(plain_image())
        assert list(tmp_path.iterdir()) == []

    def test_interrupt_leaves_nothing_behind(self, written, tmp_path, monkeypatch):
        def interrupt(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(tiff, "encode_strip", interrupt)
        with pytest.raises(KeyboardInterrupt):
            written(plain_image())
        assert list(tmp_path.iterdir()) == []

    def test_missing_folder_is_an_error(self, tmp_path):
        with pytest.raises(OSError, match="No such file"):
            write_tiff(
                tmp_path / "no" / "a.tiff", plain_image(), compressor="lzw", recipe=recipe_of()
            )

    def test_success_leaves_the_file_only(self, written, tmp_path):
        written(full_image())
        assert [path.name for path in tmp_path.iterdir()] == ["image.tiff"]


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_pixels_of_a_cut_file_cannot_be_read(written, compressor, part):
    path = written(image_of(sample("uint16", 3)), compressor=compressor)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(OutputError, match=r"image\.tiff: cannot be read as TIFF"):
        pages_of(path)
