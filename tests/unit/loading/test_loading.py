"""Frames of TIFFs as arrays: values, kinds of files, errors, and what is read."""

import mmap
import os
import struct
import threading

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_preprocessing import (
    get_frame_count,
    load_tiff_f32,
    load_tiff_f32_batched,
    load_tiff_u8,
    load_tiff_u16,
)
from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.recipe import make_chain
from dicom_preprocessing.imaging.conversion import convert
from dicom_preprocessing.tiff import reader as pages
from dicom_preprocessing.tiff.reader import TiffPages
from dicom_preprocessing.tiff.writer import write_tiff
from tests.unit.datasets import image_of

COMPRESSORS = ("packbits", "lzw", "uncompressed", "deflate", "zstd")
LOADERS = (load_tiff_u8, load_tiff_u16, load_tiff_f32)
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
# Where the offset of the first directory stands, and one entry of it.
FIRST_AT, ENTRY = 4, 12


def sample(dtype="uint16", *, n=3, samples=1):
    """Frames with runs and noise, all values below 2000."""
    frames = np.random.default_rng(5).integers(0, 2000, (n, 37, 41, samples))
    frames[:, 5:20] = np.arange(n).reshape(n, 1, 1, 1) + 7
    return (frames % 250 if dtype == "uint8" else frames).astype(dtype)


@pytest.fixture
def saved(tmp_path):
    """Write frames as this project does."""

    def saved(frames, compressor="packbits"):
        path = tmp_path / "image.tiff"
        chain = make_chain(parse_config({})[0], "write")
        write_tiff(path, image_of(frames), compressor=compressor, chain=chain)
        return path

    return saved


def foreign(path, frames, **settings):
    """Write frames page by page through tifffile."""
    big = settings.pop("bigtiff", False)
    with tifffile.TiffWriter(path, byteorder=settings.pop("byteorder", "<"), bigtiff=big) as file:
        for frame in frames:
            kind = "rgb" if frame.shape[-1] == 3 else "minisblack"
            shown = frame if frame.shape[-1] == 3 else frame[..., 0]
            options = {"photometric": kind, "metadata": None, "contiguous": False} | settings
            file.write(shown, **options)
    return path


class TestOwnFiles:
    @pytest.mark.parametrize("samples", [1, 3])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_values_in_each_dtype(self, saved, compressor, dtype, samples):
        frames = sample(dtype, samples=samples)
        path = saved(frames, compressor)
        for load, wanted in zip(LOADERS, ("uint8", "uint16", "float32"), strict=True):
            found = load(path)
            assert (found.dtype, found.flags.c_contiguous) == (wanted, True)
            assert np.array_equal(found, convert(frames, wanted))

    def test_float32_is_the_quotient_in_float32(self, saved):
        frames = sample()
        assert np.array_equal(load_tiff_f32(saved(frames)), frames.astype(np.float32) / 65535)

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    def test_float32_files_are_loaded_as_they_are(self, saved, compressor):
        frames = sample("float32") - 1000.5
        assert np.array_equal(load_tiff_f32(saved(frames, compressor)), frames)

    @pytest.mark.parametrize("compressor", ["packbits", "uncompressed"])
    @pytest.mark.parametrize("n", [1, 3])
    def test_arrays_can_be_written_to_and_the_file_stays(self, saved, compressor, n):
        path = saved(sample(n=n), compressor)
        before = path.read_bytes()
        load_tiff_u16(path)[:] = 0
        assert path.read_bytes() == before

    def test_bigtiff(self, saved, monkeypatch):
        monkeypatch.setattr("dicom_preprocessing.tiff.writer.BIGTIFF_FROM", 0)
        path = saved(sample())
        assert path.read_bytes()[:4] == b"II+\0"
        assert np.array_equal(load_tiff_u16(path), sample())
        assert get_frame_count(path) == 3


class TestFrames:
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    @pytest.mark.parametrize("load", LOADERS)
    def test_order_and_repeats_are_kept(self, saved, load, compressor):
        path = saved(sample(n=5), compressor)
        assert np.array_equal(load(path, frames=[3, 0, 3, 4]), load(path)[[3, 0, 3, 4]])

    @pytest.mark.parametrize("frames", [(1,), range(1, 2), np.array([1]), [np.int64(1)]])
    def test_any_sequence_will_do(self, saved, frames):
        assert np.array_equal(load_tiff_u16(saved(sample()), frames), sample()[1:2])

    def test_others_may_be_damaged(self, saved):
        path = saved(sample(n=3))
        page = TiffPages(path)[1]
        content = bytearray(path.read_bytes())
        content[page.offsets[0] : page.offsets[0] + page.counts[0]] = b"\x80" * page.counts[0]
        path.write_bytes(content)
        assert np.array_equal(load_tiff_u16(path, [2, 0]), sample()[[2, 0]])
        with pytest.raises(RuntimeError, match=r"Failed to decode TIFF: .*page 1 cannot be read"):
            load_tiff_u16(path, [1])

    def test_others_are_not_read(self, saved, monkeypatch):
        path = saved(sample(n=9), "uncompressed")
        read = []

        def preadv(descriptor, buffers, offset):
            read.append(offset)
            return real(descriptor, buffers, offset)

        real = os.preadv
        monkeypatch.setattr(os, "preadv", preadv)
        load_tiff_u16(path, [4, 6])
        assert read == [TiffPages(path)[n].offsets[0] for n in (4, 6)]

    def test_pages_behind_the_last_one_are_not_looked_for(self, saved):
        path = saved(sample(n=9))
        opened = TiffPages(path)
        opened[4]
        assert len(opened._places) == 5


class TestFrameErrors:
    @pytest.mark.parametrize("load", LOADERS)
    def test_empty_list(self, saved, load):
        with pytest.raises(ValueError, match="Frame list cannot be empty"):
            load(saved(sample()), frames=[])

    @pytest.mark.parametrize("load", LOADERS)
    @pytest.mark.parametrize("frames", [[3], [0, 3], [3, 3]])
    def test_out_of_bounds(self, saved, load, frames):
        expected = "Frame index 3 is out of bounds for TIFF with 3 frames"
        with pytest.raises(ValueError, match=expected):
            load(saved(sample(n=3)), frames=frames)

    def test_far_out_of_bounds(self, saved):
        with pytest.raises(ValueError, match="index 1000000000000 is out of bounds"):
            load_tiff_u8(saved(sample()), frames=[10**12])

    @pytest.mark.parametrize("load", LOADERS)
    def test_negative(self, saved, load):
        with pytest.raises(OverflowError, match="negative: -1"):
            load(saved(sample()), frames=[0, -1])

    def test_no_number(self, saved):
        with pytest.raises(TypeError):
            load_tiff_u8(saved(sample()), frames=[0.5])


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
        path = saved(sample(n=1))
        content = bytearray(path.read_bytes())
        first = struct.unpack_from("<L", content, FIRST_AT)[0]
        link = first + 2 + ENTRY * struct.unpack_from("<H", content, first)[0]
        content[link : link + 4] = struct.pack("<L", 0xFFFFFFF0)
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match=r"Failed to decode TIFF: .*a directory at"):
            load(path)

    def test_circle(self, saved, load):
        path = saved(sample(n=1))
        content = bytearray(path.read_bytes())
        first = struct.unpack_from("<L", content, FIRST_AT)[0]
        link = first + 2 + ENTRY * struct.unpack_from("<H", content, first)[0]
        content[link : link + 4] = struct.pack("<L", first)
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match=r"Failed to decode TIFF: .*pages in a circle"):
            load(path)


def patched(path, code, *, value=None, count=None):
    """Change an entry of the first directory."""
    content = bytearray(path.read_bytes())
    first = struct.unpack_from("<L", content, FIRST_AT)[0]
    for n in range(struct.unpack_from("<H", content, first)[0]):
        at = first + 2 + ENTRY * n
        if struct.unpack_from("<H", content, at)[0] == code:
            if value is not None:
                content[at + 2 : at + 4] = struct.pack("<H", 4)
                content[at + 8 : at + 12] = struct.pack("<L", value)
            if count is not None:
                content[at + 4 : at + 8] = struct.pack("<L", count)
    path.write_bytes(content)


class TestHostileFiles:
    @pytest.mark.parametrize("compressor", COMPRESSORS)
    @pytest.mark.parametrize(
        ("code", "change"),
        [
            pytest.param(256, {"value": 0}, id="no columns"),
            pytest.param(256, {"value": 2**31}, id="columns"),
            pytest.param(257, {"value": 2**31}, id="rows"),
            pytest.param(273, {"value": 2**32 - 1}, id="offset"),
            pytest.param(279, {"value": 2**32 - 1}, id="bytes"),
            pytest.param(279, {"value": 3}, id="few bytes"),
            pytest.param(273, {"count": 2**31}, id="strips"),
            pytest.param(273, {"count": 2}, id="two strips"),
            pytest.param(258, {"count": 2**32 - 1}, id="bits"),
            pytest.param(258, {"value": 12}, id="12 bits"),
            pytest.param(259, {"value": 7777}, id="compression"),
            pytest.param(277, {"value": 65535}, id="samples"),
        ],
    )
    def test_are_errors(self, saved, compressor, code, change):
        path = saved(sample(n=1), compressor)
        patched(path, code, **change)
        with pytest.raises(RuntimeError, match="Failed to decode TIFF: "):
            load_tiff_u8(path)

    def test_take_little_memory(self, saved, monkeypatch):
        path = saved(sample(n=1))
        patched(path, 257, value=2**31)

        def no_memory(*_, **__):
            raise AssertionError("allocated")

        monkeypatch.setattr(np, "empty", no_memory)
        with pytest.raises(RuntimeError, match="a page of 41 x 2147483648 in"):
            load_tiff_u16(path)

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    @pytest.mark.parametrize("part", [0.2, 0.5, 0.95])
    def test_cut(self, saved, compressor, part):
        path = saved(sample(), compressor)
        content = path.read_bytes()
        path.write_bytes(content[: int(part * len(content))])
        with pytest.raises(RuntimeError, match=r"Failed to (decode TIFF|create decoder): "):
            load_tiff_u16(path)

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data(), compressor=st.sampled_from(COMPRESSORS))
    def test_any_bytes_give_an_array_or_an_error(self, saved, data, compressor):
        path = saved(sample(n=2)[:, :9, :9], compressor)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        for load in (load_tiff_f32, get_frame_count):
            try:
                load(path)
            except RuntimeError as error:
                assert str(error).startswith("Failed to ")  # noqa: PT017

    def test_signed_values_have_no_full_range(self, saved):
        path = saved(sample("int16"))
        with pytest.raises(RuntimeError, match="Failed to decode TIFF: cannot convert int16"):
            load_tiff_u8(path)

    def test_frames_of_different_size(self, tmp_path):
        path = tmp_path / "a.tiff"
        with tifffile.TiffWriter(path) as file:
            file.write(np.zeros((4, 5), np.uint8), metadata=None)
            file.write(np.zeros((6, 5), np.uint8), metadata=None)
        assert load_tiff_u8(path, [1]).shape == (1, 6, 5, 1)
        with pytest.raises(RuntimeError, match=r"Failed to decode TIFF: .*the frames differ"):
            load_tiff_u8(path)


class TestForeignFiles:
    @pytest.mark.parametrize("samples", [1, 3])
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("kind", FOREIGN)
    def test_kinds(self, tmp_path, kind, place, byteorder, samples):
        frames = sample(n=2, samples=samples)
        settings = FOREIGN[kind] | PLACES[place] | {"byteorder": byteorder}
        path = foreign(tmp_path / "a.tif", frames, **settings)
        assert np.array_equal(load_tiff_u16(path), frames)
        assert np.array_equal(load_tiff_u16(path, [1]), frames[1:])

    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_bigtiff(self, tmp_path, byteorder):
        path = foreign(tmp_path / "a.tif", sample(), bigtiff=True, byteorder=byteorder)
        assert np.array_equal(load_tiff_u16(path), sample())

    def test_jpeg(self, tmp_path):
        frames = np.full((1, 32, 32, 1), 77, np.uint8)
        path = foreign(tmp_path / "a.tif", frames, compression="jpeg")
        assert np.array_equal(load_tiff_u8(path), frames)

    def test_planes(self, tmp_path):
        planes = np.moveaxis(sample("uint8", n=1, samples=3)[0], -1, 0)
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
        assert np.array_equal(load_tiff_u8(path)[0], np.moveaxis(planes, 0, -1))

    def test_white_is_zero_is_inverted(self, tmp_path):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.array([[0, 200]], np.uint8), photometric="miniswhite")
        assert load_tiff_u8(path).ravel().tolist() == [255, 55]

    def test_strips_in_another_order(self, tmp_path):
        path = tmp_path / "a.tif"
        frames = sample(n=1)[:, :10]
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
        frames = sample(dtype, n=2, samples=3 if mode == "RGB" else 1)
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
        path = saved(sample(n=3), "uncompressed")
        found = load_tiff_u16(path, [1])
        base = found
        while isinstance(base, np.ndarray):
            base = base.base
        assert isinstance(getattr(base, "obj", base), mmap.mmap)
        assert np.array_equal(found, sample()[1:2])

    def test_too_many_are_read(self, saved, monkeypatch):
        monkeypatch.setattr(pages, "MOST_MAPPED", 0)
        path = saved(sample(n=1), "uncompressed")
        assert TiffPages(path).mapped(0) is None
        assert np.array_equal(load_tiff_u16(path), sample(n=1))

    @pytest.mark.parametrize("settings", [{"compression": "lzw"}, {"byteorder": ">"}])
    def test_others_are_not(self, tmp_path, settings):
        assert TiffPages(foreign(tmp_path / "a.tif", sample(), **settings)).mapped(0) is None

    def test_files_are_closed(self, saved):
        path = saved(sample(n=2), "uncompressed")
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for _ in range(20):
            load_tiff_u16(path, [0])
            load_tiff_u16(path)
        after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        assert after == before


def test_pages_are_read_by_several_threads(saved):
    frames = sample(n=40)
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


class TestFrameCount:
    @pytest.mark.parametrize("n", [1, 2, 70])
    def test_is_the_number_of_pages(self, saved, n):
        assert get_frame_count(saved(sample(n=n))) == n


class TestBatched:
    @pytest.fixture
    def paths(self, tmp_path):
        return [foreign(tmp_path / f"{n}.tif", sample(n=n)) for n in (1, 2, 3)]

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
