"""What all commands share: how they end at an error or signal, and the folder that they hold."""

from __future__ import annotations

import functools
import math
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ParamSpec

from dicom_preprocessing.errors import DicomPreprocessingError
from dicom_preprocessing.processes import ENDING
from dicom_preprocessing.text import explain_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

P = ParamSpec("P")

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
STOPPED = "stopped: what is written stays"

SECONDS_TO_CLEAN = 1.0
"""After a signal, in which others are ignored: some programs pass on what a group gets already."""


def command(*, failed: int = FAILED) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Have a command end with a message and a status, whatever it meets.

    At an expected error, or one of the file system, with what happened, to what and what to do, and
    the status ``failed``. At SIGINT and SIGTERM with one line and status 130: both raise
    KeyboardInterrupt, so workers are killed and what is half written is removed on its way.
    """

    def decorate(main: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(main)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            with _interrupted_by_signals():
                # The error holds all that was at work: it ends before the line is printed.
                with suppress(KeyboardInterrupt):
                    try:
                        return main(*args, **kwargs)
                    except (DicomPreprocessingError, OSError) as error:
                        print_error(error)
                        return failed
                print(STOPPED, file=sys.stderr)
                return INTERRUPTED

        return run

    return decorate


def print_error(error: Exception) -> None:
    """Print an error of a command or job for people."""
    print(f"error: {explain_error(error)}", file=sys.stderr)


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ENDING}
    stop = _make_handler()
    # One that is ignored stays so: a shell starts commands in the background without SIGINT.
    mine = [number for number in ENDING if before[number] not in (signal.SIG_IGN, None)]
    try:
        with suppress(ValueError):  # only the main thread gets signals
            for number in mine:
                signal.signal(number, stop)
        yield
    finally:
        with suppress(ValueError):
            for number in mine:
                signal.signal(number, before[number])


def _make_handler() -> Callable[[int, FrameType | None], None]:
    raised = -math.inf

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal raised
        if time.monotonic() - raised > SECONDS_TO_CLEAN:
            raised = time.monotonic()
            raise KeyboardInterrupt(number)

    return stop


@contextmanager
def holding(output: Path, task: str) -> Iterator[None]:
    """Keep runs and commands from a folder, whose files they would replace by their own.

    Folders that are made for it, and in which nothing was written, are removed at the end.

    Raises
    ------
    OutputError
        Another one holds it, or it cannot be made.
    """
    from dicom_preprocessing.workflow.holder import Holder
    from dicom_preprocessing.workflow.run_lock import hold_output, release_output

    holder = Holder(task=task, output=os.path.abspath(output), folder=os.getcwd())
    try:
        hold_output(output, holder)
        yield
    finally:
        release_output(output)
