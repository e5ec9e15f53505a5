"""Logs that fail when a test says so: in memory and on LMDB, before the write, after it, or only cached."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import lmdb

from eventstore.errors import StoreError
from eventstore.faulty_log import Fault, FaultyLog, Plan, quiet
from eventstore.lmdb_log import LmdbLog
from eventstore.memory_log import MemoryLog
from eventstore.records import Head, Record


class Sabotage:
    """Decides which appends fail: by the events that they hold, or by a plan."""

    def __init__(self) -> None:
        self.plan: Plan = quiet
        self.appended: deque[list[str]] = deque(maxlen=100)
        """Tags of what the last appends were to write."""
        self.reopening = threading.Event()
        """While it is not set, reopening fails."""
        self.reopening.set()
        self.done = threading.Event()
        """Set once an append has failed."""
        self._wanted: dict[str, tuple[Fault, int]] = {}

    def fail(self, tag: str, fault: Fault = Fault.BEFORE, *, times: int = 1) -> None:
        """Let the next appends that hold such an event fail."""
        self.done.clear()
        self._wanted[tag] = (fault, times)

    def choose(self, records: Sequence[Record]) -> Fault:
        """Return what is to happen to an append."""
        tags = [record.tag for record in records]
        self.appended.append(tags)
        for tag, (fault, times) in self._wanted.items():
            if times and tag in tags:
                self._wanted[tag] = (fault, times - 1)
                self.done.set()
                return fault
        return self.plan()


class SabotagedMemory(FaultyLog):
    """A log in memory."""

    def __init__(self) -> None:
        self.sabotage = Sabotage()
        self._next = Fault.OK
        super().__init__(
            MemoryLog(), lambda: self._next, reopening_fails=lambda: not self.sabotage.reopening.is_set()
        )

    def append(self, records: Sequence[Record], *, expected: int, epoch: int, recorded_us: int) -> Head:
        self._next = self.sabotage.choose(records)
        return super().append(records, expected=expected, epoch=epoch, recorded_us=recorded_us)


class SabotagedLmdb(LmdbLog):
    """A log on disk, whose engine's commit raises what the engine raises when a disk is full."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.sabotage = Sabotage()
        self._next = Fault.OK
        super().__init__(*given, **named)

    def append(self, records: Sequence[Record], *, expected: int, epoch: int, recorded_us: int) -> Head:
        self._next = self.sabotage.choose(records)
        return super().append(records, expected=expected, epoch=epoch, recorded_us=recorded_us)

    def _commit(self, transaction: Any) -> None:
        fault = self._next
        if fault is Fault.BEFORE:
            raise lmdb.DiskError("mdb_txn_commit: No space left on device, as planned")
        super()._commit(transaction)
        if fault is not Fault.OK:
            raise lmdb.Error("mdb_txn_commit: Input/output error, as planned")

    def reopen(self) -> Head:
        if not self.sabotage.reopening.is_set():
            raise StoreError("reopening failed, as planned", remedy="Try again.")
        return super().reopen()


FAULTS: dict[str, tuple[Callable[..., Any], Fault]] = {
    "memory-before": (SabotagedMemory, Fault.BEFORE),
    "memory-after": (SabotagedMemory, Fault.AFTER),
    "memory-cached": (SabotagedMemory, Fault.CACHED),
    "lmdb-before": (SabotagedLmdb, Fault.BEFORE),
    "lmdb-after": (SabotagedLmdb, Fault.AFTER),
}
"""Every way in which a commit fails: the log, and the fault."""
