"""The configuration of a run, checked before any work: by itself, and against existing results.

Standard library only, besides what the configuration needs: the Snakefile imports it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_preprocessing.config import Config, parse_config
from dicom_preprocessing.config.files import read_config_file
from dicom_preprocessing.config.selection import selection_of
from dicom_preprocessing.errors import ConfigError, OutputError
from dicom_preprocessing.index.table import IndexFolder, IndexRequest
from dicom_preprocessing.temporary_files import find_tmpdir_problem
from dicom_preprocessing.text import explain_without_path, make_printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dicom_preprocessing.workflow.run import Run

MAX_OUTPUT_BYTES = 3500
"""Of the path of the results: Linux takes 4095, names below it have up to some 300."""

SELECTION_KEYS = "objects, include, exclude, preset, columns, series and stack"

MAX_SHOWN = 200
"""Characters of a path that a message shows."""


def read_settings(
    values: Mapping[str, object],
    given: Mapping[str, object],
    files: Iterable[str | Path] = (),
    *,
    is_module: bool = False,
    has_prefix: bool = False,
    has_directory: bool = False,
) -> tuple[Config, list[str]]:
    """The typed configuration of a run, and warnings.

    Parameters
    ----------
    values : mapping
        The configuration as Snakemake merged it.
    given : mapping
        What ``--config`` gave; a key without a value, as from an unset variable, is None.
    files : iterable of path
        Those of ``--configfile``, of which Snakemake takes what they hardly mean: repeated keys.
    is_module, has_prefix : bool
        Whether another workflow includes this one, and puts a prefix before its paths.
    has_directory : bool
        Whether ``--directory`` was given.

    Raises
    ------
    ConfigError
        One message: the key, what was found, what to do.
    """
    if has_prefix:
        raise ConfigError(
            "prefix: is not supported for this workflow, because its index, receipts and manifest "
            "name paths themselves. Set the config key output instead."
        )
    if given.get("source", "examples") is None:
        raise ConfigError(
            "config key 'source': found nothing on the command line. Name a folder, or leave the "
            "key out for the bundled examples."
        )
    for path in files:
        read_config_file(Path(path))
    config, warnings = parse_config(values)
    if config.shard and is_module:
        raise ConfigError(
            "config key 'shard': is not supported for a module, since a shard works in a folder of "
            "its own. Run this workflow by itself."
        )
    if config.shard and has_directory:
        raise ConfigError(
            "config key 'shard': a shard works in a folder of its own, which --directory replaces. "
            "Leave it out, and start the shard in that folder."
        )
    problem = find_tmpdir_problem()
    return config, warnings if problem is None else [*warnings, make_printable(problem)]


def require_usable(run: Run, cores: int | None) -> None:
    """Check what a run needs besides its configuration.

    Parameters
    ----------
    run : Run
    cores : int or None
        Of ``--cores``; with 0 Snakemake would wait forever.

    Raises
    ------
    ConfigError
        There are no cores.
    OutputError
        Results cannot be written, or there is no index for a shard.
    """
    if cores is not None and cores < 1:
        raise ConfigError(f"--cores: found {cores}, allowed: a number of at least 1, or all")
    _require_writable(Path(run.config.output), Path(run.logs))
    if run.config.shard or run.config.gather:
        _require_index(run.config, run.sources)


def require_local_cores(config: Config, *, is_local: bool) -> None:
    """Raise a ConfigError where the jobs of a shard would be sent to a cluster."""
    if config.shard and not is_local:
        raise ConfigError(
            "config key 'shard': a shard works on the cores of this machine. Leave out the "
            "executor (or its profile) and run the shard within one job, or leave out the key for "
            "one job per study."
        )


def _require_writable(output: Path, logs: Path) -> None:
    """Check that the folders of the results are there, or can be made."""
    key = f"config key 'output': found {make_printable(str(output))}"
    if len(os.fsencode(output.absolute())) > MAX_OUTPUT_BYTES:
        raise OutputError(
            f"{key[:MAX_SHOWN]}..., allowed: a path of at most {MAX_OUTPUT_BYTES} bytes, which "
            "leaves some for the names in it. Use a shorter one."
        )
    try:
        output.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise OutputError(
            f"{key[:MAX_SHOWN]}: {explain_without_path(error)}. Use another path."
        ) from error
    parts = [output / name for name in ("index", "images", "receipts", "stages")]
    for folder in (output, *parts, logs):
        parents = (folder, *folder.absolute().parents)
        parent = next(path for path in parents if os.path.lexists(path))
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise OutputError(
                f"output {make_printable(str(output))}: {make_printable(str(parent))} is not a "
                "folder, or may not be written to. Move it away, or use another output"
            )


def _require_index(config: Config, sources: Sequence[str]) -> None:
    """Shards make no index, so that none of them changes it under the others."""
    folder = IndexFolder(config.output)
    command = "snakemake index (with the same keys, without shard and gather)"
    if not folder.table.exists():
        raise OutputError(f"{folder.table} does not exist. Make it once for all shards: {command}")
    existing = folder.read_request()
    if existing is None:
        raise OutputError(
            f"{folder.table} was written by another version: remove it, then {command}"
        )
    wanted = IndexRequest.from_working_directory(
        config.output, sources, config.duplicates, config.limits, selection_of(config)
    )
    if existing.selection != wanted.selection:
        raise OutputError(
            f"config keys {SELECTION_KEYS}: {folder.path} was made with another selection. Make it "
            f"again: {command}"
        )
    for key in ("source", "duplicates", "limits"):
        before, now = getattr(existing, key), getattr(wanted, key)
        if before != now:
            raise OutputError(
                f"config key '{key}': {folder.path} was made with {before}, this run has {now}. "
                f"Make it again: {command}"
            )
    if existing.start != wanted.start:
        start = os.path.normpath(os.path.join(folder.output.resolve(), existing.start))
        raise OutputError(
            f"config key 'source': {folder.path} was made in {start}, where its relative paths "
            "start. Run snakemake there."
        )
