"""Time and errors by stage, although a frame is made only when a later stage asks for it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
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
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

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

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the block as work of a stage.

        Raises
        ------
        FileError
            By the block, with the innermost stage; in place of a MemoryError, and of any exception
            that no code foresaw.
        OSError
            The output cannot be written.
        """
        start, outer = time.perf_counter(), getattr(self.inner, "seconds", 0.0)
        self.inner.seconds = 0.0  # what stages within this block take
        try:
            yield
        except FileError as error:
            error.stage = error.stage or stage
            raise
        except MemoryError as error:
            raise LimitMemoryError("not enough memory", stage=stage) from error
        except DicomPreprocessingError:
            raise
        except Exception as error:
            # Only decode meets bytes of the source.
            if stage == "decode":
                unforeseen = explain_exception(error, DecodeError)
            elif isinstance(error, OSError):
                raise
            else:
                unforeseen = InternalError.from_exception(error)
            print_traceback(error)
            unforeseen.stage = stage
            raise unforeseen from error
        finally:
            spent = time.perf_counter() - start
            with self.lock:
                own = self.seconds.get(stage, 0.0) + spent - self.inner.seconds
                self.seconds[stage] = round(own, 6)
            self.inner.seconds = outer + spent

    def time_frames(self, image: Image, stage: str) -> Image:
        """Return the image with frames whose making counts as work of a stage."""
        return surround_frames(image, partial(self.measure, stage))


def surround_frames(image: Image, context: Callable[[], AbstractContextManager[None]]) -> Image:
    """Return the image with lazy frames that are each made within a context."""
    frames = image.frames
    if not isinstance(frames, LazyFrames):
        return image

    def make_frame(index: int) -> NDArray[Any]:
        with context():
            return frames[index]

    surrounded = LazyFrames(frames.shape, frames.dtype, make_frame, frames.is_cheap)
    return image.with_frames(surrounded)
