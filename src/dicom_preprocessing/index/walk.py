"""Find every file of the source. Standard library only, because the Snakefile imports it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.files import path_key
from dicom_preprocessing.index.folders import SourceWalk, read_inode
from dicom_preprocessing.index.looking import find_answers, find_answers_here
from dicom_preprocessing.index.path_lists import is_named_as_dicom
from dicom_preprocessing.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_LINE_SHOWN = 200
"""Characters of a path of a list that a message shows; a line of any text may be longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A path of the source.

    Parameters
    ----------
    path : str
        The SOURCE entry joined with the path below it; bytes that are not UTF-8 as surrogates.
    size, mtime_ns : int
        As the file system gives them, 0 where it does not.
    named : bool
        The user named this path.
    problem : str
        Why it cannot be read, empty if it may be readable.
    is_missing, is_folder, is_regular : bool
        A missing path was named; a folder, or what may be one, is listed only if it cannot be read;
        what is not a regular file (a pipe, a device) is never opened.
    """

    path: str
    size: int = 0
    mtime_ns: int = 0
    named: bool = False
    problem: str = ""
    is_missing: bool = False
    is_folder: bool = False
    is_regular: bool = True


def find_files(
    sources: Sequence[str], excluded: Iterable[str] = (), seconds: int | None = None
) -> list[SourceFile]:
    """List every file below the sources in path order, each once.

    Parameters
    ----------
    sources : sequence of str
        Folders, DICOM files, or text files with one path per line.
    excluded : iterable of str
        Folders that are not walked: the run's own output, and Snakemake's.
    seconds : int or None
        Time without an answer of the file system after which a path is one that cannot be read,
        for which a process is forked; None waits for any answer, in this process.

    Raises
    ------
    SourceError
        No entry exists or can be read, or there is no file.
    """
    own = {inode for inode in map(read_inode, excluded) if inode is not None}
    entries: list[SourceFile] = []
    texts: list[bool] = []
    walk = SourceWalk(sources, own, seconds or 0)
    answers = find_answers_here(walk.ask) if seconds is None else find_answers(walk.ask, seconds)
    for told in answers:
        if isinstance(told, bool):
            texts.append(told)
            continue
        *files, others = told
        entries += [
            SourceFile(path=path, size=size, mtime_ns=mtime_ns)
            for path, size, mtime_ns in zip(*files, strict=True)
        ]
        entries += [SourceFile(**fields) for fields in others]
    entries.sort(key=lambda item: path_key(item.path))
    lists = [
        is_text and not is_named_as_dicom(source)
        for source, is_text in zip(sources, texts, strict=True)
    ]
    files = _drop_repeats(entries) if len(sources) > 1 or any(lists) else entries
    problem = _explain_empty_source(files, lists, are_all_text=all(texts))
    if problem is not None:
        raise SourceError(f"source {', '.join(map(make_printable, sources))}: {problem}")
    return files


def _drop_repeats(entries: Iterable[SourceFile]) -> list[SourceFile]:
    """Entries without those that came before under another name."""
    by_path: dict[str, SourceFile] = {}
    for item in entries:
        absolute = os.path.abspath(item.path)
        first = by_path.setdefault(absolute, item)
        if item.named and not first.named:
            by_path[absolute] = replace(first, named=True)
    return list(by_path.values())


def _explain_empty_source(
    files: Sequence[SourceFile], lists: Sequence[bool], *, are_all_text: bool
) -> str | None:
    """Why the source as a whole cannot be used, None if it can.

    ``lists`` says of each entry whether it is a list of paths.
    """
    if not files:
        folder = "contains no files (the output folder is not searched)"
        return "a list that contains no paths" if all(lists) else folder
    first = files[0]
    shown = first.path[:MAX_LINE_SHOWN] + ("..." if len(first.path) > MAX_LINE_SHOWN else "")
    example = f"(the first: {make_printable(shown)}: {first.problem})"
    if all(item.is_missing for item in files):
        listed = (
            f"a text file, taken for a list with one path per line, of which none exists {example}"
        )
        return listed if any(lists) else first.problem
    if all(item.problem for item in files):
        listed = f"a list of paths, of which none can be read {example}"
        return listed if any(lists) else f"cannot be read: {first.problem}"
    if all(item.is_regular and item.named and not item.size for item in files):
        return "an empty file, neither DICOM nor a list of paths"
    if are_all_text and not any(lists):
        suffix = os.path.splitext(first.path)[1]
        return f"text, not DICOM (if it is a list of paths, give it a name without {suffix})"
    return None


def digest_files(files: Iterable[SourceFile]) -> str:
    """A digest of paths, sizes and times: equal only if nothing was added, changed or removed."""
    digest = hashlib.sha256()
    for item in files:
        digest.update(path_key(item.path))
        digest.update(f"\0{item.size}\0{item.mtime_ns}\0{item.problem}\0".encode())
    return digest.hexdigest()


def list_own_folders(output: str | os.PathLike[str]) -> list[str]:
    """Folders that the workflow itself fills, which are not part of the source."""
    return [os.fspath(output), ".snakemake", "logs"]


def list_sources(source: str | Sequence[str] | None, bundled: str | os.PathLike[str]) -> list[str]:
    """The key ``source`` as a list; null is the bundled examples.

    These are given relative to the working directory if they are below it, so that a checkout that
    was moved still finds its results.
    """
    if source is None:
        absolute = os.path.abspath(bundled)
        inside = os.path.commonpath([absolute, os.getcwd()]) == os.getcwd()
        return [os.path.relpath(absolute) if inside else absolute]
    return [source] if isinstance(source, str) else list(source)
