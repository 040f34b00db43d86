"""Questions to a file system that may never answer, asked in a process that can be left behind.

A call of the system to a dead network mount returns when the server does, if ever. A thread cannot
be stopped in it, and on some file systems not even a process can be killed. So all questions are
asked by a forked process, in a thread, and where that gets no answer, another thread asks the rest.
What is found is sent to the parent, which leaves the process behind if it does not end.

Standard library only, because the Snakefile imports it.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import time
from _thread import allocate_lock, start_new_thread
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from dicom_preprocessing.errors import SourceError
from dicom_preprocessing.processes import END_SECONDS
from dicom_preprocessing.text import make_printable, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from typing import BinaryIO

A = TypeVar("A")

TICK_SECONDS: Final = 0.1
"""Seconds between two looks at whether there was an answer; answers are sent as often."""

LENGTH_BYTES: Final = 8

WHAT_TO_DO: Final = (
    "See whether its disk, mount or server works, and run again; if it is only slow, raise "
    "limits.seconds"
)
"""About a path of which there was no answer."""


class Look(Generic[A]):
    """A question to the file system, or many of a kind.

    Parameters
    ----------
    ask : callable
        Gives the answers one by one; each of them is progress.

    Attributes
    ----------
    answers : list
        All answers, or those until there were none for too long.
    error : Exception or None
        What ``ask`` raised.
    is_silent : bool
        There was no answer for too long.
    """

    __slots__ = ("answers", "ask", "error", "is_silent")

    def __init__(self, ask: Callable[[], Iterable[A]]) -> None:
        self.ask = ask
        self.answers: list[A] = []
        self.error: Exception | None = None
        self.is_silent = False

    def run(self) -> None:
        """Ask, in a thread that may never come back."""
        try:
            self.answers.extend(self.ask())
        except Exception as error:  # noqa: BLE001  # whoever asked gets it
            self.error = error

    def give_up(self) -> None:
        """Keep the answers so far; the thread may yet add to the list that it has."""
        self.answers = list(self.answers)
        self.error, self.is_silent = None, True


def find_answers(
    asking: Callable[[Callable[[Any], object]], Generator[Look[Any], None, object]], seconds: int
) -> Iterator[Any]:
    """Yield what a generator that asks the file system tells.

    Parameters
    ----------
    asking : callable
        Gets a function that tells the caller something, which ``marshal`` can send; yields each
        question, which then has its answers.
    seconds : int
        Time without any answer after which a question is given up.

    Raises
    ------
    Exception
        Whatever the generator raised, or a SourceError if its process died.
    """
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        try:
            _serve(asking, seconds, writer)
        finally:
            os._exit(0)  # whatever happens: this is a copy of the caller
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as stream:
            while (told := _receive(stream)) is not None:
                yield from told
    finally:
        _leave(process)


def find_answers_here(
    asking: Callable[[Callable[[Any], object]], Generator[Look[Any], None, object]],
) -> Iterator[Any]:
    """Yield what a generator that asks the file system tells, asked by this thread.

    Exceptions are those of the generator.
    """
    told: list[Any] = []
    for look in asking(told.append):
        look.run()
        yield from told
        told.clear()
    yield from told


def ask_once(path: str, ask: Callable[[], A], seconds: int) -> A:
    """Return what a function returns that asks the file system about a path.

    Raises
    ------
    SourceError
        There was no answer for so many seconds.
    Exception
        Whatever ``ask`` raised.
    """

    def asking(tell: Callable[[A], object]) -> Generator[Look[A], None, None]:
        look = Look(lambda: [ask()])
        yield look
        if look.error is not None:
            raise look.error
        for answer in look.answers:
            tell(answer)

    for answer in find_answers(asking, seconds):
        value: A = answer
        return value
    raise SourceError(f"{make_printable(path)}: {explain_silence(seconds)}. {WHAT_TO_DO}")


def explain_silence(seconds: int) -> str:
    """What a message says about a file system that did not answer."""
    return f"no answer of the file system for {plural(seconds, 'second')}"


def _receive(stream: BinaryIO) -> list[Any] | None:
    """Receive what was told since the last time; None at the end."""
    length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
    content = stream.read(length)
    if not length or len(content) < length:
        raise SourceError(
            "the process that looked for the files of the source was killed; see whether there is "
            "too little memory, and run again"
        )
    message: list[Any] | bytes | None = marshal.loads(content)  # noqa: S302  # of a fork of this
    if isinstance(message, bytes):
        import pickle  # noqa: PLC0415

        raise pickle.loads(message)  # noqa: S301
    return message


def _send(stream: BinaryIO, message: list[Any] | bytes | None) -> None:
    """Send what ``_receive`` takes: answers, an exception, or the end."""
    content = marshal.dumps(message)
    stream.write(len(content).to_bytes(LENGTH_BYTES, "little"))
    stream.write(content)
    stream.flush()


def _leave(process: int) -> None:
    """Kill the process, and leave it behind if it waits in a call that cannot be interrupted."""
    with suppress(OSError):
        os.kill(process, signal.SIGKILL)
        end = time.monotonic() + END_SECONDS
        while os.waitpid(process, os.WNOHANG) == (0, 0) and time.monotonic() < end:
            time.sleep(TICK_SECONDS / 100)


def _serve(
    asking: Callable[[Callable[[Any], object]], Generator[Look[Any], None, object]],
    seconds: int,
    writer: int,
) -> None:
    """In the process: let threads ask, and send what is told."""
    parent = os.getppid()
    gc.disable()  # going through all objects of the caller would copy them
    # Ctrl-C goes to the whole process group; the parent kills this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _close_files(writer)
    told: list[Any] = []
    asker = _Asker(asking(told.append))
    progress, quiet_ticks, is_end = asker.progress, 0, False
    with os.fdopen(writer, "wb") as stream:
        while not is_end and os.getppid() == parent:
            is_end = asker.wait(TICK_SECONDS)
            if count := len(told):
                _send(stream, told[:count])
                del told[:count]
            # Ticks are counted, not time: while the computer sleeps nothing is overdue.
            before, progress = progress, asker.progress
            quiet_ticks = 0 if progress != before else quiet_ticks + 1
            if quiet_ticks * TICK_SECONDS >= seconds:
                asker.give_up(progress)
        if asker.raised is not None:
            import pickle  # noqa: PLC0415

            _send(stream, pickle.dumps(asker.raised))
        _send(stream, None)


def _close_files(kept: int) -> None:
    """Close what the caller has open, such as locks, which else lasted as long as this process."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for descriptor in map(int, os.listdir("/dev/fd")):
        if descriptor not in (0, 1, 2, kept):
            with suppress(OSError):
                os.close(descriptor)


class _Asker:
    """Has the questions of a generator asked one after the other, each by a thread that lives."""

    def __init__(self, questions: Generator[Look[Any], None, object]) -> None:
        self.raised: Exception | None = None
        self._questions = questions
        self._look: Look[Any] | None = None
        self._advancing, self._going_on = allocate_lock(), allocate_lock()
        self._going_on.acquire()
        self._advance()
        start_new_thread(self._work, ())

    def wait(self, seconds: float) -> bool:
        """Wait for the end, and return whether it came."""
        return self._going_on.acquire(timeout=seconds)

    @property
    def progress(self) -> tuple[Look[Any] | None, int]:
        """The present question, and how many answers it has."""
        look = self._look
        return look, len(look.answers) if look is not None else 0

    def give_up(self, progress: tuple[Look[Any] | None, int]) -> None:
        """Go on with the next question in another thread, unless there is an answer by now."""
        with self._advancing:
            if self._look is not None and self.progress == progress:
                self._look.give_up()
                self._advance()
                start_new_thread(self._work, ())

    def _work(self) -> None:
        while (look := self._look) is not None:
            look.run()
            with self._advancing:
                if look.is_silent:  # it was given up meanwhile, and another thread goes on
                    return
                self._advance()

    def _advance(self) -> None:
        """Take the next question; only by whoever has the lock."""
        try:
            self._look = next(self._questions, None)
        except Exception as error:  # noqa: BLE001  # the parent raises it
            self._look, self.raised = None, error
        if self._look is None:
            self._going_on.release()
