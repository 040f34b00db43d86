"""Questions to the file system about what is below the sources.

Standard library only, because the Snakefile imports it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dicom_preprocessing.index.looking import WHAT_TO_DO, Look, explain_silence
from dicom_preprocessing.index.path_lists import is_named_as_dicom, is_text, read_path_list
from dicom_preprocessing.text import explain_without_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from collections.abc import Set as AbstractSet

Inode = tuple[int, int]
Place = int | str
"""A file system by its device, or the folder of a path of which nothing else is known."""

Answer = os.stat_result | OSError | ValueError

Told = bool | tuple[list[str], list[int], list[int], list[dict[str, Any]]]
"""Whether a source is text; or paths, sizes and times of files, and the fields of other paths."""

ASKED_AT_ONCE: Final = 1000
"""Paths whose states are in memory at a time."""

TOLD_AT_ONCE: Final = 1000
"""Files that are told together."""

MAX_WAITS_OF_PLACE: Final = 3
"""Times without an answer after which nothing more is asked of a file system."""

MAX_WAITS: Final = 10
"""Times without an answer, of all file systems, after which nothing more is asked at all."""

CANNOT_EXIST = (errno.ENAMETOOLONG,)
"""Errors of text that cannot be a path, such as lines of another text file."""


class SourceWalk:
    """A walk through sources, which asks everything by ``Look`` and tells what it finds.

    Parameters
    ----------
    sources : sequence of str
        As for ``find_files``.
    own : set of inodes
        Folders that are not walked.
    seconds : int
        Time without an answer after which one is given up, for messages.
    """

    def __init__(self, sources: Sequence[str], own: AbstractSet[Inode], seconds: int) -> None:
        self._sources, self._own, self._seconds = sources, own, seconds
        self._waits: Counter[Place] = Counter()
        self._tell: Callable[[Told], object] = lambda _told: None
        self._paths: list[str] = []
        self._sizes: list[int] = []
        self._times: list[int] = []

    def ask(self, tell: Callable[[Told], object]) -> Generator[Look[Any], None, None]:
        """Ask for everything, and tell what was found."""
        self._tell = tell
        for source in self._sources:
            entries = yield from self._read_entries(source)
            for start in range(0, len(entries), ASKED_AT_ONCE):
                part = entries[start : start + ASKED_AT_ONCE]
                answers = yield from self._ask_each(part, os.stat, os.path.dirname)
                for path, answer in zip(part, answers, strict=True):
                    yield from self._expand_entry(path, answer)
        self._tell_files()

    def _read_entries(self, source: str) -> Generator[Look[Any], None, list[str]]:
        """The paths of a list; those of another source are itself."""
        (text,) = yield from self._ask_each([source], is_text, os.path.dirname)
        self._tell(text is True)
        if isinstance(text, Exception):
            self._tell_problem(source, text, named=True)
            return []
        if not text or is_named_as_dicom(source):
            return [source]
        (listed,) = yield from self._ask_each([source], read_path_list, os.path.dirname)
        if isinstance(listed, TimeoutError):
            self._tell_problem(source, listed, named=True)
            return []
        if isinstance(listed, Exception):
            raise listed
        paths: list[str] = listed
        return paths

    def _expand_entry(self, path: str, answer: Answer) -> Generator[Look[Any], None, None]:
        """Tell a named path: the file itself, or the files below a folder."""
        if isinstance(answer, FileNotFoundError | NotADirectoryError):
            self._tell_other(
                path=path, named=True, problem="no such file or folder", is_missing=True
            )
        elif isinstance(answer, Exception):
            is_missing = getattr(answer, "errno", None) in CANNOT_EXIST
            problem = explain_without_path(answer)
            self._tell_other(path=path, named=True, problem=problem, is_missing=is_missing)
        elif stat.S_ISDIR(answer.st_mode):
            (parents,) = yield from self._ask_each([path], _find_parents, os.path.dirname)
            if isinstance(parents, Exception):
                self._tell_problem(path, parents, named=True)
            else:
                yield from self._walk(path, (answer.st_dev, answer.st_ino), parents)
        else:
            self._tell_other(**_describe(path, answer), named=True)

    def _walk(
        self, folder: str, inode: Inode, parents: AbstractSet[Inode]
    ) -> Generator[Look[Any], None, None]:
        """Files of a named folder and those below it; links to a parent are not followed."""
        inside = set(parents)
        # Folders to list, and, without a path, those whose folders have all been listed. Not a
        # recursion, which Python ends after a thousand folders in each other.
        waiting: list[tuple[str, Inode]] = [(folder, inode)]
        while waiting:
            path, inode = waiting.pop()
            if not path:
                inside.remove(inode)
            elif inode not in self._own and inode not in inside:
                inside.add(inode)
                waiting.append(("", inode))
                waiting += yield from self._list_folder(path, inode[0], named=path == folder)

    def _list_folder(
        self, folder: str, device: int, *, named: bool
    ) -> Generator[Look[Any], None, list[tuple[str, Inode]]]:
        """Tell the files of a folder, and return path and inode of the folders in it."""
        look: Look[Any] = Look(partial(_look_into, folder))
        if self._is_given_up(device):
            look.error = self._explain_no_question()
        else:
            yield look
        is_listed = None in look.answers
        if look.is_silent and not is_listed:
            look.error = self._count_wait(device)
        if look.error is not None:
            if not isinstance(look.error, OSError):
                raise look.error
            self._tell_problem(folder, look.error, named=named)
            return []
        count = look.answers.index(None)
        items, answers = look.answers[:count], look.answers[count + 1 :]
        if look.is_silent:
            answers.append(self._count_wait(device))
            rest = items[len(answers) :]
            answers += yield from self._ask_each(rest, os.DirEntry.stat, lambda _item: device)
        return self._tell_items(items, answers)

    def _tell_items(
        self, items: Sequence[os.DirEntry[str]], answers: Sequence[Answer]
    ) -> list[tuple[str, Inode]]:
        """Tell the files of a folder, and return path and inode of the folders in it."""
        paths, sizes, times = self._paths, self._sizes, self._times
        folders: list[tuple[str, Inode]] = []
        for item, status in zip(items, answers, strict=True):
            if isinstance(status, Exception):
                # It may be a link to a folder, so what is in it is unknown.
                problem = explain_without_path(status)
                self._tell_other(path=item.path, problem=problem, is_folder=True)
                continue
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFREG:
                paths.append(item.path)
                sizes.append(status.st_size)
                times.append(status.st_mtime_ns)
            elif kind == stat.S_IFDIR:
                folders.append((item.path, (status.st_dev, status.st_ino)))
            else:
                self._tell_other(**_describe(item.path, status))
        if len(paths) >= TOLD_AT_ONCE:
            self._tell_files()
        return folders

    def _tell_files(self) -> None:
        """Tell the files of many folders at once, which is faster."""
        self._tell((self._paths, self._sizes, self._times, []))
        self._paths, self._sizes, self._times = [], [], []

    def _tell_problem(self, path: str, error: Exception, *, named: bool) -> None:
        """Tell a path that is a folder or may be one, and cannot be read."""
        problem = explain_without_path(error)
        self._tell_other(path=path, named=named, problem=problem, is_folder=True)

    def _tell_other(self, **fields: object) -> None:
        self._tell(([], [], [], [fields]))

    def _ask_each(
        self, items: Sequence[Any], ask: Callable[[Any], Any], place_of: Callable[[Any], Place]
    ) -> Generator[Look[Any], None, list[Any]]:
        """Ask for each item; return what ``ask`` returned, or the error that it raised."""
        answers: list[Any] = []
        while len(answers) < len(items):
            look = Look(partial(self._answer_each, items[len(answers) :], ask, place_of))
            yield look
            if look.error is not None:
                raise look.error
            answers += look.answers
            if look.is_silent:
                answers.append(self._count_wait(place_of(items[len(answers)])))
        return answers

    def _answer_each(
        self, items: Sequence[Any], ask: Callable[[Any], Any], place_of: Callable[[Any], Place]
    ) -> Iterator[Any]:
        for item in items:
            if self._waits and self._is_given_up(place_of(item)):
                yield self._explain_no_question()
                continue
            try:
                yield ask(item)
            except (OSError, ValueError) as error:
                yield error

    def _is_given_up(self, place: Place) -> bool:
        return self._waits[place] >= MAX_WAITS_OF_PLACE or self._waits.total() >= MAX_WAITS

    def _count_wait(self, place: Place) -> TimeoutError:
        self._waits[place] += 1
        return TimeoutError(
            f"{explain_silence(self._seconds)}, so this path and what is below it were left out. "
            f"{WHAT_TO_DO}"
        )

    def _explain_no_question(self) -> TimeoutError:
        return TimeoutError(
            "left out with what is below it, because other paths of the source gave no answer "
            f"before. {WHAT_TO_DO}"
        )


def _look_into(folder: str) -> Iterator[os.DirEntry[str] | Answer | None]:
    """What is in a folder, None, and the states of what is in it; one look for both is faster."""
    items = []
    with os.scandir(folder) as listing:
        for item in listing:
            items.append(item)
            yield item
    yield None
    for item in items:
        try:
            # This follows links, so a link to a folder is a folder here.
            yield item.stat()
        except (OSError, ValueError) as error:
            yield error


def _find_parents(folder: str) -> frozenset[Inode]:
    """The folders above a folder: a link to one of them is a loop, too."""
    above = os.path.realpath(folder)
    parents = set()
    while (parent := os.path.dirname(above)) != above:
        parents.add(read_inode(parent))
        above = parent
    return frozenset(inode for inode in parents if inode is not None)


def read_inode(path: str) -> Inode | None:
    """Device and inode of a path, None if it has none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _describe(path: str, status: os.stat_result) -> dict[str, Any]:
    """Fields of a source file."""
    return {
        "path": path,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "is_regular": stat.S_ISREG(status.st_mode),
    }
