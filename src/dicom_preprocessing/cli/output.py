"""Report when standard output cannot be written."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

READER_ENDED = 128 + signal.SIGPIPE


@contextmanager
def require_output() -> Iterator[None]:
    """Ensure that what the block prints is written.

    What is left of the output after an error is discarded, since Python would try to write it again
    when it exits, and fail with a traceback.

    Raises
    ------
    SystemExit
        The reader of a pipe has all it wanted (``| head``): status 141, as of programs that SIGPIPE
        ends, and no message.
    OSError
        It is not written, as on a full disk.
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
        if isinstance(error, BrokenPipeError):
            raise SystemExit(READER_ENDED) from None
        raise OSError(error.errno, f"standard output: {error.strerror}") from error
