"""The epoch of a dataset, which worker processes read where the main process sets it."""

from __future__ import annotations

import operator
from multiprocessing.context import get_spawning_popen
from multiprocessing.sharedctypes import RawArray
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctypes import Array, c_int64

EPOCH_LIMIT = 1 << 63


class SharedEpoch:
    """An epoch in memory that this process shares with those that it starts.

    A process that is forked or spawned with it sees what is set later, whoever sets it. A copy that
    goes another way (``pickle``, ``copy``) starts at the same epoch and has memory of its own.

    There is no lock, which a worker that is killed would keep for ever. Instead, each value goes
    into the slot that is not being read, before the number of values, which tells the slot.
    """

    def __init__(self, epoch: int = 0) -> None:
        self._share(RawArray("q", [0, epoch, epoch]), 0, 0)

    def _share(self, shared: Array[c_int64], times_seen: int, iterations: int) -> None:
        self._shared = shared  # how many times it was set; the values of even and odd times
        self._times_seen, self._iterations = times_seen, iterations

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the memory where a process is being started, else by value."""
        if get_spawning_popen() is None:
            return SharedEpoch, (self.current,)
        return _attach, (self._shared, self._times_seen, self._iterations)

    def set(self, epoch: int) -> None:
        """Set the epoch in every process.

        Raises
        ------
        TypeError, ValueError
            It is not a whole number from 0 to 2**63 - 1.
        """
        number = operator.index(epoch)
        if not 0 <= number < EPOCH_LIMIT:
            raise ValueError(f"an epoch must be from 0 to 2**63 - 1, found {number}")
        times = self._shared[0] + 1
        self._shared[1 + times % 2] = number
        self._shared[0] = times

    @property
    def current(self) -> int:
        """The epoch that was set, and one more for each iteration of this process since."""
        self._see()
        return self._value + self._iterations

    def start_iteration(self) -> int:
        """The epoch of an iteration of this process; its next one has the next epoch."""
        epoch = self.current
        self._iterations += 1
        return epoch

    def _see(self) -> None:
        """Forget the iterations before the last time that the epoch was set."""
        times = self._shared[0]
        if times != self._times_seen:
            self._times_seen, self._iterations = times, 0

    @property
    def _value(self) -> int:
        return self._shared[1 + self._times_seen % 2]


def _attach(shared: Array[c_int64], times_seen: int, iterations: int) -> SharedEpoch:
    """In a process that was spawned: the epoch in the memory of the one that spawned it."""
    epoch = SharedEpoch.__new__(SharedEpoch)
    epoch._share(shared, times_seen, iterations)  # noqa: SLF001
    return epoch
