"""Time and errors by stage, although a frame is made only when a later stage asks for it."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.errors import (
    DecodeError,
    DicomPreprocessingError,
    FileError,
    InternalError,
    LimitMemoryError,
    explain_exception,
    print_traceback,
)
from dicom_preprocessing.imaging.frames import LazyFrames

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from numpy.typing import NDArray

    from dicom_preprocessing.imaging.image import Image


class StageTimer:
    """Counts time and errors for the stage that makes a frame, whichever stage asked for it.

    Parameters
    ----------
    seconds : dict
        Seconds by stage, to which the time is added.
    """

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        # Each thread of frame_threads has its own nesting of stages.
        self.inner = threading.local()
        self.lock = threading.Lock()

    def measure(self, stage: str) -> Measurement:
        """Count the block of a ``with`` as work of a stage.

        Raises
        ------
        FileError
            By the block, with the innermost stage; in place of a MemoryError, and of any exception
            that no code foresaw.
        OSError
            The output cannot be written.
        """
        return Measurement(self, stage)

    def time_frames(self, image: Image, stage: str) -> Image:
        """Return the image with frames whose making counts as work of a stage."""

        def make_frame(frames: LazyFrames, index: int) -> NDArray[Any]:
            with self.measure(stage):
                return frames[index]

        return surround_frames(image, make_frame)


class Measurement:
    """A block that is work of a stage; see ``StageTimer.measure``.

    A class, since a generator takes longer, and each image has nine.
    """

    __slots__ = ("outer", "stage", "start", "timer")

    def __init__(self, timer: StageTimer, stage: str) -> None:
        self.timer, self.stage = timer, stage

    def __enter__(self) -> None:
        inner = self.timer.inner
        self.start, self.outer = time.perf_counter(), getattr(inner, "seconds", 0.0)
        inner.seconds = 0.0  # what stages within this block take

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        timer = self.timer
        spent = time.perf_counter() - self.start
        with timer.lock:
            own = timer.seconds.get(self.stage, 0.0) + spent - timer.inner.seconds
            timer.seconds[self.stage] = round(own, 6)
        timer.inner.seconds = self.outer + spent
        if isinstance(error, Exception):
            _raise_foreseen(error, self.stage)


def _raise_foreseen(error: Exception, stage: str) -> None:
    """Give an error its stage; of one that no code foresaw, raise another one instead."""
    if isinstance(error, FileError):
        error.stage = error.stage or stage
        return
    if isinstance(error, MemoryError):
        raise LimitMemoryError("not enough memory", stage=stage) from error
    # Only decode meets bytes of the source.
    is_decode = stage == "decode"
    if isinstance(error, DicomPreprocessingError) or (isinstance(error, OSError) and not is_decode):
        return
    if is_decode:
        unforeseen = explain_exception(error, DecodeError)
    else:
        unforeseen = InternalError.from_exception(error)
    print_traceback(error)
    unforeseen.stage = stage
    raise unforeseen from error


def surround_frames(image: Image, make_frame: Callable[[LazyFrames, int], NDArray[Any]]) -> Image:
    """Return the image with lazy frames that are each made by a function of those it has."""
    frames = image.frames
    if not isinstance(frames, LazyFrames):
        return image
    make = partial(make_frame, frames)
    return image.with_frames(LazyFrames(frames.shape, frames.dtype, make, frames.is_cheap))
