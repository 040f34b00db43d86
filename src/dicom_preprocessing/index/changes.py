"""Notice source files that change while they are in use. Standard library only."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from dicom_preprocessing.errors import SourceChangedError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator


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


@contextmanager
def reading_unchanged(seen: SeenFile) -> Iterator[None]:
    """Check a file before and after a block that reads it.

    Raises
    ------
    SourceChangedError, UnreadableError
        As ``require_unchanged``; also in place of what the block raised.
    """
    require_unchanged(seen)
    try:
        yield
    except Exception:
        # A file that is written or replaced while it is read looks damaged, which it is not.
        require_unchanged(seen)
        raise
    require_unchanged(seen)
