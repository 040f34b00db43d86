"""Lazy frames: each is made when it is asked for, so that no complete volume is in memory.

An operation on frames is a function of one frame. On frames in memory it runs at once. On lazy
frames it runs when the last operation, usually writing, asks for a frame.
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

from dicom_preprocessing.files import close_read_file, read_at, write_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

MAX_FRAMES_IN_MEMORY = 2
"""Frames that spool_frames keeps in memory; more are kept in a temporary file."""

THREADS: ContextVar[int] = ContextVar("threads", default=1)
"""Threads for frames, and for the codec of a frame where there are more of them than frames."""


@contextmanager
def frame_threads(count: int) -> Iterator[None]:
    """Let ``count`` threads make frames, or a frame."""
    before = THREADS.set(count)
    try:
        yield
    finally:
        THREADS.reset(before)


@dataclass(frozen=True, slots=True, eq=False)
class LazyFrames:
    """Frames by a function of their index.

    Parameters
    ----------
    shape : (n_frames, rows, columns, samples)
    dtype : dtype
    make : callable
        From a frame index to (rows, columns, samples); threads may call it at once.
    is_cheap : bool
        Whether making a frame again costs no more than keeping it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    make: Callable[[int], NDArray[Any]] = field(repr=False)
    is_cheap: bool = False

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> NDArray[Any]:
        if not 0 <= index < self.shape[0]:
            index = range(self.shape[0])[index]  # from the end, or an IndexError
        return self.make(index)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return map_in_order(self, lambda _, frame: frame)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401
        """Return all frames in memory."""
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
    """Yield ``function`` of index and frame, for each frame in order; threads work at once.

    Threads beyond the number of frames are shared among the frames.
    """
    threads = min(THREADS.get(), len(frames))
    if threads == 1:
        for i in range(len(frames)):
            yield function(i, frames[i])
        return

    threads_a_frame = THREADS.get() // threads

    def work(index: int) -> T:
        # A thread begins without the context of the one that started it.
        with frame_threads(threads_a_frame):
            return function(index, frames[index])

    # No more at once than there are threads: finished frames that wait would fill the memory.
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
    """Apply ``function`` to each frame.

    Parameters
    ----------
    frames : Frames
    function : callable
        From (rows, columns, samples) to (rows, columns, samples).
    shape, dtype
        Of its results, if they differ from those of ``frames``.
    is_cheap : bool
        Whether calling it again costs no more than keeping its result.
    """
    like = (len(frames), *(shape or frames.shape[1:])), dtype or frames.dtype
    return _map_or_defer(frames, *like, lambda i: function(frames[i]), is_cheap=is_cheap)


def map_indexed(
    frames: Frames,
    function: Callable[[int, NDArray[Any]], NDArray[Any]],
    *,
    shape: tuple[int, int, int] | None = None,
    dtype: Any = None,  # noqa: ANN401
    is_cheap: bool = False,
) -> Frames:
    """Apply ``function`` to index and frame; else as ``map_frames``."""
    like = (len(frames), *(shape or frames.shape[1:])), dtype or frames.dtype
    return _map_or_defer(frames, *like, lambda i: function(i, frames[i]), is_cheap=is_cheap)


def select_frames(frames: Frames, indices: Sequence[int]) -> Frames:
    """Return the frames of these indices, in their order."""
    if not isinstance(frames, LazyFrames):
        selected: NDArray[Any] = frames[np.array(indices)]
        return selected
    shape = (len(indices), *frames.shape[1:])
    return _map_or_defer(frames, shape, frames.dtype, lambda i: frames[indices[i]], is_cheap=True)


def combine_frames(frames: Frames, count: int, make: Callable[[int], NDArray[Any]]) -> Frames:
    """Return ``count`` frames of the same shape and dtype, each made from some of ``frames``."""
    return _map_or_defer(frames, (count, *frames.shape[1:]), frames.dtype, make, is_cheap=False)


def _map_or_defer(
    frames: Frames,
    shape: tuple[int, ...],
    dtype: Any,  # noqa: ANN401
    make: Callable[[int], NDArray[Any]],
    *,
    is_cheap: bool,
) -> Frames:
    """Return frames made from others: in memory if those are, else lazy."""
    if not isinstance(frames, LazyFrames):
        return np.asarray(LazyFrames(shape, np.dtype(dtype), make))
    return LazyFrames(shape, np.dtype(dtype), make, is_cheap and frames.is_cheap)


def spool_frames(frames: Frames) -> Frames:
    """Return frames that are made once, however often they are asked for.

    More than MAX_FRAMES_IN_MEMORY are kept in a temporary file ($TMPDIR), as long as it has room;
    those that do not fit are made again.
    """
    is_few = len(frames) <= MAX_FRAMES_IN_MEMORY
    if not isinstance(frames, LazyFrames) or (frames.is_cheap and not is_few):
        return frames
    store = _Memory() if is_few else _Spool(frames)

    def recall(index: int) -> NDArray[Any]:
        frame = store.get(index)
        if frame is None:
            frame = frames[index]
            store.put(index, frame)
        return frame

    return LazyFrames(frames.shape, frames.dtype, recall, is_cheap=True)


class _Memory:
    """A few frames in memory."""

    def __init__(self) -> None:
        self.frames: dict[int, NDArray[Any]] = {}

    def get(self, index: int) -> NDArray[Any] | None:
        return self.frames.get(index)

    def put(self, index: int, frame: NDArray[Any]) -> None:
        self.frames[index] = frame


class _Spool:
    """Frames in a temporary file without a name; threads may use it at once.

    The checksum of a frame is compared when it is read back: after one thread has given up the file
    because the disk is full, the write of another one leaves zeros in place of frames. A frame with
    another checksum counts as absent. The lock is not held while reading and writing, so that
    threads do not wait for each other.
    """

    def __init__(self, frames: LazyFrames) -> None:
        self.shape, self.dtype = frames.shape[1:], frames.dtype
        self.frame_bytes = frames.nbytes // len(frames)
        self.lock = threading.Lock()
        self.checksums: dict[int, int] = {}
        self.has_room = True
        try:
            self.descriptor = _open_unnamed_file()
        except OSError:
            self.has_room = False
        else:
            weakref.finalize(self, close_read_file, self.descriptor)

    def get(self, index: int) -> NDArray[Any] | None:
        with self.lock:
            checksum = self.checksums.get(index)
        if checksum is None:
            return None
        try:
            content = read_at(self.descriptor, index * self.frame_bytes, self.frame_bytes)
        except OSError:
            return None
        if len(content) != self.frame_bytes or _checksum(content) != checksum:
            return None
        return np.frombuffer(content, self.dtype).reshape(self.shape)

    def put(self, index: int, frame: NDArray[Any]) -> None:
        if not self.has_room:
            return
        content = np.ascontiguousarray(frame).reshape(-1).view(np.uint8).data
        checksum = _checksum(content)
        try:
            write_at(self.descriptor, index * self.frame_bytes, content)
        except OSError:
            self.has_room = False
        with self.lock:
            if self.has_room:
                self.checksums[index] = checksum
            else:
                self.stop_writing()

    def stop_writing(self) -> None:
        """Forget all frames and free the disk; every thread that was writing calls this too."""
        self.checksums.clear()
        with suppress(OSError):
            os.ftruncate(self.descriptor, 0)


def _checksum(content: Any) -> int:  # noqa: ANN401  # any buffer
    """Return the CRC-32, in a tenth of the time that the standard library takes."""
    import imagecodecs  # noqa: PLC0415  # slow to import

    return int(imagecodecs.deflate_crc32(content))


def _open_unnamed_file() -> int:
    with tempfile.TemporaryFile(prefix="dicom-preprocessing-") as file:
        return os.dup(file.fileno())
