"""Turn DICOM studies into training-ready multi-frame TIFFs.

Importing the package imports nothing heavy, because the Snakefile does: each public name is
imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.version import __version__

if TYPE_CHECKING:
    from dicom_preprocessing.conversion import convert
    from dicom_preprocessing.coordinates import MappedBoxes, MappedPolygon
    from dicom_preprocessing.geometry import Geometry

HOMES = {
    "dicom_preprocessing.conversion": ("convert",),
    "dicom_preprocessing.coordinates": ("MappedBoxes", "MappedPolygon"),
    "dicom_preprocessing.geometry": ("Geometry",),
}
"""Public names by the module in which they are defined; as imported above for type checkers."""

_HOME_OF = {name: module for module, names in HOMES.items() for name in names}

__all__ = ["Geometry", "MappedBoxes", "MappedPolygon", "__version__", "convert"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any of the public names
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
