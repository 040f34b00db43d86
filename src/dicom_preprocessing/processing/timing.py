"""Time and errors by stage, where a frame is made only when the stage behind asks for it."""

from __future__ import annotations

import threading
import time
import traceback
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.errors import DecodeError, FileError, LimitMemoryError
from dicom_preprocessing.imaging.frames import LazyFrames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dicom_preprocessing.imaging.image import Image


class StageTimer:
    """Which stage is at work, and how long each was.

    Stages make frames when the stage behind asks for them: time and errors are those of the
    innermost stage, whoever asked.

    Parameters
    ----------
    seconds : dict
        Time by stage, which is added to.
    """

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.within = threading.local()
        self.lock = threading.Lock()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Do some of the work of a stage."""
        start, outer = time.perf_counter(), getattr(self.within, "seconds", 0.0)
        self.within.seconds = 0.0
        try:
            yield
        except FileError as error:
            error.stage = error.stage or stage
            raise
        except MemoryError as error:
            raise LimitMemoryError("not enough memory", stage=stage) from error
        except Exception as error:
            if stage != "decode":
                raise
            traceback.print_exc()  # a file that no test has shown yet must not cost its study
            raise DecodeError(f"{type(error).__name__}: {error}", stage=stage) from error
        finally:
            spent = time.perf_counter() - start
            with self.lock:
                own = self.seconds.get(stage, 0.0) + spent - self.within.seconds
                self.seconds[stage] = round(own, 6)
            self.within.seconds = outer + spent

    def time_frames(self, image: Image, stage: str) -> Image:
        """The image with frames that are the work of a stage."""
        frames = image.frames
        if not isinstance(frames, LazyFrames):
            return image

        def frame(number: int) -> NDArray[Any]:
            with self.measure(stage):
                return frames[number]

        return replace(image, frames=replace(frames, make=frame))
