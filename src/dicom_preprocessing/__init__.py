"""Turn DICOM studies into training-ready multi-frame TIFFs.

Importing the package imports nothing heavy, because the Snakefile does: each public name is
imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from dicom_preprocessing.api.metadata import Crop, PreprocessingMetadata, Resize, Resolution
    from dicom_preprocessing.api.preprocess import (
        preprocess_f32,
        preprocess_f32_slices,
        preprocess_f32_slices_with_metadata,
        preprocess_f32_with_metadata,
        preprocess_stream_f32,
        preprocess_stream_f32_slices,
        preprocess_stream_f32_slices_with_metadata,
        preprocess_stream_f32_with_metadata,
        preprocess_stream_u8,
        preprocess_stream_u8_slices,
        preprocess_stream_u8_slices_with_metadata,
        preprocess_stream_u8_with_metadata,
        preprocess_stream_u16,
        preprocess_stream_u16_slices,
        preprocess_stream_u16_slices_with_metadata,
        preprocess_stream_u16_with_metadata,
        preprocess_u8,
        preprocess_u8_slices,
        preprocess_u8_slices_with_metadata,
        preprocess_u8_with_metadata,
        preprocess_u16,
        preprocess_u16_slices,
        preprocess_u16_slices_with_metadata,
        preprocess_u16_with_metadata,
    )
    from dicom_preprocessing.api.preprocessor import Preprocessor, VolumeHandler
    from dicom_preprocessing.errors import PreprocessingError
    from dicom_preprocessing.imaging.conversion import convert
    from dicom_preprocessing.imaging.coordinates import MappedBoxes, MappedPolygon
    from dicom_preprocessing.imaging.geometry import Flip, Geometry, Padding
    from dicom_preprocessing.loading.dataset import Sample, TiffDataset, TiffStream
    from dicom_preprocessing.loading.finding import (
        ManifestEntry,
        find_dicom_files,
        find_tiff_files,
        get_manifest,
        inode_sort,
        is_dicom_file,
        is_tiff_file,
        read_dicom_paths,
        read_tiff_paths,
    )
    from dicom_preprocessing.loading.frames import (
        get_frame_count,
        load_tiff_f32,
        load_tiff_f32_batched,
        load_tiff_u8,
        load_tiff_u16,
    )
    from dicom_preprocessing.mapping.geometry import geometry_of_row, geometry_of_tiff
    from dicom_preprocessing.validation.report import ValidationReport, validate_dicom

HOMES = {
    "dicom_preprocessing.imaging.conversion": ("convert",),
    "dicom_preprocessing.imaging.coordinates": ("MappedBoxes", "MappedPolygon"),
    "dicom_preprocessing.api.preprocess": (
        "preprocess_f32",
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
        "preprocess_u8_slices",
        "preprocess_u8_slices_with_metadata",
        "preprocess_u8_with_metadata",
        "preprocess_u16",
        "preprocess_u16_slices",
        "preprocess_u16_slices_with_metadata",
        "preprocess_u16_with_metadata",
    ),
    "dicom_preprocessing.errors": ("PreprocessingError",),
    "dicom_preprocessing.imaging.geometry": ("Flip", "Geometry", "Padding"),
    "dicom_preprocessing.api.metadata": ("Crop", "PreprocessingMetadata", "Resize", "Resolution"),
    "dicom_preprocessing.api.preprocessor": ("Preprocessor", "VolumeHandler"),
    "dicom_preprocessing.mapping.geometry": ("geometry_of_row", "geometry_of_tiff"),
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
"""Public names by the module in which they are defined; as imported above for type checkers."""

_HOME_OF = {name: module for module, names in HOMES.items() for name in names}

__all__ = [
    "Crop",
    "Flip",
    "Geometry",
    "ManifestEntry",
    "MappedBoxes",
    "MappedPolygon",
    "Padding",
    "PreprocessingError",
    "PreprocessingMetadata",
    "Preprocessor",
    "Resize",
    "Resolution",
    "Sample",
    "TiffDataset",
    "TiffStream",
    "ValidationReport",
    "VolumeHandler",
    "__version__",
    "convert",
    "find_dicom_files",
    "find_tiff_files",
    "geometry_of_row",
    "geometry_of_tiff",
    "get_frame_count",
    "get_manifest",
    "inode_sort",
    "is_dicom_file",
    "is_tiff_file",
    "load_tiff_f32",
    "load_tiff_f32_batched",
    "load_tiff_u8",
    "load_tiff_u16",
    "preprocess_f32",
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
    "preprocess_u8_slices",
    "preprocess_u8_slices_with_metadata",
    "preprocess_u8_with_metadata",
    "preprocess_u16",
    "preprocess_u16_slices",
    "preprocess_u16_slices_with_metadata",
    "preprocess_u16_with_metadata",
    "read_dicom_paths",
    "read_tiff_paths",
    "validate_dicom",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any of the public names
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
