"""Pages of TIFFs: foreign files, what is mapped, and threads."""

import mmap
import os
import struct
import threading

import numpy as np
import pytest
import tifffile

from dicom_preprocessing import load_tiff_u8, load_tiff_u16
from dicom_preprocessing.imaging.conversion import convert
from dicom_preprocessing.tiff import reader as pages
from dicom_preprocessing.tiff.reader import TiffPages
from tests.unit.tiffs import foreign, sample_frames

FOREIGN = {
    "packbits": {"compression": "packbits"},
    "lzw": {"compression": "lzw"},
    "lzw, predictor": {"compression": "lzw", "predictor": True},
    "deflate": {"compression": "zlib"},
    "deflate, predictor": {"compression": "zlib", "predictor": True},
    "zstd, predictor": {"compression": "zstd", "predictor": True},
    "lzma": {"compression": "lzma"},
    "uncompressed": {},
}


PLACES = {
    "one strip": {"rowsperstrip": 37},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 32)},
}


class TestForeignFiles:
    @pytest.mark.parametrize("samples", [1, 3])
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("kind", FOREIGN)
    def test_kinds(self, tmp_path, kind, place, byteorder, samples):
        frames = sample_frames(n=2, samples=samples)
        settings = FOREIGN[kind] | PLACES[place] | {"byteorder": byteorder}
        path = foreign(tmp_path / "a.tif", frames, **settings)
        assert np.array_equal(load_tiff_u16(path), frames)
        assert np.array_equal(load_tiff_u16(path, [1]), frames[1:])

    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_bigtiff(self, tmp_path, byteorder):
        path = foreign(tmp_path / "a.tif", sample_frames(), bigtiff=True, byteorder=byteorder)
        assert np.array_equal(load_tiff_u16(path), sample_frames())

    def test_jpeg(self, tmp_path):
        frames = np.full((1, 32, 32, 1), 77, np.uint8)
        path = foreign(tmp_path / "a.tif", frames, compression="jpeg")
        assert np.array_equal(load_tiff_u8(path), frames)

    def test_planes(self, tmp_path):
        planes = np.moveaxis(sample_frames("uint8", n=1, samples=3)[0], -1, 0)
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
        assert np.array_equal(load_tiff_u8(path)[0], np.moveaxis(planes, 0, -1))

    def test_white_is_zero_is_inverted(self, tmp_path):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.array([[0, 200]], np.uint8), photometric="miniswhite")
        assert load_tiff_u8(path).ravel().tolist() == [255, 55]

    def test_strips_in_another_order(self, tmp_path):
        path = tmp_path / "a.tif"
        frames = sample_frames(n=1)[:, :10]
        foreign(path, frames, rowsperstrip=5)
        content = bytearray(path.read_bytes())
        first, second = TiffPages(path)[0].offsets
        old, new = struct.pack("<2L", first, second), struct.pack("<2L", second, first)
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, new))
        swapped = np.concatenate([frames[:, 5:], frames[:, :5]], axis=1)
        assert np.array_equal(load_tiff_u16(path), swapped)

    def test_palette_is_an_error(self, tmp_path):
        path = tmp_path / "a.tif"
        colours = np.zeros((3, 256), np.uint16)
        tifffile.imwrite(path, np.zeros((4, 4), np.uint8), photometric="palette", colormap=colours)
        with pytest.raises(RuntimeError, match=r"Failed to decode TIFF: .*a palette"):
            load_tiff_u8(path)

    @pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate"])
    @pytest.mark.parametrize(
        ("mode", "dtype"), [("L", "uint8"), ("I;16", "uint16"), ("RGB", "uint8")]
    )
    def test_written_by_pillow(self, tmp_path, compression, mode, dtype):
        images = pytest.importorskip("PIL.Image")
        path = tmp_path / "a.tif"
        frames = sample_frames(dtype, n=2, samples=3 if mode == "RGB" else 1)
        first, second = (images.fromarray(np.squeeze(frame)) for frame in frames)
        assert first.mode == mode
        first.save(path, compression=compression, save_all=True, append_images=[second])
        assert np.array_equal(load_tiff_u16(path), convert(frames, np.uint16))

    def test_four_samples_are_an_error(self, tmp_path):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.zeros((4, 4, 4), np.uint8), photometric="rgb")
        with pytest.raises(RuntimeError, match=r"Failed to decode TIFF: .*4 samples"):
            load_tiff_u8(path)


class TestMapped:
    def test_one_uncompressed_page_is_not_copied(self, saved):
        path = saved(sample_frames(n=3), "uncompressed")
        found = load_tiff_u16(path, [1])
        base = found
        while isinstance(base, np.ndarray):
            base = base.base
        assert isinstance(getattr(base, "obj", base), mmap.mmap)
        assert np.array_equal(found, sample_frames()[1:2])

    def test_too_many_are_read(self, saved, monkeypatch):
        monkeypatch.setattr(pages, "MAX_MEMORY_MAPS", 0)
        path = saved(sample_frames(n=1), "uncompressed")
        assert TiffPages(path).memory_map(0) is None
        assert np.array_equal(load_tiff_u16(path), sample_frames(n=1))

    @pytest.mark.parametrize("settings", [{"compression": "lzw"}, {"byteorder": ">"}])
    def test_others_are_not(self, tmp_path, settings):
        assert (
            TiffPages(foreign(tmp_path / "a.tif", sample_frames(), **settings)).memory_map(0)
            is None
        )

    def test_files_are_closed(self, saved):
        path = saved(sample_frames(n=2), "uncompressed")
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for _ in range(20):
            load_tiff_u16(path, [0])
            load_tiff_u16(path)
        after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        assert after == before


def test_pages_are_read_by_several_threads(saved):
    frames = sample_frames(n=40)
    opened, found = TiffPages(saved(frames)), {}

    def read(start):
        for number in range(start, 40, 4):
            found[number] = opened.read(number)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(np.stack([found[n] for n in range(40)]), frames)
