"""Trees by a manifest that another program has changed."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.tools.tree import open_tree


def manifest(folder, **columns):
    pq.write_table(pa.table(columns), folder / "m.parquet", compression="zstd")
    return folder / "m.parquet"


def test_tables_are_beside_the_manifest_or_in_a_folder_without_one(tmp_path):
    (tmp_path / "images" / "1.2").mkdir(parents=True)
    (tmp_path / "images" / "1.2" / "a.tiff").touch()
    slices = tmp_path / "slices.csv"
    slices.touch()
    assert open_tree(tmp_path).find_table("slices.csv") == slices
    assert open_tree(tmp_path / "images").find_table("slices.csv") is None
    (tmp_path / "manifest.csv").write_text("path,modality\n1.2/a.tiff,CT\n")
    for source in (tmp_path, tmp_path / "images", tmp_path / "manifest.csv"):
        tree = open_tree(source)
        assert tree.find_table("slices.csv") == slices
        assert tree.rows == {"1.2/a.tiff": {"modality": "CT"}}


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
