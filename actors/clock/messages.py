"""What is said to the clock, and what it records."""

from __future__ import annotations

from actors.runtime.messages import Event, Message


class ObserveTime(Message, frozen=True, tag="clock.observe"):
    """Two readings of both clocks, to tell whether wall time ran away from monotonic time."""

    wall_us: int
    monotonic_us: int
    last_wall_us: int
    last_monotonic_us: int


class GetClock(Message, frozen=True, tag="clock.get"):
    """Answered with a `dict` of `now_us`, `jumps` and `last_jump_us`."""


class GetNextWake(Message, frozen=True, tag="clock.get_next_wake"):
    """Answered with the earliest instant (µs UTC) for which an actor wants to be woken, or None."""


class ClockJumped(Event, frozen=True, tag="clock.jumped"):
    """The wall clock was set, or the machine slept: it is `by_us` further (or, negative, back) than it should be."""

    by_us: int
    at_us: int

    @property
    def entity(self) -> str:
        """The clock."""
        return "clock"


CLOCK_EVENTS: tuple[type[Event], ...] = (ClockJumped,)
