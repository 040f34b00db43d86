"""Who holds a lock, and whether that process is still alive, as far as this process can know.

A lock of the system says so only among processes of one kernel: network file systems may grant it
on each host. A process number says so only within one namespace of processes, of which containers
have their own. Standard library only: the Snakefile imports it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

NAMESPACE_OF_HOST = "4026531836"
"""The namespace of processes outside all containers, which has this number in every Linux."""


NOT_A_HOLDER = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What reading a holder from any text may raise."""


class Life(Enum):
    """What is known about a holder."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds a lock, and what it does.

    Parameters
    ----------
    task : str
        For people, such as ``a run``.
    output, folder : str
        Absolute paths of its results and of its working directory.
    shard : (int, int), optional
        Which of how many shards it makes.
    is_collection : bool
        Whether it only reads what shards made.
    host, machine, boot, namespace : str
        Name, identity and boot of the machine, and namespace of processes; empty where unknown.
    pid, started : int, str
        Process, and when it started, in the kernel's count; empty where unknown.
    device : int
        File system of the lock, as this kernel numbers it.
    since : str
        Local time, for people.
    """

    task: str
    output: str
    folder: str
    shard: tuple[int, int] | None = None
    is_collection: bool = False
    host: str = ""
    machine: str = ""
    boot: str = ""
    namespace: str = ""
    pid: int = 0
    started: str = ""
    device: int = 0
    since: str = ""

    def to_json(self) -> str:
        """One line, in ASCII, which can hold paths of any bytes."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Holder:
        """Raise one of ``NOT_A_HOLDER`` if the text is not what ``to_json`` writes."""
        values = json.loads(text)
        shard = values.pop("shard")
        holder = cls(**values, shard=None if shard is None else (int(shard[0]), int(shard[1])))
        for name, value in dataclasses.asdict(holder).items():
            kind = {"pid": int, "device": int, "is_collection": bool}.get(name, str)
            if name != "shard" and type(value) is not kind:
                raise TypeError(f"{name} is not of type {kind.__name__}")
        return holder

    def locate(self, device: int) -> Holder:
        """The same, in this process, from now on, by a lock on this file system."""
        return dataclasses.replace(
            self,
            host=platform.node(),
            machine=_read("/etc/machine-id"),
            boot=_read("/proc/sys/kernel/random/boot_id"),
            namespace=_find_namespace(),
            pid=os.getpid(),
            started=_find_start("self"),
            device=device,
            since=time.strftime("%Y-%m-%d %H:%M:%S"),
        )


def judge(holder: Holder, here: Holder, *, is_locked: bool | None) -> Life:
    """Whether a holder is alive, seen from a process; unknown unless there is proof.

    Parameters
    ----------
    holder, here : Holder
        The latter is this process.
    is_locked : bool or None
        Whether another process has locked the holder's file; None where files cannot be locked.
    """
    if is_locked:
        return Life.ALIVE
    if not _is_same_boot(holder, here):
        return Life.DEAD if _has_rebooted(holder, here) else Life.UNKNOWN
    if holder.namespace == here.namespace and not _is_running(holder):
        return Life.DEAD
    # The kernel drops the lock of a process that ends. The process of another namespace cannot be
    # seen, and one with this number may be another where starts are not known.
    is_visible = holder.namespace == here.namespace and holder.started != ""
    if is_locked is False and holder.device == here.device and not is_visible:
        return Life.DEAD
    return Life.ALIVE if is_visible else Life.UNKNOWN


def _is_same_boot(holder: Holder, here: Holder) -> bool:
    """Whether both are of one kernel; by the name of the host where boots have no identity."""
    return holder.boot == here.boot and (holder.boot != "" or holder.host == here.host)


def _has_rebooted(holder: Holder, here: Holder) -> bool:
    """Whether this is the holder's machine, booted since. Containers may only look like it."""
    return (
        (holder.host, holder.machine) == (here.host, here.machine)
        and "" not in (holder.machine, holder.boot, here.boot)
        and holder.namespace == here.namespace == NAMESPACE_OF_HOST
    )


def _is_running(holder: Holder) -> bool:
    """Whether the process of a holder in this namespace exists, and is not a later one."""
    if holder.pid <= 0:  # to signals not a process, but a group
        return False
    try:
        os.kill(holder.pid, 0)
    except PermissionError:  # of another user, whose files in /proc may be hidden
        pass
    except (ProcessLookupError, OverflowError):
        return False
    started = _find_start(str(holder.pid))
    return "" in (started, holder.started) or started == holder.started


def _find_start(process: str) -> str:
    """When a process started; empty where that is not known, ``ended`` if nobody waited for it."""
    if not _is_proc_of_namespace():
        return ""
    _, _, rest = _read(f"/proc/{process}/stat").rpartition(")")  # the name may have blanks
    state, *fields = rest.split() or [""]
    return "ended" if state in ("Z", "X") else "".join(fields[18:19])


def _is_proc_of_namespace() -> bool:
    """Whether /proc shows the processes by the numbers that this one sees."""
    with suppress(OSError):
        return os.readlink("/proc/self") == str(os.getpid())
    return False


def _find_namespace() -> str:
    with suppress(OSError):
        return str(os.stat("/proc/self/ns/pid").st_ino)
    return ""


def _read(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    return ""
