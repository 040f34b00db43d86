"""Find every file of the source. Standard library only, because the Snakefile imports it."""

from __future__ import annotations

import codecs
import errno
import hashlib
import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.files import naming, path_key
from dicom_preprocessing.text import explain_without_path, make_printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

Inode = tuple[int, int]

DICOM_PREFIX_AT = 128
PATH_LIST_HEAD_BYTES = 65536
SUFFIXES_OF_NO_LIST = (".dcm", ".dic", ".dicom", ".ima")
"""A file with such a suffix is not a list of paths, whatever it contains."""

CANNOT_EXIST = (errno.ENAMETOOLONG,)
"""Errors of text that cannot be a path, such as lines of another text file."""

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


def find_files(sources: Sequence[str], excluded: Iterable[str] = ()) -> list[SourceFile]:
    """List every file below the sources in path order, each once.

    Parameters
    ----------
    sources : sequence of str
        Folders, DICOM files, or text files with one path per line.
    excluded : iterable of str
        Folders that are not walked: the run's own output, and Snakemake's.

    Raises
    ------
    SourceError
        No entry exists or can be read, or there is no file.
    """
    own = {inode for inode in map(_read_inode, excluded) if inode is not None}
    entries = [item for source in sources for item in _expand_source(source, own)]
    entries.sort(key=lambda item: path_key(item.path))
    several = len(sources) > 1 or any(map(is_path_list, sources))
    files = _drop_repeats(entries) if several else entries
    problem = _explain_empty_source(sources, files)
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


def _explain_empty_source(sources: Sequence[str], files: Sequence[SourceFile]) -> str | None:
    """Why the source as a whole cannot be used, None if it can."""
    if not files:
        only_lists = all(map(is_path_list, sources))
        folder = "contains no files (the output folder is not searched)"
        return "a list that contains no paths" if only_lists else folder
    first = files[0]
    shown = first.path[:MAX_LINE_SHOWN] + ("..." if len(first.path) > MAX_LINE_SHOWN else "")
    example = f"(the first: {make_printable(shown)}: {first.problem})"
    is_listed = any(map(is_path_list, sources))
    if all(item.is_missing for item in files):
        listed = (
            f"a text file, taken for a list with one path per line, of which none exists {example}"
        )
        return listed if is_listed else first.problem
    if all(item.problem for item in files):
        listed = f"a list of paths, of which none can be read {example}"
        return listed if is_listed else f"cannot be read: {first.problem}"
    if all(item.is_regular and item.named and not item.size for item in files):
        return "an empty file, neither DICOM nor a list of paths"
    if all(_is_named_as_dicom(source) and _is_text(source) for source in sources):
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


def is_path_list(path: str) -> bool:
    """Whether a path is a text list of paths: text, and not named as a DICOM file."""
    return not _is_named_as_dicom(path) and _is_text(path)


def _is_named_as_dicom(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in SUFFIXES_OF_NO_LIST


def _is_text(path: str) -> bool:
    """Whether a file is text: no DICM prefix and no NUL byte at its start."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(PATH_LIST_HEAD_BYTES)
    except OSError:
        return False
    is_dicom = head[DICOM_PREFIX_AT : DICOM_PREFIX_AT + 4] == b"DICM"
    return bool(head) and not is_dicom and b"\0" not in head


def read_path_list(path: str) -> list[str]:
    """Paths of a text list, relative ones from the list's folder.

    Blank lines, lines that start with #, and a byte order mark of UTF-8 are skipped.
    """
    with naming(path), open(path, "rb") as file:
        lines = [line.rstrip(b"\r") for line in file.read().split(b"\n")]
    lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)
    folder = os.path.dirname(path)
    return [
        os.path.join(folder, os.fsdecode(line))
        for line in lines
        if line.strip() and not line.lstrip().startswith(b"#")
    ]


def _expand_source(source: str, own: set[Inode]) -> Iterator[SourceFile]:
    """Files of a named path: those below a folder, the file itself, or those of a list."""
    if is_path_list(source):
        for entry in read_path_list(source):
            yield from _expand_entry(entry, own)
    else:
        yield from _expand_entry(source, own)


def _expand_entry(path: str, own: set[Inode]) -> Iterator[SourceFile]:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        yield SourceFile(path=path, named=True, problem="no such file or folder", is_missing=True)
    except (OSError, ValueError) as error:
        is_missing = getattr(error, "errno", None) in CANNOT_EXIST
        yield SourceFile(
            path=path, named=True, problem=_explain_reason(error), is_missing=is_missing
        )
    else:
        if stat.S_ISDIR(status.st_mode):
            inode = (status.st_dev, status.st_ino)
            yield from _walk(path, inode, _find_parents(path), own, named=True)
        else:
            yield _make_source_file(path, status, named=True)


def _find_parents(folder: str) -> frozenset[Inode]:
    """The folders above a folder: a link to one of them is a loop, too."""
    above = os.path.realpath(folder)
    parents = set()
    while (parent := os.path.dirname(above)) != above:
        parents.add(_read_inode(parent))
        above = parent
    return frozenset(inode for inode in parents if inode is not None)


def _walk(
    folder: str, inode: Inode, parents: Collection[Inode], own: set[Inode], *, named: bool = False
) -> Iterator[SourceFile]:
    """Files of a folder and those below it; links to a parent are not followed."""
    inside = set(parents)
    # Folders to list, and, without a path, those whose folders have all been listed. Not a
    # recursion, which Python ends after a thousand folders in each other.
    waiting: list[tuple[str, Inode]] = [(folder, inode)]
    while waiting:
        path, inode = waiting.pop()
        if not path:
            inside.remove(inode)
        elif inode not in own and inode not in inside:
            inside.add(inode)
            waiting.append(("", inode))
            for item in _list_folder(path, named=named and path == folder):
                if isinstance(item, SourceFile):
                    yield item
                else:
                    waiting.append(item)


def _list_folder(folder: str, *, named: bool) -> Iterator[SourceFile | tuple[str, Inode]]:
    """Files of a folder, and path and inode of the folders in it."""
    try:
        with os.scandir(folder) as listing:
            items = list(listing)
    except OSError as error:
        yield SourceFile(path=folder, named=named, problem=_explain_reason(error), is_folder=True)
        return
    for item in items:
        try:
            status = item.stat()
        except OSError as error:
            # It may be a link to a folder, so what is in it is unknown.
            yield SourceFile(path=item.path, problem=_explain_reason(error), is_folder=True)
            continue
        if stat.S_ISDIR(status.st_mode):
            # DirEntry.stat follows links, so a link to a folder is a folder here.
            yield item.path, (status.st_dev, status.st_ino)
        else:
            yield _make_source_file(item.path, status)


def _make_source_file(path: str, status: os.stat_result, *, named: bool = False) -> SourceFile:
    return SourceFile(
        path=path,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        named=named,
        is_regular=stat.S_ISREG(status.st_mode),
    )


def _read_inode(path: str) -> Inode | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _explain_reason(error: Exception) -> str:
    return explain_without_path(error)


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
