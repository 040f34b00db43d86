"""Trees by a manifest that another program has changed."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.tools.tree import open_tree


def manifest(folder, **columns):
    pq.write_table(pa.table(columns), folder / "m.parquet", compression="zstd")
    return folder / "m.parquet"


def test_columns_that_are_not_needed_are_not_read(tmp_path):
    path = manifest(tmp_path, path=["1.2/a.tiff"], more=["y" * 20_000_000], width=[[1]])
    assert open_tree(path).rows == {"1.2/a.tiff": {}}


def test_without_paths_all_columns_are_named(tmp_path):
    with pytest.raises(SourceError, match="a manifest has a column path; found: name, more"):
        open_tree(manifest(tmp_path, name=["a"], more=["b"]))


def test_links_out_of_the_folder_of_images_are_followed(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.2").symlink_to(tmp_path)
    path = manifest(tmp_path / "images", path=["1.2/a.tiff"])
    assert open_tree(path).paths == [tmp_path / "images" / "1.2" / "a.tiff"]
