"""Standard output that says so when it cannot be written."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def require_output() -> Iterator[None]:
    """See to it that what is printed in the block arrives.

    Raises
    ------
    OSError
        It does not, as into a full disk, or a pipe whose reader has ended (``| head``). What is
        left goes nowhere, since Python would try again at its end, and fail with a traceback.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:  # of another file
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise OSError(error.errno, f"standard output: {error.strerror}") from error
