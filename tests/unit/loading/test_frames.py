"""Frames of TIFFs as arrays: values, which frames, and errors."""

import os
import struct

import numpy as np
import pytest

from dicom_preprocessing import (
    get_frame_count,
    load_tiff_f32,
    load_tiff_f32_batched,
    load_tiff_u8,
    load_tiff_u16,
)
from dicom_preprocessing.config import COMPRESSORS
from dicom_preprocessing.imaging.conversion import convert
from dicom_preprocessing.tiff.reader import TiffPages
from tests.unit.tiffs import foreign, sample_frames

LOADERS = (load_tiff_u8, load_tiff_u16, load_tiff_f32)


# Where the offset of the first directory stands, and one entry of it.
FIRST_AT, ENTRY = 4, 12


class TestOwnFiles:
    @pytest.mark.parametrize("samples", [1, 3])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_values_in_each_dtype(self, saved, compressor, dtype, samples):
        frames = sample_frames(dtype, samples=samples)
        path = saved(frames, compressor)
        for load, wanted in zip(LOADERS, ("uint8", "uint16", "float32"), strict=True):
            found = load(path)
            assert (found.dtype, found.flags.c_contiguous) == (wanted, True)
            assert np.array_equal(found, convert(frames, wanted))

    def test_float32_is_the_quotient_in_float32(self, saved):
        frames = sample_frames()
        assert np.array_equal(load_tiff_f32(saved(frames)), frames.astype(np.float32) / 65535)

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_float32_files_are_loaded_as_they_are(self, saved, compressor):
        frames = sample_frames("float32") - 1000.5
        assert np.array_equal(load_tiff_f32(saved(frames, compressor)), frames)

    @pytest.mark.parametrize("compressor", ["packbits", "uncompressed"])
    @pytest.mark.parametrize("n", [1, 3])
    def test_arrays_can_be_written_to_and_the_file_stays(self, saved, compressor, n):
        path = saved(sample_frames(n=n), compressor)
        before = path.read_bytes()
        load_tiff_u16(path)[:] = 0
        assert path.read_bytes() == before

    def test_bigtiff(self, saved, monkeypatch):
        monkeypatch.setattr("dicom_preprocessing.tiff.writer.BIGTIFF_FROM", 0)
        path = saved(sample_frames())
        assert path.read_bytes()[:4] == b"II+\0"
        assert np.array_equal(load_tiff_u16(path), sample_frames())
        assert get_frame_count(path) == 3


class TestFrames:
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    @pytest.mark.parametrize("load", LOADERS)
    def test_order_and_repeats_are_kept(self, saved, load, compressor):
        path = saved(sample_frames(n=5), compressor)
        assert np.array_equal(load(path, frames=[3, 0, 3, 4]), load(path)[[3, 0, 3, 4]])

    @pytest.mark.parametrize("frames", [(1,), range(1, 2), np.array([1]), [np.int64(1)]])
    def test_any_sequence_will_do(self, saved, frames):
        assert np.array_equal(load_tiff_u16(saved(sample_frames()), frames), sample_frames()[1:2])

    def test_others_may_be_damaged(self, saved):
        path = saved(sample_frames(n=3))
        page = TiffPages(path)[1]
        content = bytearray(path.read_bytes())
        content[page.offsets[0] : page.offsets[0] + page.counts[0]] = b"\x80" * page.counts[0]
        path.write_bytes(content)
        assert np.array_equal(load_tiff_u16(path, [2, 0]), sample_frames()[[2, 0]])
        with pytest.raises(RuntimeError, match=r"Failed to decode TIFF: .*page 1 cannot be read"):
            load_tiff_u16(path, [1])

    def test_others_are_not_read(self, saved, monkeypatch):
        path = saved(sample_frames(n=9), "uncompressed")
        read = []

        def preadv(descriptor, buffers, offset):
            read.append(offset)
            return real(descriptor, buffers, offset)

        real = os.preadv
        monkeypatch.setattr(os, "preadv", preadv)
        load_tiff_u16(path, [4, 6])
        assert read == [TiffPages(path)[n].offsets[0] for n in (4, 6)]

    def test_pages_behind_the_last_one_are_not_looked_for(self, saved):
        path = saved(sample_frames(n=9))
        opened = TiffPages(path)
        opened[4]
        assert len(opened._offsets) == 5


class TestFrameErrors:
    @pytest.mark.parametrize("load", LOADERS)
    def test_empty_list(self, saved, load):
        with pytest.raises(ValueError, match="Frame list cannot be empty"):
            load(saved(sample_frames()), frames=[])

    @pytest.mark.parametrize("load", LOADERS)
    @pytest.mark.parametrize("frames", [[3], [0, 3], [3, 3]])
    def test_out_of_bounds(self, saved, load, frames):
        expected = "Frame index 3 is out of bounds for TIFF with 3 frames"
        with pytest.raises(ValueError, match=expected):
            load(saved(sample_frames(n=3)), frames=frames)

    def test_far_out_of_bounds(self, saved):
        with pytest.raises(ValueError, match="index 1000000000000 is out of bounds"):
            load_tiff_u8(saved(sample_frames()), frames=[10**12])

    @pytest.mark.parametrize("load", LOADERS)
    def test_negative(self, saved, load):
        with pytest.raises(OverflowError, match="negative: -1"):
            load(saved(sample_frames()), frames=[0, -1])

    def test_no_number(self, saved):
        with pytest.raises(TypeError):
            load_tiff_u8(saved(sample_frames()), frames=[0.5])


@pytest.mark.parametrize("load", [*LOADERS, get_frame_count])
class TestFileErrors:
    def test_missing(self, tmp_path, load):
        with pytest.raises(FileNotFoundError, match=r"File not found: .*gone\.tiff"):
            load(tmp_path / "gone.tiff")

    @pytest.mark.parametrize(
        "content",
        [b"", b"II", b"no TIFF at all", b"II*\0", b"II+\0\x08\0\0\0\x08", b"II\x2c\0\x08\0\0\0"],
        ids=repr,
    )
    def test_no_tiff(self, tmp_path, load, content):
        path = tmp_path / "other.tiff"
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match=r"Failed to create decoder: .*other\.tiff"):
            load(path)

    def test_folder(self, tmp_path, load):
        with pytest.raises(RuntimeError, match="Failed to create decoder: "):
            load(tmp_path)

    def test_first_directory_outside(self, tmp_path, load):
        path = tmp_path / "a.tiff"
        path.write_bytes(struct.pack("<2sHL", b"II", 42, 4_000_000_000))
        with pytest.raises(RuntimeError, match=r"Failed to create decoder: .*4000000000"):
            load(path)

    def test_second_directory_outside(self, saved, load):
        path = saved(sample_frames(n=1))
        content = bytearray(path.read_bytes())
        first = struct.unpack_from("<L", content, FIRST_AT)[0]
        link = first + 2 + ENTRY * struct.unpack_from("<H", content, first)[0]
        content[link : link + 4] = struct.pack("<L", 0xFFFFFFF0)
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match=r"Failed to decode TIFF: .*a directory at"):
            load(path)

    def test_circle(self, saved, load):
        path = saved(sample_frames(n=1))
        content = bytearray(path.read_bytes())
        first = struct.unpack_from("<L", content, FIRST_AT)[0]
        link = first + 2 + ENTRY * struct.unpack_from("<H", content, first)[0]
        content[link : link + 4] = struct.pack("<L", first)
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match=r"Failed to decode TIFF: .*pages in a circle"):
            load(path)


class TestFrameCount:
    @pytest.mark.parametrize("n", [1, 2, 70])
    def test_is_the_number_of_pages(self, saved, n):
        assert get_frame_count(saved(sample_frames(n=n))) == n


class TestBatched:
    @pytest.fixture
    def paths(self, tmp_path):
        return [foreign(tmp_path / f"{n}.tif", sample_frames(n=n)) for n in (1, 2, 3)]

    def test_lists_are_in_order(self, paths):
        batches = list(load_tiff_f32_batched(map(str, paths), 2))
        assert [[len(image) for image in batch] for batch in batches] == [[1, 2], [3]]
        assert np.array_equal(batches[1][0], load_tiff_f32(paths[2]))

    def test_frames_are_chosen(self, paths):
        ((first, second),) = load_tiff_f32_batched(paths[1:], 5, frames=[1, 0])
        assert np.array_equal(first, load_tiff_f32(paths[1], [1, 0]))
        assert np.array_equal(second, load_tiff_f32(paths[2], [1, 0]))

    def test_no_paths(self):
        assert list(load_tiff_f32_batched([], 3)) == []

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ((0,), ValueError, "batch_size must be at least 1"),
            ((-1,), OverflowError, "batch_size cannot be negative"),
            ((1, []), ValueError, "Frame list cannot be empty"),
            ((1, [-1]), OverflowError, "negative: -1"),
        ],
    )
    def test_wrong_arguments_are_errors_at_the_call(self, paths, arguments, error, message):
        with pytest.raises(error, match=message):
            load_tiff_f32_batched(paths, *arguments)

    def test_a_bad_file_is_an_error_at_its_turn(self, paths, tmp_path):
        bad = tmp_path / "bad.tif"
        bad.write_bytes(b"II*\0")
        batches = load_tiff_f32_batched([paths[0], bad], 1)
        assert len(next(batches)) == 1
        with pytest.raises(RuntimeError, match="Failed to create decoder: "):
            next(batches)

    def test_a_missing_file_is_an_error_at_its_turn(self, paths, tmp_path):
        batches = load_tiff_f32_batched([paths[0], tmp_path / "gone.tif"], 1)
        next(batches)
        with pytest.raises(RuntimeError, match="File not found: "):
            next(batches)
        with pytest.raises(FileNotFoundError):
            next(load_tiff_f32_batched([tmp_path / "gone.tif"], 1))

    def test_a_frame_out_of_bounds_is_an_error_at_its_turn(self, paths):
        batches = load_tiff_f32_batched([paths[2], paths[0]], 1, frames=[2])
        assert next(batches)[0].shape == (1, 37, 41, 1)
        with pytest.raises(ValueError, match="Frame index 2 is out of bounds for TIFF with 1 fr"):
            next(batches)
