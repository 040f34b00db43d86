"""Trees of TIFFs that tools read: by a folder, by a manifest, or by names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.results.finding import find_manifest
from dicom_preprocessing.results.layout import MANIFEST, TIFF_SUFFIXES
from dicom_preprocessing.results.manifest import find_tiffs, root_of_manifest
from dicom_preprocessing.results.reading import read_manifest_columns
from dicom_preprocessing.results.tables import as_records
from dicom_preprocessing.text import TABLE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

COLUMNS_NOT_IN_TAGS = ("series_instance_uid", "modality", "volume", "volume_id")
"""Columns of a manifest that are not in the tags of a TIFF."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Images below a folder, with the rows of their manifest by relative path, if there is one.

    Rows have those of the ``COLUMNS_NOT_IN_TAGS``, and of what ``open_tree`` is asked for, that the
    manifest has. ``tables`` is the folder of the manifest, else that of the images.
    """

    root: Path
    paths: list[Path]
    tables: Path
    rows: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def find_table(self, name: str) -> Path | None:
        """A table beside the manifest, or in a folder without one, if it is there."""
        path = self.tables / name
        return path if path.is_file() else None

    def row(self, path: Path) -> dict[str, Any]:
        """The row of an image, empty if there is none."""
        return self.rows.get(str(path.relative_to(self.root)), {})


def open_tree(source: Path, columns: Collection[str] = ()) -> Tree:
    """The images of a folder, of the results of a workflow, or of a manifest.

    ``columns`` are those of a manifest that rows have besides.

    Of results, the images are those below images/, not those of kept stages. A manifest names
    images relative to images/ beside it (the workflow's) or to its own folder (dicom-manifest's);
    one from which rows were removed is a selection of images.

    Raises
    ------
    SourceError
        The source does not exist, or has no TIFF.
    """
    if source.is_dir():
        manifest = find_manifest(source)
        rows = _read_rows(manifest, columns) if manifest else {}
        root = source
        if manifest == source / MANIFEST:
            root = root_of_manifest(manifest, next(iter(rows), ""))
        tree = Tree(root, find_tiffs(root), manifest.parent if manifest else root, rows)
    elif source.suffix.lower() in TABLE_SUFFIXES and source.is_file():
        rows = _read_rows(source, columns)
        root = root_of_manifest(source, next(iter(rows), ""))
        tree = Tree(root, [root / name for name in rows], source.parent, rows)
    else:
        problem = "is neither a folder nor a manifest (.csv or .parquet)"
        raise SourceError(f"{source} {problem if source.exists() else 'does not exist'}")
    if not tree.paths:
        problem = "contains no TIFFs" if source.is_dir() else "is a manifest without rows"
        raise SourceError(f"{source} {problem}")
    return tree


def _read_rows(manifest: Path, columns: Collection[str]) -> dict[str, dict[str, Any]]:
    # Others may be long, and are those of another program.
    wanted = (*COLUMNS_NOT_IN_TAGS, *columns)
    table = read_manifest_columns(manifest, wanted)
    rows = as_records(table[[name for name in wanted if name in table]])
    # Normal paths: each image once, and no way round by a link (a link, .. and a name).
    names = map(os.path.normpath, table["path"])
    return dict(zip(names, rows or [{} for _ in table.index], strict=True))


def find_images(sources: Sequence[Path]) -> list[Path]:
    """TIFFs by name, and those of folders and manifests, each once.

    Raises
    ------
    SourceError
        A source is none of these. Whether a named TIFF exists is not checked.
    """
    paths: dict[Path, None] = {}
    for source in sources:
        is_tiff = source.suffix.lower() in TIFF_SUFFIXES and not source.is_dir()
        paths |= dict.fromkeys([source] if is_tiff else open_tree(source).paths)
    return list(paths)


def require_outside(tree: Tree, output: Path) -> None:
    """Refuse an output folder inside the tree that is read, or around it.

    Raises
    ------
    SourceError
    """
    root, target = tree.root.resolve(), output.resolve()
    if root == target or root in target.parents or target in root.parents:
        raise SourceError(f"OUTPUT {output} and SOURCE {tree.root} must not contain one another")
