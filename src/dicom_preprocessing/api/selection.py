"""What a selection keeps of a source, as a data frame."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from dicom_preprocessing.config import parse_config
from dicom_preprocessing.config.model import NO_PRESET
from dicom_preprocessing.config.selection import selection_of
from dicom_preprocessing.index.build import build_index
from dicom_preprocessing.index.selection import Selector
from dicom_preprocessing.index.walk import find_files
from dicom_preprocessing.results.selected import SELECTED_COLUMNS, list_selected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


def select_files(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    objects: str | Sequence[str] = ("image",),
    include: Mapping[str, Any] | None = None,
    exclude: Mapping[str, Any] | None = None,
    preset: str | None = None,
    duplicates: str = "first",
    workers: int = 1,
) -> pd.DataFrame:
    """Say of every file of a source whether it is kept, by its header alone.

    Parameters
    ----------
    source : path or sequence of path
        A folder, a DICOM file, a text file with one path per line, or several of these.
    objects, include, exclude, preset, duplicates
        As the keys of the configuration.
    workers : int
        Processes that read headers.

    Returns
    -------
    DataFrame
        One row per file in path order, all columns text: source_path, state (``kept``, ``skipped``,
        ``failed``), error and message as in failures.csv (of ``not_selected`` the rule),
        study_instance_uid, series_instance_uid, sop_instance_uid, modality, sop_class (its name).

    Raises
    ------
    ConfigError
        A rule or preset cannot be used.
    SourceError
        The source cannot be used.
    """
    import pandas as pd  # noqa: PLC0415  # half a second

    values = {"objects": objects, "include": include, "exclude": exclude}
    chosen = {"preset": preset or NO_PRESET, "duplicates": duplicates}
    config, _ = parse_config(values | chosen)
    named = [source] if isinstance(source, str | os.PathLike) else list(source)
    sources = [os.fspath(path) for path in named]
    index = build_index(
        find_files(sources),
        duplicates=config.duplicates,
        workers=workers,
        selector=Selector(selection_of(config), sources),
    )
    rows = [[getattr(row, name) for name in SELECTED_COLUMNS] for row in list_selected(index)]
    return pd.DataFrame(rows, columns=list(SELECTED_COLUMNS), dtype="string")
