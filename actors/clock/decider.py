"""The rules of the clock: what counts as a jump of wall time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.clock.messages import CLOCK_EVENTS, ClockJumped, GetClock, ObserveTime
from actors.clock.state import ClockState
from actors.runtime.errors import InternalError
from actors.runtime.messages import Context, Decision, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.messages import Event

JUMP_US = 1_000_000
"""Wall and monotonic time may drift apart by this much between two readings: clocks are slewed all the time."""


class ClockRules:
    """The rules of the clock actor."""

    name = "clock"
    events: tuple[type[Event], ...] = CLOCK_EVENTS

    def initial(self) -> ClockState:
        """Return the state before the first event."""
        return ClockState()

    def restore(self, image: Any, /) -> ClockState:
        """Return the state whose `dump` was `image`."""
        state = ClockState()
        state.jumps, state.last_jump_us = image["jumps"], image["last_jump_us"]
        return state

    def lookups(self, _state: ClockState, _message: Message, /) -> Iterable[str]:
        """Nothing of the clock's is ever forgotten."""
        return ()

    def decide(self, state: ClockState, message: Message, context: Context, /) -> Decision:
        """Record a jump; answer what the time is."""
        decision = Decision()
        if type(message) is ObserveTime:
            by_us = (message.wall_us - message.last_wall_us) - (
                message.monotonic_us - message.last_monotonic_us
            )
            if abs(by_us) > JUMP_US:
                decision.emit(ClockJumped(by_us, message.wall_us))
        elif type(message) is GetClock:
            decision.answer(state.dump() | {"now_us": context.now_us})
        else:
            msg = f"the clock does not know what to do with {type(message).__name__}"
            raise InternalError(msg)
        return decision

    def settle(self, _state: ClockState, _context: Context, /) -> Iterable[Decision]:
        """Nothing follows from the clock's state alone."""
        return ()

    def pending(self, _state: ClockState, _context: Context, /) -> Decision:
        """The clock owes nobody: whoever wants to be woken says so again."""
        return Decision()

    def next_wake_us(self, _state: ClockState, _context: Context, /) -> int | None:
        """The clock wakes others, not itself."""
        return None
