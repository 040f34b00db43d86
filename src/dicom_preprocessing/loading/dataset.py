"""Images of a manifest for training, with or without torch."""

from __future__ import annotations

import operator
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from dicom_preprocessing.errors import LoadError, OutputError, SourceError
from dicom_preprocessing.loading.epoch import SharedEpoch
from dicom_preprocessing.loading.frames import (
    check_frame_numbers,
    count_frames,
    load_frames,
    open_pages,
)
from dicom_preprocessing.mapping.geometry import ACTIVE, CROP, geometry_of_row
from dicom_preprocessing.results.finding import find_manifest
from dicom_preprocessing.results.manifest import (
    COLUMN_TYPES,
    find_tiffs,
    root_of_manifest,
    row_of_tiff,
)
from dicom_preprocessing.results.reading import read_manifest
from dicom_preprocessing.results.tables import as_records
from dicom_preprocessing.text import TABLE_SUFFIXES, explain_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

    from dicom_preprocessing.imaging.geometry import Geometry

    class _MapStyle:
        pass

    class _IterableStyle:
        pass
else:
    try:
        from torch.utils.data import Dataset as _MapStyle
        from torch.utils.data import IterableDataset as _IterableStyle
    except ImportError:
        _MapStyle = _IterableStyle = object

Row = dict[str, Any]
FrameChoice = Literal["all", "central", "random"]
FRAME_CHOICES = ("all", "central", "random")
IMAGE_DTYPES = ("uint8", "uint16", "float32")
MAX_NAMED = 10
"""Unreadable TIFFs that a warning names."""
GEOMETRY_COLUMNS = ("scale_x", "scale_y", *CROP, *ACTIVE)


class Sample(NamedTuple):
    """An image of a dataset.

    ``image`` is (n_frames, rows, columns, samples); ``geometry`` is None for a row without one.
    ``row`` has the columns of the manifest: those that the project writes in their types, None
    where empty; others as they are in the file, which for csv is text.
    """

    image: NDArray[Any]
    geometry: Geometry | None
    row: Row


class TiffDataset(_MapStyle):
    """Images of a manifest by number, in the order of its rows.

    With torch installed, this is a map-style ``torch.utils.data.Dataset``; ``stream`` gives the
    iterable one, which reads in the order of the disk.

    Parameters
    ----------
    source : path
        A manifest (.csv or .parquet), or a folder: with a manifest.csv in it, the images/ beside
        one, or any tree of TIFFs, of which those that cannot be read are left out, with a warning.
    root : path, optional
        The folder to which the manifest's paths are relative; by default images/ beside it, else
        its own folder.
    frames : "all", "central", "random" or sequence of int, optional
        Frames of each image; others are not read. "random" is one frame, which depends only on
        ``seed``, the epoch and the index of the image.
    dtype : uint8, uint16, float32 or None, optional
        To which values are converted, as by ``load_tiff_u8`` and the like; None leaves them.
    transform : callable, optional
        Called with each ``Sample``; returns what the dataset gives, such as the image alone.
    seed : int, optional

    Raises
    ------
    SourceError
        There is no manifest or folder, or no image; a row has no path, a path that leads out of
        the folder of images, or a value of another type than its column.
    ValueError, OverflowError
        ``frames`` or ``dtype`` is none of these.
    """

    def __init__(
        self,
        source: os.PathLike[str] | str,
        *,
        root: os.PathLike[str] | str | None = None,
        frames: FrameChoice | Sequence[int] = "all",
        dtype: DTypeLike | None = None,
        transform: Callable[[Sample], Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.source = Path(source)
        self.frames: str | list[int] = _check_frame_choice(frames)
        self.dtype = _parse_dtype(dtype)
        self.transform = transform
        self.seed = seed
        self._epoch = SharedEpoch()
        self.root, self.rows = _read_rows(self.source, None if root is None else Path(root))
        if not self.rows:
            raise SourceError(f"{self.source}: no image")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Any:  # noqa: ANN401  # a Sample, or what becomes of it
        """The image of a row.

        Returns
        -------
        Sample, or what ``transform`` makes of it

        Raises
        ------
        IndexError
        LoadError
            A RuntimeError that names the row: its image is missing or damaged, differs from the
            size in the manifest, or lacks a frame; or its geometry contradicts itself.
        """
        return self.load(number, self.epoch)

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    @property
    def epoch(self) -> int:
        """The epoch of random frames."""
        return self._epoch.current

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of random frames, here and in the workers of every DataLoader.

        Raises
        ------
        TypeError, ValueError
            It is not a whole number from 0 to 2**63 - 1.
        """
        self._epoch.set(epoch)

    def path(self, number: int) -> Path:
        """The file of a row."""
        return Path(self.root, self.rows[number]["path"])

    def load(self, number: int, epoch: int) -> Any:  # noqa: ANN401
        """The image of a row in an epoch; see ``__getitem__``."""
        index = range(len(self))[operator.index(number)]
        row = self.rows[index]
        try:
            sample = Sample(self._load_image(index, epoch), _read_geometry(row), dict(row))
        except (OutputError, LoadError, ValueError, OverflowError) as error:
            raise LoadError(f"row {index + 1} of {self.source} ({row['path']}): {error}") from error
        return sample if self.transform is None else self.transform(sample)

    def _load_image(self, index: int, epoch: int) -> NDArray[Any]:
        row = self.rows[index]
        pages = open_pages(self.path(index))
        frames: Sequence[int] | None = None
        if isinstance(self.frames, list):
            frames = self.frames
        elif self.frames != "all":
            count = row.get("num_frames") or count_frames(pages)
            frames = [count // 2]
            if self.frames == "random":
                frames = [int(_make_rng(self.seed, epoch, index).integers(count))]
        image = load_frames(pages, frames, self.dtype)
        expected = tuple(row.get(name) for name in ("height", "width", "channels"))
        if None not in expected and expected != image.shape[1:]:
            raise OutputError(
                f"the image has height, width and channels {image.shape[1:]}; expected {expected} "
                "by its row. Make a new manifest"
            )
        if frames is None and (row.get("num_frames") or len(image)) != len(image):
            raise OutputError(f"the image has {len(image)} frames, its row {row['num_frames']}")
        return image

    def inodes(self) -> NDArray[np.uint64]:
        """Inode of each image: those in the manifest, unless the images were copied since.

        Raises
        ------
        LoadError
            An image whose inode is needed is missing.
        """
        known = [row.get("inode") for row in self.rows]
        last = len(self) - 1
        sample = {index: self._read_inode(index) for index in {0, last // 2, last}}
        if any(known[index] != inode for index, inode in sample.items()) or None in known:
            known = [self._read_inode(index) for index in range(len(self))]
        return np.array(known, np.uint64)

    def _read_inode(self, index: int) -> int:
        try:
            return os.stat(self.path(index)).st_ino
        except OSError as error:
            name = self.rows[index]["path"]
            raise LoadError(
                f"row {index + 1} of {self.source} ({name}): {explain_error(error)}"
            ) from error

    def stream(
        self, *, shuffle: int = 256, shard: tuple[int, int] = (0, 1), by_inode: bool = True
    ) -> TiffStream:
        """Every image once per epoch, read in the order of the disk.

        Parameters
        ----------
        shuffle : int, optional
            Images that wait in memory, to be given in random order; 1 gives them as they are read.
        shard : (index, count), optional
            The share of this process, where several train together.
        by_inode : bool, optional
            False reads in the order of the rows.
        """
        return TiffStream(self, shuffle=shuffle, shard=shard, by_inode=by_inode)


class TiffStream(_IterableStyle):
    """Every image of a dataset once per epoch, read in the order of the disk.

    With torch installed, this is a ``torch.utils.data.IterableDataset``. Each process of a shard,
    and each worker of a DataLoader in it, has one range of the images in the order of the disk. It
    starts at a random position of its range and reads on; images wait in a buffer, and a random one
    leaves it when the next one comes. The order depends on seed, epoch and the number of parts.

    Each iteration is a new epoch. Workers that do not persist forget their epoch: call
    ``set_epoch`` before each one then. It has an epoch of its own, which starts at the one of the
    dataset.

    Parameters
    ----------
    dataset : TiffDataset
    shuffle, shard, by_inode
        As for ``TiffDataset.stream``.

    Raises
    ------
    ValueError
        ``shuffle`` is below 1, or ``shard`` is out of range.
    """

    def __init__(
        self,
        dataset: TiffDataset,
        *,
        shuffle: int = 256,
        shard: tuple[int, int] = (0, 1),
        by_inode: bool = True,
    ) -> None:
        if shuffle < 1:
            raise ValueError(f"shuffle must be at least 1, found {shuffle}")
        if not 0 <= shard[0] < shard[1]:
            raise ValueError(f"shard must be (index, count) with 0 <= index < count: {shard}")
        self.dataset, self.shuffle, self.shard = dataset, shuffle, shard
        self._epoch = SharedEpoch(dataset.epoch)
        self.order = np.argsort(dataset.inodes(), kind="stable") if by_inode else None

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration of this process."""
        return self._epoch.current

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration, here and in the workers of every DataLoader.

        Raises
        ------
        TypeError, ValueError
            It is not a whole number from 0 to 2**63 - 1.
        """
        self._epoch.set(epoch)

    def __len__(self) -> int:
        """Number of images of this process, with all its workers."""
        return len(self._find_range(*self.shard))

    def __iter__(self) -> Iterator[Any]:
        """The images of this process, or of this worker of a DataLoader.

        Raises
        ------
        LoadError
            As ``TiffDataset`` does.
        """
        worker, workers = _find_worker()
        index, count = self.shard
        epoch = self._epoch.start_iteration()
        return self._iterate_epoch(epoch, index * workers + worker, count * workers)

    def _iterate_epoch(self, epoch: int, part: int, parts: int) -> Iterator[Any]:
        rng = _make_rng(self.dataset.seed, epoch, part)
        waiting: list[Any] = []
        for index in self.reading_order(epoch, part, parts):
            waiting.append(self.dataset.load(index, epoch))
            if len(waiting) >= self.shuffle:
                yield _pop_random(waiting, rng)
        while waiting:
            yield _pop_random(waiting, rng)

    def reading_order(self, epoch: int, part: int = 0, parts: int = 1) -> list[int]:
        """Indices of the images of a part, in the order in which an epoch reads them."""
        positions = self._find_range(part, parts)
        order = list(positions) if self.order is None else self.order[positions].tolist()
        if self.shuffle == 1 or not order:
            return order
        start = int(_make_rng(self.dataset.seed, epoch, part, 1).integers(len(order)))
        return order[start:] + order[:start]

    def _find_range(self, part: int, parts: int) -> range:
        n = len(self.dataset)
        return range(n * part // parts, n * (part + 1) // parts)


def _make_rng(*seeds: int) -> np.random.Generator:
    return np.random.default_rng(seeds)


def _pop_random(waiting: list[Any], rng: np.random.Generator) -> Any:  # noqa: ANN401
    """Remove a random item from the list and return it."""
    index = int(rng.integers(len(waiting)))
    waiting[index], waiting[-1] = waiting[-1], waiting[index]
    return waiting.pop()


def _find_worker() -> tuple[int, int]:
    """Index of this worker of a DataLoader, and how many there are."""
    torch = sys.modules.get("torch")
    info = torch.utils.data.get_worker_info() if torch is not None else None
    return (0, 1) if info is None else (info.id, info.num_workers)


def _check_frame_choice(frames: FrameChoice | Sequence[int]) -> str | list[int]:
    if isinstance(frames, str):
        if frames not in FRAME_CHOICES:
            raise ValueError(
                f"frames must be one of {', '.join(FRAME_CHOICES)} or a list: {frames!r}"
            )
        return frames
    return check_frame_numbers(frames) or []


def _parse_dtype(dtype: DTypeLike | None) -> np.dtype[Any] | None:
    if dtype is None:
        return None
    if np.dtype(dtype).name not in IMAGE_DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(IMAGE_DTYPES)} or None: {dtype!r}")
    return np.dtype(dtype)


def _read_geometry(row: Row) -> Geometry | None:
    """The geometry of a row, None where the row has none of its columns."""
    if all(row.get(name) is None for name in GEOMETRY_COLUMNS):
        return None
    return geometry_of_row(row)


def _read_rows(source: Path, root: Path | None) -> tuple[Path, list[Row]]:
    """The folder of the images, and their rows."""
    if source.is_dir():
        manifest = find_manifest(source)
        if manifest is None:
            return source, _read_rows_of_tree(source)
        source = manifest
    if source.suffix.lower() not in TABLE_SUFFIXES or not source.is_file():
        raise SourceError(f"{source} is neither a folder nor a manifest (.csv or .parquet)")
    rows: list[Row] = as_records(read_manifest(source))
    first = rows[0]["path"] if rows else ""
    return root or root_of_manifest(source, first), rows


def _read_rows_of_tree(root: Path) -> list[Row]:
    names = list(COLUMN_TYPES)
    rows, problems = [], []
    for path in find_tiffs(root):
        try:
            row = row_of_tiff(path, root)
        except OutputError as error:
            problems.append(str(error))
            continue
        rows.append({name: getattr(row, name) for name in names})
    if problems and not rows:
        raise SourceError(problems[0])
    if problems:
        text = f"{len(problems)} of {len(problems) + len(rows)} TIFFs cannot be read: left out. "
        warnings.warn(text + "; ".join(problems[:MAX_NAMED]), stacklevel=4)
    return rows
