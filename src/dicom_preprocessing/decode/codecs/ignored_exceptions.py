"""Exceptions that Python ignores: raised where no caller can get them, such as in a callback of C.

The interpreter passes them to ``sys.unraisablehook``, which prints them. All threads share that
hook, and others (pytest, crash reporters) set their own. So it is replaced only while a thread is
watching, and then given back; a hook passes on what came from threads that do not watch.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Hook = Callable[[sys.UnraisableHookArgs], Any]

NOTED = threading.local()
"""Of this thread: ``exceptions``, a list while it is watching, else None or absent."""


class _SharedHook:
    """The hook of this module, which is in place while any thread is watching."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.watching = 0
        self.own: Hook | None = None
        self.before: Hook = sys.unraisablehook

    def start(self) -> None:
        """Count a thread, and put a hook in place if there is none of this module."""
        with self.lock:
            # Another one may have come on top meanwhile. It may call the own hook below it, which
            # therefore is not used again: it would call the other one, and that one it, for ever.
            if not self.watching or sys.unraisablehook is not self.own:
                self.before = sys.unraisablehook
                self.own = sys.unraisablehook = _make_hook(self.before)
            self.watching += 1

    def stop(self) -> None:
        """Give the hook back after the last thread, unless another one came on top."""
        with self.lock:
            self.watching -= 1
            if not self.watching and sys.unraisablehook is self.own:
                sys.unraisablehook = self.before


SHARED_HOOK = _SharedHook()


def _make_hook(before: Hook) -> Hook:
    """Make a hook that notes exceptions of threads that watch, and passes on others."""

    def note(args: sys.UnraisableHookArgs) -> None:
        exceptions = getattr(NOTED, "exceptions", None)
        if exceptions is None:
            before(args)
        else:
            exceptions.append(args.exc_value)

    return note


@contextmanager
def note_ignored_exceptions() -> Iterator[list[BaseException | None]]:
    """Note exceptions of this thread that Python ignores, in place of printing them."""
    SHARED_HOOK.start()
    outer = getattr(NOTED, "exceptions", None)
    exceptions: list[BaseException | None] = []
    NOTED.exceptions = exceptions
    try:
        yield exceptions
    finally:
        NOTED.exceptions = outer
        SHARED_HOOK.stop()
