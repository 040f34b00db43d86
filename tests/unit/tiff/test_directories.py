"""Directories of hostile files: entries that lie, cut files and any bytes."""

import os
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_preprocessing import get_frame_count, load_tiff_f32, load_tiff_u8, load_tiff_u16
from dicom_preprocessing.config import COMPRESSORS
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.tiff import directories
from dicom_preprocessing.tiff.directories import TiffDirectories
from tests.unit.tiffs import foreign, sample_frames, single_strip

# Where the offset of the first directory stands, and one entry of it.
FIRST_AT, ENTRY = 4, 12


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
        path = saved(sample_frames(n=1), compressor)
        patched(path, code, **change)
        with pytest.raises(RuntimeError, match="Failed to decode TIFF: "):
            load_tiff_u8(path)

    def test_take_little_memory(self, saved, monkeypatch):
        path = saved(sample_frames(n=1))
        patched(path, 257, value=2**31)

        def no_memory(*_, **__):
            raise AssertionError("allocated")

        monkeypatch.setattr(np, "empty", no_memory)
        with pytest.raises(RuntimeError, match="a page of 41 x 2147483648 in"):
            load_tiff_u16(path)

    @pytest.mark.parametrize("compressor", COMPRESSORS)
    @pytest.mark.parametrize("part", [0.2, 0.5, 0.95])
    def test_cut(self, saved, compressor, part):
        path = saved(sample_frames(), compressor)
        content = path.read_bytes()
        path.write_bytes(content[: int(part * len(content))])
        with pytest.raises(RuntimeError, match=r"Failed to (decode TIFF|create decoder): "):
            load_tiff_u16(path)

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data(), compressor=st.sampled_from(COMPRESSORS))
    def test_any_bytes_give_an_array_or_an_error(self, saved, data, compressor):
        path = saved(sample_frames(n=2)[:, :9, :9], compressor)
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
        path = saved(sample_frames("int16"))
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


class TestBounds:
    """What a file may ask for is bounded by its size."""

    def test_pipe_is_refused(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.tiff")
        with pytest.raises(OutputError, match=r"pipe\.tiff: .* it is not a file"):
            TiffDirectories(tmp_path / "pipe.tiff")

    def test_nul_in_a_path(self):
        with pytest.raises(OutputError, match="null byte"):
            TiffDirectories("a\0b.tiff")

    def test_directories_that_overlap(self, tmp_path):
        # Each of 250 entries, and the next one 4 bytes on: 750 KB of directories in 8 KB.
        content = bytearray(struct.pack("<2sHL", b"II", 42, 8) + bytes(8000))
        starts = range(8, 1000, 4)
        for start in starts:
            struct.pack_into("<H", content, start, 250)
        for start in starts:
            end = start + 2 + 250 * 12
            struct.pack_into("<H", content, end, start + 4)
        (tmp_path / "a.tiff").write_bytes(content)
        with pytest.raises(OutputError, match="directories of pages overlap"):
            len(TiffDirectories(tmp_path / "a.tiff"))

    def test_tiles_larger_than_what_the_file_can_hold(self, tmp_path):
        path = foreign(tmp_path / "a.tiff", sample_frames(n=1), tile=(16, 16), compression="lzw")
        patched(path, 322, value=2**31)
        with pytest.raises(OutputError, match=r"in tiles of 2147483648 x 16 in \d+ bytes"):
            TiffDirectories(path)[0]

    def test_more_values_than_a_tag_may_have(self, tmp_path):
        path = foreign(tmp_path / "a.tiff", sample_frames(n=1))
        patched(path, 258, count=2**20)
        with pytest.raises(OutputError, match="a tag of 1048576 values"):
            TiffDirectories(path)[0]


@pytest.mark.parametrize("width", [0, 16])
def test_tiles_without_length(tmp_path, width):
    tags = {322: width, 323: 0, 324: 8, 325: 256}
    (tmp_path / "a.tiff").write_bytes(single_strip(16, 16, bytes(256), 1, tags=tags))
    with pytest.raises(OutputError, match=f"cannot be read as TIFF: tiles of {width} x 0"):
        TiffDirectories(tmp_path / "a.tiff")[0]


class TestPagesOfOneStrip:
    """A few bytes must not be decoded for hours."""

    def test_many_large_ones(self, tmp_path):
        strip = imagecodecs.zstd_encode(bytes(2**24))
        path = tmp_path / "a.tiff"
        path.write_bytes(single_strip(2**12, 2**12, strip, 50000, pages=20))
        with pytest.raises(OutputError, match=r"pages share their strips: \d+ bytes in 17 of them"):
            list(TiffDirectories(path))
        with pytest.raises(RuntimeError, match="pages share their strips"):
            load_tiff_u8(path)

    def test_few_small_ones_are_sound(self, tmp_path):
        path = tmp_path / "a.tiff"
        path.write_bytes(single_strip(16, 16, imagecodecs.zstd_encode(bytes(256)), 50000, pages=3))
        assert load_tiff_u8(path).shape == (3, 16, 16, 1)

    @pytest.mark.parametrize("compressor", ["zstd", "deflate", "lzw", "packbits"])
    def test_own_pages_of_zeros_are_sound(self, saved, compressor, monkeypatch):
        monkeypatch.setattr(directories, "MAX_SHARED_BYTES", 0)
        path = saved(np.zeros((20, 700, 800, 1), np.uint16), compressor)
        assert len(list(TiffDirectories(path))) == 20
