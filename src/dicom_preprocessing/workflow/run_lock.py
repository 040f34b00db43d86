"""The locks of runs: on the folder of results, and on the working directory.

Each run that holds a folder has a file of its own in a register there. A new one adds its file,
then looks at the others, so of two that start at once each sees the other: both take back their
files, wait for a random time and try again. No file is ever taken over, so that those of dead
holders can be removed at any time, by anyone. Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import platform
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from dicom_preprocessing.config import KEEPABLE
from dicom_preprocessing.errors import OutputError
from dicom_preprocessing.files import close_read_file, is_locked_by_another, write_at
from dicom_preprocessing.text import explain_error, make_printable
from dicom_preprocessing.workflow.holder import (
    NOT_A_HOLDER,
    Holder,
    Life,
    judge,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

REGISTER = ".runs"
"""In the results: the files of those that write there."""

WORKING_REGISTER = os.path.join(".snakemake", "runs")
"""In a working directory: the files of runs whose records of Snakemake's are there."""

SUFFIX = ".json"
TRIES = 6
MAX_BYTES = 1 << 16
"""Of the file of a holder, which has a few paths."""


@dataclass(frozen=True, slots=True)
class Own:
    """The file of this process in a register, which its descriptor keeps locked.

    ``made`` are the folders that were made for it, innermost first.
    """

    descriptor: int
    path: Path
    holder: Holder
    made: tuple[Path, ...]


HELD: dict[Path, Own] = {}
"""By register."""


@dataclass(frozen=True, slots=True)
class Other:
    """The file of another holder in a register; ``holder`` is None if it cannot be read."""

    path: Path
    holder: Holder | None
    life: Life


def hold_output(output: str | Path, task: Holder, name: str = "") -> None:
    """Hold a folder of results until this process ends, or releases it.

    Parameters
    ----------
    output : path
    task : Holder
        What this process does there.
    name : str
        The folder as the user gave it, for messages, if that is another path.

    Raises
    ------
    OutputError
        Another run may be writing there, or the folder cannot be written: what to do.
    """
    register, shown = Path(os.path.realpath(output), REGISTER), name or str(output)
    problem = ""
    for n in range(TRIES):
        time.sleep(random.uniform(0, 0.02) * (2**n - 1))  # noqa: S311  # no secret
        rival = _try_to_hold(register, task, shown)
        if rival is None:
            return
        problem = _explain(rival)
    raise OutputError(f"output {make_printable(shown)}: {problem}")


def _try_to_hold(register: Path, task: Holder, folder: str | Path) -> Other | None:
    """Hold a register; return a holder that excludes this task, and then hold nothing."""
    if register in HELD:
        return None
    _add_to(register, task, folder)
    own = HELD[register]
    others = list(_list_others(register, own))
    rival = next((other for other in others if _excludes(other, task)), None)
    rival = rival or next(_list_those_around(register, own), None)
    if rival is None:
        _remove_dead(others)
    else:
        _release(register)
    return rival


def release_output(output: str | Path) -> None:
    """Let others write to the results."""
    _release(Path(os.path.realpath(output), REGISTER))


def hold_working_directory(folder: Path, task: Holder) -> list[str]:
    """Remove the locks of Snakemake's that killed runs left, and register this run until it ends.

    They stay as long as a run in this folder may be alive: Snakemake decides then.

    Returns
    -------
    list of str
        Warnings: what to do if it is not known whether another run is alive.

    Raises
    ------
    OutputError
        The folder cannot be written: what to do.
    """
    register = folder / WORKING_REGISTER
    if register in HELD:
        return []
    _add_to(register, task, register.parent)
    others = list(_list_others(register, HELD[register]))
    locks = list((folder / ".snakemake" / "locks").glob("*.lock"))
    dead = list(_find_those_in_no_use(others))
    outputs = [other.holder.output for other in dead if other.holder]
    for lock in locks:
        if _names_file_in(lock, outputs):
            lock.unlink(missing_ok=True)
    _remove_dead(dead)
    unknown = [other for other in others if other.life is Life.UNKNOWN] if locks else []
    return [f"{make_printable(str(folder))}: {_explain(other)}" for other in unknown]


def _find_those_in_no_use(others: Sequence[Other]) -> Iterator[Other]:
    """Dead holders into whose results nobody else in the register may be writing."""
    used = [other.holder for other in others if other.life is not Life.DEAD]
    outputs = {holder and holder.output for holder in used}
    for other in others:
        is_used = None in outputs or (other.holder and other.holder.output in outputs)
        if other.life is Life.DEAD and not is_used:
            yield other


def _names_file_in(lock: Path, outputs: list[str]) -> bool:
    """Whether a lock of Snakemake's is on a file in one of these folders of results.

    Others may be of another workflow, which is alive in the same working directory.
    """
    prefixes = tuple(os.path.join(output, "") for output in outputs)
    with suppress(OSError), lock.open(errors="surrogateescape") as lines:
        for line in lines:
            path = os.path.join(lock.parents[2], line.rstrip("\n"))
            if os.path.abspath(path).startswith(prefixes):
                return True
    return False


def _excludes(other: Other, task: Holder) -> bool:
    """Whether a task may not run beside another: only shards may, and what collects them."""
    if other.life is Life.DEAD:
        return False
    if other.holder is None:
        return True
    one, two = task, other.holder
    if one.shard and two.shard:
        return one.shard == two.shard or one.shard[1] != two.shard[1]
    return not (one.shard and two.is_collection) and not (one.is_collection and two.shard)


def _explain(other: Other) -> str:
    """Who holds what is wanted, and what to do."""
    path, holder = make_printable(str(other.path)), other.holder
    if holder is None:
        return (
            f"{path} says that a run is writing there, and not which, because it is damaged or "
            "may not be read. Make sure that none is running on any host, remove that file, and "
            "run again"
        )
    who = make_printable(
        f"{holder.task} (host {holder.host}, process {holder.pid}, since {holder.since}, working "
        f"directory {holder.folder})"
    )
    if other.life is Life.ALIVE:
        return f"{who} is running there. Wait until it ends, or stop it, and run again"
    return (
        f"{who} holds it, and whether that is still running cannot be known here, on host "
        f"{make_printable(platform.node())}. If it is, wait until it ends; if it was killed, "
        f"remove {path}; then run again"
    )


def _add_to(register: Path, task: Holder, folder: str | Path) -> None:
    """Add the file of this process to a register; an OutputError says why it cannot be.

    Its message has the ``folder`` as the user gave it, which may lead through links.
    """
    for _ in range(TRIES):
        try:
            HELD[register] = _make_file(register, task)
        except FileNotFoundError:  # another process has just cleaned up here
            continue
        except OSError as error:
            error.filename, error.filename2 = str(folder), None
            raise OutputError(explain_error(error)) from error
        atexit.register(_release, register)
        return
    raise OutputError(f"{make_printable(str(register))} is removed again and again; run again")


def _make_file(register: Path, task: Holder) -> Own:
    """Make the file of this process, which is locked and whole before it has its name."""
    made = (register, *(folder for folder in register.parents if not folder.exists()))
    partial, path = register / f".{uuid4().hex}", register / f"{uuid4().hex}{SUFFIX}"
    descriptor = None
    try:
        register.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        with suppress(OSError):  # where files cannot be locked, others look for the process
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holder = task.locate(os.fstat(descriptor).st_dev)
        write_at(descriptor, 0, memoryview(holder.to_json().encode("ascii")))
        os.fsync(descriptor)
        partial.rename(path)
    except BaseException:
        if descriptor is not None:
            with suppress(OSError):
                partial.unlink()
            close_read_file(descriptor)
        _remove_empty(made)
        raise
    return Own(descriptor, path, holder, made)


def _release(register: Path) -> None:
    """Remove the file of this process, and the folders that were made for it if they are empty."""
    own = HELD.pop(register, None)
    if own is None or own.holder.pid != os.getpid():  # a fork that exits holds nothing
        return
    with suppress(OSError):
        own.path.unlink()
    close_read_file(own.descriptor)
    _remove_empty(own.made)


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that were made for a file, innermost first, as far as they are empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _list_those_around(register: Path, own: Own) -> Iterator[Other]:
    """Those that may be writing where a folder is in, or to the images in it."""
    output = register.parent
    inside = (output / "images", *(output / "stages" / stage for stage in KEEPABLE))
    for folder in (*output.parents, *inside):
        with suppress(OSError):  # there is no register, or it may not be read
            for other in _list_others(folder / REGISTER, own):
                if other.life is not Life.DEAD:
                    yield other


def _list_others(register: Path, own: Own) -> Iterator[Other]:
    """Judge the other files of a register; what a killed process left half made is removed."""
    for path in sorted(register.iterdir()):
        with suppress(FileNotFoundError):  # it has ended meanwhile
            if path.name.startswith("."):
                _remove_partial(path)
            elif path.suffix == SUFFIX and path != own.path:
                yield _judge_file(path, own.holder)


def _remove_partial(path: Path) -> None:
    """Remove a file without a name yet; should its process be alive, that makes another."""
    if not is_locked_by_another(path):
        path.unlink()


def _judge_file(path: Path, here: Holder) -> Other:
    is_locked = is_locked_by_another(path)
    holder = _read_holder(path)
    if holder is None:
        return Other(path, None, Life.UNKNOWN)
    return Other(path, holder, judge(holder, here, is_locked=is_locked))


def _read_holder(path: Path) -> Holder | None:
    """Read the file of a holder; None if it is damaged or may not be read."""
    try:
        with path.open(encoding="ascii") as file:
            return Holder.from_json(file.read(MAX_BYTES))
    except FileNotFoundError:
        raise
    except (OSError, *NOT_A_HOLDER):
        return None


def _remove_dead(others: Iterable[Other]) -> None:
    """Remove the files of holders that are dead, where this user may."""
    for other in others:
        if other.life is Life.DEAD:
            with suppress(OSError):
                other.path.unlink()
