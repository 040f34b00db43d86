"""Turn DICOM files or buffers into arrays: the work of the functions of ``api.preprocess``."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from dicom_preprocessing.api.metadata import PreprocessingMetadata, metadata_of
from dicom_preprocessing.api.preprocessor import Preprocessor
from dicom_preprocessing.api.stack import decode_stack
from dicom_preprocessing.decode.stage import decode_opened
from dicom_preprocessing.dicom.reading import ImageFile, open_image
from dicom_preprocessing.dicom.sources import FileSource, PathSource
from dicom_preprocessing.errors import (
    DamagedError,
    DicomPreprocessingError,
    FileError,
    InternalError,
    PreprocessingError,
    UnreadableError,
    explain_exception,
)
from dicom_preprocessing.imaging.conversion import convert
from dicom_preprocessing.imaging.frames import frame_threads
from dicom_preprocessing.processes import usable_cores
from dicom_preprocessing.processing.instance import run_stages
from dicom_preprocessing.processing.timing import StageTimer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from _typeshed import ReadableBuffer
    from numpy.typing import NDArray

    from dicom_preprocessing.imaging.image import Image

    Files = Mapping[str, ImageFile]
    AnyPath = str | os.PathLike[str]

T = TypeVar("T", bound=np.generic)


def preprocess_path(
    path: AnyPath, preprocessor: Preprocessor | None, parallel: bool, dtype: type[T]
) -> tuple[NDArray[T], PreprocessingMetadata]:
    """One file as one array."""
    return _preprocess_one({os.fspath(path): open_path(path)}, preprocessor, parallel, dtype)


def preprocess_buffer(
    buffer: ReadableBuffer, preprocessor: Preprocessor | None, parallel: bool, dtype: type[T]
) -> tuple[NDArray[T], PreprocessingMetadata]:
    """One buffer as one array."""
    with _open_buffers([buffer]) as files:
        return _preprocess_one(files, preprocessor, parallel, dtype)


def preprocess_paths(
    paths: Sequence[AnyPath], preprocessor: Preprocessor | None, parallel: bool, dtype: type[T]
) -> tuple[list[NDArray[T]], PreprocessingMetadata]:
    """Files as the slices of one volume."""
    if isinstance(paths, str | bytes | os.PathLike):
        raise TypeError("a sequence of paths is needed, not one path")
    files = {}
    for number, path in enumerate(paths):
        description, pixel_data = open_path(path)
        if pixel_data is not None and isinstance(pixel_data.source, FileSource):
            pixel_data = replace(pixel_data, source=PathSource(path, pixel_data.source.size))
        files[f"slice {number}, {os.fspath(path)}"] = ImageFile(description, pixel_data)
    return _preprocess_slices(files, preprocessor, parallel, dtype)


def preprocess_buffers(
    buffers: Sequence[ReadableBuffer],
    preprocessor: Preprocessor | None,
    parallel: bool,
    dtype: type[T],
) -> tuple[list[NDArray[T]], PreprocessingMetadata]:
    """Buffers as the slices of one volume."""
    if isinstance(buffers, bytes | bytearray | memoryview):
        raise TypeError("a sequence of buffers is needed, not one buffer")
    with _open_buffers(buffers) as files:
        return _preprocess_slices(files, preprocessor, parallel, dtype)


def open_path(path: AnyPath) -> ImageFile:
    """Open a file; its errors become those of the API."""
    name = os.fspath(path)
    try:
        return _open_image(path)
    except FileError as error:
        if isinstance(error, UnreadableError) and isinstance(error.__cause__, FileNotFoundError):
            raise FileNotFoundError(f"File not found: {name}") from error
        message = f"Failed to open DICOM file: {name}: {error}"
        raise PreprocessingError(message, error=error.error) from error


def _open_image(source: AnyPath | memoryview) -> ImageFile:
    """Open a file or buffer; what no code foresaw becomes an error of the file, too."""
    try:
        return open_image(source)
    except (DicomPreprocessingError, MemoryError, OSError):
        raise
    except Exception as error:
        raise explain_exception(error, DamagedError) from error


@contextmanager
def _open_buffers(buffers: Sequence[ReadableBuffer]) -> Iterator[Files]:
    """Open buffers, by name for messages; they are released at the end."""
    with ExitStack() as views:
        files = {}
        for number, buffer in enumerate(buffers):
            view = views.enter_context(memoryview(buffer))
            if not view.c_contiguous:
                raise ValueError("Buffer must be C-contiguous")
            flat = view.cast("B") if view.nbytes else memoryview(b"")
            name = f"buffer {number}"
            try:
                files[name] = _open_image(views.enter_context(flat))
            except FileError as error:
                message = f"Failed to create DICOM object: {name}: {error}"
                raise PreprocessingError(message, error=error.error) from error
        yield files


def _preprocess_one(
    files: Mapping[str, ImageFile],
    preprocessor: Preprocessor | None,
    parallel: bool,
    dtype: type[T],
) -> tuple[NDArray[T], PreprocessingMetadata]:
    """All frames of the one file as (frames, height, width, channels)."""
    used = preprocessor or Preprocessor()
    ((name, opened),) = files.items()
    with translate_api_errors(f"{name}: ", parallel):
        timer = StageTimer({})
        with timer.measure("decode"):
            image = decode_opened(*opened, **used.recipe.settings["decode"])
        image = finish_image(image, used, timer)
        frames = np.ascontiguousarray(image.frames)
        return convert(frames, dtype), metadata_of(image, used.config)


def _preprocess_slices(
    files: Mapping[str, ImageFile],
    preprocessor: Preprocessor | None,
    parallel: bool,
    dtype: type[T],
) -> tuple[list[NDArray[T]], PreprocessingMetadata]:
    """The frames of the volume of several files, each as (1, height, width, channels)."""
    if not files:
        raise PreprocessingError("Cannot process empty list of DICOMs")
    used = preprocessor or Preprocessor()
    with translate_api_errors("", parallel):
        timer = StageTimer({})
        with timer.measure("decode"):
            image = decode_stack(files, used.recipe.settings["decode"])
        image = finish_image(image, used, timer)
        slices = [convert(np.array(frame)[np.newaxis], dtype) for frame in image.frames]
        return slices, metadata_of(image, used.config)


def finish_image(image: Image, preprocessor: Preprocessor, timer: StageTimer) -> Image:
    """The image after the last step, with display values."""
    watched = timer.time_frames(image, "decode")
    return run_stages(watched, preprocessor.recipe, "decode", timer).to_display_values()


@contextmanager
def translate_api_errors(name: str, parallel: bool) -> Iterator[None]:
    """Use as many threads as there are cores, or one; errors of files become the API's."""
    failure: FileError
    try:
        with frame_threads(usable_cores() if parallel else 1):
            yield
    except FileError as error:
        failure = error
    except (DicomPreprocessingError, MemoryError, OSError):
        raise
    except Exception as error:  # noqa: BLE001  # outside of the stages, where StageTimer does this
        failure = InternalError.from_exception(error)
        failure.__cause__ = error
    else:
        return
    message = f"Failed to prepare image: {name}{failure}"
    raise PreprocessingError(message, error=failure.error) from failure
