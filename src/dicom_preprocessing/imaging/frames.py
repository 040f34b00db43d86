"""Frames that are made when they are asked for, so that no whole volume is in memory.

A step over frames is a function of one frame. Frames in memory stay in memory: then the step is
done at once. Others are made one by one, by each step before, when the last one asks for them.
"""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dicom_preprocessing.files import read_at, write_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

MAX_FRAMES_IN_MEMORY = 2
"""Frames that are kept in memory; more are kept in a temporary file."""

THREADS: ContextVar[int] = ContextVar("threads", default=1)


@contextmanager
def frame_threads(count: int) -> Iterator[None]:
    """Let frames be made by ``count`` threads."""
    before = THREADS.set(count)
    try:
        yield
    finally:
        THREADS.reset(before)


@dataclass(frozen=True, slots=True, eq=False)
class LazyFrames:
    """Frames by a function of their number.

    Parameters
    ----------
    shape : (n_frames, rows, columns, samples)
    dtype : dtype
    make : callable
        Gives frame i, (rows, columns, samples); called by several threads.
    is_cheap : bool
        Whether making a frame again costs no more than keeping it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    make: Callable[[int], NDArray[Any]] = field(repr=False)
    is_cheap: bool = False

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, number: int) -> NDArray[Any]:
        return self.make(range(len(self))[number])

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return map_in_order(self, lambda _, frame: frame)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401
        """All frames, in memory."""
        out = np.empty(self.shape, dtype or self.dtype)
        for frame, target in zip(self, out, strict=True):
            target[:] = frame
        return out

    @property
    def nbytes(self) -> int:
        """Bytes of all frames."""
        n, rows, columns, samples = self.shape
        return n * rows * columns * samples * self.dtype.itemsize


Frames = NDArray[Any] | LazyFrames
"""(n_frames, rows, columns, samples), in memory or not."""


def map_in_order(frames: Frames, function: Callable[[int, NDArray[Any]], T]) -> Iterator[T]:
    """Yield ``function`` of the number and the frame, for each in order.

    Several are at work at once where there are threads.
    """
    threads = min(THREADS.get(), len(frames))
    if threads == 1:
        for i in range(len(frames)):
            yield function(i, frames[i])
        return

    def work(number: int) -> T:
        return function(number, frames[number])

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for i in range(len(frames)):
                waiting.append(pool.submit(work, i))
                if len(waiting) >= threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def map_frames(
    frames: Frames,
    function: Callable[[NDArray[Any]], NDArray[Any]],
    *,
    shape: tuple[int, int, int] | None = None,
    dtype: Any = None,  # noqa: ANN401  # what numpy takes
    is_cheap: bool = False,
) -> Frames:
    """``function`` of each frame.

    Parameters
    ----------
    frames : Frames
    function : callable
        From (rows, columns, samples) to the like.
    shape, dtype
        Of its results, where they are other ones.
    is_cheap : bool
        Whether calling it again costs no more than keeping its result.
    """
    return map_indexed(
        frames, lambda _, frame: function(frame), shape=shape, dtype=dtype, is_cheap=is_cheap
    )


def map_indexed(
    frames: Frames,
    function: Callable[[int, NDArray[Any]], NDArray[Any]],
    *,
    shape: tuple[int, int, int] | None = None,
    dtype: Any = None,  # noqa: ANN401
    is_cheap: bool = False,
) -> Frames:
    """``map_frames``, by a function that is given the frame's number too."""
    like = (len(frames), *(shape or frames.shape[1:])), dtype or frames.dtype
    return _map_or_defer(frames, *like, lambda i: function(i, frames[i]), is_cheap=is_cheap)


def select_frames(frames: Frames, numbers: Sequence[int]) -> Frames:
    """The frames of these numbers, in their order."""
    if not isinstance(frames, LazyFrames):
        chosen: NDArray[Any] = frames[np.array(numbers)]
        return chosen
    shape = (len(numbers), *frames.shape[1:])
    return _map_or_defer(frames, shape, frames.dtype, lambda i: frames[numbers[i]], is_cheap=True)


def combine_frames(frames: Frames, count: int, make: Callable[[int], NDArray[Any]]) -> Frames:
    """``count`` frames like ``frames``, each made of some of them."""
    return _map_or_defer(frames, (count, *frames.shape[1:]), frames.dtype, make, is_cheap=False)


def _map_or_defer(
    frames: Frames,
    shape: tuple[int, ...],
    dtype: Any,  # noqa: ANN401
    make: Callable[[int], NDArray[Any]],
    *,
    is_cheap: bool,
) -> Frames:
    """Frames made of others: in memory if those are."""
    if not isinstance(frames, LazyFrames):
        return np.asarray(LazyFrames(shape, np.dtype(dtype), make))
    return LazyFrames(shape, np.dtype(dtype), make, is_cheap and frames.is_cheap)


def spool_frames(frames: Frames) -> Frames:
    """Frames that are made once although they are asked for again.

    More than a few are kept in a temporary file ($TMPDIR); without room there, they are made again.
    """
    is_few = len(frames) <= MAX_FRAMES_IN_MEMORY
    if not isinstance(frames, LazyFrames) or (frames.is_cheap and not is_few):
        return frames
    store = _Memory() if is_few else _Spool(frames)

    def recall(number: int) -> NDArray[Any]:
        frame = store.get(number)
        if frame is None:
            frame = frames[number]
            store.put(number, frame)
        return frame

    return LazyFrames(frames.shape, frames.dtype, recall, is_cheap=True)


class _Memory:
    """A few frames in memory."""

    def __init__(self) -> None:
        self.frames: dict[int, NDArray[Any]] = {}

    def get(self, number: int) -> NDArray[Any] | None:
        return self.frames.get(number)

    def put(self, number: int, frame: NDArray[Any]) -> None:
        self.frames[number] = frame


class _Spool:
    """Frames in a temporary file without a name; threads may use it at once.

    A frame that is read back is looked at: after a thread has given up the file, because the disk
    is full, another one's write leaves zeros where frames were. What is not as it was put is not
    there. The lock is not held while reading and writing, so that threads do not wait.
    """

    def __init__(self, frames: LazyFrames) -> None:
        self.shape, self.dtype = frames.shape[1:], frames.dtype
        self.frame_bytes = frames.nbytes // len(frames)
        self.lock = threading.Lock()
        self.checksums: dict[int, int] = {}
        self.has_room = True
        try:
            self.descriptor = _unnamed_file()
        except OSError:
            self.has_room = False
        else:
            weakref.finalize(self, os.close, self.descriptor)

    def get(self, number: int) -> NDArray[Any] | None:
        with self.lock:
            checksum = self.checksums.get(number)
        if checksum is None:
            return None
        try:
            content = read_at(self.descriptor, number * self.frame_bytes, self.frame_bytes)
        except OSError:
            return None
        if len(content) != self.frame_bytes or _checksum(content) != checksum:
            return None
        return np.frombuffer(content, self.dtype).reshape(self.shape)

    def put(self, number: int, frame: NDArray[Any]) -> None:
        if not self.has_room:
            return
        content = np.ascontiguousarray(frame).reshape(-1).view(np.uint8).data
        checksum = _checksum(content)
        try:
            write_at(self.descriptor, number * self.frame_bytes, content)
        except OSError:
            self.has_room = False
        with self.lock:
            if self.has_room:
                self.checksums[number] = checksum
            else:
                self.stop_writing()

    def stop_writing(self) -> None:
        """Leave the disk to others; each thread that was still writing does it once more."""
        self.checksums.clear()
        with suppress(OSError):
            os.ftruncate(self.descriptor, 0)


def _checksum(content: Any) -> int:  # noqa: ANN401  # any buffer
    """CRC-32, in a tenth of the time that the standard library takes."""
    import imagecodecs  # noqa: PLC0415  # slow to import

    return int(imagecodecs.deflate_crc32(content))


def _unnamed_file() -> int:
    with tempfile.TemporaryFile(prefix="dicom-preprocessing-") as file:
        return os.dup(file.fileno())
