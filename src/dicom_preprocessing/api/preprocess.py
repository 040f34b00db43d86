"""The direct Python API: from DICOM files or buffers to arrays, without a TIFF in between.

The pixels are those of the workflow's TIFFs with the same settings, in the dtype that is asked for.
Functions of one name do the same for uint8, uint16 and float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from dicom_preprocessing.api.arrays import (
    preprocess_buffer,
    preprocess_buffers,
    preprocess_path,
    preprocess_paths,
)
from dicom_preprocessing.api.series import preprocess_series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from _typeshed import ReadableBuffer
    from numpy.typing import NDArray

    from dicom_preprocessing.api.arrays import AnyPath
    from dicom_preprocessing.api.metadata import PreprocessingMetadata
    from dicom_preprocessing.api.preprocessor import Preprocessor

Function = TypeVar("Function", bound="Callable[..., Any]")

PARAMETERS: Final = """\
preprocessor : Preprocessor, optional
    Settings; ``Preprocessor()`` without.
parallel : bool
    Decode and resample frames in as many threads as there are cores; the result is the same.
"""
INPUTS: Final = {
    "path": "path : str or path\n    A DICOM file.\n",
    "buffer": """\
buffer : bytes-like
    The content of a DICOM file: bytes, bytearray, memoryview, mmap, array of uint8. It must not
    change during the call.
""",
    "paths": """\
paths : sequence of str or path
    DICOM files, the frames of one volume in this order; a multi-frame object counts as all its
    frames.
""",
    "buffers": """\
buffers : sequence of bytes-like
    The contents of DICOM files, the frames of one volume in this order; a multi-frame object
    counts as all its frames.
""",
}
SERIES_FILES: Final = """\
paths : sequence of str or path
    DICOM files of one series or several, in any order.
"""
ARRAY: Final = "(frames, height, width, channels), {dtype}{range}"
STACK: Final = """\
stack : mapping of str to str, optional
    Policies by reason, as the key ``stack`` of the configuration, such as ``{"gap": "warn"}``.
"""
LIST_OF_VOLUMES: Final = "list of (frames, height, width, channels), {dtype}{range}"
VOLUMES_NOTE: Final = """\
    One for each volume, by study and series and in the order of their numbers, then one for each
    file that is no slice. Slices that a policy drops are in none.
"""
LIST_OF_SLICES: Final = "list of (1, height, width, channels), {dtype}{range}"
RANGES: Final = {"uint8": "", "uint16": "", "float32": ", 0 to 1"}
SLICES_NOTE: Final = """\
    One for each frame of the output. The volume has one crop box; a volume handler and the z of the
    spacing work along it.
"""
ERRORS: Final = {
    "path": """\
FileNotFoundError
    "File not found".
RuntimeError
    "Failed to open DICOM file": it is not DICOM, or is damaged. "Failed to prepare image": it has
    no pixels, does not decode, or lacks what a setting needs, such as a pixel spacing.
""",
    "buffer": """\
ValueError
    "Buffer must be C-contiguous".
RuntimeError
    "Failed to create DICOM object": the bytes are not DICOM, or are damaged. "Failed to prepare
    image": there are no pixels, they do not decode, or lack what a setting needs.
""",
}
NO_VOLUMES: Final = """\
    "Failed to prepare image" also if a volume cannot be made, such as one with a gap. "Cannot
    process empty list of DICOMs".
ConfigError
    A ValueError: ``stack`` has an unknown reason or policy.
"""
NO_SLICES: Final = """\
    "Failed to prepare image" also if slices differ in size or colour. "Cannot process empty list of
    DICOMs".
"""


def _complete_docstring(function: Function) -> Function:
    """Complete the docstring with what the functions share."""
    source, *_ = function.__annotations__
    name = function.__name__
    dtype = {"u8": "uint8", "u16": "uint16", "f32": "float32"}[
        next(part for part in name.split("_") if part in {"u8", "u16", "f32"})
    ]
    makes_volumes = "_series" in name
    kind, note = ARRAY, "    Channels is 1 (grey) or 3 (red, green, blue).\n"
    errors = ""
    if makes_volumes:
        kind, note, errors = LIST_OF_VOLUMES, VOLUMES_NOTE, NO_VOLUMES
    elif source.endswith("s"):
        kind, note, errors = LIST_OF_SLICES, SLICES_NOTE, NO_SLICES
    returns = f"{kind.format(dtype=dtype, range=RANGES[dtype])}\n{note}"
    if name.endswith("metadata"):
        of = "list of PreprocessingMetadata" if makes_volumes else "PreprocessingMetadata"
        returns += f"{of}\n    What was done.\n"
    files = SERIES_FILES if makes_volumes else INPUTS[source]
    sections = {
        "Parameters": files + PARAMETERS + (STACK if makes_volumes else ""),
        "Returns": returns,
        "Raises": ERRORS[source.removesuffix("s")] + errors,
    }
    parts = [f"{title}\n{'-' * len(title)}\n{text}" for title, text in sections.items()]
    function.__doc__ = "\n\n".join([function.__doc__ or "", "\n".join(parts)])
    return function


@_complete_docstring
def preprocess_u8(
    path: AnyPath,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> NDArray[np.uint8]:
    """Preprocess a DICOM file to uint8."""
    return preprocess_path(path, preprocessor, parallel, np.uint8)[0]


@_complete_docstring
def preprocess_u8_with_metadata(
    path: AnyPath,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[NDArray[np.uint8], PreprocessingMetadata]:
    """Preprocess a DICOM file to uint8, and return what was done."""
    return preprocess_path(path, preprocessor, parallel, np.uint8)


@_complete_docstring
def preprocess_u8_slices(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> list[NDArray[np.uint8]]:
    """Preprocess DICOM files, one volume, to uint8."""
    return preprocess_paths(paths, preprocessor, parallel, np.uint8)[0]


@_complete_docstring
def preprocess_u8_slices_with_metadata(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[list[NDArray[np.uint8]], PreprocessingMetadata]:
    """Preprocess DICOM files, one volume, to uint8, and return what was done."""
    return preprocess_paths(paths, preprocessor, parallel, np.uint8)


@_complete_docstring
def preprocess_u8_series(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    *,
    stack: Mapping[str, str] | None = None,
    parallel: bool = False,
) -> list[NDArray[np.uint8]]:
    """Preprocess DICOM files to the volumes of their series, as ``series: stack`` does, uint8."""
    return preprocess_series(paths, preprocessor, stack, parallel, np.uint8)[0]


@_complete_docstring
def preprocess_u8_series_with_metadata(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    *,
    stack: Mapping[str, str] | None = None,
    parallel: bool = False,
) -> tuple[list[NDArray[np.uint8]], list[PreprocessingMetadata]]:
    """Preprocess DICOM files to the volumes of their series, uint8, and return what was done."""
    return preprocess_series(paths, preprocessor, stack, parallel, np.uint8)


@_complete_docstring
def preprocess_stream_u8(
    buffer: ReadableBuffer,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> NDArray[np.uint8]:
    """Preprocess a DICOM file in memory to uint8."""
    return preprocess_buffer(buffer, preprocessor, parallel, np.uint8)[0]


@_complete_docstring
def preprocess_stream_u8_with_metadata(
    buffer: ReadableBuffer,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[NDArray[np.uint8], PreprocessingMetadata]:
    """Preprocess a DICOM file in memory to uint8, and return what was done."""
    return preprocess_buffer(buffer, preprocessor, parallel, np.uint8)


@_complete_docstring
def preprocess_stream_u8_slices(
    buffers: Sequence[ReadableBuffer],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> list[NDArray[np.uint8]]:
    """Preprocess DICOM files in memory, one volume, to uint8."""
    return preprocess_buffers(buffers, preprocessor, parallel, np.uint8)[0]


@_complete_docstring
def preprocess_stream_u8_slices_with_metadata(
    buffers: Sequence[ReadableBuffer],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[list[NDArray[np.uint8]], PreprocessingMetadata]:
    """Preprocess DICOM files in memory, one volume, to uint8, and return what was done."""
    return preprocess_buffers(buffers, preprocessor, parallel, np.uint8)


@_complete_docstring
def preprocess_u16(
    path: AnyPath,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> NDArray[np.uint16]:
    """Preprocess a DICOM file to uint16."""
    return preprocess_path(path, preprocessor, parallel, np.uint16)[0]


@_complete_docstring
def preprocess_u16_with_metadata(
    path: AnyPath,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[NDArray[np.uint16], PreprocessingMetadata]:
    """Preprocess a DICOM file to uint16, and return what was done."""
    return preprocess_path(path, preprocessor, parallel, np.uint16)


@_complete_docstring
def preprocess_u16_slices(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> list[NDArray[np.uint16]]:
    """Preprocess DICOM files, one volume, to uint16."""
    return preprocess_paths(paths, preprocessor, parallel, np.uint16)[0]


@_complete_docstring
def preprocess_u16_slices_with_metadata(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[list[NDArray[np.uint16]], PreprocessingMetadata]:
    """Preprocess DICOM files, one volume, to uint16, and return what was done."""
    return preprocess_paths(paths, preprocessor, parallel, np.uint16)


@_complete_docstring
def preprocess_u16_series(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    *,
    stack: Mapping[str, str] | None = None,
    parallel: bool = False,
) -> list[NDArray[np.uint16]]:
    """Preprocess DICOM files to the volumes of their series, as ``series: stack`` does, uint16."""
    return preprocess_series(paths, preprocessor, stack, parallel, np.uint16)[0]


@_complete_docstring
def preprocess_u16_series_with_metadata(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    *,
    stack: Mapping[str, str] | None = None,
    parallel: bool = False,
) -> tuple[list[NDArray[np.uint16]], list[PreprocessingMetadata]]:
    """Preprocess DICOM files to the volumes of their series, uint16, and return what was done."""
    return preprocess_series(paths, preprocessor, stack, parallel, np.uint16)


@_complete_docstring
def preprocess_stream_u16(
    buffer: ReadableBuffer,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> NDArray[np.uint16]:
    """Preprocess a DICOM file in memory to uint16."""
    return preprocess_buffer(buffer, preprocessor, parallel, np.uint16)[0]


@_complete_docstring
def preprocess_stream_u16_with_metadata(
    buffer: ReadableBuffer,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[NDArray[np.uint16], PreprocessingMetadata]:
    """Preprocess a DICOM file in memory to uint16, and return what was done."""
    return preprocess_buffer(buffer, preprocessor, parallel, np.uint16)


@_complete_docstring
def preprocess_stream_u16_slices(
    buffers: Sequence[ReadableBuffer],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> list[NDArray[np.uint16]]:
    """Preprocess DICOM files in memory, one volume, to uint16."""
    return preprocess_buffers(buffers, preprocessor, parallel, np.uint16)[0]


@_complete_docstring
def preprocess_stream_u16_slices_with_metadata(
    buffers: Sequence[ReadableBuffer],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[list[NDArray[np.uint16]], PreprocessingMetadata]:
    """Preprocess DICOM files in memory, one volume, to uint16, and return what was done."""
    return preprocess_buffers(buffers, preprocessor, parallel, np.uint16)


@_complete_docstring
def preprocess_f32(
    path: AnyPath,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> NDArray[np.float32]:
    """Preprocess a DICOM file to float32."""
    return preprocess_path(path, preprocessor, parallel, np.float32)[0]


@_complete_docstring
def preprocess_f32_with_metadata(
    path: AnyPath,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[NDArray[np.float32], PreprocessingMetadata]:
    """Preprocess a DICOM file to float32, and return what was done."""
    return preprocess_path(path, preprocessor, parallel, np.float32)


@_complete_docstring
def preprocess_f32_slices(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> list[NDArray[np.float32]]:
    """Preprocess DICOM files, one volume, to float32."""
    return preprocess_paths(paths, preprocessor, parallel, np.float32)[0]


@_complete_docstring
def preprocess_f32_slices_with_metadata(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[list[NDArray[np.float32]], PreprocessingMetadata]:
    """Preprocess DICOM files, one volume, to float32, and return what was done."""
    return preprocess_paths(paths, preprocessor, parallel, np.float32)


@_complete_docstring
def preprocess_f32_series(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    *,
    stack: Mapping[str, str] | None = None,
    parallel: bool = False,
) -> list[NDArray[np.float32]]:
    """Preprocess DICOM files to the volumes of their series, as ``series: stack`` does, float32."""
    return preprocess_series(paths, preprocessor, stack, parallel, np.float32)[0]


@_complete_docstring
def preprocess_f32_series_with_metadata(
    paths: Sequence[AnyPath],
    preprocessor: Preprocessor | None = None,
    *,
    stack: Mapping[str, str] | None = None,
    parallel: bool = False,
) -> tuple[list[NDArray[np.float32]], list[PreprocessingMetadata]]:
    """Preprocess DICOM files to the volumes of their series, float32, and return what was done."""
    return preprocess_series(paths, preprocessor, stack, parallel, np.float32)


@_complete_docstring
def preprocess_stream_f32(
    buffer: ReadableBuffer,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> NDArray[np.float32]:
    """Preprocess a DICOM file in memory to float32."""
    return preprocess_buffer(buffer, preprocessor, parallel, np.float32)[0]


@_complete_docstring
def preprocess_stream_f32_with_metadata(
    buffer: ReadableBuffer,
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[NDArray[np.float32], PreprocessingMetadata]:
    """Preprocess a DICOM file in memory to float32, and return what was done."""
    return preprocess_buffer(buffer, preprocessor, parallel, np.float32)


@_complete_docstring
def preprocess_stream_f32_slices(
    buffers: Sequence[ReadableBuffer],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> list[NDArray[np.float32]]:
    """Preprocess DICOM files in memory, one volume, to float32."""
    return preprocess_buffers(buffers, preprocessor, parallel, np.float32)[0]


@_complete_docstring
def preprocess_stream_f32_slices_with_metadata(
    buffers: Sequence[ReadableBuffer],
    preprocessor: Preprocessor | None = None,
    parallel: bool = False,
) -> tuple[list[NDArray[np.float32]], PreprocessingMetadata]:
    """Preprocess DICOM files in memory, one volume, to float32, and return what was done."""
    return preprocess_buffers(buffers, preprocessor, parallel, np.float32)
