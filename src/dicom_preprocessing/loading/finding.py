"""Find DICOM files and TIFFs, read lists of them, and sort them in the order of the disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from dicom_preprocessing.dicom.detection import DETECTION_BYTES, find_data_set
from dicom_preprocessing.errors import OutputError, SourceError
from dicom_preprocessing.files import close_read_file, path_key, read_at
from dicom_preprocessing.index.path_lists import DICOM_PREFIX_AT, read_path_list
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.results.layout import TIFF_SUFFIXES, parse_image_path
from dicom_preprocessing.results.manifest import find_tiffs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    PathLike = os.PathLike[str] | str

T = TypeVar("T")

DICOM_SUFFIXES = (".dcm", ".dicom")


class Dimensions(TypedDict):
    """Size of a TIFF."""

    width: int
    height: int
    channels: int
    num_frames: int


@dataclass(frozen=True, slots=True, order=True)
class ManifestEntry:
    """A TIFF of a tree; entries are ordered by path.

    The UIDs come from its path, ``{study}/{series}/{sop}.tiff`` or ``{study}/{sop}.tiff`` (then
    the series is None). ``dimensions`` is None for a file that cannot be read as TIFF.
    """

    path: Path
    study_instance_uid: str
    series_instance_uid: str | None
    sop_instance_uid: str
    inode: int
    dimensions: Dimensions | None

    def relative_path(self, root: PathLike) -> Path:
        """The path relative to ``root``.

        Raises
        ------
        ValueError
            The file is not below ``root``.
        """
        return self.path.relative_to(root)


def find_dicom_files(path: PathLike, spinner: bool = False) -> list[Path]:
    """DICOM files below a folder, in path order.

    Names in .dcm or .dicom are accepted as they are; other files are read.

    Parameters
    ----------
    path : path
    spinner : bool, optional
        Show on standard error how many files were checked.

    Raises
    ------
    NotADirectoryError
    """
    if not os.path.isdir(path):
        raise NotADirectoryError(f"{os.fspath(path)} is not a folder")
    try:
        found = find_files([os.fspath(path)])
    except SourceError:
        os.scandir(path).close()  # raises where the folder cannot be read
        return []
    regular = (Path(item.path) for item in found if item.is_regular and not item.problem)
    return [file for file in _show_progress(regular, spinner) if is_dicom_file(file)]


def find_tiff_files(path: PathLike, spinner: bool = False) -> list[Path]:
    """Files below a folder whose names end in .tif or .tiff, hidden ones left out, in path order.

    Raises
    ------
    NotADirectoryError
    """
    return list(_show_progress(find_tiffs(Path(path)), spinner))


def is_dicom_file(path: PathLike) -> bool:
    """Whether a file is DICOM: by a name in .dcm or .dicom of any case, else by its content.

    What is not a file, or cannot be read, is not DICOM.
    """
    if not os.path.isfile(path):
        return False
    if PurePath(path).suffix.lower() in DICOM_SUFFIXES:
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        head, size = read_at(descriptor, 0, DETECTION_BYTES), os.fstat(descriptor).st_size
    except OSError:
        return False
    finally:
        close_read_file(descriptor)
    has_prefix = head[DICOM_PREFIX_AT : DICOM_PREFIX_AT + 4] == b"DICM"
    return has_prefix or find_data_set(head, size) is not None


def is_tiff_file(path: PathLike) -> bool:
    """Whether a path is a file whose name ends in .tif or .tiff, in any case."""
    return PurePath(path).suffix.lower() in TIFF_SUFFIXES and os.path.isfile(path)


def read_dicom_paths(path: PathLike, bar: bool = False) -> list[Path]:
    """Paths of DICOM files from a text file, in its order.

    One path per line, relative ones from the folder of the list; blank lines and lines that start
    with # are skipped.

    Parameters
    ----------
    path : path
    bar : bool, optional
        Show progress on standard error.

    Raises
    ------
    FileNotFoundError
        The list, or a file that it names, is missing.
    """
    return _read_list(path, bar)


def read_tiff_paths(path: PathLike, bar: bool = False) -> list[Path]:
    """Paths of TIFFs from a text file, as ``read_dicom_paths`` reads it."""
    return _read_list(path, bar)


def _read_list(path: PathLike, bar: bool) -> list[Path]:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"File not found: {os.fspath(path)}")
    paths = [Path(name) for name in _show_progress(read_path_list(os.fspath(path)), bar)]
    for listed in paths:
        if not listed.exists():
            raise FileNotFoundError(f"File not found: {listed} (listed in {os.fspath(path)})")
    return paths


def inode_sort(paths: Iterable[PathLike], bar: bool = False) -> list[Path]:
    """Paths sorted by inode, an order in which some disks read faster.

    Raises
    ------
    FileNotFoundError
    """
    inodes = [(os.stat(path).st_ino, Path(path)) for path in _show_progress(list(paths), bar)]
    return [path for _, path in sorted(inodes, key=lambda item: item[0])]


def get_manifest(root: PathLike, bar: bool = False) -> list[ManifestEntry]:
    """TIFFs below a folder with their UIDs, inodes and dimensions, sorted by path.

    Parameters
    ----------
    root : path
    bar : bool, optional
        Show progress on standard error.

    Raises
    ------
    NotADirectoryError
    """
    top = Path(root)
    entries = (_make_entry(path, top) for path in _show_progress(find_tiffs(top), bar))
    return sorted(entries, key=lambda entry: path_key(str(entry.path)))


def _make_entry(path: Path, root: Path) -> ManifestEntry:
    study, series, sop = parse_image_path(path.relative_to(root))
    dimensions = _read_dimensions(path)
    status = path.stat() if path.exists() else path.lstat()  # a link may lead nowhere
    return ManifestEntry(path, study, series, sop, status.st_ino, dimensions)


def _read_dimensions(path: Path) -> Dimensions | None:
    from dicom_preprocessing.tiff.reader import TiffPages  # noqa: PLC0415  # lists do not need numpy

    try:
        pages = TiffPages(path)
        first = pages[0]
        return {
            "width": first.columns,
            "height": first.rows,
            "channels": first.samples,
            "num_frames": sum(1 for _ in pages),
        }
    except (OSError, OutputError):
        return None


def _show_progress(items: Iterable[T], is_shown: Any) -> Iterator[T]:  # noqa: ANN401  # truth of any kind
    """Yield items as they come, with progress on standard error if it is asked for."""
    if not is_shown:
        yield from items
        return
    from tqdm import tqdm  # noqa: PLC0415

    tqdm.monitor_interval = 0  # no thread beside the bar
    yield from tqdm(items, unit="file", leave=False)
