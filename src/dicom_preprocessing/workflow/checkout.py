"""Find the checkout, with the scripts and the package of a workflow.

Standard library only, and nothing of this package: the Snakefile runs this file by itself to find
out where to import the rest from.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any


def find_checkout(workflow: Any) -> Path:  # noqa: ANN401  # Snakemake's
    """Folder of the checkout to which the Snakefile that is being read belongs.

    As a module, ``workflow.basedir`` is the folder of the host. A module from a tag of a
    repository, as ``github(...)``, is not a folder: Snakemake reads single files from a bare
    clone, so the commit is unpacked once beside its cache.
    """
    base = workflow.current_basedir
    if isinstance(base, (str, os.PathLike)):
        return Path(base).resolve().parents[1]
    from git import Repo  # noqa: PLC0415  # installed only where Snakemake needs it, too

    repo = base.hosted_repo.repo if hasattr(base, "hosted_repo") else Repo(base.repo_path)
    commit = repo.commit(base.ref).hexsha
    folder = Path(workflow.sourcecache.cache_path) / "dicom-preprocessing" / commit
    if not folder.exists():
        _unpack(repo, commit, folder)
    return folder


def _unpack(repo: Any, commit: str, folder: Path) -> None:  # noqa: ANN401  # of GitPython
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        unpacked = Path(temporary, "checkout")
        with tempfile.TemporaryFile() as archive:
            repo.archive(archive, treeish=commit, format="zip")
            with zipfile.ZipFile(archive) as members:
                members.extractall(unpacked)
        with suppress(OSError):  # another run was faster
            unpacked.rename(folder)
