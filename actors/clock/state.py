"""What the clock remembers: how often wall time jumped."""

from __future__ import annotations

from typing import Any

from actors.clock.messages import ClockJumped
from actors.runtime.state import FoldedState


class ClockState(FoldedState[None]):
    """The fold of the clock's events."""

    def __init__(self) -> None:
        super().__init__()
        self.jumps = 0
        self.last_jump_us = 0
        self.handlers = {ClockJumped: self._jumped}

    def dump(self) -> Any:
        """Give the state as plain data."""
        return {"jumps": self.jumps, "last_jump_us": self.last_jump_us}

    def _jumped(self, event: ClockJumped) -> None:
        self.jumps += 1
        self.last_jump_us = event.by_us
