"""Finding files by name and content, lists of paths, inodes, and trees of TIFFs."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dicom_preprocessing import (
    ManifestEntry,
    find_dicom_files,
    find_tiff_files,
    get_manifest,
    inode_sort,
    is_dicom_file,
    is_tiff_file,
    read_dicom_paths,
    read_tiff_paths,
)

STUDIES = Path(__file__).parents[3] / "examples" / "studies"
DICOM = next(STUDIES.rglob("CT_small.dcm"))


def save(path, shape=(3, 4), pages=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as file:
        for _ in range(pages):
            file.write(np.zeros(shape, np.uint8), metadata=None, contiguous=False)
    return path


@pytest.fixture
def mixed(tmp_path):
    """A folder of DICOM files under all sorts of names, and of others."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b", "deep/a.img", "deep/er/c.dat", "a.txt"):
        shutil.copy(DICOM, tmp_path / name)
    for name in ("fake.dcm", "deep/fake.DICOM", "note", "note.txt"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "empty").touch()
    return tmp_path


class TestDicomFiles:
    def test_are_found_by_suffix_or_content_in_path_order(self, mixed):
        found = [str(path.relative_to(mixed)) for path in find_dicom_files(mixed)]
        named = ["a.txt", "b", "deep/a.img", "deep/er/c.dat", "deep/fake.DICOM", "fake.dcm"]
        assert found == named

    def test_are_paths(self, mixed):
        assert {type(path) for path in find_dicom_files(str(mixed))} == {type(mixed)}

    def test_an_empty_folder_has_none(self, tmp_path):
        assert find_dicom_files(tmp_path) == []

    @pytest.mark.parametrize("find", [find_dicom_files, find_tiff_files, get_manifest])
    @pytest.mark.parametrize("name", ["gone", "file"])
    def test_no_folder(self, tmp_path, find, name):
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError, match=name):
            find(tmp_path / name)

    @pytest.mark.parametrize("find", [find_dicom_files, find_tiff_files])
    def test_spinner_is_on_standard_error(self, mixed, capsys, find):
        save(mixed / "a.tiff")
        quiet = find(mixed)
        assert capsys.readouterr() == ("", "")
        assert find(mixed, spinner=True) == quiet
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "file" in shown.err

    def test_pipes_are_not_opened(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        assert find_dicom_files(tmp_path) == []


class TestIsDicomFile:
    @pytest.mark.parametrize("name", ["a.dcm", "a.DCM", "a.dicom", "a.Dicom"])
    def test_name_is_enough(self, tmp_path, name):
        (tmp_path / name).write_text("no image")
        assert is_dicom_file(tmp_path / name)

    @pytest.mark.parametrize("name", ["a", "a.img", "1.2.840.10008"])
    def test_else_content_tells(self, tmp_path, name):
        shutil.copy(DICOM, tmp_path / name)
        assert is_dicom_file(str(tmp_path / name))
        (tmp_path / name).write_text("no image")
        assert not is_dicom_file(tmp_path / name)

    def test_without_prefix(self, tmp_path):
        (tmp_path / "bare").write_bytes(DICOM.read_bytes()[132:])
        assert is_dicom_file(tmp_path / "bare")

    def test_folders_and_missing_files_are_none(self, tmp_path):
        (tmp_path / "a.dcm").mkdir()
        assert not is_dicom_file(tmp_path / "a.dcm")
        assert not is_dicom_file(tmp_path / "gone.dcm")


class TestTiffFiles:
    @pytest.mark.parametrize("name", ["a.tif", "b.TIFF", "c.Tiff"])
    def test_are_known_by_name(self, tmp_path, name):
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / name).touch()
        (tmp_path / "a.png").touch()
        assert is_tiff_file(tmp_path / "deep" / name)
        assert find_tiff_files(tmp_path) == [tmp_path / "deep" / name]

    def test_others_are_none(self, tmp_path):
        (tmp_path / "a.tiff").mkdir()
        (tmp_path / "a.dcm").touch()
        assert not is_tiff_file(tmp_path / "a.tiff")
        assert not is_tiff_file(tmp_path / "a.dcm")
        assert not is_tiff_file(tmp_path / "gone.tiff")


@pytest.mark.parametrize("read", [read_dicom_paths, read_tiff_paths])
class TestPathList:
    def test_is_in_file_order(self, tmp_path, read, capsys):
        for name in "abc":
            (tmp_path / name).touch()
        listing = tmp_path / "list.txt"
        listing.write_text(f"{tmp_path}/c\n\n# none\n{tmp_path}/a\nb\n")
        assert read(listing) == [tmp_path / "c", tmp_path / "a", tmp_path / "b"]
        assert capsys.readouterr().err == ""
        assert read(str(listing), bar=True) == read(listing)
        assert "/3 [" in capsys.readouterr().err

    def test_missing_list(self, tmp_path, read):
        with pytest.raises(FileNotFoundError, match=r"File not found: .*list\.txt"):
            read(tmp_path / "list.txt")

    def test_missing_entry_is_named(self, tmp_path, read):
        listing = tmp_path / "list.txt"
        listing.write_text("gone.dcm\n")
        with pytest.raises(FileNotFoundError, match=r"gone\.dcm \(listed in "):
            read(listing)


class TestInodeSort:
    def test_is_by_inode(self, tmp_path, capsys):
        paths = [tmp_path / name for name in "cab"]
        for path in paths:
            path.touch()
        inodes = {str(path): path.stat().st_ino for path in paths}
        ordered = inode_sort(map(str, paths))
        assert [inodes[str(path)] for path in ordered] == sorted(inodes.values())
        assert capsys.readouterr().err == ""
        assert inode_sort(paths[::-1], bar=True) == ordered
        assert "/3 [" in capsys.readouterr().err

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="gone"):
            inode_sort([tmp_path / "gone"])


class TestGetManifest:
    def test_entries(self, tmp_path):
        short = save(tmp_path / "1.2" / "1.2.3.tiff", pages=2)
        long = save(tmp_path / "1.1" / "1.1.5" / "1.1.5.1.tiff", shape=(5, 6, 3))
        sizes = [
            {"width": 6, "height": 5, "channels": 3, "num_frames": 1},
            {"width": 4, "height": 3, "channels": 1, "num_frames": 2},
        ]
        assert get_manifest(str(tmp_path)) == [
            ManifestEntry(long, "1.1", "1.1.5", "1.1.5.1", long.stat().st_ino, sizes[0]),
            ManifestEntry(short, "1.2", None, "1.2.3", short.stat().st_ino, sizes[1]),
        ]

    def test_damaged_file_has_no_dimensions(self, tmp_path):
        path = tmp_path / "1.2" / "1.2.3.tiff"
        path.parent.mkdir()
        path.write_text("no image")
        (entry,) = get_manifest(tmp_path)
        assert (entry.sop_instance_uid, entry.dimensions) == ("1.2.3", None)

    def test_relative_path(self, tmp_path):
        save(tmp_path / "1.2" / "1.2.3.tiff")
        (entry,) = get_manifest(tmp_path)
        assert entry.relative_path(str(tmp_path)) == Path("1.2/1.2.3.tiff")
        with pytest.raises(ValueError, match=r"1\.2\.3\.tiff"):
            entry.relative_path(tmp_path / "other")

    def test_bar_is_on_standard_error(self, tmp_path, capsys):
        save(tmp_path / "1.2" / "1.2.3.tiff")
        assert len(get_manifest(tmp_path, bar=True)) == 1
        shown = capsys.readouterr()
        assert (shown.out, "/1 [" in shown.err) == ("", True)
