"""What the clock remembers: how often wall time jumped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.clock.messages import ClockJumped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.runtime.messages import Event


class ClockState:
    """The fold of the clock's events."""

    def __init__(self) -> None:
        self.jumps = 0
        self.last_jump_us = 0
        self.handlers: dict[type[Event], Callable[[Any], None]] = {ClockJumped: self._jumped}

    def evolve(self, event: Event) -> None:
        """Take in one event."""
        self.handlers[type(event)](event)

    def take_retired(self) -> list[str]:
        """Nothing of the clock's ever ends."""
        return []

    def forget(self, names: Iterable[str]) -> None:
        """Nothing of the clock's is ever forgotten."""

    def dump(self) -> Any:
        """Give the state as plain data."""
        return {"jumps": self.jumps, "last_jump_us": self.last_jump_us}

    def _jumped(self, event: ClockJumped) -> None:
        self.jumps += 1
        self.last_jump_us = event.by_us
