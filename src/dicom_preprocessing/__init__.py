"""Turn DICOM studies into training-ready multi-frame TIFFs.

Importing the package imports nothing heavy, because the Snakefile does: each public name is
imported when it is first used. Their signatures are in __init__.pyi, for editors and type checkers.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dicom_preprocessing.version import __version__

HOMES = {
    "dicom_preprocessing.imaging.conversion": ("convert",),
    "dicom_preprocessing.imaging.coordinates": ("MappedBoxes", "MappedPolygon"),
    "dicom_preprocessing.api.preprocess": (
        "preprocess_f32",
        "preprocess_f32_series",
        "preprocess_f32_series_with_metadata",
        "preprocess_f32_slices",
        "preprocess_f32_slices_with_metadata",
        "preprocess_f32_with_metadata",
        "preprocess_stream_f32",
        "preprocess_stream_f32_slices",
        "preprocess_stream_f32_slices_with_metadata",
        "preprocess_stream_f32_with_metadata",
        "preprocess_stream_u8",
        "preprocess_stream_u8_slices",
        "preprocess_stream_u8_slices_with_metadata",
        "preprocess_stream_u8_with_metadata",
        "preprocess_stream_u16",
        "preprocess_stream_u16_slices",
        "preprocess_stream_u16_slices_with_metadata",
        "preprocess_stream_u16_with_metadata",
        "preprocess_u8",
        "preprocess_u8_series",
        "preprocess_u8_series_with_metadata",
        "preprocess_u8_slices",
        "preprocess_u8_slices_with_metadata",
        "preprocess_u8_with_metadata",
        "preprocess_u16",
        "preprocess_u16_series",
        "preprocess_u16_series_with_metadata",
        "preprocess_u16_slices",
        "preprocess_u16_slices_with_metadata",
        "preprocess_u16_with_metadata",
    ),
    "dicom_preprocessing.api.selection": ("select_files",),
    "dicom_preprocessing.errors": ("PreprocessingError",),
    "dicom_preprocessing.imaging.geometry": ("Flip", "Geometry", "Padding"),
    "dicom_preprocessing.api.metadata": (
        "Crop",
        "LeftOut",
        "PreprocessingMetadata",
        "Resize",
        "Resolution",
    ),
    "dicom_preprocessing.api.preprocessor": ("Preprocessor", "VolumeHandler"),
    "dicom_preprocessing.mapping.geometry": ("geometry_of_row", "geometry_of_tiff"),
    "dicom_preprocessing.results.reading": (
        "read_failures",
        "read_manifest",
        "read_slices",
        "read_warnings",
    ),
    "dicom_preprocessing.validation.report": ("ValidationReport", "validate_dicom"),
    "dicom_preprocessing.loading.dataset": ("Sample", "TiffDataset", "TiffStream"),
    "dicom_preprocessing.loading.finding": (
        "ManifestEntry",
        "find_dicom_files",
        "find_tiff_files",
        "get_manifest",
        "inode_sort",
        "is_dicom_file",
        "is_tiff_file",
        "read_dicom_paths",
        "read_tiff_paths",
    ),
    "dicom_preprocessing.loading.frames": (
        "get_frame_count",
        "load_tiff_f32",
        "load_tiff_f32_batched",
        "load_tiff_u8",
        "load_tiff_u16",
    ),
}
"""Public names by the module in which they are defined."""

_HOME_OF = {name: module for module, names in HOMES.items() for name in names}

__all__ = [*_HOME_OF, "__version__"]  # noqa: PLE0604  # the stub has them one by one


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any of the public names
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
