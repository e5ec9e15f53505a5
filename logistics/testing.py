"""Time in hand, for tests: a clock that only you move, and an engine that lives through a year of it in a moment."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from actors.clock.messages import GetNextWake
from actors.queue.messages import GetStats
from actors.runtime import clock as clocks
from actors.runtime.errors import InputError
from actors.schedule.messages import GetSchedules
from actors.workflow.messages import GetTotals
from logistics.errors import WaitTimeoutError
from logistics.inputs import as_datetime, duration_us, instant_us, timeout_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.runtime.engine import Runtime
    from actors.runtime.messages import Message
    from logistics.inputs import Duration
    from logistics.orchestration.engine import OrchestrationEngine

__all__ = ["VirtualClock", "pass_time", "settle"]

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
TIMEOUT = 60.0
LOOK_S = 0.005
"""How often whoever waits for the end of work looks again, at least."""
QUIET_ROUNDS = 2
"""Rounds of questions in which nothing may have happened: a word between actors may be on its way in one."""
QUESTIONS: tuple[tuple[str, Message], ...] = (
    ("clock", GetNextWake()),
    ("scheduler", GetSchedules(names=("",))),
    ("supervisor", GetTotals()),
    ("queue", GetStats(queue="")),
)
"""One for each actor, answered behind all that it was told before."""


class VirtualClock:
    """A clock that stands still until it is told to move; give it to an engine as `clock`."""

    def __init__(self, start: datetime = NEW_YEAR) -> None:
        """Begin at an aware `datetime`."""
        self._clock = clocks.VirtualClock(instant_us("start", start))

    def __repr__(self) -> str:
        return f"VirtualClock({self.now.isoformat()})"

    @property
    def now(self) -> datetime:
        """What it shows, in UTC."""
        return as_datetime(self._clock.now_us())

    def advance(self, by: Duration) -> None:
        """Let so much time pass at once, as it does while nobody looks. `pass_time` lets it pass step by step."""
        self._clock.advance(duration_us("by", by))

    def set(self, moment: datetime) -> None:
        """Set it, forward or back, as somebody's hand does, or a machine that was asleep."""
        self._clock.jump(instant_us("moment", moment) - self._clock.now_us())

    def now_us(self) -> int:
        """Return wall-clock time in microseconds since 1970 UTC."""
        return self._clock.now_us()

    def monotonic_us(self) -> int:
        """Return the time that has passed, in microseconds."""
        return self._clock.monotonic_us()


def settle(engine: OrchestrationEngine, *, timeout: Duration = TIMEOUT) -> None:
    """Wait until everything is done that is to be done at the present time of the engine's clock.

    `TimeoutError` if functions still run after so many seconds of real time.
    """
    clock = _clock_of(engine)
    _settle(engine, clock, _deadline(timeout))


def pass_time(
    engine: OrchestrationEngine,
    by: Duration | None = None,
    *,
    until: datetime | None = None,
    timeout: Duration = TIMEOUT,
) -> int:
    """Let time pass, and everything happen on the way at its time; return how often something was due.

    The clock goes from one instant for which somebody waits (a schedule, a retry, a timeout, a step) to the next, and
    each time all that follows is done before it goes on: functions take no time. The engine must have a
    `VirtualClock`. `TimeoutError` if what is due at one instant is not done after so many seconds of real time.
    """
    clock = _clock_of(engine)
    if (by is None) is (until is None):
        msg = "pass_time: expected a duration, or until=, a moment"
        raise InputError(msg)
    now_us = clock.now_us()
    end_us = now_us + duration_us("by", by) if by is not None else instant_us("until", until)
    if end_us < now_us:
        msg = f"until: expected a moment after {clock.now}, got {until}"
        raise InputError(msg)
    stops = 0
    next_us = _settle(engine, clock, _deadline(timeout))
    while next_us is not None and next_us <= end_us:
        clock.advance(timedelta(microseconds=max(1, next_us - clock.now_us())))
        stops += 1
        next_us = _settle(engine, clock, _deadline(timeout))
    clock.advance(timedelta(microseconds=max(0, end_us - clock.now_us())))
    _settle(engine, clock, _deadline(timeout))
    return stops


def _clock_of(engine: OrchestrationEngine) -> VirtualClock:
    clock = engine.store.runtime.clock
    if not isinstance(clock, VirtualClock):
        msg = f"expected an engine with clock=VirtualClock(…), got one with a {type(clock).__name__}"
        raise InputError(msg)
    return clock


def _deadline(timeout: Duration) -> float:
    limit_s = timeout_s("timeout", timeout)
    assert limit_s is not None
    return time.monotonic() + limit_s


def _settle(engine: OrchestrationEngine, clock: VirtualClock, deadline: float) -> int | None:
    """Wait until nothing happens any more; the next instant for which somebody waits."""
    runtime = engine.store.runtime
    runtime.nudge("clock")
    quiet = 0
    with _commits(runtime) as committed:
        while True:
            before = runtime.journal.watermark
            next_us: int | None
            next_us, *_ = [engine.query(actor, question) for actor, question in QUESTIONS]
            quiet = quiet + 1 if _rests(runtime, before) else 0
            if quiet >= QUIET_ROUNDS:
                return next_us
            if runtime.executor.under_way:
                committed.wait(LOOK_S)
                committed.clear()
            if time.monotonic() > deadline:
                msg = f"at {clock.now} things still go on; {runtime.executor.under_way} functions run"
                raise WaitTimeoutError(msg)


def _rests(runtime: Runtime, before: int) -> bool:
    """Whether nothing was recorded, waits to be, or runs; asked while nobody lets anything out."""
    journal = runtime.journal
    with journal.committing:
        return not runtime.executor.under_way and journal.backlog == 0 and journal.watermark == before


@contextmanager
def _commits(runtime: Runtime) -> Iterator[threading.Event]:
    committed = threading.Event()
    runtime.watch.listen(committed)
    try:
        yield committed
    finally:
        runtime.watch.unlisten(committed)
