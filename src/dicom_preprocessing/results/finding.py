"""Find the manifest of a folder of images, and the tables beside it."""

from __future__ import annotations

import os
from pathlib import Path

from dicom_preprocessing.results.layout import IMAGES, MANIFEST
from dicom_preprocessing.results.manifest import root_of_manifest
from dicom_preprocessing.results.tables import load_in_parts


def find_manifest(source: Path) -> Path | None:
    """The manifest of a source.

    Parameters
    ----------
    source : Path
        A manifest; a folder with a manifest.csv, such as the results of a workflow; or the folder
        images/ beside it. Of any other folder there is none.

    Raises
    ------
    SourceError
        The table beside images/ cannot be read.
    """
    if not source.is_dir():
        return source
    if (source / MANIFEST).is_file():
        return source / MANIFEST
    folder = Path(os.path.abspath(source))
    beside = folder.parent / MANIFEST
    if folder.name == IMAGES and beside.is_file() and _is_of_images(beside):
        return beside
    return None


def _is_of_images(manifest: Path) -> bool:
    """Whether the paths of a table beside images/ are relative to that, not to its own folder."""
    part = next(load_in_parts(manifest, {"path": str}, columns=["path"], rows=1))
    if "path" not in part or len(part) == 0 or part["path"].isna().all():
        return False
    return root_of_manifest(manifest, str(part["path"].iloc[0])).name == IMAGES


def find_table(source: Path, name: str) -> Path | None:
    """The table of a name beside the manifest of a source, or in a folder without manifest."""
    manifest = find_manifest(source)
    path = (source if manifest is None else manifest.parent) / name
    return path if path.is_file() else None
