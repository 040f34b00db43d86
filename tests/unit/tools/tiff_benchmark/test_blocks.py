"""The model of a file system that compresses by records."""

import pytest

from dicom_preprocessing.tools.tiff_benchmark.blocks import block_size, measure_disk_usage
from tests.unit.tools.tiff_benchmark.noise import NOISE, K


class TestBlocks:
    @pytest.mark.parametrize(
        ("compressed", "expected"),
        [
            pytest.param(1, 4, id="whole sectors"),
            pytest.param(40 * K + 1, 44, id="rounded up"),
            pytest.param(112 * K, 112, id="an eighth is saved"),
            pytest.param(112 * K + 1, 128, id="less than an eighth is saved"),
            pytest.param(130 * K, 128, id="it became larger"),
        ],
    )
    def test_kib_of_a_full_record(self, compressed, expected):
        assert block_size(b"x" * 128 * K, lambda _: compressed) == expected * K

    def test_zeros_take_nothing(self):
        assert block_size(bytes(128 * K), len) == 0

    def test_small_file_is_one_block_of_its_size(self, tmp_path):
        (tmp_path / "a").write_bytes(NOISE[: 5 * K])
        found = measure_disk_usage(tmp_path / "a")
        assert (found.apparent, found.lz4, found.zstd) == (5 * K, 8 * K, 8 * K)

    def test_last_record_of_a_large_file_is_filled_up_with_zeros(self, tmp_path):
        (tmp_path / "a").write_bytes(NOISE[: 140 * K])
        found = measure_disk_usage(tmp_path / "a")
        assert found.lz4 == 128 * K + 16 * K  # 12 K of noise, and a sector for the rest

    def test_size_of_a_record_decides(self, tmp_path):
        (tmp_path / "a").write_bytes((NOISE[: 4 * K] * 4)[: 16 * K])
        assert measure_disk_usage(tmp_path / "a", 4 * K).lz4 == 16 * K
        assert measure_disk_usage(tmp_path / "a", 16 * K).lz4 == 8 * K
