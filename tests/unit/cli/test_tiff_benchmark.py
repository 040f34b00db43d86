"""tiff-benchmark: images of a tree measured, and what cannot be."""

import csv

import numpy as np
import pytest
import tifffile

from dicom_preprocessing.cli.tiff_benchmark import main


class TestCommand:
    @pytest.fixture
    def tree(self, tmp_path):
        for number in range(3):
            pages = np.full((2, 20, 30), number, np.uint16)
            with tifffile.TiffWriter(tmp_path / f"{number}.tiff") as tiff:
                for frame in pages:
                    tiff.write(frame, contiguous=False, metadata=None)
        return tmp_path

    def test_every_compressor_and_nothing_left_behind(self, tree, tmp_path_factory, capsys):
        output = tmp_path_factory.mktemp("benchmark")
        assert main([str(tree), str(output), "--repeat", "1"]) == 0
        assert sorted(path.name for path in output.iterdir()) == [
            "reading.csv",
            "report.html",
            "runs.csv",
            "sizes.csv",
        ]
        with (output / "sizes.csv").open() as file:
            rows = {row["compressor"]: row for row in csv.DictReader(file)}
        assert list(rows) == ["packbits", "lzw", "uncompressed", "deflate", "zstd"]
        assert int(rows["zstd"]["total_bytes"]) < int(rows["uncompressed"]["total_bytes"])
        assert "3 images of 6 frames" in capsys.readouterr().out

    def test_limit(self, tree, tmp_path_factory, capsys):
        output = tmp_path_factory.mktemp("benchmark")
        assert main([str(tree), str(output), "--repeat", "1", "--limit", "2"]) == 0
        assert "2 images of 4 frames" in capsys.readouterr().out

    def test_images_that_cannot_be_read_are_reported(self, tree, tmp_path_factory, capsys):
        (tree / "1.tiff").write_bytes(b"II*\0")
        output = tmp_path_factory.mktemp("benchmark")
        assert main([str(tree), str(output), "--repeat", "1"]) == 0
        printed = capsys.readouterr().out
        assert "2 images of 4 frames" in printed
        assert "1 could not be read and are left out." in printed

    def test_no_image(self, tmp_path, capsys):
        (tmp_path / "a.tiff").write_bytes(b"II*\0")
        assert main([str(tmp_path), str(tmp_path / "out")]) == 1
        assert "none of the images can be read" in capsys.readouterr().err
