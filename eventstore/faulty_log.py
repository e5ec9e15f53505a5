"""A log that fails as disks do, when a plan says so: for tests and for the simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from random import Random

from eventstore.errors import OutcomeUnknownError, ReopenNeededError, StoreError
from eventstore.log import Log
from eventstore.memory_log import MemoryLog
from eventstore.records import Frame, Head, Record, Stored
from eventstore.retention import Compaction, Horizon


class Fault(Enum):
    """What happens to one append."""

    OK = "ok"
    BEFORE = "before"
    """It fails, and nothing is written."""
    AFTER = "after"
    """It fails, though all is written and synced."""
    CACHED = "cached"
    """It fails, and is written to the page cache alone; only with a `MemoryLog`."""
    SURVIVED = "survived"
    """It fails inside, certainly before the write, and the log itself repeats it: nobody notices."""


Plan = Callable[[], Fault]
"""Asked before each append."""


def quiet() -> Fault:
    """Let nothing fail: the plan of a log that has to behave like any other."""
    return Fault.OK


def random_plan(random: Random, **probabilities: float) -> Plan:
    """Return a plan that draws faults, named in lower case, with these probabilities.

    `random_plan(Random(7), before=0.01, cached=0.02)` fails three appends of a hundred.
    """
    faults = [Fault(name) for name in probabilities]
    weights = [*probabilities.values(), 1.0 - sum(probabilities.values())]
    if min(weights) < 0:
        raise ValueError(f"probabilities are not negative, and no more than 1 together: {probabilities}")

    def plan() -> Fault:
        return random.choices([*faults, Fault.OK], weights)[0]

    return plan


class FaultyLog:
    """A `Log` that hands everything to another one, and lets appends and reopenings fail.

    After a failed append it refuses everything but `reopen` and `close`, like the real one.
    """

    def __init__(
        self, inner: Log, plan: Plan = quiet, *, reopening_fails: Callable[[], bool] = lambda: False
    ) -> None:
        """Wrap a log. `reopening_fails` is asked before each `reopen`."""
        self.inner = inner
        self.faults: list[Fault] = []
        """What happened to each append so far."""
        self._plan = plan
        self._reopening_fails = reopening_fails
        self._failed = False

    @property
    def store_id(self) -> str:
        return self.inner.store_id

    @property
    def head(self) -> Head:
        return self._usable().head

    @property
    def horizon(self) -> Horizon:
        return self._usable().horizon

    @property
    def survived(self) -> int:
        """The number of faults that nobody noticed."""
        return self.faults.count(Fault.SURVIVED)

    def append(self, records: Sequence[Record], *, expected: int, epoch: int, recorded_us: int) -> Head:
        inner, fault = self._usable(), self._plan()
        self.faults.append(fault)
        if fault is Fault.BEFORE:
            raise self._failure(fault)
        append = _cached_append(inner) if fault is Fault.CACHED else inner.append
        head = append(records, expected=expected, epoch=epoch, recorded_us=recorded_us)
        if fault in {Fault.AFTER, Fault.CACHED}:
            raise self._failure(fault)
        return head

    def frames(self, *, after: int = 0, upto: int | None = None) -> Iterator[Frame]:
        for frame in self._usable().frames(after=after, upto=upto):
            self._usable()
            yield frame

    def history(self, entity: str, *, upto: int | None = None) -> list[Stored]:
        return self._usable().history(entity, upto=upto)

    def first(self, entity: str, *, upto: int | None = None) -> Stored | None:
        return self._usable().first(entity, upto=upto)

    def last(self, entity: str, *, upto: int | None = None) -> Stored | None:
        return self._usable().last(entity, upto=upto)

    def entities(self, prefix: str, *, before: str | None = None, upto: int | None = None) -> Iterator[str]:
        for entity in self._usable().entities(prefix, before=before, upto=upto):
            self._usable()
            yield entity

    def at(self, position: int) -> Stored | None:
        return self._usable().at(position)

    def kept(self) -> Iterator[Stored]:
        return self._usable().kept()

    def compact(self, plan: Compaction) -> None:
        inner, fault = self._usable(), self._plan()
        self.faults.append(fault)
        if fault is Fault.BEFORE:
            raise self._failure(fault)
        inner.compact(plan)
        if fault in {Fault.AFTER, Fault.CACHED}:
            raise self._failure(fault)

    def tidy(self) -> bool:
        return self._usable().tidy()

    def reopen(self) -> Head:
        if self._reopening_fails():
            self._failed = True
            raise StoreError("reopening failed, as planned", remedy="Try again.")
        head = self.inner.reopen()
        self._failed = False
        return head

    def save_snapshot(self, name: str, position: int, data: bytes) -> None:
        self._usable().save_snapshot(name, position, data)

    def load_snapshots(self, name: str, *, upto: int | None = None) -> Iterator[tuple[int, bytes]]:
        yield from self._usable().load_snapshots(name, upto=upto)

    def tend(self) -> None:
        self.inner.tend()

    def close(self) -> None:
        self._failed = False
        self.inner.close()

    def _usable(self) -> Log:
        if self._failed:
            raise ReopenNeededError("an append failed, as planned: the log has to be reopened first")
        return self.inner

    def _failure(self, fault: Fault) -> OutcomeUnknownError:
        self._failed = True
        return OutcomeUnknownError(f"the commit failed, as planned: {fault.value}")


def _cached_append(log: Log) -> Callable[..., Head]:
    if not isinstance(log, MemoryLog):
        raise TypeError("only a MemoryLog has a cache that can be lost")
    return log.append_cached
