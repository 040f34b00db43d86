"""Load frames of TIFFs as arrays, for training: only the pages that are asked for are read."""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom_preprocessing.errors import LoadError, MissingTiffError, OutputError
from dicom_preprocessing.imaging.conversion import convert
from dicom_preprocessing.text import explain_error
from dicom_preprocessing.tiff.numbers import Photometric
from dicom_preprocessing.tiff.reader import TiffPages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

    from dicom_preprocessing.tiff.directories import PageFormat

    Path = os.PathLike[str] | str

GREY_OR_RGB = (1, 3)


def get_frame_count(path: Path) -> int:
    """Number of frames of a TIFF, without reading one.

    Raises
    ------
    FileNotFoundError
    RuntimeError
        "Failed to create decoder: ...": it is not a TIFF. "Failed to decode TIFF: ...": the chain
        of its pages is damaged.
    """
    return count_frames(open_pages(path))


def load_tiff_u8(path: Path, frames: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """Load frames of a TIFF as uint8; uint16 becomes (v * 255 + 32767) // 65535.

    Parameters
    ----------
    path : path
        A TIFF of this project or of another program.
    frames : sequence of int, optional
        Frames in the order in which they are wanted, also repeated; all if None. Others are not
        read.

    Returns
    -------
    (n_frames, rows, columns, samples)
        C order and writable; samples is 1 (grey, low is dark) or 3 (RGB).

    Raises
    ------
    FileNotFoundError
    RuntimeError
        "Failed to create decoder: ...": it is not a TIFF. "Failed to decode TIFF: ...": it is
        damaged, its frames differ in size, or its values have no full range to convert.
    ValueError
        "Frame list cannot be empty", or "Frame index K is out of bounds for TIFF with N frames".
    OverflowError
        A frame is negative.
    """
    return load_frames(open_pages(path), frames, np.uint8)


def load_tiff_u16(path: Path, frames: Sequence[int] | None = None) -> NDArray[np.uint16]:
    """Load frames of a TIFF as uint16; uint8 becomes v * 257. See ``load_tiff_u8``."""
    return load_frames(open_pages(path), frames, np.uint16)


def load_tiff_f32(path: Path, frames: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Load frames of a TIFF as float32, v / 255 or v / 65535. See ``load_tiff_u8``."""
    return load_frames(open_pages(path), frames, np.float32)


def load_tiff_f32_batched(
    paths: Iterable[Path], batch_size: int, frames: Sequence[int] | None = None
) -> Iterator[list[NDArray[np.float32]]]:
    """Load TIFFs in lists of ``batch_size``, in order; the last list may be shorter.

    Parameters
    ----------
    paths : iterable of paths
    batch_size : int
    frames : sequence of int, optional
        Of each TIFF, as for ``load_tiff_f32``.

    Returns
    -------
    iterator over lists of (n_frames, rows, columns, samples) float32
        Nothing is read before its turn.

    Raises
    ------
    ValueError
        At the call: ``batch_size`` is 0, or "Frame list cannot be empty". At its turn: a frame is
        out of bounds.
    OverflowError
        At the call: a frame or ``batch_size`` is negative.
    RuntimeError
        At its turn: a file cannot be loaded; a missing one is a FileNotFoundError as well.
    """
    size = operator.index(batch_size)
    if size < 0:
        raise OverflowError(f"batch_size cannot be negative: {size}")
    if size == 0:
        raise ValueError("batch_size must be at least 1")
    return _load_batches(list(paths), size, check_frame_numbers(frames))


def _load_batches(
    paths: Sequence[Path], size: int, frames: Sequence[int] | None
) -> Iterator[list[NDArray[np.float32]]]:
    for start in range(0, len(paths), size):
        yield [load_tiff_f32(path, frames) for path in paths[start : start + size]]


def check_frame_numbers(frames: Sequence[int] | None) -> list[int] | None:
    """Validate a choice of frames.

    Raises
    ------
    ValueError
        The list is empty.
    OverflowError
        A frame is negative.
    """
    if frames is None:
        return None
    numbers = [operator.index(number) for number in frames]
    if not numbers:
        raise ValueError("Frame list cannot be empty")
    if min(numbers) < 0:
        raise OverflowError(f"frame index cannot be negative: {min(numbers)}")
    return numbers


def open_pages(path: Path) -> TiffPages:
    """Open a TIFF.

    Raises
    ------
    FileNotFoundError
    LoadError
        It is not a TIFF, or cannot be opened.
    """
    try:
        return TiffPages(path)
    except FileNotFoundError:
        raise MissingTiffError(f"File not found: {os.fspath(path)}") from None
    except (OSError, OutputError) as error:
        raise LoadError(f"Failed to create decoder: {explain_error(error)}") from error


def count_frames(pages: TiffPages) -> int:
    """Number of pages.

    Raises
    ------
    LoadError
    """
    try:
        return len(pages)
    except (OSError, OutputError) as error:
        raise _make_decode_error(error) from error


def load_frames(
    pages: TiffPages, frames: Sequence[int] | None, dtype: DTypeLike | None
) -> NDArray[Any]:
    """Load frames of an open TIFF as ``load_tiff_u8`` does; in their own dtype if it is None."""
    numbers = check_frame_numbers(frames)
    try:
        if numbers is None:
            numbers = [number for number, _ in enumerate(pages)]  # with a check of all
        kind = _find_common_format(pages, numbers)
        wanted = kind.dtype if dtype is None else np.dtype(dtype)
        if len(numbers) == 1:
            return _load_one(pages, numbers[0], wanted)
        return _load_several(pages, numbers, kind, wanted)
    except IndexError:
        assert numbers is not None
        count = count_frames(pages)
        raise ValueError(
            f"Frame index {max(numbers)} is out of bounds for TIFF with {count} frames"
        ) from None
    except (OSError, OutputError, TypeError) as error:
        raise _make_decode_error(error) from error


def _make_decode_error(error: Exception) -> LoadError:
    return LoadError(f"Failed to decode TIFF: {explain_error(error)}")


def _find_common_format(pages: TiffPages, numbers: Sequence[int]) -> PageFormat:
    """Shape and dtype of the frames, after checking that all exist and are grey or RGB."""
    pages[max(numbers)]  # an IndexError before anything is decoded
    distinct = sorted(set(numbers))
    if any(pages[number].dtype is None for number in distinct):
        raise OutputError(f"{pages.path}: samples are not whole bytes of one kind")
    kinds = {pages.page_format(number) for number in distinct}
    if len(kinds) != 1:
        shown = sorted((kind.shape, str(kind.dtype)) for kind in kinds)
        raise OutputError(f"{pages.path}: the frames differ: {shown}")
    (kind,) = kinds
    if kind.samples not in GREY_OR_RGB:
        raise OutputError(f"{pages.path}: {kind.samples} samples; expected 1 (grey) or 3 (RGB)")
    if any(pages[number].photometric == Photometric.PALETTE for number in distinct):
        raise OutputError(f"{pages.path}: a palette; expected grey or RGB")
    return kind


def _load_one(pages: TiffPages, number: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """One frame, copied only where necessary."""
    is_inverted = pages[number].photometric == Photometric.WHITE_IS_ZERO
    mapped = None if is_inverted else pages.memory_map(number)
    frame = _read_frame(pages, number) if mapped is None else mapped
    return convert(frame, dtype)[np.newaxis]


def _load_several(
    pages: TiffPages, numbers: Sequence[int], kind: PageFormat, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Frames decoded in the order of the file, each to its position in one array."""
    out = np.empty((len(numbers), *kind.shape), dtype)
    scratch = None if dtype == kind.dtype else np.empty(kind.shape, kind.dtype)
    previous: tuple[int, int] = (-1, -1)
    for number, position in sorted((number, i) for i, number in enumerate(numbers)):
        if number == previous[0]:
            out[position] = out[previous[1]]
        elif scratch is None:
            _read_frame(pages, number, out[position])
        else:
            convert(_read_frame(pages, number, scratch), dtype, out=out[position])
        previous = number, position
    return out


def _read_frame(pages: TiffPages, number: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Read a page so that low values are dark."""
    frame = pages.read(number, out)
    if pages[number].photometric == Photometric.WHITE_IS_ZERO:
        if frame.dtype.kind != "u":
            raise OutputError(f"{pages.path}: white is zero in {frame.dtype}")
        np.invert(frame, out=frame)
    return frame
