"""Report when standard output cannot be written."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def require_output() -> Iterator[None]:
    """Ensure that what the block prints is written.

    Raises
    ------
    OSError
        It is not, as on a full disk, or in a pipe whose reader has ended (``| head``). The rest of
        the output is discarded, since Python would try to write it again when it exits, and fail
        with a traceback.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:  # of another file
            raise
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
        raise OSError(error.errno, f"standard output: {error.strerror}") from error
