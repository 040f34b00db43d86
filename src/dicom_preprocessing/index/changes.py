"""Notice source files that change while they are in use. Standard library only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from dicom_preprocessing.errors import SourceChangedError, UnreadableError

if TYPE_CHECKING:
    from types import TracebackType


class SeenFile(Protocol):
    """A file as the walk over the source saw it."""

    @property
    def path(self) -> str:
        """Where it is."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def mtime_ns(self) -> int:
        """Time of its last change."""


def require_unchanged(seen: SeenFile) -> None:
    """Check that a file has the size and modification time with which it was seen.

    Raises
    ------
    SourceChangedError
        It has others, or is gone.
    UnreadableError
        The file system does not tell.
    """
    try:
        status = os.stat(seen.path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceChangedError("the file vanished after it was indexed; run again") from error
    except OSError as error:
        raise UnreadableError.from_os_error(error) from error
    if (status.st_size, status.st_mtime_ns) != (seen.size, seen.mtime_ns):
        raise SourceChangedError("the file changed after it was indexed; run again")


def reading_unchanged(seen: SeenFile) -> UnchangedReading:
    """Check a file before and after a block that reads it.

    Raises
    ------
    SourceChangedError, UnreadableError
        As ``require_unchanged``; also in place of what the block raised.
    """
    return UnchangedReading(seen)


class UnchangedReading:
    """A block that reads a file; see ``reading_unchanged``.

    A class, since a generator takes longer, and each image has two.
    """

    __slots__ = ("seen",)

    def __init__(self, seen: SeenFile) -> None:
        self.seen = seen

    def __enter__(self) -> None:
        require_unchanged(self.seen)

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        # A file that is written or replaced while it is read looks damaged, which it is not.
        if error is None or isinstance(error, Exception):
            require_unchanged(self.seen)
