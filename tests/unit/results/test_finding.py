"""The manifest of a folder, and the tables beside it."""

from pathlib import Path

import pytest

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.results.finding import find_manifest, find_table


@pytest.fixture
def results(tmp_path):
    (tmp_path / "images" / "1.2").mkdir(parents=True)
    (tmp_path / "manifest.csv").write_text("path,width\n1.2/a.tiff,3\n")
    (tmp_path / "slices.csv").write_text("path\n")
    return tmp_path


@pytest.mark.parametrize("name", ["", "images", "manifest.csv"])
def test_results_their_images_and_the_manifest_are_one_source(results, name):
    assert find_manifest(results / name) == results / "manifest.csv"
    assert find_table(results / name, "slices.csv") == results / "slices.csv"


def test_working_directory_may_be_the_folder_of_images(results, monkeypatch):
    monkeypatch.chdir(results / "images")
    assert find_manifest(Path()) == results / "manifest.csv"


def test_manifest_in_the_folder_of_images_comes_first(results):
    own = results / "images" / "manifest.csv"
    own.write_text("path\n")
    assert find_manifest(results / "images") == own
    assert find_table(results / "images", "slices.csv") is None


@pytest.mark.parametrize("content", ["path\nimages/1.2/a.tiff\n", "path\n", "name\nb\n"])
def test_table_of_other_paths_beside_images_is_not_theirs(results, content):
    (results / "images" / "1.2" / "a.tiff").touch()
    (results / "manifest.csv").write_text(content)
    assert find_manifest(results / "images") is None


def test_unreadable_table_beside_images_is_an_error(results):
    (results / "manifest.csv").write_bytes(b"path\n\xff\n")
    with pytest.raises(SourceError, match=r"manifest\.csv: cannot be read"):
        find_manifest(results / "images")


def test_folder_without_manifest_has_its_own_tables(results):
    (results / "manifest.csv").unlink()
    assert find_manifest(results) is None
    assert find_table(results, "slices.csv") == results / "slices.csv"
    assert find_table(results / "images", "slices.csv") is None
    assert find_table(results, "warnings.csv") is None
