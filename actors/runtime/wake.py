"""The one message that every actor sends to the clock: wake me."""

from __future__ import annotations

from actors.runtime.messages import Message


class WakeAt(Message, frozen=True, tag="clock.wake_at"):
    """Nudge the actor `who` once the wall clock has reached `at_us` (µs UTC); None: not at all."""

    who: str
    at_us: int | None
